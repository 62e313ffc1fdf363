import { eq, fillPlaceholders, type Query, type SQL, sql } from "drizzle-orm";
import { PgDialect } from "drizzle-orm/pg-core";
import type { HealthModel } from "../../customers/health-model.js";
import type { Band, HealthStatus } from "../../customers/hysteresis.js";
import { agedFacts, type HealthInputs, healthFacts } from "../../customers/measure-health.js";
import type { Model } from "../../customers/model.js";
import type { HealthStore } from "../../ports/health.js";
import type { Tx } from "../../ports/transactions.js";
import { ANY_SPAN, existing, within } from "./account-span.js";
import { dailyHealthSql } from "./daily-health-sql.js";
import { inside, instantParam, rowsOf, textArray } from "./database.js";
import { knownZones, portfolioFacts } from "./portfolio-facts.js";
import { health, healthOverrides } from "./schema.js";
import { ask, isoOf, msText, type Parameter } from "./statement.js";

/** Scores, their history, overrides, and how far the daily sweep has got. */
export const postgresHealth: HealthStore = {
  async get(tx, accountId) {
    const [row] = await inside(tx).select().from(health).where(eq(health.accountId, accountId));
    if (row === undefined) return undefined;
    return {
      ...row,
      status: row.status as HealthStatus,
      modelStatus: row.modelStatus as HealthStatus,
      band: row.band as Band | null,
      inputs: row.inputs as HealthInputs,
    };
  },

  async save(tx, row, cause) {
    const { accountId, ...values } = row;
    await inside(tx)
      .insert(health)
      .values({ accountId, ...values })
      .onConflictDoUpdate({ target: health.accountId, set: values });
    await inside(tx).execute(
      sql`insert into health_history (account_id, at, score, status, cause)
          select ${accountId}, ${instantParam(row.at)}, ${row.score}::double precision, ${row.status}, ${cause}
          where not exists (
            select 1 from (select score, status from health_history where account_id = ${accountId} and at <= ${instantParam(row.at)}
                           order by at desc limit 1) last
            where last.status = ${row.status} and last.score is not distinct from ${row.score}::double precision)
          on conflict (account_id, at) do update set score = excluded.score, status = excluded.status, cause = excluded.cause`,
    );
  },

  async newest(tx, model, accountId, paths, asOf) {
    if (paths.length === 0) return {};
    const zones = await knownZones(tx);
    const facts = portfolioFacts({ model, accounts: [accountId], asOf, paths: [], newest: paths, zones });
    const columns = paths.map((path, index) => sql`${facts.newest(path)} as ${sql.identifier(`n${index}`)}`);
    const [row] = await rowsOf<Record<string, number | null>>(
      tx,
      sql`with facts as (${facts.query}) select ${sql.join(columns, sql`, `)} from facts`,
    );
    return Object.fromEntries(
      paths.flatMap((path, index) => {
        const at = row?.[`n${index}`];
        return typeof at === "number" ? [[path, at]] : [];
      }),
    );
  },

  async override(tx, accountId) {
    const [row] = await inside(tx).select().from(healthOverrides).where(eq(healthOverrides.accountId, accountId));
    return row && { ...row, status: row.status as Band };
  },

  async setOverride(tx, override) {
    const { accountId, ...values } = override;
    await inside(tx)
      .insert(healthOverrides)
      .values({ accountId, ...values })
      .onConflictDoUpdate({ target: healthOverrides.accountId, set: values });
  },

  async clearOverride(tx, accountId) {
    await inside(tx).delete(healthOverrides).where(eq(healthOverrides.accountId, accountId));
  },

  async lockSpan(tx, after, asOf, limit) {
    const [row] = await ask<{ count: number; last: string | null }>(tx, LOCK_SPAN, [after, isoOf(asOf), limit]);
    return row?.last ? { after, last: row.last, existedAt: asOf, count: row.count } : undefined;
  },

  async confirmSpan(tx, span) {
    const [row] = await rowsOf<{ count: number }>(tx, sql`select count(*)::int as count from ${existing(span)}`);
    if (row?.count !== span.count) throw new SpanChanged(`an account has come between ${span.after} and ${span.last}`);
  },

  async measureAll(tx, { model, health: healthModel, accounts }, asOf, receivedAt) {
    const { sql: text, params } = dailyStatement(model, healthModel, asOf, await knownZones(tx));
    const { after, last } = accounts;
    const values = fillPlaceholders(params, { after, last, receivedAt: isoOf(receivedAt) }) as Parameter[];
    const [counts] = await ask<{ written: number; changed: number }>(tx, text, values);
    return counts ?? { written: 0, changed: 0 };
  },

  async sweepCursor(tx, sweep) {
    const [row] = await ask<{ at: number; after: string | null }>(tx, SWEEP_CURSOR, [sweep]);
    return row;
  },

  async setSweepCursor(tx, sweep, { at, after }) {
    await ask(tx, SET_SWEEP_CURSOR, [sweep, isoOf(at), after]);
  },

  async listened(tx, accounts) {
    // A plan is read once, however many runs are pinned to it.
    return rowsOf(
      tx,
      sql`with live as materialized (
            select distinct account_id, coalesce(contact_id, '') as contact_id, hash from runs
            where status <> 'ended' and ${within(accounts, sql`account_id`)} and account_id in (select id from ${existing(accounts)})),
          listening as materialized (
            select v.hash, path from playbook_versions v cross join lateral jsonb_array_elements_text(v.plan #> '{listens,facts}') as path
            where v.hash in (select hash from live) and path ~ ${TIME_DEPENDENT})
          select distinct live.account_id as "accountId", live.contact_id as "contactId", listening.path
          from live join listening on listening.hash = live.hash order by 1, 2, 3`,
    );
  },

  async sweptFacts(tx, accounts) {
    return rowsOf(
      tx,
      sql`select account_id as "accountId", contact_id as "contactId", path, value from swept_facts
          where ${within(accounts, sql`account_id`)} and account_id in (select id from ${existing(accounts)})`,
    );
  },

  async setSweptFacts(tx, facts) {
    if (facts.length === 0) return;
    await inside(tx).execute(
      sql`insert into swept_facts (account_id, contact_id, path, value)
          select account_id, contact_id, path, value::jsonb from ${keysSql(facts)} join unnest(${textArray(
            facts.map(({ value }) => JSON.stringify(value ?? null)),
          )}) with ordinality as v(value, n) using (n)
          on conflict (account_id, contact_id, path) do update set value = excluded.value`,
    );
  },

  async dropSweptFacts(tx, facts) {
    if (facts.length === 0) return;
    await inside(tx).execute(
      sql`delete from swept_facts s using ${keysSql(facts)}
          where s.account_id = k.account_id and s.contact_id = k.contact_id and s.path = k.path`,
    );
  },
};

