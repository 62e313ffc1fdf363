import { spawn } from "node:child_process";
import type { HealthModel } from "../../src/customers/health-model.js";
import { openDatabase } from "../../src/adapters/postgres/database.js";
import { healthModelHash } from "../../src/customers/measure-health.js";
import { DAY_MS } from "../../src/values/instant.js";
import { formatInstant } from "../../src/values/instant.js";
import { figure, median, resultOf, type SuiteResult } from "../figures.js";
import { besideBench, type Stand } from "../stand.js";

/** What the sweep measures: three measures of 12 weekly rollups an account; no margin and no patience, so that the statement can be written by hand. */
export const SWEEP_FILES: Readonly<Record<string, string>> = {
  "segments.yaml": "{}\n",
  "health.yaml": `version: 1
status: { red: 0, yellow: 50, green: 75 }
min_coverage: 0.6
hysteresis: { points: 0, evaluations: 1 }
trend: { flat_under: 3 }
evaluate: { daily_at: "03:00", on: [] }
measures:
  week: { title: Week, value: usage.key_actions_7d, fresh: 10d, linear: { from: 0, to: 100 } }
  month: { title: Month, value: usage.key_actions_28d, fresh: 40d, linear: { from: 0, to: 400 } }
  quarter: { title: Quarter, value: usage.key_actions_90d, fresh: 100d, linear: { from: 0, to: 1200 } }
profiles:
  - { name: all, weights: { week: 50, month: 30, quarter: 20 } }
`,
};

/** Autovacuum comes round once a minute, and takes time from whoever is being measured then: what it would do is done between the days. */
export const SWEEP_POSTGRES: Readonly<Record<string, string>> = { autovacuum: "off" };

const ROLLUPS = 12;
const SMALL = 100_000;
const LARGE = 1_000_000;
/** The first daily evaluation, which writes every account; the counted ones are on the days after. */
const FIRST = Date.UTC(2026, 5, 1, 3);

/** The daily evaluation of everybody, in a process of its own, beside one plain statement that reads the same rows and writes the same results: time, and peak memory at ten times as many accounts. */
export async function sweep(
  stand: Stand,
  { rounds, runs, isLarge }: { readonly rounds: number; readonly runs?: number | undefined; readonly isLarge: boolean },
): Promise<SuiteResult> {
  const accounts = runs ?? SMALL;
  const small = await measure(stand, accounts, rounds);
  const large = isLarge ? await measure(stand, runs === undefined ? LARGE : accounts * 10, rounds) : undefined;
  return resultOf("sweep", [
    ...[small, large].flatMap((size) =>
      size === undefined
        ? []
        : [
            figure(`${size.accounts} accounts, beside one statement`, medianOf(size.ours, "seconds"), "s", {
              reference: medianOf(size.theirs, "seconds"),
            }),
            figure(`${size.accounts} accounts, ratio to one statement`, ratio(size, "seconds"), "×", {
              target: "<= 1.3",
            }),
            figure(`${size.accounts} accounts, CPU`, medianOf(size.ours, "cpuSeconds"), "s", {
              reference: medianOf(size.theirs, "cpuSeconds"),
            }),
            figure(`${size.accounts} accounts, ratio of CPU`, ratio(size, "cpuSeconds"), "×"),
            figure(`${size.accounts} accounts: the first day, which writes everybody, ratio`, size.first, "×"),
            figure(`${size.accounts} accounts: rows that differ from the statement's`, size.differing, "", {
              target: "<= 0",
            }),
            figure(`${size.accounts} accounts: rows written a day`, size.written, ""),
            figure(`${size.accounts} accounts: peak memory of the process`, size.peakMiB, "MiB"),
          ],
    ),
    ...(large === undefined
      ? []
      : [figure("peak memory at ten times as many", large.peakMiB / small.peakMiB, "×", { target: "<= 1.2" })]),
  ]);
}

interface Spent {
  readonly seconds: number;
  /** Of Postgres and, on our side, of the process: what a busy machine doesn't change. */
  readonly cpuSeconds: number;
}

interface Size {
  readonly accounts: number;
  readonly ours: readonly Spent[];
  readonly theirs: readonly Spent[];
  /** Seconds of the first day, ratio. */
  readonly first: number;
  readonly differing: number;
  readonly written: number;
  readonly peakMiB: number;
}

function medianOf(spent: readonly Spent[], what: keyof Spent): number {
  return median(spent.map((each) => each[what]));
}

/** The median of the rounds' own ratios. */
function ratio({ ours, theirs }: Size, what: keyof Spent): number {
  return median(ours.map((each, round) => each[what] / (theirs[round]?.[what] ?? Number.NaN)));
}

async function measure(stand: Stand, accounts: number, rounds: number): Promise<Size> {
  // With more patience than a worker's connections have: a million accounts are filled in, and evaluated, by one statement.
  const database = openDatabase(stand.stack.databaseUrl, { statementTimeoutMs: 3_600_000, applicationName: "bench" });
  try {
    return await measureOn(database.client, stand, accounts, rounds);
  } finally {
    await database.close();
  }
}

