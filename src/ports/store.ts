import type { Clock, ClockSetting } from "./clock.js";
import type { Customers } from "./customers.js";
import type { DueItems } from "./due.js";
import type { Events, StoredEvent } from "./events.js";
import type { FactStore } from "./facts.js";
import type { LogicalOrder } from "./order.js";
import type { Playbooks } from "./playbooks.js";
import type { PutBacks } from "./put-backs.js";
import type { Runs } from "./runs.js";
import type { Transactions, Tx } from "./transactions.js";
import type { Workflows } from "./workflows.js";

/** What is kept, as one: `postgresStore(database)`. */
export interface Store extends Transactions {
  readonly customers: Customers;
  readonly events: Events;
  readonly runs: Runs;
  readonly playbooks: Playbooks;
  readonly due: DueItems;
  readonly facts: FactStore;
}

/** What most operations need. */
export interface Ports {
  readonly store: Store;
  readonly clock: Clock;
}

/** Which dispatcher of a process has an account: `src/operations/dispatch-events.ts`. */
export interface DispatchTurns {
  look(): number;
  take(accountId: string, look: number): boolean;
  leave(accountId: string): void;
  /** False: another dispatcher of the process begins runs just now. */
  takeStarts(): boolean;
  leaveStarts(): void;
}

/** What the dispatcher needs besides. */
export interface DispatchPorts extends Ports {
  readonly workflows: Workflows;
  readonly clockSetting: ClockSetting;
  /** Absent: another run under an id of ours is always a fault. */
  readonly putBacks?: PutBacks;
  /** What else an event brings about (health, by `evaluate.on`), in its transaction, under the account's lock. Repeatable. */
  readonly react?: (tx: Tx, event: StoredEvent) => Promise<void>;
  /** Where domain time is an order (`ClockSetting.ordered`). */
  readonly order?: LogicalOrder | undefined;
  /** Shared by the dispatchers of one process. */
  readonly turns?: DispatchTurns;
  /** Told of an account whose events could not be dispatched this time; they stay pending. */
  readonly onFault?: (accountId: string, error: unknown) => void;
}
