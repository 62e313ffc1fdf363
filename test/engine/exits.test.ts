import { describe, expect, test } from "vitest";
import type { Command, Outcome } from "../../src/engine/command.js";
import type { Exit, Plan } from "../../src/engine/plan.js";
import { email, end, has, is, milestone, on, parallel, planFrom, repeat, slack, task, wait, waitFor } from "./plans.js";
import { at, event, rehearse, START, story } from "./rehearse.js";

const changed = (when: string, ...paths: string[]) => event("facts.changed", when, {}, { changed: paths });
const left: Exit = { when: { event: "left" }, outcome: "left" };
const churned: Exit = { if: is("account.stage", "churned"), outcome: "churned" };
const goal: Exit = { if: is("account.stage", "happy"), outcome: "happy" };
const stage = (when: string, value: string) => ({ at: at(when), values: { "account.stage": value } });

const deferredFor =
  (step: string) =>
  (command: Command, now: number): Outcome | undefined =>
    command.kind === "email" && command.step === step && now < at("2026-03-06")
      ? {
          kind: "deferred",
          at: now,
          until: at("2026-03-06"),
          staleAt: at("2026-03-09"),
          reason: "capped",
          deliveries: [{ contact: "c1", result: "deferred", at: now, until: at("2026-03-06"), reason: "capped" }],
        }
      : undefined;

