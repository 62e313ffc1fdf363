import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import postgres from "postgres";
import { dispatchBatch } from "../src/operations/dispatch-events.js";
import type { Policy } from "../src/engine/policy.js";
import { publish } from "../src/operations/publish.js";
import { DAY_MS } from "../src/values/instant.js";
import { type Fault, isOfProcess, nameOf, scheduleOf, type Victim } from "./faults.js";
import { caller, type House, openHouse } from "./house.js";
import { KILLED, recoveriesOf, recoveryTable, strikeKills } from "./kills.js";
import { type Load, type LoadKind, loadOf, PING_PAUSE_MS } from "./load.js";
import { judge, type Verdict } from "./oracle.js";
import { People } from "./people.js";
import { ROOT } from "./program.js";
import { randomOf } from "./random.js";

const USAGE = `npm run chaos -- --seed N --faults M [--runs R] [--load generated|shipped] [--seconds S] [--seeds K] [--blind] [--json]
  --seed     draws load and faults; the same seed gives the same of both (what they meet is the machine's)
  --faults   how many strike (default 150)
  --runs     runs of stories beside the live ones (default 100)
  --load     stories of generated playbooks, or of the shipped ones (default: even seeds shipped, odd ones generated)
  --seconds  for how long they strike (default 0.7 for each)
  --seeds    so many seeds, one after the other, from --seed on
  --kills    instead of faults: worker, server, Postgres and Temporal killed so many times each, and how long until all that was due is done
  --naive    the same without the ledger, as an activity is written by hand (send, then mark): for comparison
  --beside-naive  the same three times: as it is, without the ledger, and without the ledger and without faults
  --blind    the mail server can't be asked for a Message-ID (default: every fifth seed)
  --json     the result as the last line`;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    faults: { type: "string", default: "150" },
    runs: { type: "string", default: "100" },
    load: { type: "string" },
    seconds: { type: "string" },
    kills: { type: "string", default: "0" },
    naive: { type: "boolean", default: false },
    "beside-naive": { type: "boolean", default: false },
    blind: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    record: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

const log = (line: string): void => console.error(`chaos: ${line}`);

interface Struck {
  readonly at: number;
  /** Of what lasts: real time. */
  readonly until?: number;
  readonly name: string;
  readonly isOfProcess: boolean;
}

interface Result extends Verdict {
  readonly seed: number;
  readonly load: LoadKind;
  readonly naive: boolean;
  readonly faults: number;
  readonly ofProcesses: number;
  readonly byKind: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** With `--kills`: how long each kind's kills took to recover from. */
  readonly recovery?: Awaited<ReturnType<typeof recoveriesOf>>;
  readonly ok: boolean;
}

interface Options {
  readonly faults: number;
  readonly kills: number;
  readonly isNaive: boolean;
}

