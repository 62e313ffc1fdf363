import { expect, test } from "vitest";
import { simulate } from "../../src/simulation/simulate.js";
import { SHIPPED_SCENARIOS } from "../scenarios/shipped.js";
import { shippedSetting } from "../support/workspace.js";

/** The steps among these that did something in the story, each once, in the order they did. */
async function stepsOf(name: string, among: RegExp): Promise<string[]> {
  const found = SHIPPED_SCENARIOS.find(({ scenario }) => scenario.name === name);
  if (!found) throw new Error(`no scenario ${name}`);
  const setting = shippedSetting();
  const plans = setting.plans.filter(({ playbook }) => playbook === found.playbook);
  const [run] = await simulate({ ...setting, plans }, found.scenario);
  const done = (run?.entries ?? []).filter(({ kind }) => /^(email\.sent|slack\.posted|task\.opened)$/.test(kind));
  return [...new Set(done.flatMap(({ step }) => (step !== undefined && among.test(step) ? [step] : [])))];
}

test("a CSM who has completed the kickoff's task is not asked whether it took place", async () => {
  expect(
    await stepsOf("onboarding-high-touch: a kickoff that no calendar knows of", /^kickoff_|^notes|^recap/),
  ).toEqual(["kickoff_meeting", "notes", "recap"]);
});

test("a proposal that is ready a week late is sent then", async () => {
  expect(await stepsOf("renewal: the proposal is a week late", /proposal/)).toEqual([
    "proposal_task",
    "no_proposal",
    "proposal_late",
  ]);
});

test("nobody chases a signature, or executives, for a contract that renews by itself", async () => {
  expect(
    await stepsOf(
      "renewal: renews by itself, and nobody records it",
      /^chase|^manager_7|^passed|^executive_e|grace|itself|^record/,
    ),
  ).toEqual(["renews_by_itself", "has_renewed_itself", "grace_over", "record"]);
});
