import { expect, test } from "vitest";
import type { Workspace } from "../../src/ports/playbooks.js";
import { STANDARD_CALENDAR } from "../../src/values/calendar.js";
import { DAY_MS } from "../../src/values/instant.js";
import { policy } from "../engine/plans.js";
import { textOf } from "../naive/smallest.js";
import { ownCase, RANDOM_MODEL, RANDOM_TEMPLATES } from "./random-cases.js";
import { walkBoth } from "./walk-both.js";

const CASES = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 60);
const FIRST = Number(process.env["WAYPOST_RANDOM_FIRST"] ?? 1);
/** Nearly all have ended by then. */
const DAYS = 90;

test(`${CASES} random plans and stories go as they are rehearsed`, async () => {
  const cases = Array.from({ length: CASES }, (_, i) => {
    const { plan, scenario } = ownCase(FIRST + i);
    return { plan, scenario: { ...scenario, until: scenario.at + DAYS * DAY_MS } };
  });
  const plans = cases.map(({ plan }) => plan);
  const calendars = [{ ...STANDARD_CALENDAR, name: "standard" }];
  const walked = await walkBoth({
    workspace: {
      playbooks: plans.map((plan) => ({ plan, source: "" })),
      templates: RANDOM_TEMPLATES,
      configurations: {
        model: RANDOM_MODEL,
        segments: {},
        calendars,
        policy,
      } as unknown as Workspace["configurations"],
    },
    setting: { plans, model: RANDOM_MODEL, segments: {}, calendars, policy },
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
