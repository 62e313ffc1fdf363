import { setTimeout as sleep } from "node:timers/promises";
import postgres from "postgres";
import { expect, test } from "vitest";
import type { Behaviour } from "../../src/local/mailbox-behaviours.js";
import type { DeskBehaviour } from "../../src/local/desk-behaviours.js";
import { type Random, randomFrom, seedOr } from "../hostile/random.js";
import { type FenceStand, openFenceStand, type Point, type Send, stoppingAt, WIRE_MS } from "./support/fence-stand.js";
import { performOn } from "./support/stage.js";

const CASES = process.env["WAYPOST_RANDOM_CASES"];
const SEEDS = Number(CASES ?? 1);
const FIRST = seedOr(1);
/** Of each channel, for each seed. */
const SENDS = CASES === undefined ? 150 : 450;
const CLAIMERS = 4;
/** Of them at one message; more, and they would take the row from one another for ever. */
const AT_ONCE = 3;

/** What one message meets: servers that misbehave, claimers that stop. */
interface Trouble {
  readonly mail: readonly Behaviour[];
  readonly slack: readonly DeskBehaviour[];
  /** For the first claimers that come to it, in order. */
  readonly stops: { readonly point: Point; readonly forMs: number }[];
  /** The server says no for good. */
  readonly isRefused: boolean;
}

test(`every mail and Slack message under faults goes once: ${SEEDS} × ${SENDS} of each, from seed ${FIRST}`, async () => {
  const all: Figures = { sends: 0, faults: 0, stopped: 0, doubled: 0, lost: 0, unknown: 0, stray: 0, differences: 0 };
  const startedAt = performance.now();
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const figures = await storm(seed);
    if (SEEDS > 1) console.log(`  seed ${seed}: ${JSON.stringify(figures)}`);
    for (const [name, value] of Object.entries(figures)) all[name as keyof Figures] += value as number;
  }
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  console.log(
    `fence under faults, seeds ${FIRST} to ${FIRST + SEEDS - 1}: ${all.sends} messages, ${all.faults} faults (${all.stopped} of them claimers that stopped), ` +
      `${all.doubled} doubled, ${all.lost} lost, ${all.unknown} unknown (${all.stray} of them not struck between wire and answer), ${all.differences} differences between ledger and servers, ${seconds} s`,
  );
  expect(all.sends).toBe(2 * SENDS * SEEDS);
  expect(all.faults).toBeGreaterThan((SENDS * SEEDS) / 4);
  expect(all).toMatchObject({ doubled: 0, lost: 0, stray: 0, differences: 0 });
}, 3_600_000);

interface Figures {
  sends: number;
  faults: number;
  stopped: number;
  doubled: number;
  lost: number;
  unknown: number;
  stray: number;
  differences: number;
}

async function storm(seed: number): Promise<Figures> {
  const random = randomFrom(seed);
  // Every fourth mail server can't be asked whether it has a message, as most can't: there silence stays `unknown`, a task for a person.
  const canBeAsked = seed % 4 !== 0;
  const stand = await openFenceStand({ claimers: CLAIMERS, canBeAsked });
  try {
    const sends = await stand.sends(SENDS, SENDS);
    const troubles = new Map(sends.map((send) => [send.number, troubleFor(send, random)]));
    for (const { mail, slack } of troubles.values()) {
      for (const behaviour of mail) stand.mailbox.misbehave(behaviour);
      for (const behaviour of slack) stand.desk.misbehave(behaviour);
    }
    for (let n = 0; n < SENDS / 30; n++)
      stand.desk.misbehave({ kind: "status", status: 500, method: "conversations.history" });
    const struck = new Set<number>();
    const stopped = await claimUntilDone(stand, sends, troubles, random, struck);
    return await judge(stand, { sends, troubles, struck, stopped });
  } finally {
    await stand.close();
  }
}

function troubleFor({ place, channel }: Send, random: Random): Trouble {
  const isRefused = random.chance(0.03);
  const mail: Behaviour[] = [];
  const slack: DeskBehaviour[] = [];
  const stops: Trouble["stops"] = [];
  for (let n = random.pick([0, 0, 0, 1, 1, 2]); n > 0; n--) {
    if (channel === "email") mail.push(random.pick<() => Behaviour>(MAIL_TROUBLES(place))());
    else slack.push(random.pick<() => DeskBehaviour>(SLACK_TROUBLES(place))());
  }
  if (isRefused && channel === "email")
    mail.push({ kind: "reply", at: "recipient", reply: "550 5.1.1 No such user", to: place });
  if (isRefused && channel === "slack")
    slack.push({ kind: "error", error: "channel_not_found", channel: place, times: "always" });
  for (let n = random.pick([0, 0, 0, 1, 2]); n > 0; n--) {
    const point = random.pick<Point>(["looked", "claimed", "agreed", "wired", "gap", "answered", "written"]);
    // Who wakes in the gap may double: a test of its own counts that (zombies.test.ts).
    const forMs = point === "gap" || random.chance(0.5) ? Number.POSITIVE_INFINITY : random.next() * 2 * WIRE_MS;
    stops.push({ point, forMs });
  }
  return { mail, slack, stops, isRefused };
}