/**
 * The chunk and its locks at once: what is asked afterwards sees what was written until they were had. In the order of `lockAccounts`, and `offset 0`:
 * sorted first, locked then.
 */
const LOCK_SPAN = `select count(pg_advisory_xact_lock(hashtextextended('account:' || id, 0)))::int as count, max(id) as last from (
  select id from (select id from accounts where id > $1 and created_at <= $2::timestamptz order by id limit $3::int) next
  order by id collate "C" offset 0) ordered`;

const SWEEP_CURSOR = `select ${msText("at")}::double precision as at, after_account as after from sweeps where sweep = $1 for update`;

const SET_SWEEP_CURSOR = `insert into sweeps (sweep, at, after_account) values ($1, $2::timestamptz, $3)
  on conflict (sweep) do update set at = excluded.at, after_account = excluded.after_account`;

/** The statement of one evaluation, the same for all of its chunks but for what `fillPlaceholders` puts in: thousands of pieces, put together once. */
function dailyStatement(model: Model, health: HealthModel, asOf: number, zones: readonly string[]): Query {
  if (made?.model !== model || made.health !== health || made.asOf !== asOf) {
    const accounts = { ...ANY_SPAN, existedAt: asOf };
    const paths = healthFacts(health);
    const facts = portfolioFacts({ model, accounts, asOf, paths, newest: agedFacts(health), zones });
    const receivedAt = sql`${sql.placeholder("receivedAt")}::timestamptz`;
    const statement = dailyHealthSql({ model: health, accounts, facts, asOf, receivedAt });
    made = { model, health, asOf, query: new PgDialect().sqlToQuery(statement) };
  }
  return made.query;
}

let made:
  | { readonly model: Model; readonly health: HealthModel; readonly asOf: number; readonly query: Query }
  | undefined;

/** Repeated like a serialization failure. */
class SpanChanged extends Error {
  override readonly name = "SpanChanged";
  readonly code = "40001";
}

/** Facts whose value may change with nothing happening: windows move on, the score of a week ago is another one. */
const TIME_DEPENDENT = "^(usage|tickets|survey)\\.|^health\\.(score|coverage|change_7d|change_30d)$";

function keysSql(facts: readonly { accountId: string; contactId: string; path: string }[]): SQL {
  return sql`unnest(${textArray(facts.map(({ accountId }) => accountId))}, ${textArray(
    facts.map(({ contactId }) => contactId),
  )}, ${textArray(facts.map(({ path }) => path))}) with ordinality as k(account_id, contact_id, path, n)`;
}