describe("an exit", () => {
  const plan = planFrom([slack("first"), wait("pause", "5d"), slack("second")], { exits: [left, churned], goal });

  test("by an event, while waiting", async () => {
    expect(await story(plan, { events: [event("left", "2026-03-03")] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 slack.posted first to=u1
      2026-03-02 09:00 wait.began pause until=2026-03-07 09:00
      2026-03-03 00:00 run.exited outcome=left event=left"
    `);
  });

  test("by an event whose `where` needs facts", async () => {
    const exits: Exit[] = [
      {
        when: {
          event: "voided",
          where: { op: "==", left: { op: "fact", path: "event.contract" }, right: { op: "fact", path: "contract.id" } },
        },
        outcome: "void",
      },
    ];
    const how = {
      facts: [{ at: START, values: { "contract.id": "k1" } }],
      events: [event("voided", "2026-03-03", { contract: "k2" }), event("voided", "2026-03-04", { contract: "k1" })],
    };
    expect(await story({ ...plan, exits }, how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 slack.posted first to=u1
      2026-03-02 09:00 wait.began pause until=2026-03-07 09:00
      2026-03-04 00:00 run.exited outcome=void event=voided"
    `);
  });

  test("by an event and a condition together", async () => {
    const exits: Exit[] = [{ when: { event: "left" }, if: is("account.stage", "churned"), outcome: "gone" }];
    const how = {
      facts: [stage("2026-03-04", "churned")],
      events: [event("left", "2026-03-03"), event("left", "2026-03-05")],
    };
    expect(await story({ ...plan, exits }, how)).toContain("2026-03-05 00:00 run.exited outcome=gone event=left");
  });

  test("by a fact that changes", async () => {
    expect(
      await story(plan, {
        facts: [stage("2026-03-04", "churned")],
        events: [changed("2026-03-03", "account.stage"), changed("2026-03-04", "account.stage")],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 slack.posted first to=u1
      2026-03-02 09:00 wait.began pause until=2026-03-07 09:00
      2026-03-04 00:00 run.exited outcome=churned"
    `);
  });

  test("that holds at the start lets nothing begin", async () => {
    const { done } = await rehearse(plan, { facts: [stage("2026-03-01", "churned")] });
    expect(done.map(({ command }) => command.key)).toEqual(["!exits", "!leave", "!close"]);
  });

  test("by an event at the very start comes before the first effect", async () => {
    for (const tell of ["perform", "ahead"] as const) {
      expect(await story(plan, { tell, events: [event("left", START)] })).toBe(
        "2026-03-02 09:00 run.exited outcome=left event=left\n2026-03-02 09:00 run.ended outcome=left".split("\n")[0],
      );
    }
  });

  test("beats a timer of the same instant, and a goal; else file order", async () => {
    const both = planFrom([wait("pause", "1d"), slack("x")], {
      exits: [{ when: { event: "other" }, outcome: "other" }, left, { when: { event: "left" }, outcome: "never" }],
      goal: { when: { event: "left" }, outcome: "goal" },
    });
    expect(await story(both, { events: [event("left", "2026-03-03T09:00")] })).toContain(
      "2026-03-03 09:00 run.exited outcome=left event=left",
    );
    expect(await story({ ...both, exits: [] }, { events: [event("left", "2026-03-03T09:00")] })).toContain(
      "2026-03-03 09:00 run.goal_met outcome=goal event=left",
    );
  });

  test("beats what the same event means to a wait", async () => {
    for (const exits of [[left], [{ when: { event: "left", where: is("account.stage", "x") }, outcome: "left" }]]) {
      const plan = planFrom([waitFor("w", on("left"), "5d"), slack("x")], { exits });
      const told = await story(plan, { facts: [stage("2026-03-01", "x")], events: [event("left", "2026-03-03")] });
      expect(told).not.toContain("wait_for.met");
      expect(told).toContain("2026-03-03 00:00 run.exited outcome=left event=left");
    }
  });

  test("that is not met lets the wait have the event, once the facts are known", async () => {
    const exits: Exit[] = [{ when: { event: "left", where: is("account.stage", "x") }, outcome: "left" }];
    expect(
      await story(planFrom([waitFor("w", on("left"), "5d"), slack("x")], { exits }), {
        events: [event("left", "2026-03-03")],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait_for.began w until=2026-03-07 09:00
      2026-03-03 00:00 wait_for.met w event=left event_at=2026-03-03 00:00
      2026-03-03 00:00 slack.posted x to=u1
      2026-03-03 00:00 run.ended outcome=completed"
    `);
  });
});

describe("the run's own story", () => {
  test.each<[string, Exit, Plan["steps"], string]>([
    [
      "a mail that was sent",
      { if: has("steps.hello.sent_at"), outcome: "o" },
      [email("hello"), slack("x")],
      "email.sent hello to=c1",
    ],
    [
      "a wait that was met",
      { if: is("steps.w.timed_out", false), outcome: "o" },
      [waitFor("w", on("x"), "5d"), slack("y")],
      "wait_for.met w event=x event_at=2026-03-03 00:00",
    ],
    [
      "a wait that timed out",
      { if: is("steps.w.timed_out", true), outcome: "o" },
      [waitFor("w", on("never"), "1h"), slack("y")],
      "wait_for.timed_out w",
    ],
    [
      "a task that was closed",
      { if: is("steps.t.outcome", "good"), outcome: "o" },
      [task("t"), wait("p", "9d")],
      "task.closed t status=done outcome=good",
    ],
    [
      "a round",
      { if: is("steps.r.count", 2), outcome: "o" },
      [repeat("r", "1d", 5, [slack("s")])],
      "repeat.began r count=2",
    ],
    [
      "an input",
      { if: is("run.inputs.severity", "high"), outcome: "o" },
      [wait("p", "9d")],
      "run.triggered_again severity=high",
    ],
    [
      "a click",
      { if: is("steps.s.clicked", "yes"), outcome: "o" },
      [slack("s"), wait("p", "9d")],
      "slack.clicked s action=yes",
    ],
  ])("%s", async (_name, exit, steps, before) => {
    const plan = planFrom(steps, {
      exits: [exit],
      enroll: { when: [], again: { kind: "per_key" }, merge: { severity: "max" }, with: {} },
    });
    const events = [
      event("x", "2026-03-03"),
      event("task.closed", "2026-03-03", { step: "t", key: "t", status: "done", outcome: "good" }),
      event("run.triggered_again", "2026-03-03", { "input.severity": "high" }),
      event("slack.clicked", "2026-03-03", { step: "s", action: "yes" }),
    ];
    const lines = (await story(plan, { events })).split("\n").map((line) => line.slice(17));
    expect(lines.slice(-2)).toEqual([before, "run.exited outcome=o"]);
  });

  test("nothing is begun after a result that an exit asks about, not even in another branch", async () => {
    const plan = planFrom([parallel("p", { a: [email("hello")], b: [slack("x")] })], {
      exits: [{ if: has("steps.hello.sent_at"), outcome: "o" }],
    });
    expect((await rehearse(plan)).done.map(({ command }) => command.key)).toEqual(["p/a/hello", "!leave", "!close"]);
  });

  test("also with facts from outside: read when the story changes", async () => {
    const both: Exit = { if: { op: "and", of: [has("steps.hello.sent_at"), is("account.stage", "x")] }, outcome: "o" };
    const plan = planFrom([email("hello"), slack("x")], { goal: both });
    expect(await story(plan, { facts: [stage("2026-03-01", "x")] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 email.sent hello to=c1
      2026-03-02 09:00 run.goal_met outcome=o"
    `);
    expect(await story(plan)).toContain("slack.posted x");
  });
});

describe("after an exit", () => {
  const onExit = {
    openTasks: "cancel",
    deferredEmail: "cancel",
    steps: [slack("bye"), email("farewell", { category: "service" }), milestone("m", { if: is("account.stage", "x") })],
  } as const;

  test("only on_exit.steps begin, also in a batch; `leave` comes first", async () => {
    const plan = planFrom([task("job"), email("late"), slack("next")], { exits: [left], onExit });
    const how = { events: [event("left", "2026-03-03"), event("left", "2026-03-04")], answer: deferredFor("late") };
    expect(await story(plan, how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 task.opened job assignee=u1 due=2026-03-03 09:00
      2026-03-02 09:00 email.deferred late to=c1 reason=capped until=2026-03-06 00:00
      2026-03-03 00:00 run.exited outcome=left event=left
      2026-03-03 00:00 slack.posted bye to=u1
      2026-03-03 00:00 email.sent farewell to=c1
      2026-03-03 00:00 step.skipped m"
    `);
    const { done } = await rehearse(plan, how);
    expect(done.map(({ command }) => command.key)).toEqual([
      "job",
      "late",
      "!leave",
      "on_exit/bye",
      "on_exit/farewell",
      "on_exit/m:if",
      "!close",
    ]);
    expect(done.find(({ command }) => command.key === "on_exit/farewell")?.command).toMatchObject({ exiting: true });
    expect(done.find(({ command }) => command.kind === "leave")?.command).toMatchObject({
      outcome: "left",
      openTasks: "cancel",
      deferredEmail: "cancel",
    });
  });

  test("deferred_email: keep: what waited still goes, and leads nowhere", async () => {
    const plan = planFrom([parallel("p", { a: [email("late"), slack("next")], b: [wait("w", "9d"), slack("more")] })], {
      exits: [left],
      onExit: { ...onExit, deferredEmail: "keep" },
    });
    expect(
      await story(plan, { events: [event("left", "2026-03-03")], answer: deferredFor("late") }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 email.deferred late to=c1 reason=capped until=2026-03-06 00:00
      2026-03-02 09:00 wait.began w until=2026-03-11 09:00
      2026-03-03 00:00 run.exited outcome=left event=left
      2026-03-03 00:00 slack.posted bye to=u1
      2026-03-03 00:00 email.sent farewell to=c1
      2026-03-03 00:00 step.skipped m
      2026-03-06 00:00 email.sent late to=c1"
    `);
  });

  test("deferred_email: keep, and it goes stale", async () => {
    const plan = planFrom([email("late"), slack("next")], {
      exits: [left],
      onExit: { openTasks: "keep", deferredEmail: "keep", steps: [] },
    });
    const answer = (command: Command, now: number): Outcome | undefined =>
      command.kind === "email"
        ? {
            kind: "deferred",
            at: now,
            until: now + 3_600_000,
            staleAt: at("2026-03-03T12:00"),
            reason: "kill_switch",
            deliveries: [],
          }
        : undefined;
    expect(await story(plan, { events: [event("left", "2026-03-03T10:30")], answer })).toMatchInlineSnapshot(`
      "2026-03-03 10:30 run.exited outcome=left event=left
      2026-03-03 12:00 email.skipped late reason=stale"
    `);
  });

  test("a mail of the farewell that is deferred holds the end up", async () => {
    const plan = planFrom([wait("w", "9d")], {
      exits: [left],
      onExit: { ...onExit, steps: [email("farewell"), slack("bye")] },
    });
    expect(
      await story(plan, {
        events: [event("left", "2026-03-03"), event("run.held", "2026-03-04", { hold: "operator" })],
        answer: deferredFor("farewell"),
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began w until=2026-03-11 09:00
      2026-03-03 00:00 run.exited outcome=left event=left
      2026-03-03 00:00 email.deferred farewell to=c1 reason=capped until=2026-03-06 00:00
      2026-03-06 00:00 email.sent farewell to=c1
      2026-03-06 00:00 slack.posted bye to=u1"
    `);
  });

  test("a step of the farewell that fails is said and passed over: nobody could bring the run back", async () => {
    const plan = planFrom([wait("w", "9d")], {
      exits: [left],
      onExit: { ...onExit, steps: [slack("bye"), { ...slack("worse"), onError: [slack("instead")] }, slack("last")] },
    });
    const answer = (command: Command, now: number): Outcome | undefined =>
      command.step === "bye" || command.step === "worse"
        ? { kind: "failed", at: now, reason: "no channel" }
        : undefined;
    expect(await story(plan, { events: [event("left", "2026-03-03")], answer })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began w until=2026-03-11 09:00
      2026-03-03 00:00 run.exited outcome=left event=left
      2026-03-03 00:00 step.failed bye reason=no channel
      2026-03-03 00:00 step.failed worse reason=no channel
      2026-03-03 00:00 slack.posted instead to=u1
      2026-03-03 00:00 slack.posted last to=u1"
    `);
  });

  test("mail that still waits when the run ends by itself is taken back", async () => {
    const plan = planFrom([parallel("p", { a: [email("late")], b: [wait("w", "1d"), end("done")] })]);
    const { done } = await rehearse(plan, { answer: deferredFor("late") });
    expect(done.slice(-2).map(({ command: { speculative: _, ...command } }) => command)).toEqual([
      { kind: "leave", key: "!leave", path: "!leave", outcome: "done", openTasks: "keep", deferredEmail: "cancel" },
      { kind: "close", key: "!close", path: "!close", outcome: "done" },
    ]);
  });

  test("an operator's stop is an exit", async () => {
    const plan = planFrom([wait("w", "9d")], { onExit });
    expect(
      await story(plan, { events: [event("run.stop", "2026-03-03", { outcome: "gone", by: "ann" })] }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began w until=2026-03-11 09:00
      2026-03-03 00:00 run.stopped outcome=gone by=ann
      2026-03-03 00:00 slack.posted bye to=u1
      2026-03-03 00:00 email.sent farewell to=c1
      2026-03-03 00:00 step.skipped m"
    `);
    expect(await story(plan, { events: [event("run.stop", "2026-03-03")] })).toContain("run.stopped outcome=stopped");
  });
});
