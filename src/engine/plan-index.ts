import type { Condition, Plan, Step } from "./plan.js";
import { isLocal } from "./scope.js";
import { references } from "../expression/references.js";

/** Where a step stands in its plan. */
export interface IndexedStep {
  readonly step: Step;
  /** The list it is in, and where. */
  readonly siblings: readonly Step[];
  readonly order: number;
  /** Path of the container step; undefined at the root and in `on_exit`. */
  readonly parent: string | undefined;
  /** The name of the container's body: `otherwise`, `else`, a branch, `steps`, `on_error`, a block's index. */
  readonly body: string;
  /** True for `on_exit.steps` and what they contain. */
  readonly isFarewell: boolean;
}

export interface PlanIndex {
  readonly byPath: ReadonlyMap<string, IndexedStep>;
  readonly byId: ReadonlyMap<string, Step>;
  /** Facts outside the run that exits and the goal mention. */
  readonly exitFacts: readonly string[];
  /** Ids of steps whose results an exit or the goal mentions. */
  readonly exitSteps: ReadonlySet<string>;
}

const indexes = new WeakMap<Plan, PlanIndex>();

/** The plan's steps by path and id. Computed once per plan object; a pure function of it. */
export function indexPlan(plan: Plan): PlanIndex {
  const known = indexes.get(plan);
  if (known !== undefined) return known;
  const byPath = new Map<string, IndexedStep>();
  const byId = new Map<string, Step>();

  const addList = (steps: readonly Step[], parent: string | undefined, body: string, isFarewell: boolean): void => {
    steps.forEach((step, order) => {
      byPath.set(step.path, { step, siblings: steps, order, parent, body, isFarewell });
      if (step.id !== undefined) byId.set(step.id, step);
      for (const [name, children] of bodiesOf(step)) addList(children, step.path, name, isFarewell);
    });
  };
  addList(plan.steps, undefined, "steps", false);
  addList(plan.onExit.steps, undefined, "on_exit", true);

  const exits = plan.goal === undefined ? plan.exits : [...plan.exits, plan.goal];
  const mentioned = exits.flatMap((exit) => [
    ...(exit.if === undefined ? [] : references(exit.if)),
    ...(exit.when?.where === undefined ? [] : references(exit.when.where)),
  ]);
  const index: PlanIndex = {
    byPath,
    byId,
    exitFacts: [...new Set(mentioned.filter((path) => !isLocal(path)))].sort(),
    exitSteps: new Set(mentioned.flatMap((path) => (path.startsWith("steps.") ? [path.split(".")[1] ?? ""] : []))),
  };
  indexes.set(plan, index);
  return index;
}

/** Whether a message or a task is the farewell's own, by what it says its step is: the id, or the path of one that has none. */
export function isOfFarewell(plan: Plan, step: string): boolean {
  const { byId, byPath } = indexPlan(plan);
  return byPath.get(byId.get(step)?.path ?? step)?.isFarewell === true;
}

/** A step's lists of children, by body name. */
export function bodiesOf(step: Step): [string, readonly Step[]][] {
  const bodies: [string, readonly Step[]][] = [];
  switch (step.kind) {
    case "wait_for":
      bodies.push(["otherwise", step.otherwise]);
      break;
    case "task":
    case "play":
      if (step.wait !== undefined) bodies.push(["otherwise", step.wait.otherwise]);
      break;
    case "choose":
      step.branches.forEach((branch, i) => bodies.push([String(i + 1), branch.steps]));
      bodies.push(["else", step.else]);
      break;
    case "parallel":
      for (const branch of step.branches) bodies.push([branch.name, branch.steps]);
      break;
    case "repeat":
      bodies.push(["steps", step.steps]);
      break;
    case "around":
      step.blocks.forEach((block, i) => bodies.push([String(i), [block.step]]));
      break;
    default:
      break;
  }
  if (Array.isArray(step.onError)) bodies.push(["on_error", step.onError]);
  return bodies;
}

/** Facts outside the run that a wait's condition needs. */
export function conditionFacts(condition: Condition): string[] {
  const paths = new Set<string>();
  const collect = (part: Condition): void => {
    switch (part.kind) {
      case "event":
        if (part.where !== undefined) for (const path of references(part.where)) paths.add(path);
        break;
      case "if":
        for (const path of references(part.if)) paths.add(path);
        break;
      case "any":
      case "all":
        part.of.forEach(collect);
        break;
      default:
        break;
    }
  };
  collect(condition);
  return [...paths].filter((path) => !isLocal(path)).sort();
}
