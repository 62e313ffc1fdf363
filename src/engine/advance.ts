/**
 * The machine: `advance(plan, state, event)` → the next state, and the commands it asks for. Pure and total for every plan
 * that compiled: no clock, no randomness, no input or output. Nothing else decides what a run does next.
 */
import type { FactValue } from "../expression/expression.js";
import type { Instant } from "../values/instant.js";
import { type Command, isPlain, type Outcome } from "./command.js";
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
  let limit: Instant = m.state.clock;
  switch (event.kind) {
    case "start":
      start(m, event.at);
      break;
    case "event":
      takeIn(m, event.event);
      break;
    case "tick":
      limit = Math.max(limit, event.at);
      break;
    case "performed":
      m.state.journal = [];
      m.state.unconfirmed = [];
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

/** Takes the answers in the order of the commands; what a step asks next may already be among them. */
function performed(m: Machine, outcomes: Readonly<Record<string, Outcome>>): void {
  const taken = new Set<string>();
  for (;;) {
    immediate(m);
    // Also of those that would no longer be asked for, because one before them has parked the run: they are done.
    const asked = commandsOf(m, true).find(
      (one) => !taken.has(one.command.key) && Object.hasOwn(outcomes, one.command.key),
    );
    const outcome = asked === undefined ? undefined : outcomes[asked.command.key];
    if (asked === undefined || outcome === undefined) return;
    taken.add(asked.command.key);
    applyOutcome(m, asked, outcome);
  }
}

/** Goes on until the run asks for something or must wait: events first, then timers, up to `limit`. */
function settle(m: Machine, limit: Instant): void {
  for (;;) {
    immediate(m);
    const event = m.state.inbox[0];
    if (m.state.phase === "ended" || m.state.phase === "new") return;
    if (commandsOf(m).length > 0) {
      // What has already happened comes before what is about to be done.
      if (event === undefined || event.at > Math.max(m.state.clock, limit) || m.state.exitCheck !== undefined) return;
      handleNext(m);
      continue;
    }
    const timer = nextTimer(m.state);
    if (event !== undefined && event.at <= limit && (timer === undefined || event.at <= timer.due)) handleNext(m);
    else if (timer !== undefined && timer.due <= limit) fire(m, timer);
    else {
      m.reach(limit);
      return;
    }
  }
}

/** What needs nothing from the world: exits without facts, conditions without facts, the end of a farewell. */
function immediate(m: Machine): void {
  if (m.state.exitCheck !== undefined && m.index.exitFacts.length === 0) {
    const { event } = m.state.exitCheck;
    delete m.state.exitCheck;
    checkExits(m, {}, event);
  }
  if (m.state.exitCheck === undefined) {
    for (const [key, position] of Object.entries(m.state.positions)) {
      if (position.recheck !== true || position.phase === "arm" || m.position(key) === undefined) continue;
      const step = m.step(position.path);
      if (step.kind === "wait_for" && conditionFacts(step.for).length > 0) continue;
      m.patch(key, { recheck: false });
      settleCondition(m, key, {});
    }
  }
  closeIfLeft(m);
}

/**
 * The commands at hand, and those that would follow if all of them ended plainly: one `perform` then does what would take
 * several. Looking ahead stops at the first decision, because nothing may be decided from an assumption.
 */
function withAhead(m: Machine): Command[] {
  const commands = upToDecision(m, commandsOf(m)).map((asked) => asked.command);
  if (commands.length === 0) return commands;
  const known = new Set(commands.map((command) => command.key));
  const ahead = new Machine(m.plan, m.state, true);
  /** Steps whose result is assumed: what another's text says of them can't be known yet. */
  const supposed = new Set<string>();
  let batch = commandsOf(m);
  while (batch.length > 0 && commands.length < AHEAD_MAX) {
    for (const asked of batch) {
      const outcome = assumed(asked, m.state.clock);
      if (outcome === undefined || !isPlain(asked.command, outcome)) return commands;
      applyOutcome(ahead, asked, outcome);
      if (asked.command.step !== undefined) supposed.add(asked.command.step);
      if (ahead.isStopped || ahead.state.exitCheck !== undefined) return commands;
    }
    const event = ahead.state.inbox[0];
    if (event !== undefined && event.at <= ahead.state.clock) return commands;
    batch = commandsOf(ahead).filter((asked) => !known.has(asked.command.key));
    // The closing `perform` carries the last lines of the timeline: they must have been written in earnest.
    if (batch.some((asked) => asked.command.kind === "close")) return commands;
    if (batch.some((asked) => tellsOf(ahead, asked, supposed))) return commands;
    for (const asked of batch) {
      known.add(asked.command.key);
      commands.push({ ...asked.command, speculative: true });
    }
  }
  return commands;
}

/** Commands up to the first of a step that an exit or the goal mentions: nothing more is begun before they were looked at. */
function upToDecision(m: Machine, commands: readonly Asked[]): readonly Asked[] {
  const last = commands.findIndex(({ command }) => m.index.exitSteps.has(command.step ?? ""));
  return last < 0 ? commands : commands.slice(0, last + 1);
}

/** True if the command carries values of one of these steps. */
function tellsOf(m: Machine, { command }: Asked, steps: ReadonlySet<string>): boolean {
  const scope = m.index.byPath.get(command.path)?.step.scope ?? [];
  return scope.some((path) => path.startsWith("steps.") && steps.has(path.split(".")[1] ?? ""));
}

/** The plain outcome of a command; undefined where there is none to assume. */
function assumed(asked: Asked, at: Instant): Outcome | undefined {
  const { command } = asked;
  switch (command.kind) {
    case "email":
      return { kind: "emailed", at, deliveries: [{ contact: "", result: "sent", at }] };
    case "slack":
      return { kind: "posted", at, to: "" };
    case "task":
      return { kind: "task_opened", at, task: "", assignee: null, due: at };
    case "play":
      return { kind: "played", at, run: "" };
    case "resolve":
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
