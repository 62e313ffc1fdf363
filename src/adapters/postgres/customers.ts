import { and, asc, eq, inArray, notInArray, sql } from "drizzle-orm";
import { firstValues } from "../../customers/model.js";
import {
  type CustomerBatch,
  type CustomerKind,
  type Customers,
  type EntityRow,
  type FieldValue,
  noRows,
  type Place,
  type UpsertResult,
} from "../../ports/customers.js";
import type { Tx } from "../../ports/transactions.js";
import type { Instant } from "../../values/instant.js";
import { usableZone } from "../../values/zone.js";
import { inside, instantParam, rowsOf, textArray } from "./database.js";
import {
  absences,
  accounts,
  contacts,
  contracts,
  fieldChanges,
  goals,
  milestones,
  samples,
  segmentMembers,
  surveyAnswers,
  tickets,
  users,
} from "./schema.js";

/** Rows per statement: Postgres takes at most 65,535 parameters. */
const ROWS_PER_STATEMENT = 2_000;

/** Accounts, the people on both sides, contracts, and what is measured of them. */
export const postgresCustomers: Customers = {
  async accountsOf(tx, batch) {
    const named = [
      ...(batch.accounts ?? []).map((row) => row.id),
      ...[batch.contacts, batch.contracts].flatMap((rows) => (rows ?? []).flatMap((row) => row.accountId ?? [])),
      ...[batch.samples, batch.tickets, batch.surveyAnswers, batch.goals].flatMap((rows) =>
        (rows ?? []).map((row: { accountId: string }) => row.accountId),
      ),
    ];
    const places = await postgresCustomers.locate(tx, {
      account: [],
      contact: (batch.contacts ?? []).map((row) => row.id),
      contract: (batch.contracts ?? []).map((row) => row.id),
    });
    for (const place of [...places.contact.values(), ...places.contract.values()]) named.push(place.accountId);
    return [...new Set(named)];
  },

  async upsert(tx, batch, options) {
    const report = new Report();
    await upsertUsers(tx, batch.users ?? [], report);
    await upsertAbsences(tx, batch.absences ?? [], report);
    await upsertEntities(tx, "account", batch.accounts ?? [], options, report);
    const known = await knownAccounts(tx, batch);
    await upsertEntities(tx, "contact", batch.contacts ?? [], { ...options, known }, report);
    await upsertEntities(tx, "contract", batch.contracts ?? [], { ...options, known }, report);
    await insertSamples(tx, batch, known, report);
    await upsertTickets(tx, batch, known, options.at, report);
    await insertAnswers(tx, batch, known, report);
    await upsertGoals(tx, batch, known, report);
    return report.result();
  },

  async locate(tx, ids) {
    const places = async (rows: Promise<readonly (Place & { id: string })[]>) =>
      new Map(
        (await rows).map(({ id, ...place }): [string, Place] => [
          id,
          { ...place, timezone: usableZone(place.timezone) },
        ]),
      );
    const none = new Map<string, Place>();
    return {
      account:
        ids.account.length === 0
          ? none
          : await places(
              inside(tx)
                .select({
                  id: accounts.id,
                  accountId: accounts.id,
                  timezone: accounts.timezone,
                  since: accounts.createdAt,
                })
                .from(accounts)
                .where(inArray(accounts.id, [...ids.account])),
            ),
      contact:
        ids.contact.length === 0
          ? none
          : await places(
              inside(tx)
                .select({
                  id: contacts.id,
                  accountId: contacts.accountId,
                  timezone: accounts.timezone,
                  since: contacts.createdAt,
                })
                .from(contacts)
                .innerJoin(accounts, eq(accounts.id, contacts.accountId))
                .where(inArray(contacts.id, [...ids.contact])),
            ),
      contract:
        ids.contract.length === 0
          ? none
          : await places(
              inside(tx)
                .select({
                  id: contracts.id,
                  accountId: contracts.accountId,
                  timezone: accounts.timezone,
                  since: contracts.createdAt,
                })
                .from(contracts)
                .innerJoin(accounts, eq(accounts.id, contracts.accountId))
                .where(inArray(contracts.id, [...ids.contract])),
            ),
    };
  },

  async colleagues(tx, ids) {
    if (ids.length === 0) return new Set();
    const rows = await inside(tx)
      .select({ id: users.id })
      .from(users)
      .where(inArray(users.id, [...ids]));
    return new Set(rows.map((row) => row.id));
  },

  async accounts(tx, ids) {
    const rows = await inside(tx)
      .select({ id: accounts.id, timezone: accounts.timezone, calendar: accounts.calendar })
      .from(accounts)
      .where(ids === undefined ? undefined : inArray(accounts.id, [...ids]))
      .orderBy(asc(accounts.id));
    return rows.map((row) => ({ ...row, timezone: usableZone(row.timezone) }));
  },

  async belongings(tx, accountIds) {
    const found = new Map<string, { contacts: string[]; contracts: string[] }>(
      accountIds.map((id) => [id, { contacts: [], contracts: [] }]),
    );
    const people = await inside(tx)
      .select({ id: contacts.id, accountId: contacts.accountId })
      .from(contacts)
      .where(and(inArray(contacts.accountId, [...accountIds]), eq(contacts.isActive, true)))
      .orderBy(asc(contacts.id));
    const papers = await inside(tx)
      .select({ id: contracts.id, accountId: contracts.accountId })
      .from(contracts)
      .where(inArray(contracts.accountId, [...accountIds]))
      .orderBy(asc(contracts.id));
    for (const { id, accountId } of people) found.get(accountId)?.contacts.push(id);
    for (const { id, accountId } of papers) found.get(accountId)?.contracts.push(id);
    return found;
  },

  async reach(tx, { accountId, contactId, milestone, at, runId }) {
    const rows = await inside(tx)
      .insert(milestones)
      .values({ accountId, contactId, milestone, at, runId: runId ?? null })
      .onConflictDoNothing()
      .returning({ milestone: milestones.milestone });
    return rows.length === 1;
  },

  async segmentMembers(tx, accountIds) {
    const rows = await inside(tx)
      .select({ segment: segmentMembers.segment, accountId: segmentMembers.accountId })
      .from(segmentMembers)
      .where(accountIds === undefined ? undefined : inArray(segmentMembers.accountId, [...accountIds]));
    const members = new Map<string, Set<string>>();
    for (const { segment, accountId } of rows) {
      members.set(segment, (members.get(segment) ?? new Set()).add(accountId));
    }
    return members;
  },

  async setSegmentMember(tx, segment, accountId, isMember, at) {
    if (isMember) {
      await inside(tx).insert(segmentMembers).values({ segment, accountId, since: at }).onConflictDoNothing();
    } else {
      await inside(tx)
        .delete(segmentMembers)
        .where(and(eq(segmentMembers.segment, segment), eq(segmentMembers.accountId, accountId)));
    }
  },

  async keepSegments(tx, segments) {
    await inside(tx)
      .delete(segmentMembers)
      .where(segments.length === 0 ? undefined : notInArray(segmentMembers.segment, [...segments]));
  },
};

