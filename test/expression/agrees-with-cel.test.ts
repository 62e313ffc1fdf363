import { Duration } from "@marcbachmann/cel-js/evaluator";
import { Environment } from "@marcbachmann/cel-js";
import { expect, test } from "vitest";
import { evaluate } from "../../src/expression/evaluate.js";
import type { FactType, FactValue } from "../../src/expression/expression.js";
import { checkExpression } from "../../src/playbook/check-expression.js";
import { FACTS, type FactName, RandomExpressions, randomNumbers } from "./random-expressions.js";

const SEED = Number(process.env.WAYPOST_SEED ?? 20_260_302);
const EXPRESSIONS = 4_000;

test(`evaluate agrees with cel-js on ${EXPRESSIONS} random expressions over present facts (seed ${SEED})`, () => {
  const source = new RandomExpressions(randomNumbers(SEED), { forCel: true });
  const cel = celEnvironment();
  const types: FactType[] = ["bool", "bool", "bool", "number", "string", "timestamp", "duration"];
  let compared = 0;
  let trueOnes = 0;
  for (let index = 0; index < EXPRESSIONS; index += 1) {
    const type = types[index % types.length]!;
    const text = source.text(type, 1 + (index % 4));
    // Every fact is present and said to be, so that `!` needs no guard.
    const checked = checkExpression(text, { facts: FACTS, always: Object.keys(FACTS) }, type);
    expect(checked, text).toMatchObject({ ok: true, type });
    expect(cel.check(text).error?.message, text).toBeUndefined();
    if (!checked.ok) continue;
    // What a plan carries is JSON.
    const tree = JSON.parse(JSON.stringify(checked.expression));
    for (const facts of [source.facts(0), source.facts(0)]) {
      const ours = evaluate(tree, (path) => facts[path as FactName]);
      const theirs = fromCel(cel.evaluate(text, toCel(facts)));
      expect(withoutMinusZero(ours), `${text} over ${JSON.stringify(facts)}`).toEqual(withoutMinusZero(theirs));
      compared += 1;
      if (ours === true) trueOnes += 1;
    }
  }
  console.log(`cel-js: ${compared} values compared, ${trueOnes} of them true, 0 differences, seed ${SEED}`);
  expect(compared).toBe(2 * EXPRESSIONS);
});

function celEnvironment(): Environment {
  const environment = new Environment({ limits: { maxAstNodes: 5_000 } });
  const schemas: Record<string, Record<string, string>> = {};
  for (const [path, type] of Object.entries(FACTS)) {
    const [group, field] = path.split(".") as [string, string | undefined];
    if (field === undefined) environment.registerVariable(group, celType(type));
    else (schemas[group] ??= {})[field] = celType(type);
  }
  for (const [group, schema] of Object.entries(schemas)) environment.registerVariable(group, { schema });
  // CEL itself has no `%` for doubles.
  environment.registerOperator("double % double", (left: number, right: number) => left % right);
  return environment;
}

function celType(type: FactType): string {
  if (typeof type === "object") return `list<${celType(type.list)}>`;
  const names = {
    bool: "bool",
    number: "double",
    string: "string",
    timestamp: "google.protobuf.Timestamp",
    duration: "google.protobuf.Duration",
  };
  return names[type];
}

function toCel(facts: Partial<Record<FactName, FactValue>>): Record<string, unknown> {
  const context: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(facts) as [FactName, FactValue][]) {
    const [group, field] = path.split(".") as [string, string | undefined];
    const type: FactType = FACTS[path];
    const converted =
      type === "timestamp"
        ? new Date(value as number)
        : type === "duration"
          ? Duration.fromMilliseconds(value as number)
          : value;
    if (field === undefined) context[group] = converted;
    else ((context[group] ??= {}) as Record<string, unknown>)[field] = converted;
  }
  return context;
}

function fromCel(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Date) return value.getTime();
  return value instanceof Duration ? Number(value.valueOf()) : value;
}

/** -0 equals 0 in both languages and is 0 in JSON. */
function withoutMinusZero(value: unknown): unknown {
  return value === 0 ? 0 : value;
}
