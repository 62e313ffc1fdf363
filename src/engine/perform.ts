/**
 * The one conversation between a driver and the world: `perform`. The Temporal worker answers it from Postgres, SMTP and
 * Slack (`src/operations/perform.ts`), the simulator from memory (`src/simulation/world.ts`).
 */
import type { Instant } from "../values/instant.js";
import type { Command, Outcome } from "./command.js";
import type { RunEvent } from "./event.js";
import type { TimelineEntry } from "./timeline.js";

export interface PerformRequest {
  /** The run's id; what else is fixed of it (account, subject, plan) the store knows. */
  readonly run: string;
  /** Domain instant at which the commands fall due. */
  readonly asOf: Instant;
  /** Ids of events that the run has taken in, and will still know of whatever happens: they are never handed over again. */
  readonly confirm: readonly string[];
  /**
   * Ids of events that the run has in hand but could still lose, with the workflow task it is in: not handed over by this call, nor confirmed.
   * Absent: none.
   */
  readonly have?: readonly string[];
  /** Timeline lines since the last call, each kept once by its `seq`, the latest word of it; not written if events turn up before anything is begun. */
  readonly entries: readonly TimelineEntry[];
  /** `running`, `held`, `parked`, `exiting`, `ended` and where the run stands, for the projection. */
  readonly status: string;
  readonly position: readonly string[];
  /** In order; may be empty. */
  readonly commands: readonly Command[];
  /** Set where the driver wants it known (`World.tellsRest`), without commands: when the run wakes next; null: when it is told of something. */
  readonly rests?: Instant | null;
}

export interface PerformResponse {
  /**
   * Undelivered events for the subject that the run listens to, with `at` ≤ `asOf`, in order. If there are any when
   * the call begins, nothing is begun or written but `confirm` (`outcomes` is empty, and the run may think again); if one
   * turns up between two commands, the later one is not begun.
   */
  readonly events: readonly RunEvent[];
  /** True: what the run brought along is written, although no command has an outcome yet; it can't be taken back any more. */
  readonly isWritten?: boolean;
  /** Outcomes by command key, for a prefix of the commands. */
  readonly outcomes: Readonly<Record<string, Outcome>>;
  /** Set: this command must be retried with backoff as an activity of its own; later commands were not begun. */
  readonly retry?: { readonly key: string; readonly notBefore: Instant };
  /** Set: the store has the run's end already, with this outcome; nothing was begun. The run is over. */
  readonly ended?: string;
}
