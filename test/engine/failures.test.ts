import { describe, expect, test } from "vitest";
import type { Command, Outcome } from "../../src/engine/command.js";
import type { Step } from "../../src/engine/plan.js";
import {
  around,
  choose,
  email,
  end,
  is,
  on,
  parallel,
  planFrom,
  repeat,
  slack,
  span,
  task,
  wait,
  waitFor,
  waitUntil,
} from "./plans.js";
import { at, event, rehearse, START, story } from "./rehearse.js";

const failing =
  (keys: readonly string[], times = Number.POSITIVE_INFINITY) =>
  (command: Command, now: number, nth: number): Outcome | undefined =>
    keys.includes(command.key) && nth <= times ? { kind: "failed", at: now, reason: `no ${command.kind}` } : undefined;

const effects: Step[] = [
  email("s"),
  slack("s"),
  task("s"),
  { kind: "milestone", id: "s", path: "", milestone: "m" },
  { kind: "set", id: "s", path: "", field: "account.stage", value: { op: "literal", value: "x" } },
  { kind: "risk", id: "s", path: "", risk: "r", severity: "low" },
  { kind: "opportunity", id: "s", path: "", opportunity: "o" },
  { kind: "health", id: "s", path: "" },
  { kind: "play", id: "s", path: "", playbook: "q", with: {} },
];

describe("an effect that is refused for good", () => {
  test.each(effects.map((step) => [step.kind, step] as const))("%s: parks the run by default", async (kind, step) => {
    expect(await story(planFrom([step, slack("then")]), { answer: failing(["s"]) })).toBe(
      `2026-03-02 09:00 run.parked s reason=no ${kind}`,
    );
  });

  test("says so once, to whoever must look", async () => {
    const { done, state } = await rehearse(planFrom([slack("s")]), { answer: failing(["s"]) });
    expect(done.map(({ command }) => command)).toMatchObject([
      { key: "s" },
      { key: "!park:s", kind: "park", reason: "no slack" },
    ]);
    expect(state.parked).toEqual({ at: START, key: "s", reason: "no slack" });
  });

  test("on_error: continue", async () => {
    const plan = planFrom([
      slack("s", { onError: "continue" }),
      choose("c", [[is("steps.s.failed", "no slack"), [slack("seen")]]]),
    ]);
    expect(await story(plan, { answer: failing(["s"]) })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 step.failed s reason=no slack
      2026-03-02 09:00 branch.taken c branch=1
      2026-03-02 09:00 slack.posted seen to=u1
      2026-03-02 09:00 run.ended outcome=completed"
    `);
  });

  test("on_error: steps", async () => {
    const plan = planFrom([slack("s", { onError: [task("instead"), slack("more")] }), slack("then")]);
    expect(await story(plan, { answer: failing(["s"]) })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 step.failed s reason=no slack
      2026-03-02 09:00 task.opened instead assignee=u1 due=2026-03-03 09:00
      2026-03-02 09:00 slack.posted more to=u1
      2026-03-02 09:00 slack.posted then to=u1
      2026-03-02 09:00 run.ended outcome=completed"
    `);
  });

  test("a command that was asked for ahead is not begun behind it", async () => {
    const { done } = await rehearse(planFrom([slack("s"), slack("t")]), { answer: failing(["s"]) });
    expect(done.map(({ command }) => command.key)).toEqual(["s", "!park:s"]);
  });
});

