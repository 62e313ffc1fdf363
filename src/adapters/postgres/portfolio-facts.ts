import { type SQL, sql } from "drizzle-orm";
import { BASELINE_WINDOWS_MIN, windowMs } from "../../customers/metrics.js";
import { fieldOf } from "../../customers/fields.js";
import type { Metric, Model } from "../../customers/model.js";
import { SURVEY_WINDOW_MS } from "../../customers/surveys.js";
import type { Expression, FactType } from "../../expression/expression.js";
import { type SqlFact, toSql } from "../../expression/to-sql.js";
import type { AccountSpan } from "../../ports/health.js";
import type { Tx } from "../../ports/transactions.js";
import { DAY_MS, type Instant } from "../../values/instant.js";
import { type Ends, existing, within } from "./account-span.js";
import { instantParam, msOf, rowsOf, textArray } from "./database.js";
import { aggregateSql, interval, windowBounds } from "./metric-sql.js";

/** Facts of many accounts as a relation: one row per account, a column per fact. */
export interface PortfolioFacts {
  /** A query that gives `account_id` and the columns; to be named `facts`. */
  readonly query: SQL;
  /** The column of a fact, as `toSql` wants it. Throws for a path that was not asked for. */
  readonly fact: (path: string) => SqlFact;
  /** Epoch milliseconds of the newest sample, answer or change behind the fact, NULL where there is none. */
  readonly newest: (path: string) => SQL;
  /** A checked expression over the columns. */
  readonly expression: (expression: Expression) => SQL;
}

export interface PortfolioRequest {
  readonly model: Model;
  readonly accounts: readonly string[] | (Ends & Pick<AccountSpan, "existedAt">);
  readonly asOf: Instant;
  /** Facts of an account without any run: what segments and health models may name. */
  readonly paths: readonly string[];
  /** Those whose age is wanted too. */
  readonly newest?: readonly string[];
  /** Zones that Postgres knows (`knownZones`); an account in another counts its days in UTC. */
  readonly zones: readonly string[];
}

/**
 * The same values as `FactReader.read`, for many accounts in one statement, to be joined with what else is asked.
 *
 * @throws Error for a path that no account has (of a contact, a run, an event, or not declared)
 */
export function portfolioFacts(request: PortfolioRequest): PortfolioFacts {
  const { paths, newest = [] } = request;
  const wanted = [...new Set([...paths, ...newest])];
  const sources = new Sources(request);
  const columns = wanted.map((path) => ({ path, ...sources.column(path) }));
  const selected = columns.flatMap(({ value, at }, index) => [
    sql`${value} as ${sql.identifier(`f${index}`)}`,
    ...(newest.includes(columns[index]?.path ?? "") ? [sql`${at} as ${sql.identifier(`a${index}`)}`] : []),
  ]);
  const indexOf = (path: string): number => {
    const index = wanted.indexOf(path);
    if (index < 0) throw new Error(`the fact ${path} was not asked for`);
    return index;
  };
  const fact = (path: string): SqlFact => {
    const index = indexOf(path);
    return { sql: `facts."f${index}"`, type: columns[index]?.type as FactType };
  };
  const { ctes, joins } = sources;
  return {
    query: sql`with scope as (${sources.scope})
      ${ctes.length === 0 ? sql`` : sql`, ${sql.join(ctes, sql`, `)}`}
      select ${sql.join([sql`scope.account_id`, ...selected], sql`, `)} from scope ${sql.join(joins, sql` `)}`,
    fact,
    newest: (path) => sql.raw(`facts."a${indexOf(path)}"`),
    expression: (expression) => embedded(toSql(expression, fact)),
  };
}

/** The time zones that Postgres can count in: the same for its whole release, so asked once per process. */
export async function knownZones(tx: Tx): Promise<readonly string[]> {
  zones ??= rowsOf<{ name: string }>(tx, sql`select name from pg_timezone_names`).then((rows) =>
    rows.map(({ name }) => name),
  );
  try {
    return await zones;
  } catch (error) {
    zones = undefined;
    throw error;
  }
}

let zones: Promise<readonly string[]> | undefined;

interface Column {
  readonly type: FactType;
  readonly value: SQL;
  readonly at: SQL;
}

const NO_AGE = sql`null::double precision`;