/** Collects what a batch did. */
class Report {
  readonly changed = noRows();
  readonly refused: { kind: CustomerKind; index: number; reason: string }[] = [];
  readonly arrived = { account: [] as string[], contact: [] as string[], contract: [] as string[] };
  readonly absences: NonNullable<CustomerBatch["absences"]>[number][] = [];
  readonly #accounts = new Map<string, { at: Instant; changed: Set<string> }>();

  touch(accountId: string, at: Instant, path: string): void {
    const account = this.#accounts.get(accountId) ?? { at, changed: new Set<string>() };
    account.at = Math.max(account.at, at);
    account.changed.add(path);
    this.#accounts.set(accountId, account);
  }

  refuse(kind: CustomerKind, index: number, reason: string): void {
    this.refused.push({ kind, index, reason });
  }

  result(): UpsertResult {
    return {
      changed: this.changed,
      refused: this.refused,
      arrived: this.arrived,
      absences: this.absences,
      accounts: [...this.#accounts].map(([accountId, { at, changed }]) => ({
        accountId,
        at,
        changed: [...changed].sort(),
      })),
    };
  }
}

async function knownAccounts(tx: Tx, batch: CustomerBatch): Promise<ReadonlySet<string>> {
  const ids = [batch.contacts, batch.contracts, batch.samples, batch.tickets, batch.surveyAnswers, batch.goals].flatMap(
    (rows) => (rows ?? []).flatMap((row: { accountId?: string | undefined }) => row.accountId ?? []),
  );
  if (ids.length === 0) return new Set();
  const rows = await inside(tx)
    .select({ id: accounts.id })
    .from(accounts)
    .where(inArray(accounts.id, [...new Set(ids)]));
  return new Set(rows.map((row) => row.id));
}

