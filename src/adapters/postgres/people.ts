import { and, asc, eq, lte, sql } from "drizzle-orm";
import type { Colleague } from "../../customers/people.js";
import type { People } from "../../ports/people.js";
import type { Tx } from "../../ports/transactions.js";
import type { Instant } from "../../values/instant.js";
import { isZone, usableZone } from "../../values/zone.js";
import { accountColumns, contactColumns } from "./customers.js";
import { inside, instantParam, rowsOf } from "./database.js";
import { absences, accounts, contacts, users } from "./schema.js";

/** People from the tables that the import keeps current; as of an instant from every version of their fields. */
export function postgresPeople(): People {
  return {
    async account(tx, id, asOf) {
      const [row] = await inside(tx).select().from(accounts).where(eq(accounts.id, id));
      if (!row) return undefined;
      const fields = asOf === undefined ? row.fields : ((await fieldsAt(tx, "account", id, asOf)).get(id) ?? {});
      const { name, csmId, timezone, isTest } = asOf === undefined ? row : accountColumns(id, fields);
      // The column has a default; only the field tells whether one was given.
      return {
        id,
        name,
        csmId,
        roles: row.roles,
        timezone: usableZone(timezone),
        locale: textOf(fields.locale),
        isTest,
        calendar: textOf(fields.calendar),
        country: textOf(fields.country),
      };
    },
    async contacts(tx, accountId, asOf) {
      const rows = await inside(tx)
        .select()
        .from(contacts)
        .where(and(eq(contacts.accountId, accountId), asOf === undefined ? undefined : lte(contacts.createdAt, asOf)))
        .orderBy(asc(contacts.id));
      const then = asOf === undefined ? undefined : await fieldsAt(tx, "contact", accountId, asOf);
      return rows.map(({ fields: _, firstName, ...contact }) => {
        const { firstName: __, ...columns } = contactColumns(contact.id, then?.get(contact.id) ?? {});
        const person = then === undefined ? contact : { ...contact, ...columns };
        // One that isn't known is as none: the account's.
        return { ...person, timezone: person.timezone !== null && isZone(person.timezone) ? person.timezone : null };
      });
    },
    async directory(tx) {
      const everyone = await inside(tx).select().from(users);
      const away = await inside(tx).select().from(absences);
      return {
        colleagues: new Map(
          everyone.map((user): [string, Colleague] => [user.id, { ...user, timezone: usableZone(user.timezone) }]),
        ),
        absences: away,
      };
    },
    async colleagueBy(tx, by) {
      const is =
        "email" in by ? sql`lower(${users.email}) = ${by.email.toLowerCase()}` : eq(users.slackUserId, by.slackUserId);
      const [user] = await inside(tx).select().from(users).where(is).limit(1);
      return user && { ...user, timezone: usableZone(user.timezone) };
    },
    async keepSlackUser(tx, userId, slackUserId) {
      await inside(tx).update(users).set({ slackUserId }).where(eq(users.id, userId));
    },
  };
}

/** Each one's fields as of the instant; cleared ones are left out. */
async function fieldsAt(
  tx: Tx,
  entity: "account" | "contact",
  accountId: string,
  asOf: Instant,
): Promise<ReadonlyMap<string, Record<string, unknown>>> {
  const rows = await rowsOf<{ id: string; field: string; value: unknown }>(
    tx,
    sql`select distinct on (entity_id, field) entity_id as id, field, value from field_changes
        where entity = ${entity} and account_id = ${accountId} and at <= ${instantParam(asOf)}
        order by entity_id, field, at desc, seq desc`,
  );
  const fields = new Map<string, Record<string, unknown>>();
  for (const { id, field, value } of rows) {
    const own = fields.get(id) ?? {};
    if (value !== null) own[field] = value;
    fields.set(id, own);
  }
  return fields;
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
