import { expect, test } from "vitest";
import type { Model } from "../../src/customers/model.js";
import type { Plan } from "../../src/engine/plan.js";
import type { Workspace } from "../../src/ports/playbooks.js";
import type { Scenario } from "../../src/simulation/records.js";
import { STANDARD_CALENDAR } from "../../src/values/calendar.js";
import { sha256Hex } from "../../src/values/sha256.js";
import { DAY_MS } from "../../src/values/instant.js";
import { model as plainModel, policy } from "../engine/plans.js";
import { RANDOM_FIELDS, randomCase } from "../support/random-plans.js";
import { textOf } from "../naive/smallest.js";
import { isolated } from "./isolate.js";
import { walkBoth } from "./walk-both.js";

const CASES = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 60);
const FIRST = Number(process.env["WAYPOST_RANDOM_FIRST"] ?? 1);
/** Nearly all have ended by then. */
const DAYS = 90;

const event = { subject: "account", system: false, payload: { n: "number" } } as const;
const model: Model = {
  ...plainModel,
  account: RANDOM_FIELDS,
  roles: { contact: ["champion", "end_user", "nobody"], staff: [], pools: [] },
  events: { x: event, y: event, z: event, bye: event },
};
const templates = (["en", "pl"] as const).map((locale) => {
  const source = `---\nsubject: Hello (${locale})\n---\nHello.\n`;
  return { hash: sha256Hex(source), name: "t", locale, source };
});

/** The case's plan and story under names of their own. */
function ownCase(seed: number): { plan: Plan; scenario: Scenario } {
  const { plan, scenario } = randomCase(seed);
  const playbook = `random-${seed}`;
  const own = isolated(scenario, `r${seed}`);
  const runId = `run/${playbook}/r${seed}-a1/r${seed}-a1/1`;
  return {
    plan: {
      ...plan,
      playbook,
      hash: playbook,
      templates: { t: Object.fromEntries(templates.map(({ locale, hash }) => [locale, hash])) },
    },
    scenario: {
      ...own,
      until: own.at + DAYS * DAY_MS,
      script: own.script.map((item) => ("runId" in item ? { ...item, runId } : item)),
      enrolments: (own.enrolments ?? []).map((one) => ({ ...one, playbook })),
    },
  };
}

test(`${CASES} random plans and stories go as they are rehearsed`, async () => {
  const cases = Array.from({ length: CASES }, (_, i) => ownCase(FIRST + i));
  const plans = cases.map(({ plan }) => plan);
  const calendars = [{ ...STANDARD_CALENDAR, name: "standard" }];
  const walked = await walkBoth({
    workspace: {
      playbooks: plans.map((plan) => ({ plan, source: "" })),
      templates,
      configurations: { model, segments: {}, calendars, policy } as unknown as Workspace["configurations"],
    },
    setting: { plans, model, segments: {}, calendars, policy },
    scenarios: cases.map(({ scenario }) => scenario),
    daysPerSecond: 2.5,
  });
  const different = walked.filter((one) => one.difference !== undefined);
  for (const one of different) {
    const its = cases.find(({ scenario }) => scenario.name === one.scenario.name);
    console.log(`${one.scenario.name}: ${one.difference}${its === undefined ? "" : `\n${textOf(its)}`}`);
  }
  expect(different.map((one) => one.scenario.name)).toEqual([]);
  expect(walked.every((one) => one.simulated.size === 1)).toBe(true);
}, 200_000);