/** Aggregates over the samples of one name, one role and one span: all metrics of them in one pass. */
interface Scan {
  readonly name: string;
  readonly metric: Metric;
  readonly aggregates: SQL[];
  /** How far back the longest window reaches; undefined: to the beginning. */
  reachMs: number | undefined;
}

/** Collects the common table expressions and joins that the columns need, each once. */
class Sources {
  private readonly sources = new Map<string, { readonly kind: "table" | "look"; readonly query: () => SQL }>();
  private readonly scans = new Map<string, Scan>();
  /** What is read of entities: more would be gathered for each of them. */
  private readonly fields = { account: new Set(["timezone"]), contract: new Set(["status", "end_date"]) };
  private readonly now: SQL;
  /** A row for each account. */
  readonly scope: SQL;
  /** That a column is the id of one of the accounts; of a span also of accounts that didn't exist yet. */
  private readonly isAmong: (column: SQL) => SQL;

  constructor(private readonly request: PortfolioRequest) {
    const { accounts, asOf } = request;
    this.now = instantParam(asOf);
    if ("after" in accounts) {
      this.scope = sql`select id as account_id from ${existing(accounts)}`;
      this.isAmong = (column) => within(accounts, column);
    } else {
      const ids = textArray(accounts);
      this.scope = sql`select account_id from unnest(${ids}) as account_id`;
      this.isAmong = (column) => sql`${column} = any(${ids})`;
    }
  }

  column(path: string): Column {
    const dot = path.indexOf(".");
    const [area, name] = dot < 0 ? [path, ""] : [path.slice(0, dot), path.slice(dot + 1)];
    switch (area) {
      case "now":
        return { type: "timestamp", value: sql`${this.request.asOf}::double precision`, at: NO_AGE };
      case "account":
      case "contract":
        return this.field(area, name);
      case "usage":
        return this.usage(name);
      case "tickets":
        return this.tickets(name);
      case "survey":
        return this.survey(name);
      case "health":
        return this.health(name);
      case "milestone":
        return this.milestone(name);
      case "goals":
        return this.goals(name);
      default:
        throw unknown(path);
    }
  }

  /** To be asked when every column is there. */
  get ctes(): SQL[] {
    return [...this.sources].flatMap(([name, { kind, query }]) =>
      kind === "table" ? [sql`${sql.identifier(name)} as (${query()})`] : [],
    );
  }

  /** To be asked when every column is there. In the order in which they were added: a look may use what was added before it. */
  get joins(): SQL[] {
    return [...this.sources].map(([name, { kind, query }]) => {
      const alias = sql.identifier(name);
      return kind === "table"
        ? sql`left join ${alias} on ${alias}.account_id = scope.account_id`
        : sql`cross join lateral (${query()} offset 0) ${alias}`;
    });
  }

  /** Adds a table expression named `name` with one row per account at most, unless it is there. Grouped by account, so that the planner knows. */
  private join(name: string, query: () => SQL): void {
    if (!this.sources.has(name)) this.sources.set(name, { kind: "table", query });
  }

  /** Adds one row named `name` that is looked up for each account (`scope.account_id`), once however often it is named. */
  private look(name: string, query: () => SQL): void {
    if (!this.sources.has(name)) this.sources.set(name, { kind: "look", query });
  }

