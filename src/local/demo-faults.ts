import { setTimeout as sleep } from "node:timers/promises";

/** What a demo does to itself at an instant of its year. */
export interface Fault {
  readonly what: "worker" | "postgres" | "temporal";
  /** 0 at the beginning of the year, 1 at its end. */
  readonly share: number;
}

/** How often each of them is killed in a year. */
export type FaultCounts = Readonly<Partial<Record<Fault["what"], number>>>;

/** `--chaos`: what a bad year looks like. */
export const CHAOS: FaultCounts = { worker: 20, postgres: 2, temporal: 2 };

/**
 * So many faults in a year, in order: the same for the same seed. None in the first and last twentieth, where there is little to disturb.
 */
export function faultsOf(counts: FaultCounts, seed: number): Fault[] {
  const random = seeded(seed);
  return (["worker", "postgres", "temporal"] as const)
    .flatMap((what) => Array.from({ length: counts[what] ?? 0 }, (): Fault => ({ what, share: 0.05 + 0.9 * random() })))
    .sort((a, b) => a.share - b.share);
}

/** Does them at their time, real milliseconds from now on, one after the other; each is told to `say`. Ends early, quietly, with the signal. */
export async function disturb(
  faults: readonly Fault[],
  yearMs: number,
  kill: (what: Fault["what"]) => Promise<string>,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const began = performance.now();
  for (const { what, share } of faults) {
    await sleep(Math.max(0, share * yearMs - (performance.now() - began)), undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    say(await kill(what));
  }
}

/** Numbers of [0, 1), the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
