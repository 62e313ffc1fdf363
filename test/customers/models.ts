import type { HealthModel } from "../../src/customers/health-model.js";
import type { Metric } from "../../src/customers/model.js";
import { parseInstant } from "../../src/values/instant.js";

/** The instant that an ISO text names. */
export function at(text: string): number {
  const instant = parseInstant(text);
  if (instant === undefined) throw new Error(`not an instant: ${text}`);
  return instant;
}

/** A metric that sums samples of 7 days, changed where a test says so. */
export function metric(more: Partial<Metric> = {}): Metric {
  return { from: "actions", aggregate: "sum", window: { amount: 7, unit: "d" }, of: "account", title: "", ...more };
}

/** Usage by bands, tickets against a usual week, NPS on a line, the CSM's view by name; two profiles. */
export const MODEL: HealthModel = {
  version: 3,
  status: { red: 0, yellow: 50, green: 75 },
  minCoverage: 0.6,
  hysteresis: { points: 5, evaluations: 2 },
  trend: { flatUnder: 3 },
  evaluate: { dailyAt: "03:00", on: ["survey.answered"] },
  measures: {
    usage: {
      title: "Usage",
      value: "usage.actions_7d",
      freshMs: 10 * 86_400_000,
      stages: ["adoption"],
      scale: { kind: "bands", bands: [{ under: 10, points: 0 }, { under: 20, points: 50 }, { points: 100 }] },
    },
    tickets: {
      title: "Tickets this week against a usual one",
      value: "tickets.opened_7d",
      dividedBy: "tickets.weekly_mean_8w",
      scale: { kind: "bands", bands: [{ under: 2, points: 100 }, { points: 20 }] },
    },
    nps: {
      title: "NPS",
      value: "survey.nps",
      freshMs: 180 * 86_400_000,
      scale: { kind: "linear", from: -100, to: 100 },
    },
    view: {
      title: "The CSM's view",
      value: "account.csm_view",
      scale: { kind: "values", values: { good: 100, at_risk: 10 } },
    },
  },
  profiles: [
    {
      name: "high",
      if: { op: "==", left: { op: "fact", path: "account.touch_model" }, right: { op: "literal", value: "high" } },
      weights: { usage: 40, tickets: 20, nps: 20, view: 20 },
    },
    { name: "low", weights: { usage: 60, nps: 40 } },
  ],
};