function unknownAccount(id: string): string {
  return `account "${id}" is not known; import it first, or in the same batch`;
}

// ── our people ───────────────────────────────────────────────────────────────────────────────────────────────────────

async function upsertUsers(tx: Tx, rows: NonNullable<CustomerBatch["users"]>, report: Report): Promise<void> {
  if (rows.length === 0) return;
  const existing = await inside(tx)
    .select()
    .from(users)
    .where(
      inArray(
        users.id,
        rows.map((row) => row.id),
      ),
    );
  const known = new Map(existing.map((row) => [row.id, row]));
  for (const [index, row] of rows.entries()) {
    const before = known.get(row.id);
    const name = row.name ?? before?.name;
    const email = row.email ?? before?.email;
    if (name === undefined || email === undefined) {
      report.refuse("users", index, `user "${row.id}" is new and needs a name and an email`);
      continue;
    }
    const after: typeof users.$inferSelect = {
      id: row.id,
      name,
      email,
      title: kept(row.title, before?.title, null),
      slackUserId: kept(row.slackUserId, before?.slackUserId, null),
      timezone: kept(row.timezone, before?.timezone, "UTC"),
      locale: kept(row.locale, before?.locale, "en"),
      calendar: kept(row.calendar, before?.calendar, "standard"),
      managerId: kept(row.managerId, before?.managerId, null),
      bookingUrl: kept(row.bookingUrl, before?.bookingUrl, null),
      pools: [...kept(row.pools, before?.pools, [])],
      isActive: row.isActive ?? before?.isActive ?? true,
    };
    if (before !== undefined && sameJson(before, after)) continue;
    const { id: _id, ...set } = after;
    await inside(tx).insert(users).values(after).onConflictDoUpdate({ target: users.id, set });
    known.set(row.id, after);
    report.changed.users += 1;
  }
}

/** undefined leaves, null clears: to `cleared`. */
function kept<T>(given: T | null | undefined, before: T | undefined, cleared: T): T {
  return given === undefined ? (before ?? cleared) : (given ?? cleared);
}

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

async function upsertAbsences(tx: Tx, rows: NonNullable<CustomerBatch["absences"]>, report: Report): Promise<void> {
  if (rows.length === 0) return;
  const people = await inside(tx)
    .select({ id: users.id })
    .from(users)
    .where(
      inArray(
        users.id,
        rows.map((row) => row.userId),
      ),
    );
  const known = new Set(people.map((row) => row.id));
  const existing = await inside(tx)
    .select()
    .from(absences)
    .where(
      inArray(
        absences.id,
        rows.map((row) => row.id),
      ),
    );
  const before = new Map(existing.map((row) => [row.id, row]));
  for (const [index, row] of rows.entries()) {
    if (!known.has(row.userId)) {
      report.refuse("absences", index, `user "${row.userId}" is not known; import it first, or in the same batch`);
      continue;
    }
    const after: typeof absences.$inferSelect = {
      id: row.id,
      userId: row.userId,
      fromAt: row.fromAt,
      toAt: row.toAt,
      coverId: kept(row.coverId, before.get(row.id)?.coverId, null),
    };
    if (sameJson(before.get(row.id), after)) continue;
    const { id: _id, ...set } = after;
    await inside(tx).insert(absences).values(after).onConflictDoUpdate({ target: absences.id, set });
    report.changed.absences += 1;
    report.absences.push(row);
  }
}

// ── accounts, contacts, contracts ────────────────────────────────────────────────────────────────────────────────────

type Entity = "account" | "contact" | "contract";

const KIND: Readonly<Record<Entity, "accounts" | "contacts" | "contracts">> = {
  account: "accounts",
  contact: "contacts",
  contract: "contracts",
};

interface Current {
  readonly accountId: string;
  fields: Record<string, unknown>;
  roles: Record<string, string>;
  isNew: boolean;
  createdAt: Instant;
}

async function upsertEntities(
  tx: Tx,
  entity: Entity,
  rows: readonly EntityRow[],
  options: UpsertOptions,
  report: Report,
): Promise<void> {
  // A batch may name one more than once: each time sees what the time before has written.
  let rest = rows.map((row, index) => ({ row, index }));
  while (rest.length > 0) {
    const seen = new Set<string>();
    const later: typeof rest = [];
    const now = rest.filter((item) => {
      const isFirst = !seen.has(item.row.id);
      seen.add(item.row.id);
      if (!isFirst) later.push(item);
      return isFirst;
    });
    for (let from = 0; from < now.length; from += ROWS_PER_STATEMENT) {
      await upsertDistinct(tx, entity, now.slice(from, from + ROWS_PER_STATEMENT), options, report);
    }
    rest = later;
  }
}

