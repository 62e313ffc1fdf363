import { expect, test } from "vitest";
import type { Plan } from "../../src/engine/plan.js";
import type { Scenario } from "../../src/simulation/records.js";
import { simulate } from "../../src/simulation/simulate.js";
import {
  end,
  fact,
  is,
  on,
  parallel,
  planFrom,
  policy,
  repeat,
  scenarioOf,
  settingOf,
  slack,
  span,
  task,
  waitFor,
} from "../engine/plans.js";
import { linesOf } from "../engine/rehearse.js";
import { naiveTimeline } from "./naive-model.js";

/** What the naive model found, in short: both tell the same, and what language.md says. */
async function told(plan: Plan, scenario: Scenario = scenarioOf()): Promise<string[]> {
  const [run] = await simulate(settingOf(plan), scenario);
  const lines = linesOf(run?.entries ?? []);
  expect(naiveTimeline(plan, scenario, policy, "run/p/a1/a1/1")).toEqual(lines);
  return lines.map((line) => line.slice("2026-".length));
}

test("a task that is taken back is heard of before a round that is overdue begins", async () => {
  const plan = planFrom([
    repeat("again", "8h", 2, [
      parallel(
        "both",
        {
          left: [task("call", { wait: { within: span("4d"), otherwise: [] } })],
          right: [waitFor("x", on("x"), "30d")],
        },
        "any",
      ),
    ]),
    end("done"),
  ]);
  expect((await told(plan)).filter((line) => line.startsWith("03-06"))).toEqual([
    "03-06 09:00 wait_for.timed_out call[again#1/steps/both/left/call]",
    "03-06 09:00 task.closed call status=cancelled",
    "03-06 09:00 repeat.began again count=2",
    "03-06 09:00 task.opened call[again#2/steps/both/left/call] assignee=u1 due=2026-03-09 09:00",
    "03-06 09:00 wait_for.began x[again#2/steps/both/right/x] until=2026-04-05 08:00",
  ]);
});

test("a round that is over asks behind those that wait already", async () => {
  const plan = planFrom([
    parallel("both", {
      left: [repeat("again", "1 bd", 1, [slack("said")], is("account.name", "Acme")), slack("next")],
      right: [waitFor("x", on("x"), "7d")],
    }),
  ]);
  expect((await told(plan)).slice(1, 5)).toEqual([
    "03-02 09:00 repeat.began again count=1",
    "03-02 09:00 slack.posted said[both/left/again#1/steps/said] to=u1",
    "03-02 09:00 wait_for.began x until=2026-03-09 09:00",
    "03-02 09:00 slack.posted next to=u1",
  ]);
});

test("a branch that is over at once is through before one that has what it waits for already", async () => {
  const plan = planFrom([
    waitFor("first", on("never"), "2d"),
    parallel("both", { left: [waitFor("had", on("x"), "48h")], right: [] }, "any"),
  ]);
  const scenario = scenarioOf();
  const script = [{ kind: "event", id: "e1", at: scenario.at + 1, name: "x", accountId: "a1", payload: {} }] as const;
  expect((await told(plan, { ...scenario, script })).slice(2)).toEqual([
    "03-04 09:00 wait_for.timed_out first",
    "03-04 09:00 wait_for.began had until=2026-03-06 09:00",
    "03-04 09:00 run.ended outcome=completed",
  ]);
});

test("the naive model refuses what it doesn't know, instead of guessing", () => {
  const plan = planFrom([
    waitFor("x", { kind: "if", if: { op: "==", left: fact("usage.n"), right: { op: "literal", value: 1 } } }, "2d"),
  ]);
  expect(() => naiveTimeline(plan, scenarioOf(), policy, "r")).toThrow("the naive model knows no usage.n");
});
