import { spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { systemClock } from "../adapters/clock.js";
import { openDatabase } from "../adapters/postgres/database.js";
import { migrate } from "../adapters/postgres/migrate.js";
import { linesOf } from "../entrances/cli/import-rows.js";
import { clockVariable, readEnvironment } from "../entrances/environment.js";
import { createLogger } from "../entrances/logger.js";
import { type Wired, wire } from "../entrances/wire.js";
import type { ImportReport } from "../operations/import-files.js";
import { sweepDue, sweepHealth } from "../operations/sweep-health.js";
import { createToken } from "../operations/tokens.js";
import type { Clock } from "../ports/clock.js";
import { StoreUnavailable, type Tx } from "../ports/transactions.js";
import { DAY_MS, formatInstant, type Instant, parseInstant } from "../values/instant.js";
import { type ApiEntry, type ApiRun, createDemoApi, type DemoApi } from "./demo-api.js";
import { differences, expectedOutcomes } from "./demo-expected.js";
import { disturb, type Fault, type FaultCounts, faultsOf } from "./demo-faults.js";
import { DemoPeople, type Diary, type ScriptedContact } from "./demo-people.js";
import { type DemoSummary, type LedgerMessage, reportOf, summaryText } from "./demo-report.js";
import { readPeopleScript } from "./demo-script.js";
import { DemoTable } from "./demo-table.js";
import { type Stack, type StackOptions, withStack } from "./stack.js";
import { type LocalSystem, startLocalSystem } from "./system.js";

export interface DemoOptions {
  /** End after the summary; else stay up and print links. */
  readonly once: boolean;
  /** Everything for people goes to stderr. */
  readonly json: boolean;
  /** Real minutes that the year takes. Default 3. */
  readonly minutes?: number;
  /** The exports and people.yaml. Default `examples/portfolio`. */
  readonly portfolio?: string;
  readonly playbooks?: string;
  readonly stack?: Partial<Omit<StackOptions, "log" | "signal">>;
  /** SIGKILLs within the year, at moments that the seed decides. */
  readonly faults?: { readonly counts: FaultCounts; readonly seed: number };
  /** Told once everything is up: tests kill the worker by it. */
  readonly onUp?: (system: LocalSystem) => void;
}

/** The year of the example portfolio; the exports stand as of its first day. */
const YEAR_BEGINS = Date.UTC(2026, 0, 5);
const YEAR_DAYS = 364;
/** Events and changes are told so far ahead of the domain's clock, with their own instant: a slow second is days. */
const AHEAD_MS = 10 * DAY_MS;
const EVENTS_PER_CALL = 500;
const FEED_EVERY_MS = 150;
/** The worker is up before the year begins. */
const LEAD_MS = 5_000;
/** How long after the year one thing of it may take: a slow machine is behind its clock by then. */
const SETTLE_MS = 120_000;

/** How long the store may be away, real milliseconds, before the demo's own part gives up. */
const STORE_AWAY_MS = 60_000;

/** How long a kill waits for a worker that has just died to be up again, real milliseconds. */
const WORKER_UP_MS = 10_000;

const TEMPORAL_FILE = "demo-temporal.db";

const WAYPOST = fileURLToPath(new URL("../../../bin/waypost.mjs", import.meta.url));

/**
 * A year of the example portfolio on real servers, in `minutes`: imports it as a user would, publishes the playbooks, tells the
 * dated events over HTTP, lets scripted people press real buttons and answer real mails. Ends with a summary.
 *
 * @returns the exit code: 0 if nothing was doubled or lost, no run needs attention and each ended as `expected.json` says, else 1
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const say = (line: string) => void (options.json ? process.stderr : process.stdout).write(`${line}\n`);
  const kept = (options.faults?.counts.temporal ?? 0) > 0 ? temporalFile(options) : {};
  return withStack({ log: say, ...kept, ...options.stack }, async (stack, signal) => {
    const fresh = await freshDatabase(stack);
    let code = 1;
    try {
      code = await demoOn(fresh, options, say, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      return 130;
    }
    return code;
  });
}

async function demoOn(
  stack: Stack,
  options: DemoOptions,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<number> {
  const portfolio = options.portfolio ?? join("examples", "portfolio");
  await prepare(stack, portfolio, options.playbooks ?? "playbooks", say, signal);
  const token = await apiToken(stack.databaseUrl);
  const yearMs =
    Math.max(options.minutes ?? 3, options.minutes === undefined ? await leastMinutes(stack.databaseUrl, say) : 0) *
    60_000;
  const setting = {
    scale: Math.max(1.001, (YEAR_DAYS * DAY_MS) / yearMs),
    realOrigin: Date.now() + LEAD_MS,
    domainOrigin: YEAR_BEGINS,
    ordered: true,
    until: YEAR_BEGINS + YEAR_DAYS * DAY_MS,
  };
  const clock = systemClock(setting);
  const problems: string[] = [];
  const ours = wire(
    readEnvironment({ DATABASE_URL: stack.databaseUrl, WAYPOST_CLOCK: clockVariable(setting) }, ["DATABASE_URL"]),
    "demo",
    createLogger("error", "demo"),
  );
  const horizon = horizonIn(ours, signal);
  await horizon(YEAR_BEGINS);
  const people = new DemoPeople({
    diary: diaryIn(ours, signal),
    script: readPeopleScript(join(portfolio, "people.yaml"), readFileSync(join(portfolio, "people.yaml"), "utf8")),
    // The server's address is only known below; nobody reacts before that.
    api: { call: (...args) => api.call(...args), runs: () => api.runs(), tasks: () => api.tasks() },
    clock,
    ...(await castOf(portfolio)),
    signal,
    onProblem: (problem) => void (problems.length < 1_000 && problems.push(problem)),
  });
  let isOver = false;
  const system = await startLocalSystem(stack, {
    log: say,
    clock: setting,
    mailbox: { onMessage: (message) => people.onMessage(message) },
    desk: { onPost: (message) => people.onPost(message), users: deskUsers(portfolio) },
  });
  const api: DemoApi = createDemoApi(system.serverUrl, token, signal);
  try {
    people.desk = system.desk;
    for (const address of bouncing(people))
      system.mailbox.misbehave({ kind: "reply", at: "recipient", to: address, reply: "550 5.1.1 No such user here" });
    await system.ready(signal);
    say(
      `The year begins: ${formatInstant(YEAR_BEGINS).slice(0, 10)}, ${Math.round(setting.scale).toLocaleString("en")} times as fast as real time.`,
    );
    say(linksText(stack, system));
    options.onUp?.(system);
    const table = new DemoTable(options.json ? process.stderr : process.stdout);
    const { faults } = options;
    const disturbing =
      faults === undefined
        ? undefined
        : disturb(
            faultsOf(faults.counts, faults.seed),
            yearMs,
            (what) =>
              killed(what, stack, system, clock).catch((error: unknown) => `SIGKILL of ${what}: ${String(error)}`),
            say,
            signal,
          );
    const watching = watch(table, stack.databaseUrl, api, system, clock, signal, () => isOver);
    await feed(api, portfolio, clock, horizon, signal, problems);
    await sleep(clock.realMsUntil(YEAR_BEGINS + YEAR_DAYS * DAY_MS), undefined, { signal });
    await disturbing;
    const leftBehind = await settled(ours, YEAR_BEGINS + YEAR_DAYS * DAY_MS, signal);
    isOver = true;
    await watching;
    // From here on nothing moves: what is under way ends, then it is counted.
    await system.worker.stop();
    const summary = await summarise(api, stack.databaseUrl, system);
    if (leftBehind !== undefined)
      summary.problems.push(`the year was not done ${SETTLE_MS / 1_000} s after its end: ${leftBehind}`);
    summary.problems.push(...problems.map((problem) => `people: ${problem}`));
    summary.emails.unsubscribed = people.tally.unsubscribed;
    const outcomes = await outcomesOf(api);
    const unexpected = differences(expectedOutcomes(portfolio), outcomes);
    summary.problems.push(...unexpected);
    const isAnyParked = Object.values(summary.runs).some((row) => (row["needs attention"] ?? 0) > 0);
    summary.ok =
      summary.duplicated === 0 &&
      summary.lost === 0 &&
      leftBehind === undefined &&
      unexpected.length === 0 &&
      !isAnyParked;
    writeFileSync(join(stack.folder, "demo-outcomes.json"), `${JSON.stringify(outcomes, undefined, 1)}\n`);
    say(summaryText(summary));
    say(
      `Worker started again ${system.worker.restarts()} times. People pressed ${people.tally.pressed} buttons (${people.tally.refused} refused) and told ${people.tally.events} events.`,
    );
    if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    if (!options.once) await stayUp(stack, system, api, say, signal);
    return summary.ok ? 0 : 1;
  } finally {
    isOver = true;
    await system.stop();
    await ours.close();
  }
}

/** A Temporal that is killed has to keep its runs; those of an earlier demo are no business of this one. */
function temporalFile({ stack }: DemoOptions): Pick<StackOptions, "temporalDbFilename"> {
  const file = join(resolve(stack?.folder ?? ".waypost"), TEMPORAL_FILE);
  for (const end of ["", "-shm", "-wal"]) rmSync(`${file}${end}`, { force: true });
  return { temporalDbFilename: TEMPORAL_FILE };
}

/** A database of its own, so that a demo begins empty, and those of earlier demos are gone. */
async function freshDatabase(stack: Stack): Promise<Stack> {
  const admin = openDatabase(stack.databaseUrl, { poolMax: 2, applicationName: "waypost demo" });
  try {
    const old = await admin.client<
      { name: string }[]
    >`select datname as name from pg_database where datname like 'waypost\\_demo\\_%'`;
    for (const { name } of old) await admin.client.unsafe(`drop database if exists "${name}" with (force)`);
    const name = `waypost_demo_${Date.now()}`;
    await admin.client.unsafe(`create database "${name}"`);
    // Compiling the sweep's long statements takes far longer than running them over 65 customers.
    await admin.client.unsafe(`alter database "${name}" set jit = off`);
    const url = new URL(stack.databaseUrl);
    url.pathname = `/${name}`;
    return { ...stack, databaseUrl: url.href };
  } finally {
    await admin.close();
  }
}

/** Schema, playbooks, customers, by the commands that a user would type, while the domain's clock stands at the year's beginning. */
async function prepare(
  stack: Stack,
  portfolio: string,
  playbooks: string,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = performance.now();
  const before = YEAR_BEGINS - 3_600_000;
  await migrate(stack.databaseUrl);
  const environment = {
    DATABASE_URL: stack.databaseUrl,
    TEMPORAL_ADDRESS: stack.temporalAddress,
    // As good as standing: an hour before the year begins.
    WAYPOST_CLOCK: clockVariable({ scale: 1.001, realOrigin: Date.now(), domainOrigin: before }),
  };
  await waypost(["publish", playbooks, "--json"], environment, signal, [0]);
  const output = await waypost(
    ["import", portfolio, "--json", "--at", formatInstant(before)],
    environment,
    signal,
    [0, 1],
  );
  await analysed(stack.databaseUrl);
  await evaluatedOnce(stack.databaseUrl);
  const report = JSON.parse(output.trim().split("\n").at(-1) ?? "{}") as ImportReport;
  for (const { file, line, column, message } of report.problems) say(`${file}:${line}:${column}: ${message}`);
  say(
    `Imported ${portfolio}: ${report.rows} rows, ${report.bad} bad (above); playbooks published (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`,
  );
}

/** The first daily evaluation, which begins the row of them: from here on each day's comes in its turn. */
async function evaluatedOnce(databaseUrl: string): Promise<void> {
  const wired = wire(
    readEnvironment({ DATABASE_URL: databaseUrl }, ["DATABASE_URL"]),
    "demo",
    createLogger("error", "demo"),
  );
  try {
    await sweepDue(wired.healthPorts, YEAR_BEGINS);
  } finally {
    await wired.close();
  }
}

/** Postgres would look at the new rows within a minute, which is a third of the year. */
async function analysed(databaseUrl: string): Promise<void> {
  const database = openDatabase(databaseUrl, { poolMax: 1, applicationName: "waypost demo" });
  try {
    await database.client`analyze`;
  } finally {
    await database.close();
  }
}

/** Runs a `waypost` command; what it prints. Throws with its errors for another exit code. */
async function waypost(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal,
  codes: readonly number[],
): Promise<string> {
  const kept = Object.fromEntries(
    ["PATH", "HOME", "TMPDIR", "NODE_OPTIONS"].map((name) => [name, process.env[name] ?? ""]),
  );
  const child = spawn(process.execPath, [WAYPOST, ...args], {
    env: { ...kept, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    signal,
  });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  const code = await new Promise<number>((resolve, reject) =>
    child.once("error", reject).once("close", (exit) => resolve(exit ?? 137)),
  );
  if (!codes.includes(code))
    throw new Error(`waypost ${args.join(" ")} ended with ${code}: ${(err || out).slice(-3_000)}`);
  return out;
}

/** Of a day's real time, what the evaluation of all customers may take: it has them to itself meanwhile. */
const SWEEP_SHARE = 0.25;

/** How long the year must take so that this machine keeps up with its days, from how long one daily evaluation takes. */
async function leastMinutes(databaseUrl: string, say: (line: string) => void): Promise<number> {
  const wired = wire(
    readEnvironment({ DATABASE_URL: databaseUrl }, ["DATABASE_URL"]),
    "demo",
    createLogger("error", "demo"),
  );
  try {
    const startedAt = performance.now();
    const rounds = 3;
    for (let round = 0; round < rounds; round++)
      await sweepHealth(wired.healthPorts, YEAR_BEGINS - (rounds - round) * 600_000);
    const sweepMs = (performance.now() - startedAt) / rounds;
    const minutes = Math.ceil((YEAR_DAYS * sweepMs) / SWEEP_SHARE / 6_000) / 10;
    if (minutes > 3)
      say(`One daily evaluation takes ${Math.round(sweepMs)} ms here: the year takes ${minutes} minutes instead of 3.`);
    return minutes;
  } finally {
    await wired.close();
  }
}

async function apiToken(databaseUrl: string): Promise<string> {
  const wired = wire(
    readEnvironment({ DATABASE_URL: databaseUrl }, ["DATABASE_URL"]),
    "demo",
    createLogger("error", "demo"),
  );
  try {
    const scopes = ["events:write", "customers:write", "runs:read", "tasks:write"];
    return (await createToken(wired, { name: "demo", scopes }, "demo")).token;
  } finally {
    await wired.close();
  }
}

/** Who the people are: from the exports and personas.csv. Simple files of our own: no quotes within cells that matter here. */
async function castOf(portfolio: string) {
  const personas = new Map(table(portfolio, "personas.csv").map((row) => [row["id"] ?? "", row["persona"] ?? ""]));
  const contacts = new Map<string, ScriptedContact>();
  const learn = (row: Readonly<Record<string, string>>) => {
    const { id = "", account = "", email = "" } = row;
    if (email !== "")
      contacts.set(email.toLowerCase(), { id, account, persona: personas.get(id) ?? personas.get(account) ?? "" });
  };
  for (const row of table(portfolio, "contacts.csv")) learn(row);
  for await (const line of linesOf(join(portfolio, "updates.jsonl"))) {
    const row = JSON.parse(line) as Record<string, string>;
    if (row["kind"] === "contacts") learn(row);
  }
  const users = deskUsers(portfolio);
  const rows = table(portfolio, "users.csv");
  const colleagues = new Map(users.map((user, index) => [user.id, rows[index]?.["id"] ?? ""]));
  const queues = new Map<string, string>();
  for (const [index, row] of rows.entries()) {
    for (const pool of (row["pools"] ?? "").split("|"))
      if (pool !== "" && !queues.has(pool)) queues.set(pool, users[index]?.id ?? "");
    // What is in nobody's queue is a manager's to take.
    if (row["id"]?.startsWith("mgr-") && !queues.has("*")) queues.set("*", users[index]?.id ?? "");
  }
  return { personas, contacts, colleagues, queues };
}

function deskUsers(portfolio: string) {
  return table(portfolio, "users.csv").map(({ id = "", name = "", email = "" }) => ({
    id: `U${id.replace(/[^a-z0-9]/gi, "").toUpperCase()}`,
    name,
    email,
  }));
}

function bouncing({ options }: DemoPeople): string[] {
  return [...options.contacts]
    .filter(([, contact]) => options.script.bounces.includes(contact.persona))
    .map(([address]) => address);
}

function table(folder: string, name: string): Record<string, string>[] {
  const [head = "", ...lines] = readFileSync(join(folder, name), "utf8")
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .filter((line) => line !== "");
  const delimiter = head.includes(";") ? ";" : ",";
  const names = head.split(delimiter);
  return lines.map((line) => {
    const cells = line.split(delimiter);
    return Object.fromEntries(names.map((heading, index) => [heading, cells[index] ?? ""]));
  });
}

interface Dated {
  readonly at: Instant;
  readonly line: Record<string, unknown>;
}

/** Tells the year's events and changes in order, a bounded time ahead of the clock, each with its own instant. */
async function feed(
  api: DemoApi,
  portfolio: string,
  clock: Clock,
  /** Told up to where everything is fed: nothing later has its turn. */
  horizon: (next: Instant | undefined) => Promise<void>,
  signal: AbortSignal,
  problems: string[],
): Promise<void> {
  const events = dated(join(portfolio, "events.jsonl"));
  const updates = dated(join(portfolio, "updates.jsonl"));
  let [event, update] = [await events.next(), await updates.next()];
  while (!event.done || !update.done) {
    signal.throwIfAborted();
    await horizon(
      Math.min(
        event.done ? Number.MAX_SAFE_INTEGER : event.value.at,
        update.done ? Number.MAX_SAFE_INTEGER : update.value.at,
      ),
    );
    const now = clock.now();
    const batch: Record<string, unknown>[] = [];
    while (!event.done && event.value.at <= now + AHEAD_MS && batch.length < EVENTS_PER_CALL) {
      batch.push(event.value.line);
      event = await events.next();
    }
    if (batch.length > 0) {
      const answer = await api.call<{ events: { id: string; status: string; reason?: string }[] }>(
        "POST",
        "/v1/events",
        { events: batch },
      );
      for (const { id, status, reason } of answer.events)
        if (status === "refused") problems.push(`event ${id} was refused: ${reason}`);
    }
    const rows: Record<string, Record<string, unknown>[]> = {};
    while (!update.done && update.value.at <= now + AHEAD_MS) {
      const { at, kind, id, account, ...fields } = update.value.line;
      const row = { id, ...(account === undefined ? {} : { accountId: account }), fields, at };
      (rows[String(kind)] ??= []).push(row);
      update = await updates.next();
    }
    if (Object.keys(rows).length > 0) {
      const answer = await api.call<{ refused: { kind: string; index: number; reason: string }[] }>(
        "POST",
        "/v1/customers",
        rows,
      );
      for (const { kind, index, reason } of answer.refused)
        problems.push(`${kind} ${String(rows[kind]?.[index]?.["id"])} was refused: ${reason}`);
    }
    if (batch.length < EVENTS_PER_CALL) await sleep(FEED_EVERY_MS, undefined, { signal });
  }
  await horizon(undefined);
}

/** What is not fed yet, as a due item of everybody's: on a busy machine the systems of record would be late, too. */
function horizonIn({ store, order }: Wired, signal: AbortSignal): (next: Instant | undefined) => Promise<void> {
  const id = "announced/feed";
  let last: Instant | undefined;
  return async (next) => {
    if (next === last) return;
    last = next;
    await patiently(
      () =>
        store.transaction((tx) =>
          next === undefined
            ? store.due.disarm(tx, [id])
            : store.due.arm(tx, [{ id, kind: "announced", at: next, payload: {} }]),
        ),
      signal,
    );
    order?.moved();
  };
}

async function* dated(path: string): AsyncGenerator<Dated, undefined> {
  for await (const text of linesOf(path)) {
    const line = JSON.parse(text) as Record<string, unknown>;
    yield { at: parseInstant(String(line["at"])) ?? 0, line };
  }
  return undefined;
}

/** Waits until everything up to the instant is done; what is not, if it takes too long. */
async function settled(ours: Wired, until: Instant, signal: AbortSignal): Promise<string | undefined> {
  const { order } = ours;
  let last = "";
  let deadline = 0;
  for (;;) {
    const blocker = order && (await patiently(() => order.first({ rank: "run", at: until }), signal));
    if (blocker === undefined) return undefined;
    // The evaluation of a day is itself behind something; the days go on as long as all is well.
    const { kind, id, at } = blocker;
    const first = `${kind} ${id} ${formatInstant(at)}`;
    if (first !== last) deadline = performance.now() + SETTLE_MS;
    else if (performance.now() > deadline) return first;
    last = first;
    await sleep(200, undefined, { signal });
  }
}

/** Does it, and once more while the store is away. */
async function patiently<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const until = performance.now() + STORE_AWAY_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || performance.now() > until) throw error;
      await sleep(250, undefined, { signal });
    }
  }
}