interface UpsertOptions {
  readonly at: Instant;
  readonly source: string;
  readonly now?: Instant;
  readonly known?: ReadonlySet<string>;
}

async function upsertDistinct(
  tx: Tx,
  entity: Entity,
  items: readonly { row: EntityRow; index: number }[],
  { at: batchAt, source, now, known }: UpsertOptions,
  report: Report,
): Promise<void> {
  const current = await readCurrent(
    tx,
    entity,
    items.map(({ row }) => row.id),
  );
  const taken = items.flatMap(({ row, index }) => {
    const before = current.get(row.id);
    const accountId = entity === "account" ? row.id : (row.accountId ?? before?.accountId);
    const kind = KIND[entity];
    if (accountId === undefined) {
      report.refuse(kind, index, `${entity} "${row.id}" is new and needs its account`);
      return [];
    }
    if (before !== undefined && before.accountId !== accountId) {
      report.refuse(kind, index, `${entity} "${row.id}" belongs to account "${before.accountId}", not "${accountId}"`);
      return [];
    }
    if (before === undefined && known !== undefined && !known.has(accountId)) {
      report.refuse(kind, index, unknownAccount(accountId));
      return [];
    }
    const at = row.at ?? batchAt;
    const entry: Current = before ?? { accountId, fields: {}, roles: {}, isNew: true, createdAt: at };
    return [{ row, at, entry }];
  });
  const wished = taken.flatMap(({ row, at, entry }) => {
    const first = firstValues(entity, row.id);
    const fields: Record<string, FieldValue | undefined> = entry.isNew
      ? { ...first, ...definedOf(row.fields) }
      : row.fields;
    return Object.entries(fields).flatMap(([field, value]) => {
      if (value === undefined || field === "id") return [];
      return [{ id: row.id, field, at, value: value === null ? (first[field] ?? null) : value }];
    });
  });
  const versions = await readVersions(tx, entity, wished);
  const changes = wished.flatMap((wish, index) => {
    const { before, hasLater, isThere } = versions[index] as Version;
    // What is dated later than now is kept even if it says what is so already: something else may come between.
    const isAhead = now !== undefined && wish.at > now && !isThere;
    return (before ?? null) === wish.value && !isAhead ? [] : [{ ...wish, hasLater }];
  });
  for (let from = 0; from < changes.length; from += ROWS_PER_STATEMENT) {
    await inside(tx)
      .insert(fieldChanges)
      .values(
        changes.slice(from, from + ROWS_PER_STATEMENT).map(({ id, field, at, value }) => ({
          entity,
          entityId: id,
          accountId: taken.find((item) => item.row.id === id)?.entry.accountId as string,
          field,
          value,
          at,
          source,
        })),
      );
  }
  const changesOf = new Map<string, typeof changes>();
  for (const change of changes) changesOf.set(change.id, [...(changesOf.get(change.id) ?? []), change]);
  for (const { row, at, entry } of taken) {
    const own = changesOf.get(row.id) ?? [];
    const roles = { ...entry.roles };
    for (const [role, id] of Object.entries(row.roles ?? {})) {
      if (id === null) delete roles[role];
      else if (id !== undefined) roles[role] = id;
    }
    if (!entry.isNew && own.length === 0 && sameRoles(roles, entry.roles)) continue;
    for (const change of own) {
      report.touch(entry.accountId, at, `${entity}.${change.field}`);
      if (change.hasLater) continue;
      if (change.value === null) delete entry.fields[change.field];
      else entry.fields[change.field] = change.value;
    }
    // Its arrival is a change even if nothing is told of it.
    if (entry.isNew) report.touch(entry.accountId, at, `${entity}.id`);
    entry.roles = roles;
    await writeCurrent(tx, entity, row.id, entry);
    report.changed[KIND[entity]] += 1;
    if (entry.isNew) report.arrived[entity].push(row.id);
  }
}

function definedOf(fields: EntityRow["fields"]): Record<string, FieldValue> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Record<
    string,
    FieldValue
  >;
}

