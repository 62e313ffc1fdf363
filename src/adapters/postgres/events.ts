import { and, asc, desc, eq, inArray, lte, or, sql } from "drizzle-orm";
import type { RunEvent } from "../../engine/event.js";
import type { FactValue } from "../../expression/expression.js";
import type { Instant } from "../../values/instant.js";
import {
  type Events,
  type EventScope,
  INTERNAL_EVENTS,
  type KeptEvent,
  type NewEvent,
  type StoredEvent,
  type UnmatchedEvent,
  type WaitingStart,
} from "../../ports/events.js";
import { type Database, inside, instantParam, rowsOf, textArray } from "./database.js";
import { events } from "./schema.js";
import { ask, isoOf, jsonRow, msText, type Parameter } from "./statement.js";

/** Rows per statement: Postgres takes at most 65,535 parameters. */
const ROWS_PER_STATEMENT = 2_000;

/** How many events a run is handed at once; it asks again. */
const UNDELIVERED_MAX = 100;

/** Written out, not as parameters: a partial index serves only a condition that the planner can read. */
const IS_PENDING = sql`${events.status} = 'pending'`;
const IS_UNMATCHED = sql`${events.status} = 'unmatched'`;

/** Everything of `Events` that needs no connection of its own. */
export const postgresEvents: Omit<Events, "whileDispatching" | "whileStarting"> = {
  async append(tx, list, receivedAt) {
    return insert(
      tx,
      list.map((event) => ({ ...rowOf(event), receivedAt, status: "pending" as const })),
    );
  },

  async appendUnmatched(tx, list, receivedAt) {
    return insert(
      tx,
      list.map((event) => ({
        id: event.id,
        name: event.name,
        at: event.at,
        payload: { ...event.payload },
        source: event.source,
        unmatched: definedNames(event.names),
        receivedAt,
        status: "unmatched" as const,
      })),
    );
  },

  async known(tx, ids) {
    if (ids.length === 0) return new Map();
    const rows = await inside(tx)
      .select({ id: events.id, status: events.status })
      .from(events)
      .where(inArray(events.id, [...ids]));
    return new Map(rows.map((row) => [row.id, row.status]));
  },

  async kept(tx, ids) {
    if (ids.length === 0) return new Map();
    const rows = await inside(tx)
      .select()
      .from(events)
      .where(inArray(events.id, [...ids]));
    return new Map(
      rows.map((row): [string, KeptEvent] => [
        row.id,
        {
          name: row.name,
          at: row.at,
          names: {
            ...(row.accountId === null ? {} : { account: row.accountId }),
            ...(row.contactId === null ? {} : { contact: row.contactId }),
            ...(row.contractId === null ? {} : { contract: row.contractId }),
            ...row.unmatched,
          },
          payload: row.payload as Record<string, FactValue>,
        },
      ]),
    );
  },

  async unmatchedNaming(tx, names) {
    const naming = (kind: "account" | "contact" | "contract") =>
      names[kind].length === 0 ? undefined : sql`${events.unmatched}->>${kind} = any(${textArray(names[kind])})`;
    const conditions = [naming("account"), naming("contact"), naming("contract")].filter((part) => part !== undefined);
    if (conditions.length === 0) return [];
    const rows = await inside(tx)
      .select()
      .from(events)
      .where(and(IS_UNMATCHED, or(...conditions)))
      .orderBy(asc(events.at), asc(events.seq));
    return rows.map(unmatchedOf);
  },

  async unmatched(tx, limit) {
    const rows = await inside(tx).select().from(events).where(IS_UNMATCHED).orderBy(asc(events.seq)).limit(limit);
    const [all] = await rowsOf<{ n: number }>(
      tx,
      sql`select count(*)::int as n from events where status = 'unmatched'`,
    );
    return { count: all?.n ?? 0, events: rows.map(unmatchedOf) };
  },

  async stuck(tx, now, receivedBefore, limit) {
    const rows = await rowsOf<{ account_id: string; n: number }>(
      tx,
      sql`select account_id, count(*)::int as n from events
          where status = 'pending' and at <= ${instantParam(now)} and received_at < ${instantParam(receivedBefore)}
          group by account_id order by min(received_at)`,
    );
    return {
      count: rows.reduce((sum, { n }) => sum + n, 0),
      accounts: rows.slice(0, limit).map((row) => row.account_id),
    };
  },

  async match(tx, event) {
    const { id, ...values } = rowOf(event);
    const rows = await inside(tx)
      .update(events)
      .set({ ...values, status: "pending", unmatched: null })
      .where(and(eq(events.id, id), IS_UNMATCHED))
      .returning({ id: events.id });
    return rows.length === 1;
  },

  async undelivered(tx, scope, asOf, limit = UNDELIVERED_MAX, inHand = []) {
    const [found] = await ask<{ events: UndeliveredEvent[] }>(
      tx,
      `select ${UNDELIVERED} as events`,
      undeliveredParameters(scope, asOf, limit, inHand),
    );
    return undeliveredEvents(found?.events ?? []);
  },

  async accountsPending(tx, now, limit, options) {
    const statement = options?.besidesStarts === true ? ACCOUNTS_PENDING_OTHERS : ACCOUNTS_PENDING;
    const rows = await ask<{ account_id: string }>(tx, statement, [isoOf(now), limit]);
    return rows.map((row) => row.account_id);
  },

  async pending(tx, accountId, now, limit) {
    const rows = await ask<{ event: typeof events.$inferSelect }>(tx, PENDING, [accountId, isoOf(now), limit]);
    return rows.map(({ event }) => storedOf(event));
  },

  async latestDispatched(tx, accountId) {
    const [row] = await inside(tx)
      .select({ at: events.at })
      .from(events)
      .where(and(eq(events.accountId, accountId), eq(events.status, "dispatched")))
      .orderBy(desc(events.at))
      .limit(1);
    return row?.at;
  },

  async markDispatched(tx, eventId) {
    await ask(tx, MARK_DISPATCHED, [[eventId]]);
  },
};

