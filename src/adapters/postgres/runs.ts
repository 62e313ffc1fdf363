import { and, asc, desc, eq, gt, inArray, isNull, lt, lte, ne, sql } from "drizzle-orm";
import type { PerformResponse } from "../../engine/perform.js";
import type { TimelineEntry } from "../../engine/timeline.js";
import type { FactValue } from "../../expression/expression.js";
import { INTERNAL_EVENTS } from "../../ports/events.js";
import { RUNS_PAGE_MAX, type RunRow, type Runs, type UntoldMessage } from "../../ports/runs.js";
import { SENT } from "./ledger.js";
import { UNDELIVERED, type UndeliveredEvent, undeliveredEvents, undeliveredParameters } from "./events.js";
import { inside, rowsOf } from "./database.js";
import { events, holds, runs, stretches, timeline } from "./schema.js";
import { ask, isoOf, jsonRow, msText } from "./statement.js";

/** Written out, not as a parameter: the partial index serves only a condition that the planner can read. */
const IS_LIVE = sql`${runs.status} <> 'ended'`;

/** Runs, their projection and their timeline. */
export const postgresRuns: Runs = {
  async get(tx, id) {
    const [found] = await ask<{ run: Row }>(tx, GET, [id]);
    return found && runOf(found.run);
  },

  async getMany(tx, ids) {
    return (await ask<{ run: Row }>(tx, GET_MANY, [ids])).map(({ run }) => runOf(run));
  },

  async withUndelivered(tx, scope, asOf, limit, inHand) {
    const parameters = undeliveredParameters(scope, asOf, limit, inHand);
    const [found] = await ask<{ run: Row | null; events: UndeliveredEvent[] }>(tx, WITH_UNDELIVERED, parameters);
    return { run: found?.run ? runOf(found.run) : undefined, events: undeliveredEvents(found?.events ?? []) };
  },

  async live(tx, accountId) {
    return (await ask<{ run: Row }>(tx, LIVE, [accountId])).map(({ run }) => runOf(run));
  },

  async ofSubject(tx, playbook, { accountId, contactId }) {
    const rows = await inside(tx)
      .select()
      .from(runs)
      .where(
        and(
          eq(runs.playbook, playbook),
          eq(runs.accountId, accountId),
          contactId === undefined ? isNull(runs.contactId) : eq(runs.contactId, contactId),
        ),
      )
      .orderBy(asc(runs.startedAt), asc(runs.ordinal));
    return rows.map(runOf);
  },

  async ofAccounts(tx, playbook, accountIds) {
    const rows = await inside(tx)
      .select()
      .from(runs)
      .where(and(eq(runs.playbook, playbook), inArray(runs.accountId, [...accountIds])))
      .orderBy(asc(runs.startedAt), asc(runs.ordinal));
    return rows.map(runOf);
  },

  async heldAccounts(tx, playbook, accountIds) {
    const rows = await inside(tx)
      .select({ accountId: holds.accountId })
      .from(holds)
      .where(and(eq(holds.playbook, playbook), inArray(holds.accountId, [...accountIds])));
    return new Set(rows.map((row) => row.accountId));
  },

  async insert(tx, run) {
    return (await postgresRuns.insertMany(tx, [run])).has(run.id);
  },

  async insertMany(tx, list) {
    if (list.length === 0) return new Set();
    const rows = await inside(tx)
      .insert(runs)
      .values(
        list.map((run) => ({
          id: run.id,
          playbook: run.playbook,
          hash: run.hash,
          subject: run.subject,
          accountId: run.accountId,
          contactId: run.contactId ?? null,
          contractId: run.contractId ?? null,
          key: run.key,
          ordinal: run.ordinal,
          inputs: { ...run.inputs },
          status: run.status,
          outcome: run.outcome ?? null,
          position: [...run.position],
          startedAt: run.startedAt,
          endedAt: run.endedAt ?? null,
          enrolledBy: run.enrolledBy ?? null,
          parentRun: run.parent?.run ?? null,
          parentKey: run.parent?.key ?? null,
          parked: run.parked ?? null,
          priority: run.priority,
          releasedAt: run.releasedAt ?? null,
          wakesAt: run.startedAt,
        })),
      )
      .onConflictDoNothing()
      .returning({ id: runs.id });
    return new Set(rows.map((row) => row.id));
  },

  async restore(tx, run) {
    const { id, hash, startedAt, status, turns, position, parked = null, inputs } = run;
    const begun = {
      enrolledBy: run.enrolledBy ?? null,
      contractId: run.contractId ?? null,
      parentRun: run.parent?.run ?? null,
      parentKey: run.parent?.key ?? null,
    };
    const [other] = await inside(tx)
      .select({ id: runs.id })
      .from(runs)
      .where(
        and(
          eq(runs.playbook, run.playbook),
          eq(runs.accountId, run.accountId),
          sql`coalesce(${runs.contactId}, '') = ${run.contactId ?? ""}`,
          eq(runs.key, run.key),
          ne(runs.id, id),
          IS_LIVE,
        ),
      );
    if (other !== undefined) return false;
    await postgresRuns.insertMany(tx, [run]);
    await inside(tx)
      .update(runs)
      .set({
        ...begun,
        hash,
        startedAt,
        status,
        turns,
        position: [...position],
        parked,
        inputs: { ...inputs },
        outcome: run.outcome ?? null,
        endedAt: run.endedAt ?? null,
        wakesAt: null,
      })
      .where(eq(runs.id, id));
    await inside(tx).delete(stretches).where(eq(stretches.runId, id));
    return true;
  },

  async stretch(tx, runId, turns) {
    const [row] = await inside(tx)
      .select({ answer: stretches.answer })
      .from(stretches)
      .where(and(eq(stretches.runId, runId), eq(stretches.turn, turns + 1)));
    return row && (row.answer as PerformResponse);
  },

  async record(tx, runId, { status, position, entries, confirm, stretch, unless }) {
    const scope = unless?.scope ?? { runId, accountId: "", startedAt: 0, listens: { events: [], facts: [] } };
    const [found] = await ask<{ events: UndeliveredEvent[]; told: number }>(tx, RECORD, [
      // None at all where nobody asks.
      ...undeliveredParameters(scope, unless?.asOf ?? 0, unless?.limit ?? 0, unless?.inHand ?? []),
      status,
      position,
      stretch?.turns ?? null,
      stretch?.durable ?? null,
      stretch === undefined ? null : JSON.stringify(stretch.answer),
      confirm,
      JSON.stringify(entries.map((entry) => ({ ...entry, at: isoOf(entry.at) }))),
    ]);
    if (found !== undefined && found.events.length > 0) {
      return { kind: "events", events: undeliveredEvents(found.events) };
    }
    return { kind: stretch !== undefined && found?.told === 0 ? "overtaken" : "recorded" };
  },

  async untold(tx, runId) {
    const [found] = await ask<{ lastSeq: number; messages: UntoldMessage[] }>(tx, UNTOLD, [runId]);
    return found ?? { lastSeq: 0, messages: [] };
  },

  async park(tx, runId, parked) {
    await inside(tx)
      .update(runs)
      .set({ parked: parked ?? null })
      .where(eq(runs.id, runId));
  },

  async end(tx, runId, outcome, at) {
    await ask(tx, END, [runId, outcome, isoOf(at)]);
  },

  async released(tx, runId, at) {
    await inside(tx).update(runs).set({ releasedAt: at }).where(eq(runs.id, runId));
  },

  async holds(tx, accountId, playbook) {
    const rows = await inside(tx)
      .select({ holderRun: holds.holderRun, holderPlaybook: holds.holderPlaybook })
      .from(holds)
      .where(and(eq(holds.accountId, accountId), eq(holds.playbook, playbook)))
      .orderBy(asc(holds.since), asc(holds.holderRun));
    const byName = new Map<string, { name: string; holderPlaybook: string }>();
    for (const { holderRun, holderPlaybook } of rows) {
      const name = holderRun === "" ? "operator" : `playbook:${holderPlaybook}`;
      if (!byName.has(name)) byName.set(name, { name, holderPlaybook });
    }
    return [...byName.values()];
  },

  async oftenBegun(tx, since, least) {
    const rows = await rowsOf<{ playbook: string; account: string; contact: string | null; n: number; at: number }>(
      tx,
      sql`select distinct on (playbook, account_id, contact_id) playbook, account_id as account, contact_id as contact, n, (extract(epoch from started_at) * 1000)::float8 as at
          from (select playbook, account_id, contact_id, started_at,
                  (count(*) over (partition by playbook, account_id, contact_id order by started_at
                    range between interval '1 hour' preceding and current row))::int as n
                from runs where started_at >= ${new Date(since).toISOString()}::timestamptz) as began
          where n >= ${least}
          order by playbook, account_id, contact_id, n desc, started_at`,
    );
    return rows.map(({ playbook, account, contact, n, at }) => ({
      playbook,
      accountId: account,
      ...(contact === null ? {} : { contactId: contact }),
      count: n,
      at: Math.round(at),
    }));
  },

  async oldestLive(tx) {
    const [row] = await inside(tx)
      .select()
      .from(runs)
      .where(IS_LIVE)
      .orderBy(asc(runs.startedAt), asc(runs.id))
      .limit(1);
    return row && runOf(row);
  },

  async notBegun(tx, enrolledBefore, limit) {
    const rows = await inside(tx)
      .select({ run: runs, count: sql<number>`count(*) over ()::int` })
      .from(runs)
      .innerJoin(events, eq(events.id, sql`${`${INTERNAL_EVENTS.enrolled}/`} || ${runs.id}`))
      .where(and(eq(runs.status, "starting"), lt(events.receivedAt, enrolledBefore)))
      .orderBy(asc(events.receivedAt), asc(runs.id))
      .limit(limit);
    return { count: rows[0]?.count ?? 0, runs: rows.map(({ run }) => runOf(run)) };
  },

  async list(tx, { playbook, accountId, status, outcome, after, limit = 50 }) {
    const rows = await inside(tx)
      .select()
      .from(runs)
      .where(
        and(
          playbook === undefined ? undefined : eq(runs.playbook, playbook),
          accountId === undefined ? undefined : eq(runs.accountId, accountId),
          status === undefined ? undefined : inArray(runs.status, [...status]),
          outcome === undefined ? undefined : eq(runs.outcome, outcome),
          after === undefined
            ? undefined
            : sql`(${runs.startedAt}, ${runs.id}) < (select a.started_at, a.id from runs a where a.id = ${after})`,
        ),
      )
      .orderBy(desc(runs.startedAt), desc(runs.id))
      .limit(Math.min(Math.max(1, limit), RUNS_PAGE_MAX));
    return rows.map(runOf);
  },

  async timeline(tx, runId, afterSeq = 0) {
    const rows = await inside(tx)
      .select()
      .from(timeline)
      .where(and(eq(timeline.runId, runId), gt(timeline.seq, afterSeq)))
      .orderBy(asc(timeline.seq));
    return rows.map((row) => ({
      seq: row.seq,
      at: row.at,
      kind: row.kind as TimelineEntry["kind"],
      ...(row.step === null ? {} : { step: row.step }),
      ...(row.key === null ? {} : { key: row.key }),
      ...(row.detail === null ? {} : { detail: row.detail as Record<string, FactValue> }),
      ...(row.facts === null ? {} : { facts: row.facts as Record<string, FactValue> }),
    }));
  },
};