/** What people have put off, among the due items. */
function diaryIn({ store, order }: Wired, signal: AbortSignal): Diary {
  const write = (work: (tx: Tx) => Promise<void>) => patiently(() => store.transaction(work), signal);
  return {
    announce: (id, accountId, at) =>
      write((tx) => store.due.arm(tx, [{ id, kind: "announced", at, accountId, payload: {} }])),
    async untilTurn(accountId, at) {
      while (
        order !== undefined &&
        !(await patiently(() => order.untilTurn({ rank: "due", at, accountId }, 1_000), signal))
      )
        signal.throwIfAborted();
    },
    done: (id) => write((tx) => store.due.disarm(tx, [id])),
  };
}

async function killed(what: Fault["what"], stack: Stack, system: LocalSystem, clock: Clock): Promise<string> {
  const day = formatInstant(clock.now()).slice(0, 10);
  if (what !== "worker") {
    const before = performance.now();
    await stack.crash(what);
    return `${day}  SIGKILL of ${what === "postgres" ? "Postgres" : "Temporal"}, back after ${((performance.now() - before) / 1_000).toFixed(1)} s`;
  }
  // One that has just died is let come up first: a kill that hits nobody shows nothing.
  const until = performance.now() + WORKER_UP_MS;
  while (system.worker.pid() === undefined && performance.now() < until) await sleep(100);
  const pid = system.worker.pid();
  if (pid !== undefined) process.kill(pid, "SIGKILL");
  return `${day}  SIGKILL of the worker${pid === undefined ? ": it was not up" : ` (process ${pid})`}`;
}