/**
 * SQL: the events that a run must hear, as JSON; its parameters are the first eleven of the statement (`undeliveredParameters`). Written once, so that
 * whoever looks at a run before it does something gets both with one look.
 */
export const UNDELIVERED = `(select coalesce(json_agg(json_build_object('id', u.id, 'name', u.name, 'at', ${msText("u.at")},
    'payload', u.payload, 'changed', u.changed) order by u.at, u.seq), '[]') from (
  select e.* from events e
  where e.account_id = $2 and e.at >= $5::timestamptz and e.at <= $9::timestamptz and e.status <> 'unmatched'
    and e.name <> '${INTERNAL_EVENTS.enrolled}' and ($6::text is null or e.id <> $6)
    and (e.run_id = $1 or (e.run_id is null
      and ($3::text is null or e.contact_id is null or e.contact_id = $3)
      and ($4::text is null or e.contract_id is null or e.contract_id = $4)
      and (e.name = any($7::text[]) or e.changed && $8::text[])))
    and e.id <> all($10::text[])
    and not exists (select 1 from run_events taken where taken.run_id = $1 and taken.event_id = e.id)
  order by e.at, e.seq limit $11::int) u)`;

/** What `UNDELIVERED` asks with. */
export function undeliveredParameters(
  scope: EventScope,
  asOf: Instant,
  limit: number,
  inHand: readonly string[],
): Parameter[] {
  const { runId, accountId, contactId = null, contractId = null, startedAt, enrolledBy = null, listens } = scope;
  const { events: names, facts } = listens;
  return [
    runId,
    accountId,
    contactId,
    contractId,
    isoOf(startedAt),
    enrolledBy,
    names,
    facts,
    isoOf(asOf),
    inHand,
    limit,
  ];
}

