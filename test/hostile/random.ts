/** Chance that a seed repeats: every fuzz test prints its seed, and WAYPOST_SEED gives it back. */
export interface Random {
  /** From 0 up to, not including, 1. */
  next(): number;
  /** A whole number from 0 up to, not including, `below`. */
  below(below: number): number;
  pick<T>(from: readonly T[]): T;
  chance(probability: number): boolean;
}

/** Mulberry32; source: Tommy Ettinger, public domain. */
export function randomFrom(seed: number): Random {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    next,
    below,
    pick: (from) => from[below(from.length)] as never,
    chance: (probability) => next() < probability,
  };
}

/** The seed of the command line, else the fixed one of `npm test`. */
export function seedOr(fixed: number): number {
  return Number(process.env["WAYPOST_SEED"] ?? fixed);
}

/** How many of a thing: `WAYPOST_FUZZ` by command, else what `npm test` has time for. */
export function countOr(usual: number, more = 1): number {
  const asked = process.env["WAYPOST_FUZZ"];
  return asked === undefined ? usual : Math.round(Number(asked) * more);
}
