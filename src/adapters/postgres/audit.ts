import { desc, eq } from "drizzle-orm";
import type { Audit } from "../../ports/audit.js";
import { inside } from "./database.js";
import { audit } from "./schema.js";

const PAGE_MAX = 500;

/** The audit on Postgres. */
export function postgresAudit(): Audit {
  return {
    async record(tx, { detail, ...entry }) {
      await inside(tx)
        .insert(audit)
        .values({ ...entry, detail: detail === undefined ? null : { ...detail } });
    },
    async list(tx, { subject, limit = PAGE_MAX } = {}) {
      const rows = await inside(tx)
        .select()
        .from(audit)
        .where(subject === undefined ? undefined : eq(audit.subject, subject))
        .orderBy(desc(audit.seq))
        .limit(Math.min(limit, PAGE_MAX));
      return rows.map(({ seq, detail, ...entry }) => ({ ...entry, ...(detail === null ? {} : { detail }) }));
    },
  };
}
