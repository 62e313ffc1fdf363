import type { RunEvent } from "../engine/event.js";
import type { Plan } from "../engine/plan.js";
import type { RunIdentity, RunState } from "../engine/state.js";
import type { FactValue } from "../expression/expression.js";
import type { Instant } from "../values/instant.js";
import type { ClockSetting } from "./clock.js";
import type { RunRow } from "./runs.js";

/** All that a run starts from. */
export interface RunStart {
  readonly run: RunIdentity;
  readonly plan: Plan;
  readonly inputs: Readonly<Record<string, FactValue>>;
  /** Names of the holds it starts under. */
  readonly holds: readonly string[];
  readonly clock: ClockSetting;
  /** Kept beside the run, for a store that has forgotten it. */
  readonly row?: RowOnly;
}

/** What the store knows of a run and the run itself doesn't. */
export type RowOnly = Pick<RunRow, "contractId" | "enrolledBy" | "parent">;

/** A run as Temporal remembers it. */
export interface BegunRun {
  /** Of its plan. */
  readonly hash: string;
  readonly startedAt: Instant;
  readonly row: RowOnly;
  /** Absent: it has not ended by itself. */
  readonly outcome?: string;
}

/**
 * Another run has this id: the namespace belongs to another database, or to this one before it was put back to an older copy.
 */
export class OtherRunThere extends Error {
  override readonly name = "OtherRunThere";

  constructor(
    message: string,
    readonly begun: BegunRun,
  ) {
    super(message);
  }
}

/** Runs as durable workflows. Every verb may be repeated. */
export interface Workflows {
  /** Starts the run, unless it is there already. What it ended with, if it has run to its end. Throws `OtherRunThere`. */
  start(start: RunStart): Promise<string | undefined>;
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
  /** What the run began with, and whether it has ended; undefined where it isn't remembered. */
  begun(runId: string): Promise<BegunRun | undefined>;
  /** Ids of all runs that live, as a list that may be some seconds old. */
  living(): AsyncIterable<string>;
}

export type OperatorVerb = "pause" | "resume" | "retry" | "skip" | "stop";
