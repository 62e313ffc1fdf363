import type { Instant } from "../values/instant.js";
import type { Tx } from "./transactions.js";

/** Who changed what: one row for every change that a person makes, from whatever entrance. */
export interface AuditEntry {
  /** Domain time. */
  readonly at: Instant;
  /** `token:NAME`, `cli:USER`, a colleague's id. */
  readonly actor: string;
  /** `run.pause`, `task.complete`, `playbooks.publish`, … */
  readonly action: string;
  /** The id of what was changed. */
  readonly subject: string;
  /** Ids and choices; no addresses, no secrets. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

export interface Audit {
  record(tx: Tx, entry: AuditEntry): Promise<void>;
  /** Newest first; at most 500. */
  list(tx: Tx, filter?: { readonly subject?: string; readonly limit?: number }): Promise<readonly AuditEntry[]>;
}
