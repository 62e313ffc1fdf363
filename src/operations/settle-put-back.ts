import type { RunRow, RunStatus } from "../ports/runs.js";
import { RUNS_PAGE_MAX } from "../ports/runs.js";
import { StorePutBack } from "../ports/put-backs.js";
import type { Workflows } from "../ports/workflows.js";
import { restoreRun } from "./restore-run.js";
import { endRun } from "./effects/close.js";
import type { PerformPorts } from "./perform-ports.js";
import { sceneOf, sessionOf } from "./scene.js";

export interface SettlePorts extends PerformPorts {
  readonly workflows: Workflows;
}

export interface Settled {
  /** Runs that had ended, and that the store took for live. */
  readonly ended: number;
  /** Runs that live, and of which the store had forgotten something, or all. */
  readonly restored: number;
}

const LIVE: readonly RunStatus[] = ["starting", "running", "held", "parked", "exiting"];

/**
 * Once what was held is released: brings the store to where the runs stand. Those that Temporal has run to their end are ended, and the others are as
 * they say themselves (`restoreRun`): they would do that with their next stretch, but one that waits for something that the store has forgotten has no next.
 * Repeatable, by several at once; undefined: there is nothing to settle.
 */
export async function settlePutBack(ports: SettlePorts): Promise<Settled | undefined> {
  const { store, putBacks, workflows } = ports;
  const latest = await store.read(async (tx) => putBacks?.latest(tx));
  if (putBacks === undefined || latest === undefined || latest.isHeld || latest.putBack.isSettled) return undefined;

  const living = new Set<string>();
  for await (const id of workflows.living()) living.add(id);

  let ended = 0;
  await each(await liveRows(ports), async (row) => {
    if (!living.has(row.id) && (await endIfOver(ports, row))) ended += 1;
  });
  let restored = 0;
  await each([...living], async (id) => {
    if (await restoreIfBehind(ports, id)) restored += 1;
  });
  await store.read((tx) => putBacks.settled(tx, latest.putBack.id));
  return { ended, restored };
}

/** Temporal has run it to its end, and the store doesn't know. */
async function endIfOver(ports: SettlePorts, row: RunRow): Promise<boolean> {
  const { store, workflows, clock } = ports;
  const outcome = (await workflows.begun(row.id))?.outcome;
  const plan = outcome === undefined ? undefined : await store.read((tx) => store.playbooks.plan(tx, row.hash));
  if (outcome === undefined || plan === undefined) return false;
  const scene = sceneOf(sessionOf(ports, row, plan, {}), clock.now());
  await endRun(scene, outcome);
  return true;
}

async function restoreIfBehind(ports: SettlePorts, id: string): Promise<boolean> {
  const { store, workflows } = ports;
  const state = await workflows.state(id);
  if (state === undefined || state.phase === "ended") return false;
  const row = await store.read((tx) => store.runs.get(tx, id));
  if (row !== undefined && row.startedAt === state.run.startedAt && row.turns >= state.turns) return false;
  try {
    await restoreRun(ports, state, row);
    return true;
  } catch (error) {
    if (!(error instanceof StorePutBack)) throw error;
    // It tries by itself, too, with its next stretch.
    ports.onFault?.(`the store is behind run ${id}`, error);
    return false;
  }
}

/** Runs looked at side by side: most of the time is waiting for Temporal. */
const AT_ONCE = 8;

async function each<T>(list: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const left = list.values();
  const take = async () => {
    for (const one of left) await work(one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
}

async function liveRows({ store }: SettlePorts): Promise<RunRow[]> {
  const rows: RunRow[] = [];
  for (let after: string | undefined; ; ) {
    const page: readonly RunRow[] = await store.read((tx) =>
      store.runs.list(tx, { status: LIVE, limit: RUNS_PAGE_MAX, ...(after === undefined ? {} : { after }) }),
    );
    rows.push(...page);
    after = page.at(-1)?.id;
    if (page.length < RUNS_PAGE_MAX) return rows;
  }
}
