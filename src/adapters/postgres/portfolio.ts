import { and, asc, count, eq, inArray } from "drizzle-orm";
import type { Portfolio } from "../../ports/desk-home.js";
import { inside } from "./database.js";
import { accounts, tasks } from "./schema.js";

/** Whose customers are whose, from the tables `accounts` and `tasks`. */
export function postgresPortfolio(): Portfolio {
  return {
    async ofCsm(tx, colleagueId, limit) {
      const rows = await inside(tx)
        .select({ id: accounts.id, name: accounts.name, openTasks: count(tasks.id) })
        .from(accounts)
        .leftJoin(tasks, and(eq(tasks.accountId, accounts.id), eq(tasks.status, "open")))
        .where(and(eq(accounts.csmId, colleagueId), eq(accounts.isTest, false)))
        .groupBy(accounts.id, accounts.name)
        .orderBy(asc(accounts.name), asc(accounts.id))
        .limit(limit);
      return rows.map((row) => ({ ...row, openTasks: Number(row.openTasks) }));
    },
    async names(tx, accountIds) {
      if (accountIds.length === 0) return new Map();
      const rows = await inside(tx)
        .select({ id: accounts.id, name: accounts.name })
        .from(accounts)
        .where(inArray(accounts.id, [...accountIds]));
      return new Map(rows.map(({ id, name }) => [id, name]));
    },
  };
}
