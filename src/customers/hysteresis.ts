import type { HealthModel } from "./health-model.js";

/** The bands of a score. */
export type Band = "red" | "yellow" | "green";

export type HealthStatus = Band | "unknown";

/** What hysteresis remembers of an account. */
export interface Standing {
  /** The band in which it holds the account, also while data is short; null: never known under this model. */
  readonly band: Band | null;
  /** Daily evaluations in a row whose score lay outside that band. */
  readonly outside: number;
}

export interface StandingChange extends Standing {
  /** What the model shows: the band, or `unknown` below the coverage it asks for. */
  readonly status: HealthStatus;
  /** A band, or any status, where there was none before: no drop, whatever it is. */
  readonly isFirst: boolean;
}

/**
 * The account's next standing. The band changes when the score has left it by `hysteresis.points`, or has lain outside it
 * in `hysteresis.evaluations` daily evaluations in a row; others neither count nor interrupt, unless they find it
 * inside. Without enough coverage the status is `unknown`, and the band waits. A changed model takes the score's band at once.
 */
export function nextStanding(
  previous: Standing | undefined,
  measurement: { readonly score: number | null; readonly coverage: number },
  model: HealthModel,
  now: { readonly isDaily: boolean; readonly isModelNew: boolean },
): StandingChange {
  const held = now.isModelNew ? null : (previous?.band ?? null);
  const { score, coverage } = measurement;
  if (score === null || coverage < model.minCoverage) {
    return { band: held, outside: 0, status: "unknown", isFirst: previous === undefined };
  }
  const band = bandOf(score, model);
  if (held === null || previous === undefined) return { band, outside: 0, status: band, isFirst: true };
  if (band === held) return { band, outside: 0, status: band, isFirst: false };
  const outside = previous.outside + (now.isDaily ? 1 : 0);
  const hasStayedOut = now.isDaily && outside >= model.hysteresis.evaluations;
  return leftBy(score, held, model) >= model.hysteresis.points || hasStayedOut
    ? { band, outside: 0, status: band, isFirst: false }
    : { band: held, outside, status: held, isFirst: false };
}

/** The band that the score lies in; half-open, so that every score lies in one. */
export function bandOf(score: number, model: HealthModel): Band {
  if (score < model.status.yellow) return "red";
  return score < model.status.green ? "yellow" : "green";
}

/**
 * Why what is shown changed. An override and its expiry come before all, as they were what changed; then a new model, then
 * a first status. Triggers enrol on `data` only.
 */
export type ChangeCause = "override" | "expiry" | "model" | "first" | "data";

/** See `ChangeCause`. `isByOverride`: it was measured because an override was set or removed. */
export function causeOf(of: {
  readonly isByOverride: boolean;
  readonly hasExpired: boolean;
  readonly isModelNew: boolean;
  readonly isFirst: boolean;
}): ChangeCause {
  if (of.isByOverride) return "override";
  if (of.hasExpired) return "expiry";
  if (of.isModelNew) return "model";
  return of.isFirst ? "first" : "data";
}

/** Points between the score and the nearest edge of the band that it lies outside of. */
function leftBy(score: number, band: Band, { status }: HealthModel): number {
  const from = status[band];
  if (score < from) return from - score;
  return score - (band === "red" ? status.yellow : status.green);
}
