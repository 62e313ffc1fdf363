import { setTimeout as sleep } from "node:timers/promises";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PerformPorts } from "../../src/operations/perform-ports.js";
import { type Random, randomFrom, seedOr } from "../hostile/random.js";
import { type FenceStand, openFenceStand, type Point, type Send, stoppingAt, WIRE_MS } from "./support/fence-stand.js";
import { performOn } from "./support/stage.js";

const SEED = seedOr(2);
const ZOMBIES = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 40);
/** Over before the zombie wakes, where nothing was on the wire. */
const LEASE_MS = 800;

let stand: FenceStand;
beforeAll(async () => {
  stand = await openFenceStand({ claimers: 3 });
});
afterAll(() => stand.close());

/** One claimer that stands still at the point, and when it goes on. */
interface Freeze {
  readonly send: Send;
  readonly point: Point;
  /** `after`: the other claimer is done; `amid`: it has just come to the point; `alone`: there is none, but lease and wire are over; else after so many ms. */
  readonly wakes: "after" | "alone" | { readonly amid: Point } | { readonly afterMs: number };
}

const POINTS: readonly Point[] = ["looked", "claimed", "agreed", "wired", "gap", "answered", "written"];

test(`${ZOMBIES} claimers freeze past their leases and wake while others have taken over (seed ${SEED})`, async () => {
  const random = randomFrom(SEED);
  const sends = await stand.sends(Math.ceil(ZOMBIES / 2), Math.floor(ZOMBIES / 2));
  const freezes = sends.map((send) => freezeOf(send, random));
  const seen = { frozen: 0, stale: 0 };
  const queue = [...freezes];
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      for (let freeze = queue.shift(); freeze !== undefined; freeze = queue.shift()) await haunt(freeze, index, seen);
    }),
  );
  const { doubled, inGap, gaps, lost, open } = await judge(freezes);
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  console.log(
    `zombies, seed ${SEED}: ${seen.frozen} frozen and woken, ${doubled} doubled, ${lost} lost, ${seen.stale} stale writes refused, ${open} rows left open; ` +
      `${gaps} of them frozen between the last look and the first byte: ${inGap} doubled there; ${seconds} s`,
  );
  expect(seen.frozen).toBe(ZOMBIES);
  expect(seen.stale).toBeGreaterThan(ZOMBIES / 10);
  expect({ doubled, lost, open }).toEqual({ doubled: 0, lost: 0, open: 0 });
}, 1_800_000);

function freezeOf(send: Send, random: Random): Freeze {
  const wakes = random.pick<() => Freeze["wakes"]>([
    () => "after",
    () => "alone",
    () => ({ amid: random.pick<Point>(["claimed", "agreed", "wired", "answered"]) }),
    () => ({ afterMs: random.next() * 2 * WIRE_MS }),
  ])();
  return { send, point: random.pick(POINTS), wakes };
}

/** The zombie freezes, another claimer does its work, the zombie wakes; in the end every one has come to rest. */
async function haunt({ send, point, wakes }: Freeze, index: number, seen: Seen): Promise<void> {
  const [one, other] = [stand.claimers[index % 3], stand.claimers[(index + 1) % 3]] as [PerformPorts, PerformPorts];
  let wake = (): void => {};
  const isWoken = new Promise<void>((done) => void (wake = done));
  let freeze = (): void => {};
  const isFrozen = new Promise<void>((done) => void (freeze = done));
  const zombiePorts = counting(
    stoppingAt(withLease(one), point, () => {
      seen.frozen += 1;
      freeze();
      return isWoken;
    }),
    seen,
  );
  const zombie = outcomeOf(zombiePorts, send);
  await isFrozen;
  if (wakes === "alone") {
    await sleep(LEASE_MS + WIRE_MS);
    wake();
  } else if (wakes === "after") {
    await outcomeOf(withLease(other), send);
    wake();
  } else if ("amid" in wakes) {
    // It need not come to that point, if what the zombie did was enough.
    await outcomeOf(
      stoppingAt(withLease(other), wakes.amid, async () => {
        wake();
        await sleep(50);
      }),
      send,
    );
    wake();
  } else {
    const taken = outcomeOf(withLease(other), send);
    await sleep(wakes.afterMs);
    wake();
    await taken;
  }
  await zombie;
  await outcomeOf(withLease(other), send);
}

interface Seen {
  frozen: number;
  stale: number;
}

function withLease(ports: PerformPorts): PerformPorts {
  return { ...ports, settings: { ...ports.settings, leaseMs: LEASE_MS } };
}

/** Counts the writes that the ledger refused because the row is another's by now. */
function counting(ports: PerformPorts, seen: Seen): PerformPorts {
  const { ledger } = ports;
  const counted = async <T>(wrote: Promise<T>): Promise<T> => {
    const written = await wrote;
    if (!written) seen.stale += 1;
    return written;
  };
  return {
    ...ports,
    ledger: {
      ...ledger,
      wire: (...given) => counted(ledger.wire(...given)),
      unwire: (...given) => counted(ledger.unwire(...given)),
      settle: (...given) => counted(ledger.settle(...given)),
    },
  };
}

async function outcomeOf(ports: PerformPorts, { run, command }: Send): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (performance.now() < deadline) {
    const { outcomes, retry } = await performOn(ports, run, [command]);
    if (outcomes[command.key]) return;
    await sleep(Math.min(retry?.afterMs ?? 20, 200));
  }
  throw new Error(`no outcome of ${run}`);
}

/** From the servers' logs and by SQL. */
async function judge(freezes: readonly Freeze[]) {
  // What a zombie put on the wire last has arrived.
  await sleep(WIRE_MS);
  const sql = postgres(stand.stage.url, { max: 1, onnotice: () => {} });
  const [row] = await sql<
    { open: number }[]
  >`select count(*)::int as open from deliveries where status in ('pending', 'claimed', 'wire', 'retry')`;
  await sql.end();
  const arrived = new Map<string, number>();
  const count = (place: string) => arrived.set(place, (arrived.get(place) ?? 0) + 1);
  for (const { to } of stand.mailbox.messages()) count(to[0] ?? "");
  for (const { channelName } of stand.desk.posts()) count(channelName);
  const twice = freezes.filter(({ send }) => (arrived.get(send.place) ?? 0) > 1);
  return {
    doubled: twice.filter(({ point }) => point !== "gap").length,
    inGap: twice.filter(({ point }) => point === "gap").length,
    gaps: freezes.filter(({ point }) => point === "gap").length,
    lost: freezes.filter(({ send }) => !arrived.has(send.place)).length,
    open: row?.open ?? -1,
  };
}