describe("a parked run", () => {
  const plan = planFrom([
    parallel("p", { a: [slack("s"), slack("behind")], b: [wait("w", "1d"), slack("other")] }),
    slack("then"),
  ]);
  const answer = failing(["p/a/s"]);
  const verb = (name: "retry" | "skip" | "stop", when = "2026-03-05") => event(`run.${name}`, when, { by: "ann" });

  test("begins no effect elsewhere, though waits run", async () => {
    expect(await story(plan, { answer })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 run.parked s reason=no slack
      2026-03-02 09:00 wait.began w until=2026-03-03 09:00
      2026-03-03 09:00 wait.over w"
    `);
  });

  test("retry: the same step as a new effect", async () => {
    expect(await story(plan, { answer, events: [verb("retry")] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 run.parked s reason=no slack
      2026-03-02 09:00 wait.began w until=2026-03-03 09:00
      2026-03-03 09:00 wait.over w
      2026-03-05 00:00 run.retried s
      2026-03-05 00:00 slack.posted s to=u1
      2026-03-05 00:00 slack.posted other to=u1
      2026-03-05 00:00 slack.posted behind to=u1
      2026-03-05 00:00 slack.posted then to=u1
      2026-03-05 00:00 run.ended outcome=completed"
    `);
    expect(
      (await rehearse(plan, { answer, events: [verb("retry")] })).done
        .map(({ command }) => command.key)
        .filter((key) => !key.endsWith(":due")),
    ).toEqual(["p/a/s", "!park:p/a/s", "p/a/s~1", "p/b/other", "p/a/behind", "then", "!close"]);
  });

  test("retried in vain it is parked again, each time with its word", async () => {
    const how = { answer: failing(["s", "s~1"]), events: [verb("retry"), verb("retry", "2026-03-06")] };
    expect(await story(planFrom([slack("s")]), how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 run.parked s reason=no slack
      2026-03-05 00:00 run.retried s
      2026-03-05 00:00 run.parked s reason=no slack
      2026-03-06 00:00 run.retried s
      2026-03-06 00:00 slack.posted s to=u1
      2026-03-06 00:00 run.ended outcome=completed"
    `);
    expect((await rehearse(planFrom([slack("s")]), how)).done.map(({ command }) => command.key)).toEqual([
      "s",
      "!park:s",
      "s~1",
      "!park:s~1",
      "s~2",
      "!close",
    ]);
  });

  test("skip: goes on behind it", async () => {
    expect(await story(plan, { answer, events: [verb("skip")] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 run.parked s reason=no slack
      2026-03-02 09:00 wait.began w until=2026-03-03 09:00
      2026-03-03 09:00 wait.over w
      2026-03-05 00:00 run.skipped s
      2026-03-05 00:00 slack.posted other to=u1
      2026-03-05 00:00 slack.posted behind to=u1
      2026-03-05 00:00 slack.posted then to=u1
      2026-03-05 00:00 run.ended outcome=completed"
    `);
    expect((await rehearse(plan, { answer, events: [verb("skip")] })).state.steps["s"]).toEqual({
      failed: undefined,
      skipped: "operator",
    });
  });

  test("stop, and an exit, end it", async () => {
    expect(await story(plan, { answer, events: [verb("stop")] })).toContain("run.stopped outcome=stopped by=ann");
    const leaving = planFrom([slack("s")], { exits: [{ when: { event: "left" }, outcome: "left" }] });
    expect(await story(leaving, { answer: failing(["s"]), events: [event("left", "2026-03-03")] })).toContain(
      "run.exited outcome=left event=left",
    );
  });

  test("of what branches do at one instant nothing is begun behind a failure; after the retry it is", async () => {
    const both = planFrom([parallel("p", { a: [slack("s")], b: [slack("t")] }), end("done")]);
    expect(await story(both, { answer: failing(["p/a/s"]), events: [verb("retry")] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 run.parked s reason=no slack
      2026-03-05 00:00 run.retried s
      2026-03-05 00:00 slack.posted s to=u1
      2026-03-05 00:00 slack.posted t to=u1
      2026-03-05 00:00 run.ended end-2 outcome=done"
    `);
  });

  test("two failures at once are retried together; verbs without a failure do nothing", async () => {
    const until = (id: string) => waitUntil(id, "account.day", { onMissing: "fail" });
    const both = planFrom([parallel("p", { a: [until("s")], b: [until("t")] }), wait("w", "9d")]);
    expect(
      await story(both, {
        facts: [{ at: at("2026-03-04"), values: { "account.day": at("2026-03-06") } }],
        events: [verb("retry"), verb("retry", "2026-03-07"), verb("skip", "2026-03-07")],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 run.parked s reason=the date to wait for is missing
      2026-03-02 09:00 run.parked t reason=the date to wait for is missing
      2026-03-05 00:00 run.retried s
      2026-03-05 00:00 run.retried t
      2026-03-05 00:00 wait.began s until=2026-03-06 00:00
      2026-03-05 00:00 wait.began t until=2026-03-06 00:00
      2026-03-06 00:00 wait.over s
      2026-03-06 00:00 wait.over t
      2026-03-06 00:00 wait.began w until=2026-03-15 00:00
      2026-03-15 00:00 wait.over w
      2026-03-15 00:00 run.ended outcome=completed"
    `);
  });

  test("a task that is retried is the step's task: its closing ends the wait", async () => {
    const waiting = planFrom([task("t", { wait: { within: span("5d"), otherwise: [slack("late")] } }), slack("then")]);
    expect(
      await story(waiting, {
        answer: failing(["t"]),
        events: [
          verb("retry", "2026-03-03"),
          event("task.closed", "2026-03-04", { step: "t", key: "t~1", status: "done" }),
        ],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 run.parked t reason=no task
      2026-03-03 00:00 run.retried t
      2026-03-03 00:00 task.opened t assignee=u1 due=2026-03-04 09:00
      2026-03-04 00:00 task.closed t status=done
      2026-03-04 00:00 wait_for.met t
      2026-03-04 00:00 slack.posted then to=u1
      2026-03-04 00:00 run.ended outcome=completed"
    `);
  });
});

describe("a timer that can't be resolved", () => {
  const once = (key: string) => ({ answer: failing([key], 1), events: [event("run.retry", "2026-03-03T09:00")] });

  test("wait", async () => {
    expect(await story(planFrom([wait("w", "1 bd")]), once("w:due"))).toMatchInlineSnapshot(`
      "2026-03-02 09:00 run.parked w reason=no resolve
      2026-03-03 09:00 run.retried w
      2026-03-03 09:00 wait.began w until=2026-03-03 09:00
      2026-03-03 09:00 wait.over w
      2026-03-03 09:00 run.ended outcome=completed"
    `);
  });

  test("wait_for: it can still be met, and is counted from its beginning", async () => {
    const plan = planFrom([waitFor("w", on("x"), "3 bd")]);
    expect(await story(plan, once("w:due"))).toMatchInlineSnapshot(`
      "2026-03-02 09:00 run.parked w reason=no resolve
      2026-03-03 09:00 run.retried w
      2026-03-03 09:00 wait_for.began w until=2026-03-05 09:00
      2026-03-05 09:00 wait_for.timed_out w
      2026-03-05 09:00 run.ended outcome=completed"
    `);
    expect(
      await story(plan, {
        ...once("w:due"),
        events: [event("run.retry", "2026-03-03T09:00"), event("x", "2026-03-02T10:00")],
      }),
    ).toContain("2026-03-03 09:00 wait_for.met w");
  });

  test("a task's own wait: it is not opened again", async () => {
    const plan = planFrom([task("t", { wait: { within: span("3 bd"), otherwise: [] } })]);
    expect(await story(plan, once("t:due"))).toMatchInlineSnapshot(`
      "2026-03-02 09:00 task.opened t assignee=u1 due=2026-03-03 09:00
      2026-03-02 09:00 run.parked t reason=no resolve
      2026-03-03 09:00 run.retried t
      2026-03-05 09:00 wait_for.timed_out t
      2026-03-05 09:00 run.ended outcome=completed"
    `);
    expect((await rehearse(plan, once("t:due"))).done.filter(({ command }) => command.kind === "task")).toHaveLength(1);
    expect(
      await story(plan, {
        ...once("t:due"),
        events: [
          event("run.retry", "2026-03-03T09:00"),
          event("task.closed", "2026-03-04", { step: "t", key: "t", status: "done" }),
        ],
      }),
    ).toContain("2026-03-04 00:00 wait_for.met t");
  });

  test("repeat: its round is not begun again", async () => {
    expect(await story(planFrom([repeat("r", "2 bd", 2, [slack("s")])]), once("r#1:due"))).toMatchInlineSnapshot(`
      "2026-03-02 09:00 repeat.began r count=1
      2026-03-02 09:00 slack.posted s[r#1/steps/s] to=u1
      2026-03-02 09:00 run.parked r reason=no resolve
      2026-03-03 09:00 run.retried r
      2026-03-04 09:00 repeat.began r count=2
      2026-03-04 09:00 slack.posted s[r#2/steps/s] to=u1
      2026-03-04 09:00 run.ended outcome=completed"
    `);
  });

  test("when it fires, too", async () => {
    const plan = planFrom([waitFor("w", on("x"), "1 bd")]);
    expect(
      await story(plan, {
        answer: (command, now, times) =>
          command.kind === "resolve" && times === 2 && now === at("2026-03-03T09:00")
            ? { kind: "failed", at: now, reason: "no calendar" }
            : undefined,
        events: [event("run.retry", "2026-03-04")],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait_for.began w until=2026-03-03 09:00
      2026-03-03 09:00 run.parked w reason=no calendar
      2026-03-04 00:00 run.retried w
      2026-03-04 00:00 wait_for.timed_out w
      2026-03-04 00:00 run.ended outcome=completed"
    `);
  });
});

describe("around a date that is missing", () => {
  const blocks: (readonly [string, Step])[] = [
    ["-10d", waitFor("watch", on("x"), "90d")],
    ["-5d", task("five")],
    ["0d", slack("day")],
  ];
  const day = (when: string, value: string | undefined) => ({
    at: at(when),
    values: { "account.day": value === undefined ? undefined : at(value) },
  });
  const how = {
    facts: [day("2026-03-01", "2026-03-13T09:00"), day("2026-03-04", undefined)],
    events: [event("facts.changed", "2026-03-04", {}, { changed: ["account.day"] })],
  };

  test("parks as a whole; what runs goes on; retried when the date is back", async () => {
    const plan = planFrom([around("plan", "account.day", blocks), slack("then")]);
    expect(
      await story(plan, {
        facts: [...how.facts, day("2026-03-05", "2026-03-20T09:00")],
        events: [...how.events, event("run.retry", "2026-03-06"), event("x", "2026-03-07")],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 around.armed watch[plan] due=2026-03-03 09:00
      2026-03-02 09:00 around.armed five[plan] due=2026-03-08 09:00
      2026-03-02 09:00 around.armed day[plan] due=2026-03-13 09:00
      2026-03-03 09:00 around.due watch[plan] due=2026-03-03 09:00
      2026-03-03 09:00 wait_for.began watch until=2026-06-01 09:00
      2026-03-04 00:00 run.parked plan reason=account.day is missing
      2026-03-06 00:00 run.retried plan
      2026-03-06 00:00 around.moved five[plan] due=2026-03-15 09:00
      2026-03-06 00:00 around.moved day[plan] due=2026-03-20 09:00
      2026-03-07 00:00 wait_for.met watch event=x event_at=2026-03-07 00:00
      2026-03-15 09:00 around.due five[plan] due=2026-03-15 09:00
      2026-03-15 09:00 task.opened five assignee=u1 due=2026-03-17 09:00
      2026-03-20 09:00 around.due day[plan] due=2026-03-20 09:00
      2026-03-20 09:00 slack.posted day to=u1
      2026-03-20 09:00 slack.posted then to=u1
      2026-03-20 09:00 run.ended outcome=completed"
    `);
  });

  test("skipped, continued, or with steps: what runs is withdrawn", async () => {
    expect(
      await story(planFrom([around("plan", "account.day", blocks), slack("then")]), {
        ...how,
        events: [...how.events, event("run.skip", "2026-03-06")],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 around.armed watch[plan] due=2026-03-03 09:00
      2026-03-02 09:00 around.armed five[plan] due=2026-03-08 09:00
      2026-03-02 09:00 around.armed day[plan] due=2026-03-13 09:00
      2026-03-03 09:00 around.due watch[plan] due=2026-03-03 09:00
      2026-03-03 09:00 wait_for.began watch until=2026-06-01 09:00
      2026-03-04 00:00 run.parked plan reason=account.day is missing
      2026-03-06 00:00 run.skipped plan
      2026-03-06 00:00 slack.posted then to=u1
      2026-03-06 00:00 run.ended outcome=completed"
    `);
    expect(
      await story(planFrom([around("plan", "account.day", blocks, { onError: "continue" }), slack("then")]), how),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 around.armed watch[plan] due=2026-03-03 09:00
      2026-03-02 09:00 around.armed five[plan] due=2026-03-08 09:00
      2026-03-02 09:00 around.armed day[plan] due=2026-03-13 09:00
      2026-03-03 09:00 around.due watch[plan] due=2026-03-03 09:00
      2026-03-03 09:00 wait_for.began watch until=2026-06-01 09:00
      2026-03-04 00:00 step.failed plan reason=account.day is missing
      2026-03-04 00:00 slack.posted then to=u1
      2026-03-04 00:00 run.ended outcome=completed"
    `);
    expect(
      await story(
        planFrom([
          around("plan", "account.day", blocks, { onError: [wait("w", "30d"), slack("instead")] }),
          slack("then"),
        ]),
        how,
      ),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 around.armed watch[plan] due=2026-03-03 09:00
      2026-03-02 09:00 around.armed five[plan] due=2026-03-08 09:00
      2026-03-02 09:00 around.armed day[plan] due=2026-03-13 09:00
      2026-03-03 09:00 around.due watch[plan] due=2026-03-03 09:00
      2026-03-03 09:00 wait_for.began watch until=2026-06-01 09:00
      2026-03-04 00:00 step.failed plan reason=account.day is missing
      2026-03-04 00:00 wait.began w until=2026-04-03 00:00
      2026-04-03 00:00 wait.over w
      2026-04-03 00:00 slack.posted instead to=u1
      2026-04-03 00:00 slack.posted then to=u1
      2026-04-03 00:00 run.ended outcome=completed"
    `);
  });

  test("retried while a block is just being confirmed", async () => {
    const plan = planFrom([around("plan", "account.day", [["0d", slack("day")]])]);
    const answer = (command: Command, now: number, nth: number): Outcome | undefined =>
      command.key === "plan@0" && nth === 2 ? { kind: "failed", at: now, reason: "no calendar" } : undefined;
    expect(
      await story(plan, {
        facts: [day("2026-03-01", "2026-03-03")],
        answer,
        events: [event("run.retry", "2026-03-03T10:00")],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 around.armed day[plan] due=2026-03-03 00:00
      2026-03-03 00:00 run.parked plan reason=no calendar
      2026-03-03 10:00 run.retried plan
      2026-03-03 10:00 around.due day[plan] due=2026-03-03 00:00
      2026-03-03 10:00 slack.posted day to=u1
      2026-03-03 10:00 run.ended outcome=completed"
    `);
  });
});

test("a date that is missing can be skipped by a person", async () => {
  expect(
    await story(planFrom([waitUntil("d", "account.day"), slack("x")]), { events: [event("run.skip", "2026-03-03")] }),
  ).toMatchInlineSnapshot(`
    "2026-03-02 09:00 run.parked d reason=the date to wait for is missing
    2026-03-03 00:00 run.skipped d
    2026-03-03 00:00 slack.posted x to=u1
    2026-03-03 00:00 run.ended outcome=completed"
  `);
});
