import type { HealthModel } from "../customers/health-model.js";
import type { Band, ChangeCause, HealthStatus, Standing } from "../customers/hysteresis.js";
import type { HealthInputs } from "../customers/measure-health.js";
import type { Model, Segments } from "../customers/model.js";
import type { Instant } from "../values/instant.js";
import type { Ports } from "./store.js";
import type { Tx } from "./transactions.js";

/** What is shown of an account's health, and what it was made of. */
export interface HealthRow extends Standing {
  readonly accountId: string;
  /** null: nothing fresh. */
  readonly score: number | null;
  /** With an override on it. */
  readonly status: HealthStatus;
  /** What the model shows by itself. */
  readonly modelStatus: HealthStatus;
  readonly coverage: number;
  readonly profile: string;
  readonly inputs: HealthInputs;
  /** `healthModelHash` of the model that made it. */
  readonly modelHash: string;
  /** The last daily evaluation that changed the row. */
  readonly dailyAt: Instant | null;
  /** Since when all of this has been so. */
  readonly at: Instant;
}

/** A CSM's word over the model's. */
export interface HealthOverride {
  readonly accountId: string;
  readonly status: Band;
  readonly reason: string;
  readonly author: string;
  readonly at: Instant;
  /** Not included. */
  readonly until: Instant;
}

export interface HealthStore {
  get(tx: Tx, accountId: string): Promise<HealthRow | undefined>;
  /** Writes the row, and a line of history where score or status differ from the line before. */
  save(tx: Tx, row: HealthRow, cause: ChangeCause): Promise<void>;
  /** By path, the newest sample, answer or change behind the account's facts up to the instant. */
  newest(
    tx: Tx,
    model: Model,
    accountId: string,
    paths: readonly string[],
    asOf: Instant,
  ): Promise<Record<string, Instant>>;
  /** An expired one is there until an evaluation has taken note of it. */
  override(tx: Tx, accountId: string): Promise<HealthOverride | undefined>;
  setOverride(tx: Tx, override: HealthOverride): Promise<void>;
  clearOverride(tx: Tx, accountId: string): Promise<void>;
  /**
   * The next accounts behind the id `after`, as many as `limit` at most, with their locks, as `lockAccounts` takes them: call it first. Their ids stay
   * where they are. undefined: there are none.
   */
  lockSpan(tx: Tx, after: string, asOf: Instant, limit: number): Promise<LockedSpan | undefined>;
  /** To be called last: throws, so that the transaction is repeated, if an account has come into the span since, whose lock nobody holds. */
  confirmSpan(tx: Tx, span: LockedSpan): Promise<void>;
  /**
   * The daily evaluation of these accounts in one statement: scores, history, expired overrides, `health.changed`. Accounts
   * that have been evaluated at the instant, or later, are left as they are. The caller holds their locks.
   */
  measureAll(
    tx: Tx,
    of: { readonly model: Model; readonly health: HealthModel; readonly accounts: AccountSpan },
    asOf: Instant,
    receivedAt: Instant,
  ): Promise<{ readonly written: number; readonly changed: number }>;
  /** How far a sweep has got, its row locked until the transaction ends; undefined before the first one. */
  sweepCursor(tx: Tx, sweep: string): Promise<SweepCursor | undefined>;
  setSweepCursor(tx: Tx, sweep: string, cursor: SweepCursor): Promise<void>;
  /** What live runs of these accounts listen to, of the facts that change by time alone. */
  listened(tx: Tx, accounts: AccountSpan): Promise<readonly ListenedFact[]>;
  /** Values as of the last sweep, `null` for absent. */
  sweptFacts(tx: Tx, accounts: AccountSpan): Promise<readonly (ListenedFact & { readonly value: unknown })[]>;
  setSweptFacts(tx: Tx, facts: readonly (ListenedFact & { readonly value: unknown })[]): Promise<void>;
  dropSweptFacts(tx: Tx, facts: readonly ListenedFact[]): Promise<void>;
}

/** Accounts that lie beside each other: ids behind `after` up to `last`, of accounts that existed at the instant. */
export interface AccountSpan {
  /** Not included. */
  readonly after: string;
  readonly last: string;
  readonly existedAt: Instant;
}

export interface LockedSpan extends AccountSpan {
  readonly count: number;
}

export interface SweepCursor {
  /** The daily instant under way, or done. */
  readonly at: Instant;
  /** The last account done; null: all are. */
  readonly after: string | null;
}

export interface ListenedFact {
  readonly accountId: string;
  /** '' where the run is about the whole account. */
  readonly contactId: string;
  readonly path: string;
}

export interface SegmentStore {
  /**
   * Puts these accounts into the segments they belong to as of the instant and out of the others, in one statement:
   * memberships, and `segment.entered` and `segment.left` where they change. The caller holds the accounts' locks.
   */
  evaluateAll(
    tx: Tx,
    of: { readonly model: Model; readonly segments: Segments; readonly accounts: AccountSpan },
    asOf: Instant,
    receivedAt: Instant,
  ): Promise<{ readonly entered: number; readonly left: number }>;
}

/** What the verbs about health and segments need. */
export interface HealthPorts extends Ports {
  readonly health: HealthStore;
  readonly segments: SegmentStore;
}
