import { and, asc, eq, lte, sql } from "drizzle-orm";
import type { Absence, Colleague } from "../../customers/people.js";
import type { AccountCard, ContactCard, People } from "../../ports/people.js";
import type { Tx } from "../../ports/transactions.js";
import type { Instant } from "../../values/instant.js";
import { isZone, usableZone } from "../../values/zone.js";
import { accountColumns, contactColumns } from "./customers.js";
import { inside } from "./database.js";
import { absences, accounts, contacts, users } from "./schema.js";
import { ask, isoOf, jsonRow } from "./statement.js";

/** People from the tables that the import keeps current; as of an instant from every version of their fields. */
export function postgresPeople(): People {
  return {
    async account(tx, id, asOf) {
      const [row] = await inside(tx).select().from(accounts).where(eq(accounts.id, id));
      return row && accountCard(row, asOf === undefined ? undefined : await fieldsAt(tx, ["account"], id, asOf));
    },
    async contacts(tx, accountId, asOf) {
      const rows = await inside(tx)
        .select()
        .from(contacts)
        .where(and(eq(contacts.accountId, accountId), asOf === undefined ? undefined : lte(contacts.createdAt, asOf)))
        .orderBy(asc(contacts.id));
      const then = asOf === undefined ? undefined : await fieldsAt(tx, ["contact"], accountId, asOf);
      return rows.map((row) => contactCard(row, then));
    },
    async around(tx, accountId, asOf) {
      const [[row], then] = await Promise.all([
        ask<{ account: AccountRow; contacts: ContactRow[]; version: string }>(tx, AROUND, [
          accountId,
          asOf === undefined ? null : isoOf(asOf),
        ]),
        asOf === undefined ? undefined : fieldsAt(tx, ["account", "contact"], accountId, asOf),
      ]);
      return (
        row && {
          account: accountCard(row.account, then),
          contacts: row.contacts.map((contact) => contactCard(contact, then)),
          version: row.version,
        }
      );
    },
    async directory(tx) {
      const [row] = await ask<{ users: (typeof users.$inferSelect)[]; absences: Absence[] }>(tx, DIRECTORY, []);
      return {
        colleagues: new Map(
          (row?.users ?? []).map((user): [string, Colleague] => [
            user.id,
            { ...user, timezone: usableZone(user.timezone) },
          ]),
        ),
        absences: row?.absences ?? [],
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

const FIELDS_AT = `select distinct on (entity, entity_id, field) entity, entity_id as id, field, value from field_changes
  where entity = any($1::text[]) and account_id = $2 and at <= $3::timestamptz
  order by entity, entity_id, field, at desc, seq desc`;

type AccountRow = typeof accounts.$inferSelect;
type ContactRow = typeof contacts.$inferSelect;

/** SQL: changes with every write to the account or one of its contacts, also with one that comes or goes. */
export function peopleVersion(accountId: string): string {
  return `(select va.xmin::text || ':' || coalesce((select string_agg(vc.id || ' ' || vc.xmin::text, ',' order by vc.id) from contacts vc
    where vc.account_id = va.id), '') from accounts va where va.id = ${accountId})`;
}

const AROUND = `select ${jsonRow(accounts, "a")} as account, ${peopleVersion("$1")} as version,
  (select coalesce(json_agg(${jsonRow(contacts, "c")} order by c.id), '[]') from contacts c
   where c.account_id = a.id and ($2::timestamptz is null or c.created_at <= $2::timestamptz)) as contacts
  from accounts a where a.id = $1`;

const DIRECTORY = `select (select coalesce(json_agg(${jsonRow(users, "u")}), '[]') from users u) as users,
  (select coalesce(json_agg(${jsonRow(absences, "b")}), '[]') from absences b) as absences`;

/** Each one's fields at some instant, by `ENTITY/ID`. */
type FieldsThen = ReadonlyMap<string, Record<string, unknown>>;

function accountCard(row: AccountRow, then: FieldsThen | undefined): AccountCard {
  const fields = then === undefined ? row.fields : (then.get(`account/${row.id}`) ?? {});
  const { name, csmId, timezone, isTest } = then === undefined ? row : accountColumns(row.id, fields);
  // The column has a default; only the field tells whether one was given.
  return {
    id: row.id,
    name,
    csmId,
    roles: row.roles,
    timezone: usableZone(timezone),
    locale: textOf(fields.locale),
    isTest,
    calendar: textOf(fields.calendar),
    country: textOf(fields.country),
  };
}

function contactCard({ fields: _, firstName, ...contact }: ContactRow, then: FieldsThen | undefined): ContactCard {
  const { firstName: __, ...columns } = contactColumns(contact.id, then?.get(`contact/${contact.id}`) ?? {});
  const person = then === undefined ? contact : { ...contact, ...columns };
  // One that isn't known is as none: the account's.
  return { ...person, timezone: person.timezone !== null && isZone(person.timezone) ? person.timezone : null };
}

/** Fields of these as of the instant; cleared ones are left out. */
async function fieldsAt(
  tx: Tx,
  entities: readonly ("account" | "contact")[],
  accountId: string,
  asOf: Instant,
): Promise<FieldsThen> {
  const rows = await ask<{ entity: string; id: string; field: string; value: unknown }>(tx, FIELDS_AT, [
    entities,
    accountId,
    isoOf(asOf),
  ]);
  const fields = new Map<string, Record<string, unknown>>();
  for (const { entity, id, field, value } of rows) {
    const own = fields.get(`${entity}/${id}`) ?? {};
    if (value !== null) own[field] = value;
    fields.set(`${entity}/${id}`, own);
  }
  return fields;
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
