import { type SQL, sql } from "drizzle-orm";
import { currentContract, fieldFact, fieldOf, isEntity, storedValue } from "../../customers/fields.js";
import { BASELINE_WINDOWS_MIN, mean, median, windowMs } from "../../customers/metrics.js";
import type { Entity, Metric, Model } from "../../customers/model.js";
import { SURVEY_WINDOW_MS } from "../../customers/surveys.js";
import type { FactValue } from "../../expression/expression.js";
import type { FactDate, FactStore, FactSubject } from "../../ports/facts.js";
import type { Playbooks } from "../../ports/playbooks.js";
import type { Tx } from "../../ports/transactions.js";
import { isCalendarDate } from "../../values/calendar-date.js";
import { DAY_MS, type Instant, parseInstant } from "../../values/instant.js";
import { usableZone } from "../../values/zone.js";
import { type Database, instantParam, msOf, rowsOf, textArray } from "./database.js";
import { ask, isoOf, type Parameter } from "./statement.js";
import { aggregateSql, interval, windowBounds } from "./metric-sql.js";

/** Facts from what is stored: every version of every field, samples, tickets, answers, milestones, goals, scores, tasks. */
export function postgresFacts(database: Database, playbooks: Playbooks): FactStore {
  const store = (run: <T>(work: (tx: Tx) => Promise<T>) => Promise<T>, modelOf: ModelOf): FactStore => ({
    async read(subject, paths, asOf) {
      const [facts] = await this.readMany([subject], paths, asOf);
      return { ...facts };
    },
    readMany: (subjects, paths, asOf) => run((tx) => readMany(tx, modelOf, subjects, paths, asOf)),
    readDates: (subjects, path, asOf) => run((tx) => readDates(tx, modelOf, subjects, path, asOf)),
    async readDate(subject, path, asOf) {
      return (await this.readDates([subject], path, asOf))[0];
    },
    within: (tx) => store((work) => work(tx), modelOf),
    under: (model) => store(run, async () => model),
  });
  return store(
    (work) => database.read(work),
    (tx) => playbooks.configuration<Model>(tx, "model"),
  );
}

type ModelOf = (tx: Tx) => Promise<Model | undefined>;

type Facts = Record<string, FactValue>;

async function readMany(
  tx: Tx,
  modelOf: ModelOf,
  subjects: readonly FactSubject[],
  paths: readonly string[],
  asOf: Instant,
): Promise<readonly Facts[]> {
  const facts: Facts[] = subjects.map(() => ({}));
  if (subjects.length === 0 || paths.length === 0) return facts;
  const model = await modelOf(tx);
  const asked = groupByArea(paths);
  const request: Request = { tx, model, subjects, asOf, facts };
  if (asked.now) for (const fact of facts) fact.now = asOf;
  if (asked.account || asked.contact || asked.contract) await readFields(request, asked);
  if (asked.usage) await readUsage(request, asked.usage);
  if (asked.tickets) await readTickets(request, asked.tickets);
  if (asked.survey) await readSurveys(request, asked.survey);
  if (asked.health) await readHealth(request, asked.health);
  if (asked.milestone) await readMilestones(request, asked.milestone);
  if (asked.goals) await readGoals(request, asked.goals);
  if (asked.tasks) await readTasks(request, asked.tasks);
  if (asked.segment) await readSegments(request, asked.segment);
  return facts;
}

interface Request {
  readonly tx: Tx;
  readonly model: Model | undefined;
  readonly subjects: readonly FactSubject[];
  readonly asOf: Instant;
  readonly facts: Facts[];
}

/** Area → names behind its dot; `now` has none. */
function groupByArea(paths: readonly string[]): Partial<Record<string, readonly string[]>> {
  const areas: Record<string, string[]> = {};
  for (const path of new Set(paths)) {
    const dot = path.indexOf(".");
    const area = dot < 0 ? path : path.slice(0, dot);
    areas[area] ??= [];
    areas[area].push(path.slice(dot + 1));
  }
  return areas;
}

function put(request: Request, index: number, path: string, value: FactValue | null | undefined): void {
  if (value !== undefined && value !== null) (request.facts[index] as Facts)[path] = value;
}

function accountIds(request: Request): string[] {
  return [...new Set(request.subjects.map((subject) => subject.accountId))];
}

