import { expect, test } from "vitest";
import { type ExplainedHealth, explainHealth, healthExplanationText } from "../../src/customers/explain-health.js";
import type { HealthModel } from "../../src/customers/health-model.js";
import { healthModelHash, measureHealth } from "../../src/customers/measure-health.js";
import type { FactValue } from "../../src/expression/expression.js";
import { at, MODEL } from "./models.js";

const NOW = at("2026-06-01T03:00Z");
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

function kept(facts: Record<string, FactValue>, more: Partial<ExplainedHealth> = {}): ExplainedHealth {
  const newest = { "usage.actions_7d": NOW - DAY, "survey.nps": NOW - 200 * DAY };
  const measurement = measureHealth(MODEL, facts, newest, NOW);
  return {
    ...measurement,
    status: "yellow",
    modelStatus: "yellow",
    band: "yellow",
    outside: 0,
    modelHash: healthModelHash(MODEL),
    at: NOW,
    ...more,
  };
}

test("inputs, ages, bands, weights and model version", () => {
  const explanation = explainHealth(MODEL, kept(FACTS), undefined, { "7d": -15, "30d": 1 });
  expect(explanation).toMatchObject({
    score: 55,
    coverage: 0.8,
    minCoverage: 0.6,
    model: { version: 3, isCurrent: true },
    trend: { "7d": "down", "30d": "flat" },
  });
  expect(explanation.measures[2]).toEqual({
    measure: "usage",
    title: "Usage",
    weight: 40,
    value: 15,
    ratio: 15,
    points: 50,
    rule: "10 to under 20",
    ageMs: DAY,
    freshMs: 10 * DAY,
    contribution: 25,
  });
  expect(healthExplanationText(explanation)).toBe(
    [
      "yellow: score 55, coverage 80 %, profile high, model version 3",
      "so since 2026-06-01T03:00:00Z",
      "trend against 7d ago: down",
      "trend against 30d ago: flat",
      "- NPS: 50 — data too old, weight 20, newest 200 d old (limit 180 d)",
      "- Tickets this week against a usual one: 4 of 2 = 2 → 20 points (2 and more), adds 5, weight 20",
      "- Usage: 15 → 50 points (10 to under 20), adds 25, weight 40, newest 1 d old (limit 10 d)",
      '- The CSM\'s view: good → 100 points ("good"), adds 25, weight 20',
    ].join("\n"),
  );
});

test("an override, a band held by hysteresis, an earlier model", () => {
  const override = { status: "green" as const, reason: "renewal signed", author: "u-1", at: NOW, until: NOW + DAY };
  const text = healthExplanationText(
    explainHealth(
      MODEL,
      kept(FACTS, { status: "green", modelStatus: "green", band: "green", outside: 1, modelHash: "old" }),
      override,
    ),
  );
  expect(text).toContain("u-1 says green until 2026-06-02T03:00:00Z: renewal signed (the model: green)");
  expect(text).toContain("kept green: the score has been outside it for 1 daily evaluation so far");
  expect(text).toContain("made with an earlier health model");
  const twice = explainHealth(MODEL, kept(FACTS, { band: "green", outside: 2 }), undefined);
  expect(healthExplanationText(twice)).toContain("2 daily evaluations");
});

test("unknown, with every reason for a gap", () => {
  const facts = {
    "account.touch_model": "high",
    "account.csm_view": "constructor",
    "account.stage": "onboarding",
    "tickets.opened_7d": 3,
  };
  const explanation = explainHealth(
    MODEL,
    kept(facts, { status: "unknown", modelStatus: "unknown", band: null }),
    undefined,
  );
  expect(explanation.trend).toEqual({ "7d": null, "30d": null });
  expect(healthExplanationText(explanation).split("\n")).toEqual([
    "unknown: no score, coverage 0 %, profile high, model version 3",
    "so since 2026-06-01T03:00:00Z",
    "unknown, because fresh data covers less than 60 % of the weight",
    "- NPS: — no data, weight 20, newest 200 d old (limit 180 d)",
    "- Tickets this week against a usual one: 3 — nothing to compare with, weight 20",
    "- Usage: — doesn't apply at this stage, weight 40 (limit 10 d)".replace(" (limit 10 d)", ""),
    "- The CSM's view: constructor — value has no points, weight 20",
  ]);
});

test("measures that the current model doesn't know any more, or scores by other rules", () => {
  const health = kept({ ...FACTS, "usage.actions_7d": 1, "survey.nps": 0 });
  const { usage: _usage, ...measures } = MODEL.measures;
  const model: HealthModel = {
    ...MODEL,
    measures: {
      ...measures,
      tickets: { title: "Tickets", value: "tickets.opened_7d", scale: { kind: "bands", bands: [{ points: 20 }] } },
      view: { title: "View", value: "account.csm_view", scale: { kind: "linear", from: 0, to: 5 } },
    },
  };
  const lines = healthExplanationText(explainHealth(model, health, undefined)).split("\n");
  expect(lines).toContain("- usage: 1 → 0 points, adds 0, weight 40, newest 1 d old");
  expect(lines).toContain("- Tickets: 4 of 2 = 2 → 20 points (any value), adds 5, weight 20");
  expect(lines).toContain("- View: good → 100 points (0 gives 0, 5 gives 100), adds 25, weight 20");
  const low = explainHealth(MODEL, kept({ ...FACTS, "usage.actions_7d": 1 }), undefined);
  expect(low.measures[2]?.rule).toBe("under 10");
  const odd = {
    ...health,
    inputs: { ...health.inputs, measures: [{ measure: "x", weight: 1, value: 1, divisor: 0 }] },
  };
  expect(healthExplanationText(explainHealth(model, odd, undefined))).toContain("- x: 1 of 0 — , weight 1");
});
