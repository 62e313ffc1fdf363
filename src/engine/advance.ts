/**
 * The machine: `advance(plan, state, event)` → the next state, and the commands it asks for. Pure and total for every plan
 * that compiled: no clock, no randomness, no input or output. Nothing else decides what a run does next.
 */
import type { FactValue } from "../expression/expression.js";
import { references } from "../expression/references.js";
import type { Instant } from "../values/instant.js";
import type { Command, Outcome } from "./command.js";
import { type Asked, commandsOf } from "./commands-of.js";
import { settleCondition } from "./conditions.js";
import type { MachineEvent } from "./event.js";
import { handleNext, takeIn } from "./events.js";
import { beginList, checkExits, hasStandingExit } from "./flow.js";
import { AHEAD_MAX } from "./limits.js";
import { Machine } from "./machine.js";
import { applyOutcome, closeIfLeft } from "./outcomes.js";
import type { Plan } from "./plan.js";
import { conditionFacts } from "./plan-index.js";
import type { RunIdentity, RunState } from "./state.js";
import { fire, nextTimer } from "./timers.js";

export interface Advanced {
  readonly state: RunState;
  readonly commands: readonly Command[];
}

/** A run that has not begun. `holds`: names of the holds it starts under. */
export function newRun(
  plan: Plan,
  run: RunIdentity,
  inputs: Readonly<Record<string, FactValue>> = {},
  holds: readonly string[] = [],
): RunState {
  const defaults: Record<string, FactValue> = {};
  for (const [name, field] of Object.entries(plan.inputs)) {
    const value = inputs[name] ?? field.default;
    if (value !== undefined) defaults[name] = value;
  }
  return {
    format: 1,
    run,
    phase: "new",
    clock: run.startedAt,
    inputs: defaults,
    holds,
    ...(holds.length === 0 ? {} : { heldSince: run.startedAt }),
    positions: {},
    steps: {},
    openTasks: {},
    events: [],
    handled: 0,
    inbox: [],
    seen: [],
    unconfirmed: [],
    journal: [],
    lines: 0,
    chores: {},
  };
}

/**
 * What a run does about one event. Commands are for one `perform`, in order; those marked speculative were asked for ahead.
 * While commands are returned, the run waits for `performed`; events may still be given to it. No commands: it waits until
 * `nextWake(state)` or an event.
 */
export function advance(plan: Plan, state: RunState, event: MachineEvent): Advanced {
  const m = new Machine(plan, state);
  /** How far timers may fire: only as far as a tick says, because it can be taken back for an event that is not here yet. */
  let limit: Instant | undefined;
  switch (event.kind) {
    case "start":
      start(m, event.at);
      break;
    case "event":
      takeIn(m, event.event);
      break;
    case "tick":
      limit = Math.max(m.state.clock, event.at);
      break;
    case "performed":
      m.state.journal = [];
      m.state.unconfirmed = m.state.unconfirmed.slice(event.confirmed ?? m.state.unconfirmed.length);
      performed(m, event.outcomes);
      break;
  }
  settle(m, limit);
  return { state: m.state, commands: withAhead(m) };
}

function start(m: Machine, at: Instant): void {
  if (m.state.phase !== "new") return;
  m.state.phase = "running";
  m.reach(at);
  m.note("run.started", { detail: { ...m.state.inputs } });
  if (m.isHeld) m.note("run.held", { detail: { hold: m.state.holds[0] } });
  if (m.plan.pauses.length > 0) m.addChore("!hold", { kind: "hold" });
  if (hasStandingExit(m.plan)) m.state.exitCheck = {};
  beginList(m, m.plan.steps, "", "steps");
}

/**
 * Takes the answers in the order in which the run asks: always for the first thing it asks for next, as if every call had done one command.
 * An answer to what is not asked for next (it was read ahead, and the one before it led elsewhere) is left: it is asked for again in its turn.
 */
function performed(m: Machine, outcomes: Readonly<Record<string, Outcome>>): void {
  const taken = new Set<string>();
  for (;;) {
    immediate(m);
    const [asked] = commandsOf(m);
    const outcome = asked === undefined || taken.has(asked.command.key) ? undefined : own(outcomes, asked.command.key);
    if (asked === undefined || outcome === undefined) return;
    taken.add(asked.command.key);
    applyOutcome(m, asked, outcome);
  }
}

function own(outcomes: Readonly<Record<string, Outcome>>, key: string): Outcome | undefined {
  return Object.hasOwn(outcomes, key) ? outcomes[key] : undefined;
}

/** Goes on until the run asks for something or must wait: events first, then timers, up to `limit`; without one, events only. */
function settle(m: Machine, limit: Instant | undefined): void {
  for (;;) {
    immediate(m);
    const event = m.state.inbox[0];
    const until = Math.max(m.state.clock, limit ?? m.state.clock);
    if (m.state.phase === "ended" || m.state.phase === "new") return;
    if (commandsOf(m).length > 0) {
      // What has already happened comes before what is about to be done.
      if (event === undefined || event.at > until || m.state.exitCheck !== undefined) return;
      handleNext(m);
      continue;
    }
    const timer = nextTimer(m.state);
    if (event !== undefined && event.at <= until && (timer === undefined || event.at <= timer.due)) handleNext(m);
    else if (limit !== undefined && timer !== undefined && timer.due <= limit) fire(m, timer);
    else {
      if (limit !== undefined) m.reach(limit);
      return;
    }
  }
}

