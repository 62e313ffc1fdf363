import { describe, expect, test } from "vitest";
import type { Metric } from "../../src/customers/model.js";
import { median, metricValue, type Sample, windowMs } from "../../src/customers/metrics.js";
import { at, metric } from "./models.js";

const NOW = at("2026-06-01T00:00Z");
const DAY = 86_400_000;
const sample = (id: string, daysBefore: number, value: number, user?: string): Sample => ({
  id,
  at: NOW - daysBefore * DAY,
  value,
  user,
});

describe("a window is half-open: (now − w, now]", () => {
  const samples = [sample("a", 7, 1), sample("b", 6.99, 10), sample("c", 0, 100), sample("d", -0.01, 1000)];
  test.each<[Metric["aggregate"], number]>([
    ["sum", 110],
    ["count", 2],
    ["avg", 55],
    ["max", 100],
    ["last", 100],
  ])("%s", (aggregate, expected) => expect(metricValue(metric({ aggregate }), samples, NOW)).toBe(expected));

  test("last without a window looks at all there is", () => {
    const { window: _window, ...last } = metric({ aggregate: "last" });
    expect(metricValue(last, [sample("a", 400, 7), sample("b", 500, 9)], NOW)).toBe(7);
  });

  test("samples of one instant are in order of id", () => {
    expect(metricValue(metric({ aggregate: "last" }), [sample("b", 1, 2), sample("a", 1, 1)], NOW)).toBe(2);
    expect(metricValue(metric({ aggregate: "last" }), [sample("a", 1, 1), sample("b", 1, 2)], NOW)).toBe(2);
  });
});

test("distinct counts users, not samples; those without one don't count", () => {
  const samples = [sample("a", 1, 5, "u1"), sample("b", 2, 5, "u1"), sample("c", 2, 5, "u2"), sample("d", 2, 5)];
  expect(metricValue(metric({ aggregate: "distinct" }), samples, NOW)).toBe(2);
});

describe("an empty window", () => {
  test.each<[Metric["aggregate"], number | undefined]>([
    ["sum", 0],
    ["count", 0],
    ["distinct", 0],
    ["avg", undefined],
    ["max", undefined],
    ["last", undefined],
  ])("%s", (aggregate, expected) => {
    expect(metricValue(metric({ aggregate }), [sample("old", 100, 1)], NOW)).toBe(expected);
    expect(metricValue(metric({ aggregate }), [], NOW)).toBeUndefined();
    expect(metricValue(metric({ aggregate }), [sample("later", -1, 1)], NOW)).toBeUndefined();
  });
});

describe("whose samples", () => {
  const samples = [sample("a", 1, 1, "ann"), sample("b", 1, 10, "bob"), sample("c", 1, 100)];
  test("a person's own", () => {
    expect(metricValue(metric({ of: "contact" }), samples, NOW, { contactId: "ann" })).toBe(1);
    expect(metricValue(metric({ of: "contact" }), samples, NOW)).toBeUndefined();
  });
  test("a person without any is at 0 where the account has some", () => {
    expect(metricValue(metric({ of: "contact" }), samples, NOW, { contactId: "eve" })).toBe(0);
  });
  test("of a role", () => {
    const roleOf = (user: string) => (user === "bob" ? "champion" : undefined);
    expect(metricValue(metric({ role: "champion" }), samples, NOW, { roleOf })).toBe(10);
    expect(metricValue(metric({ role: "champion" }), samples, NOW)).toBe(0);
  });
});

describe("a baseline", () => {
  const weekly = (values: readonly number[]) => values.map((value, k) => sample(`w${k}`, 7 * (k + 1), value));
  const baseline = (statistic: "median" | "mean") => metric({ baseline: { weeks: 8, statistic } });
  test("is the statistic of the windows before the present one", () => {
    const samples = [sample("now", 1, 999), ...weekly([80, 10, 70, 20, 60, 30, 50, 40])];
    expect(metricValue(baseline("median"), samples, NOW)).toBe(45);
    expect(metricValue(baseline("mean"), samples, NOW)).toBe(45);
  });
  test("counts silent windows since the first sample", () => {
    expect(metricValue(baseline("mean"), [sample("a", 7, 40), sample("b", 28, 40)], NOW)).toBe(20);
  });
  test("is absent with fewer than four windows", () => {
    expect(metricValue(baseline("median"), weekly([10, 20, 30]), NOW)).toBeUndefined();
    expect(metricValue(baseline("median"), weekly([10, 20, 30, 40]), NOW)).toBe(25);
  });
  test("leaves out windows whose aggregate is absent", () => {
    const average = metric({ aggregate: "avg", baseline: { weeks: 8, statistic: "median" } });
    expect(
      metricValue(average, [sample("a", 7, 1), sample("b", 14, 2), sample("c", 21, 3), sample("d", 49, 8)], NOW),
    ).toBe(2.5);
    expect(metricValue(average, [sample("a", 7, 1), sample("b", 49, 8)], NOW)).toBeUndefined();
  });
  test("without a window has none before it", () => {
    const { window: _window, ...last } = metric({ aggregate: "last", baseline: { weeks: 4, statistic: "median" } });
    expect(metricValue(last, [sample("a", 1, 3)], NOW)).toBeUndefined();
  });
});

test("median", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeUndefined();
});

test("windows are exact hours", () => {
  expect(windowMs({ amount: 36, unit: "h" })).toBe(129_600_000);
  expect(windowMs({ amount: 7, unit: "d" })).toBe(604_800_000);
  expect(windowMs({ amount: 1, unit: "w" })).toBe(604_800_000);
});
