import type { Instant } from "../values/instant.js";
import type { Tx } from "./transactions.js";

/**
 * The ledger of e-mail and Slack: one row per message, and the fence that lets each go at most once. States:
 * `pending → claimed → wire → sent | rejected | retry | unknown → resolved | held`; `skipped` and `withdrawn` end a row of which nothing was on the
 * wire. Every change is compare-and-set on key, token and status; leases are real time by the ledger's own clock. Source: channels.md, "The fence".
 */
export interface Ledger {
  /** Adds the rows that are not there yet, as `pending`, and returns all of them as they are, in the order given. */
  pin(tx: Tx, rows: readonly NewDelivery[]): Promise<DeliveryRow[]>;

  /** `pin` and `claim` of one row as one. undefined, and nothing changed: it was there already. */
  pinClaimed(
    tx: Tx,
    row: NewDelivery,
    token: string,
    leaseMs: number,
    at: Instant,
  ): Promise<ClaimedDelivery | undefined>;

  read(tx: Tx, key: string): Promise<DeliveryRow | undefined>;

  readById(tx: Tx, id: string): Promise<DeliveryRow | undefined>;

  /**
   * Slack messages of no run (`runId` null: tasks, reminders, digests, alarms) that can go on: not begun, or begun at least `idleMs` of real time
   * ago and left. The oldest first.
   */
  outbox(tx: Tx, limit: number, idleMs: number): Promise<DeliveryRow[]>;

  /** The rows of one effect, by key; `runId` null: of no run. */
  ofEffect(tx: Tx, runId: string | null, effectKey: string): Promise<DeliveryRow[]>;

  /**
   * Runs, in the order of their ids and behind `after`, that have mail waiting for the reason it was deferred with; with their accounts.
   */
  deferredRuns(
    tx: Tx,
    reason: string,
    after: string,
    limit: number,
  ): Promise<{ readonly runId: string; readonly accountId: string }[]>;

  /** Rows of a run of which more may become: what may still go, is on the wire, or whose fate nobody has settled. */
  openOf(tx: Tx, runId: string): Promise<DeliveryRow[]>;

  /**
   * Takes the row over under the new token: `pending`, `claimed` by whomever (nothing was on the wire), or `retry` whose `notBefore` has
   * come. undefined: not to be had, or everything is held. `at` is what caps count by. Call it in the transaction that checked whether the message may go.
   * Throws `StorePutBack`: the row may stay claimed, for whoever claims it next.
   */
  claim(tx: Tx, key: string, token: string, leaseMs: number, at: Instant): Promise<ClaimedDelivery | undefined>;

  /**
   * `claimed → wire` while the lease runs; false: don't send. From here on the message counts as sent. `kept`: its bytes, for whoever asks after it or
   * sends it again; those of an earlier attempt stand where it is absent.
   */
  wire(tx: Tx, key: string, token: string, wireMs: number, kept?: KeptMessage): Promise<boolean>;

  /** `wire → claimed`, when it is certain that no byte was sent. */
  unwire(tx: Tx, key: string, token: string): Promise<boolean>;

  /** What came of it, from `wire` or, for a refusal before the body, from `claimed`: the row as it now is. undefined: someone else has it now. */
  settle(tx: Tx, key: string, token: string, result: DeliveryResult): Promise<DeliveryRow | undefined>;

  /**
   * `wire` whose `wireUntil` is over → `claimed` under a new token: only once the provider was asked and does not have it.
   */
  takeOver(tx: Tx, key: string, oldToken: string, newToken: string, leaseMs: number): Promise<boolean>;
  /** Leaves a row in `wire` for so long more, because the provider can't tell just now. False: someone else has it now. */
  stayOnWire(tx: Tx, key: string, token: string, ms: number): Promise<boolean>;

  /** `unknown → held` (a person looks) or `resolved` (taken as sent, or found out). */
  resolve(tx: Tx, key: string, status: "held" | "resolved", reason: string): Promise<boolean>;

