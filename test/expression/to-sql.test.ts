import { expect, test } from "vitest";
import type { FactType } from "../../src/expression/expression.js";
import { toSql } from "../../src/expression/to-sql.js";
import { checkExpression } from "../../src/playbook/check-expression.js";

const FACTS: Record<string, FactType> = {
  flag: "bool",
  name: "string",
  tags: { list: "string" },
  n: "number",
  at: "timestamp",
  now: "timestamp",
};

function sqlOf(text: string, first?: number) {
  const checked = checkExpression(text, { facts: FACTS, always: Object.keys(FACTS) });
  if (!checked.ok) throw new Error(checked.problems[0]!.message);
  return toSql(checked.expression, (path) => ({ sql: `f.${path}`, type: FACTS[path]! }), first);
}

test.each<[string, string, (number | string)[]]>([
  ['name == "high"', "coalesce(f.name = $1::text, false)", ["high"]],
  ['name != "high"', "coalesce(f.name <> $1::text, false)", ["high"]],
  ["n >= 10", "coalesce(f.n >= $1::double precision, false)", [10]],
  ['name < "b"', 'coalesce(f.name collate "C" < $1::text, false)', ["b"]],
  ["flag == false", "coalesce(f.flag = false, false)", []],
  ["flag", "coalesce(f.flag, false)", []],
  ["!flag && true", "((not coalesce(f.flag, false)) and true)", []],
  ["flag || has(n)", "(coalesce(f.flag, false) or (f.n is not null))", []],
  ["(flag || has(n)) == true", "coalesce((coalesce(f.flag, false) or (f.n is not null)) = true, false)", []],
  ['"eu" in tags', "coalesce($1::text = any(f.tags), false)", ["eu"]],
  ['name in ["a", "b"]', "coalesce(f.name in ($1::text, $2::text), false)", ["a", "b"]],
  ['tags == ["a"]', "coalesce(f.tags = array[$1::text], false)", ["a"]],
  [
    "tags == [name]",
    "coalesce(f.tags = (select case when array_position(v, null) is null then v end from (select array[f.name] as v offset 0) as elements), false)",
    [],
  ],
  ["size(tags) > 1", "coalesce(cardinality(f.tags)::double precision > $1::double precision, false)", [1]],
  [
    "size([name, name]) > -n",
    "coalesce(cardinality((select case when array_position(v, null) is null then v end from (select array[f.name, f.name] as v offset 0) as elements))::double precision > (- f.n), false)",
    [],
  ],
  ["-n", "(- f.n)", []],
  ["size(name) + 1", "(char_length(f.name)::double precision + $1::double precision)", [1]],
  ["name.size() > 1", "coalesce(char_length(f.name)::double precision > $1::double precision, false)", [1]],
  ['name.contains("x%")', "coalesce(strpos(f.name, $1::text) > 0, false)", ["x%"]],
  ['name.startsWith("x")', "coalesce(starts_with(f.name, $1::text), false)", ["x"]],
  ['name.endsWith("x")', "coalesce(starts_with(reverse(f.name), reverse($1::text)), false)", ["x"]],
  ['now - at > duration("1d")', "coalesce((f.now - f.at) > $1::double precision, false)", [86_400_000]],
  ['name + "!" == "a!"', "coalesce((f.name || $1::text) = $2::text, false)", ["!", "a!"]],
  [
    "flag ? flag : n > 1",
    "(case when coalesce(f.flag, false) then coalesce(f.flag, false) else coalesce(f.n > $1::double precision, false) end)",
    [1],
  ],
  [
    "(flag ? n : -n) > 1",
    "coalesce((case when coalesce(f.flag, false) then f.n else (- f.n) end) > $1::double precision, false)",
    [1],
  ],
  [
    "n * 2",
    "(select case when (l = 0 or abs(l) between 1e-100 and 1e+100) and (r = 0 or abs(r) between 1e-100 and 1e+100) then case when ((l * r) = 0 or abs((l * r)) between 1e-100 and 1e+100) then l * r end end from (select f.n as l, $1::double precision as r offset 0) as operands)",
    [2],
  ],
  [
    "n / 2",
    "(select case when (l = 0 or abs(l) between 1e-100 and 1e+100) and (r = 0 or abs(r) between 1e-100 and 1e+100) then case when ((l / nullif(r, 0)) = 0 or abs((l / nullif(r, 0))) between 1e-100 and 1e+100) then l / nullif(r, 0) end end from (select f.n as l, $1::double precision as r offset 0) as operands)",
    [2],
  ],
  [
    "n % 2",
    "(select case when l = trunc(l) and abs(l) < 1000000000000000 and r = trunc(r) and abs(r) < 1000000000000000 then mod(l::numeric, nullif(r, 0)::numeric)::double precision end from (select f.n as l, $1::double precision as r offset 0) as operands)",
    [2],
  ],
])("%s", (text, sql, parameters) => {
  expect(sqlOf(text)).toEqual({ text: sql, parameters });
});

test("parameters count from the first number asked for", () => {
  expect(sqlOf('name == "a" && n > 1', 4)).toEqual({
    text: "(coalesce(f.name = $4::text, false) and coalesce(f.n > $5::double precision, false))",
    parameters: ["a", 1],
  });
});

test("what an author writes is never SQL", () => {
  const { text, parameters } = sqlOf(`name == "'; drop table accounts; --"`);
  expect(text).toBe("coalesce(f.name = $1::text, false)");
  expect(parameters).toEqual(["'; drop table accounts; --"]);
});