async function watch(
  table: DemoTable,
  databaseUrl: string,
  api: DemoApi,
  system: LocalSystem,
  clock: Clock,
  signal: AbortSignal,
  isOver: () => boolean,
): Promise<void> {
  const database = openDatabase(databaseUrl, { poolMax: 1, applicationName: "waypost demo" });
  while (!isOver() && !signal.aborted) {
    try {
      const [tasks] = await database.client<{ open: number; done: number; escalated: number }[]>`
        select count(*) filter (where status = 'open')::int as open, count(*) filter (where status = 'done')::int as done,
          count(*) filter (where escalated > 0)::int as escalated from tasks`;
      const health = await database.client<{ status: string; count: number }[]>`
        select status, count(*)::int as count from health group by status order by status`;
      table.show({
        at: clock.now(),
        runs: await api.runs(),
        tasks: tasks ?? { open: 0, done: 0, escalated: 0 },
        health: health.map(({ status, count }) => [status, count]),
        mails: system.mailbox.stats(),
        posts: system.desk.stats(),
        restarts: system.worker.restarts(),
      });
    } catch {
      // The server is being started again, or it is over.
    }
    await sleep(table.everyMs, undefined, { signal }).catch(() => {});
  }
  await database.close();
}

async function summarise(api: DemoApi, databaseUrl: string, system: LocalSystem): Promise<DemoSummary> {
  const runs: ApiRun[] = await api.runs();
  const timelines = new Map<string, readonly ApiEntry[]>();
  for (const { id } of runs) {
    const { entries } = await api.call<{ entries: ApiEntry[] }>("GET", `/v1/runs/${encodeURIComponent(id)}/timeline`);
    timelines.set(id, entries);
  }
  const database = openDatabase(databaseUrl, { poolMax: 1, applicationName: "waypost demo" });
  try {
    const messages = await database.client<LedgerMessage[]>`
      select id, channel, run_id as run, coalesce(step, '') as step, contact_id as contact, status from deliveries`;
    const changes = await database.client<{ from: string; to: string }[]>`
      select payload->>'from' as from, payload->>'to' as to from events where name = 'health.changed'`;
    const now = await database.client<
      { status: string; count: number }[]
    >`select status, count(*)::int as count from health group by status`;
    return reportOf({
      runs,
      timelines,
      tasks: await api.tasks(),
      messages,
      mailbox: system.mailbox,
      desk: system.desk,
      healthChanges: changes,
      healthNow: Object.fromEntries(now.map(({ status, count }) => [status, count])),
    });
  } finally {
    await database.close();
  }
}

