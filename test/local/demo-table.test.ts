import { expect, test } from "vitest";
import type { ApiRun } from "../../src/local/demo-api.js";
import { tableOf } from "../../src/local/demo-table.js";

const at = Date.parse("2026-03-02T09:00:00Z");
const run = (id: string, position: readonly string[]): ApiRun => ({
  id,
  playbook: "onboarding",
  account: id,
  contact: null,
  status: "running",
  outcome: null,
  startedAt: "2026-03-01T09:00:00Z",
  endedAt: null,
  position,
  parked: null,
});

test("a run is shown at the step it stands in, not also at what holds that step", () => {
  const lines = tableOf({
    at,
    runs: [
      run("a", ["setup", "setup/technical/integrate", "setup/people/settle"]),
      run("b", ["watch", "watch#2/steps/settle"]),
      run("c", ["handoff"]),
    ],
    tasks: { open: 0, done: 0, escalated: 0 },
    health: [],
    mails: { distinct: 0 } as never,
    posts: { posts: 0, interactions: 0 } as never,
    restarts: 0,
  });
  expect(lines.filter((line) => line.includes(" at: "))).toEqual([
    "                           at: settle 2, handoff 1, integrate 1",
  ]);
});