/** As `UNDELIVERED` shows one. */
export type UndeliveredEvent = Pick<typeof events.$inferSelect, "id" | "name" | "at" | "payload" | "changed">;

/** What `UNDELIVERED` found. */
export function undeliveredEvents(found: readonly UndeliveredEvent[]): readonly RunEvent[] {
  return found.map(runEventOf);
}

/** The outbox, whole. */
export function postgresEventsOf(database: Database): Events {
  return {
    ...postgresEvents,
    whileDispatching: (accountId, now, work) =>
      database.whileLocked(
        `dispatch:${accountId}`,
        (tx) => postgresEvents.pending(tx, accountId, now, 1),
        ([first]) => work(first),
      ),
    async whileStarting(now, limit, work) {
      // Mostly nothing is, and that is soon told.
      if ((await database.read((tx) => ask(tx, ANY_START, []))).length === 0) return 0;
      return database.transaction(async (tx) => {
        const locked = await ask<{ id: string }>(tx, LOCK_STARTS, [isoOf(now), limit, limit * STARTS_LOOKED_AT]);
        if (locked.length === 0) return 0;
        // Once more, under the locks: somebody else may have had them between the look and the lock.
        const ids = locked.map(({ id }) => id);
        const starts = await ask<{ event: typeof events.$inferSelect; isBelated: boolean }>(tx, STARTS, [
          ids,
          isoOf(now),
        ]);
        if (starts.length === 0) return 0;
        const done = await work(
          starts.map(({ event, isBelated }): WaitingStart => ({ event: storedOf(event), isBelated })),
        );
        if (done.length > 0) await ask(tx, MARK_DISPATCHED, [done]);
        return done.length;
      });
    },
  };
}

async function insert(
  tx: Parameters<Events["append"]>[0],
  rows: readonly (typeof events.$inferInsert)[],
): Promise<ReadonlySet<string>> {
  const added = new Set<string>();
  for (let from = 0; from < rows.length; from += ROWS_PER_STATEMENT) {
    const some = rows.slice(from, from + ROWS_PER_STATEMENT).map((row) => ({
      ...row,
      changed: row.changed ?? [],
      at: isoOf(row.at),
      receivedAt: isoOf(row.receivedAt),
    }));
    for (const { id } of await ask<{ id: string }>(tx, INSERT, [JSON.stringify(some)])) added.add(id);
  }
  return added;
}

// In the order given, which is the order of `seq`.
const INSERT = `insert into events (id, name, account_id, contact_id, contract_id, run_id, at, received_at, payload, changed, status, unmatched, source)
  select e.id, e.name, e."accountId", e."contactId", e."contractId", e."runId", e.at, e."receivedAt", e.payload,
    array(select jsonb_array_elements_text(e.changed)), e.status, e.unmatched, e.source
  from rows from (jsonb_to_recordset($1::jsonb) as (id text, name text, "accountId" text, "contactId" text, "contractId" text, "runId" text,
    at timestamptz, "receivedAt" timestamptz, payload jsonb, changed jsonb, status text, unmatched jsonb, source text))
    with ordinality as e(id, name, "accountId", "contactId", "contractId", "runId", at, "receivedAt", payload, changed, status, unmatched, source, n)
  order by e.n
  on conflict do nothing returning id`;

const PENDING = `select ${jsonRow(events, "e")} as event from events e
  where e.account_id = $1 and e.status = 'pending' and e.at <= $2::timestamptz order by e.at, e.seq limit $3::int`;

const accountsPending = (condition: string) => `select account_id from events
  where ${condition} and at <= $1::timestamptz and account_id is not null
  group by account_id order by min(at), min(seq) limit $2::int`;
const ACCOUNTS_PENDING = accountsPending("status = 'pending'");
// As the index says it, or it isn't used.
const ACCOUNTS_PENDING_OTHERS = accountsPending(`status = 'pending' and name <> '${INTERNAL_EVENTS.enrolled}'`);