const MAIL_TROUBLES = (to: string): (() => Behaviour)[] => [
  () => ({ kind: "reply", at: "recipient", reply: "451 4.7.1 Greylisted", to, times: 1 }),
  () => ({ kind: "drop", at: "recipient", to, times: 1 }),
  () => ({ kind: "reply", at: "body", reply: "452 4.3.1 Out of space", to, times: 1 }),
  () => ({ kind: "drop", at: "body", kept: true, to, times: 1 }),
  () => ({ kind: "drop", at: "body", kept: false, to, times: 1 }),
  () => ({ kind: "delay", at: "body", delayMs: 900, to, times: 1 }),
  () => ({ kind: "delay", at: "body", delayMs: 300, to, times: 1 }),
];

const SLACK_TROUBLES = (channel: string): (() => DeskBehaviour)[] => [
  () => ({ kind: "limit", retryAfterSeconds: 1, channel }),
  () => ({ kind: "status", status: 500, channel }),
  () => ({ kind: "status", status: 503, accepted: true, channel }),
  () => ({ kind: "drop", channel }),
  () => ({ kind: "drop", accepted: true, channel }),
  () => ({ kind: "garbage", accepted: true, channel }),
  () => ({ kind: "delay", delayMs: 900, channel }),
  () => ({ kind: "error", error: "internal_error", channel }),
];

/** Where a fault between the row's `wire` and the row's result strikes. */
const ON_WIRE: readonly Point[] = ["wired", "gap", "answered"];

/**
 * Claimers pick messages at random, several at once the same, until each has its outcome, and all who sleep have woken. Answers how many stopped,
 * and notes in `struck` the messages whose claimer stopped while they were on the wire.
 */
async function claimUntilDone(
  stand: FenceStand,
  sends: readonly Send[],
  troubles: ReadonlyMap<number, Trouble>,
  random: Random,
  struck: Set<number>,
): Promise<number> {
  const left = new Map(sends.map((send) => [send.number, { send, notBefore: 0, inHand: 0, heard: [] as string[] }]));
  const asleep: Promise<void>[] = [];
  const deadline = performance.now() + 300_000;
  let stopped = 0;

  const pick = (): Send | undefined => {
    const ready = [...left.values()].filter(
      ({ notBefore, inHand }) => notBefore <= performance.now() && inHand < AT_ONCE,
    );
    return ready.length === 0 ? undefined : random.pick(ready.slice(0, 60)).send;
  };
  async function work(ports: FenceStand["claimers"][number]): Promise<void> {
    while (left.size > 0) {
      if (performance.now() > deadline)
        throw new Error(`no outcome of ${[...left.keys()].slice(0, 10)}; ${stand.faults.slice(-3)}`);
      const send = pick();
      if (send === undefined) {
        await sleep(20);
        continue;
      }
      const stop = troubles.get(send.number)?.stops.shift();
      let leave = (): void => {};
      const hasStopped = new Promise<"stopped">((done) => void (leave = () => done("stopped")));
      const fated =
        stop === undefined
          ? ports
          : stoppingAt(ports, stop.point, () => {
              stopped += 1;
              if (ON_WIRE.includes(stop.point)) struck.add(send.number);
              const sleeping = Number.isFinite(stop.forMs) ? sleep(stop.forMs) : new Promise<void>(() => {});
              if (Number.isFinite(stop.forMs)) asleep.push(sleeping);
              leave();
              return sleeping;
            });
      const entry = left.get(send.number);
      if (entry) entry.inHand += 1;
      const attempt = performOn(fated, send.run, [send.command], { confirm: entry?.heard ?? [] });
      attempt.catch(() => {});
      const result = await Promise.race([attempt, hasStopped]);
      if (entry) entry.inHand -= 1;
      if (result === "stopped") continue;
      if (result.outcomes["send"]) left.delete(send.number);
      else if (entry) {
        entry.notBefore = performance.now() + Math.min(result.retry?.afterMs ?? 0, 500);
        // A bounce that is told before its row is written comes first, as to any run.
        entry.heard = result.events.map(({ id }) => id);
      }
    }
  }
  await Promise.all(stand.claimers.flatMap((ports) => Array.from({ length: 8 }, () => work(ports))));
  await Promise.all(asleep);
  // Who woke last still talks.
  await sleep(WIRE_MS);
  return stopped;
}

