/**
 * The state of a run: plain JSON, everything the machine needs beside the plan. Continue-as-new passes it on, a query
 * shows it, a test compares it.
 */
import type { FactValue } from "../expression/expression.js";
import type { Instant } from "../values/instant.js";
import type { RunEvent } from "./event.js";
import type { TimelineEntry } from "./timeline.js";

export interface RunState {
  readonly format: 1;
  readonly run: RunIdentity;
  readonly phase: "new" | "running" | "leaving" | "exiting" | "closing" | "ended";
  /** Domain time up to which the run has walked. Never goes back. */
  readonly clock: Instant;
  /** Values of `run.inputs.NAME`. */
  readonly inputs: Readonly<Record<string, FactValue>>;
  /** Names of the holds on the run (`operator`, or `playbook:NAME`); it is held while there is one. */
  readonly holds: readonly string[];
  readonly heldSince?: Instant;
  /** The run needs attention: what failed, and why. */
  readonly parked?: { readonly at: Instant; readonly key: string; readonly reason: string };
  /** Where the run stands: instance key → position, in the order they were reached. */
  readonly positions: Readonly<Record<string, Position>>;
  /** `steps.ID.FIELD`. */
  readonly steps: Readonly<Record<string, Readonly<Record<string, FactValue>>>>;
  /** Events that a wait may still match, oldest first; at most `KEPT_EVENTS_MAX`. */
  readonly events: readonly KeptEvent[];
  /** Not yet handled, by `at`. */
  readonly inbox: readonly RunEvent[];
  /** Ids of events taken in, newest last; at most `SEEN_EVENTS_MAX`. */
  readonly seen: readonly string[];
  /** Ids not yet confirmed to the store. */
  readonly unconfirmed: readonly string[];
  /** Lines not yet written by a `perform`. */
  readonly journal: readonly TimelineEntry[];
  /** The last `seq` given to a line. */
  readonly lines: number;
  /** An event, a trigger or a fact change asks for the exits and the goal to be looked at, from facts read now. */
  readonly checkExits: boolean;
  /** The event at hand, for `event.FIELD` in exits while their facts are read. */
  readonly current?: RunEvent;
  readonly outcome?: string;
}

export interface RunIdentity {
  readonly id: string;
  readonly playbook: string;
  readonly subject: "account" | "contact";
  readonly subjectId: string;
  readonly accountId: string;
  readonly key: string;
  readonly startedAt: Instant;
}

export interface KeptEvent extends RunEvent {
  /** Instance keys of the waits that it has served: each step once. */
  readonly served: readonly string[];
}
