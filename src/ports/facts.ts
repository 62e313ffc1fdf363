import type { FactValue } from "../expression/expression.js";
import type { Model } from "../customers/model.js";
import type { Instant } from "../values/instant.js";
import type { Tx } from "./transactions.js";

/** What facts are read about. */
export interface FactSubject {
  readonly accountId: string;
  readonly contactId?: string;
  /** The contract that `contract.…` means; absent: the account's current one as of the instant. */
  readonly contractId?: string;
  /** For `tasks.…` and the milestones of this run. */
  readonly runId?: string;
}

export interface FactReader {
  /**
   * Values by path, as of the instant: later rows are ignored, absent facts left out. Dates and instants are epoch
   * milliseconds; a date without a time is the start of that day in the account's zone. Paths: `docs/language-files.md`.
   */
  read(subject: FactSubject, paths: readonly string[], asOf: Instant): Promise<Record<string, FactValue>>;
}

/** A date as it was given: a day of the account's zone, or an instant. */
export type FactDate = { readonly date: string; readonly zone: string } | { readonly at: Instant };

/** Facts of many at once, dates as days, and facts inside a transaction. */
export interface FactStore extends FactReader {
  /**
   * The date behind a path as it was given; undefined if absent. A day means `policy.dates_at` in the account's zone
   * where something is counted from it (`around`, `before`, `wait until`).
   */
  readDate(subject: FactSubject, path: string, asOf: Instant): Promise<FactDate | undefined>;
  /** As `readDate`, for each subject in its place. */
  readDates(subjects: readonly FactSubject[], path: string, asOf: Instant): Promise<readonly (FactDate | undefined)[]>;
  /** As `read`, for each subject in its place; one round trip per group of tables whatever their number. */
  readMany(
    subjects: readonly FactSubject[],
    paths: readonly string[],
    asOf: Instant,
  ): Promise<readonly Readonly<Record<string, FactValue>>[]>;
  /** The same reader inside a transaction: it sees what that has written. */
  within(tx: Tx): FactStore;
  /** The same reader by this model, as it was published when the caller looked: who reads often looks once. */
  under(model: Model | undefined): FactStore;
}