/** What needs nothing from the world: exits without facts, conditions without facts, one after the other; the end of a farewell. */
function immediate(m: Machine): void {
  for (;;) {
    if (m.state.exitCheck !== undefined && m.index.exitFacts.length === 0) {
      const { event } = m.state.exitCheck;
      delete m.state.exitCheck;
      checkExits(m, {}, event);
    }
    const key = m.state.exitCheck === undefined ? toRecheck(m) : undefined;
    if (key === undefined) break;
    m.patch(key, { recheck: false });
    settleCondition(m, key, {});
  }
  closeIfLeft(m);
}

/** The first position whose condition is to be looked at, and can be without asking for facts. */
function toRecheck(m: Machine): string | undefined {
  return Object.entries(m.state.positions).find(([, position]) => {
    if (position.recheck !== true || position.phase === "arm") return false;
    const step = m.step(position.path);
    return step.kind !== "wait_for" || conditionFacts(step.for).length === 0;
  })?.[0];
}

/**
 * The first command, and those that would be asked for next, one after the other, if each ended plainly: one `perform` then does what would
 * take several, and does nothing that one command at a time would not have done. Looking ahead stops at the first decision, because nothing may be
 * decided from an assumption; only what leaves no trace (a read, an instant resolved) is asked for beside it, because it may be in vain.
 */
function withAhead(m: Machine): Command[] {
  const commands: Command[] = [];
  const ahead = new Machine(m.plan, m.state, true);
  /** Steps whose result is assumed: what another's text or date says of them can't be known yet. */
  const supposed = new Set<string>();
  const add = ({ command }: Asked): void => {
    commands.push(commands.length === 0 ? command : { ...command, speculative: true });
  };
  for (;;) {
    const batch = commandsOf(ahead);
    const [next] = batch;
    if (next === undefined || commands.length === AHEAD_MAX) return commands;
    // The closing `perform` carries the last lines of the timeline: they must have been written in earnest.
    if (commands.length > 0 && (next.command.kind === "close" || tellsOf(ahead, next, supposed))) return commands;
    add(next);
    const outcome = assumed(next, m.state.clock);
    if (outcome === undefined) {
      if (!isTraceless(next)) return commands;
      for (const other of batch.slice(1)) {
        if (!isTraceless(other) || tellsOf(ahead, other, supposed) || commands.length === AHEAD_MAX) return commands;
        add(other);
      }
      return commands;
    }
    applyOutcome(ahead, next, outcome);
    if (next.command.step !== undefined) supposed.add(next.command.step);
    immediate(ahead);
    const event = ahead.state.inbox[0];
    const isEventDue = event !== undefined && event.at <= ahead.state.clock && ahead.state.exitCheck === undefined;
    if (ahead.isStopped || isEventDue) return commands;
  }
}

/** True if asking for it in vain does nothing. */
function isTraceless({ command }: Asked): boolean {
  return command.kind === "read" || command.kind === "resolve" || command.kind === "resolve_date";
}

/** True if the command carries values of one of these steps, or takes back a task that is only assumed. */
function tellsOf(m: Machine, { command }: Asked, steps: ReadonlySet<string>): boolean {
  if ((command.kind === "task_withdraw" || command.kind === "task_tighten") && command.task === ASSUMED) return true;
  const step = m.index.byPath.get(command.path)?.step;
  const dates = step?.kind === "wait" && step.until.kind === "date" ? references(step.until.date) : [];
  const paths = [...(step?.scope ?? []), ...dates, ...(step?.kind === "around" ? [step.anchor] : [])];
  return paths.some((path) => path.startsWith("steps.") && steps.has(path.split(".")[1] ?? ""));
}

/** The id of what is not there yet. */
const ASSUMED = "";

/** The plain outcome of a command; undefined where there is none to assume. */
function assumed(asked: Asked, at: Instant): Outcome | undefined {
  const { command } = asked;
  switch (command.kind) {
    case "email":
      return { kind: "emailed", at, deliveries: [{ contact: "", result: "sent", at }] };
    case "slack":
      return { kind: "posted", at, to: "" };
    case "task":
      return { kind: "task_opened", at, task: ASSUMED, assignee: null, due: at };
    case "play":
      return { kind: "played", at, run: "" };
    case "resolve":
      // A timer that is armed asks for nothing more, whenever it is due.
      return { kind: "resolved", at: command.expected ?? Number.MAX_SAFE_INTEGER };
    case "resolve_date":
      return command.expected === undefined ? undefined : { kind: "resolved", at: command.expected };
    case "milestone":
    case "set":
    case "risk":
    case "opportunity":
    case "hold":
    case "leave":
    case "email_withdraw":
    case "task_tighten":
    case "task_withdraw":
      return { kind: "done", at };
    case "read":
    case "health":
    case "park":
    case "close":
      return undefined;
  }
}