// ── fields ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Values as stored (`YYYY-MM-DD`, ISO text) of one account, contact or contract. */
type RawFields = ReadonlyMap<string, unknown>;

async function readFields(request: Request, asked: Partial<Record<string, readonly string[]>>): Promise<void> {
  const raw = await readRawFields(request.tx, request.model, request.subjects, request.asOf, asked);
  request.subjects.forEach((subject, index) => {
    const { fields, zone } = raw(subject);
    for (const entity of ["account", "contact", "contract"] as const) {
      for (const name of asked[entity] ?? []) {
        put(
          request,
          index,
          `${entity}.${name}`,
          fieldFact(fields(entity, name), fieldOf(request.model, entity, name), zone),
        );
      }
    }
  });
}

async function readDates(
  tx: Tx,
  modelOf: ModelOf,
  subjects: readonly FactSubject[],
  path: string,
  asOf: Instant,
): Promise<readonly (FactDate | undefined)[]> {
  const [entity, name] = path.split(".") as [string, string | undefined];
  if (name === undefined || !isEntity(entity)) {
    const facts = await readMany(tx, modelOf, subjects, [path], asOf);
    return facts.map(({ [path]: value }) => (typeof value === "number" ? { at: value } : undefined));
  }
  const model = await modelOf(tx);
  const raw = await readRawFields(tx, model, subjects, asOf, { [entity]: [name] });
  return subjects.map((subject) => {
    const { fields, zone } = raw(subject);
    const value = fields(entity, name);
    if (typeof value !== "string") return undefined;
    if (isCalendarDate(value)) return { date: value, zone };
    const at = parseInstant(value);
    return at === undefined ? undefined : { at };
  });
}

/** A reader of raw values by subject: one query for all accounts, contacts and contracts, one for our people. */
async function readRawFields(
  tx: Tx,
  model: Model | undefined,
  subjects: readonly FactSubject[],
  asOf: Instant,
  asked: Partial<Record<string, readonly string[]>>,
): Promise<(subject: FactSubject) => { fields: (entity: Entity, name: string) => unknown; zone: string }> {
  const wanted = (entity: Entity): string[] => {
    const names = new Set<string>();
    for (const name of asked[entity] ?? []) {
      names.add(name);
      const derived = fieldOf(model, entity, name)?.derived;
      if (derived) names.add(derived.date).add(derived.days);
    }
    return [...names];
  };
  const people = (asked.account ?? []).some((name) => name === "csm_name" || name === "manager");
  const accountNames = [...new Set(["timezone", ...wanted("account"), ...(people ? ["csm"] : [])])];
  const contactIds = [...new Set(subjects.flatMap((subject) => subject.contactId ?? []))];
  const accounts = [...new Set(subjects.map((subject) => subject.accountId))];
  const conditions: string[] = [];
  const parameters: Parameter[] = [];
  const given = (value: Parameter): string => `$${parameters.push(value)}`;
  const about = (entity: Entity, key: "entity_id" | "account_id", ids: string[], fields: string[]) => {
    // One subject is what every mail asks about. Of arrays Postgres can't tell how long they are: it would plan the statement anew each time.
    const [itsId, isNamed] =
      ids.length === 1
        ? [`= ${given(ids[0] as string)}`, `in (${fields.map(given).join(", ")})`]
        : [`= any(${given(ids)}::text[])`, `= any(${given(fields)}::text[])`];
    conditions.push(`(entity = '${entity}' and ${key} ${itsId} and field ${isNamed})`);
  };
  about("account", "entity_id", accounts, accountNames);
  if (asked.contact && contactIds.length > 0) about("contact", "entity_id", contactIds, wanted("contact"));
  if (asked.contract) {
    about("contract", "account_id", accounts, [...new Set([...wanted("contract"), "status", "end_date"])]);
  }
  const rows = await ask<{ entity: Entity; entity_id: string; account_id: string; field: string; value: unknown }>(
    tx,
    `select distinct on (entity, entity_id, field) entity, entity_id, account_id, field, value from field_changes
     where (${conditions.join(" or ")}) and at <= ${given(isoOf(asOf))}::timestamptz
     order by entity, entity_id, field, at desc, seq desc`,
    parameters,
  );
  const byEntity: Record<Entity, Map<string, Map<string, unknown>>> = {
    account: new Map(),
    contact: new Map(),
    contract: new Map(),
  };
  const contractsOf = new Map<string, Set<string>>();
  for (const row of rows) {
    const fields = byEntity[row.entity].get(row.entity_id) ?? new Map<string, unknown>();
    fields.set(row.field, row.value);
    byEntity[row.entity].set(row.entity_id, fields);
    if (row.entity === "contract") {
      contractsOf.set(row.account_id, (contractsOf.get(row.account_id) ?? new Set()).add(row.entity_id));
    }
  }
  const colleagues = people ? await readColleagues(tx, byEntity.account) : undefined;

  return (subject) => {
    const contractId =
      subject.contractId ??
      currentContract(contractsOf.get(subject.accountId) ?? [], (id, name) => byEntity.contract.get(id)?.get(name));
    const ids = { account: subject.accountId, contact: subject.contactId, contract: contractId };
    const zoneField = byEntity.account.get(subject.accountId)?.get("timezone");
    const fields = (entity: Entity, name: string): unknown => {
      const id = ids[entity];
      if (id === undefined) return undefined;
      if (name === "id") return id;
      const raw = byEntity[entity].get(id);
      const own = storedValue(name, fieldOf(model, entity, name), (each) => raw?.get(each));
      if (own !== undefined || entity !== "account") return own;
      const csm = raw?.get("csm");
      const colleague = typeof csm === "string" ? colleagues?.get(csm) : undefined;
      if (name === "csm_name") return colleague?.name;
      return name === "manager" ? colleague?.manager_id : undefined;
    };
    return { fields, zone: typeof zoneField === "string" ? usableZone(zoneField) : "UTC" };
  };
}

