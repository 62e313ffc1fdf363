import { describe, expect, test } from "vitest";
import type { Condition } from "../../src/engine/plan.js";
import { email, has, is, on, parallel, planFrom, repeat, slack, span, task, wait, waitFor, whenever } from "./plans.js";
import { at, event, rehearse, START, story } from "./rehearse.js";

const any = (...of: Condition[]): Condition => ({ kind: "any", of });
const all = (...of: Condition[]): Condition => ({ kind: "all", of });
const booked = (when: string, kind = "kickoff", more = {}) => event("meeting.booked", when, { kind }, more);
const kickoff = on("meeting.booked", { where: is("event.kind", "kickoff") });
const fields = async (...args: Parameters<typeof rehearse>) => (await rehearse(...args)).state.steps;

describe("wait_for an event", () => {
  const plan = planFrom([waitFor("go", kickoff, "5 bd", [slack("late")]), slack("then")]);

  test("goes on with the first that matches; its fields are facts of the step", async () => {
    const how = { events: [booked("2026-03-03", "review"), booked("2026-03-03T10:00"), booked("2026-03-03T11:00")] };
    expect(await story(plan, how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait_for.began go until=2026-03-09 09:00
      2026-03-03 10:00 wait_for.met go event=meeting.booked event_at=2026-03-03 10:00
      2026-03-03 10:00 slack.posted then to=u1
      2026-03-03 10:00 run.ended outcome=completed"
    `);
    expect((await fields(plan, how))["go"]).toEqual({
      timed_out: false,
      met_at: at("2026-03-03T10:00"),
      "event.at": at("2026-03-03T10:00"),
      "event.kind": "kickoff",
    });
  });

  test("else `otherwise`, after which it falls through", async () => {
    expect(
      await story(plan, { events: [booked("2026-03-09T09:00:01Z".slice(0, 16).replace("09:00", "09:01"))] }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait_for.began go until=2026-03-09 09:00
      2026-03-09 09:00 wait_for.timed_out go
      2026-03-09 09:00 slack.posted late to=u1
      2026-03-09 09:00 slack.posted then to=u1
      2026-03-09 09:00 run.ended outcome=completed"
    `);
    expect((await fields(plan))["go"]).toEqual({ timed_out: true });
  });

  test.each(["perform", "signal", "ahead"] as const)(
    "at the instant of the time-out the event wins (%s)",
    async (tell) => {
      expect(await story(plan, { tell, events: [booked("2026-03-09T09:00")] })).toContain(
        "2026-03-09 09:00 wait_for.met go",
      );
    },
  );

  test("`where` over facts: they are read for each event, and once more at the end", async () => {
    const plan = planFrom([
      waitFor(
        "go",
        on("paid", {
          where: { op: "==", left: { op: "fact", path: "event.contract" }, right: { op: "fact", path: "contract.id" } },
        }),
        "3d",
      ),
    ]);
    const how = {
      facts: [{ at: START, values: { "contract.id": "k1" } }],
      events: [event("paid", "2026-03-03", { contract: "k2" }), event("paid", "2026-03-04", { contract: "k1" })],
    };
    expect(await story(plan, how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait_for.began go until=2026-03-05 09:00
      2026-03-04 00:00 wait_for.met go event=paid event_at=2026-03-04 00:00
      2026-03-04 00:00 run.ended outcome=completed"
    `);
  });

  test("since: start (the default) sees what came before the wait; since: wait does not", async () => {
    const seen = (since: "start" | "wait") => planFrom([wait("pause", "1d"), waitFor("go", on("x", { since }), "2d")]);
    expect(await story(seen("start"), { events: [event("x", "2026-03-02T10:00")] })).toContain(
      "2026-03-03 09:00 wait_for.met go",
    );
    expect(await story(seen("wait"), { events: [event("x", "2026-03-02T10:00")] })).toContain("wait_for.timed_out go");
    expect(await story(seen("wait"), { events: [event("x", "2026-03-02T10:00"), event("x", "2026-03-04")] })).toContain(
      "2026-03-04 00:00 wait_for.met go",
    );
  });

  test("since: wait does not see an event of the very instant that was handled before the wait began", async () => {
    const plan = planFrom([waitFor("first", on("x"), "2d"), waitFor("second", on("x", { since: "wait" }), "2d")]);
    expect(await story(plan, { events: [event("x", "2026-03-03")] })).toContain("wait_for.timed_out second");
  });

  test("one event serves several steps, each once", async () => {
    const plan = planFrom([
      waitFor("first", on("x"), "2d"),
      waitFor("second", on("x"), "2d"),
      parallel("p", { a: [waitFor("third", on("x"), "2d")], b: [waitFor("fourth", on("x"), "2d")] }),
    ]);
    expect(await story(plan, { events: [event("x", "2026-03-03")] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait_for.began first until=2026-03-04 09:00
      2026-03-03 00:00 wait_for.met first event=x event_at=2026-03-03 00:00
      2026-03-03 00:00 wait_for.began second until=2026-03-05 00:00
      2026-03-03 00:00 wait_for.met second event=x event_at=2026-03-03 00:00
      2026-03-03 00:00 wait_for.began third until=2026-03-05 00:00
      2026-03-03 00:00 wait_for.met third event=x event_at=2026-03-03 00:00
      2026-03-03 00:00 wait_for.began fourth until=2026-03-05 00:00
      2026-03-03 00:00 wait_for.met fourth event=x event_at=2026-03-03 00:00
      2026-03-03 00:00 run.ended outcome=completed"
    `);
  });

  test("in a repeat, since: start means this round", async () => {
    const plan = planFrom([repeat("r", "1d", 3, [waitFor("go", on("x"), "1h")])]);
    expect(
      await story(plan, { events: [event("x", "2026-03-03T08:59"), event("x", "2026-03-03T09:30")] }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 repeat.began r count=1
      2026-03-02 09:00 wait_for.began go[r#1/steps/go] until=2026-03-02 10:00
      2026-03-02 10:00 wait_for.timed_out go[r#1/steps/go]
      2026-03-03 09:00 repeat.began r count=2
      2026-03-03 09:00 wait_for.began go[r#2/steps/go] until=2026-03-03 10:00
      2026-03-03 09:30 wait_for.met go[r#2/steps/go] event=x event_at=2026-03-03 09:30
      2026-03-04 09:00 repeat.began r count=3
      2026-03-04 09:00 wait_for.began go[r#3/steps/go] until=2026-03-04 10:00
      2026-03-04 10:00 wait_for.timed_out go[r#3/steps/go]
      2026-03-04 10:00 run.ended outcome=completed"
    `);
  });

  test("a late event still meets the wait, is marked, and undoes nothing", async () => {
    const how = {
      events: [
        booked("2026-03-03", "kickoff", { toldAt: at("2026-03-05") }),
        booked("2026-03-04", "kickoff", { toldAt: at("2026-03-20") }),
      ],
    };
    const plan = planFrom([
      slack("before"),
      wait("pause", "3d"),
      waitFor("go", kickoff, "2d", [slack("late")]),
      wait("rest", "30d"),
    ]);
    expect(await story(plan, { ...how, tell: "perform" })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 slack.posted before to=u1
      2026-03-02 09:00 wait.began pause until=2026-03-05 09:00
      2026-03-05 09:00 wait.over pause
      2026-03-05 09:00 wait_for.began go until=2026-03-07 09:00
      2026-03-05 09:00 wait_for.met go event=meeting.booked event_at=2026-03-03 00:00
      2026-03-05 09:00 wait.began rest until=2026-04-04 09:00
      2026-03-05 09:00 event.late event=meeting.booked event_at=2026-03-04 00:00
      2026-04-04 09:00 wait.over rest
      2026-04-04 09:00 run.ended outcome=completed"
    `);
  });
});

describe("wait_for a condition", () => {
  const plan = planFrom([waitFor("rich", whenever(is("account.arr", 100, ">=")), "5d", [slack("poor")])]);
  const changed = (when: string, ...paths: string[]) => event("facts.changed", when, {}, { changed: paths });

  test("that holds already is met at once", async () => {
    expect(await story(plan, { facts: [{ at: START, values: { "account.arr": 100 } }] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait_for.began rich until=2026-03-07 09:00
      2026-03-02 09:00 wait_for.met rich
      2026-03-02 09:00 run.ended outcome=completed"
    `);
  });

  test("is looked at when one of its facts changes", async () => {
    const how = {
      facts: [{ at: at("2026-03-04"), values: { "account.arr": 200 } }],
      events: [changed("2026-03-03", "account.other"), changed("2026-03-04", "account.arr")],
    };
    expect(await story(plan, how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait_for.began rich until=2026-03-07 09:00
      2026-03-04 00:00 wait_for.met rich
      2026-03-04 00:00 run.ended outcome=completed"
    `);
    expect((await rehearse(plan, how)).done.filter(({ command }) => command.kind === "read")).toHaveLength(2);
  });

  test("and a last time before it times out, though nothing was said", async () => {
    expect(
      await story(plan, { facts: [{ at: at("2026-03-05"), values: { "account.arr": 200 } }] }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait_for.began rich until=2026-03-07 09:00
      2026-03-07 09:00 wait_for.met rich
      2026-03-07 09:00 run.ended outcome=completed"
    `);
    expect(await story(plan, {})).toContain("2026-03-07 09:00 wait_for.timed_out rich");
  });

  test("over the run's own story: a task's outcome, a reply, the inputs", async () => {
    const plan = planFrom(
      [
        task("job"),
        email("hello"),
        parallel("p", {
          a: [waitFor("done", whenever(is("steps.job.outcome", "good")), "5d")],
          b: [waitFor("answered", whenever(is("steps.hello.replied", true)), "5d")],
          c: [waitFor("severe", whenever(is("run.inputs.severity", "high")), "5d")],
        }),
      ],
      {
        inputs: { severity: { type: "string", default: "low" } },
        enroll: { when: [], again: { kind: "per_key" }, merge: { severity: "max" }, with: {} },
      },
    );
    expect(
      await story(plan, {
        events: [
          event("task.closed", "2026-03-03", { step: "job", key: "job", status: "done", outcome: "good" }),
          event("email.replied", "2026-03-04", { step: "hello" }),
          event("run.triggered_again", "2026-03-05", { "input.severity": "high" }),
        ],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 task.opened job assignee=u1 due=2026-03-03 09:00
      2026-03-02 09:00 email.sent hello to=c1
      2026-03-02 09:00 wait_for.began done until=2026-03-07 09:00
      2026-03-02 09:00 wait_for.began answered until=2026-03-07 09:00
      2026-03-02 09:00 wait_for.began severe until=2026-03-07 09:00
      2026-03-03 00:00 task.closed job status=done outcome=good
      2026-03-03 00:00 wait_for.met done
      2026-03-04 00:00 email.replied hello
      2026-03-04 00:00 wait_for.met answered
      2026-03-05 00:00 run.triggered_again severity=high
      2026-03-05 00:00 wait_for.met severe
      2026-03-05 00:00 run.ended outcome=completed"
    `);
  });
});

describe("wait_for a task, a reply", () => {
  test("opened and sent earlier", async () => {
    const plan = planFrom([
      task("job"),
      email("hello"),
      waitFor("done", { kind: "task", step: "job" }, "5d"),
      waitFor("reply", { kind: "reply", step: "hello" }, "5d"),
      waitFor("none", { kind: "task", step: "nowhere" }, "1h"),
    ]);
    expect(
      await story(plan, {
        events: [
          event("email.replied", "2026-03-03", { step: "hello" }),
          event("task.closed", "2026-03-04", { step: "job", key: "job", status: "cancelled" }),
        ],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 task.opened job assignee=u1 due=2026-03-03 09:00
      2026-03-02 09:00 email.sent hello to=c1
      2026-03-02 09:00 wait_for.began done until=2026-03-07 09:00
      2026-03-03 00:00 email.replied hello
      2026-03-04 00:00 task.closed job status=cancelled
      2026-03-04 00:00 wait_for.met done
      2026-03-04 00:00 wait_for.began reply until=2026-03-09 00:00
      2026-03-04 00:00 wait_for.met reply
      2026-03-04 00:00 wait_for.began none until=2026-03-04 01:00
      2026-03-04 01:00 wait_for.timed_out none
      2026-03-04 01:00 run.ended outcome=completed"
    `);
  });

  test("a reply while waiting for it", async () => {
    const plan = planFrom([email("hello"), waitFor("reply", { kind: "reply", step: "hello" }, "5d")]);
    expect(
      await story(plan, {
        events: [event("other", "2026-03-03"), event("email.replied", "2026-03-04", { step: "hello" })],
      }),
    ).toContain("2026-03-04 00:00 wait_for.met reply");
  });
});

describe("any and all", () => {
  const facts = [{ at: at("2026-03-06"), values: { "account.arr": 200 } }];
  const changed = event("facts.changed", "2026-03-06", {}, { changed: ["account.arr"] });
  const rich = whenever(is("account.arr", 100, ">="));

  test.each<[string, Condition, string]>([
    ["any of events", any(on("x"), on("y")), "2026-03-03 00:00 met"],
    ["any with a condition over facts", any(on("z"), rich), "2026-03-06 00:00 met"],
    ["all of two events, whichever comes first", all(on("y"), on("x")), "2026-03-04 00:00 met"],
    ["all with a condition that is true later", all(on("x"), rich), "2026-03-06 00:00 met"],
    ["all of two of the same: two events", all(on("x"), on("x")), "2026-03-05 00:00 met"],
    ["any inside all", all(any(on("x"), on("z")), on("y")), "2026-03-04 00:00 met"],
    ["all inside all", all(all(on("x"), on("y")), rich), "2026-03-06 00:00 met"],
    ["all of what never comes", all(on("x"), on("never")), "2026-03-12 09:00 timed_out"],
    ["all with a task", all(on("x"), { kind: "task", step: "job" }), "2026-03-07 00:00 met"],
    ["any with a reply", any(on("never"), { kind: "reply", step: "hello" }), "2026-03-08 00:00 met"],
  ])("%s", async (_name, condition, expected) => {
    const plan = planFrom([task("job"), email("hello"), waitFor("go", condition, "10d")], {
      listens: { events: ["x", "y", "z"], facts: [] },
    });
    const events = [
      event("x", "2026-03-03"),
      event("y", "2026-03-04"),
      event("x", "2026-03-05"),
      changed,
      event("task.closed", "2026-03-07", { step: "job", key: "job", status: "done" }),
      event("email.replied", "2026-03-08", { step: "hello" }),
    ];
    for (const tell of ["perform", "signal", "ahead"] as const) {
      for (const continues of [false, true]) {
        const line = (await story(plan, { facts, events, tell, continues }))
          .split("\n")
          .find((one) => /wait_for\.(met|timed)/.test(one));
        const [, date, time, what] = /^(\S+) (\S+) wait_for\.(\w+)/.exec(line ?? "") ?? [];
        expect(`${date} ${time} ${what}`, `${tell} ${continues}`).toBe(expected);
      }
    }
  });

  test("`all`'s fields are those of the event that completed it, and its parts are remembered", async () => {
    const plan = planFrom([waitFor("go", all(on("x"), on("y")), "10d")]);
    expect(
      (await fields(plan, { events: [event("y", "2026-03-03", { n: 1 }), event("x", "2026-03-04", { n: 2 })] }))["go"],
    ).toMatchObject({ "event.n": 2 });
  });
});

describe("within", () => {
  test("of working days is resolved, and its wait can be met while it is", async () => {
    const plan = planFrom([waitFor("go", on("x"), "1 bd", [slack("late")])]);
    expect(await story(plan, { events: [event("x", START)] })).toContain("wait_for.met go");
  });

  test("moves with the zone", async () => {
    const plan = planFrom([waitFor("go", on("x"), "7d")]);
    expect(
      await story(plan, {
        facts: [{ at: at("2026-03-03"), values: { "account.timezone": "America/New_York" } }],
        events: [event("facts.changed", "2026-03-03", {}, { changed: ["account.timezone"] })],
      }),
    ).toContain("2026-03-09 08:00 wait_for.timed_out go");
  });

  test("with facts, zone moved, and nothing told: resolved and read at once when it fires", async () => {
    const plan = planFrom([waitFor("go", whenever(has("account.x")), "7d")]);
    const facts = [{ at: at("2026-03-03"), values: { "account.timezone": "Asia/Tokyo" } }];
    expect(
      await story(plan, { facts: [{ at: START, values: { "account.timezone": "America/New_York" } }, ...facts] }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait_for.began go until=2026-03-09 08:00
      2026-03-09 09:00 wait_for.timed_out go
      2026-03-09 09:00 run.ended outcome=completed"
    `);
  });
});

test("a task's and a play's own wait look at nothing else", async () => {
  const plan = planFrom([
    parallel("p", {
      a: [task("job", { wait: { within: span("2 bd"), otherwise: [] } })],
      b: [
        {
          kind: "play",
          id: "rescue",
          path: "",
          playbook: "r",
          with: {},
          wait: { within: span("3 bd"), otherwise: [] },
        },
      ],
    }),
  ]);
  expect(
    await story(plan, {
      events: [
        event("x", "2026-03-03"),
        event("run.ended", "2026-03-03", { run: "else", outcome: "o" }),
        event("task.closed", "2026-03-03", { step: "rescue", status: "done" }),
      ],
    }),
  ).toMatchInlineSnapshot(`
    "2026-03-02 09:00 task.opened job assignee=u1 due=2026-03-03 09:00
    2026-03-02 09:00 play.started rescue playbook=r
    2026-03-04 09:00 wait_for.timed_out job
    2026-03-05 09:00 wait_for.timed_out rescue
    2026-03-05 09:00 run.ended outcome=completed"
  `);
});

test.each([
  [["x", "y"], "any of two alls: the alternatives share an event", "wait_for.met w"],
  [["x", "z"], "any of two alls: the first", "wait_for.met w"],
  [["z", "y"], "any of two alls: neither is whole", "wait_for.timed_out w"],
])("%j: %s", async (names, _what, expected) => {
  const both = (a: string, b: string): Condition => ({ kind: "all", of: [on(a), on(b)] });
  const plan = planFrom([waitFor("w", { kind: "any", of: [both("x", "z"), both("x", "y")] }, "100h")]);
  const events = names.map((name, i) => event(name, START + (i + 1) * 3_600_000));
  expect(await story(plan, { events })).toContain(expected);
});

test.each([
  [1, "wait_for.timed_out w"],
  [2, "wait_for.met w"],
])("an `all` needs an event for each part, also where one part is an `any`: %i", async (count, expected) => {
  const plan = planFrom([
    waitFor("w", { kind: "all", of: [{ kind: "any", of: [on("x"), on("y")] }, on("x")] }, "100h"),
  ]);
  const events = Array.from({ length: count }, (_, i) => event("x", START + (i + 1) * 3_600_000));
  expect(await story(plan, { events })).toContain(expected);
});
