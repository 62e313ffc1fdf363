import { expect, test } from "vitest";
import { segmentFacts } from "../../src/customers/segments.js";

test("every fact that segments mention, once", () => {
  const has = (path: string) => ({ title: "", if: { op: "has" as const, path } });
  expect(segmentFacts({ a: has("usage.x"), b: has("account.arr"), c: has("usage.x") })).toEqual([
    "account.arr",
    "usage.x",
  ]);
  expect(segmentFacts({})).toEqual([]);
});