type Client = Stand["wired"]["database"]["client"];

async function measureOn(client: Client, stand: Stand, accounts: number, rounds: number): Promise<Size> {
  const modelHash = await publishedModel(stand);
  await fill(client, accounts, stand.log);
  const ours: Spent[] = [];
  const theirs: Spent[] = [];
  const peaks: number[] = [];
  let first = Number.NaN;
  let written = 0;
  // Day 0 writes everybody's first row and is not counted among the others.
  for (let day = 0; day <= rounds; day++) {
    const at = FIRST + day * DAY_MS;
    const sides = [
      async () => {
        const postgres = stand.serversCpu().postgres;
        const one = await sweepProcess(stand, at);
        const cpuSeconds = one.cpuSeconds + stand.serversCpu().postgres - postgres;
        written = one.written;
        peaks.push(one.peakMiB);
        if (day > 0) ours.push({ seconds: one.seconds, cpuSeconds });
        return one.seconds;
      },
      async () => {
        const postgres = stand.serversCpu().postgres;
        const startedAt = performance.now();
        await client.begin(async (tx) => {
          await tx.unsafe(STATEMENT, [formatInstant(at), modelHash, String(at)]);
        });
        const seconds = (performance.now() - startedAt) / 1_000;
        if (day > 0) theirs.push({ seconds, cpuSeconds: stand.serversCpu().postgres - postgres });
        return seconds;
      },
    ];
    const isSwapped = day % 2 === 1;
    const took: number[] = [];
    for (const side of isSwapped ? sides.toReversed() : sides) {
      await client`checkpoint`;
      took.push(await side());
    }
    await client`vacuum analyze health, health_history, events, reference_health, reference_history, reference_events`;
    const [waypost, statement] = isSwapped ? took.toReversed() : took;
    if (day === 0) first = (waypost ?? Number.NaN) / (statement ?? Number.NaN);
    stand.log(
      `${accounts} accounts, day ${day}: ${waypost?.toFixed(2)} s beside ${statement?.toFixed(2)} s, ${written} rows written`,
    );
  }
  const differing = await differences(client);
  return { accounts, ours, theirs, first, differing, written, peakMiB: Math.max(...peaks) };
}

async function publishedModel({ wired }: Stand): Promise<string> {
  const model = await wired.store.read((tx) => wired.store.playbooks.configuration<HealthModel>(tx, "health"));
  if (model === undefined) throw new Error("no health model is published");
  return healthModelHash(model);
}

/** Rows of health, history and events that only one side has; when events were received, and their order, is no difference. */
async function differences(client: Client): Promise<number> {
  const pairs = [
    ["health", "reference_health", "*"],
    ["health_history", "reference_history", "*"],
    ["events", "reference_events", "id, name, account_id, at, payload, changed, status, source"],
  ] as const;
  let count = 0;
  for (const [ours, theirs, columns] of pairs) {
    const [row] = await client.unsafe(`select count(*)::int as n from (
      (select ${columns} from ${ours} except all select ${columns} from ${theirs}) union all
      (select ${columns} from ${theirs} except all select ${columns} from ${ours})) differing`);
    count += Number(row?.["n"]);
  }
  return count;
}

