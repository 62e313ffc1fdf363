import { expect, test } from "vitest";
import { references } from "../../src/expression/references.js";

test("every fact once, sorted, also those that has() asks after and those in branches", () => {
  const x = { op: "fact", path: "u.x" } as const;
  expect(
    references({
      op: "and",
      of: [
        { op: "not", of: { op: "has", path: "b" } },
        { op: "if", condition: { op: "fact", path: "c" }, then: x, else: { op: "negate", of: x } },
        { op: "in", left: x, right: { op: "list", of: [{ op: "fact", path: "a" }] } },
        {
          op: "call",
          name: "contains",
          of: [
            { op: "fact", path: "d" },
            { op: "literal", value: "e" },
          ],
        },
      ],
    }),
  ).toEqual(["a", "b", "c", "d", "u.x"]);
});

test("none", () => {
  expect(references({ op: "literal", value: true })).toEqual([]);
});
