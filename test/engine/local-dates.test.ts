import { expect, test } from "vitest";
import { lines, planOf, email } from "./plans.js";

test("a date that only the run itself knows is reckoned with: started_at, a step's sent_at", async () => {
  const plan = planOf([
    email("hello"),
    {
      kind: "wait",
      id: "later",
      path: "later",
      until: { kind: "date", date: { op: "fact", path: "run.started_at" }, offset: { amount: 7, unit: "d" } },
      onMissing: "fail",
      onPast: "skip",
    },
    {
      kind: "around",
      id: "after",
      path: "after",
      anchor: "steps.hello.sent_at",
      blocks: [
        {
          at: { amount: 10, unit: "d" },
          step: { kind: "milestone", id: "m", path: "after/steps/m", milestone: "first_value" },
        },
      ],
      onMissing: "fail",
      onPast: "skip",
    },
  ]);
  expect(await lines(plan)).toEqual([
    "2026-03-02T09:00:00Z run.started",
    "2026-03-02T09:00:00Z email.sent hello to=c1 locale=pl",
    "2026-03-02T09:00:00Z wait.began later until=2026-03-09T09:00:00Z",
    "2026-03-09T09:00:00Z wait.over later",
    "2026-03-09T09:00:00Z around.armed m due=2026-03-12T09:00:00Z",
    "2026-03-12T09:00:00Z around.due m due=2026-03-12T09:00:00Z",
    "2026-03-12T09:00:00Z milestone.reached m milestone=first_value",
    "2026-03-12T09:00:00Z run.ended outcome=completed",
  ]);
});
