/**
 * The state of a run: plain JSON, everything the machine needs beside the plan. Continue-as-new passes it on, a query
 * shows it, a test compares it.
 */
import type { FactValue } from "../expression/expression.js";
import type { Instant } from "../values/instant.js";
import type { SkipReason } from "./command.js";
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
  /** Tasks that are open, by the instance key of their step: what withdraws a branch cancels them. */
  readonly openTasks: Readonly<Record<string, { readonly path: string; readonly task: string }>>;
  /** Events that a wait may still match, oldest first; at most `KEPT_EVENTS_MAX`. */
  readonly events: readonly KeptEvent[];
  /** How many events were handled. */
  readonly handled: number;
  /** Not yet handled, by `at`. An event is taken out when the clock reaches it. */
  readonly inbox: readonly RunEvent[];
  /** Ids of events taken in, newest last; at most `SEEN_EVENTS_MAX`. */
  readonly seen: readonly string[];
  /** Ids not yet confirmed to the store, in the order in which they came. */
  readonly unconfirmed: readonly string[];
  /** Lines not yet written by a `perform`. */
  readonly journal: readonly TimelineEntry[];
  /** The last `seq` given to a line. */
  readonly lines: number;
  /** The exits and the goal are to be looked at before anything else happens; `event` is what asked for it. */
  readonly exitCheck?: { readonly event?: RunEvent };
  /** Commands outside any step that are still to be answered, by key: `hold`, `leave`, `close`, `park`. */
  readonly chores: Readonly<Record<string, Chore>>;
  readonly outcome?: string;
}

export type Chore =
  | { readonly kind: "hold" }
  | { readonly kind: "park"; readonly reason: string }
  | { readonly kind: "leave"; readonly openTasks: "cancel" | "keep"; readonly deferredEmail: "cancel" | "keep" }
  | { readonly kind: "close" }
  | { readonly kind: "withdraw"; readonly path: string; readonly email: string; readonly reason: SkipReason }
  | { readonly kind: "withdraw_task"; readonly path: string; readonly task: string }
  | { readonly kind: "tighten"; readonly path: string; readonly task: string };

/** One place where a run stands: an active step, or a container whose children are active. */
export interface Position {
  /** The step's path in the plan. */
  readonly path: string;
  /** Instance key of the container, '' for the root and for `on_exit`. */
  readonly parent: string;
  /** When it was reached, and how many events had been handled by then. */
  readonly at: Instant;
  readonly handled: number;
  /**
   * guard: its `if` is to be read · do: its effect is asked for · deferred: an e-mail waits for its window · arm: a timer
   * is to be resolved · wait: the timer runs · confirm: the timer fired and is resolved once more · decide: facts are to
   * be read for a branch · body: children are active · parked: it failed, a person must say what next.
   */
  readonly phase: "guard" | "do" | "deferred" | "arm" | "wait" | "confirm" | "decide" | "body" | "parked";
  /** How often an operator had it tried again: part of the effect's key, because it is a new attempt. */
  readonly retries?: number;
  /** Values computed from facts before the effect: `set`'s value, `play`'s inputs, a task's due as an index of `dueIf`. */
  readonly prepared?: Readonly<Record<string, FactValue>>;
  /** task and play: when the wait behind the effect began. */
  readonly waitFrom?: Instant;
  readonly timer?: Timer;
  /** Facts are to be read and the condition looked at (again). */
  readonly recheck?: boolean;
  /** confirm: the timer has been found to stand. */
  readonly confirmed?: boolean;
  /** deferred e-mail: recipients already told of in the timeline, as `contact result until`. */
  readonly told?: readonly string[];
  readonly staleAt?: Instant;
  /** e-mail: how long the run was held meanwhile; its time to be sent is extended by that. */
  readonly heldMs?: number;
  /** parked: why. */
  readonly failure?: string;
  /** wait_for with `all`: which of its leaves have been met, by index path. */
  readonly met?: readonly string[];
  /** body of a parallel: branches not yet over. */
  readonly open?: readonly string[];
  /** repeat: which iteration, and when it began. */
  readonly count?: number;
  readonly iterationAt?: Instant;
  readonly blocks?: readonly Block[];
}

export interface Timer {
  readonly due: Instant;
  /** What it was counted from. */
  readonly from: Instant;
  /** By how much holds have moved it. */
  readonly shift: number;
  /** Absolute ones are not extended by a hold. */
  readonly isAbsolute: boolean;
  /** Exact ones need no calendar: never resolved again. */
  readonly isExact: boolean;
}

export interface Block {
  readonly status: "arming" | "armed" | "confirm" | "running" | "done" | "skipped";
  readonly due?: Instant;
  /** It was skipped for this `due` (absent: for want of one), and that was said. */
  readonly wasSkipped?: boolean;
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
  /** The how many-th event it was: a wait with `since: wait` sees only later ones. */
  readonly order: number;
  /** Instance keys of the waits that it has served: each step once. */
  readonly served: readonly string[];
}
