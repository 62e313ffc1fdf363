import type { Expression, FactType } from "../expression/expression.js";
import { partsOf, references } from "../expression/references.js";
import { checkExpression, type ExpressionProblemCode } from "./check-expression.js";
import type { Environment } from "./environment.js";
import { suggestion } from "./nearest.js";
import type { Problem } from "./read-yaml.js";

/** A problem of an expression and its place in the text, in UTF-16 units. */
export interface TextProblem {
  readonly problem: Problem;
  readonly offset: number;
  readonly length: number;
}

/** The text of an expression checked against what its place may name: the tree, or its problems. */
export function checkText(
  text: string,
  environment: Environment,
  expected?: FactType,
): { expression?: Expression; problems: readonly TextProblem[] } {
  const checked = checkExpression(text, environment, expected);
  if (checked.ok) {
    const problems = impossibleValues(checked.expression, environment, text);
    return problems.length > 0 ? { problems } : { expression: checked.expression, problems };
  }
  const problems = checked.problems.map(({ code, message, offset, length, suggestion: better }) => ({
    problem: {
      code: CODES[code],
      message,
      ...(better === undefined || message.includes(better) ? {} : { hint: `Write: ${better}` }),
    },
    offset,
    length,
  }));
  return { problems };
}

/** Where a fact's path stands in the text, for a problem found in the tree. */
export function placeOf(text: string, part: string): { offset: number; length: number } {
  const offset = text.indexOf(part);
  return offset < 0 ? { offset: 0, length: text.length } : { offset, length: part.length };
}

/** Whether the expression reads nothing but the clock and the run's own constants: nothing would ever make it be looked at again. */
export function readsOnlyTheClock(expression: Expression): boolean {
  const paths = references(expression);
  return paths.includes("now") && paths.every((path) => path === "now" || path.startsWith("run."));
}

const CODES: Readonly<Record<ExpressionProblemCode, string>> = {
  "expression-syntax": "WP301",
  "expression-unknown-fact": "WP302",
  "expression-wrong-type": "WP303",
  "expression-missing-guard": "WP304",
  "expression-not-allowed": "WP305",
  "expression-too-large": "WP306",
  "expression-bad-literal": "WP306",
};

/** Comparisons with a text that the fact can never be: a misspelt stage would simply never match. */
function impossibleValues(expression: Expression, environment: Environment, text: string): TextProblem[] {
  const found: TextProblem[] = [];
  const visit = (node: Expression): void => {
    if (node.op === "==" || node.op === "!=" || node.op === "in") {
      const [fact, other] = node.left.op === "fact" ? [node.left, node.right] : [node.right, node.left];
      const allowed =
        fact.op === "fact" && Object.hasOwn(environment.values, fact.path) ? environment.values[fact.path] : undefined;
      if (fact.op === "fact" && allowed) {
        for (const literal of other.op === "list" ? other.of : [other]) {
          if (literal.op !== "literal" || typeof literal.value !== "string" || allowed.includes(literal.value))
            continue;
          const hint = suggestion(literal.value, allowed);
          const problem = {
            code: "WP308",
            message: `${fact.path} is never "${literal.value}".`,
            ...(hint === undefined ? {} : { hint }),
          };
          found.push({ problem, ...placeOf(text, literal.value) });
        }
      }
    }
    partsOf(node).forEach(visit);
  };
  visit(expression);
  return found;
}
