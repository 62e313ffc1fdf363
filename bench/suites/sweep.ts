import { spawn } from "node:child_process";
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
            figure(`${size.accounts} accounts, beside one statement`, median(size.ours), "s", {
              reference: median(size.theirs),
            }),
            figure(
              `${size.accounts} accounts, ratio to one statement`,
              median(size.ours.map((seconds, round) => seconds / (size.theirs[round] ?? Number.NaN))),
              "×",
              { target: "<= 1.3" },
            ),
            figure(
              `${size.accounts} accounts: scores or statuses that differ from the statement's`,
              size.differing,
              "",
              {
                target: "<= 0",
              },
            ),
            figure(`${size.accounts} accounts: rows written a day`, size.written, ""),
            figure(`${size.accounts} accounts: peak memory of the process`, size.peakMiB, "MiB"),
          ],
    ),
    ...(large === undefined
      ? []
      : [figure("peak memory at ten times as many", large.peakMiB / small.peakMiB, "×", { target: "<= 1.2" })]),
  ]);
}

interface Size {
  readonly accounts: number;
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
  readonly differing: number;
  readonly written: number;
  readonly peakMiB: number;
}

async function measure(stand: Stand, accounts: number, rounds: number): Promise<Size> {
  const { client } = stand.wired.database;
  await fill(stand, accounts);
  const ours: number[] = [];
  const theirs: number[] = [];
  const peaks: number[] = [];
  let written = 0;
  // Day 0 writes everybody's first row and is not counted.
  for (let day = 0; day <= rounds; day++) {
    const at = FIRST + day * DAY_MS;
    const sides = [
      async () => {
        const one = await sweepProcess(stand, at);
        written = one.written;
        peaks.push(one.peakMiB);
        if (day > 0) ours.push(one.seconds);
        return one.seconds;
      },
      async () => {
        const startedAt = performance.now();
        await client.begin(async (tx) => {
          await tx`set local statement_timeout = 0`;
          await tx.unsafe(STATEMENT, [formatInstant(at)]);
        });
        const seconds = (performance.now() - startedAt) / 1_000;
        if (day > 0) theirs.push(seconds);
        return seconds;
      },
    ];
    const isSwapped = day % 2 === 1;
    const took: number[] = [];
    for (const side of isSwapped ? sides.toReversed() : sides) {
      await client`checkpoint`;
      took.push(await side());
    }
    const [waypost, statement] = isSwapped ? took.toReversed() : took;
    stand.log(
      `${accounts} accounts, day ${day}: ${waypost?.toFixed(2)} s beside ${statement?.toFixed(2)} s, ${written} rows written`,
    );
  }
  const [row] = await client`
    select count(*)::int as n from health h full join reference_health r using (account_id)
    where h.status is distinct from r.status or abs(coalesce(h.score, -1) - coalesce(r.score, -1)) > 1e-9`;
  return { accounts, ours, theirs, differing: Number(row?.["n"]), written, peakMiB: Math.max(...peaks) };
}

