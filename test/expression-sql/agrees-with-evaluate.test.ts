import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { evaluate, isTrue } from "../../src/expression/evaluate.js";
import type { FactType, FactValue } from "../../src/expression/expression.js";
import { toSql } from "../../src/expression/to-sql.js";
import { checkExpression } from "../../src/playbook/check-expression.js";
import { FACTS, type FactName, RandomExpressions, randomNumbers } from "../expression/random-expressions.js";
import { type FreshDatabase, freshDatabase } from "../support/database.js";

const SEED = Number(process.env.WAYPOST_SEED ?? 20_260_302);
const EXPRESSIONS = 2_000;
const ROWS = 40;

let database: FreshDatabase;
let sql: postgres.Sql;

beforeAll(async () => {
  database = await freshDatabase();
  sql = postgres(database.url, { max: 1, onnotice: () => {} });
});

afterAll(async () => {
  await sql?.end();
  await database?.drop();
});

test(`SQL agrees with evaluate on ${EXPRESSIONS} random expressions × ${ROWS} rows (seed ${SEED})`, async () => {
  const source = new RandomExpressions(randomNumbers(SEED), { forCel: false });
  const rows = Array.from({ length: ROWS }, (_, index) => source.facts(index < 10 ? 0 : 0.4));
  await createFacts(rows);
  const types: FactType[] = ["bool", "bool", "bool", "number", "string", "timestamp", "duration"];
  let compared = 0;
  let trueOnes = 0;
  let absentOnes = 0;
  for (let index = 0; index < EXPRESSIONS; index += 1) {
    const type = types[index % types.length]!;
    const text = source.text(type, 1 + (index % 5));
    const checked = checkExpression(text, { facts: FACTS, always: Object.keys(FACTS) }, type);
    if (!checked.ok) {
      // The deepest ones may be too large; nothing else may be wrong with them.
      expect(new Set(checked.problems.map(({ code }) => code)), text).toEqual(new Set(["expression-too-large"]));
      continue;
    }
    const expression = checked.expression;
    const query = toSql(expression, (path) => ({ sql: `"${path}"`, type: FACTS[path as FactName] }));
    const read = type === "bool" ? isTrue : evaluate;
    const expected = rows.map((facts) => orNull(read(expression, (path) => facts[path as FactName])));
    const found = await sql
      .unsafe(`select ${query.text} as value from random_facts order by row`, [...query.parameters])
      .then((all) => all.map(({ value }) => orNull(value)));
    expect(found, `${text}\n${query.text}`).toEqual(expected);
    compared += ROWS;
    trueOnes += expected.filter((value) => value === true).length;
    absentOnes += expected.filter((value) => value === null).length;
  }
  console.log(`SQL: ${compared} values compared, ${trueOnes} true, ${absentOnes} absent, 0 differences, seed ${SEED}`);
  expect(compared).toBeGreaterThan(0.9 * EXPRESSIONS * ROWS);
});

async function createFacts(rows: readonly Partial<Record<FactName, FactValue>>[]): Promise<void> {
  const names = Object.keys(FACTS) as FactName[];
  const columns = names.map((name) => `"${name}" ${columnType(FACTS[name])}`);
  await sql.unsafe(`create table random_facts (row integer primary key, ${columns.join(", ")})`);
  for (const [index, facts] of rows.entries()) {
    const values = names.map((name) => facts[name] ?? null);
    const places = values.map((_, place) => `$${place + 2}`);
    await sql.unsafe(`insert into random_facts values ($1, ${places.join(", ")})`, [index, ...values] as never[]);
  }
}

function columnType(type: FactType): string {
  if (typeof type === "object") return `${columnType(type.list)}[]`;
  const types = { bool: "boolean", string: "text", number: "float8", timestamp: "float8", duration: "float8" };
  return types[type];
}

/** Postgres says null for absent, and -0 where JavaScript's JSON says 0. */
function orNull(value: unknown): unknown {
  return value === 0 ? 0 : (value ?? null);
}
