import type { Expression } from "./expression.js";

/** The paths of the facts that the expression reads or asks after with `has`, each once, in code-unit order. */
export function references(expression: Expression): string[] {
  const paths = new Set<string>();
  collect(expression, paths);
  return [...paths].sort();
}

function collect(expression: Expression, paths: Set<string>): void {
  if (expression.op === "fact" || expression.op === "has") paths.add(expression.path);
  for (const part of partsOf(expression)) collect(part, paths);
}

/** The expressions directly inside this one, in the order they are written. */
export function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.op) {
    case "literal":
    case "fact":
    case "has":
      return [];
    case "not":
    case "negate":
      return [expression.of];
    case "and":
    case "or":
    case "list":
    case "call":
      return expression.of;
    case "if":
      return [expression.condition, expression.then, expression.else];
    default:
      return [expression.left, expression.right];
  }
}
