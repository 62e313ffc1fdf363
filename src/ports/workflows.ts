import type { RunEvent } from "../engine/event.js";
import type { Plan } from "../engine/plan.js";
import type { RunIdentity, RunState } from "../engine/state.js";
import type { FactValue } from "../expression/expression.js";
import type { ClockSetting } from "./clock.js";

/** All that a run starts from. */
export interface RunStart {
  readonly run: RunIdentity;
  readonly plan: Plan;
  readonly inputs: Readonly<Record<string, FactValue>>;
  /** Names of the holds it starts under. */
  readonly holds: readonly string[];
  readonly clock: ClockSetting;
}

/** Runs as durable workflows. Every verb may be repeated. */
export interface Workflows {
  /** Starts the run; true also when it is already there. */
  start(start: RunStart): Promise<void>;
  /** Hands an event to a live run; false if the run is gone (closed, or not known). */
  signal(runId: string, event: RunEvent): Promise<boolean>;
  /** pause | resume | retry | skip | stop, checked by the run itself: a refusal says why. */
  operate(
    runId: string,
    verb: OperatorVerb,
    by: string,
    at: number,
  ): Promise<{ ok: true } | { ok: false; reason: string }>;
  /** The live state, undefined if the run is closed or unknown. */
  state(runId: string): Promise<RunState | undefined>;
}

export type OperatorVerb = "pause" | "resume" | "retry" | "skip" | "stop";
