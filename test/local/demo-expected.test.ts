import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { differences, expectedOutcomes } from "../../src/local/demo-expected.js";

test("every run that ended otherwise, was never begun, or is one too many, is told", () => {
  const expected = { a: "won", b: "live", c: "activated" };
  expect(differences(expected, { a: "won", b: "live", c: "activated" })).toEqual([]);
  expect(differences(expected, { ...expected, d: "lost" })).toEqual(["expected: no run d, but it is lost"]);
  expect(differences(expected, { a: "lost", b: "live" })).toEqual([
    "expected: a won, but it is lost",
    "expected: c activated, but it was never begun",
  ]);
});

test("a portfolio without expectations has none", () => {
  const folder = mkdtempSync(join(tmpdir(), "waypost-expected-"));
  expect(expectedOutcomes(folder)).toEqual({});
  expect(differences({}, { a: "won" })).toEqual([]);
  writeFileSync(join(folder, "expected.json"), '{ "run/x/1": "live" }');
  expect(expectedOutcomes(folder)).toEqual({ "run/x/1": "live" });
});

test("the example says of every run of its year how it ends", () => {
  const expected = expectedOutcomes(fileURLToPath(new URL("../../examples/portfolio", import.meta.url)));
  const counts: Record<string, number> = {};
  for (const run of Object.keys(expected)) {
    const playbook = run.split("/")[1] ?? "";
    counts[playbook] = (counts[playbook] ?? 0) + 1;
  }
  expect(counts).toEqual({
    "onboarding-high-touch": 15,
    "onboarding-low-touch": 53,
    renewal: 52,
    qbr: 60,
    "churn-rescue": 27,
  });
});