/** Every process that a fault hit was started by this one, and ends with it. */
async function runOne(seed: number, options: Options, stop: AbortSignal): Promise<Result> {
  const began = performance.now();
  const random = randomOf(seed);
  const { faults: count, kills, isNaive } = options;
  const kind: LoadKind = (values.load as LoadKind | undefined) ?? (seed % 2 === 0 ? "shipped" : "generated");
  const isBlind = values.blind || (seed % 5 === 4 && kills === 0);
  const durationMs = Number(values.seconds ?? Math.max(20, Number(values.faults) * 0.7)) * 1_000;
  log(
    `seed ${seed}: ${kills > 0 ? `live runs, ${KILLED.length} × ${kills} kills` : `${kind} stories, ${count} faults in ${durationMs / 1_000} s`}${isBlind ? ", a mail server that can't be asked" : ""}${isNaive ? ", without the ledger" : ""}`,
  );
  const load = await loadOf(kills > 0 ? "generated" : kind, seed, kills > 0 ? 0 : Number(values.runs));
  const scale = kills > 0 ? KILLS_SCALE : (load.until - load.origin) / durationMs;
  const people = new People(load);
  const arrivedAt = new Map<number, number>();
  const struck: Struck[] = [];
  /** No fault of the seed's. */
  const last: Struck[] = [];
  const answers = new Map<string, (number | undefined)[]>();
  const closing: (() => Promise<void>)[] = [];
  const mailedAt = new Map<string, number>();
  const house = await openHouse({
    log,
    scale,
    origin: load.origin,
    canBeAsked: !isBlind,
    channels: channelsOf(load),
    ...(count + kills > 0 && { dieMigrating: 1 + (seed % MIGRATED_TABLES) }),
    isNaive,
    async onMessage(message) {
      await people.onMessage(message);
      const id = message.deliveryId ?? "";
      if (!mailedAt.has(id)) mailedAt.set(id, Date.now());
    },
    onAnswer({ deliveryId = "" }, afterMs) {
      answers.set(deliveryId, [...(answers.get(deliveryId) ?? []), afterMs]);
    },
    onPost: (message) => people.onPost(message),
    prepare: async (wired, call) => {
      const { segments: _, ...configurations } = load.workspace.configurations;
      await publish(
        wired,
        { playbooks: [], templates: [], configurations: { ...configurations, segments: {} } },
        "test",
      );
      await people.prepare(wired, call);
      while ((await dispatchBatch(wired.dispatch, 1_000)) > 0);
      await publish({ ...wired, clock: { ...wired.clock, now: () => load.origin } }, load.workspace, "test");
      await people.tell();
    },
  });
  if (count + kills > 0) struck.push({ at: Date.now(), name: "die migration", isOfProcess: true });
  try {
    const sql = postgres(house.postgres.direct(), { max: 1, onnotice: () => {} });
    closing.push(() => sql.end({ timeout: 2 }));
    const call = caller(house.url, house.token, 30_000);
    // Who reacts to a message has a second: the mail server waits for them.
    people.meet(house.wired, caller(house.url, house.token, 1_500), caller(house.url, house.token, 60_000));
    const watching = watchArrivals(house, arrivedAt);
    const ending = new AbortController();
    const until = AbortSignal.any([ending.signal, stop]);
    const living = people.ping(call, randomOf(seed + 1), kills > 0 ? 200 : 900, until, () => house.wired.clock.now());
    const enrolling = people.enrol(until).catch((error: unknown) => {
      if (!until.aborted) log(`enrolling: ${String(error)}`);
    });
    await sleep(Math.max(0, house.beginsAt - Date.now()), undefined, { signal: stop });
    const killed = kills === 0 ? [] : await strikeKills(house, people, sql, kills, stop);
    for (const { who, at } of killed) struck.push({ at, name: `kill ${who}`, isOfProcess: true });
    if (kills === 0) {
      const schedule = scheduleOf(random, count, durationMs - 2_000);
      await Promise.all(await strike(house, people, call, schedule, random, struck, stop));
      await sleep(Math.max(0, house.beginsAt + durationMs - Date.now()), undefined, { signal: stop });
      // Whoever has a wrong clock, or is to die somewhere, begins anew; what mail server and Slack were asked for has its time to happen.
      if (count > 0) {
        last.push({ at: Date.now(), name: "kill worker", isOfProcess: true });
        for (const program of Object.values(house.programs)) program.kill();
      }
    }
    const unused = await unusedBehaviours(house, stop);
    ending.abort();
    await living;
    await enrolling;
    await settle(house, call, stop);
    clearInterval(watching);
    for (const program of Object.values(house.programs))
      for (const { point, at } of program.diedAt()) struck.push({ at, name: `die ${point}`, isOfProcess: true });
    const evidence = {
      databaseUrl: house.postgres.direct(),
      mails: house.mailbox.messages(),
      posts: house.desk.posts(),
      arrivedAt,
      load,
      people,
      now: house.wired.clock.now() - DAY_MS / 24,
      canBeAsked: !isBlind,
      answers,
      interruptions: [...struck, ...last].filter(({ name }) => INTERRUPTS.test(name)),
    };
    if (process.env["WAYPOST_CHAOS_KEEP"] !== undefined) {
      const { load: _, people: __, arrivedAt: ___, ...rest } = evidence;
      writeFileSync(
        join(house.folder, "evidence.json"),
        JSON.stringify({
          ...rest,
          seed,
          kind,
          runs: Number(values.runs),
          arrivedAt: [...arrivedAt],
          people: {
            accepted: [...people.accepted],
            pings: [...people.pings],
            reactedAt: [...people.reactedAt],
            underWay: [...people.underWay],
          },
        }),
      );
      log(`kept: ${house.folder}`);
    }
    const judged = await judge(evidence);
    const byItself = Object.values(house.programs).flatMap(({ name, endedByItself }) =>
      endedByItself().map((detail) => ({ what: `${name} ended by itself`, detail })),
    );
    const verdict = { ...judged, broken: [...judged.broken, ...byItself] };
    const recovery =
      kills === 0
        ? {}
        : { recovery: await recoveriesOf(killed, { sql, people, mailedAt, posts: house.desk.posts(), scale }) };
    const happened = withoutUnused(struck, unused);
    const byKind: Record<string, number> = {};
    for (const { name } of happened) byKind[name] = (byKind[name] ?? 0) + 1;
    const result: Result = {
      seed,
      load: kind,
      naive: isNaive,
      faults: happened.length,
      ofProcesses: happened.filter((one) => one.isOfProcess).length,
      ...verdict,
      byKind: Object.fromEntries(Object.entries(byKind).sort()),
      seconds: Math.round((performance.now() - began) / 1_000),
      ...recovery,
      ok: verdict.broken.length === 0,
    };
    explain(result, struck, people);
    return result;
  } finally {
    for (const close of closing) await close().catch(() => {});
    await house.stop();
  }
}

