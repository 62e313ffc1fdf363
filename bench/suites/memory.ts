import { inParallel } from "../../src/operations/in-parallel.js";
import { setTimeout as sleep } from "node:timers/promises";
import { figure, median, resultOf, type SuiteResult } from "../figures.js";
import { usageOf } from "../processes.js";
import { besideBench, enrolAll, type ReferenceKind, referenceQueue, type Stand, until, addressOf } from "../stand.js";
import type { ReferenceInput } from "../reference/workflows.js";

/** Runs before the first look, so that code, caches and pools are there; then so many more. */
const FIRST = 400;
const SETTLE_MS = 4_000;
/** Smaller growth per run than this is no figure: pages that the allocators keep. */
const NOISE_KIB = 8;

const COLLECTING = {
  NODE_OPTIONS: `--import ${besideBench("collect-garbage.js")}`,
  // glibc gives each thread arenas of its own, which it seldom gives back.
  MALLOC_ARENA_MAX: "2",
};

/** What a worker holds: idle, per run in its cache, and per waiting run that is no longer in it; beside a worker of hand-written workflows that wait for a signal. */
export async function memory(
  stand: Stand,
  { rounds, runs = 500 }: { readonly rounds: number; readonly runs?: number | undefined },
): Promise<SuiteResult> {
  const idle: number[] = [];
  const cached: number[] = [];
  const evicted: number[] = [];
  const reference: { idle: number; cached: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    const ours = async () => {
      const kept = await measure(stand, runs, "10000");
      idle.push(kept.idleMiB);
      cached.push(kept.perRunKiB);
      evicted.push((await measure(stand, runs, "10")).perRunKiB);
    };
    const theirs = async () => {
      const { idleMiB, perRunKiB } = await measureReference(stand, "local", runs);
      reference.push({ idle: idleMiB, cached: perRunKiB });
    };
    for (const side of round % 2 === 0 ? [ours, theirs] : [theirs, ours]) await side();
    stand.log(
      `round ${round + 1}: idle ${idle.at(-1)?.toFixed(0)} MiB, cached ${cached.at(-1)?.toFixed(0)} KiB, evicted ${evicted.at(-1)?.toFixed(0)} KiB`,
    );
  }
  return resultOf("memory", [
    figure("idle worker", median(idle), "MiB", { reference: median(reference.map((one) => one.idle)) }),
    figure("per run in the cache", median(cached), "KiB", { reference: median(reference.map((one) => one.cached)) }),
    figure("per waiting run that was evicted", median(evicted), "KiB", { target: `<= ${NOISE_KIB}` }),
  ]);
}

async function measure(stand: Stand, runs: number, maxCached: string): Promise<{ idleMiB: number; perRunKiB: number }> {
  const worker = stand.worker({ WAYPOST_MAX_CACHED_RUNS: maxCached, ...COLLECTING });
  try {
    return await growth(worker.pid() as number, runs, async (count) => {
      const accounts = await stand.accounts(count);
      const ids = await enrolAll(stand, "bench-wake", accounts);
      const { client } = stand.wired.database;
      const isWaiting = async () => {
        const [row] = await client`
          select count(*)::int as n from runs where id in ${client([...ids])} and 'booked' = any(position)`;
        return row?.["n"] === ids.length;
      };
      await until(`${count} waiting runs`, isWaiting, { everyMs: 200, limitMs: 300_000, signal: stand.signal });
    });
  } finally {
    await worker.stop();
  }
}

async function measureReference(stand: Stand, kind: ReferenceKind, runs: number) {
  const worker = stand.reference(kind, COLLECTING);
  const { temporal } = stand.wired;
  try {
    return await growth(worker.pid() as number, runs, async (count) => {
      const ids = await inParallel(await stand.accounts(count), 8, async (account) => {
        const input: ReferenceInput = { kind, to: addressOf(account), arr: 1_000, steps: [] };
        const workflowId = `memory/${kind}/${account}`;
        await temporal.workflow.start("waiter", { workflowId, taskQueue: referenceQueue(kind), args: [input] });
        return workflowId;
      });
      // Begun once its first workflow task is in the history.
      const hasBegun = async () => {
        const { raw } = await temporal.workflow.getHandle(ids.at(-1) as string).describe();
        return Number(raw.workflowExecutionInfo?.historyLength) >= 4;
      };
      await until(`${count} waiting workflows`, hasBegun, { everyMs: 200, limitMs: 300_000, signal: stand.signal });
    });
  } finally {
    await worker.stop();
  }
}

/** Memory when nothing has been done, and how much it grows per run once some have been. */
async function growth(
  pid: number,
  runs: number,
  start: (count: number) => Promise<void>,
): Promise<{ idleMiB: number; perRunKiB: number }> {
  await sleep(SETTLE_MS * 2);
  const idleMiB = usageOf(pid).residentMiB;
  await start(FIRST);
  await sleep(SETTLE_MS);
  const before = usageOf(pid).residentMiB;
  await start(runs);
  await sleep(SETTLE_MS);
  return { idleMiB, perRunKiB: ((usageOf(pid).residentMiB - before) * 1_024) / runs };
}
