import { describe, expect, test } from "vitest";
import { evaluate, isTrue } from "../../src/expression/evaluate.js";
import type { Expression, FactType, FactValue } from "../../src/expression/expression.js";
import { checkExpression } from "../../src/playbook/check-expression.js";

const TYPES: Record<string, FactType> = {
  "a.flag": "bool",
  "a.name": "string",
  "a.tags": { list: "string" },
  "a.born": "timestamp",
  "a.span": "duration",
  "u.x": "number",
  "u.y": "number",
  // Never has a value in these tables.
  "gone.flag": "bool",
  "gone.name": "string",
  "gone.tags": { list: "string" },
  "gone.at": "timestamp",
  "gone.n": "number",
  now: "timestamp",
};
const FACTS: Record<string, FactValue> = {
  "a.flag": true,
  "a.name": "Łódź",
  "a.tags": ["pilot", "eu"],
  "a.born": 1_000,
  "a.span": 60_000,
  "u.x": 7,
  "u.y": 2,
  now: 86_400_000,
};
const lookup = (path: string): FactValue | undefined => FACTS[path];

/** Guards are checked elsewhere: here `!` may meet a missing fact. */
function valueOf(text: string): FactValue | undefined {
  const checked = checkExpression(text, { facts: TYPES, always: Object.keys(TYPES) });
  if (!checked.ok) throw new Error(`${text}: ${checked.problems[0]!.message}`);
  return evaluate(checked.expression, lookup);
}

describe("present facts", () => {
  test.each<[string, FactValue]>([
    ["u.x >= 7 && u.x > 6.5", true],
    ["u.x < 7 || u.x <= 6", false],
    ["u.x / u.y", 3.5],
    ["7 / 2", 3.5],
    ["u.x % u.y", 1],
    ["-7 % 3", -1],
    ["-u.x + 2 * 3 - 1", -2],
    ["u.x > 5 ? 'many' : 'few'", "many"],
    ["u.x > 9 ? 'many' : 'few'", "few"],
    ["a.name + '!' == 'Łódź!'", true],
    ["size(a.name)", 4],
    ["'\u{1F600}'.size()", 1],
    ["size(a.tags)", 2],
    ["a.name.contains('ód')", true],
    ["a.name.startsWith('Ł') && a.name.endsWith('dź')", true],
    ["a.name.startsWith('d') || a.name.endsWith('Ł')", false],
    ["'eu' in a.tags", true],
    ["'us' in a.tags", false],
    ["a.tags == ['pilot', 'eu']", true],
    ["a.tags != ['eu', 'pilot']", true],
    ["a.tags == ['pilot']", false],
    ["u.x in [1, 7]", true],
    ["now - a.born > duration('23h')", true],
    ["a.born + a.span", 61_000],
    ["now - a.born", 86_399_000],
    ["timestamp('1970-01-01T01:00:00+01:00')", 0],
    ["duration('1d1h1m1s1ms')", 90_061_001],
    ["duration('-1.5h')", -5_400_000],
    ["-duration('1h')", -3_600_000],
    ["'abc' < 'abd'", true],
    ["'ab' < 'abc' && 'abc' >= 'abc' && 'b' > 'abc'", true],
    ["'\u{1F600}' > '\uFFFD'", true],
    ["'x\u{1F601}' > 'x\u{1F600}'", true],
    ["!a.flag", false],
    ["has(a.flag)", true],
    ["a.flag == true && a.flag != false", true],
    ["true", true],
  ])("%s is %j", (text, expected) => {
    expect(valueOf(text)).toEqual(expected);
  });
});