  // ── fields ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  private field(entity: "account" | "contract", name: string): Column {
    const field = fieldOf(this.request.model, entity, name);
    if (field === undefined) throw unknown(`${entity}.${name}`);
    this.joinFields("account");
    if (entity === "contract") this.joinFields("contract");
    const { derived } = field;
    for (const read of derived === undefined ? [name] : [derived.date, derived.days]) this.fields[entity].add(read);
    const table = sql.identifier(`${entity}_fields`);
    if (name === "id") {
      const value = entity === "account" ? sql`scope.account_id` : sql`${table}.entity_id`;
      return { type: "string", value, at: NO_AGE };
    }
    const changed = (of: string) => sql`(${table}.t ->> ${of}::text)::double precision`;
    if (derived !== undefined) {
      const { date, sign, days } = derived;
      const shifted = sql`(case when ${typed(table, date, "string")} and ${typed(table, days, "number")}
        and abs((case when ${typed(table, days, "number")} then ${table}.f ->> ${days}::text end)::numeric) < 1000000
        and pg_input_is_valid(left(${table}.f ->> ${date}::text, 10), 'date')
        then (left(${table}.f ->> ${date}::text, 10)::date + ${sql.raw(String(sign))} * trunc((${table}.f ->> ${days}::text)::numeric)::int)::text end)`;
      return {
        type: "timestamp",
        value: this.dated(shifted),
        at: sql`greatest(${changed(date)}, ${changed(days)})`,
      };
    }
    const text = sql`(case when ${typed(table, name, "string")} then ${table}.f ->> ${name}::text end)`;
    switch (field.type) {
      case "date":
      case "datetime":
        return { type: "timestamp", value: this.dated(text), at: changed(name) };
      case "number":
        return {
          type: "number",
          value: sql`(case when ${typed(table, name, "number")} then (${table}.f ->> ${name}::text)::double precision end)`,
          at: changed(name),
        };
      case "boolean":
        return {
          type: "bool",
          value: sql`(case when ${typed(table, name, "boolean")} then (${table}.f ->> ${name}::text)::boolean end)`,
          at: changed(name),
        };
      default: {
        const colleague = entity === "account" ? COLLEAGUE_COLUMNS[name] : undefined;
        if (colleague === undefined) return { type: "string", value: text, at: changed(name) };
        this.fields.account.add("csm");
        this.join(
          "csms",
          () => sql`select account_fields.account_id, users.name, users.manager_id from account_fields
            join users on users.id = account_fields.f ->> 'csm'`,
        );
        const value = sql`coalesce(${text}, csms.${sql.identifier(colleague)})`;
        return { type: "string", value, at: sql`greatest(${changed(name)}, ${changed("csm")})` };
      }
    }
  }

  private joinFields(entity: "account" | "contract"): void {
    const whose = entity === "account" ? sql`entity_id` : sql`account_id`;
    const gathered =
      () => sql`select entity_id, min(account_id) as account_id, jsonb_object_agg(field, value) as f, jsonb_object_agg(field, ms) as t
      from (select distinct on (entity_id, field) entity_id, account_id, field, value, ${msOf(sql`at`)} as ms
            from field_changes where entity = ${entity} and ${this.isAmong(whose)} and field = any(${textArray([...this.fields[entity]])})
              and at <= ${this.now} order by entity_id, field, at desc, seq desc) latest group by entity_id`;
    if (entity === "account") {
      this.join("account_fields", () => sql`select entity_id as account_id, f, t from (${gathered()}) gathered`);
      return;
    }
    // The active one with the latest end, then by id.
    this.join(
      "contract_fields",
      () => sql`select distinct on (account_id) account_id, entity_id, f, t from (${gathered()}) gathered
        where f ->> 'status' = 'active' order by account_id, coalesce(f ->> 'end_date', '') collate "C" desc, entity_id collate "C"`,
    );
  }

  /** Epoch milliseconds of a stored date (the start of that day in the account's zone) or instant. */
  private dated(text: SQL): SQL {
    // Of a wall-clock time that occurs twice Postgres takes the second; meant is the first.
    return sql`(select case
        when v ~ '^\\d{4}-\\d\\d-\\d\\d$' and pg_input_is_valid(v, 'date') then (
          select ${msOf(sql`least(x, case when (x - interval '1 hour') at time zone z = w then x - interval '1 hour' end)`)}
          from (select w, w at time zone z as x from (select v::date::timestamp as w) days) starts)
        when v ~ '^\\d{4}-\\d\\d-\\d\\dT' and pg_input_is_valid(v, 'timestamptz') then ${msOf(sql`v::timestamptz`)}
      end from (select ${text} as v, ${this.zone()} as z offset 0) given)`;
  }

  private zone(): SQL {
    const own = sql`account_fields.f ->> 'timezone'`;
    return sql`(case when ${own} = any(${textArray(this.request.zones)}) then ${own} else 'UTC' end)`;
  }

  // ── usage ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  private usage(name: string): Column {
    const { metrics } = this.request.model;
    const metric = Object.hasOwn(metrics, name) ? metrics[name] : undefined;
    if (metric === undefined || metric.of === "contact") throw unknown(`usage.${name}`);
    const windows =
      metric.baseline === undefined ? [0] : Array.from({ length: metric.baseline.weeks }, (_, k) => k + 1);
    const { values, newest, asOf } = this.scanned(metric, windows);
    const first = () => this.firstSample(metric, asOf);
    const isCounting = metric.aggregate === "sum" || metric.aggregate === "count" || metric.aggregate === "distinct";
    // Nothing in the window is 0 for who has ever sent something.
    const valued = (value: SQL | undefined) => (isCounting ? sql`coalesce(${value}, 0)` : sql`${value}`);
    if (metric.baseline === undefined) {
      // The newest sample as of now is there whenever a frozen metric's first one is, but not the other way round.
      const hasSamples = () => sql`${metric.frozenWhile === undefined ? newest : first()} is not null`;
      const value = isCounting ? sql`case when ${hasSamples()} then ${valued(values[0])} end` : valued(values[0]);
      return { type: "number", value: sql`(${value})`, at: newest };
    }
    const lengthMs = metric.window === undefined ? 0 : windowMs(metric.window);
    const rows = windows.map(
      (back, index) =>
        sql`(${sql.raw(String(back))}, case when ${asOf} - ${interval(back * lengthMs)} >= ${first()} then ${valued(values[index])} end)`,
    );
    const statistic =
      metric.baseline.statistic === "mean"
        ? sql`sum(v order by n) / count(v)`
        : sql`((array_agg(v order by v) filter (where v is not null))[(count(v)::int + 1) / 2]
            + (array_agg(v order by v) filter (where v is not null))[count(v)::int / 2 + 1]) / 2`;
    const value = sql`(select case when count(v) >= ${sql.raw(String(BASELINE_WINDOWS_MIN))} then ${statistic} end
      from (values ${sql.join(rows, sql`, `)}) as b(n, v))`;
    return { type: "number", value, at: newest };
  }

  /**
   * Adds the metric's windows to the scan that it shares with all metrics of the same samples. Gives a column for each, the instant as of which they
   * are, and the newest sample (ms) as of now.
   */
  private scanned(
    metric: Metric,
    windows: readonly number[],
  ): { readonly values: readonly SQL[]; readonly asOf: SQL; readonly newest: SQL } {
    const { from, role, frozenWhile, window } = metric;
    const asOf = frozenWhile === undefined ? this.now : this.frozenAt(frozenWhile);
    const before = (ms: number) =>
      frozenWhile === undefined ? instantParam(this.request.asOf - ms) : sql`(${asOf} - ${interval(ms)})`;
    const reachMs = window === undefined ? undefined : windowMs(window) * (Math.max(...windows) + 1);
    const key = JSON.stringify([from, role, frozenWhile]);
    const scan = this.scans.get(key) ?? { name: `samples_${this.scans.size}`, metric, aggregates: [], reachMs };
    this.scans.set(key, scan);
    if (reachMs === undefined || (scan.reachMs !== undefined && scan.reachMs < reachMs)) scan.reachMs = reachMs;
    const values = windows.map((back) => {
      const column = sql.identifier(`v${scan.aggregates.length}`);
      scan.aggregates.push(sql`${aggregateSql(metric, windowBounds(metric, back, before))} as ${column}`);
      return sql`${sql.identifier(scan.name)}.${column}`;
    });
    // As of now all are read in one walk through the index by the ids (joined, the planner may read everybody's); as of an instant of each
    // account's own, each is looked up.
    if (frozenWhile === undefined) this.join(scan.name, () => this.scanSql(scan, before));
    else this.look(scan.name, () => this.scanSql(scan, before));
    const seen = frozenWhile === undefined && role === undefined ? sql`${sql.identifier(scan.name)}.seen` : undefined;
    return { values, asOf, newest: this.newestSample(from, seen) };
  }

  private scanSql(
    { metric: { from, role, frozenWhile }, aggregates, reachMs }: Scan,
    before: (ms: number) => SQL,
  ): SQL {
    const isNow = frozenWhile === undefined;
    const columns = sql.join([...(isNow ? [sql`s.account_id`] : []), ...aggregates, sql`max(s.at) as seen`], sql`, `);
    const isTheirs = isNow ? this.isAmong(sql`s.account_id`) : sql`s.account_id = scope.account_id`;
    const until = before(0);
    const reach = reachMs === undefined ? sql`` : sql`and s.at > ${before(reachMs)}`;
    const inRole =
      role === undefined
        ? sql``
        : sql`join lateral (select value #>> '{}' as role from field_changes c where c.entity = 'contact' and c.entity_id = s.contact_id
              and c.field = 'role' and c.at <= ${until} order by c.at desc, c.seq desc limit 1) r on r.role = ${role}`;
    return sql`select ${columns} from samples s ${inRole}
      where ${isTheirs} and s.sample = ${from} and s.at <= ${until} ${reach} ${isNow ? sql`group by s.account_id` : sql``}`;
  }

  /** Milliseconds of the newest sample of that name as of now. `seen`: the newest of those that are read anyway; who has none is asked for older ones. */
  private newestSample(from: string, seen?: SQL): SQL {
    const name = seen === undefined ? `newest_${from}` : `newest_seen_${from}`;
    const ever = sql`(select max(s.at) from samples s where s.account_id = scope.account_id and s.sample = ${from} and s.at <= ${this.now})`;
    this.look(name, () => sql`select ${msOf(seen === undefined ? ever : sql`coalesce(${seen}, ${ever})`)} as ms`);
    return sql`${sql.identifier(name)}.ms`;
  }

  /** The first sample of the metric up to the instant. */
  private firstSample({ from, frozenWhile = "" }: Metric, asOf: SQL): SQL {
    const name = `first_${from}_${frozenWhile}`;
    this.look(
      name,
      () =>
        sql`select min(s.at) as at from samples s where s.account_id = scope.account_id and s.sample = ${from} and s.at <= ${asOf}`,
    );
    return sql`${sql.identifier(name)}.at`;
  }

  /** As of when a metric is read that a run of the playbook freezes: the run's start, or now. */
  private frozenAt(playbook: string): SQL {
    const name = `frozen_${playbook}`;
    const { now } = this;
    this.look(
      name,
      () => sql`select coalesce((select min(r.started_at) from runs r where r.account_id = scope.account_id and r.playbook = ${playbook}
        and r.started_at <= ${now} and (r.ended_at is null or r.ended_at > ${now})), ${now}) as as_of`,
    );
    return sql`${sql.identifier(name)}.as_of`;
  }

  // ── tickets, surveys, health, milestones, goals ────────────────────────────────────────────────────────────────────

  private tickets(name: string): Column {
    const known = ["open", "opened_7d", "opened_90d", "closed_90d", "weekly_mean_8w"];
    if (!known.includes(name)) throw unknown(`tickets.${name}`);
    const { now } = this;
    const count = (condition: SQL) => sql`(count(*) filter (where ${condition}))::double precision`;
    this.join(
      "tickets_now",
      () => sql`select account_id,
          ${count(sql`closed_at is null or closed_at > ${now}`)} as open,
          ${count(sql`opened_at > ${now} - interval '168 hours'`)} as opened_7d,
          ${count(sql`opened_at > ${now} - interval '2160 hours'`)} as opened_90d,
          ${count(sql`closed_at <= ${now} and closed_at > ${now} - interval '2160 hours'`)} as closed_90d,
          ${count(sql`opened_at > ${now} - interval '1512 hours' and opened_at <= ${now} - interval '168 hours'`)} / 8 as weekly_mean_8w,
          ${msOf(sql`greatest(max(opened_at), max(closed_at) filter (where closed_at <= ${now}))`)} as newest
        from tickets where ${this.isAmong(sql`account_id`)} and opened_at <= ${now} group by account_id`,
    );
    return {
      type: "number",
      value: sql`coalesce(tickets_now.${sql.identifier(name)}, 0)`,
      at: sql`tickets_now.newest`,
    };
  }

  private survey(name: string): Column {
    if (!["nps", "nps_at", "nps_count", "csat"].includes(name)) throw unknown(`survey.${name}`);
    const answers = (survey: string) => sql`survey_answers where ${this.isAmong(sql`account_id`)}
      and survey = ${survey} and at <= ${this.now} and at > ${instantParam(this.request.asOf - SURVEY_WINDOW_MS)}`;
    if (name === "csat") {
      this.join(
        "csat_now",
        () => sql`select account_id, (count(*) filter (where score >= 4))::double precision / count(*) as csat,
            ${msOf(sql`max(at)`)} as csat_at from ${answers("csat")} group by account_id`,
      );
      return { type: "number", value: sql`csat_now.csat`, at: sql`csat_now.csat_at` };
    }
    this.join(
      "nps_now",
      () => sql`select account_id, count(*)::double precision as nps_count, ${msOf(sql`max(at)`)} as nps_at,
          ((count(*) filter (where score >= 9)) - (count(*) filter (where score <= 6)))::double precision * 100 / count(*) as nps
        from (select distinct on (account_id, coalesce(contact_id, id)) account_id, score, at from ${answers("nps")}
              order by account_id, coalesce(contact_id, id), at desc, id desc) latest group by account_id`,
    );
    return {
      type: name === "nps_at" ? "timestamp" : "number",
      value: sql`nps_now.${sql.identifier(name)}`,
      at: sql`nps_now.nps_at`,
    };
  }

  private health(name: string): Column {
    if (!["score", "status", "coverage", "change_7d", "change_30d"].includes(name)) throw unknown(`health.${name}`);
    const latest = (column: string, back: number) =>
      sql`(select h.${sql.identifier(column)} from health_history h where h.account_id = scope.account_id
           and h.at <= ${instantParam(this.request.asOf - back * DAY_MS)} order by h.at desc limit 1)`;
    this.join(
      "health_now",
      () => sql`select account_id, score, status, ms, score - score_7d as change_7d, score - score_30d as change_30d,
          (select h.coverage from health h where h.account_id = before.account_id and h.at <= ${this.now}) as coverage
        from (select scope.account_id, ${latest("score", 0)} as score, ${latest("status", 0)} as status,
                ${msOf(latest("at", 0))} as ms, ${latest("score", 7)} as score_7d, ${latest("score", 30)} as score_30d from scope) before`,
    );
    return {
      type: name === "status" ? "string" : "number",
      value: sql`health_now.${sql.identifier(name)}`,
      at: sql`health_now.ms`,
    };
  }

  private milestone(name: string): Column {
    const { milestones } = this.request.model;
    if (!Object.hasOwn(milestones, name) || milestones[name]?.of !== "account") throw unknown(`milestone.${name}`);
    const table = sql.identifier(`milestone_${name}`);
    this.join(
      `milestone_${name}`,
      () => sql`select account_id, ${msOf(sql`at`)} as ms from milestones where ${this.isAmong(sql`account_id`)}
        and contact_id = '' and milestone = ${name} and at <= ${this.now}`,
    );
    return { type: "timestamp", value: sql`${table}.ms`, at: sql`${table}.ms` };
  }

  private goals(name: string): Column {
    if (name !== "count" && name !== "on_track_share") throw unknown(`goals.${name}`);
    this.join(
      "goals_now",
      () => sql`select account_id, (count(*) filter (where status <> 'dropped'))::double precision as count, ${msOf(sql`max(at)`)} as newest,
          (count(*) filter (where status in ('on_track', 'achieved')))::double precision
            / nullif(count(*) filter (where status <> 'dropped'), 0) as on_track_share
        from (select distinct on (id) id, account_id, status, at from goals
              where ${this.isAmong(sql`account_id`)} and at <= ${this.now} order by id, at desc) latest
        group by account_id`,
    );
    const value = name === "count" ? sql`coalesce(goals_now.count, 0)` : sql`goals_now.on_track_share`;
    return { type: "number", value, at: sql`goals_now.newest` };
  }
}

/** Fields that are read from the account's CSM, and their columns in `users`. */
const COLLEAGUE_COLUMNS: Readonly<Record<string, string>> = { csm_name: "name", manager: "manager_id" };

function typed(table: ReturnType<typeof sql.identifier>, name: string, type: "string" | "number" | "boolean"): SQL {
  return sql`jsonb_typeof(${table}.f -> ${name}::text) = ${sql.raw(`'${type}'`)}`;
}

/** The expression's text with its parameters where drizzle puts them: an author's words never reach the text. */
function embedded({ text, parameters }: ReturnType<typeof toSql>): SQL {
  const parts = text.split(/\$(\d+)/).map((part, index) => {
    return index % 2 === 0 ? sql.raw(part) : sql`${parameters[Number(part) - 1]}`;
  });
  return sql.join(parts);
}

function unknown(path: string): Error {
  return new Error(`no account has the fact ${path}`);
}
