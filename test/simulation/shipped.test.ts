import { describe, expect, test } from "vitest";
import { simulate } from "../../src/simulation/simulate.js";
import { linesOf } from "../engine/rehearse.js";
import { SHIPPED_SCENARIOS } from "../scenarios/shipped.js";
import { shippedSetting } from "../support/workspace.js";

describe("the shipped playbooks", () => {
  test.each(SHIPPED_SCENARIOS.map((one) => [one.scenario.name, one] as const))(
    "%s",
    async (_name, { playbook, scenario, outcome }) => {
      const setting = shippedSetting();
      const plans = setting.plans.filter((plan) => plan.playbook === playbook);
      const [run] = await simulate({ ...setting, plans }, scenario);
      expect(run?.outcome, linesOf(run?.entries ?? []).join("\n")).toBe(outcome);
    },
  );
});