async function readColleagues(tx: Tx, accounts: ReadonlyMap<string, RawFields>) {
  const ids = [...accounts.values()].flatMap((fields) =>
    typeof fields.get("csm") === "string" ? [fields.get("csm") as string] : [],
  );
  const rows = await rowsOf<{ id: string; name: string; manager_id: string | null }>(
    tx,
    sql`select id, name, manager_id from users where id = any(${textArray([...new Set(ids)])})`,
  );
  return new Map(rows.map((row) => [row.id, row]));
}

// ── usage ────────────────────────────────────────────────────────────────────────────────────────────────────────────

async function readUsage(request: Request, names: readonly string[]): Promise<void> {
  const metrics = names.flatMap((name): { name: string; metric: Metric }[] => {
    const metric =
      request.model && Object.hasOwn(request.model.metrics, name) ? request.model.metrics[name] : undefined;
    return metric === undefined ? [] : [{ name, metric }];
  });
  const groups = new Map<string, { name: string; metric: Metric }[]>();
  for (const item of metrics) {
    const group = item.metric.frozenWhile ?? "";
    groups.set(group, [...(groups.get(group) ?? []), item]);
  }
  for (const [playbook, group] of groups) {
    const frozen = playbook === "" ? new Map<string, Instant>() : await frozenSince(request, playbook);
    await readMetrics(request, group, frozen);
  }
}

/** When the earliest run of the playbook that lived for the account at the instant began. */
async function frozenSince(request: Request, playbook: string): Promise<ReadonlyMap<string, Instant>> {
  const rows = await rowsOf<{ account_id: string; at: number }>(
    request.tx,
    sql`select account_id, ${msOf(sql`min(started_at)`)} as at from runs
        where playbook = ${playbook} and account_id = any(${textArray(accountIds(request))})
          and started_at <= ${instantParam(request.asOf)} and (ended_at is null or ended_at > ${instantParam(request.asOf)})
        group by account_id`,
  );
  return new Map(rows.map((row) => [row.account_id, row.at]));
}

/**
 * All metrics in one pass over the samples that any of them counts. Subjects are numbered, so that a person's metrics
 * and an account's come from the same query.
 */
