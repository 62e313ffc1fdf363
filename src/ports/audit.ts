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

/** An entry as it is kept: each names the one before it, so that none can be changed, taken out or moved unnoticed. */
export interface AuditRow extends AuditEntry {
  /** From 1, without gaps. */
  readonly seq: number;
  /** Hash of the row before; of the first: `AUDIT_GENESIS`. null: from before rows were chained. */
  readonly previous: string | null;
  /** Over all of the row, `previous` included; null like it. */
  readonly hash: string | null;
}

/** The last row, kept apart from the rows: a cut-off tail shows. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: string;
  /** Rows up to this one are from before rows were chained. */
  readonly unchained: number;
}

/** Append-only: the store refuses to change or delete a row. */
export interface Audit {
  /**
   * Appends in the caller's transaction, the one of the change itself. Appends wait for each other until the transaction ends: call it last.
   * Addresses and tokens in `detail` are struck out.
   */
  record(tx: Tx, entry: AuditEntry): Promise<void>;
  /** Newest first; at most 500. */
  list(tx: Tx, filter?: { readonly subject?: string; readonly limit?: number }): Promise<readonly AuditRow[]>;
  /** Rows behind `after`, oldest first, `limit` at most; changed ones as they are. */
  rows(tx: Tx, after: number, limit: number): Promise<readonly AuditRow[]>;
  head(tx: Tx): Promise<AuditHead>;
}
