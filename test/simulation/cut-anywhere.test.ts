import { expect, test } from "vitest";
import { walk } from "../../src/engine/walk.js";
import { type RunHost, simulate } from "../../src/simulation/simulate.js";
import { linesOf } from "../engine/rehearse.js";
import { randomCase, randomFrom } from "../support/random-plans.js";
import { settingFor } from "./random-setting.js";

const SEEDS = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 300);
const FIRST = Number(process.env["WAYPOST_SEED"] ?? 1);

/** The simulator's own clock, but each `perform` does only so many of its commands. */
function cutting(howMany: (commands: number) => number): RunHost {
  return {
    walk: (plan, state, world) =>
      walk(plan, state, {
        ...world,
        perform: (request) =>
          world.perform({ ...request, commands: request.commands.slice(0, howMany(request.commands.length)) }),
      }),
    reach: async (next) => next(),
  };
}

const VARIANTS: [string, (seed: number) => (commands: number) => number][] = [
  ["one command at a time", () => () => 1],
  ["two at a time", () => () => 2],
  [
    "any part of them, now and then none",
    (seed) => {
      const next = randomFrom(seed + 1_000_000);
      return (commands) => (next() < 0.1 ? 0 : 1 + Math.floor(next() * commands));
    },
  ],
];

/** Mails, tasks and replies included: what a call did that the run would not have asked for shows in what comes of it. */
test.each(VARIANTS)(
  `${SEEDS} random plans tell the same wherever their calls are cut: %s (seeds from ${FIRST})`,
  {
    timeout: 120_000,
  },
  async (_name, howMany) => {
    const differing: string[] = [];
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const one = randomCase(seed);
      const whole = await simulate(
        settingFor(one),
        one.scenario,
        cutting((commands) => commands),
      );
      const cut = await simulate(settingFor(one), one.scenario, cutting(howMany(seed)));
      const [a, b] = [whole, cut].map((runs) => runs.flatMap(({ run, entries }) => [run, ...linesOf(entries)]));
      const at = (a ?? []).findIndex((line, i) => line !== b?.[i]);
      if (at >= 0 || a?.length !== b?.length) differing.push(`seed ${seed}: ${a?.[at]} | ${b?.[at]}`);
    }
    expect(differing).toEqual([]);
  },
);