/** What may take the sender of a mail away from it, or what it would write. */
const INTERRUPTS = /^(kill (worker|postgres)|freeze worker|clock|die (?!event-appended|migration))/;

function channelsOf(load: Load): readonly string[] {
  const { policy } = load.workspace.configurations as unknown as { policy: Policy };
  return [policy.slack.unassignedChannel, policy.slack.alertsChannel];
}

/** Domain milliseconds in a real one while kills are measured: the pause of a live run takes 2 s. */
const KILLS_SCALE = PING_PAUSE_MS / 2_000;
/** Among so many tables of the schema's migrations one is drawn, and the first worker ends at it. */
const MIGRATED_TABLES = 20;

function watchArrivals(house: House, arrivedAt: Map<number, number>): NodeJS.Timeout {
  return setInterval(() => {
    const { messages } = house.mailbox.stats();
    for (let number = arrivedAt.size + 1; number <= messages; number += 1) arrivedAt.set(number, Date.now());
  }, 100);
}

/** Lets each fault strike at its time; what goes on longer than its stroke is in the answer. */
async function strike(
  house: House,
  people: People,
  call: ReturnType<typeof caller>,
  faults: readonly Fault[],
  random: ReturnType<typeof randomOf>,
  struck: Struck[],
  stop: AbortSignal,
): Promise<readonly Promise<unknown>[]> {
  const under: Promise<unknown>[] = [];
  const queues: Record<Victim, OfProcess[]> = { "worker-1": [], "worker-2": [], server: [] };
  const over = new AbortController();
  const victims = Object.entries(queues).map(([who, queue]) =>
    strikeProcess(house, who as Victim, queue, randomOf(random.below(1_000_000)), struck, over.signal),
  );
  let isPostgresAway = false;
  let isTemporalAway = false;
  for (const fault of faults) {
    await sleep(Math.max(0, house.beginsAt + fault.atMs - Date.now()), undefined, { signal: stop });
    const noted = (lastsMs = 0): void => {
      const at = Date.now();
      struck.push({ at, until: at + lastsMs, name: nameOf(fault), isOfProcess: isOfProcess(fault) });
    };
    switch (fault.kind) {
      case "kill":
      case "die":
      case "clock":
      case "freeze":
        queues[fault.who].push(fault);
        break;
      case "postgres":
        if (isPostgresAway) break;
        isPostgresAway = true;
        noted(fault.awayMs + POSTGRES_RECOVERS_MS);
        under.push(house.postgres.crash(fault.awayMs).finally(() => (isPostgresAway = false)));
        break;
      case "temporal":
        if (isTemporalAway) break;
        isTemporalAway = true;
        noted();
        under.push(house.temporal.crash(fault.awayMs).finally(() => (isTemporalAway = false)));
        break;
      case "smtp":
        house.mailbox.misbehave(fault.behaviour);
        noted();
        break;
      case "slack":
        house.desk.misbehave(fault.behaviour);
        noted();
        break;
      case "events": {
        const all = [...people.accepted.values()];
        const some =
          fault.name === "at once"
            ? Array.from({ length: 500 }, () => random.pick(all))
            : random.shuffle(all).slice(0, 20);
        if (all.length === 0) break;
        noted();
        const order = fault.name === "reversed" ? all.slice(-20).reverse() : some;
        under.push(people.again(call, order, fault.name === "at once"));
        break;
      }
    }
  }
  await sleep(2_000, undefined, { signal: stop });
  over.abort();
  return [...under, ...victims];
}