  /** `held → retry`, at once: a person has it sent again. */
  reopen(tx: Tx, key: string, reason: string): Promise<boolean>;

  /** Whether the row's lease on the wire is over, and how many real milliseconds are left. */
  wireLeftMs(tx: Tx, key: string): Promise<number>;

  /** Real milliseconds until `notBefore` of a row in `retry`, and while everything is held until it is to be looked at again; 0 otherwise. */
  retryLeftMs(tx: Tx, key: string): Promise<number>;

  /** It waits until the domain instant. Only for rows of which nothing was on the wire. */
  defer(tx: Tx, key: string, until: Instant, staleAt: Instant, reason: string): Promise<boolean>;

  /** Ends a row of which nothing was on the wire: `skipped` by a decision, `withdrawn` from outside. False: it is too late, or already ended. */
  drop(tx: Tx, key: string, status: "skipped" | "withdrawn", reason: string): Promise<boolean>;
}

export type DeliveryStatus =
  | "pending"
  | "claimed"
  | "wire"
  | "sent"
  | "rejected"
  | "retry"
  | "unknown"
  | "resolved"
  | "held"
  | "skipped"
  | "withdrawn";

export interface NewDelivery {
  /** `RUN|COMMAND KEY|RECIPIENT|CHANNEL`. */
  readonly key: string;
  /** uuidv5 of the key. */
  readonly id: string;
  readonly channel: "email" | "slack";
  readonly runId: string | null;
  readonly effectKey: string;
  readonly step: string | null;
  readonly accountId: string | null;
  readonly contactId: string | null;
  /** Slack user or channel; never an e-mail address. */
  readonly recipient: string | null;
  readonly category: string | null;
  readonly template: string | null;
  readonly templateHash: string | null;
  readonly locale: string | null;
  readonly priority: number;
  readonly dueAt: Instant;
  readonly createdAt: Instant;
  /** The whole message, where it is known from the beginning. */
  readonly raw?: string | null;
}

export interface DeliveryRow extends NewDelivery {
  readonly status: DeliveryStatus;
  readonly token: string | null;
  readonly leaseUntil: Instant | null;
  readonly wireUntil: Instant | null;
  readonly notBefore: Instant | null;
  readonly attempts: number;
  readonly reason: string | null;
  readonly raw: string | null;
  readonly messageId: string | null;
  readonly deferredUntil: Instant | null;
  readonly staleAt: Instant | null;
  readonly sentAt: Instant | null;
  readonly serverMessageId: string | null;
  readonly slackChannel: string | null;
  readonly slackTs: string | null;
}

/** As a row begins. */
export function pendingRow(row: NewDelivery): DeliveryRow {
  return {
    ...row,
    status: "pending",
    token: null,
    leaseUntil: null,
    wireUntil: null,
    notBefore: null,
    attempts: 0,
    reason: null,
    raw: row.raw ?? null,
    messageId: null,
    deferredUntil: null,
    staleAt: null,
    sentAt: null,
    serverMessageId: null,
    slackChannel: null,
    slackTs: null,
  };
}

export interface ClaimedDelivery extends DeliveryRow {
  /** The database was put back to an older copy, and the message may have gone out before that: the server is to be asked first. */
  readonly mayBeOut?: boolean;
}

/** `raw` is the caller's own encoding of the whole message, envelope included. */
export interface KeptMessage {
  readonly raw: string;
  readonly messageId: string | null;
}

export type DeliveryResult =
  | {
      readonly status: "sent";
      readonly serverMessageId?: string;
      readonly slackChannel?: string;
      readonly slackTs?: string;
    }
  | { readonly status: "rejected"; readonly reason: string }
  /** `afterMs`: real milliseconds from now, by the ledger's clock. */
  | { readonly status: "retry"; readonly reason: string; readonly afterMs: number }
  | { readonly status: "unknown"; readonly reason: string };
