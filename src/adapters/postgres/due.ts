import { and, asc, eq, inArray, isNull, like, lte, ne, notInArray, sql } from "drizzle-orm";
import type { DueItem, DueItems, DueKind } from "../../ports/due.js";
import { inside } from "./database.js";
import { due } from "./schema.js";

/** Rows per statement: Postgres takes at most 65,535 parameters. */
const ROWS_PER_STATEMENT = 5_000;

/** What falls due on domain time and belongs to no run. */
export const postgresDue: DueItems = {
  async arm(tx, items) {
    for (let from = 0; from < items.length; from += ROWS_PER_STATEMENT) {
      await inside(tx)
        .insert(due)
        .values(
          items.slice(from, from + ROWS_PER_STATEMENT).map(({ id, kind, at, accountId, payload }) => ({
            id,
            kind,
            at,
            accountId: accountId ?? null,
            payload: { ...payload },
          })),
        )
        .onConflictDoUpdate({
          target: due.id,
          set: {
            kind: sql`excluded.kind`,
            at: sql`excluded.at`,
            accountId: sql`excluded.account_id`,
            payload: sql`excluded.payload`,
            doneAt: sql`null`,
          },
        });
    }
  },

  async disarm(tx, ids) {
    if (ids.length === 0) return;
    await inside(tx)
      .delete(due)
      .where(and(inArray(due.id, [...ids]), isNull(due.doneAt)));
  },

  async withPrefix(tx, prefix, accountIds) {
    const rows = await inside(tx)
      .select()
      .from(due)
      .where(
        and(
          like(due.id, `${prefix.replace(/[\\%_]/g, "\\$&")}%`),
          accountIds === undefined ? undefined : inArray(due.accountId, [...accountIds]),
        ),
      );
    return rows.map((row) => ({ ...itemOf(row), isDone: row.doneAt !== null }));
  },

  async take(tx, now, except) {
    const [row] = await inside(tx)
      .select()
      .from(due)
      .where(
        and(
          isNull(due.doneAt),
          ne(due.kind, "announced"),
          lte(due.at, now),
          except.length > 0 ? notInArray(due.id, [...except]) : undefined,
        ),
      )
      .orderBy(asc(due.at), asc(due.id))
      .limit(1)
      .for("update", { skipLocked: true });
    return row === undefined ? undefined : itemOf(row);
  },

  async done(tx, id, at) {
    await inside(tx).update(due).set({ doneAt: at }).where(eq(due.id, id));
  },
};

function itemOf(row: typeof due.$inferSelect): DueItem {
  return {
    id: row.id,
    kind: row.kind as DueKind,
    at: row.at,
    payload: row.payload,
    ...(row.accountId === null ? {} : { accountId: row.accountId }),
  };
}
