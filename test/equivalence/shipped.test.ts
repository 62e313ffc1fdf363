import { expect, test } from "vitest";
import { workspaceOf } from "../../src/operations/publish-files.js";
import type { Workspace } from "../../src/ports/playbooks.js";
import { parseInstant } from "../../src/values/instant.js";
import { begun, SHIPPED_SCENARIOS } from "../scenarios/shipped.js";
import { shippedFiles, shippedSetting, shippedWorkspace } from "../support/workspace.js";
import { isolated } from "./isolate.js";
import { walkBoth } from "./walk-both.js";

const ONLY = process.env["WAYPOST_SCENARIOS"];
/** All stories in one house: it is published when the earliest begins, so that what falls due later falls due there, too. */
const ORIGIN = Math.min(...SHIPPED_SCENARIOS.map(({ scenario }) => scenario.at));
/** Nothing happens in any of them behind it. */
const END = parseInstant("2027-02-15T00:00:00Z") as number;

test("every story of the shipped playbooks goes as it is rehearsed", async () => {
  const { configurations, ...rest } = workspaceOf(shippedWorkspace(), shippedFiles());
  // The simulator measures no health.
  const { health: _, ...others } = configurations as Record<string, unknown>;
  const scenarios = SHIPPED_SCENARIOS.flatMap(({ scenario }, i) =>
    ONLY !== undefined && !scenario.name.includes(ONLY)
      ? []
      : [{ ...begun(isolated(scenario, `s${i + 1}`)), at: ORIGIN, until: Math.min(scenario.until, END) }],
  );
  const walked = await walkBoth({
    workspace: { ...rest, configurations: others as Workspace["configurations"] },
    setting: shippedSetting(),
    scenarios,
    daysPerSecond: 6,
  });
  const different = walked.filter((one) => one.difference !== undefined);
  for (const one of different) console.log(`${one.scenario.name}: ${one.difference}`);
  expect(different.map((one) => one.scenario.name)).toEqual([]);
}, 200_000);

test("each shipped playbook has at least five stories", () => {
  const counts = new Map<string, number>();
  for (const { playbook } of SHIPPED_SCENARIOS) counts.set(playbook, (counts.get(playbook) ?? 0) + 1);
  expect([...counts].filter(([, count]) => count < 5)).toEqual([]);
  expect([...counts.keys()].sort()).toEqual(
    shippedSetting()
      .plans.map(({ playbook }) => playbook)
      .sort(),
  );
});
