import type { Instant } from "../values/instant.js";
import type { Tx } from "./transactions.js";

/** All that one person's Home tab shows. Order as given. */
export interface Home {
  readonly person: { readonly name: string; readonly timezone: string; readonly locale: string };
  readonly at: Instant;
  readonly overdue: readonly HomeTask[];
  readonly today: readonly HomeTask[];
  readonly snoozed: readonly HomeTask[];
  /** Open and due after today. */
  readonly later: number;
  /** Worst first. */
  readonly accounts: readonly HomeAccount[];
}

export interface HomeTask {
  readonly id: string;
  readonly revision: number;
  readonly title: string;
  readonly account: string;
  readonly due: Instant;
  readonly snoozedUntil?: Instant;
}

export interface HomeAccount {
  readonly name: string;
  readonly arr?: number;
  readonly healthStatus?: string;
  readonly healthScore?: number;
  readonly healthChange7d?: number;
  readonly openTasks: number;
}

export interface Portfolio {
  /** Accounts whose CSM the colleague is, without test accounts, by name; at most `limit`. */
  ofCsm(
    tx: Tx,
    colleagueId: string,
    limit: number,
  ): Promise<readonly { readonly id: string; readonly name: string; readonly openTasks: number }[]>;
  /** Names of accounts by id; unknown ones are left out. */
  names(tx: Tx, accountIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
}
