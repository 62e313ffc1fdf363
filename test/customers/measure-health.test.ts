import { describe, expect, test } from "vitest";
import type { HealthModel, Measure } from "../../src/customers/health-model.js";
import { agedFacts, healthFacts, healthModelHash, measureHealth, trendOf } from "../../src/customers/measure-health.js";
import type { FactValue } from "../../src/expression/expression.js";
import { at, MODEL } from "./models.js";

const NOW = at("2026-06-01T00:00Z");
const DAY = 86_400_000;
const FACTS: Record<string, FactValue> = {
  "account.touch_model": "high",
  "account.stage": "adoption",
  "account.csm_view": "good",
  "usage.actions_7d": 15,
  "tickets.opened_7d": 4,
  "tickets.weekly_mean_8w": 2,
  "survey.nps": 50,
};
const NEWEST = { "usage.actions_7d": NOW - DAY, "survey.nps": NOW - 2 * DAY };

test("weights by profile, points by bands, line and name, with all that explains them", () => {
  // 40·50 + 20·20 + 20·75 + 20·100 = 5900, ÷ 100
  expect(measureHealth(MODEL, FACTS, NEWEST, NOW)).toEqual({
    profile: "high",
    score: 59,
    coverage: 1,
    inputs: {
      version: 3,
      measures: [
        { measure: "nps", weight: 20, value: 50, points: 75 },
        { measure: "tickets", weight: 20, value: 4, divisor: 2, points: 20 },
        { measure: "usage", weight: 40, value: 15, points: 50 },
        { measure: "view", weight: 20, value: "good", points: 100 },
      ],
      newest: { nps: NOW - 2 * DAY, usage: NOW - DAY },
    },
  });
});

test("the last profile is for all others; measures it doesn't name don't apply", () => {
  const { profile, inputs } = measureHealth(MODEL, { ...FACTS, "account.touch_model": "low" }, NEWEST, NOW);
  expect(profile).toBe("low");
  expect(inputs.measures.map(({ measure }) => measure)).toEqual(["nps", "usage"]);
});

test("coverage counts only the measures that apply", () => {
  const onboarding = measureHealth(MODEL, { ...FACTS, "account.stage": "onboarding" }, NEWEST, NOW);
  expect(onboarding.coverage).toBe(1);
  expect(onboarding.score).toBe((20 * 75 + 20 * 20 + 20 * 100) / 60);
  expect(onboarding.inputs.measures[2]).toEqual({ measure: "usage", weight: 40, missing: "stage" });
  const { "account.stage": _stage, ...nowhere } = FACTS;
  expect(measureHealth(MODEL, nowhere, NEWEST, NOW).inputs.measures[2]?.missing).toBe("stage");
});

describe("what is missing counts below the line of coverage only", () => {
  const missing = (facts: Record<string, FactValue | undefined>, newest: Record<string, number> = NEWEST) => {
    const given = Object.entries({ ...FACTS, ...facts }).filter(([, value]) => value !== undefined);
    const { inputs, coverage } = measureHealth(MODEL, Object.fromEntries(given) as never, newest, NOW);
    return {
      coverage,
      reasons: Object.fromEntries(inputs.measures.flatMap((m) => (m.missing ? [[m.measure, m.missing]] : []))),
    };
  };
  test("absent", () =>
    expect(missing({ "survey.nps": undefined })).toEqual({ coverage: 0.8, reasons: { nps: "absent" } }));
  test("of another type", () =>
    expect(missing({ "account.csm_view": 3, "survey.nps": "9" }).reasons).toEqual({ nps: "absent", view: "absent" }));
  test("stale, from one millisecond beyond the limit", () => {
    expect(missing({}, { ...NEWEST, "usage.actions_7d": NOW - 10 * DAY }).reasons).toEqual({});
    expect(missing({}, { ...NEWEST, "usage.actions_7d": NOW - 10 * DAY - 1 })).toEqual({
      coverage: 0.6,
      reasons: { usage: "stale" },
    });
  });
  test("of unknown age where age matters", () =>
    expect(missing({}, {}).reasons).toEqual({ nps: "stale", usage: "stale" }));
  test("nothing to divide by", () => {
    expect(missing({ "tickets.weekly_mean_8w": 0 }).reasons).toEqual({ tickets: "divisor" });
    expect(missing({ "tickets.weekly_mean_8w": undefined }).reasons).toEqual({ tickets: "divisor" });
  });
  test("out of range", () => {
    expect(missing({ "tickets.opened_7d": 1e101, "usage.actions_7d": -1e200 }).reasons).toEqual({
      tickets: "range",
      usage: "range",
    });
    expect(missing({ "tickets.opened_7d": 1e90, "tickets.weekly_mean_8w": 1e-90 }).reasons).toEqual({
      tickets: "range",
    });
  });
  test("a name without points", () =>
    expect(missing({ "account.csm_view": "constructor" }).reasons).toEqual({ view: "unlisted" }));
});

