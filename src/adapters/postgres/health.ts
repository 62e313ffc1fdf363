import { eq, type SQL, sql } from "drizzle-orm";
import type { HealthModel, Measure } from "../../customers/health-model.js";
import type { Band, HealthStatus } from "../../customers/hysteresis.js";
import { agedFacts, type HealthInputs, healthFacts, healthModelHash } from "../../customers/measure-health.js";
import { LARGEST_FACTOR, SMALLEST_FACTOR } from "../../expression/expression.js";
import type { HealthStore } from "../../ports/health.js";
import type { Tx } from "../../ports/transactions.js";
import { inside, instantParam, rowsOf, textArray } from "./database.js";
import { knownZones, type PortfolioFacts, portfolioFacts } from "./portfolio-facts.js";
import { health, healthOverrides, sweeps } from "./schema.js";

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

  async accountsAfter(tx, after, asOf, limit) {
    const rows = await rowsOf<{ id: string }>(
      tx,
      sql`select id from accounts where id > ${after} and created_at <= ${instantParam(asOf)} order by id limit ${limit}`,
    );
    return rows.map(({ id }) => id);
  },

  async measureAll(tx, { model, health: healthModel, accounts }, asOf, receivedAt) {
    if (accounts.length === 0) return { written: 0, changed: 0 };
    const zones = await knownZones(tx);
    const facts = portfolioFacts({
      model,
      accounts,
      asOf,
      paths: healthFacts(healthModel),
      newest: agedFacts(healthModel),
      zones,
    });
    const [counts] = await rowsOf<{ written: number; changed: number }>(
      tx,
      sql`with facts as materialized (${facts.query}),
        ${scoredSql(healthModel, facts, asOf)},
        ${judgedSql(healthModel, asOf)},
        ${writtenSql(healthModel, asOf, receivedAt)}
        select (select count(*)::int from saved) as written, (select count(*)::int from told) as changed`,
    );
    return counts ?? { written: 0, changed: 0 };
  },

  async sweepCursor(tx, sweep) {
    const [row] = await inside(tx).select().from(sweeps).where(eq(sweeps.sweep, sweep)).for("update");
    return row && { at: row.at, after: row.afterAccount };
  },

  async setSweepCursor(tx, sweep, { at, after }) {
    await inside(tx)
      .insert(sweeps)
      .values({ sweep, at, afterAccount: after })
      .onConflictDoUpdate({ target: sweeps.sweep, set: { at, afterAccount: after } });
  },

  async listened(tx, accounts) {
    // A plan is read once, however many runs are pinned to it.
    return rowsOf(
      tx,
      sql`with live as materialized (
            select distinct account_id, coalesce(contact_id, '') as contact_id, hash from runs
            where status <> 'ended' and account_id = any(${textArray(accounts)})),
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
      sql`select account_id as "accountId", contact_id as "contactId", path, value from swept_facts where account_id = any(${textArray(accounts)})`,
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

/** Facts whose value may change with nothing happening: windows move on, the score of a week ago is another one. */
const TIME_DEPENDENT = "^(usage|tickets|survey)\\.|^health\\.(score|coverage|change_7d|change_30d)$";

function keysSql(facts: readonly { accountId: string; contactId: string; path: string }[]): SQL {
  return sql`unnest(${textArray(facts.map(({ accountId }) => accountId))}, ${textArray(
    facts.map(({ contactId }) => contactId),
  )}, ${textArray(facts.map(({ path }) => path))}) with ordinality as k(account_id, contact_id, path, n)`;
}

// ── the score ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One measure, numbered by name: its columns are w (weight), v, d (divisor), n (newest), r (ratio), m (missing), p (points). */
interface NumberedMeasure {
  readonly name: string;
  readonly k: number;
  readonly measure: Measure;
  /** By profile. */
  readonly weights: readonly { readonly profile: string; readonly weight: number }[];
}

/**
 * `scored`: account_id, profile, score, coverage, inputs. The same sums in the same order as `measureHealth`. Every step is
 * materialized: put into each other by the planner, the expressions would double with every step.
 */
function scoredSql(model: HealthModel, facts: PortfolioFacts, asOf: number): SQL {
  const measures = numbered(model);
  const list = (column: (measure: NumberedMeasure) => SQL) => sql.join(measures.map(column), sql`, `);
  const profiles = model.profiles.map(({ name, if: condition }) =>
    condition === undefined ? sql`else ${name}` : sql`when ${facts.expression(condition)} then ${name}`,
  );
  const profile =
    model.profiles.length === 1 ? sql`${model.profiles[0]?.name}::text` : sql`(case ${sql.join(profiles, sql` `)} end)`;
  return sql`profiled as (select facts.account_id, ${profile} as profile from facts),
    raw as materialized (select facts.account_id, profiled.profile, ${list((measure) => rawColumns(measure, facts))}
      from facts join profiled on profiled.account_id = facts.account_id),
    divided as materialized (select *, ${list((measure) => sql`${ratioOf(measure)} as ${column("r", measure)}`)} from raw),
    checked as materialized (select *, ${list((measure) => sql`${missingOf(measure, asOf)} as ${column("m", measure)}`)} from divided),
    pointed as materialized (select *, ${list((measure) => sql`(case when ${column("w", measure)} is not null and ${column("m", measure)} is null then ${pointsOf(measure)} end) as ${column("p", measure)}`)} from checked),
    summed as materialized (select *,
      ${total(measures, (measure) => sql`case when ${column("m", measure)} is distinct from 'stage' then ${column("w", measure)} end`)} as total,
      ${total(measures, (measure) => sql`case when ${column("p", measure)} is not null then ${column("w", measure)} end`)} as present,
      ${total(measures, (measure) => sql`${column("w", measure)} * ${column("p", measure)}`)} as weighted from pointed),
    scored as materialized (select account_id, profile,
      case when present > 0 then least(100, weighted / present) end as score,
      case when total > 0 then present / total else 0 end as coverage,
      ${inputsOf(model, measures)} as inputs from summed)`;
}

function numbered(model: HealthModel): NumberedMeasure[] {
  return Object.keys(model.measures)
    .sort()
    .map((name, k) => ({
      name,
      k,
      measure: model.measures[name] as Measure,
      weights: model.profiles.flatMap(({ name: profile, weights }) =>
        Object.hasOwn(weights, name) ? [{ profile, weight: weights[name] as number }] : [],
      ),
    }));
}

function rawColumns(numberedMeasure: NumberedMeasure, facts: PortfolioFacts): SQL {
  const { measure, weights } = numberedMeasure;
  const isText = measure.scale.kind === "values";
  const weight =
    weights.length === 0
      ? sql`null::double precision`
      : sql`(case profiled.profile ${sql.join(
          weights.map(({ profile, weight }) => sql`when ${profile} then ${number(weight)}`),
          sql` `,
        )} end)`;
  const value = valueColumn(facts, measure.value, isText);
  const divisor =
    measure.dividedBy === undefined ? sql`null::double precision` : valueColumn(facts, measure.dividedBy, false);
  // A model without a field for the stage has no stage to apply to.
  const stage = measure.stages === undefined ? undefined : facts.fact("account.stage");
  const applies =
    stage === undefined
      ? sql`true`
      : sql`coalesce(${sql.raw(stage.sql)} = any(${textArray(measure.stages ?? [])}), false)`;
  const columns: [string, SQL][] = [
    ["w", weight],
    ["v", value],
    ["d", divisor],
    ["n", facts.newest(measure.value)],
    ["s", applies],
  ];
  return sql.join(
    columns.map(([letter, of]) => sql`${of} as ${column(letter, numberedMeasure)}`),
    sql`, `,
  );
}

/** NULL where the fact is of another kind than the scale reads. */
function valueColumn(facts: PortfolioFacts, path: string, isText: boolean): SQL {
  const { sql: text, type } = facts.fact(path);
  const isNumeric = type === "number" || type === "timestamp" || type === "duration";
  if (isText ? type !== "string" : !isNumeric) return isText ? sql`null::text` : sql`null::double precision`;
  return sql.raw(text);
}

/** What the bands or the line are applied to; NULL where it would be out of range. */
function ratioOf(numberedMeasure: NumberedMeasure): SQL {
  const { measure } = numberedMeasure;
  const value = column("v", numberedMeasure);
  const divisor = column("d", numberedMeasure);
  if (measure.scale.kind === "values") return sql`null::double precision`;
  if (measure.dividedBy === undefined) return sql`(case when ${isFactor(value)} then ${value} end)`;
  return sql`(case when ${divisor} <> 0 and ${isFactor(value)} and ${isFactor(divisor)}
    then case when ${isFactor(sql`(${value} / ${divisor})`)} then ${value} / ${divisor} end end)`;
}

function missingOf(numberedMeasure: NumberedMeasure, asOf: number): SQL {
  const { measure } = numberedMeasure;
  const value = column("v", numberedMeasure);
  const newest = column("n", numberedMeasure);
  const cases = [
    sql`when ${column("w", numberedMeasure)} is null then null`,
    sql`when not ${column("s", numberedMeasure)} then 'stage'`,
    sql`when ${value} is null then 'absent'`,
  ];
  if (measure.freshMs !== undefined) {
    cases.push(sql`when ${newest} is null or ${number(asOf)} - ${newest} > ${number(measure.freshMs)} then 'stale'`);
  }
  if (measure.scale.kind === "values") {
    cases.push(sql`when not (${value} = any(${textArray(Object.keys(measure.scale.values))})) then 'unlisted'`);
  } else {
    if (measure.dividedBy !== undefined) {
      cases.push(sql`when coalesce(${column("d", numberedMeasure)}, 0) = 0 then 'divisor'`);
    }
    cases.push(sql`when ${column("r", numberedMeasure)} is null then 'range'`);
  }
  return sql`(case ${sql.join(cases, sql` `)} end)`;
}

function pointsOf(numberedMeasure: NumberedMeasure): SQL {
  const { scale } = numberedMeasure.measure;
  const ratio = column("r", numberedMeasure);
  switch (scale.kind) {
    case "values": {
      const cases = Object.entries(scale.values).map(([text, points]) => sql`when ${text} then ${number(points)}`);
      return cases.length === 0
        ? sql`null::double precision`
        : sql`(case ${column("v", numberedMeasure)} ${sql.join(cases, sql` `)} end)`;
    }
    case "linear": {
      const { from, to } = scale;
      return sql`greatest(0, least(100, (${ratio} - ${number(from)}) / (${number(to)} - ${number(from)}) * 100))`;
    }
    case "bands": {
      const cases = scale.bands.map(({ under, points }) =>
        under === undefined
          ? sql`when true then ${number(points)}`
          : sql`when ${ratio} < ${number(under)} then ${number(points)}`,
      );
      return sql`(case ${sql.join(cases, sql` `)} else 0 end)`;
    }
  }
}

function inputsOf(model: HealthModel, measures: readonly NumberedMeasure[]): SQL {
  const lines = measures.map((each) => {
    const [w, v, d, m, p] = ["w", "v", "d", "m", "p"].map((letter) => column(letter, each));
    const divisor =
      each.measure.dividedBy === undefined
        ? sql``
        : sql`, 'divisor', case when coalesce(${m}, 'range') = 'range' then ${d} end`;
    return sql`case when ${w} is null then '[]'::jsonb else jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
      'measure', ${each.name}::text, 'weight', ${w}, 'value', case when coalesce(${m}, '') not in ('stage', 'absent') then ${v} end,
      'points', ${p}, 'missing', ${m}${divisor}))) end`;
  });
  const ages = measures.map((each) => {
    const counts = sql`${column("w", each)} is not null and ${column("m", each)} is distinct from 'stage' and ${column("n", each)} is not null`;
    return sql`case when ${counts} then jsonb_build_object(${each.name}::text, ${column("n", each)}) else '{}'::jsonb end`;
  });
  return sql`jsonb_build_object('version', ${number(model.version)},
    'measures', ${sql.join([sql`'[]'::jsonb`, ...lines], sql` || `)},
    'newest', ${sql.join([sql`'{}'::jsonb`, ...ages], sql` || `)})`;
}

function total(measures: readonly NumberedMeasure[], term: (measure: NumberedMeasure) => SQL): SQL {
  return sql.join([number(0), ...measures.map((measure) => sql`coalesce(${term(measure)}, 0)`)], sql` + `);
}

function column(letter: string, { k }: NumberedMeasure): SQL {
  return sql`${sql.identifier(`${letter}${k}`)}`;
}

function number(value: number): SQL {
  return sql`${value}::double precision`;
}

function isFactor(value: SQL): SQL {
  return sql`(${value} = 0 or abs(${value}) between ${number(SMALLEST_FACTOR)} and ${number(LARGEST_FACTOR)})`;
}

// ── the status ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** `judged`: beside the score what hysteresis and override make of it. The same rules as `nextStanding` and `causeOf`. */
function judgedSql(model: HealthModel, asOf: number): SQL {
  const { status, hysteresis, minCoverage } = model;
  const now = instantParam(asOf);
  const edge = (band: SQL) =>
    sql`(case ${band} when 'red' then ${number(0)} when 'yellow' then ${number(status.yellow)} else ${number(status.green)} end)`;
  const end = (band: SQL) =>
    sql`(case ${band} when 'red' then ${number(status.yellow)} else ${number(status.green)} end)`;
  const left = sql`(case when s.score < ${edge(sql`s.held`)} then ${edge(sql`s.held`)} - s.score else s.score - ${end(sql`s.held`)} end)`;
  return sql`placed as materialized (
      select scored.*, h.account_id is null as is_new, h.status as old_status, h.score as old_score, h.coverage as old_coverage,
        h.model_status as old_model_status, h.band as old_band, h.outside as old_outside, h.profile as old_profile,
        h.model_hash as old_hash, h.inputs as old_inputs, h.daily_at as old_daily_at, o.status as word,
        coalesce(o.until <= ${now}, false) as has_expired, coalesce(o.at <= ${now} and o.until > ${now}, false) as is_overridden,
        coalesce(h.model_hash <> ${healthModelHash(model)}, false) as is_model_new,
        case when h.model_hash = ${healthModelHash(model)} then h.band end as held,
        scored.score is not null and scored.coverage >= ${number(minCoverage)} as is_known,
        case when scored.score < ${number(status.yellow)} then 'red' when scored.score < ${number(status.green)} then 'yellow' when scored.score is not null then 'green' end as own_band
      from scored left join health h on h.account_id = scored.account_id left join health_overrides o on o.account_id = scored.account_id
      where h.account_id is null or (h.at <= ${now} and (h.daily_at is null or h.daily_at < ${now}))),
    moved as materialized (
      select s.*, case when not is_known then held when held is null or held = own_band then own_band
          when ${left} >= ${number(hysteresis.points)} or old_outside + 1 >= ${hysteresis.evaluations}::int then own_band else held end as band
      from placed s),
    standing as materialized (
      select *, case when is_known then band else 'unknown' end as model_status,
        case when is_known and band <> own_band then old_outside + 1 else 0 end as outside,
        is_new or (is_known and held is null) as is_first from moved),
    shown as (
      select *, case when is_overridden then word else model_status end as status,
        case when has_expired then 'expiry' when is_model_new then 'model' when is_first then 'first' else 'data' end as cause
      from standing),
    judged as (
      select *, is_new or status is distinct from old_status as is_status_new,
        is_new or score is distinct from old_score as is_score_new, is_new or coverage is distinct from old_coverage as is_coverage_new
      from shown)`;
}

/** Writes what is different, and only that: `saved` the scores, `told` the events. */
function writtenSql(model: HealthModel, asOf: number, receivedAt: number): SQL {
  const now = instantParam(asOf);
  return sql`saved as (
      insert into health (account_id, score, status, model_status, coverage, inputs, model_hash, profile, band, outside, daily_at, at)
      select account_id, score, status, model_status, coverage, inputs, ${healthModelHash(model)}, profile, band, outside, ${now}, ${now} from judged
      where is_status_new or is_score_new or is_coverage_new or model_status is distinct from old_model_status or band is distinct from old_band
        or outside <> old_outside or profile <> old_profile or is_model_new or (inputs - 'newest') <> (old_inputs - 'newest')
      on conflict (account_id) do update set score = excluded.score, status = excluded.status, model_status = excluded.model_status,
        coverage = excluded.coverage, inputs = excluded.inputs, model_hash = excluded.model_hash, profile = excluded.profile,
        band = excluded.band, outside = excluded.outside, daily_at = excluded.daily_at, at = excluded.at
      returning 1),
    history as (
      insert into health_history (account_id, at, score, status, cause)
      select judged.account_id, ${now}, judged.score, judged.status, cause from judged
      left join lateral (select true as is_there, h.score, h.status from health_history h where h.account_id = judged.account_id and h.at <= ${now}
                         order by h.at desc limit 1) last on true
      where last.is_there is null or last.status <> judged.status or last.score is distinct from judged.score
      on conflict (account_id, at) do update set score = excluded.score, status = excluded.status, cause = excluded.cause),
    expired as (
      delete from health_overrides o using judged where o.account_id = judged.account_id and has_expired),
    told as (
      insert into events (id, name, account_id, at, received_at, payload, changed, source)
      select 'health|' || account_id || '|' || ${String(asOf)}::text || '|' || cause || '|' || coalesce(old_status, '') || '|' || status,
        'health.changed', account_id, ${now}, ${instantParam(receivedAt)},
        jsonb_strip_nulls(jsonb_build_object('from', old_status, 'to', status, 'cause', cause)),
        array['health.status'] || case when is_score_new then array['health.score', 'health.change_7d', 'health.change_30d'] else '{}' end
          || case when is_coverage_new then array['health.coverage'] else '{}' end, 'sweep'
      from judged where is_status_new on conflict (id) do nothing returning 1)`;
}