const IS_START = `e.status = 'pending' and e.name = '${INTERNAL_EVENTS.enrolled}'`;

const ANY_START = `select 1 from events e where ${IS_START} limit 1`;

/** Beyond those that are wanted: as many dispatchers, of as many workers, find starts of their own. */
const STARTS_LOOKED_AT = 4;

// One queue for each playbook and source; the index is read at one place for each, however many wait. The lock is the one of `whileDispatching`;
// asked for row by row until there are enough.
const LOCK_STARTS = `with recursive queues as (
    (select split_part(e.run_id, '/', 2) as playbook, e.source from events e where ${IS_START} order by 1, 2 limit 1)
    union all
    select after.playbook, after.source from queues q cross join lateral (
      select split_part(e.run_id, '/', 2) as playbook, e.source from events e
      where ${IS_START} and (split_part(e.run_id, '/', 2), e.source) > (q.playbook, q.source) order by 1, 2 limit 1) after),
  waiting as materialized (
    select s.* from queues q cross join lateral (
      select first.*, row_number() over (order by first.at, first.seq) as place from (
        select e.id, e.account_id, e.at, e.seq from events e
        where ${IS_START} and split_part(e.run_id, '/', 2) = q.playbook and e.source = q.source and e.at <= $1::timestamptz
        order by e.at, e.seq limit $3::int) first) s
    order by s.place, s.at, s.seq limit $3::int)
  select id from waiting where pg_try_advisory_xact_lock(hashtextextended('dispatch:' || account_id, 1)) limit $2::int`;

const STARTS = `select ${jsonRow(events, "e")} as event,
    exists (select 1 from events told where told.account_id = e.account_id and told.status = 'dispatched' and told.at >= e.at
      and told.at <= $2::timestamptz and told.name <> '${INTERNAL_EVENTS.enrolled}') as "isBelated"
  from events e
  where e.id = any($1::text[]) and e.status = 'pending' and not exists (select 1 from events before
    where before.account_id = e.account_id and before.status = 'pending' and before.name <> '${INTERNAL_EVENTS.enrolled}'
      and (before.at, before.seq) < (e.at, e.seq))
  order by e.at, e.seq`;

const MARK_DISPATCHED = "update events set status = 'dispatched' where id = any($1::text[]) and status = 'pending'";

function storedOf(row: typeof events.$inferSelect): StoredEvent {
  return {
    ...runEventOf(row),
    seq: row.seq,
    accountId: row.accountId as string,
    ...(row.contactId === null ? {} : { contactId: row.contactId }),
    ...(row.contractId === null ? {} : { contractId: row.contractId }),
    ...(row.runId === null ? {} : { runId: row.runId }),
  };
}

function rowOf(event: NewEvent) {
  return {
    id: event.id,
    name: event.name,
    accountId: event.accountId,
    contactId: event.contactId ?? null,
    contractId: event.contractId ?? null,
    runId: event.runId ?? null,
    at: event.at,
    payload: { ...event.payload },
    changed: [...(event.changed ?? [])],
    source: event.source,
  };
}

function unmatchedOf(row: typeof events.$inferSelect): UnmatchedEvent {
  return {
    id: row.id,
    name: row.name,
    at: row.at,
    payload: row.payload as Record<string, FactValue>,
    source: row.source,
    names: row.unmatched ?? {},
  };
}

function runEventOf(row: UndeliveredEvent): RunEvent {
  return {
    id: row.id,
    name: row.name,
    at: row.at,
    payload: row.payload as Record<string, FactValue>,
    ...(row.changed.length === 0 ? {} : { changed: row.changed }),
  };
}

function definedNames(names: UnmatchedEvent["names"]): Record<string, string> {
  return Object.fromEntries(Object.entries(names).filter(([, id]) => id !== undefined)) as Record<string, string>;
}
