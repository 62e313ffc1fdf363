import type { Plan, Step } from "../../src/engine/plan.js";
import type { Scenario } from "../../src/simulation/records.js";

export interface Case {
  readonly plan: Plan;
  readonly scenario: Scenario;
}

/**
 * The case with as much as possible taken away (steps, guards, exits, events, reactions) so that it still differs: until nothing more can go, or
 * `until` (epoch milliseconds, real time) has come. `differ` is asked about `atOnce` of them.
 */
export async function smallest(
  from: Case,
  differ: (ones: readonly Case[]) => Promise<readonly boolean[]>,
  { atOnce = 1, until = Number.POSITIVE_INFINITY }: { readonly atOnce?: number; readonly until?: number } = {},
): Promise<Case> {
  let best = from;
  for (let found: Case | undefined = from; found !== undefined; best = found ?? best) {
    const candidates = [...smaller(best)];
    found = undefined;
    for (let i = 0; found === undefined && i < candidates.length && Date.now() < until; i += atOnce) {
      const some = candidates.slice(i, i + atOnce);
      found = some[(await differ(some)).indexOf(true)];
    }
  }
  return best;
}

/** What is left of a case, as JSON: the playbook's steps and exits, then the story. */
export function textOf({ plan, scenario }: Case): string {
  const { steps, exits, goal, onExit } = plan;
  return `${JSON.stringify({ steps, exits, goal, onExit })}\n${JSON.stringify({ script: scenario.script, reactions: scenario.reactions })}`;
}

/** Each way to take one thing away. */
function* smaller({ plan, scenario }: Case): Generator<Case> {
  for (const steps of fewer(plan.steps)) yield { plan: { ...plan, steps }, scenario };
  for (const steps of fewer(plan.onExit.steps))
    yield { plan: { ...plan, onExit: { ...plan.onExit, steps } }, scenario };
  for (const exits of without(plan.exits)) yield { plan: { ...plan, exits }, scenario };
  if (plan.goal !== undefined) {
    const { goal: _goal, ...rest } = plan;
    yield { plan: rest, scenario };
  }
  for (const script of without(scenario.script)) yield { plan, scenario: { ...scenario, script } };
  for (const reactions of without(scenario.reactions)) yield { plan, scenario: { ...scenario, reactions } };
}

function* without<T>(list: readonly T[]): Generator<readonly T[]> {
  for (const i of list.keys()) yield list.filter((_, j) => j !== i);
}

/** The list with a step less, or with one made smaller inside. */
function* fewer(steps: readonly Step[]): Generator<readonly Step[]> {
  yield* without(steps);
  for (const [i, step] of steps.entries())
    for (const one of lesser(step)) yield steps.map((other, j) => (j === i ? one : other));
}

function* lesser(step: Step): Generator<Step> {
  if (step.if !== undefined) {
    const { if: _if, ...rest } = step;
    yield rest as Step;
  }
  if (Array.isArray(step.onError)) for (const onError of fewer(step.onError)) yield { ...step, onError };
  switch (step.kind) {
    case "wait_for":
      for (const otherwise of fewer(step.otherwise)) yield { ...step, otherwise };
      break;
    case "task":
      if (step.wait === undefined) break;
      for (const otherwise of fewer(step.wait.otherwise)) yield { ...step, wait: { ...step.wait, otherwise } };
      break;
    case "choose":
      for (const [i, branch] of step.branches.entries())
        for (const steps of fewer(branch.steps))
          yield { ...step, branches: step.branches.map((one, j) => (j === i ? { ...one, steps } : one)) };
      for (const otherwise of fewer(step.else)) yield { ...step, else: otherwise };
      break;
    case "parallel":
      for (const [i, branch] of step.branches.entries())
        for (const steps of fewer(branch.steps))
          yield { ...step, branches: step.branches.map((one, j) => (j === i ? { ...one, steps } : one)) };
      break;
    case "repeat":
      for (const inner of fewer(step.steps)) yield { ...step, steps: inner };
      break;
    case "around":
      for (const blocks of without(step.blocks)) yield { ...step, blocks };
      for (const [i, block] of step.blocks.entries())
        for (const one of lesser(block.step))
          yield { ...step, blocks: step.blocks.map((other, j) => (j === i ? { ...other, step: one } : other)) };
  }
}
