import { inParallel } from "../../src/operations/in-parallel.js";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../../src/local/free-port.js";
import { createToken } from "../../src/operations/tokens.js";
import { figure, type Figure, median, percentile, resultOf, type SuiteResult } from "../figures.js";
import type { ReferenceInput } from "../reference/workflows.js";
import { addressOf, enrolAll, referenceQueue, type Stand, until } from "../stand.js";

/** How something is waked and when its effect is seen: by account. */
interface Side {
  readonly name: "waypost" | "bare";
  /** Makes so many that wait; returns once all of them do. */
  prepare(count: number): Promise<readonly string[]>;
  /** Resolves when it was accepted. */
  wake(account: string): Promise<void>;
}

/** At one event a second, for so long a round. */
const SLOW_SECONDS = 60;
/** At a share of a sustained rate, for so long a round. */
const FAST_SECONDS = 8;
/** Events sent as fast as they are accepted, to find the sustained rate. */
const BURST = 300;
const SENDERS = 16;

/**
 * From an event accepted over HTTP to the waiting run's next effect, beside a bare Temporal signal whose workflow runs one local activity: at one
 * a second, at 20 % of the rate that the bare one sustains, and at 70 % of what Waypost sustains.
 */
export async function wake(stand: Stand, { rounds }: { readonly rounds: number }): Promise<SuiteResult> {
  const seen = new Map<string, (at: number) => void>();
  stand.sink.onMessage = (recipient, at) => seen.get(recipient)?.(at);
  const port = await freePort();
  stand.server(port);
  stand.worker();
  stand.reference("local");
  const sides = { waypost: await waypostSide(stand, port), bare: bareSide(stand) };
  for (const side of [sides.waypost, sides.bare]) await burst(stand, side, seen, 100);

  const slow: Latencies = { waypost: [], bare: [] };
  const light: Latencies = { waypost: [], bare: [] };
  const heavy: Latencies = { waypost: [], bare: [] };
  const sustained: Record<Side["name"], number[]> = { waypost: [], bare: [] };
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? [sides.waypost, sides.bare] : [sides.bare, sides.waypost];
    for (const side of order) slow[side.name].push(await paced(side, seen, 1, SLOW_SECONDS));
    for (const side of order) sustained[side.name].push(await burst(stand, side, seen, BURST));
    const bareRate = sustained.bare.at(-1) as number;
    for (const side of order) light[side.name].push(await paced(side, seen, bareRate * 0.2, FAST_SECONDS));
    const ourRate = sustained.waypost.at(-1) as number;
    for (const side of order) heavy[side.name].push(await paced(side, seen, ourRate * 0.7, FAST_SECONDS));
    const said = (latencies: readonly number[] = []) =>
      [0.5, 0.95].map((share) => percentile(latencies, share).toFixed(0)).join(", ");
    const p95s = [slow, light, heavy].map(
      ({ waypost, bare }) => `${said(waypost.at(-1))} beside ${said(bare.at(-1))} ms`,
    );
    stand.log(
      `round ${round + 1}: sustained ${ourRate.toFixed(0)}/s, bare ${bareRate.toFixed(0)}/s; p50, p95 ${p95s.join("; ")}`,
    );
  }
  return resultOf("wake", [
    ...latencyFigures("one event a second", slow),
    ...latencyFigures("20 % of the bare rate", light),
    ...latencyFigures("70 % of Waypost's own rate", heavy),
    figure("sustained events a second", median(sustained.waypost), "/s", { reference: median(sustained.bare) }),
    figure(
      "sustained rate, ratio to the bare one",
      median(sustained.waypost.map((rate, round) => rate / (sustained.bare[round] ?? Number.NaN))),
      "×",
      { target: ">= 0.5" },
    ),
  ]);
}

/** Milliseconds of each event, round by round. */
type Latencies = Record<Side["name"], number[][]>;

const p95Of = (latencies: readonly number[] = []) => percentile(latencies, 0.95);

