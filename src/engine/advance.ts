/**
 * The machine: `advance(plan, state, event)` → the next state, and the commands it asks for. Pure and total for every plan
 * that compiled: no clock, no randomness, no input or output. Nothing else decides what a run does next.
 */
import type { FactValue } from "../expression/expression.js";
import type { Instant } from "../values/instant.js";
import type { Command, Outcome } from "./command.js";
import { commandsOf } from "./commands-of.js";
import { settleCondition } from "./conditions.js";
import type { MachineEvent } from "./event.js";
import { handle, nextToHear, takeIn } from "./events.js";
import { beginList, checkExits, hasStandingExit } from "./flow.js";
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
    journal: [],
    lines: 0,
    chores: {},
    turns: 0,
  };
}

/**
 * What a run does about one event, and all that it then asks for, in order. One command is done at a time, the first, and its outcome given back with
 * `performed`: what is asked next may depend on it. Events may still be given meanwhile. No commands: the run waits until
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
      immediate(m);
      performed(m, event.key, event.outcome);
      break;
    case "written":
      m.state.journal = [];
      m.state.turns += 1;
      return standing(m);
  }
  settle(m, limit);
  return standing(m);
}

/** A state that `advance` has left, and what it asks for. */
export function stand(plan: Plan, state: RunState): Advanced {
  return standing(new Machine(plan, state));
}

function standing(m: Machine): Advanced {
  return { state: m.state, commands: commandsOf(m).map((asked) => asked.command) };
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

/** Takes the answer of the one command that was asked for. */
function performed(m: Machine, key: string, outcome: Outcome): void {
  const asked = commandsOf(m).find((one) => one.command.key === key);
  if (asked !== undefined) applyOutcome(m, asked, outcome);
}

/** Goes on until the run asks for something or must wait: events first, then timers, up to `limit`; without one, events only. */
function settle(m: Machine, limit: Instant | undefined): void {
  for (;;) {
    immediate(m);
    const until = Math.max(m.state.clock, limit ?? m.state.clock);
    if (m.state.phase === "ended" || m.state.phase === "new") return;
    const event = nextToHear(m);
    if (commandsOf(m).length > 0) {
      // What has already happened comes before what is about to be done.
      if (event === undefined || event.at > until || m.state.exitCheck !== undefined) return;
      handle(m, event);
      continue;
    }
    const timer = nextTimer(m.state);
    // A timer that is overdue ends now, not when it was due: what has happened by now comes before it.
    const ends = timer === undefined ? undefined : Math.max(timer.due, m.state.clock);
    const [first] = m.state.inbox;
    if (event !== undefined && event.at <= until && (ends === undefined || event.at <= ends)) handle(m, event);
    else if (limit !== undefined && timer !== undefined && timer.due <= limit) fire(m, timer);
    // What it waited for doesn't come any more.
    else if (limit !== undefined && first !== undefined && first.at <= until) handle(m, first);
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
