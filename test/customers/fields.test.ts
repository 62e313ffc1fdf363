import { describe, expect, test } from "vitest";
import { currentContract, fieldFact, fieldOf, isEntity, storedValue } from "../../src/customers/fields.js";
import type { FieldType, Model } from "../../src/customers/model.js";

const model: Model = {
  account: { tier: { type: "number" } },
  contact: {},
  contract: {},
  roles: { contact: [], staff: [], pools: [] },
  metrics: {},
  milestones: {},
  events: {},
  outcomes: {},
};

test("a declared field goes before the built-in one; nobody knows `toString`", () => {
  expect(fieldOf(model, "account", "tier")).toEqual({ type: "number" });
  expect(fieldOf(undefined, "account", "tier")).toEqual({ type: "string" });
  expect(fieldOf(model, "account", "arr")).toEqual({ type: "number" });
  expect(fieldOf(model, "account", "toString")).toBeUndefined();
  expect(["account", "contact", "contract", "usage"].map(isEntity)).toEqual([true, true, true, false]);
});

describe("the stored value", () => {
  const notice = { type: "date", derived: { date: "end_date", sign: -1, days: "notice_days" } } as const;
  test.each<[string, Record<string, unknown>, string | undefined]>([
    ["is counted from its parts", { end_date: "2026-03-31", notice_days: 30 }, "2026-03-01"],
    ["of an instant: from its day", { end_date: "2026-03-31T22:00:00Z", notice_days: 30 }, "2026-03-01"],
    ["takes whole days", { end_date: "2026-03-31", notice_days: 30.9 }, "2026-03-01"],
    ["is absent without its date", { notice_days: 30 }, undefined],
    ["is absent without its days", { end_date: "2026-03-31" }, undefined],
    ["is absent if the date is none", { end_date: "soon", notice_days: 30 }, undefined],
  ])("of a derived date %s", (_name, fields, expected) => {
    expect(storedValue("notice_date", notice, (name) => fields[name])).toBe(expected);
  });

  test("of any other field is what was imported; null is absent", () => {
    expect(storedValue("name", { type: "string" }, () => "Acme")).toBe("Acme");
    expect(storedValue("name", undefined, () => null)).toBeUndefined();
  });
});

test.each<[unknown, FieldType | undefined, unknown]>([
  ["2026-03-29", "date", Date.parse("2026-03-28T23:00:00Z")],
  ["2026-03-29T10:00:00Z", "datetime", Date.parse("2026-03-29T10:00:00Z")],
  ["soon", "date", undefined],
  [20260329, "date", undefined],
  [7, "number", 7],
  ["7", "number", undefined],
  [true, "boolean", true],
  ["true", "boolean", undefined],
  ["high", "string", "high"],
  [7, "string", undefined],
  ["anything", undefined, "anything"],
  [{ nested: 1 }, undefined, undefined],
  [null, "string", undefined],
  [undefined, "string", undefined],
])("%j of type %s is the fact %j", (stored, type, expected) => {
  expect(fieldFact(stored, type === undefined ? undefined : { type }, "Europe/Warsaw")).toBe(expected);
});

test.each<[string, Record<string, { status: string; end_date?: string }>, string | undefined]>([
  ["none", {}, undefined],
  ["none that is active", { k1: { status: "ended", end_date: "2030-01-01" } }, undefined],
  [
    "the one that ends last",
    {
      k1: { status: "active", end_date: "2026-01-01" },
      k2: { status: "active", end_date: "2027-01-01" },
      k3: { status: "active", end_date: "2026-06-01" },
    },
    "k2",
  ],
  [
    "one without an end comes last",
    { k1: { status: "active" }, k2: { status: "active", end_date: "2026-01-01" } },
    "k2",
  ],
  [
    "of equals the first by id",
    { k2: { status: "active", end_date: "2026-01-01" }, k1: { status: "active", end_date: "2026-01-01" } },
    "k1",
  ],
  [
    "whatever the order they are given in",
    { k1: { status: "active", end_date: "2026-01-01" }, k2: { status: "active", end_date: "2026-01-01" } },
    "k1",
  ],
])("the current contract: %s", (_name, contracts, expected) => {
  expect(currentContract(Object.keys(contracts), (id, name) => contracts[id]?.[name])).toBe(expected);
});
