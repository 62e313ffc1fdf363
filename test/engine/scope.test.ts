import { describe, expect, test } from "vitest";
import { lookupIn, withLocals } from "../../src/engine/scope.js";
import type { Expression, FactValue } from "../../src/expression/expression.js";
import { at, event } from "./rehearse.js";

const state = {
  clock: at("2026-03-02"),
  inputs: { days: 14 },
  steps: { call: { outcome: "won", tags: ["a"] } },
  run: {
    id: "r1",
    playbook: "p",
    subject: "account",
    subjectId: "a1",
    accountId: "a1",
    key: "2026",
    startedAt: at("2026-03-01"),
  },
} as unknown as Parameters<typeof lookupIn>[0];
const told = event("renewal.signed", "2026-03-02T09:00", { amount: 5 });

describe("an expression sees", () => {
  test.each<[string, FactValue | undefined]>([
    ["now", at("2026-03-02")],
    ["steps.call.outcome", "won"],
    ["steps.call.toString", undefined],
    ["steps.other.outcome", undefined],
    ["steps.call", undefined],
    ["event.at", at("2026-03-02T09:00")],
    ["event.occurred_at", at("2026-03-02T09:00")],
    ["event.name", "renewal.signed"],
    ["event.id", told.id],
    ["event.amount", 5],
    ["event.constructor", undefined],
    ["run.inputs.days", 14],
    ["run.started_at", at("2026-03-01")],
    ["run.id", "r1"],
    ["run.key", "2026"],
    ["account.arr", 100],
    ["account.name", undefined],
  ])("%s as %j", (path, expected) => {
    expect(lookupIn(state, { "account.arr": 100 }, told)(path)).toBe(expected);
  });

  test("nothing of an event where there is none", () => {
    expect(lookupIn(state, {})("event.name")).toBeUndefined();
  });
});

const fact = (path: string): Expression => ({ op: "fact", path });
const literal = (value: boolean | number | string): Expression => ({ op: "literal", value });

test.each<[string, Expression, Expression]>([
  ["a fact of the world stays", fact("contract.end_date"), fact("contract.end_date")],
  ["now stays: the world's is later", fact("now"), fact("now")],
  ["an input is put in", fact("run.inputs.days"), literal(14)],
  ["an absent one stays absent", fact("run.inputs.none"), fact("run.inputs.none")],
  ["a list stays", fact("steps.call.tags"), fact("steps.call.tags")],
  ["`has` of the run's own is answered", { op: "has", path: "steps.call.outcome" }, literal(true)],
  ["`has` of what the run lacks too", { op: "has", path: "steps.other.outcome" }, literal(false)],
  ["`has` of the world stays", { op: "has", path: "account.arr" }, { op: "has", path: "account.arr" }],
  [
    "the parts of a sum",
    { op: "+", left: fact("contract.end_date"), right: fact("run.inputs.days") },
    { op: "+", left: fact("contract.end_date"), right: literal(14) },
  ],
  [
    "the members of a list",
    { op: "and", of: [fact("account.is_test"), { op: "not", of: { op: "has", path: "steps.call.none" } }] },
    { op: "and", of: [fact("account.is_test"), { op: "not", of: literal(false) }] },
  ],
])("what only the machine knows goes into the expression: %s", (_name, expression, expected) => {
  expect(withLocals(expression, lookupIn(state, {}))).toEqual(expected);
});
