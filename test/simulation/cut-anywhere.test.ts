import { expect, test } from "vitest";
import { walk } from "../../src/engine/walk.js";
import { type RunHost, simulate } from "../../src/simulation/simulate.js";
import { linesOf } from "../engine/rehearse.js";
import { randomCase, randomFrom } from "../support/random-plans.js";
import { settingFor } from "./random-setting.js";

const SEEDS = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 300);
const FIRST = Number(process.env["WAYPOST_SEED"] ?? 1);

/** The simulator's own clock, but stretches are cut. */
function cutting(mayGoOn: () => boolean): RunHost {
  return { walk, between: (world) => ({ ...world, mayGoOn }), reach: async (next) => next() };
}

const VARIANTS: [string, (seed: number) => () => boolean][] = [
  ["one command at a time", () => () => false],
  [
    "two at a time",
    () => {
      let count = 0;
      return () => {
        count += 1;
        return count % 2 === 1;
      };
    },
  ],
  [
    "anywhere",
    (seed) => {
      const next = randomFrom(seed + 1_000_000);
      return () => next() < 0.5;
    },
  ],
];

/** Mails, tasks and replies included: what a call did that the run would not have asked for shows in what comes of it. */
test.each(VARIANTS)(
  `${SEEDS} random plans tell the same wherever their stretches are cut: %s (seeds from ${FIRST})`,
  {
    timeout: 120_000,
  },
  async (_name, mayGoOn) => {
    const differing: string[] = [];
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const one = randomCase(seed);
      const whole = await simulate(settingFor(one), one.scenario);
      const cut = await simulate(settingFor(one), one.scenario, cutting(mayGoOn(seed)));
      const [a, b] = [whole, cut].map((runs) => runs.flatMap(({ run, entries }) => [run, ...linesOf(entries)]));
      const at = (a ?? []).findIndex((line, i) => line !== b?.[i]);
      if (at >= 0 || a?.length !== b?.length) differing.push(`seed ${seed}: ${a?.[at]} | ${b?.[at]}`);
    }
    expect(differing).toEqual([]);
  },
);