test("nothing fresh: no score; nothing that applies: no coverage", () => {
  expect(measureHealth(MODEL, {}, {}, NOW)).toMatchObject({ score: null, coverage: 0 });
  const stageOnly: HealthModel = { ...MODEL, profiles: [{ name: "all", weights: { usage: 1 } }] };
  expect(measureHealth(stageOnly, {}, {}, NOW)).toMatchObject({ score: null, coverage: 0 });
});

describe("points", () => {
  const points = (scale: Measure["scale"], value: FactValue) =>
    measureHealth(
      {
        ...MODEL,
        measures: { m: { title: "", value: "usage.x", scale } },
        profiles: [{ name: "all", weights: { m: 1, gone: 5 } }],
      },
      { "usage.x": value },
      {},
      NOW,
    ).score;
  test("bands are half-open", () => {
    const { scale } = MODEL.measures.usage as Measure;
    expect([9.999, 10, 19.999, 20].map((value) => points(scale, value))).toEqual([0, 50, 50, 100]);
  });
  test("a line is clamped, and may fall", () => {
    expect([-1, 0, 1, 2, 3].map((value) => points({ kind: "linear", from: 0, to: 2 }, value))).toEqual([
      0, 0, 50, 100, 100,
    ]);
    expect([0, 1, 4].map((value) => points({ kind: "linear", from: 2, to: 0 }, value))).toEqual([100, 50, 0]);
  });
  test("bands that end too early give nothing", () =>
    expect(points({ kind: "bands", bands: [{ under: 1, points: 9 }] }, 5)).toBe(0));
  test("a score never passes 100 by rounding", () => {
    const model: HealthModel = {
      ...MODEL,
      measures: Object.fromEntries(
        ["a", "b", "c"].map((name) => [
          name,
          { title: "", value: "usage.x", scale: { kind: "bands", bands: [{ points: 100 }] } },
        ]),
      ),
      profiles: [{ name: "all", weights: { a: 0.1, b: 0.2, c: 0.3 } }],
    };
    expect(measureHealth(model, { "usage.x": 1 }, {}, NOW).score).toBeLessThanOrEqual(100);
  });
});

test("what a measurement reads", () => {
  expect(healthFacts(MODEL)).toEqual([
    "account.csm_view",
    "account.stage",
    "account.touch_model",
    "survey.nps",
    "tickets.opened_7d",
    "tickets.weekly_mean_8w",
    "usage.actions_7d",
  ]);
  expect(agedFacts(MODEL)).toEqual(["account.csm_view", "survey.nps", "tickets.opened_7d", "usage.actions_7d"]);
});

test("a model's hash is of its meaning: not of titles, hours, or the order of keys", () => {
  const hash = healthModelHash(MODEL);
  const { measures, ...rest } = MODEL;
  const reordered = { measures: Object.fromEntries(Object.entries(measures).reverse()), ...rest } as HealthModel;
  expect(healthModelHash(reordered)).toBe(hash);
  expect(healthModelHash({ ...MODEL, trend: { flatUnder: 9 }, evaluate: { dailyAt: "05:00", on: [] } })).toBe(hash);
  const { usage, ...others } = measures as Required<typeof measures>;
  expect(healthModelHash({ ...MODEL, measures: { ...others, usage: { ...(usage as Measure), title: "Other" } } })).toBe(
    hash,
  );
  expect(healthModelHash({ ...MODEL, version: 4 })).not.toBe(hash);
  expect(healthModelHash({ ...MODEL, minCoverage: 0.5 })).not.toBe(hash);
});

test("a change under 3 points is flat", () => {
  expect([2.99, -2.99, 3, -3, 0, undefined].map((change) => trendOf(change, MODEL))).toEqual([
    "flat",
    "flat",
    "up",
    "down",
    "flat",
    undefined,
  ]);
  expect(trendOf(0, { ...MODEL, trend: { flatUnder: 0 } })).toBe("flat");
});

test("a model without a last profile is a fault", () => {
  expect(() => measureHealth({ ...MODEL, profiles: MODEL.profiles.slice(0, 1) }, {}, {}, NOW)).toThrow("last profile");
});
