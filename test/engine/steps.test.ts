import { describe, expect, test } from "vitest";
import type { Command, Outcome } from "../../src/engine/command.js";
import type { Step } from "../../src/engine/plan.js";
import { choose, email, end, fact, has, is, milestone, parallel, planFrom, slack, span, task, wait } from "./plans.js";
import { at, event, rehearse, START, story } from "./rehearse.js";

const play = (id: string, more: Partial<Extract<Step, { kind: "play" }>> = {}): Step => ({
  kind: "play",
  id,
  path: id,
  playbook: "rescue",
  with: {},
  ...more,
});
const set = (id: string, more: Partial<Extract<Step, { kind: "set" }>> = {}): Step => ({
  kind: "set",
  id,
  path: id,
  field: "account.stage",
  value: { op: "literal", value: "adoption" },
  ...more,
});

describe("effects, one after the other", () => {
  const plan = planFrom([
    email("hello"),
    slack("nudge"),
    task("job"),
    milestone("value"),
    set("stage"),
    { kind: "risk", id: "danger", path: "", risk: "stalled", severity: "medium" },
    { kind: "opportunity", id: "chance", path: "", opportunity: "seats" },
    { kind: "health", id: "pulse", path: "" },
    play("rescue"),
    end("done"),
  ]);

  test("each leaves its line", async () => {
    expect(await story(plan)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 email.sent hello to=c1
      2026-03-02 09:00 slack.posted nudge to=u1
      2026-03-02 09:00 task.opened job assignee=u1 due=2026-03-03 09:00
      2026-03-02 09:00 milestone.reached value milestone=first_value
      2026-03-02 09:00 field.set stage field=account.stage value=adoption
      2026-03-02 09:00 risk.raised danger risk=stalled severity=medium
      2026-03-02 09:00 opportunity.raised chance opportunity=seats
      2026-03-02 09:00 health.measured pulse score=80 status=green
      2026-03-02 09:00 play.started rescue playbook=rescue
      2026-03-02 09:00 run.ended end-10 outcome=done"
    `);
  });

  test("are done one by one in two stretches: what the run listens to is set in one of its own", async () => {
    const { done, performs } = await rehearse(plan);
    expect(done.map(({ command }) => command.kind)).toEqual([
      "email",
      "slack",
      "task",
      "milestone",
      "set",
      "risk",
      "opportunity",
      "health",
      "play",
      "close",
    ]);
    expect(performs).toBe(2);
  });

  test("what a step tells of the one before it is there, however the stretch is cut", async () => {
    const scoped = planFrom([
      task("job"),
      slack("told", { scope: ["steps.job.due_at", "run.key"] }),
      slack("free", { scope: ["run.key"] }),
      slack("last"),
    ]);
    const whole = await rehearse(scoped);
    const oneByOne = await rehearse(scoped, { cut: () => 1 });
    expect(oneByOne.performs).toBeGreaterThan(whole.performs);
    expect(oneByOne.done).toEqual(whole.done);
    expect(whole.done.find(({ command }) => command.key === "told")?.command).toMatchObject({
      scope: { "steps.job.due_at": at("2026-03-03T09:00"), "run.key": "a1" },
    });
  });

  test("a step without a value sets null, without an id records nothing", async () => {
    const bare = planFrom([
      set("stage", { value: fact("account.none") }),
      { ...milestone("x"), id: undefined } as unknown as Step,
    ]);
    const { done, state } = await rehearse(bare);
    expect(done.find(({ command }) => command.kind === "set")?.command).toMatchObject({ value: null });
    expect(state.steps).toEqual({});
  });
});

describe("the guard `if`", () => {
  test("of facts is read, of the run itself is not", async () => {
    const plan = planFrom([
      slack("rich", { if: is("account.arr", 100, ">=") }),
      slack("poor", { if: is("account.arr", 100, "<") }),
      slack("asked", { if: is("run.inputs.reason", "why") }),
      slack("unasked", { if: is("run.inputs.reason", "how") }),
      slack("absent", { if: is("account.nothing", 1) }),
    ]);
    const how = { inputs: { reason: "why" }, facts: [{ at: START, values: { "account.arr": 200 } }] };
    expect(await story({ ...plan, inputs: { reason: { type: "string" } } }, how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 slack.posted rich to=u1
      2026-03-02 09:00 step.skipped poor
      2026-03-02 09:00 slack.posted asked to=u1
      2026-03-02 09:00 step.skipped unasked
      2026-03-02 09:00 step.skipped absent
      2026-03-02 09:00 run.ended outcome=completed"
    `);
    const { done } = await rehearse({ ...plan, inputs: { reason: { type: "string" } } }, how);
    expect(done.filter(({ command }) => command.kind === "read").map(({ command }) => command.key)).toEqual([
      "rich:if",
      "poor:if",
      "absent:if",
    ]);
  });

  test("sees what earlier steps left", async () => {
    const plan = planFrom([
      email("hello"),
      slack("sent", { if: has("steps.hello.sent_at") }),
      slack("skipped", { if: has("steps.hello.skipped") }),
    ]);
    expect(await story(plan)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 email.sent hello to=c1
      2026-03-02 09:00 slack.posted sent to=u1
      2026-03-02 09:00 step.skipped skipped
      2026-03-02 09:00 run.ended outcome=completed"
    `);
  });
});

describe("e-mail", () => {
  const until = at("2026-03-03T09:00");
  const staleAt = at("2026-03-05T09:00");
  const deferred = (at_: number, to = until): Outcome => ({
    kind: "deferred",
    at: at_,
    until: to,
    staleAt,
    reason: "quiet",
    deliveries: [{ contact: "c1", result: "deferred", at: at_, reason: "quiet", until: to }],
  });
  const plan = planFrom([email("hello"), slack("after")]);

  test("deferred, then sent: the step waits", async () => {
    expect(
      await story(plan, {
        answer: (command, now) => (command.kind === "email" && now < until ? deferred(now) : undefined),
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 email.deferred hello to=c1 reason=quiet until=2026-03-03 09:00
      2026-03-03 09:00 email.sent hello to=c1
      2026-03-03 09:00 slack.posted after to=u1
      2026-03-03 09:00 run.ended outcome=completed"
    `);
  });

  test("deferred again and again, then stale: said once per reason and time, and taken back", async () => {
    const how = {
      answer: (command: Command, now: number) =>
        command.kind === "email" ? deferred(now, now < until ? until : at("2026-03-09T09:00")) : undefined,
    };
    expect(await story(plan, how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 email.deferred hello to=c1 reason=quiet until=2026-03-03 09:00
      2026-03-03 09:00 email.deferred hello to=c1 reason=quiet until=2026-03-09 09:00
      2026-03-05 09:00 email.skipped hello reason=stale
      2026-03-05 09:00 slack.posted after to=u1
      2026-03-05 09:00 run.ended outcome=completed"
    `);
    const { done, state } = await rehearse(plan, how);
    expect(done.find(({ command }) => command.kind === "email_withdraw")?.command).toMatchObject({
      email: "hello",
      reason: "stale",
    });
    expect(state.steps["hello"]).toEqual({ skipped: "stale" });
  });

  test("several recipients: what is done is told once, the others later", async () => {
    const plan = planFrom([email("hello")]);
    const first = { contact: "c1", result: "sent", at: START } as const;
    expect(
      await story(plan, {
        answer: (command, now) =>
          command.kind !== "email"
            ? undefined
            : now < until
              ? {
                  ...(deferred(now) as Extract<Outcome, { kind: "deferred" }>),
                  deliveries: [first, { contact: "c2", result: "deferred", at: now, reason: "quiet", until }],
                }
              : { kind: "emailed", at: now, deliveries: [first, { contact: "c2", result: "sent", at: now }] },
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 email.sent hello to=c1
      2026-03-02 09:00 email.deferred hello to=c2 reason=quiet until=2026-03-03 09:00
      2026-03-03 09:00 email.sent hello to=c2
      2026-03-03 09:00 run.ended outcome=completed"
    `);
  });

  test.each<[string, Outcome, object]>([
    ["nobody", { kind: "emailed", at: START, deliveries: [] }, { skipped: "no_contact" }],
    [
      "skipped",
      {
        kind: "emailed",
        at: START,
        deliveries: [{ contact: "c1", result: "skipped", at: START, reason: "unsubscribed" }],
      },
      { skipped: "unsubscribed" },
    ],
    [
      "refused for good",
      { kind: "emailed", at: START, deliveries: [{ contact: "c1", result: "rejected", at: START, reason: "550" }] },
      { bounced: true },
    ],
    [
      "not known",
      { kind: "emailed", at: START, deliveries: [{ contact: "c1", result: "unknown", at: START }] },
      { sent_at: START },
    ],
    [
      "one of two",
      {
        kind: "emailed",
        at: START,
        deliveries: [
          { contact: "c1", result: "skipped", at: START, reason: "no_address" },
          { contact: "c2", result: "sent", at: START, locale: "en" },
        ],
      },
      { sent_at: START },
    ],
  ])("%s: the run goes on", async (_name, outcome, fields) => {
    const { state, timeline } = await rehearse(plan, {
      answer: (command) => (command.kind === "email" ? outcome : undefined),
    });
    expect(state.steps["hello"]).toEqual(fields);
    expect(timeline.at(-2)?.kind).toBe("slack.posted");
  });

  test("replied and bounced later are facts of the step", async () => {
    const plan = planFrom([
      email("hello"),
      slack("ping"),
      wait("pause", "2d"),
      choose("which", [[is("steps.hello.replied", true), [slack("answered")]]]),
    ]);
    const how = {
      events: [
        event("email.replied", "2026-03-03", { step: "hello", key: "hello" }),
        event("email.bounced", "2026-03-03T01:00", { step: "hello" }),
        event("slack.clicked", "2026-03-03T02:00", { step: "ping", action: "open_account" }),
        event("slack.clicked", "2026-03-03T03:00", { step: "ping" }),
        event("email.replied", "2026-03-03T04:00", { step: "gone" }),
        event("email.bounced", "2026-03-03T04:00", {}),
        event("slack.clicked", "2026-03-03T04:00", { step: 5 }),
        event("task.closed", "2026-03-03T04:00", { step: "gone" }),
      ],
    };
    expect(await story(plan, how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 email.sent hello to=c1
      2026-03-02 09:00 slack.posted ping to=u1
      2026-03-02 09:00 wait.began pause until=2026-03-04 09:00
      2026-03-03 00:00 email.replied hello
      2026-03-03 01:00 email.bounced hello
      2026-03-03 02:00 slack.clicked ping action=open_account
      2026-03-03 03:00 slack.clicked ping
      2026-03-04 09:00 wait.over pause
      2026-03-04 09:00 branch.taken which branch=1
      2026-03-04 09:00 slack.posted answered to=u1
      2026-03-04 09:00 run.ended outcome=completed"
    `);
  });
});

describe("task", () => {
  const closed = (when: string, step: string, payload = {}) =>
    event("task.closed", when, {
      step,
      key: step,
      status: "done",
      outcome: "good",
      completed_by: "u1",
      note: "n",
      ...payload,
    });

  test("without `wait` the run goes on; what becomes of it is a fact", async () => {
    const plan = planFrom([
      task("job"),
      wait("pause", "2d"),
      choose("c", [[is("steps.job.outcome", "good"), [slack("good")]]], [slack("bad")]),
    ]);
    expect(await story(plan, { events: [closed("2026-03-03", "job")] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 task.opened job assignee=u1 due=2026-03-03 09:00
      2026-03-02 09:00 wait.began pause until=2026-03-04 09:00
      2026-03-03 00:00 task.closed job status=done outcome=good completed_by=u1
      2026-03-04 09:00 wait.over pause
      2026-03-04 09:00 branch.taken c branch=1
      2026-03-04 09:00 slack.posted good to=u1
      2026-03-04 09:00 run.ended outcome=completed"
    `);
  });

  const waiting = planFrom([
    task("job", { wait: { within: span("2 bd"), otherwise: [slack("late")] } }),
    slack("after"),
  ]);

  test("with `wait` it holds the run until it is closed", async () => {
    expect(await story(waiting, { events: [closed("2026-03-03", "job")] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 task.opened job assignee=u1 due=2026-03-03 09:00
      2026-03-03 00:00 task.closed job status=done outcome=good completed_by=u1
      2026-03-03 00:00 wait_for.met job
      2026-03-03 00:00 slack.posted after to=u1
      2026-03-03 00:00 run.ended outcome=completed"
    `);
  });

  test("or until `within` has passed: then `otherwise`", async () => {
    expect(await story(waiting, { events: [closed("2026-03-05", "job")] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 task.opened job assignee=u1 due=2026-03-03 09:00
      2026-03-04 09:00 wait_for.timed_out job
      2026-03-04 09:00 slack.posted late to=u1
      2026-03-04 09:00 slack.posted after to=u1
      2026-03-04 09:00 run.ended outcome=completed"
    `);
  });

  test("closed at the very instant of the time-out: the event wins", async () => {
    for (const tell of ["perform", "signal", "ahead"] as const) {
      expect(await story(waiting, { tell, events: [closed("2026-03-04T09:00", "job")] })).toContain("wait_for.met job");
    }
  });

  test("cancelled and skipped also end the wait; another's closing does not", async () => {
    expect(
      await story(waiting, {
        events: [
          closed("2026-03-03", "job", { key: "other" }),
          closed("2026-03-03T10:00", "job", { status: "skipped", outcome: "", completed_by: "", note: "" }),
        ],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 task.opened job assignee=u1 due=2026-03-03 09:00
      2026-03-03 10:00 task.closed job status=skipped
      2026-03-03 10:00 wait_for.met job
      2026-03-03 10:00 slack.posted after to=u1
      2026-03-03 10:00 run.ended outcome=completed"
    `);
  });

  test("`due_if`: the first that holds, from facts", async () => {
    const plan = planFrom([
      task("job", {
        dueIf: [
          { if: is("account.arr", 1000, ">"), due: span("4h") },
          { if: is("account.arr", 100, ">"), due: span("1d") },
        ],
      }),
    ]);
    const due = async (arr: number) =>
      (await rehearse(plan, { facts: [{ at: START, values: { "account.arr": arr } }] })).done.find(
        ({ command }) => command.kind === "task",
      )?.command;
    expect(await due(5000)).toMatchObject({ due: span("4h") });
    expect(await due(500)).toMatchObject({ due: span("1d") });
    expect(await due(5)).toMatchObject({ due: span("1 bd") });
  });
});

describe("a further trigger for the live key", () => {
  const inputs = {
    severity: { type: "string" },
    least: { type: "string" },
    reason: { type: "string" },
    detail: { type: "string" },
    size: { type: "number" },
    other: { type: "string", default: "o" },
    flag: { type: "boolean" },
  } as const;
  const plan = planFrom(
    [
      task("job", {
        dueIf: [
          { if: is("run.inputs.severity", "critical"), due: span("4h") },
          { if: is("run.inputs.severity", "high"), due: span("1d") },
        ],
      }),
      task("plain"),
      wait("pause", "5d"),
    ],
    {
      inputs,
      enroll: {
        when: [],
        again: { kind: "per_key" },
        merge: {
          severity: "max",
          least: "min",
          reason: "first",
          detail: "last",
          size: "max",
          flag: "max",
          unset: "last",
        },
        with: {},
      },
    },
  );
  const given = { severity: "low", least: "high", reason: "a", size: 5, flag: true };
  const again = (when: string, payload: Record<string, string | number | boolean>) =>
    event(
      "run.triggered_again",
      when,
      Object.fromEntries(Object.entries(payload).map(([name, value]) => [`input.${name}`, value])),
    );

  test("merges the inputs, each by its rule, and tightens open tasks", async () => {
    const how = {
      inputs: given,
      events: [
        again("2026-03-02T10:00", {
          severity: "high",
          least: "critical",
          reason: "b",
          detail: "d",
          size: 7,
          other: "x",
          flag: false,
        }),
        again("2026-03-02T11:00", { severity: "medium", least: "low", reason: "c", detail: "e", size: 3 }),
        again("2026-03-02T12:00", { severity: "critical" }),
      ],
      answer: (command: Command, now: number): Outcome | undefined =>
        command.kind === "task_tighten"
          ? command.key.endsWith(":1")
            ? { kind: "task_opened", at: now, task: command.task, assignee: "u1", due: now + 86_400_000 }
            : { kind: "done", at: now }
          : undefined,
    };
    expect(await story(plan, how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 task.opened job assignee=u1 due=2026-03-03 09:00
      2026-03-02 09:00 task.opened plain assignee=u1 due=2026-03-03 09:00
      2026-03-02 09:00 wait.began pause until=2026-03-07 09:00
      2026-03-02 10:00 run.triggered_again severity=high least=high reason=a size=7 flag=true detail=d
      2026-03-02 10:00 task.tightened job due=2026-03-03 10:00
      2026-03-02 11:00 run.triggered_again severity=high least=low reason=a size=7 flag=true detail=e
      2026-03-02 12:00 run.triggered_again severity=critical least=low reason=a size=7 flag=true detail=e
      2026-03-07 09:00 wait.over pause
      2026-03-07 09:00 run.ended outcome=completed"
    `);
    const { state, done } = await rehearse(plan, how);
    expect(state.inputs).toEqual({
      severity: "critical",
      least: "low",
      reason: "a",
      detail: "e",
      size: 7,
      other: "o",
      flag: true,
    });
    expect(
      done
        .filter(({ command }) => command.kind === "task_tighten")
        .map(({ command }) => [command.key, command.path, (command as { due: object }).due]),
    ).toEqual([
      ["!tighten:task-job:1", "job", span("1d")],
      ["!tighten:task-job:0", "job", span("4h")],
    ]);
  });

  test("a closed task is left alone", async () => {
    const how = {
      inputs: given,
      events: [
        event("task.closed", "2026-03-02T09:30", { step: "job", key: "job", status: "done" }),
        again("2026-03-02T10:00", { severity: "high" }),
      ],
    };
    expect((await rehearse(plan, how)).done.some(({ command }) => command.kind === "task_tighten")).toBe(false);
  });
});

describe("play", () => {
  const child = (when: string, run: string, outcome = "recovered") =>
    event("run.ended", when, { run, playbook: "rescue", outcome });

  test("passes values on, goes on, and hears of the end", async () => {
    const plan = planFrom([
      play("rescue", { with: { reason: fact("account.reason"), key: fact("run.key"), none: fact("account.none") } }),
      wait("pause", "2d"),
    ]);
    const how = {
      facts: [{ at: START, values: { "account.reason": "why" } }],
      events: [
        child("2026-03-03", "run-rescue"),
        child("2026-03-03T01:00", "run-rescue"),
        child("2026-03-03T02:00", "other"),
      ],
    };
    expect(await story(plan, how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 play.started rescue playbook=rescue
      2026-03-02 09:00 wait.began pause until=2026-03-04 09:00
      2026-03-03 00:00 play.ended rescue outcome=recovered
      2026-03-04 09:00 wait.over pause
      2026-03-04 09:00 run.ended outcome=completed"
    `);
    const { done, state } = await rehearse(plan, how);
    expect(done.find(({ command }) => command.kind === "play")?.command).toMatchObject({
      inputs: { reason: "why", key: "a1" },
    });
    expect(state.steps["rescue"]).toEqual({ run: "run-rescue", ended: true, outcome: "recovered" });
  });

  const waiting = planFrom([
    play("rescue", { wait: { within: span("10d"), otherwise: [slack("late")] } }),
    slack("after"),
  ]);

  test("waits for the end", async () => {
    expect(await story(waiting, { events: [child("2026-03-04", "run-rescue")] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 play.started rescue playbook=rescue
      2026-03-04 00:00 play.ended rescue outcome=recovered
      2026-03-04 00:00 wait_for.met rescue
      2026-03-04 00:00 slack.posted after to=u1
      2026-03-04 00:00 run.ended outcome=completed"
    `);
  });

  test("or no longer than `within`", async () => {
    expect(await story(waiting, { events: [child("2026-03-04", "other")] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 play.started rescue playbook=rescue
      2026-03-12 09:00 wait_for.timed_out rescue
      2026-03-12 09:00 slack.posted late to=u1
      2026-03-12 09:00 slack.posted after to=u1
      2026-03-12 09:00 run.ended outcome=completed"
    `);
  });

  test("refused: the run goes on and does not wait", async () => {
    expect(
      await story(waiting, {
        answer: (command, now) =>
          command.kind === "play" ? { kind: "played", at: now, run: null, refused: "again" } : undefined,
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 play.refused rescue playbook=rescue reason=again
      2026-03-02 09:00 slack.posted after to=u1
      2026-03-02 09:00 run.ended outcome=completed"
    `);
  });
});

test("health without a score", async () => {
  const plan = planFrom([
    { kind: "health", id: "pulse", path: "" },
    choose("c", [[is("steps.pulse.status", "unknown"), [slack("unknown")]]]),
  ]);
  expect(
    await story(plan, {
      answer: (command, now) =>
        command.kind === "health" ? { kind: "measured", at: now, score: null, status: "unknown" } : undefined,
    }),
  ).toMatchInlineSnapshot(`
    "2026-03-02 09:00 health.measured pulse status=unknown
    2026-03-02 09:00 branch.taken c branch=1
    2026-03-02 09:00 slack.posted unknown to=u1
    2026-03-02 09:00 run.ended outcome=completed"
  `);
});

test("a playbook that pauses others takes its holds first, without holding up its own steps", async () => {
  const { done } = await rehearse(planFrom([slack("x")], { pauses: ["qbr"] }));
  expect(done.map(({ command }) => command.key)).toEqual(["!hold", "x", "!close"]);
});

test("the outcome of an effect may be later than it was asked for: the run's clock goes on from there", async () => {
  const plan = planFrom([slack("x"), wait("pause", "1h")]);
  expect(
    await story(plan, {
      answer: (command, now) => (command.kind === "slack" ? { kind: "posted", at: now + 60_000, to: "u1" } : undefined),
    }),
  ).toMatchInlineSnapshot(`
    "2026-03-02 09:01 slack.posted x to=u1
    2026-03-02 09:01 wait.began pause until=2026-03-02 10:01
    2026-03-02 10:01 wait.over pause
    2026-03-02 10:01 run.ended outcome=completed"
  `);
});

test("an answer of the wrong kind is a fault, not a guess", async () => {
  const wrong: [Step, Command["kind"]][] = [
    [email("e"), "email"],
    [slack("e"), "slack"],
    [task("e"), "task"],
    [play("e"), "play"],
    [{ kind: "health", id: "e", path: "" }, "health"],
    [wait("e", "1d"), "resolve"],
    [slack("e", { if: fact("account.x") }), "read"],
    [choose("e", [[fact("account.x"), []]]), "read"],
  ];
  for (const [step, kind] of wrong) {
    await expect(
      rehearse(planFrom([step]), {
        answer: (command, now) =>
          command.kind === kind ? { kind: kind === "slack" ? "done" : "posted", at: now, to: "" } : undefined,
      }),
      kind,
    ).rejects.toThrow(`was answered with`);
  }
  await expect(
    rehearse(planFrom([slack("e")], { exits: [{ if: fact("account.x"), outcome: "o" }] }), {
      answer: (command, now) => (command.key === "!exits" ? { kind: "done", at: now } : undefined),
    }),
  ).rejects.toThrow("!exits (read) was answered with done");
});

test("an empty plan is over at once, an empty branch too", async () => {
  expect(await story(planFrom([]))).toBe("2026-03-02 09:00 run.ended outcome=completed");
  expect(await story(planFrom([parallel("p", { a: [], b: [slack("x")] })]))).toContain("slack.posted x");
});

test("a step's texts and questions go with its command, a mail's own limit too", async () => {
  const plan = planFrom([
    email("hello", { sendWithin: span("1 bd"), template: "gone" }),
    task("job", { text: "Ask them", ask: "note" }),
    { kind: "risk", id: "danger", path: "", risk: "stalled", severity: "high", text: "Why" },
    { kind: "opportunity", id: "chance", path: "", opportunity: "seats", text: "More" },
  ]);
  const { done } = await rehearse(plan);
  expect(done.map(({ command }) => command)).toMatchObject([
    { kind: "email", sendWithin: { amount: 1, unit: "bd" }, locales: {} },
    { kind: "task", text: "Ask them", ask: "note" },
    { kind: "risk", severity: "high", text: "Why" },
    { kind: "opportunity", opportunity: "seats", text: "More" },
    { kind: "close" },
  ]);
});

test.each<[Command["kind"], Step, Outcome]>([
  ["email", email("x"), { kind: "done", at: START }],
  ["slack", slack("x"), { kind: "done", at: START }],
  ["task", task("x"), { kind: "done", at: START }],
  ["health", { kind: "health", id: "x", path: "" }, { kind: "posted", at: START, to: "u1" }],
  ["play", play("x"), { kind: "read", at: START, facts: {} }],
  ["resolve", wait("x", "1 bd"), { kind: "done", at: START }],
  ["read", slack("x", { if: is("account.arr", 1) }), { kind: "done", at: START }],
])("an answer of another kind to `%s` is a fault, never guessed at", async (kind, step, answer) => {
  const rehearsal = rehearse(planFrom([step]), { answer: (command) => (command.kind === kind ? answer : undefined) });
  await expect(rehearsal).rejects.toThrow(new RegExp(`\\(${kind}\\) was answered with ${answer.kind}`));
});