/** `sweepDue` in a process of its own: seconds of the sweep alone, and the largest that the process was. */
async function sweepProcess(stand: Stand, at: number) {
  const child = spawn(process.execPath, [besideBench("sweep-process.js"), String(at)], {
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...stand.environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.on("data", (chunk) => (said += chunk));
  const code = await new Promise((resolve) => child.once("exit", resolve));
  if (code !== 0) throw new Error(`the sweep's process ended with ${code}`);
  return JSON.parse(said) as Spent & { readonly peakMiB: number; readonly written: number };
}

/** So many accounts, each with a rollup a week for 12 weeks, on a weekday of its own: every day a seventh of the scores changes. */
async function fill(client: Client, accounts: number, log: Stand["log"]): Promise<void> {
  const startedAt = performance.now();
  await client.begin(async (tx) => {
    await tx`truncate accounts, samples, health, health_history, events, swept_facts, sweeps`;
    await tx`insert into accounts (id, name, created_at)
      select 'a-' || n, 'Customer ' || n, ${formatInstant(FIRST - 400 * DAY_MS)}::timestamptz from generate_series(1, ${accounts}::int) n`;
    await tx`insert into samples (source_id, account_id, sample, at, value)
      select 's-' || n || '-' || k, 'a-' || n, 'key_actions',
        ${formatInstant(FIRST)}::timestamptz + (n % 7 - 7 * k + 6) * interval '1 day' - interval '2 hours', (n * 7919::bigint + k * 104729) % 140
      from generate_series(1, ${accounts}::int) n, generate_series(0, ${ROLLUPS - 1}::int) k`;
    // The same columns and indexes: what writing costs is the same on both sides.
    await tx`create table if not exists reference_health (like health including all)`;
    await tx`create table if not exists reference_history (like health_history including all)`;
    await tx`create table if not exists reference_events (like events including all)`;
    await tx`truncate reference_health, reference_history, reference_events`;
  });
  await client`vacuum analyze accounts, samples`;
  log(
    `${accounts} accounts, ${accounts * ROLLUPS} rollups: filled in (${((performance.now() - startedAt) / 1_000).toFixed(0)} s)`,
  );
}

/**
 * What somebody would write by hand for this one model: the same scores, statuses, explanations, history and events, into tables with the same
 * columns and indexes. It knows that the model has no margin, no patience and one profile, and that nobody overrides.
 */
const STATEMENT = `
with usage as (
  select account_id, max(at) as newest,
    coalesce(sum(value) filter (where at > $1::timestamptz - interval '7 days'), 0) as week,
    coalesce(sum(value) filter (where at > $1::timestamptz - interval '28 days'), 0) as month,
    coalesce(sum(value) filter (where at > $1::timestamptz - interval '90 days'), 0) as quarter
  from samples where sample = 'key_actions' and at <= $1::timestamptz group by account_id),
pointed as materialized (
  select a.id as account_id, u.week, u.month, u.quarter, round(extract(epoch from u.newest) * 1000)::double precision as newest,
    case when u.newest >= $1::timestamptz - interval '10 days' then greatest(0, least(100, u.week / 100 * 100)) end as p1,
    case when u.newest >= $1::timestamptz - interval '40 days' then greatest(0, least(100, u.month / 400 * 100)) end as p2,
    case when u.newest >= $1::timestamptz - interval '100 days' then greatest(0, least(100, u.quarter / 1200 * 100)) end as p3
  from accounts a left join usage u on u.account_id = a.id where a.created_at <= $1::timestamptz),
summed as (
  select *, (case when p1 is null then 0 else 50 end + case when p2 is null then 0 else 30 end + case when p3 is null then 0 else 20 end)::double precision as present,
    coalesce(30 * p2, 0) + coalesce(20 * p3, 0) + coalesce(50 * p1, 0) as weighted from pointed),
scored as materialized (
  select account_id, newest, case when present > 0 then least(100, weighted / present) end as score, present / 100 as coverage,
    jsonb_build_array(
      jsonb_strip_nulls(jsonb_build_object('measure', 'month', 'weight', 30, 'value', month, 'points', p2, 'missing', case when month is null then 'absent' when p2 is null then 'stale' end)),
      jsonb_strip_nulls(jsonb_build_object('measure', 'quarter', 'weight', 20, 'value', quarter, 'points', p3, 'missing', case when quarter is null then 'absent' when p3 is null then 'stale' end)),
      jsonb_strip_nulls(jsonb_build_object('measure', 'week', 'weight', 50, 'value', week, 'points', p1, 'missing', case when week is null then 'absent' when p1 is null then 'stale' end))) as measures
  from summed),
judged as materialized (
  select *, case when score is null or coverage < 0.6 then 'unknown' when score < 50 then 'red' when score < 75 then 'yellow' else 'green' end as status
  from scored),
changed as materialized (
  select j.*, r.status as before, r.score as score_before, r.coverage as coverage_before, coalesce(nullif(j.status, 'unknown'), r.band) as band,
    case when r.account_id is null or (r.band is null and j.status <> 'unknown') then 'first' else 'data' end as cause,
    jsonb_build_object('version', 1, 'measures', measures, 'newest', jsonb_strip_nulls(jsonb_build_object('month', newest, 'quarter', newest, 'week', newest))) as inputs
  from judged j left join reference_health r on r.account_id = j.account_id
  where r.account_id is null or r.score is distinct from j.score or r.status <> j.status or r.inputs -> 'measures' <> j.measures),
saved as (
  insert into reference_health (account_id, score, status, model_status, coverage, inputs, model_hash, profile, band, outside, daily_at, at)
  select account_id, score, status, status, coverage, inputs, $2, 'all', band, 0, $1::timestamptz, $1::timestamptz from changed
  on conflict (account_id) do update set score = excluded.score, status = excluded.status, model_status = excluded.model_status,
    coverage = excluded.coverage, inputs = excluded.inputs, model_hash = excluded.model_hash, profile = excluded.profile,
    band = excluded.band, outside = excluded.outside, daily_at = excluded.daily_at, at = excluded.at),
history as (
  insert into reference_history (account_id, at, score, status, cause) select account_id, $1::timestamptz, score, status, cause from changed
  where before is null or before <> status or score_before is distinct from score)
insert into reference_events (id, name, account_id, at, received_at, payload, changed, source)
select 'health|' || account_id || '|' || $3 || '|' || cause || '|' || coalesce(before, '') || '|' || status, 'health.changed', account_id, $1::timestamptz, now(),
  jsonb_strip_nulls(jsonb_build_object('from', before, 'to', status, 'cause', cause)),
  array['health.status'] || case when before is null or score is distinct from score_before then array['health.score', 'health.change_7d', 'health.change_30d'] else '{}' end
    || case when coverage is distinct from coverage_before then array['health.coverage'] else '{}' end, 'sweep'
from changed where before is distinct from status`;