const POSTGRES_RECOVERS_MS = 2_000;

type OfProcess = Extract<Fault, { who: Victim }>;

/** Ends and freezes one process, each time a while after it is at work: what is killed before it has begun shows nothing. */
async function strikeProcess(
  house: House,
  who: Victim,
  queue: OfProcess[],
  random: ReturnType<typeof randomOf>,
  struck: Struck[],
  signal: AbortSignal,
): Promise<void> {
  const program = house.programs[who];
  const rest = (ms: number) => sleep(ms, undefined, { signal }).catch(() => {});
  while (!signal.aborted) {
    if (queue.length === 0 || !program.isReady()) {
      await rest(50);
      continue;
    }
    await rest(random.between(200, 3_000));
    if (signal.aborted || !program.isReady()) continue;
    const fault = queue.shift() as OfProcess;
    const name = fault.kind === "die" ? `kill ${who === "server" ? "server" : "worker"}` : nameOf(fault);
    const at = Date.now();
    struck.push({ at, until: at + (fault.kind === "freeze" ? fault.ms : 0), name, isOfProcess: true });
    if (fault.kind === "freeze") await program.freeze(fault.ms);
    else if (fault.kind === "kill") program.kill();
    else if (fault.kind === "die") program.kill({ WAYPOST_DIE_AT: `${fault.point}:${fault.time}` });
    else program.kill(house.wrongClock(fault.hours));
  }
}

/** What was asked of mail server and Slack and does not come to pass within half a minute: by name. */
async function unusedBehaviours(house: House, stop: AbortSignal): Promise<readonly string[]> {
  const left = async (url: string): Promise<readonly Record<string, unknown>[]> =>
    ((await (await fetch(`${url}/behaviours`)).json()) as { behaviours: Record<string, unknown>[] }).behaviours;
  const giveUp = performance.now() + DRAIN_MS;
  for (;;) {
    const smtp = await left(house.mailbox.httpUrl);
    const slack = await left(house.desk.url);
    if (smtp.length + slack.length === 0 || performance.now() > giveUp) {
      house.mailbox.behave();
      house.desk.behave();
      return [...smtp.map(() => "smtp"), ...slack.map(() => "slack")];
    }
    await sleep(300, undefined, { signal: stop });
  }
}

const DRAIN_MS = 30_000;