/** Each figure is the median of the rounds, and so is the ratio: what slows the machine down in one round slows both sides down. */
function latencyFigures(name: string, { waypost, bare }: Latencies): Figure[] {
  const middle = (rounds: readonly number[][], share: number) =>
    median(rounds.map((latencies) => percentile(latencies, share)));
  const ratios = waypost.map((latencies, round) => p95Of(latencies) / p95Of(bare[round]));
  return [
    figure(`${name}: p50`, middle(waypost, 0.5), "ms", { reference: middle(bare, 0.5) }),
    figure(`${name}: p95`, middle(waypost, 0.95), "ms", { reference: middle(bare, 0.95) }),
    figure(`${name}: p95, ratio to the bare one`, median(ratios), "×", { target: "<= 3" }),
  ];
}

/** Wakes one after the other at the rate; milliseconds from accepted to the effect, of each. */
async function paced(
  side: Side,
  seen: Map<string, (at: number) => void>,
  perSecond: number,
  seconds: number,
): Promise<number[]> {
  const accounts = await side.prepare(Math.max(1, Math.round(perSecond * seconds)));
  const startedAt = performance.now();
  return Promise.all(
    accounts.map(async (account, index) => {
      await sleep(startedAt + (index * 1_000) / perSecond - performance.now());
      return wakeOne(side, seen, account);
    }),
  );
}

async function wakeOne(side: Side, seen: Map<string, (at: number) => void>, account: string): Promise<number> {
  const address = addressOf(account);
  const came = new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${side.name}: nothing came for ${account}`)), 60_000);
    seen.set(address, (at) => {
      clearTimeout(timer);
      resolve(at);
    });
  });
  came.catch(() => {});
  await side.wake(account);
  const acceptedAt = performance.now();
  const at = await came;
  seen.delete(address);
  // The effect may be seen before the answer to the poster is.
  return Math.max(0, at - acceptedAt);
}

/** Events a second, from the first that is sent to the last effect. */
async function burst(
  stand: Stand,
  side: Side,
  seen: Map<string, (at: number) => void>,
  count: number,
): Promise<number> {
  const accounts = await side.prepare(count);
  const before = stand.sink.count();
  seen.clear();
  const startedAt = performance.now();
  await inParallel(accounts, SENDERS, (account) => side.wake(account));
  const hasAll = () => stand.sink.count() >= before + count;
  await until(`${count} effects of ${side.name}`, hasAll, { everyMs: 5, limitMs: 120_000, signal: stand.signal });
  return count / ((performance.now() - startedAt) / 1_000);
}

async function waypostSide(stand: Stand, port: number): Promise<Side> {
  const { token } = await createToken(stand.wired, { name: "bench", scopes: ["events:write"] }, "bench");
  const url = `http://127.0.0.1:${port}`;
  const isUp = () =>
    fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  await until("the server", isUp, { limitMs: 60_000, signal: stand.signal });
  const { wired } = stand;
  return {
    name: "waypost",
    async prepare(count) {
      const accounts = await stand.accounts(count);
      const runs = new Set(await enrolAll(stand, "bench-wake", accounts));
      const isWaiting = async () => {
        const [row] = await wired.database.client`
          select count(*)::int as n from runs where id in ${wired.database.client([...runs])} and 'booked' = any(position)`;
        return row?.["n"] === runs.size;
      };
      await until(`${count} waiting runs`, isWaiting, { everyMs: 100, signal: stand.signal });
      // What enrolling left to do is no part of waking.
      await sleep(500);
      return accounts;
    },
    async wake(account) {
      const response = await fetch(`${url}/v1/events`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify({
          id: `booked-${account}`,
          name: "meeting.booked",
          account,
          payload: { kind: "kickoff" },
        }),
      });
      const text = await response.text();
      if (response.status !== 202) throw new Error(`POST /v1/events: ${response.status} ${text}`);
    },
  };
}

function bareSide(stand: Stand): Side {
  const { temporal } = stand.wired;
  return {
    name: "bare",
    async prepare(count) {
      const accounts = await stand.accounts(count);
      await inParallel(accounts, 8, async (account) => {
        const input: ReferenceInput = { kind: "local", to: addressOf(account), arr: 1_000, steps: [] };
        await temporal.workflow.start("waiter", {
          workflowId: `waiter/${account}`,
          taskQueue: referenceQueue("local"),
          args: [input],
        });
      });
      await sleep(500);
      return accounts;
    },
    async wake(account) {
      await temporal.workflow.getHandle(`waiter/${account}`).signal("go");
    },
  };
}
