import { expect, test } from "vitest";
import { holdsBack } from "../../src/engine/holds-back.js";

const rescue = { playbook: "rescue", pauses: ["onboarding"] };
const onboarding = { playbook: "onboarding", pauses: [] };
const jealous = { playbook: "onboarding", pauses: ["rescue"] };
const run = (id: string, priority: number, startedAt: number) => ({ id, priority, startedAt });

test.each<[string, Parameters<typeof holdsBack>, boolean]>([
  ["what it doesn't pause goes on", [onboarding, run("a", 90, 1), rescue, run("b", 10, 2)], false],
  ["what it pauses is held, whatever the priorities", [rescue, run("a", 10, 2), onboarding, run("b", 90, 1)], true],
  ["each the other: the higher priority holds", [rescue, run("a", 90, 2), jealous, run("b", 10, 1)], true],
  ["each the other: the lower one doesn't", [rescue, run("a", 10, 1), jealous, run("b", 90, 2)], false],
  ["of equals the earlier holds", [rescue, run("b", 50, 1), jealous, run("a", 50, 2)], true],
  ["of equals the later is held", [rescue, run("a", 50, 2), jealous, run("b", 50, 1)], false],
  ["begun at one instant: the first by id holds", [rescue, run("a", 50, 1), jealous, run("b", 50, 1)], true],
  ["begun at one instant: the second is held", [rescue, run("b", 50, 1), jealous, run("a", 50, 1)], false],
])("%s", (_name, pair, expected) => {
  expect(holdsBack(...pair)).toBe(expected);
});
