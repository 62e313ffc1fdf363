import type { Instant } from "../values/instant.js";

export interface HealthMeter {
  /**
   * Computes the account's score from facts as of the instant, keeps it (with history and, where the status changed, the event
   * `health.changed`) and returns what is now shown. Repeating it at the same instant changes nothing. `score` null: nothing fresh.
   */
  measure(accountId: string, asOf: Instant, cause: HealthCause): Promise<{ score: number | null; status: string }>;
}

/** `step`: a playbook asked; `event`: an event of `evaluate.on`; `daily`: the sweep, the only one that counts for the hysteresis. */
export type HealthCause = "step" | "event" | "daily";