type Row = typeof runs.$inferSelect;

const GET = `select ${jsonRow(runs, "r")} as run from runs r where r.id = $1`;
const GET_MANY = `select ${jsonRow(runs, "r")} as run from runs r where r.id = any($1::text[])`;
/**
 * A repeated or belated call must not bring back a run that has ended (its key may be another's by now), nor tell its story otherwise.
 *
 * A workflow task that was lost after its `perform` is walked again, and may have decided otherwise from newer facts: what the run now says is what
 * happened, so a line is written over. The effects themselves are the ledger's, and are not repeated.
 */
const RECORD = `with waiting as materialized (select ${UNDELIVERED} as events),
  before as (
    select r.id, r.turns, r.status <> 'ended' as is_live from runs r
    where r.id = $1 and (select json_array_length(w.events) from waiting w) = 0 for update),
  told as (
    update runs r set
      status = case when b.is_live then $12 else r.status end,
      position = case when b.is_live then $13::text[] else r.position end,
      turns = coalesce($14::int + 1, r.turns)
    from before b where r.id = b.id and ($14::int is null or b.turns = $14::int) returning r.id, b.is_live),
  forgotten as (delete from stretches s using told t where s.run_id = t.id and s.turn <= $15::int),
  kept as (insert into stretches (run_id, turn, answer) select t.id, $14::int + 1, $16::jsonb from told t where $14::int is not null),
  confirmed as (insert into run_events (run_id, event_id) select t.id, e from told t, unnest($17::text[]) e on conflict do nothing),
  lines as (
    insert into timeline (run_id, seq, at, kind, step, key, detail, facts)
    select t.id, l.seq, l.at, l.kind, l.step, l.key, l.detail, l.facts
    from told t, jsonb_to_recordset($18::jsonb) as l(seq int, at timestamptz, kind text, step text, key text, detail jsonb, facts jsonb)
    where t.is_live
    on conflict (run_id, seq) do update set at = excluded.at, kind = excluded.kind, step = excluded.step, key = excluded.key,
      detail = excluded.detail, facts = excluded.facts)
  select (select w.events from waiting w) as events, (select count(*)::int from told) as told`;

