import type { Instant } from "../values/instant.js";
import type { Tx } from "./transactions.js";

/** A live run of `holderPlaybook` pauses `playbook` for the account. `holderRun` '' with `holderPlaybook` '': an operator does. */
export interface Hold {
  readonly accountId: string;
  readonly playbook: string;
  readonly holderRun: string;
  readonly holderPlaybook: string;
  readonly since: Instant;
}

/** Counted holds, and the switches that stop sending at once. */
export interface Holds {
  /** False if it was there. */
  take(tx: Tx, hold: Hold): Promise<boolean>;
  /** Ends all that the run holds, and returns them. */
  release(tx: Tx, holderRun: string): Promise<Hold[]>;
  /** Ends an operator's. False if there was none. */
  releaseOperator(tx: Tx, accountId: string, playbook: string): Promise<boolean>;
  /** All of the account. */
  of(tx: Tx, accountId: string): Promise<Hold[]>;
  /** `all_email`, `playbook:NAME`: those that are on. */
  switches(tx: Tx): Promise<KillSwitch[]>;
  turnOn(tx: Tx, killSwitch: KillSwitch): Promise<void>;
  /** False if it was off. */
  turnOff(tx: Tx, name: string): Promise<boolean>;
}

export interface KillSwitch {
  readonly name: string;
  readonly by: string;
  readonly reason: string | null;
  readonly at: Instant;
}
