import type { RunEvent } from "../engine/event.js";
import type { Listens } from "../engine/plan.js";
import type { FactValue } from "../expression/expression.js";
import type { Instant } from "../values/instant.js";
import type { Tx } from "./transactions.js";

/** An event about a known account, ready to be kept. */
export interface NewEvent {
  /** The idempotency key: appending the same id again changes nothing. */
  readonly id: string;
  readonly name: string;
  /** Domain time. */
  readonly at: Instant;
  readonly accountId: string;
  readonly contactId?: string | undefined;
  readonly contractId?: string | undefined;
  /** For one run only. */
  readonly runId?: string | undefined;
  readonly payload?: Readonly<Record<string, FactValue>>;
  /** Fact paths that changed in the same transaction. */
  readonly changed?: readonly string[];
  /** Who brought it: `http`, `import`, `run`, `sweep`, `slack`, … */
  readonly source: string;
}

/** An event whose account, contact or contract is not known yet. */
export interface UnmatchedEvent {
  readonly id: string;
  readonly name: string;
  readonly at: Instant;
  readonly payload: Readonly<Record<string, FactValue>>;
  readonly source: string;
  /** What it named: ids under `account`, `contact`, `contract`. */
  readonly names: Readonly<Partial<Record<"account" | "contact" | "contract", string>>>;
}

/** Events that only the dispatcher reads; no run is ever told of them. */
export const INTERNAL_EVENTS = {
  /** A run was enrolled: its workflow is to be started. `{ holds }`, for the run. */
  enrolled: "run.enrolled",
} as const;

/** An event as it is kept. */
export interface StoredEvent extends RunEvent {
  readonly seq: number;
  readonly accountId: string;
  readonly contactId?: string;
  readonly contractId?: string;
  readonly runId?: string;
}

/** A run that was enrolled and has not begun. */
export interface WaitingStart {
  /** Its `INTERNAL_EVENTS.enrolled`. */
  readonly event: StoredEvent;
  /** Events of its account were handed on that happened since it was enrolled: it must be told. */
  readonly isBelated: boolean;
}

/** What an event was when it came, as far as it is kept. */
export interface KeptEvent {
  readonly name: string;
  readonly at: Instant;
  /** Ids it names or belongs to. */
  readonly names: UnmatchedEvent["names"];
  /** Dates and instants as epoch milliseconds once it is matched. */
  readonly payload: Readonly<Record<string, FactValue>>;
}

/** What an event must fit to be a run's. */
export interface EventScope {
  readonly runId: string;
  readonly accountId: string;
  readonly contactId?: string;
  readonly contractId?: string;
  readonly startedAt: Instant;
  /** The enrolling event: never the run's. */
  readonly enrolledBy?: string;
  readonly listens: Listens;
}

export interface Events {
  /**
   * Keeps the events, pending; those whose id is known are left as they are. The ids that were new. The caller holds the
   * lock of every account concerned (`lockAccounts`).
   */
  append(tx: Tx, events: readonly NewEvent[], receivedAt: Instant): Promise<ReadonlySet<string>>;
  /** Keeps events that match nobody yet; as `append`. */
  appendUnmatched(tx: Tx, events: readonly UnmatchedEvent[], receivedAt: Instant): Promise<ReadonlySet<string>>;
  /** Those of the ids that are known, with their status. */
  known(tx: Tx, ids: readonly string[]): Promise<ReadonlyMap<string, "pending" | "dispatched" | "unmatched">>;
  /** What those of the ids that are known were when they came. */
  kept(tx: Tx, ids: readonly string[]): Promise<ReadonlyMap<string, KeptEvent>>;
  /** Unmatched events that name one of these ids, oldest first. */
  unmatchedNaming(
    tx: Tx,
    names: {
      readonly account: readonly string[];
      readonly contact: readonly string[];
      readonly contract: readonly string[];
    },
  ): Promise<readonly UnmatchedEvent[]>;
  /** The oldest events that match nobody yet, at most `limit`, and how many there are. */
  unmatched(tx: Tx, limit: number): Promise<{ readonly count: number; readonly events: readonly UnmatchedEvent[] }>;
  /** Events up to `now` that came before `receivedBefore` and are still to be handed on: how many, and of whom (at most `limit` accounts). */
  stuck(
    tx: Tx,
    now: Instant,
    receivedBefore: Instant,
    limit: number,
  ): Promise<{ readonly count: number; readonly accounts: readonly string[] }>;
  /** Turns an unmatched event into a pending one; false if it is no longer unmatched. */
  match(tx: Tx, event: NewEvent): Promise<boolean>;
  /**
   * Events that match the run, happened from its start to `asOf`, and that it has not confirmed, by (at, seq); at most
   * `limit`. Both pending and dispatched ones. `inHand`: ids that it has taken in meanwhile.
   */
  undelivered(
    tx: Tx,
    scope: EventScope,
    asOf: Instant,
    limit?: number,
    inHand?: readonly string[],
  ): Promise<readonly RunEvent[]>;
  /** Accounts with pending events up to `now`, longest waiting first; with `besidesStarts` only those that have others than `INTERNAL_EVENTS.enrolled`. */
  accountsPending(
    tx: Tx,
    now: Instant,
    limit: number,
    options?: { readonly besidesStarts: boolean },
  ): Promise<readonly string[]>;
  /** The account's pending events up to `now`, by (at, seq). */
  pending(tx: Tx, accountId: string, now: Instant, limit: number): Promise<readonly StoredEvent[]>;
  /** The latest instant of what was dispatched for the account; undefined if nothing was. */
  latestDispatched(tx: Tx, accountId: string): Promise<Instant | undefined>;
  markDispatched(tx: Tx, eventId: string): Promise<void>;
  /**
   * Does `work` while nobody else dispatches for the account; false, and nothing done, if somebody does. The lock goes
   * with its holder's connection, so a killed dispatcher holds nobody up. `first`: the account's first event that is pending by `now`.
   */
  whileDispatching(
    accountId: string,
    now: Instant,
    work: (first: StoredEvent | undefined) => Promise<void>,
  ): Promise<boolean>;
  /**
   * Does `work` with runs that wait to be begun, at most `limit`, while nobody else dispatches for their accounts; the events whose ids it answers are
   * dispatched then. How many. Of an account only what comes before its other pending events. Runs of every playbook and source get the same share,
   * the longest waiting first: who enrols ten thousand keeps only themselves waiting. A killed dispatcher holds nobody up.
   */
  whileStarting(
    now: Instant,
    limit: number,
    work: (starts: readonly WaitingStart[]) => Promise<readonly string[]>,
  ): Promise<number>;
}