async function readMetrics(
  request: Request,
  metrics: readonly { name: string; metric: Metric }[],
  frozen: ReadonlyMap<string, Instant>,
): Promise<void> {
  const { tx, subjects, asOf } = request;
  const sampleNames = [...new Set(metrics.map(({ metric }) => metric.from))];
  const subjectsSql = sql`(select * from unnest(
    ${sql.param(`{${subjects.map((_, index) => index).join(",")}}`)}::int[],
    ${textArray(subjects.map((subject) => subject.accountId))},
    ${textArray(subjects.map((subject) => subject.contactId ?? ""))},
    ${textArray(subjects.map((subject) => new Date(frozen.get(subject.accountId) ?? asOf).toISOString()))}::timestamptz[]
  ) as u(n, account_id, contact_id, as_of))`;
  const roles = [...new Set(metrics.flatMap(({ metric }) => metric.role ?? []))];

  const firsts = await rowsOf<{ n: number; sample: string; first: number | null }>(
    tx,
    sql`select u.n, s.sample, ${msOf(sql`(select min(x.at) from samples x where x.account_id = u.account_id and x.sample = s.sample and x.at <= u.as_of)`)} as first
        from ${subjectsSql} u cross join unnest(${textArray(sampleNames)}) as s(sample)`,
  );
  const firstOf = new Map(firsts.map((row) => [`${row.n} ${row.sample}`, row.first]));

  const columns: { name: string; metric: Metric; back: number; alias: string }[] = [];
  for (const { name, metric } of metrics) {
    const windows =
      metric.baseline === undefined ? [0] : Array.from({ length: metric.baseline.weeks }, (_, k) => k + 1);
    for (const back of windows) columns.push({ name, metric, back, alias: `m${columns.length}` });
  }
  const longestMs = Math.max(
    ...columns.map(({ metric, back }) =>
      metric.window === undefined ? Number.POSITIVE_INFINITY : windowMs(metric.window) * (back + 1),
    ),
  );
  const lower = Number.isFinite(longestMs) ? sql`and s.at > u.as_of - ${interval(longestMs)}` : sql``;
  const roleJoin =
    roles.length === 0
      ? sql``
      : sql`left join lateral (select value #>> '{}' as role from field_changes c where c.entity = 'contact' and c.entity_id = s.contact_id
              and c.field = 'role' and c.at <= u.as_of order by c.at desc, c.seq desc limit 1) r on true`;
  const rows = await rowsOf<{ n: number } & Record<string, number | null>>(
    tx,
    sql`select u.n, ${sql.join(
      columns.map((column) => sql`${metricSql(column.metric, column.back)} as ${sql.identifier(column.alias)}`),
      sql`, `,
    )} from ${subjectsSql} u join samples s on s.account_id = u.account_id and s.sample = any(${textArray(sampleNames)})
         and s.at <= u.as_of ${lower} ${roleJoin} group by u.n`,
  );
  const byIndex = new Map(rows.map((row) => [row.n, row]));

  subjects.forEach((subject, index) => {
    const row = byIndex.get(index);
    const readAt = frozen.get(subject.accountId) ?? asOf;
    for (const { name, metric } of metrics) {
      if (metric.of === "contact" && subject.contactId === undefined) continue;
      const first = firstOf.get(`${index} ${metric.from}`);
      if (first === undefined || first === null) continue;
      const valueBack = (back: number) => {
        const alias = columns.find((column) => column.name === name && column.back === back)?.alias as string;
        return row?.[alias] ?? (COUNTING.has(metric.aggregate) ? 0 : undefined);
      };
      if (metric.baseline === undefined) {
        put(request, index, `usage.${name}`, valueBack(0));
        continue;
      }
      const lengthMs = metric.window === undefined ? 0 : windowMs(metric.window);
      const values: number[] = [];
      for (let back = 1; back <= metric.baseline.weeks; back++) {
        // A window counts if it ended at or after the first sample: before that, silence says nothing.
        const value = readAt - back * lengthMs >= first ? valueBack(back) : undefined;
        if (value !== undefined) values.push(value);
      }
      if (values.length < BASELINE_WINDOWS_MIN) continue;
      put(request, index, `usage.${name}`, metric.baseline.statistic === "mean" ? mean(values) : median(values));
    }
  });
}

/** Aggregates for which an empty window is 0. */
const COUNTING: ReadonlySet<Metric["aggregate"]> = new Set(["sum", "count", "distinct"]);

/** The aggregate over the window that lies `back` windows before the present one. */
function metricSql(metric: Metric, back: number): SQL {
  const conditions = [
    sql`s.sample = ${metric.from}`,
    ...windowBounds(metric, back, (ms) => sql`u.as_of - ${interval(ms)}`),
  ];
  if (metric.of === "contact") conditions.push(sql`s.contact_id = u.contact_id`);
  if (metric.role !== undefined) conditions.push(sql`r.role = ${metric.role}`);
  return aggregateSql(metric, conditions);
}