const END = `with gone as (delete from stretches where run_id = $1)
  update runs set status = 'ended', outcome = $2, ended_at = $3::timestamptz, parked = null where id = $1 and ended_at is null`;

const UNTOLD = `select coalesce((select max(l.seq) from timeline l where l.run_id = $1), 0) as "lastSeq",
  (select coalesce(json_agg(json_build_object('channel', d.channel, 'effectKey', d.effect_key, 'step', d.step, 'locale', d.locale,
      'contactId', d.contact_id, 'recipient', d.recipient, 'status', d.status, 'sentAt', ${msText("d.sent_at")}) order by d.key), '[]')
   from deliveries d
   where d.run_id = $1 and d.status in (${SENT.map((status) => `'${status}'`).join(", ")}) and not exists (
     select 1 from timeline l where l.run_id = $1 and coalesce(l.key, l.step) in (d.effect_key, d.step)
       and case d.channel when 'slack' then l.kind = 'slack.posted'
         else l.kind in ('email.sent', 'email.unknown') and coalesce(l.detail->>'to', '') = coalesce(d.contact_id, '') end)) as messages`;

const LIVE = `select ${jsonRow(runs, "r")} as run from runs r where r.account_id = $1 and r.status <> 'ended' order by r.started_at, r.id`;

const WITH_UNDELIVERED = `select (${GET}) as run, ${UNDELIVERED} as events`;

function runOf(row: Row): RunRow {
  return {
    id: row.id,
    playbook: row.playbook,
    hash: row.hash,
    subject: row.subject,
    accountId: row.accountId,
    key: row.key,
    ordinal: row.ordinal,
    inputs: row.inputs as Record<string, FactValue>,
    status: row.status,
    position: row.position,
    startedAt: row.startedAt,
    priority: row.priority,
    turns: row.turns,
    ...(row.contactId === null ? {} : { contactId: row.contactId }),
    ...(row.contractId === null ? {} : { contractId: row.contractId }),
    ...(row.outcome === null ? {} : { outcome: row.outcome }),
    ...(row.endedAt === null ? {} : { endedAt: row.endedAt }),
    ...(row.enrolledBy === null ? {} : { enrolledBy: row.enrolledBy }),
    ...(row.parentRun === null ? {} : { parent: { run: row.parentRun, key: row.parentKey ?? "" } }),
    ...(row.parked === null ? {} : { parked: row.parked }),
    ...(row.releasedAt === null ? {} : { releasedAt: row.releasedAt }),
  };
}