/** From the servers' own logs and by SQL: none of the code that delivers is asked. */
async function judge(
  stand: FenceStand,
  {
    sends,
    troubles,
    struck,
    stopped,
  }: {
    sends: readonly Send[];
    troubles: ReadonlyMap<number, Trouble>;
    struck: ReadonlySet<number>;
    stopped: number;
  },
): Promise<Figures> {
  const sql = postgres(stand.stage.url, { max: 1, onnotice: () => {} });
  const rows = await sql<{ id: string; run_id: string; channel: string; status: string }[]>`
    select id, run_id, channel, status from deliveries`;
  const [held] = await sql<{ n: number }[]>`select count(*)::int as n from tasks where title like 'Did the e-mail%'`;
  await sql.end();

  const behaviours = (await (await fetch(`${stand.mailbox.httpUrl}/behaviours`)).json()) as unknown;
  const mailLeft = listOf<Behaviour>(behaviours).filter((one) => one.times !== undefined);
  const deskLeft = listOf<DeskBehaviour>(await (await fetch(`${stand.desk.url}/behaviours`)).json()).filter(
    (one) => one.times !== "always",
  );
  const asked = [...troubles.values()].flatMap(({ mail, slack }) => [...mail, ...slack]);
  const once = asked.filter((one) => one.times !== "always" && !(one.kind === "reply" && one.times === undefined));
  const histories = Math.ceil(SENDS / 30);
  const faults = once.length + histories - mailLeft.length - deskLeft.length + stopped;

  const mails = new Map<string, number>();
  for (const { to } of stand.mailbox.messages()) mails.set(to[0] ?? "", (mails.get(to[0] ?? "") ?? 0) + 1);
  const posts = new Map<string, number>();
  for (const { text } of stand.desk.posts()) posts.set(text, (posts.get(text) ?? 0) + 1);

  const byRun = new Map<string, (typeof rows)[number][]>();
  for (const row of rows) byRun.set(row.run_id, [...(byRun.get(row.run_id) ?? []), row]);
  const figures: Figures = {
    sends: sends.length,
    faults,
    stopped,
    doubled: 0,
    lost: 0,
    unknown: 0,
    stray: 0,
    differences: 0,
  };
  for (const send of sends) {
    const arrived = (send.channel === "email" ? mails.get(send.place) : posts.get(`Look at ${send.number}`)) ?? 0;
    const own = byRun.get(send.run) ?? [];
    const isUnknown = own.some(({ status }) => status === "unknown" || status === "held");
    const trouble = troubles.get(send.number);
    if (arrived > 1) figures.doubled += arrived - 1;
    // A channel that is gone is replaced; an address that is refused gets nothing.
    const isDue = !(trouble?.isRefused && send.channel === "email");
    if (isUnknown) figures.unknown += 1;
    else if (isDue ? arrived === 0 : arrived > 0) figures.lost += 1;
    if (isUnknown && !struck.has(send.number) && !trouble?.mail.some((one) => one.at === "body")) figures.stray += 1;
    for (const row of own) {
      const count = row.channel === "email" ? (mails.get(send.place) ?? 0) : stand.desk.count(row.id);
      const says = ({ sent: 1, rejected: 0, skipped: 0 } as Record<string, number>)[row.status];
      const isOpen = says === undefined && row.status !== "unknown" && row.status !== "held";
      if (isOpen || (says !== undefined && says !== count)) figures.differences += 1;
    }
    if (own.length === 0) figures.differences += 1;
  }
  // Nothing arrived that the ledger doesn't know; every unknown one is before a person.
  const ids = new Set(rows.map(({ id }) => id));
  figures.differences += stand.mailbox.messages().filter(({ deliveryId }) => !ids.has(deliveryId ?? "")).length;
  figures.differences += stand.desk.posts().filter(({ deliveryId }) => !ids.has(deliveryId ?? "")).length;
  figures.differences += Math.abs(figures.unknown - (held?.n ?? 0));
  return figures;
}

function listOf<T>(answer: unknown): readonly T[] {
  const list = Array.isArray(answer) ? answer : (answer as { behaviours: T[] }).behaviours;
  return list as T[];
}
