import type { Instant } from "../values/instant.js";
import type { Tx } from "./transactions.js";

/** Risks and opportunities that playbooks raise, for people to see and to report on. */
export interface Concerns {
  /** Raising the same id again changes nothing. */
  raiseRisk(tx: Tx, risk: Risk): Promise<void>;
  raiseOpportunity(tx: Tx, opportunity: Opportunity): Promise<void>;
  /** Newest first. */
  risks(tx: Tx, accountId: string): Promise<Risk[]>;
  opportunities(tx: Tx, accountId: string): Promise<Opportunity[]>;
}

export interface Risk {
  /** The effect's key. */
  readonly id: string;
  readonly accountId: string;
  readonly runId: string;
  readonly risk: string;
  readonly severity: string;
  readonly text: string | null;
  readonly at: Instant;
}

export interface Opportunity {
  readonly id: string;
  readonly accountId: string;
  readonly runId: string;
  readonly opportunity: string;
  readonly text: string | null;
  readonly at: Instant;
}