/** `sweepHealth` in a process of its own: seconds of the sweep alone, and the largest that the process was. */
async function sweepProcess(stand: Stand, at: number) {
  const child = spawn(process.execPath, [besideBench("sweep-process.js"), String(at)], {
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...stand.environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.on("data", (chunk) => (said += chunk));
  const code = await new Promise((resolve) => child.once("exit", resolve));
  if (code !== 0) throw new Error(`the sweep's process ended with ${code}`);
  return JSON.parse(said) as { readonly seconds: number; readonly peakMiB: number; readonly written: number };
}

/** So many accounts, each with a rollup a week for 12 weeks, on a weekday of its own: every day a seventh of the scores changes. */
async function fill(stand: Stand, accounts: number): Promise<void> {
  const { client } = stand.wired.database;
  const startedAt = performance.now();
  await client.begin(async (tx) => {
    await tx`set local statement_timeout = 0`;
    await tx`truncate accounts, samples, health, health_history, events, swept_facts`;
    await tx`insert into accounts (id, name, created_at)
      select 'a-' || n, 'Customer ' || n, ${formatInstant(FIRST - 400 * DAY_MS)}::timestamptz from generate_series(1, ${accounts}::int) n`;
    await tx`insert into samples (source_id, account_id, sample, at, value)
      select 's-' || n || '-' || k, 'a-' || n, 'key_actions',
        ${formatInstant(FIRST)}::timestamptz + (n % 7 - 7 * k + 6) * interval '1 day' - interval '2 hours', (n * 7919::bigint + k * 104729) % 140
      from generate_series(1, ${accounts}::int) n, generate_series(0, ${ROLLUPS - 1}::int) k`;
    await tx`create table if not exists reference_health (account_id text primary key, score double precision, status text not null,
      coverage double precision not null, inputs jsonb not null, at timestamptz not null)`;
    await tx`create table if not exists reference_history (account_id text, at timestamptz, score double precision, status text not null, cause text not null,
      primary key (account_id, at))`;
    await tx`create table if not exists reference_events (id text primary key, account_id text not null, at timestamptz not null, payload jsonb not null)`;
    await tx`truncate reference_health, reference_history, reference_events`;
  });
  await client`analyze accounts, samples`;
  stand.log(
    `${accounts} accounts, ${accounts * ROLLUPS} rollups: filled in (${((performance.now() - startedAt) / 1_000).toFixed(0)} s)`,
  );
}

/** What somebody would write by hand for this one model: score, explanation, history, and an event where the status changed. */
const STATEMENT = `
with usage as (
  select account_id, max(at) as newest,
    coalesce(sum(value) filter (where at > $1::timestamptz - interval '7 days'), 0) as week,
    coalesce(sum(value) filter (where at > $1::timestamptz - interval '28 days'), 0) as month,
    coalesce(sum(value) filter (where at > $1::timestamptz - interval '90 days'), 0) as quarter
  from samples where sample = 'key_actions' and at <= $1::timestamptz group by account_id),
pointed as materialized (
  select a.id as account_id, u.week, u.month, u.quarter,
    case when u.newest >= $1::timestamptz - interval '10 days' then greatest(0, least(100, u.week)) end as p1,
    case when u.newest >= $1::timestamptz - interval '40 days' then greatest(0, least(100, u.month / 400 * 100)) end as p2,
    case when u.newest >= $1::timestamptz - interval '100 days' then greatest(0, least(100, u.quarter / 1200 * 100)) end as p3
  from accounts a left join usage u on u.account_id = a.id where a.created_at <= $1::timestamptz),
summed as (
  select *, case when p1 is null then 0 else 50 end + case when p2 is null then 0 else 30 end + case when p3 is null then 0 else 20 end as present,
    coalesce(30 * p2, 0) + coalesce(20 * p3, 0) + coalesce(50 * p1, 0) as weighted from pointed),
scored as materialized (
  select account_id, case when present > 0 then least(100, weighted / present) end as score, present / 100.0 as coverage,
    jsonb_build_array(
      jsonb_strip_nulls(jsonb_build_object('measure', 'month', 'weight', 30, 'value', month, 'points', p2)),
      jsonb_strip_nulls(jsonb_build_object('measure', 'quarter', 'weight', 20, 'value', quarter, 'points', p3)),
      jsonb_strip_nulls(jsonb_build_object('measure', 'week', 'weight', 50, 'value', week, 'points', p1))) as inputs
  from summed),
judged as materialized (
  select *, case when score is null or coverage < 0.6 then 'unknown' when score < 50 then 'red' when score < 75 then 'yellow' else 'green' end as status
  from scored),
changed as materialized (
  select j.*, r.status as before, r.score as score_before from judged j left join reference_health r on r.account_id = j.account_id
  where r.account_id is null or r.score is distinct from j.score or r.status <> j.status or r.inputs <> j.inputs),
saved as (
  insert into reference_health (account_id, score, status, coverage, inputs, at) select account_id, score, status, coverage, inputs, $1::timestamptz from changed
  on conflict (account_id) do update set score = excluded.score, status = excluded.status, coverage = excluded.coverage, inputs = excluded.inputs, at = excluded.at),
history as (
  insert into reference_history (account_id, at, score, status, cause) select account_id, $1::timestamptz, score, status, 'data' from changed
  where before is null or before <> status or score_before is distinct from score)
insert into reference_events (id, account_id, at, payload)
select 'health|' || account_id || '|' || $1::text, account_id, $1::timestamptz, jsonb_build_object('from', before, 'to', status, 'cause', 'data') from changed
where before is distinct from status`;
