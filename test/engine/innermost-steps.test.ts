import { expect, test } from "vitest";
import { innermostSteps } from "../../src/engine/innermost-steps.js";

test.each<[what: string, position: string[], steps: string[]]>([
  ["nowhere", [], []],
  ["a step", ["handoff"], ["handoff"]],
  [
    "branches side by side, without what holds them",
    ["setup", "setup/technical/integrate", "setup/people/settle"],
    ["integrate", "settle"],
  ],
  ["an iteration, without its repeat", ["watch", "watch#3/steps/review"], ["review"]],
  ["a container whose child is not begun yet", ["watch"], ["watch"]],
  ["a step whose name begins like another's", ["chase", "chase_again"], ["chase", "chase_again"]],
])("%s", (_, position, steps) => {
  expect(innermostSteps(position)).toEqual(steps);
});