describe("missing facts", () => {
  test.each<[string, FactValue | undefined]>([
    ["gone.n == 1", false],
    ["gone.n != 1", false],
    ["gone.n < 1", false],
    ["gone.n <= 1", false],
    ["gone.n > 1", false],
    ["gone.n >= 1", false],
    ["1 < gone.n", false],
    ["gone.n == gone.n", false],
    ["gone.flag == false", false],
    ["gone.tags == ['a']", false],
    ["gone.name in ['a']", false],
    ["'a' in gone.tags", false],
    ["'pilot' in [gone.name, 'pilot']", true],
    ["gone.name.contains('')", false],
    ["'a'.startsWith(gone.name)", false],
    ["gone.name.endsWith('a')", false],
    ["size(gone.name) == 0", false],
    ["size(gone.tags) == 0", false],
    ["size([gone.name, 'a']) == 1", false],
    ["gone.n + 1", undefined],
    ["1 - gone.n", undefined],
    ["gone.n * 0", undefined],
    ["-gone.n", undefined],
    ["gone.name + 'a'", undefined],
    ["[gone.name]", undefined],
    ["gone.at + duration('1h') < now", false],
    ["now - gone.at > duration('1h')", false],
    ["gone.n", undefined],
    ["gone.flag", undefined],
    ["gone.flag && true", false],
    ["gone.flag || true", true],
    ["gone.flag || gone.n > 1", false],
    ["!gone.flag", true],
    ["!(gone.n > 1)", true],
    ["gone.flag ? 1 : 2", 2],
    ["a.flag ? gone.n : 2", undefined],
    ["has(gone.n)", false],
    ["has(gone.n) && gone.n > 1", false],
  ])("%s is %j", (text, expected) => {
    expect(valueOf(text)).toEqual(expected);
  });

  test("a condition that is absent is not true", () => {
    expect(isTrue({ op: "fact", path: "gone.flag" }, lookup)).toBe(false);
    expect(isTrue({ op: "fact", path: "a.flag" }, lookup)).toBe(true);
  });
});

describe("arithmetic has no surprises", () => {
  test.each<[string, FactValue | undefined]>([
    ["1 / 0", undefined],
    ["1 / (u.x - 7)", undefined],
    ["1 % 0", undefined],
    ["2.5 % 2", undefined],
    ["5 % 0.5", undefined],
    ["1000000000000000 % 7", undefined],
    ["1e99 * 1e2", undefined],
    ["1e-99 * 1e-2", undefined],
    ["1e-99 / 1e2", undefined],
    ["1e99 / 1e-2", undefined],
    ["0 * 5", 0],
    ["0 / 5", 0],
  ])("%s is %j", (text, expected) => {
    expect(valueOf(text)).toEqual(expected);
  });

  test.each([
    [Number.NaN, undefined],
    [Number.POSITIVE_INFINITY, undefined],
  ])("a fact that is %d counts as missing", (value, expected) => {
    expect(evaluate({ op: "fact", path: "x" }, () => value)).toBe(expected);
    expect(evaluate({ op: "has", path: "x" }, () => value)).toBe(false);
  });

  test("a sum beyond the doubles is absent", () => {
    const x: Expression = { op: "fact", path: "x" };
    expect(evaluate({ op: "+", left: x, right: x }, () => 1.7e308)).toBeUndefined();
    expect(evaluate({ op: "*", left: x, right: { op: "literal", value: 1 } }, () => 1e101)).toBeUndefined();
    expect(evaluate({ op: "/", left: { op: "literal", value: 1 }, right: x }, () => 1e101)).toBeUndefined();
  });
});

test("an undeclared fact of another type makes a comparison false and a sum absent, and never throws", () => {
  const text: Expression = { op: "literal", value: "a" };
  const number: Expression = { op: "literal", value: 1 };
  const flag: Expression = { op: "literal", value: true };
  const list: Expression = { op: "list", of: [number] };
  for (const op of ["==", "!=", "<", "<=", ">", ">="] as const) {
    expect(evaluate({ op, left: text, right: number }, lookup)).toBe(false);
  }
  expect(evaluate({ op: "<", left: flag, right: flag }, lookup)).toBe(false);
  expect(evaluate({ op: "in", left: text, right: text }, lookup)).toBe(false);
  expect(evaluate({ op: "in", left: text, right: list }, lookup)).toBe(false);
  expect(evaluate({ op: "+", left: text, right: number }, lookup)).toBeUndefined();
  expect(evaluate({ op: "negate", of: text }, lookup)).toBeUndefined();
  expect(evaluate({ op: "call", name: "size", of: [number] }, lookup)).toBeUndefined();
  expect(evaluate({ op: "call", name: "contains", of: [number, text] }, lookup)).toBe(false);
  expect(evaluate({ op: "and", of: [text, flag] }, lookup)).toBe(false);
});
