import { type SQL, sql } from "drizzle-orm";
import type { HealthModel, Measure } from "../../customers/health-model.js";
import { healthModelHash, weighed } from "../../customers/measure-health.js";
import { LARGEST_FACTOR, SMALLEST_FACTOR } from "../../expression/expression.js";
import { type Ends, within } from "./account-span.js";
import { instantParam, textArray } from "./database.js";
import type { PortfolioFacts } from "./portfolio-facts.js";

export interface DailyHealth {
  readonly model: HealthModel;
  readonly accounts: Ends;
  /** Of these accounts, as of the instant: `healthFacts` of the model, and the age of its `agedFacts`. */
  readonly facts: PortfolioFacts;
  readonly asOf: number;
  readonly receivedAt: SQL;
}

/**
 * The daily evaluation as one statement: from facts to scores, to statuses, to what is written of them. It does to each account what `measureHealth`
 * does to one, digit for digit, and gives how many rows and events were `written` and `changed`.
 *
 * It is a chain of steps with one row an account, each adding columns. They end with `offset 0`: put into each other by the planner, their expressions
 * would double with every step, and `materialized` would store every row at every step. Only rows that change are kept aside, and explained.
 */
export function dailyHealthSql(of: DailyHealth): SQL {
  return sql`with facts as (${of.facts.query}),
    ${scoredSql(of)},
    ${judgedSql(of)},
    ${writtenSql(of)}
    select (select count(*)::int from saved) as written, (select count(*)::int from told) as changed`;
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

/** `scored`: account_id, profile, score, coverage, and each measure's columns. The same sums in the same order as `measureHealth`. */
function scoredSql({ model, facts, asOf }: DailyHealth): SQL {
  const measures = numbered(model);
  const list = (column: (measure: NumberedMeasure) => SQL) => sql.join(measures.map(column), sql`, `);
  const profiles = model.profiles.map(({ name, if: condition }) =>
    condition === undefined ? sql`else ${name}` : sql`when ${facts.expression(condition)} then ${name}`,
  );
  const profile =
    model.profiles.length === 1 ? sql`${model.profiles[0]?.name}::text` : sql`(case ${sql.join(profiles, sql` `)} end)`;
  return sql`profiled as (select facts.*, ${profile} as profile from facts offset 0),
    raw as (select facts.account_id, facts.profile, ${list((measure) => rawColumns(measure, facts))} from profiled as facts offset 0),
    divided as (select *, ${list((measure) => sql`${ratioOf(measure)} as ${column("r", measure)}`)} from raw offset 0),
    checked as (select *, ${list((measure) => sql`${missingOf(measure, asOf)} as ${column("m", measure)}`)} from divided offset 0),
    pointed as (select *, ${list((measure) => sql`(case when ${column("w", measure)} is not null and ${column("m", measure)} is null then ${pointsOf(measure)} end) as ${column("p", measure)}`)} from checked offset 0),
    summed as (select *,
      ${total(measures, (measure) => sql`case when ${column("m", measure)} is distinct from 'stage' then ${column("w", measure)} end`)} as total,
      ${total(measures, (measure) => sql`case when ${column("p", measure)} is not null then ${column("w", measure)} end`)} as present,
      ${total(measures, (measure) => sql`${column("w", measure)} * ${column("p", measure)}`)} as weighted from pointed offset 0),
    scored as (select *,
      case when present > 0 then least(100, weighted / present) end as score,
      case when total > 0 then present / total else 0 end as coverage from summed offset 0)`;
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
      : sql`(case facts.profile ${sql.join(
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

function total(measures: readonly NumberedMeasure[], term: (measure: NumberedMeasure) => SQL): SQL {
  return sql.join([number(0), ...measures.map((measure) => sql`coalesce(${term(measure)}, 0)`)], sql` + `);
}

// ── the status ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** `judged`: beside the score what hysteresis and override make of it. The same rules as `nextStanding` and `causeOf`. */
function judgedSql({ model, accounts, asOf }: DailyHealth): SQL {
  const { status, hysteresis, minCoverage } = model;
  const hash = healthModelHash(model);
  const now = instantParam(asOf);
  const edge = (band: SQL) =>
    sql`(case ${band} when 'red' then ${number(0)} when 'yellow' then ${number(status.yellow)} else ${number(status.green)} end)`;
  const end = (band: SQL) =>
    sql`(case ${band} when 'red' then ${number(status.yellow)} else ${number(status.green)} end)`;
  const left = sql`(case when score < ${edge(sql`held`)} then ${edge(sql`held`)} - score else score - ${end(sql`held`)} end)`;
  // The span again, so that only these accounts' rows are read, however many there are; and read once, not once for each account.
  return sql`placed as (
      select scored.*, h.account_id is null as is_new, h.status as old_status, h.score as old_score, h.coverage as old_coverage,
        h.model_status as old_model_status, h.band as old_band, h.outside as old_outside, h.profile as old_profile,
        h.inputs -> 'measures' as old_measures, o.status as word,
        coalesce(o.until <= ${now}, false) as has_expired, coalesce(o.at <= ${now} and o.until > ${now}, false) as is_overridden,
        coalesce(h.model_hash <> ${hash}, false) as is_model_new,
        case when h.model_hash = ${hash} then h.band end as held,
        scored.score is not null and scored.coverage >= ${number(minCoverage)} as is_known,
        case when scored.score < ${number(status.yellow)} then 'red' when scored.score < ${number(status.green)} then 'yellow' when scored.score is not null then 'green' end as own_band
      from scored
      left join (select * from health where ${within(accounts, sql`account_id`)} offset 0) h on h.account_id = scored.account_id
      left join (select * from health_overrides where ${within(accounts, sql`account_id`)} offset 0) o on o.account_id = scored.account_id
      where h.account_id is null or (h.at <= ${now} and (h.daily_at is null or h.daily_at < ${now})) offset 0),
    moved as (
      select *, case when not is_known then held when held is null or held = own_band then own_band
          when ${left} >= ${number(hysteresis.points)} or old_outside + 1 >= ${hysteresis.evaluations}::int then own_band else held end as band
      from placed offset 0),
    standing as (
      select *, case when is_known then band else 'unknown' end as model_status,
        case when is_known and band <> own_band then old_outside + 1 else 0 end as outside,
        is_new or (is_known and held is null) as is_first from moved offset 0),
    judged as (
      select *, case when is_overridden then word else model_status end as status,
        case when has_expired then 'expiry' when is_model_new then 'model' when is_first then 'first' else 'data' end as cause
      from standing offset 0)`;
}

// ── what is written ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Writes what is different, and only that: `saved` the scores, `told` the events. The row before says what the last line of history says. */
function writtenSql({ model, asOf, receivedAt }: DailyHealth): SQL {
  const now = instantParam(asOf);
  // CASE, as explanations can only be compared under the same model and profile.
  return sql`compared as (
      select *, case when is_new or is_model_new or (score, status, coverage, model_status, band, outside, profile)
          is distinct from (old_score, old_status, old_coverage, old_model_status, old_band, old_outside, old_profile) then true
          else ${isExplainedOtherwise(model)} end as is_saved,
        is_new or status is distinct from old_status as is_status_new, is_new or score is distinct from old_score as is_score_new,
        is_new or coverage is distinct from old_coverage as is_coverage_new
      from judged offset 0),
    changed as materialized (
      select account_id, score, status, model_status, coverage, profile, band, outside, cause, old_status, has_expired,
        is_saved, is_status_new, is_score_new, is_coverage_new,
        ${inputsOf(model)} as inputs
      from compared where is_saved or has_expired),
    saved as (
      insert into health (account_id, score, status, model_status, coverage, inputs, model_hash, profile, band, outside, daily_at, at)
      select account_id, score, status, model_status, coverage, inputs, ${healthModelHash(model)}, profile, band, outside, ${now}, ${now}
      from changed where is_saved
      on conflict (account_id) do update set score = excluded.score, status = excluded.status, model_status = excluded.model_status,
        coverage = excluded.coverage, inputs = excluded.inputs, model_hash = excluded.model_hash, profile = excluded.profile,
        band = excluded.band, outside = excluded.outside, daily_at = excluded.daily_at, at = excluded.at
      returning 1),
    history as (
      insert into health_history (account_id, at, score, status, cause)
      select account_id, ${now}, score, status, cause from changed where is_status_new or is_score_new
      on conflict (account_id, at) do update set score = excluded.score, status = excluded.status, cause = excluded.cause),
    expired as (
      delete from health_overrides o using changed where o.account_id = changed.account_id and has_expired),
    told as (
      insert into events (id, name, account_id, at, received_at, payload, changed, source)
      select 'health|' || account_id || '|' || ${String(asOf)}::text || '|' || cause || '|' || coalesce(old_status, '') || '|' || status,
        'health.changed', account_id, ${now}, ${receivedAt},
        jsonb_strip_nulls(jsonb_build_object('from', old_status, 'to', status, 'cause', cause)),
        array['health.status'] || case when is_score_new then array['health.score', 'health.change_7d', 'health.change_30d'] else '{}' end
          || case when is_coverage_new then array['health.coverage'] else '{}' end, 'sweep'
      from changed where is_status_new on conflict (id) do nothing returning 1)`;
}

// ── the explanation ──────────────────────────────────────────────────────────────────────────────────────────────────

/** `HealthInputs`. To be asked for changed rows only: as JSON, three measures cost as much as all else that is done for an account. */
function inputsOf(model: HealthModel): SQL {
  const measures = numbered(model);
  const lines = measures.map((each) => {
    const { value, divisor, missing } = shownOf(each);
    const divided = each.measure.dividedBy === undefined ? sql`` : sql`, 'divisor': ${divisor}`;
    return sql`case when ${column("w", each)} is not null then json_object('measure': ${each.name}::text, 'weight': ${column("w", each)},
      'value': ${value}, 'points': ${column("p", each)}, 'missing': ${missing}${divided} absent on null returning jsonb) end`;
  });
  return sql`json_object('version': ${number(model.version)},
    'measures': json_array(${sql.join([sql`null::jsonb`, ...lines], sql`, `)} absent on null returning jsonb),
    'newest': ${newestOf(measures)} returning jsonb)`;
}

/**
 * Whether an explanation would say something else than the stored one, without making it: under one model and one profile, weights and points
 * follow from what is compared here.
 */
function isExplainedOtherwise(model: HealthModel): SQL {
  const differences = numbered(model).map((each) => {
    const { value, divisor, missing } = shownOf(each);
    const old = (key: string) => sql`(old_measures -> ${placeOf(model, each)} ->> ${sql.raw(`'${key}'`)})`;
    const oldValue = each.measure.scale.kind === "values" ? old("value") : sql`${old("value")}::double precision`;
    const divided =
      each.measure.dividedBy === undefined
        ? sql``
        : sql`or ${divisor} is distinct from ${old("divisor")}::double precision`;
    return sql`(${column("w", each)} is not null and (
      ${value} is distinct from ${oldValue} or ${missing} is distinct from ${old("missing")} ${divided}))`;
  });
  return sql`(${sql.join([sql`false`, ...differences], sql` or `)})`;
}

/** What a line of the explanation shows. */
function shownOf(each: NumberedMeasure): { readonly value: SQL; readonly divisor: SQL; readonly missing: SQL } {
  const [v, d, m] = ["v", "d", "m"].map((letter) => column(letter, each));
  return {
    value: sql`(case when coalesce(${m}, '') not in ('stage', 'absent') then ${v} end)`,
    divisor: sql`(case when coalesce(${m}, 'range') = 'range' then ${d} end)`,
    missing: sql`${m}`,
  };
}

/** Where the measure stands among those that the account's profile weighs. */
function placeOf(model: HealthModel, { name }: NumberedMeasure): SQL {
  const places = model.profiles.flatMap((profile) => {
    const place = weighed(model, profile).findIndex((each) => each.name === name);
    return place < 0 ? [] : [sql`when ${profile.name} then ${sql.raw(String(place))}`];
  });
  return places.length === 0 ? sql`null::int` : sql`(case profile ${sql.join(places, sql` `)} end)`;
}

/** `HealthInputs.newest`. */
function newestOf(measures: readonly NumberedMeasure[]): SQL {
  const ages = measures.map((each) => {
    const counts = sql`${column("w", each)} is not null and ${column("m", each)} is distinct from 'stage'`;
    return sql`${each.name}::text: case when ${counts} then ${column("n", each)} end`;
  });
  return sql`json_object(${sql.join(ages, sql`, `)} absent on null returning jsonb)`;
}

// ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function column(letter: string, { k }: NumberedMeasure): SQL {
  return sql`${sql.identifier(`${letter}${k}`)}`;
}

function number(value: number): SQL {
  return sql`${value}::double precision`;
}

function isFactor(value: SQL): SQL {
  return sql`(${value} = 0 or abs(${value}) between ${number(SMALLEST_FACTOR)} and ${number(LARGEST_FACTOR)})`;
}
