import { afterAll, beforeAll, expect, inject, test } from "vitest";
import type { Plan } from "../../src/engine/plan.js";
import type { Scenario } from "../../src/simulation/records.js";
import { type SimulatedTimeline, simulate, type SimulationSetting } from "../../src/simulation/simulate.js";
import { DAY_MS, type Instant } from "../../src/values/instant.js";
import { settingOf } from "../engine/plans.js";
import { linesOf } from "../engine/rehearse.js";
import { type Case, smallest, textOf } from "../naive/smallest.js";
import { SHIPPED_SCENARIOS } from "../scenarios/shipped.js";
import { RANDOM_FIELDS, randomCase } from "../support/random-plans.js";
import { type TemporalSimulator, temporalSimulator } from "../support/temporal-simulation.js";
import { shippedSetting } from "../support/workspace.js";

const SEEDS = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 60);
const FIRST = Number(process.env["WAYPOST_SEED"] ?? 1);

let temporal: TemporalSimulator;
beforeAll(async () => {
  const address = inject("temporalAddress");
  if (address === undefined) throw new Error("this test needs a Temporal server");
  temporal = await temporalSimulator(address);
});
afterAll(() => temporal?.close());

/** The lines up to an instant: what a scenario's end cuts off is not compared. */
const told = (runs: readonly SimulatedTimeline[], until: Instant): string[] =>
  runs.flatMap(({ run, entries }) => [run, ...linesOf(entries.filter(({ at }) => at <= until))]);

/** How many lines are told; and both timelines, if they differ. The real one is cut off five days after the last line of the rehearsed one. */
async function difference(
  setting: SimulationSetting,
  scenario: Scenario,
  dayMs: number,
): Promise<{ lines: number; problem?: string }> {
  const expected = await simulate(setting, scenario);
  const last = Math.max(...expected.flatMap(({ entries }) => entries.map(({ at }) => at)));
  const actual = await temporal.simulate(
    setting,
    { ...scenario, until: Math.min(scenario.until, last + 5 * DAY_MS) },
    dayMs,
  );
  const [a, b] = [told(expected, scenario.until), told(actual, scenario.until)];
  const at = Array.from({ length: Math.max(a.length, b.length) }, (_, i) => i).find((i) => a[i] !== b[i]);
  if (at === undefined) return { lines: a.length };
  return {
    lines: a.length,
    problem: `${scenario.name}\nsimulated:\n${a.join("\n")}\non Temporal:\n${b.join("\n")}\nfirst difference: ${a[at]} | ${b[at]}`,
  };
}

/** How many walk at once: their real clocks go on, whether the machine keeps up or not. */
const AT_ONCE = 60;
/** How long a disagreement is made smaller. */
const SHRINK_MS = 120_000;

async function inBatches(
  cases: readonly { setting: SimulationSetting; scenario: Scenario }[],
  dayMs: number,
): Promise<{ lines: number; problem?: string }[]> {
  const found: { lines: number; problem?: string }[] = [];
  for (let i = 0; i < cases.length; i += AT_ONCE)
    found.push(
      ...(await Promise.all(
        cases.slice(i, i + AT_ONCE).map(({ setting, scenario }) => difference(setting, scenario, dayMs)),
      )),
    );
  return found;
}

/**
 * Sixty at once. A run that the machine made late for its own clock may do days in one workflow task; if the server then rejects its completion
 * because a signal came in between, the task is done again and meets its own effects. So what differs must differ at a slower pace too.
 */
async function compare(
  what: string,
  cases: readonly { setting: SimulationSetting; scenario: Scenario }[],
  dayMs: number,
  settingFor?: (plan: Plan) => SimulationSetting,
): Promise<void> {
  const began = Date.now();
  const first = await inBatches(cases, dayMs);
  const doubtful = cases.filter((_, i) => first[i]?.problem !== undefined);
  const again = await inBatches(doubtful, 3 * dayMs);
  const problems = again.flatMap(({ problem }) => problem ?? []);
  const lines = first.reduce((sum, one) => sum + one.lines, 0);
  console.log(
    `on Temporal: ${cases.length} ${what}, ${lines} lines, ${doubtful.length} walked twice, ${problems.length} differ, ${Math.round((Date.now() - began) / 1000)} s`,
  );
  const worst = doubtful[again.findIndex(({ problem }) => problem !== undefined)];
  const [plan] = worst?.setting.plans ?? [];
  if (settingFor !== undefined && worst !== undefined && plan !== undefined) {
    const walked = ({ plan, scenario }: Case) => difference(settingFor(plan), scenario, 3 * dayMs);
    const small = await smallest(
      { plan, scenario: worst.scenario },
      async (some) => (await Promise.all(some.map(walked))).map(({ problem }) => problem !== undefined),
      { atOnce: AT_ONCE, until: Date.now() + SHRINK_MS },
    );
    problems.unshift(
      `the smallest playbook and story that differ:\n${textOf(small)}\n${(await walked(small)).problem ?? "(not any more)"}`,
    );
  }
  expect(problems.join("\n\n")).toBe("");
}

test(`${SEEDS} random plans walk on Temporal as they are simulated (seeds from ${FIRST})`, {
  timeout: 120_000 + SHRINK_MS + SEEDS * 1_500,
}, async () => {
  const seeds = Array.from({ length: SEEDS }, (_, i) => FIRST + i);
  const settingFor = (plan: Plan): SimulationSetting => {
    const setting = settingOf(plan);
    return { ...setting, model: { ...setting.model, account: RANDOM_FIELDS } };
  };
  const cases = seeds.map((seed) => {
    const { plan, scenario } = randomCase(seed);
    return { setting: settingFor(plan), scenario };
  });
  await compare("random runs", cases, 150, settingFor);
});

test(`${SHIPPED_SCENARIOS.length} stories of the shipped playbooks, too`, { timeout: 180_000 }, async () => {
  const setting = shippedSetting();
  const cases = SHIPPED_SCENARIOS.map(({ playbook, scenario }) => {
    // Only begun by hand: how triggers and runs interleave is the store's matter, and tested there.
    const plans = setting.plans
      .filter((plan) => plan.playbook === playbook)
      .map((plan) => ({ ...plan, enroll: { ...plan.enroll, when: [{ kind: "manual" as const }] } }));
    return { setting: { ...setting, plans }, scenario };
  });
  await compare("shipped stories", cases, 80);
});
