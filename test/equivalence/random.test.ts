import { expect, test } from "vitest";
import type { Workspace } from "../../src/ports/playbooks.js";
import { STANDARD_CALENDAR } from "../../src/values/calendar.js";
import { DAY_MS } from "../../src/values/instant.js";
import { policy } from "../engine/plans.js";
import { type Case, smallest, textOf } from "../naive/smallest.js";
import { randomCase } from "../support/random-plans.js";
import { RANDOM_MODEL, RANDOM_TEMPLATES, underOwnNames } from "./random-cases.js";
import { walkBoth, type Walked } from "./walk-both.js";

const CASES = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 60);
const FIRST = Number(process.env["WAYPOST_RANDOM_FIRST"] ?? 1);
/** Nearly all have ended by then. */
const DAYS = 90;
/** How many that are smaller by one thing walk at once. */
const AT_ONCE = 60;
/** How long a disagreement is made smaller, each look a whole system of a minute: by command. */
const SHRINK_MS = Number(process.env["WAYPOST_SHRINK_SECONDS"] ?? 0) * 1_000;

/** Temporal remembers the ids of runs: whatever walks has names that nothing had before. */
let next = FIRST;

/** All in one real system, side by side; one result for each, in their order. */
function walkAll(all: readonly Case[]): Promise<readonly Walked[]> {
  const cases = all.map((one) => {
    const { plan, scenario } = underOwnNames(one, next++);
    return { plan, scenario: { ...scenario, until: scenario.at + DAYS * DAY_MS } };
  });
  const plans = cases.map(({ plan }) => plan);
  const calendars = [{ ...STANDARD_CALENDAR, name: "standard" }];
  return walkBoth({
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
}

const isDifferent = ({ difference }: Walked): boolean => difference !== undefined;

test(`${CASES} random plans and stories go as they are rehearsed`, {
  timeout: 200_000 + SHRINK_MS + (SHRINK_MS && 200_000),
}, async () => {
  const cases = Array.from({ length: CASES }, (_, i) => randomCase(FIRST + i));
  const walked = await walkAll(cases);
  const differing = cases.flatMap((one, i) =>
    isDifferent(walked[i] as Walked) ? [{ one, was: walked[i] as Walked }] : [],
  );
  for (const { one, was } of differing) console.log(`seed ${one.seed}: ${was.difference}\n${textOf(one)}`);
  const [worst] = differing;
  if (worst !== undefined) {
    const until = Date.now() + SHRINK_MS;
    const small = await smallest(worst.one, async (some) => (await walkAll(some)).map(isDifferent), {
      atOnce: AT_ONCE,
      until,
    });
    const again = SHRINK_MS === 0 ? worst.was : (await walkAll([small]))[0];
    console.log(
      `seed ${worst.one.seed}, ${SHRINK_MS === 0 ? "whole (WAYPOST_SHRINK_SECONDS=600 makes it smaller)" : "the smallest that differs"}:\n${textOf(small)}`,
    );
    console.log(`simulated:\n${linesOf(again?.simulated)}\nreal:\n${linesOf(again?.real)}`);
  }
  expect(differing.map(({ one }) => one.seed)).toEqual([]);
  expect(walked.every((one) => one.simulated.size === 1)).toBe(true);
});

const linesOf = (timelines: Walked["real"] | undefined): string => [...(timelines?.values() ?? [])].flat().join("\n");
