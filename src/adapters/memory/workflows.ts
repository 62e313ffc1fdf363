import type { RunEvent } from "../../engine/event.js";
import type { RunStart, Workflows } from "../../ports/workflows.js";

/** What a recording fake was asked, for tests. */
export interface RecordedWorkflows extends Workflows {
  /** By run id; a repeated start is counted, and changes nothing. */
  readonly started: ReadonlyMap<string, { readonly start: RunStart; readonly times: number }>;
  /** In the order they came. */
  readonly signals: readonly { readonly runId: string; readonly event: RunEvent }[];
  /** Makes the next calls of `verb` throw: the server is away. */
  failNext(verb: "start" | "signal", times: number): void;
  /** From now on the run is gone. */
  close(runId: string): void;
}

/** Workflows that only remember what was asked of them. */
export function recordedWorkflows(): RecordedWorkflows {
  const started = new Map<string, { start: RunStart; times: number }>();
  const signals: { runId: string; event: RunEvent }[] = [];
  const closed = new Set<string>();
  const failures = { start: 0, signal: 0 };
  const fail = (verb: "start" | "signal") => {
    if (failures[verb] === 0) return;
    failures[verb] -= 1;
    throw new Error(`recorded workflows: ${verb} fails as asked`);
  };
  return {
    started,
    signals,
    failNext(verb, times) {
      failures[verb] = times;
    },
    close: (runId) => void closed.add(runId),
    async start(start) {
      fail("start");
      const before = started.get(start.run.id);
      started.set(start.run.id, { start: before?.start ?? start, times: (before?.times ?? 0) + 1 });
      return undefined;
    },
    async signal(runId, event) {
      fail("signal");
      if (!started.has(runId) || closed.has(runId)) return false;
      signals.push({ runId, event });
      return true;
    },
    operate: async (runId) =>
      started.has(runId) && !closed.has(runId) ? { ok: true } : { ok: false, reason: "no such run is live" },
    state: async () => undefined,
    async begun(runId) {
      const begun = started.get(runId)?.start;
      return begun && { hash: begun.plan.hash, startedAt: begun.run.startedAt, row: begun.row ?? {} };
    },
    async *living() {
      for (const id of started.keys()) if (!closed.has(id)) yield id;
    },
  };
}
