import { asc, desc, eq, gt } from "drizzle-orm";
import { auditHash } from "../../operations/verify-audit.js";
import type { Audit, AuditRow } from "../../ports/audit.js";
import { redact } from "../../values/redact.js";
import { inside } from "./database.js";
import { audit, auditHead } from "./schema.js";

const PAGE_MAX = 500;

/** The audit on Postgres. */
export function postgresAudit(): Audit {
  return {
    async record(tx, { detail, ...entry }) {
      // The head's row is the lock: who appends waits until the one before has committed.
      const [head] = await inside(tx).select().from(auditHead).for("update");
      if (head === undefined) throw new Error("the audit has no head: was the database migrated?");
      const row = {
        ...entry,
        seq: head.seq + 1,
        previous: head.hash,
        detail: detail === undefined ? null : withoutSecrets(detail),
      };
      const { detail: kept, ...rest } = row;
      const hash = auditHash(kept === null ? rest : { ...rest, detail: kept });
      await inside(tx)
        .insert(audit)
        .values({ ...row, hash });
      await inside(tx).update(auditHead).set({ seq: row.seq, hash });
    },
    async list(tx, { subject, limit = PAGE_MAX } = {}) {
      const rows = await inside(tx)
        .select()
        .from(audit)
        .where(subject === undefined ? undefined : eq(audit.subject, subject))
        .orderBy(desc(audit.seq))
        .limit(Math.min(limit, PAGE_MAX));
      return rows.map(rowOf);
    },
    async rows(tx, after, limit) {
      const rows = await inside(tx)
        .select()
        .from(audit)
        .where(gt(audit.seq, after))
        .orderBy(asc(audit.seq))
        .limit(limit);
      return rows.map(rowOf);
    },
    async head(tx) {
      const [head] = await inside(tx).select().from(auditHead);
      if (head === undefined) throw new Error("the audit has no head: was the database migrated?");
      const { seq, hash, unchained } = head;
      return { seq, hash, unchained };
    },
  };
}

function rowOf({ detail, ...row }: typeof audit.$inferSelect): AuditRow {
  return { ...row, ...(detail === null ? {} : { detail }) };
}

/** As JSON keeps it: what is hashed is what will be read. */
function withoutSecrets(detail: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return JSON.parse(redact(JSON.stringify(detail))) as Record<string, unknown>;
}
