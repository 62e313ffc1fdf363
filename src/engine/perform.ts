/**
 * The conversation between a driver and the world. A driver has a run walk one *stretch*: everything that it does until it must wait. The
 * Temporal worker answers from Postgres, SMTP and Slack (`src/operations/perform.ts`), the simulator from memory (`src/simulation/world.ts`).
 */
import type { Instant } from "../values/instant.js";
import type { Command, Outcome } from "./command.js";
import type { RunEvent } from "./event.js";
import type { RunState } from "./state.js";

/** One stretch of a run, asked for by its driver. May be asked again: the same answer is given, once there is one. */
export interface PerformRequest {
  /** The run's id; what else is fixed of it (account, subject, plan) the store knows. */
  readonly run: string;
  /** As the last stretch left it, with `turns`: how many there were. Travels only in memory: a local activity's input is in no history. */
  readonly state: RunState;
  /** Events that have reached the driver, for the run to take in first. */
  readonly offered: readonly RunEvent[];
  /** What the domain clock shows the driver: timers due by then may fire. */
  readonly reached: Instant;
  /** Stretches up to this one can't be asked for again: the driver's own record of them is durable. */
  readonly durable: number;
}

/** What happened in a stretch, in order: with it the driver brings its own state to where the run now stands. */
export interface PerformResponse {
  readonly log: readonly LogItem[];
  /** The run waits for its next timer or an event. False: time was up, or `retry`; ask again. */
  readonly isResting: boolean;
  /** When it has something to do by itself; absent: when it is told of something. */
  readonly wakesAt?: Instant;
  /** This command must be retried with backoff, as an activity of its own. */
  readonly retry?: string;
  /** The store has the run's end already, with this outcome; nothing was begun. The run is over. */
  readonly ended?: string;
}

/** One thing that moved the machine. */
export type LogItem =
  | { readonly kind: "start"; readonly at: Instant }
  | { readonly kind: "tick"; readonly at: Instant }
  /** One of the offered events was taken in. */
  | { readonly kind: "took"; readonly id: string }
  /** An event that the store had for the run. */
  | { readonly kind: "event"; readonly event: RunEvent }
  | { readonly kind: "performed"; readonly key: string; readonly outcome: Outcome };

/** One command, tried until it is settled. */
export interface PersistRequest {
  readonly run: string;
  /** How many stretches were walked before. */
  readonly turns: number;
  readonly asOf: Instant;
  readonly command: Command;
}

/** What came of asking for one command. */
export type Answer =
  | { readonly kind: "outcome"; readonly outcome: Outcome }
  /** Not begun: the run must hear of these first. None: not begun, and asked again. */
  | { readonly kind: "events"; readonly events: readonly RunEvent[] }
  /** A delivery that must be tried again, in so many real milliseconds. */
  | { readonly kind: "retry"; readonly afterMs: number }
  /** Not begun: something that comes earlier is not done yet (only where domain time is an order). */
  | { readonly kind: "later" }
  /** The store has the run's end already, with this outcome. */
  | { readonly kind: "ended"; readonly outcome: string };
