/**
 * Work on the store that happens whole or not at all. `Tx` is opaque here: every port that writes takes one, so that a
 * verb may change customers, append the events about it and arm what follows in one transaction.
 */
declare const transactionBrand: unique symbol;

/** A transaction under way (or, inside `read`, single statements without one). Only the adapter looks inside. */
export interface Tx {
  readonly [transactionBrand]: true;
}

export interface Transactions {
  /**
   * Runs `work` in one transaction; a throw rolls back and is thrown on. Repeated from the start when Postgres chose it
   * as a deadlock's victim, so `work` must do nothing outside. Throws `StoreUnavailable` when the store can't be reached.
   */
  transaction<T>(work: (tx: Tx) => Promise<T | WithCommit<T>>): Promise<T>;
  /** Reads without a transaction: each statement sees what is committed then. Throws `StoreUnavailable`. */
  read<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /**
   * Takes the accounts' advisory locks until the transaction ends, in one order, so that two can't wait for each other;
   * call it once, first, with all of them. Who appends an event or begins an effect holds the account's lock. Statements that were asked after it see what
   * was written until the lock was had, also where nobody waited for it before asking.
   */
  lockAccounts(tx: Tx, accountIds: readonly string[]): Promise<void>;
}

/**
 * What a transaction's last statement comes to, where COMMIT may travel with it instead of after its answer: whatever it answers, what was written is to
 * stay. A statement that fails takes everything back, as ever.
 */
export class WithCommit<T> {
  constructor(readonly value: Promise<T>) {
    // Whoever began the transaction hears of it.
    value.catch(() => {});
  }

  map<U>(then: (value: T) => U): WithCommit<U> {
    return new WithCommit(this.value.then(then));
  }
}

/** The store can't be reached just now: answer 503, or wait and try again. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}
