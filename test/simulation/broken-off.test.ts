import { expect, test } from "vitest";
import type { Plan } from "../../src/engine/plan.js";
import { walk } from "../../src/engine/walk.js";
import { type RunHost, simulate } from "../../src/simulation/simulate.js";
import { linesOf } from "../engine/rehearse.js";
import { randomCase, randomFrom } from "../support/random-plans.js";
import { settingFor } from "./random-setting.js";

const SEEDS = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 300);
const FIRST = Number(process.env["WAYPOST_SEED"] ?? 1);

class Lost extends Error {}

/** The simulator's own clock, but one command in five is the last that its worker did: what it did stays done, and the stretch is walked again from its beginning. */
function breaking(seed: number): RunHost {
  const next = randomFrom(seed + 2_000_000);
  return {
    walk: (plan, state, driver) =>
      walk(plan, state, {
        ...driver,
        async perform(request) {
          for (;;) {
            try {
              return await driver.perform(request);
            } catch (error) {
              if (!(error instanceof Lost)) throw error;
            }
          }
        },
      }),
    between: (world) => ({
      ...world,
      async perform(command, asOf, status) {
        const answer = await world.perform(command, asOf, status);
        if (answer.kind === "outcome" && next() < 0.2) throw new Lost();
        return answer;
      },
    }),
    reach: async (next) => next(),
  };
}

/** A plan whose runs change facts that they may have decided by. */
function setsFacts({ steps }: Plan): boolean {
  return JSON.stringify(steps).includes('"kind":"set"');
}

test(`random plans tell the same wherever their worker dies in the middle of a stretch (of ${SEEDS} seeds from ${FIRST})`, {
  timeout: 120_000,
}, async () => {
  const differing = { others: [] as string[], setting: [] as string[] };
  const count = { others: 0, setting: 0 };
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const one = randomCase(seed);
    const kind = setsFacts(one.plan) ? "setting" : "others";
    count[kind] += 1;
    const whole = await simulate(settingFor(one), one.scenario);
    const broken = await simulate(settingFor(one), one.scenario, breaking(seed));
    const [a, b] = [whole, broken].map((runs) => runs.flatMap(({ run, entries }) => [run, ...linesOf(entries)]));
    const at = (a ?? []).findIndex((line, i) => line !== b?.[i]);
    if (at >= 0 || a?.length !== b?.length) differing[kind].push(`seed ${seed}: ${a?.[at]} | ${b?.[at]}`);
  }
  console.log(
    `differ: ${differing.others.length} of ${count.others}; with a set ${differing.setting.length} of ${count.setting}`,
  );
  for (const line of [...differing.others, ...differing.setting]) console.log(line);
  expect(count.others).toBeGreaterThan(SEEDS / 10);
  expect(count.setting).toBeGreaterThan(SEEDS / 10);
  expect(differing).toEqual({ others: [], setting: [] });
});