function withoutUnused(struck: readonly Struck[], unused: readonly string[]): readonly Struck[] {
  const channels = {
    smtp: unused.filter((one) => one === "smtp").length,
    slack: unused.filter((one) => one === "slack").length,
  };
  // The last ones asked for are those that are left.
  return struck
    .toReversed()
    .filter(({ name }) => {
      const channel = name.startsWith("smtp") ? "smtp" : name.startsWith("slack") ? "slack" : undefined;
      if (channel === undefined || channels[channel] === 0) return true;
      channels[channel] -= 1;
      return false;
    })
    .toReversed();
}

/** A killed worker's attempt is missed after 10 s, and repeated after 5 s more, or cut once again: until then nothing shows that a run will go on. */
const QUIET_MS = 22_000;
/** Where every run has ended, or waits for a person. */
const QUIET_ENDED_MS = 4_000;
const SETTLE_MAX_MS = 400_000;

/** Until nothing moves any more, with everything up; what needs attention is tried again, as a person would. */
async function settle(house: House, call: ReturnType<typeof caller>, stop: AbortSignal): Promise<void> {
  const sql = postgres(house.postgres.direct(), { max: 1, onnotice: () => {} });
  try {
    let last = "";
    let since = performance.now();
    const giveUp = performance.now() + SETTLE_MAX_MS;
    let quietMs = QUIET_MS;
    while (performance.now() < giveUp && performance.now() - since < quietMs) {
      await sleep(500, undefined, { signal: stop });
      const [row] = await sql`select (select count(*) from timeline)::int as lines,
        (select string_agg(status || n, ',' order by status) from (select status, count(*) as n from deliveries where key !~ '^(digest|overload)[|]' group by status) s) as deliveries,
        (select count(*) from deliveries where status in ('claimed','wire','retry') and key !~ '^(digest|overload)[|]')::int as open,
        (select count(*) from runs where status not in ('ended', 'parked'))::int as live,
        (select count(*) from events where status = 'pending' and at <= ${new Date(house.wired.clock.now()).toISOString()})::int as pending`;
      const now = JSON.stringify(row);

      const parked = await sql`select id from runs where parked is not null and parked->>'reason' like 'Slack%'`;
      for (const { id } of parked)
        await call("POST", `/v1/runs/${encodeURIComponent(id as string)}/retry`, {}).catch(() => {});
      const isUp = Object.values(house.programs).every((program) => program.isReady());
      const isMoving = now !== last || (row?.["open"] as number) > 0 || (row?.["pending"] as number) > 0;
      if (!isUp || isMoving || parked.length > 0) since = performance.now();
      last = now;
      quietMs = row?.["live"] === 0 ? QUIET_ENDED_MS : QUIET_MS;
    }
    if (performance.now() >= giveUp) log(`not quiet after ${SETTLE_MAX_MS / 1_000} s: ${last}`);
  } finally {
    await sql.end({ timeout: 2 });
  }
}

function explain(result: Result, struck: readonly Struck[], people: People): void {
  const { broken } = result;
  // What is broken without the ledger is the point of it.
  for (const one of broken.slice(0, result.naive ? 3 : 40)) {
    const before =
      one.at === undefined
        ? []
        : struck.filter(({ at }) => at > 0 && at <= (one.at as number) && at > (one.at as number) - 15_000);
    log(
      `BROKEN ${JSON.stringify(one)}${
        before.length === 0
          ? ""
          : `; before it: ${before
              .map(({ name, at }) => `${name} (${(((one.at as number) - at) / 1_000).toFixed(1)} s)`)
              .slice(-6)
              .join(", ")}`
      }`,
    );
  }
  if (broken.length > 40) log(`… and ${broken.length - 40} more`);
  for (const problem of [...new Set(people.problems())].slice(0, 3)) log(`people: ${problem.slice(0, 200)}`);
  log(
    `seed ${result.seed}: ${result.ok ? "ok" : "BROKEN"} in ${result.seconds} s: ${result.faults} faults (${result.ofProcesses} of processes), ${result.runs} runs (${result.ended} ended), ${result.deliveries} deliveries: ` +
      `${result.doubled} doubled, ${result.lost} lost, ${result.unknown} unknown; ${result.pings} live events, ${result.stepsMissing} of their steps missing`,
  );
  if (result.rehearsed > 0) {
    const others = Object.entries(result.comparedUpTo).map(([why, count]) => `${count} up to ${why}`);
    log(
      `as rehearsed: ${result.compared} of ${result.rehearsed} from beginning to end${others.map((one) => `, ${one}`).join("")}`,
    );
  }
  if (result.recovery !== undefined) for (const line of recoveryTable(result.recovery)) log(line);
  if (!result.ok) {
    const { seconds, load, blind } = values;
    const rest = `${seconds === undefined ? "" : ` --seconds ${seconds}`}${load === undefined ? "" : ` --load ${load}`}${blind ? " --blind" : ""}`;
    log(`again: npm run chaos -- --seed ${result.seed} --faults ${values.faults} --runs ${values.runs}${rest}`);
  }
}