// ── tickets, surveys, health, milestones, goals, tasks, segments ─────────────────────────────────────────────────────

/** Gives every subject of an account its account's row. */
function putRows(
  request: Request,
  area: string,
  names: readonly string[],
  rows: readonly ({ account_id: string } & Record<string, unknown>)[],
  empty?: Readonly<Record<string, number>>,
): void {
  const byAccount = new Map(rows.map((row) => [row.account_id, row]));
  request.subjects.forEach((subject, index) => {
    const row = byAccount.get(subject.accountId) ?? empty;
    for (const name of names) put(request, index, `${area}.${name}`, row?.[name] as FactValue | null | undefined);
  });
}

async function readTickets(request: Request, names: readonly string[]): Promise<void> {
  const now = instantParam(request.asOf);
  const count = (condition: SQL) => sql`(count(*) filter (where ${condition}))::double precision`;
  const rows = await rowsOf<{ account_id: string } & Record<string, unknown>>(
    request.tx,
    sql`select account_id,
          ${count(sql`closed_at is null or closed_at > ${now}`)} as open,
          ${count(sql`opened_at > ${now} - interval '168 hours'`)} as opened_7d,
          ${count(sql`opened_at > ${now} - interval '2160 hours'`)} as opened_90d,
          ${count(sql`closed_at <= ${now} and closed_at > ${now} - interval '2160 hours'`)} as closed_90d,
          ${count(sql`opened_at > ${now} - interval '1512 hours' and opened_at <= ${now} - interval '168 hours'`)} / 8 as weekly_mean_8w
        from tickets where account_id = any(${textArray(accountIds(request))}) and opened_at <= ${now} group by account_id`,
  );
  putRows(request, "tickets", names, rows, { open: 0, opened_7d: 0, opened_90d: 0, closed_90d: 0, weekly_mean_8w: 0 });
}

async function readSurveys(request: Request, names: readonly string[]): Promise<void> {
  const now = instantParam(request.asOf);
  const since = instantParam(request.asOf - SURVEY_WINDOW_MS);
  const accounts = textArray(accountIds(request));
  if (names.some((name) => name !== "my_nps")) {
    const rows = await rowsOf<{ account_id: string } & Record<string, unknown>>(
      request.tx,
      sql`with latest as (
            select distinct on (account_id, coalesce(contact_id, id)) account_id, score, at from survey_answers
            where account_id = any(${accounts}) and survey = 'nps' and at <= ${now} and at > ${since}
            order by account_id, coalesce(contact_id, id), at desc, id desc),
          nps as (
            select account_id, count(*)::double precision as nps_count,
              ((count(*) filter (where score >= 9)) - (count(*) filter (where score <= 6)))::double precision * 100 / count(*) as nps,
              ${msOf(sql`max(at)`)} as nps_at from latest group by account_id),
          csat as (
            select account_id, (count(*) filter (where score >= 4))::double precision / count(*) as csat from survey_answers
            where account_id = any(${accounts}) and survey = 'csat' and at <= ${now} and at > ${since} group by account_id)
          select coalesce(nps.account_id, csat.account_id) as account_id, nps, nps_at, nps_count, csat
          from nps full join csat on csat.account_id = nps.account_id`,
    );
    putRows(
      request,
      "survey",
      names.filter((name) => ["nps", "nps_at", "nps_count", "csat"].includes(name)),
      rows,
    );
  }
  const contacts = request.subjects.flatMap((subject) => subject.contactId ?? []);
  if (!names.includes("my_nps") || contacts.length === 0) return;
  const rows = await rowsOf<{ contact_id: string; score: number }>(
    request.tx,
    sql`select distinct on (contact_id) contact_id, score from survey_answers
        where contact_id = any(${textArray([...new Set(contacts)])}) and survey = 'nps' and at <= ${now}
        order by contact_id, at desc, id desc`,
  );
  const scores = new Map(rows.map((row) => [row.contact_id, row.score]));
  request.subjects.forEach((subject, index) => {
    if (subject.contactId !== undefined) put(request, index, "survey.my_nps", scores.get(subject.contactId));
  });
}

