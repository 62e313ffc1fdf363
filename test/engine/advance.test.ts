import { describe, expect, test } from "vitest";
import { email, lines, planOf } from "./plans.js";

describe("advance", () => {
  test("a mail, a wait of working days, a mail, the end", async () => {
    const plan = planOf([
      email("hello"),
      {
        kind: "wait",
        id: "pause",
        path: "pause",
        until: { kind: "rule", rule: { kind: "after", duration: { amount: 5, unit: "bd" } } },
        onMissing: "fail",
        onPast: "skip",
      },
      email("again"),
      { kind: "end", path: "end-4", outcome: "done" },
    ]);
    expect(await lines(plan)).toEqual([
      "2026-03-02T09:00:00Z run.started",
      "2026-03-02T09:00:00Z email.sent hello to=c1 locale=pl",
      "2026-03-02T09:00:00Z wait.began pause until=2026-03-09T09:00:00Z",
      "2026-03-09T09:00:00Z wait.over pause",
      "2026-03-09T09:00:00Z email.sent again to=c1 locale=pl",
      "2026-03-09T09:00:00Z run.ended end-4 outcome=done",
    ]);
  });
});
