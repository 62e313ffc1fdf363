import type { TimelineEntry } from "../engine/timeline.js";
import { RUNS_PAGE_MAX, type RunFilter, type RunRow } from "../ports/runs.js";
import type { Store } from "../ports/store.js";

export interface RunsPage {
  readonly runs: readonly RunRow[];
  /** Pass it as `after` for the next page; absent on the last. */
  readonly next?: string;
}

/** Runs that fit the filter, newest start first, a page at a time (default 50, at most `RUNS_PAGE_MAX`). */
export async function listRuns(store: Store, filter: RunFilter = {}): Promise<RunsPage> {
  const limit = Math.min(Math.max(1, filter.limit ?? 50), RUNS_PAGE_MAX);
  const runs = await store.read((tx) => store.runs.list(tx, { ...filter, limit }));
  const last = runs.at(-1);
  return { runs, ...(runs.length === limit && last !== undefined ? { next: last.id } : {}) };
}

export interface RunDetail {
  readonly run: RunRow;
  /** The playbook's title, and the number of the version that the run is pinned to. */
  readonly title: string;
  readonly version?: number;
  readonly timeline: readonly TimelineEntry[];
}

/** One run with its timeline, from behind `afterSeq` (default: all of it); undefined if there is no such run. */
export async function readRun(store: Store, id: string, afterSeq = 0): Promise<RunDetail | undefined> {
  return store.read(async (tx) => {
    const run = await store.runs.get(tx, id);
    if (run === undefined) return undefined;
    const plan = await store.playbooks.plan(tx, run.hash);
    const versions = await store.playbooks.versions(tx, run.playbook);
    const version = versions.find((candidate) => candidate.hash === run.hash)?.number;
    return {
      run,
      title: plan?.title ?? run.playbook,
      ...(version === undefined ? {} : { version }),
      timeline: await store.runs.timeline(tx, id, afterSeq),
    };
  });
}
