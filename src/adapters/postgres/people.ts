import { asc, eq, sql } from "drizzle-orm";
import type { Colleague } from "../../customers/people.js";
import type { People } from "../../ports/people.js";
import { inside } from "./database.js";
import { absences, accounts, contacts, users } from "./schema.js";

/** People as they are now, from the tables that the import keeps current. */
export function postgresPeople(): People {
  return {
    async account(tx, id) {
      const [row] = await inside(tx).select().from(accounts).where(eq(accounts.id, id));
      if (!row) return undefined;
      const { name, csmId, roles, timezone, locale, isTest, fields } = row;
      // The column has a default; only the field tells whether one was given.
      return {
        id,
        name,
        csmId,
        roles,
        timezone,
        locale,
        isTest,
        calendar: textOf(fields.calendar),
        country: textOf(fields.country),
      };
    },
    async contacts(tx, accountId) {
      const rows = await inside(tx)
        .select()
        .from(contacts)
        .where(eq(contacts.accountId, accountId))
        .orderBy(asc(contacts.id));
      return rows.map(({ fields, firstName, ...contact }) => contact);
    },
    async directory(tx) {
      const everyone = await inside(tx).select().from(users);
      const away = await inside(tx).select().from(absences);
      return {
        colleagues: new Map(everyone.map((user): [string, Colleague] => [user.id, user])),
        absences: away,
      };
    },
    async colleagueBy(tx, by) {
      const is =
        "email" in by ? sql`lower(${users.email}) = ${by.email.toLowerCase()}` : eq(users.slackUserId, by.slackUserId);
      return (await inside(tx).select().from(users).where(is).limit(1))[0];
    },
    async keepSlackUser(tx, userId, slackUserId) {
      await inside(tx).update(users).set({ slackUserId }).where(eq(users.id, userId));
    },
  };
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
