import { evaluate, isTrue } from "../expression/evaluate.js";
import type { Expression, FactValue } from "../expression/expression.js";
import type { Instant } from "../values/instant.js";
import type { RunEvent } from "./event.js";
import type { Plan, Step } from "./plan.js";
import { type IndexedStep, indexPlan, type PlanIndex } from "./plan-index.js";
import { lookupIn } from "./scope.js";
import type { Chore, Position, RunState } from "./state.js";
import type { TimelineEntry } from "./timeline.js";

type Draft = { -readonly [K in keyof RunState]: RunState[K] };

/**
 * A state being worked on: a shallow draft whose parts are replaced, never changed, so that the state it came from stays
 * as it was. Only primitives live here; what happens next is decided in `flow.ts` and its neighbours.
 */
export class Machine {
  readonly plan: Plan;
  readonly index: PlanIndex;
  readonly state: Draft;
  /** Steps begun in this `advance`. */
  transitions = 0;
  /** Steps to begin behind the one that is being begun; undefined between two of them. Only `flow.ts` uses it. */
  next: (() => void)[] | undefined;

  constructor(plan: Plan, state: RunState) {
    this.plan = plan;
    this.index = indexPlan(plan);
    this.state = { ...state };
  }

  /** The step of a path that the plan is known to have. */
  indexed(path: string): IndexedStep {
    const found = this.index.byPath.get(path);
    if (found === undefined) throw new Error(`plan ${this.plan.playbook} has no step at ${path}`);
    return found;
  }

  step(path: string): Step {
    return this.indexed(path).step;
  }

  position(key: string): Position | undefined {
    return this.state.positions[key];
  }

  put(key: string, position: Position): void {
    this.state.positions = { ...this.state.positions, [key]: position };
  }

  patch(key: string, change: Partial<Position>): void {
    const position = this.position(key);
    if (position !== undefined) this.put(key, { ...position, ...change });
  }

  drop(key: string): void {
    const { [key]: _dropped, ...rest } = this.state.positions;
    this.state.positions = rest;
  }

  addChore(key: string, chore: Chore): void {
    this.state.chores = { ...this.state.chores, [key]: chore };
  }

  dropChore(key: string): void {
    const { [key]: _dropped, ...rest } = this.state.chores;
    this.state.chores = rest;
  }

  /** Adds to `steps.ID`; a step without an id keeps nothing. */
  record(step: Step, values: Readonly<Record<string, FactValue | undefined>>): void {
    if (step.id === undefined) return;
    const kept: Record<string, FactValue> = { ...this.state.steps[step.id] };
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) delete kept[name];
      else kept[name] = value;
    }
    this.state.steps = { ...this.state.steps, [step.id]: kept };
    if (this.state.phase === "running" && this.index.exitSteps.has(step.id)) this.state.exitCheck ??= {};
  }

  forget(step: Step): void {
    if (step.id === undefined || this.state.steps[step.id] === undefined) return;
    const { [step.id]: _forgotten, ...rest } = this.state.steps;
    this.state.steps = rest;
  }

  /** Writes a line; absent values are left out. */
  note(
    kind: TimelineEntry["kind"],
    what: {
      at?: Instant;
      step?: Step;
      key?: string;
      detail?: Readonly<Record<string, FactValue | undefined>>;
      facts?: Readonly<Record<string, FactValue>>;
    } = {},
  ): void {
    const seq = this.state.lines + 1;
    const detail = present(what.detail);
    this.state.lines = seq;
    this.state.journal = [
      ...this.state.journal,
      {
        seq,
        at: what.at ?? this.state.clock,
        kind,
        ...(what.step === undefined ? {} : { step: what.step.id ?? what.step.path }),
        ...(what.key === undefined || what.key === what.step?.path ? {} : { key: what.key }),
        ...(detail === undefined ? {} : { detail }),
        ...(what.facts === undefined || Object.keys(what.facts).length === 0 ? {} : { facts: what.facts }),
      },
    ];
  }

  isTrue(expression: Expression, facts: Readonly<Record<string, FactValue>>, event?: RunEvent): boolean {
    return isTrue(expression, lookupIn(this.state, facts, event));
  }

  evaluate(expression: Expression, facts: Readonly<Record<string, FactValue>>): FactValue | undefined {
    return evaluate(expression, lookupIn(this.state, facts));
  }

  reach(at: Instant): void {
    if (at > this.state.clock) this.state.clock = at;
  }

  get isHeld(): boolean {
    return this.state.holds.length > 0;
  }

  /** True from the moment an exit, a goal or an `end` was met. */
  get isOver(): boolean {
    return this.state.phase !== "running";
  }
}

function present(
  detail: Readonly<Record<string, FactValue | undefined>> | undefined,
): Record<string, FactValue> | undefined {
  if (detail === undefined) return undefined;
  const kept: Record<string, FactValue> = {};
  for (const [name, value] of Object.entries(detail)) if (value !== undefined) kept[name] = value;
  return Object.keys(kept).length === 0 ? undefined : kept;
}
