import type { FactValue } from "../expression/expression.js";
import type { Instant } from "../values/instant.js";

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
