import type { TimelineEntry } from "../../src/engine/timeline.js";
import type { Instant } from "../../src/values/instant.js";

/** Lines of each run, by its id. */
export type Timelines = ReadonlyMap<string, readonly string[]>;

/** The entries up to the instant as lines: what both sides must agree on to the letter. */
export function linesOf(entries: readonly TimelineEntry[], until: Instant): string[] {
  return entries.filter((entry) => entry.at <= until && !isBareTrigger(entry)).map(lineOf);
}

/**
 * A further trigger that merges nothing changes nothing. One that fell due is brought by the poller, in real time: which lines of the run it
 * comes between is not the playbook's.
 */
function isBareTrigger({ kind, detail = {} }: TimelineEntry): boolean {
  if (kind === "run.triggered_again") return Object.keys(detail).length === 0;
  return kind === "event.late" && detail["event"] === "run.triggered_again";
}

function lineOf(entry: TimelineEntry): string {
  const place = [entry.step, entry.key].filter((part) => part !== undefined).join(" ");
  const rest = [shown(entry.detail), shown(entry.facts, "from ")].filter((part) => part !== "").join(" ");
  return `${new Date(entry.at).toISOString()} ${entry.kind} ${place} ${rest}`.trimEnd();
}

function shown(values: TimelineEntry["detail"], before = ""): string {
  // Who the API token speaks for where a task has no assignee: the simulator knows no tokens.
  const entries = Object.entries(values ?? {})
    .filter(([name, value]) => name !== "completed_by" || value !== "token:test")
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? "" : `${before}${JSON.stringify(Object.fromEntries(entries))}`;
}

/** The first difference, with the lines around it side by side; undefined where they agree. */
export function difference(simulated: Timelines, real: Timelines): string | undefined {
  const runs = [...new Set([...simulated.keys(), ...real.keys()])].sort();
  for (const run of runs) {
    const a = simulated.get(run);
    const b = real.get(run);
    if (a === undefined) return `${run}: only in the real system\n${(b ?? []).slice(0, 40).join("\n")}`;
    if (b === undefined) return `${run}: only in the simulation\n${a.slice(0, 40).join("\n")}`;
    const at = Array.from({ length: Math.max(a.length, b.length) }, (_, i) => i).find((i) => a[i] !== b[i]);
    if (at === undefined) continue;
    const around = Array.from({ length: 8 }, (_, i) => at - 3 + i).filter((i) => i >= 0);
    const lines = around.flatMap((i) =>
      a[i] === b[i] ? (a[i] === undefined ? [] : [`      ${a[i]}`]) : [`  sim ${a[i] ?? "—"}`, ` real ${b[i] ?? "—"}`],
    );
    return [`${run}: line ${at + 1}`, ...lines].join("\n");
  }
  return undefined;
}