async function readHealth(request: Request, names: readonly string[]): Promise<void> {
  const latest = (at: Instant, column: string) =>
    sql`(select h.${sql.identifier(column)} from health_history h where h.account_id = a.id and h.at <= ${instantParam(at)} order by h.at desc limit 1)`;
  const { asOf } = request;
  const rows = await rowsOf<{ account_id: string } & Record<string, unknown>>(
    request.tx,
    sql`select account_id, score, status, coverage, score - score_7d as change_7d, score - score_30d as change_30d from (
          select a.id as account_id, ${latest(asOf, "score")} as score, ${latest(asOf, "status")} as status,
            ${latest(asOf - 7 * DAY_MS, "score")} as score_7d, ${latest(asOf - 30 * DAY_MS, "score")} as score_30d,
            (select h.coverage from health h where h.account_id = a.id and h.at <= ${instantParam(asOf)}) as coverage
          from unnest(${textArray(accountIds(request))}) as a(id)) scores`,
  );
  putRows(request, "health", names, rows);
}

async function readMilestones(request: Request, names: readonly string[]): Promise<void> {
  const rows = await rowsOf<{ account_id: string; contact_id: string; milestone: string; at: number }>(
    request.tx,
    sql`select account_id, contact_id, milestone, ${msOf(sql`at`)} as at from milestones
        where account_id = any(${textArray(accountIds(request))}) and milestone = any(${textArray(names)})
          and at <= ${instantParam(request.asOf)}`,
  );
  const dated = new Map(rows.map((row) => [`${row.account_id}\n${row.contact_id}\n${row.milestone}`, row.at]));
  request.subjects.forEach((subject, index) => {
    for (const name of names) {
      const milestones = request.model?.milestones;
      const isPersonal = milestones && Object.hasOwn(milestones, name) && milestones[name]?.of === "contact";
      const whose = isPersonal ? subject.contactId : "";
      if (whose !== undefined)
        put(request, index, `milestone.${name}`, dated.get(`${subject.accountId}\n${whose}\n${name}`));
    }
  });
}

async function readGoals(request: Request, names: readonly string[]): Promise<void> {
  const rows = await rowsOf<{ account_id: string } & Record<string, unknown>>(
    request.tx,
    sql`select account_id, count(*)::double precision as count,
          (count(*) filter (where status in ('on_track', 'achieved')))::double precision / count(*) as on_track_share
        from (select distinct on (id) id, account_id, status from goals
              where account_id = any(${textArray(accountIds(request))}) and at <= ${instantParam(request.asOf)}
              order by id, at desc) latest
        where status <> 'dropped' group by account_id`,
  );
  putRows(request, "goals", names, rows, { count: 0 });
}

async function readTasks(request: Request, names: readonly string[]): Promise<void> {
  const runIds = [...new Set(request.subjects.flatMap((subject) => subject.runId ?? []))];
  if (runIds.length === 0) return;
  const now = instantParam(request.asOf);
  const rows = await rowsOf<{ run_id: string; open: number; required_open: number }>(
    request.tx,
    sql`select run_id, count(*)::double precision as open, (count(*) filter (where required))::double precision as required_open
        from tasks where run_id = any(${textArray(runIds)}) and opened_at <= ${now} and (closed_at is null or closed_at > ${now})
        group by run_id`,
  );
  const byRun = new Map(rows.map((row) => [row.run_id, row]));
  request.subjects.forEach((subject, index) => {
    if (subject.runId === undefined) return;
    const row = byRun.get(subject.runId);
    if (names.includes("open")) put(request, index, "tasks.open", row?.open ?? 0);
    if (names.includes("required_open")) put(request, index, "tasks.required_open", row?.required_open ?? 0);
  });
}

async function readSegments(request: Request, names: readonly string[]): Promise<void> {
  const rows = await rowsOf<{ segment: string; account_id: string }>(
    request.tx,
    sql`select segment, account_id from segment_members
        where account_id = any(${textArray(accountIds(request))}) and segment = any(${textArray(names)})
          and since <= ${instantParam(request.asOf)}`,
  );
  const members = new Set(rows.map((row) => `${row.account_id}\n${row.segment}`));
  request.subjects.forEach((subject, index) => {
    for (const name of names) put(request, index, `segment.${name}`, members.has(`${subject.accountId}\n${name}`));
  });
}