/** What the ledger is worth: the same load three times, over all seeds. */
function naiveTable(results: readonly Result[], naive: readonly Result[]): readonly string[] {
  const row = (name: string, list: readonly Result[]): string => {
    const sum = (of: (one: Result) => number): number => list.reduce((all, one) => all + of(one), 0);
    const mails = sum((one) => one.doubledMails);
    return `| ${name} | ${sum((one) => one.faults)} | ${sum((one) => one.deliveries)} | ${mails} | ${sum((one) => one.doubled) - mails} | ${sum((one) => one.lost)} |`;
  };
  return [
    "| | faults | messages | mails doubled | Slack messages doubled | lost |",
    "|---|---|---|---|---|---|",
    row("as it is", results),
    row(
      "without the ledger",
      naive.filter(({ faults }) => faults > 0),
    ),
    row(
      "without the ledger, no faults",
      naive.filter(({ faults }) => faults === 0),
    ),
  ];
}

if (values.help) {
  console.log(USAGE);
} else {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => stop.abort(new Error(signal)));
  if (!existsSync(join(ROOT, "dist"))) throw new Error("not built: npm run build");
  const kills = Number(values.kills);
  const results: Result[] = [];
  const naive: Result[] = [];
  for (let i = 0; i < Number(values.seeds); i += 1) {
    const seed = Number(values.seed) + i;
    const options = { faults: kills > 0 ? 0 : Number(values.faults), kills, isNaive: values.naive };
    const result = await runOne(seed, options, stop.signal);
    results.push(result);
    if (values["beside-naive"])
      naive.push(
        await runOne(seed, { ...options, isNaive: true }, stop.signal),
        await runOne(seed, { ...options, faults: 0, isNaive: true }, stop.signal),
      );
    if (values.record !== undefined) appendFileSync(values.record, `${JSON.stringify(result)}\n`);
  }
  const sum = (of: (one: Result) => number): number => results.reduce((all, one) => all + of(one), 0);
  const only = results.length === 1 ? results[0] : undefined;
  const beside = values["beside-naive"] ? { naive: naive.map(({ broken, ...figures }) => figures) } : {};
  if (values["beside-naive"]) for (const line of naiveTable(results, naive)) log(line);
  const whole = {
    ...(only ?? {
      seed: Number(values.seed),
      seeds: results.length,
      faults: sum((one) => one.faults),
      ofProcesses: sum((one) => one.ofProcesses),
      deliveries: sum((one) => one.deliveries),
      doubled: sum((one) => one.doubled),
      lost: sum((one) => one.lost),
      unknown: sum((one) => one.unknown),
      broken: results.flatMap((one) => one.broken.map((broken) => ({ seed: one.seed, ...broken }))),
      ok: results.every((one) => one.ok),
    }),
    ...beside,
  };
  if (values.json) console.log(JSON.stringify(whole));
  process.exit(whole.ok ? 0 : 1);
}
