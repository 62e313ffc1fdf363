import { describe, expect, test } from "vitest";
import type { Command, Outcome } from "../../src/engine/command.js";
import { newRun } from "../../src/engine/advance.js";
import type { Step } from "../../src/engine/plan.js";
import { follow } from "../../src/engine/stretch.js";
import {
  around,
  choose,
  email,
  end,
  fact,
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
import { at, event, rehearse, RUN, START, story } from "./rehearse.js";

describe("choose", () => {
  const plan = planFrom([
    choose(
      "which",
      [
        [is("account.arr", 100, ">="), [slack("big")]],
        [is("account.arr", 10, ">="), [slack("middle"), slack("more")]],
      ],
      [slack("small")],
    ),
    slack("then"),
  ]);

  test.each([
    [500, "1", "big"],
    [50, "2", "middle"],
    [5, "else", "small"],
    [undefined, "else", "small"],
  ])("arr %s: branch %s", async (arr, branch, step) => {
    const told = await story(plan, { facts: [{ at: START, values: { "account.arr": arr } }] });
    expect(told).toContain(`branch.taken which branch=${branch}\n2026-03-02 09:00 slack.posted ${step}`);
    expect(told).toContain("slack.posted then");
  });

  test("keeps the facts it decided by", async () => {
    const { timeline } = await rehearse(plan, { facts: [{ at: START, values: { "account.arr": 50 } }] });
    expect(timeline.find(({ kind }) => kind === "branch.taken")?.facts).toEqual({ "account.arr": 50 });
  });

  test("an empty branch and nested ones fall through", async () => {
    const nested = planFrom([
      choose("a", [[is("run.key", "a1"), [choose("b", [[is("run.key", "no"), [slack("no")]]], [])]]]),
      slack("then"),
    ]);
    expect(await story(nested)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 branch.taken a branch=1
      2026-03-02 09:00 branch.taken b branch=else
      2026-03-02 09:00 slack.posted then to=u1
      2026-03-02 09:00 run.ended outcome=completed"
    `);
  });
});

describe("parallel", () => {
  test("all: goes on when the last branch is over", async () => {
    const plan = planFrom([
      parallel("p", { slow: [wait("three", "3d"), slack("x")], quick: [slack("y")], none: [] }),
      slack("then"),
    ]);
    expect(await story(plan)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began three until=2026-03-05 09:00
      2026-03-02 09:00 slack.posted y to=u1
      2026-03-05 09:00 wait.over three
      2026-03-05 09:00 slack.posted x to=u1
      2026-03-05 09:00 slack.posted then to=u1
      2026-03-05 09:00 run.ended outcome=completed"
    `);
  });

  test("any: the first one over withdraws the others, however deep, with their mail and tasks", async () => {
    const plan = planFrom([
      parallel(
        "p",
        {
          watch: [waitFor("gone", on("x"), "30d", [end("nothing")])],
          work: [
            parallel("inner", {
              mail: [choose("c", [], [email("late")])],
              job: [repeat("r", "1d", 3, [task("job")])],
              held: [task("held", { wait: { within: span("20d"), otherwise: [] } })],
              child: [
                {
                  kind: "play",
                  id: "child",
                  path: "",
                  playbook: "q",
                  with: {},
                  wait: { within: span("20d"), otherwise: [] },
                },
              ],
              dates: [around("dates", "account.day", [["0d", slack("day")]])],
              closed: [task("closed"), wait("long", "30d")],
            }),
          ],
        },
        "any",
      ),
      slack("then"),
    ]);
    const how = {
      events: [
        event("task.closed", "2026-03-02T12:00", { step: "closed", key: "p/work/inner/closed/closed", status: "done" }),
        event("x", "2026-03-03T12:00"),
      ],
      facts: [{ at: START, values: { "account.day": at("2026-03-20") } }],
      answer: (command: Command, now: number): Outcome | undefined =>
        command.kind === "email"
          ? {
              kind: "deferred",
              at: now,
              until: at("2026-03-04"),
              staleAt: at("2026-03-05"),
              reason: "capped",
              deliveries: [{ contact: "c1", result: "deferred", at: now, until: at("2026-03-04"), reason: "capped" }],
            }
          : undefined,
    };
    expect(await story(plan, how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 branch.taken c branch=else
      2026-03-02 09:00 repeat.began r count=1
      2026-03-02 09:00 wait_for.began gone until=2026-04-01 09:00
      2026-03-02 09:00 email.deferred late to=c1 reason=capped until=2026-03-04 00:00
      2026-03-02 09:00 task.opened job[p/work/inner/job/r#1/steps/job] assignee=u1 due=2026-03-03 09:00
      2026-03-02 09:00 task.opened held assignee=u1 due=2026-03-03 09:00
      2026-03-02 09:00 play.started child playbook=q
      2026-03-02 09:00 around.armed day[p/work/inner/dates/dates] due=2026-03-20 00:00
      2026-03-02 09:00 task.opened closed assignee=u1 due=2026-03-03 09:00
      2026-03-02 09:00 wait.began long until=2026-04-01 09:00
      2026-03-02 12:00 task.closed closed status=done
      2026-03-03 09:00 repeat.began r count=2
      2026-03-03 09:00 task.opened job[p/work/inner/job/r#2/steps/job] assignee=u1 due=2026-03-04 09:00
      2026-03-03 12:00 wait_for.met gone event=x event_at=2026-03-03 12:00
      2026-03-03 12:00 slack.posted then to=u1
      2026-03-03 12:00 run.ended outcome=completed"
    `);
    const { done, state } = await rehearse(plan, how);
    expect(
      done
        .filter(({ command }) => command.key.startsWith("!"))
        .map(({ command }) => ("email" in command ? command.email : "task" in command ? command.task : command.kind)),
    ).toEqual([
      "p/work/inner/mail/c/else/late",
      "task-p/work/inner/job/r#1/steps/job",
      "task-p/work/inner/held/held",
      "task-p/work/inner/job/r#2/steps/job",
      "close",
    ]);
    expect(state.positions).toEqual({});
  });

  test("any: mail that a server would not take at once is withdrawn, too", () => {
    const plan = planFrom([
      parallel("p", { watch: [waitFor("gone", on("x"), "30d", [])], mail: [email("now")] }, "any"),
    ]);
    const asks = follow(plan, newRun(plan, RUN), { kind: "start", at: START }, []);
    expect(asks.commands.map(({ kind }) => kind)).toEqual(["resolve", "email"]);
    const armed = { kind: "resolved", at: at("2026-04-01") } as const;
    const tried = follow(plan, asks.state, { kind: "performed", key: asks.commands[0]?.key ?? "", outcome: armed }, []);
    const told = follow(plan, tried.state, { kind: "event", event: event("x", "2026-03-02T09:00") }, []);
    expect(told.commands.map((command) => ("email" in command ? command.email : command.kind))).toEqual([
      "p/mail/now",
      "close",
    ]);
  });

  test("any: a branch that is empty is over before anything is done", async () => {
    const plan = planFrom([parallel("p", { first: [], second: [slack("x")] }, "any"), slack("then")]);
    expect(await story(plan)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 slack.posted then to=u1
      2026-03-02 09:00 run.ended outcome=completed"
    `);
  });

  test("a branch may end the run before the next begins", async () => {
    expect(
      await story(planFrom([parallel("p", { first: [end("over")], second: [slack("x")] })])),
    ).toMatchInlineSnapshot(`"2026-03-02 09:00 run.ended p/first/end-1 outcome=over"`);
  });

  test("any: what failed in a withdrawn branch needs attention no longer", async () => {
    const missing = (id: string) => waitUntil(id, "account.day", { onMissing: "fail" });
    const plan = planFrom([
      parallel("p", { broken: [missing("bad")], broken_too: [missing("worse")], fine: [wait("pause", "1d")] }, "any"),
      wait("rest", "1d"),
    ]);
    expect(await story(plan)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 run.parked bad reason=the date to wait for is missing
      2026-03-02 09:00 run.parked worse reason=the date to wait for is missing
      2026-03-02 09:00 wait.began pause until=2026-03-03 09:00
      2026-03-03 09:00 wait.over pause
      2026-03-03 09:00 wait.began rest until=2026-03-04 09:00
      2026-03-04 09:00 wait.over rest
      2026-03-04 09:00 run.ended outcome=completed"
    `);
    expect((await rehearse(plan)).state.parked).toBeUndefined();
  });

  test("any, inside another: what failed outside still needs attention", async () => {
    const plan = planFrom([
      parallel("p", {
        inner: [parallel("q", { broken: [slack("bad")], fine: [wait("pause", "1d")] }, "any"), wait("more", "1d")],
        outer: [wait("hour", "1h"), slack("worse")],
      }),
    ]);
    const { state } = await rehearse(plan, {
      until: at("2026-03-10"),
      answer: (command, now) =>
        command.kind === "slack" ? { kind: "failed", at: now, reason: `no ${command.step}` } : undefined,
      events: [event("run.retry", "2026-03-02T11:00"), event("run.retry", "2026-03-02T10:30")],
    });
    expect(state.parked).toMatchObject({ key: "p/outer/worse", reason: "no worse" });
  });
});

describe("repeat", () => {
  const asked = (until?: Parameters<typeof repeat>[4], times = 3) =>
    planFrom([
      repeat("r", "2d", times, [task("t", { wait: { within: span("1d"), otherwise: [] } }), slack("s")], until),
      slack("then"),
    ]);

  test("at most `times`, counted from each round's beginning", async () => {
    expect(await story(asked())).toMatchInlineSnapshot(`
      "2026-03-02 09:00 repeat.began r count=1
      2026-03-02 09:00 task.opened t[r#1/steps/t] assignee=u1 due=2026-03-03 09:00
      2026-03-03 09:00 wait_for.timed_out t[r#1/steps/t]
      2026-03-03 09:00 slack.posted s[r#1/steps/s] to=u1
      2026-03-04 09:00 repeat.began r count=2
      2026-03-04 09:00 task.opened t[r#2/steps/t] assignee=u1 due=2026-03-05 09:00
      2026-03-05 09:00 wait_for.timed_out t[r#2/steps/t]
      2026-03-05 09:00 slack.posted s[r#2/steps/s] to=u1
      2026-03-06 09:00 repeat.began r count=3
      2026-03-06 09:00 task.opened t[r#3/steps/t] assignee=u1 due=2026-03-09 09:00
      2026-03-07 09:00 wait_for.timed_out t[r#3/steps/t]
      2026-03-07 09:00 slack.posted s[r#3/steps/s] to=u1
      2026-03-07 09:00 slack.posted then to=u1
      2026-03-07 09:00 run.ended outcome=completed"
    `);
  });

  test("until the run's own story says so", async () => {
    const closed = (when: string, round: number, outcome: string) =>
      event("task.closed", when, { step: "t", key: `r#${round}/steps/t`, status: "done", outcome });
    expect(
      await story(asked(is("steps.t.outcome", "good")), {
        events: [
          closed("2026-03-02T12:00", 1, "bad"),
          closed("2026-03-04T12:00", 1, "good"),
          closed("2026-03-04T13:00", 2, "good"),
        ],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 repeat.began r count=1
      2026-03-02 09:00 task.opened t[r#1/steps/t] assignee=u1 due=2026-03-03 09:00
      2026-03-02 12:00 task.closed t status=done outcome=bad
      2026-03-02 12:00 wait_for.met t[r#1/steps/t]
      2026-03-02 12:00 slack.posted s[r#1/steps/s] to=u1
      2026-03-04 09:00 repeat.began r count=2
      2026-03-04 09:00 task.opened t[r#2/steps/t] assignee=u1 due=2026-03-05 09:00
      2026-03-04 13:00 task.closed t status=done outcome=good
      2026-03-04 13:00 wait_for.met t[r#2/steps/t]
      2026-03-04 13:00 slack.posted s[r#2/steps/s] to=u1
      2026-03-04 13:00 slack.posted then to=u1
      2026-03-04 13:00 run.ended outcome=completed"
    `);
  });

  test("until facts say so", async () => {
    const told = await story(
      planFrom([repeat("r", "1d", 9, [slack("s")], is("account.arr", 100, ">=")), slack("then")]),
      { facts: [{ at: at("2026-03-04"), values: { "account.arr": 100 } }] },
    );
    expect(told).toMatchInlineSnapshot(`
      "2026-03-02 09:00 repeat.began r count=1
      2026-03-02 09:00 slack.posted s[r#1/steps/s] to=u1
      2026-03-03 09:00 repeat.began r count=2
      2026-03-03 09:00 slack.posted s[r#2/steps/s] to=u1
      2026-03-04 09:00 repeat.began r count=3
      2026-03-04 09:00 slack.posted s[r#3/steps/s] to=u1
      2026-03-04 09:00 slack.posted then to=u1
      2026-03-04 09:00 run.ended outcome=completed"
    `);
  });

  test("a round that lasted longer is followed at once by the next", async () => {
    expect(await story(planFrom([repeat("r", "1h", 2, [wait("w", "3h")])]))).toMatchInlineSnapshot(`
      "2026-03-02 09:00 repeat.began r count=1
      2026-03-02 09:00 wait.began w[r#1/steps/w] until=2026-03-02 12:00
      2026-03-02 12:00 wait.over w[r#1/steps/w]
      2026-03-02 12:00 repeat.began r count=2
      2026-03-02 12:00 wait.began w[r#2/steps/w] until=2026-03-02 15:00
      2026-03-02 15:00 wait.over w[r#2/steps/w]
      2026-03-02 15:00 run.ended outcome=completed"
    `);
  });

  test("every so many working days; a repeat in a repeat has its own rounds", async () => {
    const { timeline, state } = await rehearse(
      planFrom([repeat("outer", "1 bd", 2, [repeat("inner", "1h", 2, [slack("s")])])]),
    );
    expect(timeline.filter(({ kind }) => kind === "slack.posted").map(({ key }) => key)).toEqual([
      "outer#1/steps/inner#1/steps/s",
      "outer#1/steps/inner#2/steps/s",
      "outer#2/steps/inner#1/steps/s",
      "outer#2/steps/inner#2/steps/s",
    ]);
    expect(state.steps["outer"]).toEqual({ count: 2 });
  });

  test("without steps", async () => {
    expect(await story(planFrom([repeat("r", "1d", 2, [])]))).toMatchInlineSnapshot(`
      "2026-03-02 09:00 repeat.began r count=1
      2026-03-03 09:00 repeat.began r count=2
      2026-03-03 09:00 run.ended outcome=completed"
    `);
  });
});

test("bodies within bodies: each list goes on behind its container", async () => {
  const deep: Step[] = [
    parallel("p", {
      a: [
        waitFor("w", on("x"), "1h", [
          choose(
            "c",
            [[is("account.none", 1), []]],
            [repeat("r", "1h", 2, [parallel("q", { z: [slack("deep")] })]), slack("after_r")],
          ),
          slack("after_c"),
        ]),
        slack("after_w"),
      ],
    }),
    slack("after_p"),
  ];
  expect(await story(planFrom(deep))).toMatchInlineSnapshot(`
    "2026-03-02 09:00 wait_for.began w until=2026-03-02 10:00
    2026-03-02 10:00 wait_for.timed_out w
    2026-03-02 10:00 branch.taken c branch=else
    2026-03-02 10:00 repeat.began r count=1
    2026-03-02 10:00 slack.posted deep[p/a/w/otherwise/c/else/r#1/steps/q/z/deep] to=u1
    2026-03-02 11:00 repeat.began r count=2
    2026-03-02 11:00 slack.posted deep[p/a/w/otherwise/c/else/r#2/steps/q/z/deep] to=u1
    2026-03-02 11:00 slack.posted after_r to=u1
    2026-03-02 11:00 slack.posted after_c to=u1
    2026-03-02 11:00 slack.posted after_w to=u1
    2026-03-02 11:00 slack.posted after_p to=u1
    2026-03-02 11:00 run.ended outcome=completed"
  `);
});
