/**
 * `health.yaml` as it is compiled and stored (`configurations`, kind `health`): plain JSON, expressions already checked.
 * Meaning of each key: docs/language-files.md.
 */
import type { Expression } from "../expression/expression.js";

export interface HealthModel {
  /** Raised with every change of meaning; stored with each score. */
  readonly version: number;
  /** Where each band of the score begins, half-open: red [0, yellow), yellow [yellow, green), green [green, 100]. */
  readonly status: { readonly red: 0; readonly yellow: number; readonly green: number };
  /** Share of the weight, 0..1, below which the status is `unknown`. */
  readonly minCoverage: number;
  readonly hysteresis: {
    /** The status changes at once when the score has left its band by so much. */
    readonly points: number;
    /** … or after so many daily evaluations outside it. */
    readonly evaluations: number;
  };
  readonly trend: { readonly flatUnder: number };
  readonly evaluate: {
    /** `HH:MM`, UTC. */
    readonly dailyAt: string;
    /** Events that recompute their account at once. */
    readonly on: readonly string[];
  };
  readonly measures: Readonly<Record<string, Measure>>;
  /** The first whose `if` holds; the last has none. */
  readonly profiles: readonly Profile[];
}

export interface Measure {
  readonly title: string;
  /** A fact's path, e.g. `usage.key_actions_7d`. */
  readonly value: string;
  /** A numeric fact's path; absent or 0 there: the measure is missing. */
  readonly dividedBy?: string;
  /** Older than this: missing. Absent: never stale. */
  readonly freshMs?: number;
  /** Values of `account.stage` in which it applies; absent: all. */
  readonly stages?: readonly string[];
  readonly scale: Scale;
}

/** From the raw value to 0..100 points. */
export type Scale =
  /** Ascending; the first with value < `under`; the last has none. */
  | { readonly kind: "bands"; readonly bands: readonly { readonly under?: number; readonly points: number }[] }
  /** `from` → 0, `to` → 100, clamped; `from` may be the greater. */
  | { readonly kind: "linear"; readonly from: number; readonly to: number }
  /** By a string's value; one not listed is missing. */
  | { readonly kind: "values"; readonly values: Readonly<Record<string, number>> };

export interface Profile {
  readonly name: string;
  readonly if?: Expression;
  /** Measure → weight > 0; one not named doesn't apply. */
  readonly weights: Readonly<Record<string, number>>;
}
