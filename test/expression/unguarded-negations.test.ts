import { describe, expect, test } from "vitest";
import { isTrue } from "../../src/expression/evaluate.js";
import { checkExpression } from "../../src/playbook/check-expression.js";
import { FACTS, type FactName, RandomExpressions, randomNumbers } from "./random-expressions.js";

const environment = {
  facts: { x: "number", y: "number", flag: "bool", other: "bool", name: "string", now: "timestamp", at: "timestamp" },
  always: ["other"],
} as const;

/** What of the expression the checker wants guarded. */
function unguarded(text: string): string[] {
  const checked = checkExpression(text, environment, "bool");
  if (checked.ok) return [];
  return checked.problems.map(({ code, offset, length }) => {
    expect(code).toBe("expression-missing-guard");
    return text.slice(offset, offset + length);
  });
}

describe("needs no guard", () => {
  test.each([
    "x > 3",
    "x != 3",
    "flag",
    "flag == false",
    "x > 3 || flag",
    "!other",
    "!(now < timestamp('2026-01-01T00:00:00Z'))",
    "has(x)",
    "!has(x)",
    "has(x) && !(x > 3)",
    "!(x > 3) && has(x)",
    "!(has(x) && x > 3)",
    "!has(x) || !(x > 3)",
    "!(!has(x) || x > 3)",
    "x < 9 && !(x > 3)",
    "x + y < 9 && !(x > 3) && !(y > 3)",
    "name.contains('a') && !name.startsWith('b')",
    "name in ['a', 'b'] && !(name == 'b')",
    "has(x) && has(y) && !(x > y)",
    "(has(x) || has(y)) && (x > 3 || y > 3)",
    "has(x) && (flag || !(x > 3))",
    "flag && !(flag && other)",
    "!(!(x > 3))",
    "!(other || !(x > 3))",
    "(has(x) ? x : 0) < 3",
    "!((has(x) ? x : 0) > 3)",
    "!((!has(x) ? 0 : x) > 3)",
    "has(x) ? !(x > 3) : false",
    "(has(x) ? x > 3 : other) && !(other && has(x) && x > 9)",
    "(x > 3 ? 1 : 2) == 2",
    "(has(x) && x > 3) == false",
    "(name == 'gold' ? 3 : 5) > 4",
    "(other ? x : x) > 1 && !(x > 3)",
    "(other ? has(x) && x > 1 : has(x)) && !(x > 3)",
    "-x > 1 && !(x > 3)",
    "size(name) > 1 && !(name == 'a')",
  ])("%s", (text) => {
    expect(unguarded(text)).toEqual([]);
  });
});

describe("needs a guard", () => {
  test.each<[string, string[]]>([
    ["!flag", ["!flag"]],
    ["!(x > 3)", ["!(x > 3)"]],
    ["!(x != 3)", ["!(x != 3)"]],
    ["!(x > 3 && x < 9)", ["!(x > 3 && x < 9)"]],
    ["!(x > 3) && !(x > 5)", ["!(x > 3)", "!(x > 5)"]],
    ["!(x > 3) || !(x < 5)", ["!(x > 3)", "!(x < 5)"]],
    ["has(x) || !(x > 3)", ["!(x > 3)"]],
    ["!(has(x) || x > 3)", ["!(has(x) || x > 3)"]],
    ["has(x) && !(x > y)", ["!(x > y)"]],
    ["(x > 3) == false", ["(x > 3) == false"]],
    ["(x > 3) == flag", ["(x > 3) == flag"]],
    ["(x > 3) in [false]", ["(x > 3) in [false]"]],
    ["(other && x > 3) != true", ["(other && x > 3) != true"]],
    ["x > 3 ? false : true", ["x > 3 ? false : true"]],
    ["other ? !(x > 3) : true", ["!(x > 3)"]],
    ["(x > 3 ? true : false) == false", ["x > 3 ? true : false"]],
    ["(!flag ? 1 : 2) == 1", ["!flag"]],
    ["!(flag || other)", ["!(flag || other)"]],
    ["!name.contains('a')", ["!name.contains('a')"]],
    ["!(x in [1, y])", ["!(x in [1, y])"]],
    ["x in [1, y] && !(y > 3)", ["!(y > 3)"]],
    ["!(now - at > duration('1d'))", ["!(now - at > duration('1d'))"]],
    ["(other ? x : y) > 1 && !(x > 3)", ["!(x > 3)"]],
    ["(other ? has(x) : flag) && !(x > 3)", ["!(x > 3)"]],
    ["!((x > 1) == (y > 1))", ["(x > 1) == (y > 1)"]],
  ])("%s", (text, expected) => {
    expect(unguarded(text)).toEqual(expected);
  });
});

const SEED = Number(process.env.WAYPOST_SEED ?? 20_260_302);

test(`what passes never becomes true because a fact is missing, unless it says has() or ?: (seed ${SEED})`, () => {
  const random = randomNumbers(SEED);
  const source = new RandomExpressions(random, { forCel: true });
  let passed = 0;
  let refused = 0;
  while (passed < 1_000) {
    const text = source.text("bool", 1 + (passed % 5));
    if (text.includes("has(") || text.includes("?") || !/!(?!=)/.test(text)) continue;
    const checked = checkExpression(text, { facts: FACTS }, "bool");
    if (!checked.ok) {
      refused += 1;
      continue;
    }
    passed += 1;
    for (let round = 0; round < 5; round += 1) {
      const facts = source.facts(0);
      const fewer = Object.fromEntries(Object.entries(facts).filter(([path]) => path === "now" || random() < 0.6));
      const before = isTrue(checked.expression, (path) => facts[path as FactName]);
      const after = isTrue(checked.expression, (path) => fewer[path]);
      expect(after && !before, `${text} with ${JSON.stringify(facts)} and ${JSON.stringify(fewer)}`).toBe(false);
    }
  }
  console.log(
    `guards: ${passed} negations passed, 0 of them turned by a missing fact, ${refused} refused, seed ${SEED}`,
  );
  expect(refused).toBeGreaterThan(1_000);
});