function sameRoles(a: Record<string, string>, b: Record<string, string>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

async function readCurrent(tx: Tx, entity: Entity, ids: readonly string[]): Promise<Map<string, Current>> {
  const table = { account: accounts, contact: contacts, contract: contracts }[entity];
  const rows = (await inside(tx)
    .select()
    .from(table)
    .where(inArray(table.id, [...ids]))) as {
    id: string;
    accountId?: string;
    fields: Record<string, unknown>;
    roles?: Record<string, string>;
    createdAt: number;
  }[];
  return new Map(
    rows.map((row) => [
      row.id,
      {
        accountId: row.accountId ?? row.id,
        fields: row.fields,
        roles: row.roles ?? {},
        isNew: false,
        createdAt: row.createdAt,
      },
    ]),
  );
}

/** For each wish: the version that was so at its instant, and whether a later one exists (an import of the past). */
async function readVersions(
  tx: Tx,
  entity: Entity,
  wishes: readonly { id: string; field: string; at: Instant }[],
): Promise<Version[]> {
  if (wishes.length === 0) return [];
  return rowsOf<Version>(
    tx,
    sql`select
          (select c.value from field_changes c where c.entity = ${entity} and c.entity_id = w.id and c.field = w.field and c.at <= w.at
            order by c.at desc, c.seq desc limit 1) as before,
          exists (select 1 from field_changes c where c.entity = ${entity} and c.entity_id = w.id and c.field = w.field and c.at > w.at) as "hasLater",
          exists (select 1 from field_changes c where c.entity = ${entity} and c.entity_id = w.id and c.field = w.field and c.at = w.at) as "isThere"
        from unnest(${textArray(wishes.map((wish) => wish.id))}, ${textArray(wishes.map((wish) => wish.field))},
          ${textArray(wishes.map((wish) => new Date(wish.at).toISOString()))}::timestamptz[]) with ordinality as w(id, field, at, n)
        order by w.n`,
  );
}

/** What is known of a field about an instant. */
interface Version {
  /** The value up to it, the instant itself included. */
  readonly before: unknown;
  readonly hasLater: boolean;
  /** Something was said of that very instant. */
  readonly isThere: boolean;
}

/** What an account's own columns are by its fields. */
export function accountColumns(id: string, fields: Readonly<Record<string, unknown>>) {
  return {
    name: textIn(fields, "name") ?? id,
    csmId: textIn(fields, "csm"),
    timezone: textIn(fields, "timezone") ?? "UTC",
    locale: textIn(fields, "locale") ?? "en",
    // Whose calendar: docs/language-files.md, calendars.yaml. One that isn't declared falls back to `standard` where it is used.
    calendar: textIn(fields, "calendar") ?? textIn(fields, "country")?.toLowerCase() ?? "standard",
    isTest: fields.is_test === true,
  };
}

/** What a contact's own columns are by its fields. */
export function contactColumns(id: string, fields: Readonly<Record<string, unknown>>) {
  return {
    email: textIn(fields, "email")?.trim().toLowerCase() || null,
    name: textIn(fields, "name") ?? id,
    firstName: textIn(fields, "first_name"),
    role: textIn(fields, "role"),
    locale: textIn(fields, "locale"),
    timezone: textIn(fields, "timezone"),
    isPrimary: fields.is_primary === true,
    isActive: fields.is_active !== false,
  };
}

function textIn(fields: Readonly<Record<string, unknown>>, name: string): string | null {
  return typeof fields[name] === "string" ? (fields[name] as string) : null;
}

async function writeCurrent(
  tx: Tx,
  entity: Entity,
  id: string,
  { accountId, fields, roles, createdAt }: Current,
): Promise<void> {
  if (entity === "account") {
    const values = { ...accountColumns(id, fields), roles, fields };
    await inside(tx)
      .insert(accounts)
      .values({ id, ...values, createdAt })
      .onConflictDoUpdate({ target: accounts.id, set: values });
  } else if (entity === "contact") {
    const values = { ...contactColumns(id, fields), fields };
    await inside(tx)
      .insert(contacts)
      .values({ id, accountId, ...values, createdAt })
      .onConflictDoUpdate({ target: contacts.id, set: values });
  } else {
    await inside(tx)
      .insert(contracts)
      .values({ id, accountId, fields, createdAt })
      .onConflictDoUpdate({ target: contracts.id, set: { fields } });
  }
}

// ── samples, tickets, answers, goals ─────────────────────────────────────────────────────────────────────────────────

/** The rows whose account is known; the others are refused. */
function withAccount<Row extends { accountId: string }>(
  kind: CustomerKind,
  rows: readonly Row[] | undefined,
  known: ReadonlySet<string>,
  report: Report,
): Row[] {
  return (rows ?? []).filter((row, index) => {
    if (known.has(row.accountId)) return true;
    report.refuse(kind, index, unknownAccount(row.accountId));
    return false;
  });
}

async function insertSamples(tx: Tx, batch: CustomerBatch, known: ReadonlySet<string>, report: Report): Promise<void> {
  const rows = withAccount("samples", batch.samples, known, report);
  for (let from = 0; from < rows.length; from += ROWS_PER_STATEMENT) {
    const inserted = await inside(tx)
      .insert(samples)
      .values(
        rows.slice(from, from + ROWS_PER_STATEMENT).map((row) => ({
          sourceId: row.id,
          accountId: row.accountId,
          contactId: row.user ?? null,
          sample: row.name,
          at: row.at,
          value: row.value,
          actor: row.user ?? null,
        })),
      )
      .onConflictDoNothing()
      .returning({ accountId: samples.accountId, sample: samples.sample, at: samples.at });
    report.changed.samples += inserted.length;
    for (const row of inserted) report.touch(row.accountId, row.at, `sample:${row.sample}`);
  }
}

async function upsertTickets(
  tx: Tx,
  batch: CustomerBatch,
  known: ReadonlySet<string>,
  at: Instant,
  report: Report,
): Promise<void> {
  const rows = withAccount("tickets", batch.tickets, known, report);
  if (rows.length === 0) return;
  const existing = await inside(tx)
    .select()
    .from(tickets)
    .where(
      inArray(
        tickets.id,
        rows.map((row) => row.id),
      ),
    );
  const before = new Map(existing.map((row) => [row.id, row]));
  for (const row of rows) {
    const old = before.get(row.id);
    const openedAt = row.openedAt ?? old?.openedAt;
    if (openedAt === undefined) {
      report.refuse(
        "tickets",
        batch.tickets?.indexOf(row) ?? -1,
        `ticket "${row.id}" is new and needs the instant it was opened`,
      );
      continue;
    }
    const after: typeof tickets.$inferSelect = {
      id: row.id,
      accountId: row.accountId,
      openedAt,
      closedAt: kept(row.closedAt, old?.closedAt, null),
      priority: kept(row.priority, old?.priority, null),
      satisfaction: kept(row.satisfaction, old?.satisfaction, null),
    };
    if (sameJson(old, after)) continue;
    const { id: _id, ...set } = after;
    await inside(tx).insert(tickets).values(after).onConflictDoUpdate({ target: tickets.id, set });
    before.set(row.id, after);
    report.changed.tickets += 1;
    const happened =
      after.closedAt !== (old?.closedAt ?? null) ? (after.closedAt ?? at) : old === undefined ? after.openedAt : at;
    report.touch(row.accountId, happened, "tickets");
  }
}

async function insertAnswers(tx: Tx, batch: CustomerBatch, known: ReadonlySet<string>, report: Report): Promise<void> {
  for (const row of withAccount("surveyAnswers", batch.surveyAnswers, known, report)) {
    const inserted = await inside(tx)
      .insert(surveyAnswers)
      .values({ ...row, contactId: row.contactId ?? null, comment: row.comment ?? null })
      .onConflictDoNothing()
      .returning({ id: surveyAnswers.id });
    if (inserted.length === 0) continue;
    report.changed.surveyAnswers += 1;
    report.touch(row.accountId, row.at, "survey");
  }
}

async function upsertGoals(tx: Tx, batch: CustomerBatch, known: ReadonlySet<string>, report: Report): Promise<void> {
  for (const row of withAccount("goals", batch.goals, known, report)) {
    const [before] = await rowsOf<{ title: string; status: string }>(
      tx,
      sql`select title, status from goals where id = ${row.id} and at <= ${instantParam(row.at)} order by at desc limit 1`,
    );
    if (before?.title === row.title && before.status === row.status) continue;
    await inside(tx)
      .insert(goals)
      .values(row)
      .onConflictDoUpdate({ target: [goals.id, goals.at], set: { title: row.title, status: row.status } });
    report.changed.goals += 1;
    report.touch(row.accountId, row.at, "goals");
  }
}
