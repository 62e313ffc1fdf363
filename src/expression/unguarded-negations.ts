import type { Expression } from "./expression.js";
import { partsOf } from "./references.js";

/** A place where a missing fact would make a condition true. */
export interface UnguardedNegation {
  /** What is turned round: a `!`, a comparison of two conditions, or a conditional between conditions. */
  readonly negation: Expression;
  /** The comparison (or bare fact) inside it that a missing fact makes false. */
  readonly comparison: Expression;
  /** The facts concerned, in the order they are read, each once. */
  readonly paths: readonly string[];
}

/**
 * The places where a negation turns "a comparison with a missing fact is false" into true without saying so; empty when
 * there are none. `!(usage.logins > 3)` is one; `has(usage.logins) && !(usage.logins > 3)` isn't, nor is
 * `usage.logins < 9 && !(usage.logins > 3)`, whose first half is already false when the fact is missing.
 * Facts in `always` are never missing. The expression is read as a condition.
 */
export function unguardedNegations(expression: Expression, always: ReadonlySet<string>): UnguardedNegation[] {
  const found: UnguardedNegation[] = [];
  visitCondition(expression, { polarity: "positive", negation: expression, present: always, found });
  return found;
}

/**
 * `positive`: turning from true to false can only make the whole less true. `negative`: it can make it more true.
 * `both`: either, as beside `==`.
 */
type Polarity = "positive" | "negative" | "both";

interface Position {
  readonly polarity: Polarity;
  readonly negation: Expression;
  /** The facts known to be present wherever this position decides anything. */
  readonly present: ReadonlySet<string>;
  readonly found: UnguardedNegation[];
}

function visitCondition(expression: Expression, position: Position): void {
  switch (expression.op) {
    case "literal":
    case "has":
      return;
    case "not":
      visitCondition(expression.of, turnedRound(expression, position));
      return;
    case "and":
    case "or":
      for (const part of expression.of) {
        const others = expression.of.filter((other) => other !== part);
        const guards = guardsOf(expression.op, others, position);
        visitCondition(part, { ...position, present: union(position.present, guards) });
      }
      return;
    case "if": {
      const { condition, then } = expression;
      const ifTrue = presentWhen(true, condition, false);
      const ifFalse = presentWhen(false, condition, false);
      visitCondition(condition, { ...position, polarity: "both", negation: expression });
      visitCondition(then, { ...position, present: union(position.present, ifTrue) });
      visitCondition(expression.else, { ...position, present: union(position.present, ifFalse) });
      return;
    }
    default: {
      const paths = [...new Set(factsRead(expression, position.present))];
      if (position.polarity !== "positive" && paths.length > 0) {
        position.found.push({ negation: position.negation, comparison: expression, paths });
      }
      for (const part of partsOf(expression)) visitValue(part, { ...position, negation: expression });
    }
  }
}

/** A condition used as a value (`(a > 3) == false`) is already true or false there, so it counts in both directions. */
function visitValue(expression: Expression, position: Position): void {
  if (isCondition(expression)) {
    visitCondition(expression, { ...position, polarity: "both" });
  } else if (expression.op === "if") {
    // Whoever picks a value by a condition has said what holds otherwise: `account.tier == "gold" ? 3 : 5`.
    visitCondition(expression.condition, { ...position, polarity: "positive" });
    const ifTrue = presentWhen(true, expression.condition, false);
    const ifFalse = presentWhen(false, expression.condition, false);
    visitValue(expression.then, { ...position, present: union(position.present, ifTrue) });
    visitValue(expression.else, { ...position, present: union(position.present, ifFalse) });
  } else {
    for (const part of partsOf(expression)) visitValue(part, position);
  }
}

function turnedRound(negation: Expression, position: Position): Position {
  if (position.polarity === "both") return position;
  return position.polarity === "positive"
    ? { ...position, polarity: "negative", negation }
    : { ...position, polarity: "positive" };
}

/**
 * What the other parts of a conjunction (disjunction) guarantee where this part decides: they are all true (false).
 * Where a missing fact would already make the whole less true, a comparison guards as well as a `has`; elsewhere only
 * `has` does, lest two comparisons vouch for each other.
 */
function guardsOf(op: "and" | "or", others: readonly Expression[], { polarity }: Position): ReadonlySet<string> {
  const onlyHas = polarity !== (op === "and" ? "positive" : "negative");
  return others.reduce<ReadonlySet<string>>(
    (facts, other) => union(facts, presentWhen(op === "and", other, onlyHas)),
    new Set(),
  );
}

/** The facts that must be present when the condition has this outcome; with `onlyHas`, as far as `has` tells. */
function presentWhen(outcome: boolean, condition: Expression, onlyHas: boolean): ReadonlySet<string> {
  switch (condition.op) {
    case "has":
      return new Set(outcome ? [condition.path] : []);
    case "not":
      return presentWhen(!outcome, condition.of, onlyHas);
    case "and":
    case "or": {
      const each = condition.of.map((part) => presentWhen(outcome, part, onlyHas));
      return (condition.op === "and") === outcome ? each.reduce(union) : each.reduce(intersection);
    }
    case "if": {
      const viaThen = [presentWhen(true, condition.condition, onlyHas), presentWhen(outcome, condition.then, onlyHas)];
      const viaElse = [presentWhen(false, condition.condition, onlyHas), presentWhen(outcome, condition.else, onlyHas)];
      return intersection(viaThen.reduce(union), viaElse.reduce(union));
    }
    case "fact":
      return outcome && !onlyHas ? new Set([condition.path]) : new Set();
    default:
      return outcome && !onlyHas ? neededForComparison(condition) : new Set();
  }
}

function neededForComparison(comparison: Expression): ReadonlySet<string> {
  // One missing element of a written list leaves the others to be found.
  const isInList = comparison.op === "in" && comparison.right.op === "list";
  return isInList ? neededFor(comparison.left) : partsOf(comparison).map(neededFor).reduce(union, new Set<string>());
}

/** The facts without which the value is absent for certain. */
function neededFor(value: Expression): ReadonlySet<string> {
  if (value.op === "fact") return new Set([value.path]);
  if (value.op === "if") return intersection(neededFor(value.then), neededFor(value.else));
  // A condition is never absent.
  if (isCondition(value)) return new Set();
  return partsOf(value).map(neededFor).reduce(union, new Set<string>());
}

/** The facts not known to be present whose absence could make the comparison around this value false. */
function factsRead(expression: Expression, present: ReadonlySet<string>): string[] {
  if (expression.op === "fact") return present.has(expression.path) ? [] : [expression.path];
  if (expression.op === "if") {
    return [
      ...factsRead(expression.then, union(present, presentWhen(true, expression.condition, false))),
      ...factsRead(expression.else, union(present, presentWhen(false, expression.condition, false))),
    ];
  }
  return partsOf(expression)
    .filter((part) => !isCondition(part))
    .flatMap((part) => factsRead(part, present));
}

/** Whether this is true or false by its form, and so never absent. */
function isCondition(expression: Expression): boolean {
  switch (expression.op) {
    case "literal":
      return typeof expression.value === "boolean";
    case "call":
      return expression.name !== "size";
    case "if":
      return isCondition(expression.then) || isCondition(expression.else);
    case "fact":
    case "negate":
    case "list":
    case "+":
    case "-":
    case "*":
    case "/":
    case "%":
      return false;
    default:
      return true;
  }
}

function union(left: ReadonlySet<string>, right: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...left, ...right]);
}

function intersection(left: ReadonlySet<string>, right: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...left].filter((path) => right.has(path)));
}
