import type { FactValue } from "../expression/expression.js";
import { references } from "../expression/references.js";
import type { Instant } from "../values/instant.js";
import type { RunEvent } from "./event.js";
import { conditionMet } from "./flow.js";
import type { Machine } from "./machine.js";
import type { Condition } from "./plan.js";
import { conditionFacts } from "./plan-index.js";
import { lookupIn, valuesOf } from "./scope.js";
import type { KeptEvent, Position } from "./state.js";

type Facts = Readonly<Record<string, FactValue>>;

/** Looks at what a position waits for; if it is met, the position is over. Returns whether it was. */
export function settleCondition(m: Machine, key: string, facts: Facts): boolean {
  const position = m.position(key);
  if (position === undefined) return false;
  const step = m.step(position.path);
  if (step.kind === "task") {
    if (!isClosed(m, step.id, key)) return false;
    conditionMet(m, key, {});
    return true;
  }
  if (step.kind === "play") {
    if (step.id === undefined || m.state.steps[step.id]?.["ended"] !== true) return false;
    conditionMet(m, key, {});
    return true;
  }
  if (step.kind !== "wait_for") return false;

  const met = new Set(position.met);
  const match = look(m, key, position, step.for, facts, "", met);
  if (match === undefined) {
    if (met.size !== (position.met?.length ?? 0)) m.patch(key, { met: [...met] });
    return false;
  }
  if (match.event !== undefined) serve(m, match.event.id, key);
  const paths = conditionFacts(step.for);
  conditionMet(m, key, {
    ...(match.event === undefined ? {} : { event: match.event }),
    ...(paths.length === 0 ? {} : { facts: valuesOf(paths, lookupIn(m.state, facts)) }),
  });
  return true;
}

/** What an event may mean for a waiting position: `now` to look at once, `read` if facts are needed first. */
export function concerns(m: Machine, position: Position, event: RunEvent): "no" | "now" | "read" {
  const step = m.step(position.path);
  if (step.kind === "task") return event.name === "task.closed" ? "now" : "no";
  if (step.kind === "play") return event.name === "run.ended" ? "now" : "no";
  if (step.kind !== "wait_for") return "no";
  const facts = conditionFacts(step.for);
  const isOwn = OWN_EVENTS.has(event.name);
  const touches = (part: Condition): boolean => {
    switch (part.kind) {
      case "event":
        return part.event === event.name;
      case "if":
        return (
          event.changed?.some((path) => facts.includes(path)) === true ||
          (isOwn && references(part.if).some((path) => path.startsWith("steps.") || path.startsWith("run.inputs.")))
        );
      case "task":
        return event.name === "task.closed";
      case "reply":
        return event.name === "email.replied";
      case "any":
      case "all":
        return part.of.some(touches);
    }
  };
  if (!touches(step.for)) return "no";
  return facts.length === 0 ? "now" : "read";
}

/** Events about the run itself: they change `steps.…` and `run.inputs.…`. */
export const OWN_EVENTS: ReadonlySet<string> = new Set([
  "task.closed",
  "email.replied",
  "email.bounced",
  "slack.clicked",
  "run.ended",
  "run.triggered_again",
]);

interface Match {
  readonly event?: KeptEvent;
}

function look(
  m: Machine,
  key: string,
  position: Position,
  condition: Condition,
  facts: Facts,
  leaf: string,
  met: Set<string>,
  /** The waiting step, and which alternatives of `any` lead here: alternatives share events, the parts of an `all` don't. */
  taker = key,
): Match | undefined {
  // A part of `all` that an event has met stays met, also where it is itself an `any` or `all`.
  if (met.has(leaf)) return {};
  switch (condition.kind) {
    case "event": {
      const since = condition.since === "wait" ? position.at : storyStart(m, position);
      const after = condition.since === "wait" ? position.handled : 0;
      const event = m.state.events.find(
        (one) =>
          one.name === condition.event &&
          one.at >= since &&
          one.order > after &&
          !one.served.some((by) => isWithin(by, taker) || isWithin(taker, by)) &&
          (condition.where === undefined || m.isTrue(condition.where, facts, one)),
      );
      return event === undefined ? undefined : { event };
    }
    case "if":
      return m.isTrue(condition.if, facts) ? {} : undefined;
    case "task":
      return isClosed(m, condition.step) ? {} : undefined;
    case "reply":
      return m.state.steps[condition.step]?.["replied"] === true ? {} : undefined;
    case "any": {
      for (const [i, part] of condition.of.entries()) {
        const match = look(m, key, position, part, facts, `${leaf}/${i}`, met, `${taker}>${leaf}/${i}`);
        if (match !== undefined) return match;
      }
      return undefined;
    }
    case "all": {
      let last: Match | undefined = {};
      for (const [i, part] of condition.of.entries()) {
        const at = `${leaf}/${i}`;
        const match = look(m, key, position, part, facts, at, met, taker);
        if (match?.event !== undefined) {
          met.add(at);
          serve(m, match.event.id, taker);
        }
        last = match === undefined || last === undefined ? undefined : match.event === undefined ? last : match;
      }
      return last;
    }
  }
}

/** `since: start`: of the innermost iteration, else of the run. */
function storyStart(m: Machine, position: Position): Instant {
  for (
    let at: Position | undefined = position;
    at !== undefined;
    at = at.parent === "" ? undefined : m.position(at.parent)
  ) {
    if (at !== position && at.iterationAt !== undefined) return at.iterationAt;
  }
  return m.state.run.startedAt;
}

function isClosed(m: Machine, step: string | undefined, key?: string): boolean {
  const fields = step === undefined ? undefined : m.state.steps[step];
  if (fields === undefined || (key !== undefined && fields["instance"] !== key)) return false;
  const status = fields["status"];
  return status === "done" || status === "skipped" || status === "cancelled";
}

/** One event may serve several steps, each step once; and several alternatives of one. */
function serve(m: Machine, event: string, taker: string): void {
  m.state.events = m.state.events.map((one) => (one.id === event ? { ...one, served: [...one.served, taker] } : one));
}

function isWithin(taker: string, other: string): boolean {
  return taker === other || taker.startsWith(`${other}>`);
}
