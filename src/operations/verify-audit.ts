import type { Audit, AuditHead, AuditRow } from "../ports/audit.js";
import type { Transactions } from "../ports/transactions.js";
import { canonicalJson } from "../values/canonical-json.js";
import { sha256Hex } from "../values/sha256.js";

/** What the first row names as the one before it. */
export const AUDIT_GENESIS = "0".repeat(64);

/** The hash of a row: SHA-256 of everything in it, the hash of the row before included, as canonical JSON. */
export function auditHash({ seq, at, actor, action, subject, detail, previous }: Omit<AuditRow, "hash">): string {
  return sha256Hex(canonicalJson({ seq, at, actor, action, subject, detail: detail ?? null, previous }));
}

/** A place where the audit is not what was written. */
export interface AuditProblem {
  /** `head`: the rows don't end where the head says; `anchor`: a head that was noted elsewhere is not among them. */
  readonly what: "changed" | "missing" | "unlinked" | "head" | "anchor";
  readonly seq: number;
  readonly message: string;
}

export interface AuditReport {
  readonly rows: number;
  readonly head: AuditHead;
  /** The first 100. */
  readonly problems: readonly AuditProblem[];
}

const PAGE = 1_000;
const PROBLEMS_MAX = 100;

/**
 * Reads the whole audit and finds rows that were changed, taken out, put in or moved, and a tail that was cut off. Who can write the
 * tables at will can forge rows and head together: that shows only against an `anchor`, a head noted elsewhere before.
 * Rows that are appended meanwhile are left for the next time.
 */
export async function verifyAudit(
  { store, audit }: { readonly store: Pick<Transactions, "read">; readonly audit: Pick<Audit, "rows" | "head"> },
  anchor?: { readonly seq: number; readonly hash: string },
): Promise<AuditReport> {
  const head = await store.read((tx) => audit.head(tx));
  const problems: AuditProblem[] = [];
  const found = (what: AuditProblem["what"], seq: number, message: string) => {
    if (problems.length < PROBLEMS_MAX) problems.push({ what, seq, message });
  };
  let [rows, seq, hash] = [0, 0, AUDIT_GENESIS];
  let isAnchored = anchor === undefined || (anchor.seq === 0 && anchor.hash === AUDIT_GENESIS);
  for (let after = 0; ; ) {
    const page = await store.read((tx) => audit.rows(tx, after, PAGE));
    for (const row of page) {
      after = row.seq;
      if (row.seq > head.seq) continue;
      rows += 1;
      // Numbers from before rows were chained had gaps of their own.
      if (row.seq !== seq + 1 && row.seq > head.unchained)
        found("missing", seq + 1, `${row.seq - seq - 1} row(s) before row ${row.seq} are gone`);
      seq = row.seq;
      if (row.seq <= head.unchained && row.hash === null) continue;
      if (row.hash !== auditHash(row)) found("changed", row.seq, `row ${row.seq} is not as it was written`);
      if (row.previous !== hash) found("unlinked", row.seq, `row ${row.seq} does not follow the row before it`);
      hash = row.hash ?? auditHash(row);
      if (anchor !== undefined && row.seq === anchor.seq && hash === anchor.hash) isAnchored = true;
    }
    if (page.length < PAGE) break;
  }
  if (seq !== head.seq || hash !== head.hash)
    found("head", head.seq, `the audit ends with row ${seq}, but row ${head.seq} was the last written`);
  if (!isAnchored && anchor !== undefined)
    found("anchor", anchor.seq, `row ${anchor.seq} is not the one whose hash was noted`);
  return { rows, head, problems };
}