/** Every run that the year began: how it ended, or `live`. For comparing two demos. */
async function outcomesOf(api: DemoApi): Promise<Record<string, string>> {
  const end = YEAR_BEGINS + YEAR_DAYS * DAY_MS;
  const ofYear = (await api.runs()).filter((run) => (parseInstant(run.startedAt) ?? 0) < end);
  const outcome = (run: ApiRun) =>
    run.outcome !== null && (parseInstant(run.endedAt ?? "") ?? end) < end ? run.outcome : "live";
  return Object.fromEntries(
    ofYear.map((run): [string, string] => [run.id, outcome(run)]).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function linksText(stack: Stack, system: LocalSystem): string {
  return [
    `  Mailbox      ${system.mailbox.httpUrl}`,
    `  Slack desk   ${system.desk.url}`,
    `  Temporal     ${stack.temporalUiUrl ?? "(your own)"}`,
    `  HTTP API     ${system.serverUrl}/openapi.json`,
  ].join("\n");
}

async function stayUp(
  stack: Stack,
  system: LocalSystem,
  api: DemoApi,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const [run] = await api.runs();
  say("The year is over, the worker rests; everything else stays up. Ctrl-C ends it.");
  say(linksText(stack, system));
  if (run !== undefined) say(`  A timeline   npx waypost run '${run.id}'`);
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
