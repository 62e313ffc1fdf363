import { expect, test } from "vitest";
import { simulate } from "../../src/simulation/simulate.js";
import { policy } from "../engine/plans.js";
import { linesOf } from "../engine/rehearse.js";
import { settingFor } from "../simulation/random-setting.js";
import { RANDOM_RUN, randomCase } from "../support/random-plans.js";
import { naiveTimeline } from "./naive-model.js";
import { type Case, smallest, textOf } from "./smallest.js";

const SEEDS = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 1_000);
const FIRST = Number(process.env["WAYPOST_SEED"] ?? 1);

async function both({ plan, scenario }: Case): Promise<{ simulated: string[]; naive: string[] }> {
  const [run] = await simulate(settingFor({ seed: 0, plan, scenario }), scenario);
  let naive: string[];
  try {
    naive = naiveTimeline(plan, scenario, policy, RANDOM_RUN);
  } catch (error) {
    naive = [String(error)];
  }
  return { simulated: linesOf(run?.entries ?? []), naive };
}

async function differs(one: Case): Promise<boolean> {
  const { simulated, naive } = await both(one);
  return simulated.join("\n") !== naive.join("\n");
}

test(`the simulator and the naive model tell the same of ${SEEDS} random playbooks (seeds from ${FIRST})`, {
  timeout: 60_000 + SEEDS * 50,
}, async () => {
  const began = Date.now();
  const differing: number[] = [];
  let lines = 0;
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const { simulated, naive } = await both(randomCase(seed));
    lines += simulated.length;
    if (simulated.join("\n") !== naive.join("\n")) differing.push(seed);
  }
  console.log(
    `naive model: ${SEEDS} random playbooks, ${lines} lines, ${differing.length} differ, ${Math.round((Date.now() - began) / 100) / 10} s`,
  );
  if (differing.length > 0) console.log(`seeds that differ: ${differing.slice(0, 60).join(" ")}`);
  for (const seed of differing.slice(0, Number(process.env["WAYPOST_SHOW"] ?? 1))) {
    const small = await smallest(randomCase(seed), (some) => Promise.all(some.map(differs)));
    const { simulated, naive } = await both(small);
    const at = simulated.findIndex((line, i) => line !== naive[i]);
    console.log(
      `seed ${seed}, the smallest playbook and story that differ:\n${textOf(small)}\nsimulated:\n${simulated.join("\n")}\nnaive:\n${naive.join("\n")}\nfirst difference: ${simulated[at < 0 ? simulated.length : at]} | ${naive[at < 0 ? simulated.length : at]}`,
    );
  }
  expect(differing).toEqual([]);
});
