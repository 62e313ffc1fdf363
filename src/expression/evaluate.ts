import type { Comparison, Expression, FactLookup, FactValue } from "./expression.js";
import { LARGEST_FACTOR, LARGEST_REMAINDER_OPERAND, SMALLEST_FACTOR } from "./expression.js";

/**
 * The expression's value over the facts that `lookup` gives, or `undefined` when it is absent. Total: never throws, and
 * costs at most the tree's size times the longest string or list that a fact holds.
 *
 * A comparison with something absent is false, also `!=`; so is one of two different types, which only an undeclared
 * fact can bring about. Arithmetic with something absent is absent, and so is a division by zero. Where a condition is
 * needed, absent counts as false.
 */
export function evaluate(expression: Expression, lookup: FactLookup): FactValue | undefined {
  switch (expression.op) {
    case "literal":
      return expression.value;
    case "fact":
      return factAt(expression.path, lookup);
    case "has":
      return factAt(expression.path, lookup) !== undefined;
    case "not":
      return !isTrue(expression.of, lookup);
    case "and":
      return expression.of.every((part) => isTrue(part, lookup));
    case "or":
      return expression.of.some((part) => isTrue(part, lookup));
    case "if":
      return evaluate(isTrue(expression.condition, lookup) ? expression.then : expression.else, lookup);
    case "list":
      return listOf(expression.of, lookup);
    case "negate": {
      const value = evaluate(expression.of, lookup);
      return typeof value === "number" ? -value : undefined;
    }
    case "call": {
      const [first, second] = expression.of.map((part) => evaluate(part, lookup));
      return expression.name === "size" ? size(first) : textTest(expression.name, first, second);
    }
    case "in":
      return isIn(expression, lookup);
    case "==":
    case "!=":
    case "<":
    case "<=":
    case ">":
    case ">=": {
      const left = evaluate(expression.left, lookup);
      const right = evaluate(expression.right, lookup);
      return left !== undefined && right !== undefined && compare(expression.op, left, right);
    }
    case "+":
    case "-":
    case "*":
    case "/":
    case "%": {
      const left = evaluate(expression.left, lookup);
      const right = evaluate(expression.right, lookup);
      if (expression.op === "+" && typeof left === "string" && typeof right === "string") return left + right;
      return typeof left === "number" && typeof right === "number" ? compute(expression.op, left, right) : undefined;
    }
  }
}

/** Whether the expression is true over the facts; absent is not true. */
export function isTrue(expression: Expression, lookup: FactLookup): boolean {
  return evaluate(expression, lookup) === true;
}

/** A number that JSON couldn't carry (NaN, infinite) can't have been recorded, and counts as absent. */
function factAt(path: string, lookup: FactLookup): FactValue | undefined {
  const value = lookup(path);
  return typeof value === "number" && !Number.isFinite(value) ? undefined : (value ?? undefined);
}

/** `x in [a, b]` is `x == a || x == b`, so that one missing element doesn't hide the others. */
function isIn({ left, right }: Comparison, lookup: FactLookup): boolean {
  const value = evaluate(left, lookup);
  if (value === undefined) return false;
  const elements = right.op === "list" ? right.of.map((part) => evaluate(part, lookup)) : evaluate(right, lookup);
  return typeof elements === "object" && elements.some((element) => element !== undefined && areEqual(value, element));
}

/** A list that lacks one of its elements is absent as a whole: its size, for one, isn't known. */
function listOf(parts: readonly Expression[], lookup: FactLookup): FactValue[] | undefined {
  const values = parts.map((part) => evaluate(part, lookup));
  const present = values.filter((value) => value !== undefined);
  return present.length === values.length ? present : undefined;
}

/** Characters are counted as Unicode code points, as CEL and Postgres do. */
function size(value: FactValue | undefined): number | undefined {
  if (typeof value === "string") return [...value].length;
  return typeof value === "object" ? value.length : undefined;
}

function textTest(
  name: "contains" | "startsWith" | "endsWith",
  text: FactValue | undefined,
  part: FactValue | undefined,
): boolean {
  if (typeof text !== "string" || typeof part !== "string") return false;
  if (name === "contains") return text.includes(part);
  return name === "startsWith" ? text.startsWith(part) : text.endsWith(part);
}

function compare(op: "==" | "!=" | "<" | "<=" | ">" | ">=", left: FactValue, right: FactValue): boolean {
  if (typeof left !== typeof right) return false;
  if (op === "==") return areEqual(left, right);
  if (op === "!=") return !areEqual(left, right);
  const order = orderOf(left, right);
  if (order === undefined) return false;
  if (op === "<") return order < 0;
  if (op === "<=") return order <= 0;
  return op === ">" ? order > 0 : order >= 0;
}

function areEqual(left: FactValue, right: FactValue): boolean {
  if (typeof left !== "object" || typeof right !== "object") return left === right;
  return left.length === right.length && left.every((element, index) => areEqual(element, right[index]!));
}

function orderOf(left: FactValue, right: FactValue): number | undefined {
  if (typeof left === "number" && typeof right === "number") return left < right ? -1 : left > right ? 1 : 0;
  return typeof left === "string" && typeof right === "string" ? orderOfTexts(left, right) : undefined;
}

/**
 * Orders by code point, as CEL and Postgres' "C" collation do. JavaScript's own `<` goes by UTF-16 units, which puts an
 * emoji (two surrogates) before U+E000 to U+FFFF.
 */
function orderOfTexts(left: string, right: string): number {
  let index = 0;
  while (index < left.length && left[index] === right[index]) index += 1;
  const isInsidePair = index > 0 && /[\uD800-\uDBFF]/.test(left[index - 1]!);
  const at = isInsidePair ? index - 1 : index;
  return (left.codePointAt(at) ?? -1) - (right.codePointAt(at) ?? -1);
}

function compute(op: "+" | "-" | "*" | "/" | "%", left: number, right: number): number | undefined {
  switch (op) {
    case "+":
      return finite(left + right);
    case "-":
      return finite(left - right);
    case "*":
      return isFactor(left) && isFactor(right) ? factor(left * right) : undefined;
    case "/":
      return right !== 0 && isFactor(left) && isFactor(right) ? factor(left / right) : undefined;
    case "%":
      return right !== 0 && isRemainderOperand(left) && isRemainderOperand(right) ? left % right : undefined;
  }
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}

function factor(value: number): number | undefined {
  return isFactor(value) ? value : undefined;
}

function isFactor(value: number): boolean {
  const magnitude = Math.abs(value);
  return magnitude === 0 || (magnitude >= SMALLEST_FACTOR && magnitude <= LARGEST_FACTOR);
}

function isRemainderOperand(value: number): boolean {
  return Number.isInteger(value) && Math.abs(value) < LARGEST_REMAINDER_OPERAND;
}
