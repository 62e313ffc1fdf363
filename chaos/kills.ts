import { setTimeout as sleep } from "node:timers/promises";
import type postgres from "postgres";
import type { DeskMessage } from "../src/local/desk-workspace.js";
import { PING_PAUSE_MS } from "./load.js";
import type { House } from "./house.js";
import type { People } from "./people.js";

/** What is ended with SIGKILL, and started again at once, as a supervisor does. */
export const KILLED = ["worker", "server", "postgres", "temporal"] as const;
export type Killed = (typeof KILLED)[number];

export interface Kill {
  readonly who: Killed;
  /** Real time. */
  readonly at: number;
}

/** How long it took, real milliseconds, until all that was due was done: over so many kills. */
export interface Recovery {
  readonly kills: number;
  /** Messages that were due at the kill or within a second of it, and came after it. */
  readonly waitedFor: number;
  readonly p50: number;
  readonly p95: number;
  readonly longest: number;
  /** What was waited for longest: which message of which live event, and when its event was answered, in real milliseconds from the kill. */
  readonly slowest: string;
}

/** What counts as due at a kill: also what falls due within so long of it. */
const DUE_WITHIN_MS = 1_000;
const GIVE_UP_MS = 60_000;

/** Kills each kind so many times, in turn, each time when all that was due at the last one is done. */
export async function strikeKills(
  house: House,
  people: People,
  sql: postgres.Sql,
  times: number,
  signal: AbortSignal,
): Promise<readonly Kill[]> {
  const kills: Kill[] = [];
  const rest = (ms: number) => sleep(ms, undefined, { signal });
  await rest(5_000);
  for (let i = 0; i < times; i += 1)
    for (const who of KILLED) {
      // Not in step with what is posted.
      await rest(500 + ((kills.length * 373) % 1_000));
      const at = Date.now();
      kills.push({ who, at });
      if (who === "postgres" || who === "temporal") await house[who].crash(0);
      else house.programs[who === "server" ? "server" : i % 2 === 0 ? "worker-1" : "worker-2"].kill();
      await rest(Math.max(0, at + DUE_WITHIN_MS - Date.now()));
      await overOf(people, sql, at + DUE_WITHIN_MS, rest);
    }
  return kills;
}

/** Until every event first posted by then has been answered, and its run is over. */
async function overOf(
  people: People,
  sql: postgres.Sql,
  until: number,
  rest: (ms: number) => Promise<void>,
): Promise<void> {
  for (const giveUp = Date.now() + GIVE_UP_MS; Date.now() < giveUp; await rest(200)) {
    const ids = [...people.posted].flatMap(([id, at]) => (at <= until ? [id] : []));
    const [row] =
      await sql`select count(*)::int as ended from runs where playbook = 'ping' and status = 'ended' and enrolled_by in ${sql(ids)}`.catch(
        () => [],
      );
    if (row?.["ended"] === ids.length) return;
  }
}

/**
 * From outside, by the logs of mail server and Slack: a live run's first mail is due when its event is first posted, its Slack message when that mail has
 * arrived, its second mail six hours of the domain later. What was due by a second after a kill and came after it was waited for; the last of it ends the recovery.
 */
export async function recoveriesOf(
  kills: readonly Kill[],
  evidence: {
    readonly sql: postgres.Sql;
    readonly people: People;
    /** Real time of each mail's first arrival, by delivery id. */
    readonly mailedAt: ReadonlyMap<string, number>;
    readonly posts: readonly DeskMessage[];
    /** Domain milliseconds in a real one. */
    readonly scale: number;
  },
): Promise<Readonly<Partial<Record<Killed | "all", Recovery>>>> {
  const { sql, people, mailedAt, posts, scale } = evidence;
  const arrived = new Map(mailedAt);
  for (const { deliveryId, postedAt } of posts)
    if (deliveryId !== undefined && !arrived.has(deliveryId)) arrived.set(deliveryId, postedAt);
  const rows =
    await sql`select r.enrolled_by, d.step, d.id from runs r join deliveries d on d.run_id = r.id where r.playbook = 'ping'`;
  const idOf = new Map(rows.map(({ enrolled_by, step, id }) => [`${enrolled_by} ${step}`, id as string]));
  const at = (event: string, step: string) => arrived.get(idOf.get(`${event} ${step}`) ?? "");
  const effects = [...people.posted].flatMap(([event, postedAt]) => {
    if (!people.pings.has(event)) return [];
    const [hello, told, bye] = [at(event, "hello"), at(event, "told"), at(event, "bye")];
    return [
      { name: `hello of ${event}`, event, due: postedAt, done: hello },
      { name: `told of ${event}`, event, due: hello, done: told },
      { name: `bye of ${event}`, event, due: told === undefined ? undefined : told + PING_PAUSE_MS / scale, done: bye },
    ];
  });
  const waits = kills.map(({ who, at: killedAt }) => {
    // What was never done keeps every kill before it waiting: it isn't recovered from.
    const waitedFor = effects
      .map((effect) => ({ ...effect, ms: (effect.done ?? Number.POSITIVE_INFINITY) - killedAt }))
      .filter(({ due, ms }) => due !== undefined && due <= killedAt + DUE_WITHIN_MS && ms > 0)
      .sort((a, b) => b.ms - a.ms);
    const [last] = waitedFor;
    const answered = (people.pings.get(last?.event ?? "")?.answeredAt ?? Number.NaN) - killedAt;
    const slowest = last === undefined ? "" : `${last.name}, due ${(last.due ?? 0) - killedAt}, answered ${answered}`;
    return { who, count: waitedFor.length, ms: last?.ms ?? 0, slowest };
  });
  const over = (list: typeof waits): Recovery => {
    const sorted = [...list].sort((a, b) => a.ms - b.ms);
    const ms = sorted.map((one) => one.ms);
    const rank = (share: number) => ms[Math.ceil(share * ms.length) - 1] ?? 0;
    return {
      kills: list.length,
      waitedFor: list.reduce((sum, { count }) => sum + count, 0),
      p50: rank(0.5),
      p95: rank(0.95),
      longest: rank(1),
      slowest: sorted.at(-1)?.slowest ?? "",
    };
  };
  return Object.fromEntries([
    ...KILLED.map((who) => [who, over(waits.filter((one) => one.who === who))]),
    ["all", over(waits)],
  ]);
}

/** One line for each kind. */
export function recoveryTable(recovery: Readonly<Partial<Record<Killed | "all", Recovery>>>): readonly string[] {
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
  return Object.entries(recovery).map(
    ([who, { kills, waitedFor, p50, p95, longest, slowest }]) =>
      `${who}: ${kills} kills, ${waitedFor} messages waited for; until the last of them: p50 ${seconds(p50)}, p95 ${seconds(p95)}, longest ${seconds(longest)} (${slowest})`,
  );
}
