import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { differences, expectedOutcomes } from "../../src/local/demo-expected.js";

test("every run that ended otherwise, or was never begun, is told; others may end as they like", () => {
  const expected = { a: "won", b: "live", c: "activated" };
  expect(differences(expected, { a: "won", b: "live", c: "activated", d: "lost" })).toEqual([]);
  expect(differences(expected, { a: "lost", b: "live" })).toEqual([
    "expected: a won, but it is lost",
    "expected: c activated, but it was never begun",
  ]);
});

test("a portfolio without expectations has none", () => {
  const folder = mkdtempSync(join(tmpdir(), "waypost-expected-"));
  expect(expectedOutcomes(folder)).toEqual({});
  writeFileSync(join(folder, "expected.json"), '{ "run/x/1": "live" }');
  expect(expectedOutcomes(folder)).toEqual({ "run/x/1": "live" });
});

test("the example says of every onboarding and renewal how it ends", () => {
  const expected = expectedOutcomes(fileURLToPath(new URL("../../examples/portfolio", import.meta.url)));
  const playbooks = Object.keys(expected).map((run) => run.split("/")[1]);
  expect(new Set(playbooks)).toEqual(new Set(["onboarding-high-touch", "onboarding-low-touch", "renewal"]));
  expect(playbooks.length).toBe(120);
});
