import type { Expression } from "../expression/expression.js";
import { references } from "../expression/references.js";
import type { Draft, DraftStep } from "./read-playbook.js";
import type { YamlPath } from "./read-yaml.js";

/** For each step's plan path: the facts that are there when it runs, because it stands around that date, or behind an `if` that asks for them. */
export function guardedFacts(
  draft: Draft,
  expressionAt: (at: YamlPath) => Expression | undefined,
): ReadonlyMap<string, ReadonlySet<string>> {
  const guarded = new Map<string, ReadonlySet<string>>();
  const walk = (steps: readonly DraftStep[], outer: ReadonlySet<string>): void => {
    for (const step of steps) {
      const own = new Set([...outer, ...presentWhere(expressionAt([...step.at, "if"]))]);
      guarded.set(step.path, own);
      for (const body of step.bodies) {
        const inside = new Set(own);
        if (step.kind === "around" && body.name === "steps") inside.add(step.form.around);
        if (step.kind === "choose" && body.name !== "else") {
          for (const path of presentWhere(expressionAt([...step.at, "choose", Number(body.name) - 1, "if"])))
            inside.add(path);
        }
        walk(body.steps, inside);
      }
    }
  };
  walk(draft.steps, new Set());
  walk(draft.exitSteps, new Set());
  return guarded;
}

/** Facts without which the condition can't be true. */
function presentWhere(condition: Expression | undefined): string[] {
  switch (condition?.op) {
    case "and":
      return condition.of.flatMap(presentWhere);
    case "has":
    case "fact":
      return [condition.path];
    case "==":
    case "!=":
    case "<":
    case "<=":
    case ">":
    case ">=":
      return [condition.left, condition.right].flatMap((side) => (side.op === "fact" ? references(side) : []));
    case "in":
      return condition.left.op === "fact" ? [condition.left.path] : [];
    default:
      return [];
  }
}
