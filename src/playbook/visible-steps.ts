import { type Draft, type DraftStep, stepsIn } from "./read-playbook.js";

/** For each step's plan path: the ids of the steps that can have run when it is reached. */
export type VisibleSteps = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * Who can have run before whom: what stands before in the list, with all inside it, and what stands before the enclosing steps; beside it
 * in `parallel`; anything in the same `repeat` (an iteration earlier) or around the same date. For `on_exit.steps`: everything.
 */
export function visibleSteps(draft: Draft): VisibleSteps {
  const visible = new Map<string, ReadonlySet<string>>();
  const walk = (steps: readonly DraftStep[], before: ReadonlySet<string>): void => {
    let seen = before;
    for (const step of steps) {
      visible.set(step.path, seen);
      for (const body of step.bodies) {
        const isShared = step.kind === "repeat" || step.kind === "around" || body.name === "on_error";
        const beside = isShared
          ? step.bodies
          : step.kind === "parallel"
            ? step.bodies.filter((other) => other !== body)
            : [];
        const own = step.id === undefined ? [] : [step.id];
        walk(body.steps, new Set([...seen, ...own, ...beside.flatMap((other) => idsIn(other.steps))]));
      }
      seen = new Set([...seen, ...idsIn([step])]);
    }
  };
  walk(draft.steps, new Set());
  walk(draft.exitSteps, new Set(idsIn(draft.steps)));
  return visible;
}

/** The ids of the steps and of all inside them. */
export function idsIn(steps: readonly DraftStep[]): string[] {
  return [...stepsIn(steps)].flatMap(({ id }) => (id === undefined ? [] : [id]));
}
