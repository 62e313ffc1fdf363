import { setTimeout as sleep } from "node:timers/promises";

/** What a demo does to itself at an instant of its year. */
export interface Fault {
  readonly what: "worker";
  /** 0 at the beginning of the year, 1 at its end. */
  readonly share: number;
}

/**
 * So many faults in a year, in order: the same for the same seed. None in the first and last twentieth, where there is little to disturb.
 */
export function faultsOf(kills: number, seed: number): Fault[] {
  const random = seeded(seed);
  return Array.from({ length: kills }, (): Fault => ({ what: "worker", share: 0.05 + 0.9 * random() })).sort(
    (a, b) => a.share - b.share,
  );
}

/** Does them at their time, real milliseconds from now on; each is told to `say`. Ends early, quietly, with the signal. */
export async function disturb(
  faults: readonly Fault[],
  yearMs: number,
  kill: (what: Fault["what"]) => string,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const began = performance.now();
  for (const { what, share } of faults) {
    await sleep(Math.max(0, share * yearMs - (performance.now() - began)), undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    say(kill(what));
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
