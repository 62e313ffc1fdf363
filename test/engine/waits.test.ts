import { describe, expect, test } from "vitest";
import type { Step } from "../../src/engine/plan.js";
import { around, choose, email, is, planFrom, slack, span, task, wait, waitFor, waitUntil, on } from "./plans.js";
import { at, event, rehearse, START, story } from "./rehearse.js";

const dated = (when: string, values: Record<string, string | number | undefined>) => ({ at: at(when), values });
const changed = (when: string, ...paths: string[]) => event("facts.changed", when, {}, { changed: paths });

describe("wait", () => {
  test.each([
    ["2h", "2026-03-02 11:00"],
    ["2d", "2026-03-04 09:00"],
    ["1mo", "2026-04-02 09:00"],
    ["2 bd", "2026-03-04 09:00"],
    ["09:30", "2026-03-02 09:30"],
    ["08:30", "2026-03-03 08:30"],
    ["working hours", "2026-03-02 09:00"],
    ["friday 10:00", "2026-03-06 10:00"],
  ])("%s", async (rule, until) => {
    expect(await story(planFrom([wait("pause", rule)]))).toBe(
      `2026-03-02 09:00 wait.began pause until=${until}\n${until} wait.over pause\n${until} run.ended outcome=completed`,
    );
  });

  test("exact ones need no call, others are resolved when armed and once more when they fire", async () => {
    expect((await rehearse(planFrom([wait("pause", "2h")]))).performs).toBe(2);
    const { done } = await rehearse(planFrom([wait("pause", "2d")]));
    expect(done.map(({ command }) => command.key)).toEqual(["pause:due", "pause:due", "!close"]);
  });

  const zoned = planFrom([wait("pause", "7d")]);

  test("a moved zone moves the wait, at once", async () => {
    const how = {
      facts: [
        dated("2026-03-01", { "account.timezone": "UTC" }),
        dated("2026-03-03", { "account.timezone": "America/New_York" }),
      ],
      events: [changed("2026-03-03", "account.timezone")],
    };
    expect(await story(zoned, how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began pause until=2026-03-09 09:00
      2026-03-03 00:00 wait.moved pause until=2026-03-09 08:00
      2026-03-09 08:00 wait.over pause
      2026-03-09 08:00 run.ended outcome=completed"
    `);
  });

  test("one that nobody told of is found when the timer fires: later, it goes on waiting; earlier, it is over", async () => {
    // Counted from 01:00 UTC over the night when New York's clocks go forward, a day is an hour shorter there.
    const startedAt = at("2026-03-08T01:00");
    const shorter = {
      startedAt,
      facts: [
        dated("2026-03-01", { "account.timezone": "UTC" }),
        dated("2026-03-08T12:00", { "account.timezone": "America/New_York" }),
      ],
    };
    expect(await story(planFrom([wait("pause", "1d")]), shorter)).toMatchInlineSnapshot(`
      "2026-03-08 01:00 wait.began pause until=2026-03-09 01:00
      2026-03-09 01:00 wait.over pause
      2026-03-09 01:00 run.ended outcome=completed"
    `);
    const longer = {
      startedAt,
      facts: [
        dated("2026-03-01", { "account.timezone": "America/New_York" }),
        dated("2026-03-08T12:00", { "account.timezone": "UTC" }),
      ],
    };
    expect(await story(planFrom([wait("pause", "1d")]), longer)).toMatchInlineSnapshot(`
      "2026-03-08 01:00 wait.began pause until=2026-03-09 00:00
      2026-03-09 00:00 wait.moved pause until=2026-03-09 01:00
      2026-03-09 01:00 wait.over pause
      2026-03-09 01:00 run.ended outcome=completed"
    `);
  });
});

describe("wait until a date", () => {
  const plan = planFrom([waitUntil("day", "account.day"), slack("then")]);

  test("and the offset", async () => {
    const offset = planFrom([waitUntil("day", "account.day", {}, "-2d")]);
    expect(
      await story(offset, { facts: [dated("2026-03-01", { "account.day": at("2026-03-10T09:00") })] }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began day until=2026-03-08 09:00
      2026-03-08 09:00 wait.over day
      2026-03-08 09:00 run.ended outcome=completed"
    `);
  });

  test("moved twice, with events: the wait moves along", async () => {
    const how = {
      facts: [
        dated("2026-03-01", { "account.day": at("2026-03-10") }),
        dated("2026-03-03", { "account.day": at("2026-03-20") }),
        dated("2026-03-05", { "account.day": at("2026-03-15") }),
      ],
      events: [
        changed("2026-03-03", "account.day"),
        changed("2026-03-04", "account.other"),
        changed("2026-03-05", "account.day"),
      ],
    };
    expect(await story(plan, how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began day until=2026-03-10 00:00
      2026-03-03 00:00 wait.moved day until=2026-03-20 00:00
      2026-03-05 00:00 wait.moved day until=2026-03-15 00:00
      2026-03-15 00:00 wait.over day
      2026-03-15 00:00 slack.posted then to=u1
      2026-03-15 00:00 run.ended outcome=completed"
    `);
  });

  test("removed while waiting: on_missing, by default a person must look", async () => {
    const how = {
      facts: [
        dated("2026-03-01", { "account.day": at("2026-03-10") }),
        dated("2026-03-03", { "account.day": undefined }),
      ],
      events: [changed("2026-03-03", "account.day")],
    };
    expect(await story(plan, how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began day until=2026-03-10 00:00
      2026-03-03 00:00 run.parked day reason=the date to wait for is missing"
    `);
  });

  test.each([
    ["missing", "skip", "2026-03-02 09:00 step.skipped day reason=missing"],
    ["missing", "run", "2026-03-02 09:00 step.skipped day reason=missing"],
    ["missing", "fail", "2026-03-02 09:00 run.parked day reason=the date to wait for is missing"],
    ["past", "skip", "2026-03-02 09:00 step.skipped day reason=past due=2026-03-01 00:00"],
    ["past", "run", "2026-03-02 09:00 step.skipped day reason=past due=2026-03-01 00:00"],
    ["past", "fail", "2026-03-02 09:00 run.parked day reason=the date to wait for has passed"],
  ] as const)("%s, %s", async (which, policy, line) => {
    const plan = planFrom([
      waitUntil(
        "day",
        "account.day",
        which === "missing" ? { onMissing: policy } : { onPast: policy, onMissing: "run" },
      ),
    ]);
    expect(
      (
        await story(plan, {
          facts: which === "missing" ? [] : [dated("2026-02-01", { "account.day": at("2026-03-01") })],
        })
      ).split("\n")[0],
    ).toBe(line);
  });

  test("an instant that is now is not past", async () => {
    expect(await story(plan, { facts: [dated("2026-03-01", { "account.day": START })] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began day until=2026-03-02 09:00
      2026-03-02 09:00 wait.over day
      2026-03-02 09:00 slack.posted then to=u1
      2026-03-02 09:00 run.ended outcome=completed"
    `);
  });
});

describe("around a date", () => {
  const blocks = (more: Partial<Extract<Step, { kind: "around" }>> = {}) =>
    planFrom([
      around(
        "plan",
        "account.day",
        [
          ["-10d", slack("ten")],
          ["-5d", task("five", { wait: { within: span("20d"), otherwise: [] } })],
          ["-5d", slack("too")],
          ["0d", email("day")],
          ["1 bd", slack("grace")],
        ],
        more,
      ),
      slack("behind"),
    ]);
  const day = (when: string, value: string | undefined) =>
    dated(when, { "account.day": value === undefined ? undefined : at(value) });

  test("blocks run at their time, side by side; what is past is skipped and said so; it is over with the last of them", async () => {
    expect(
      await story(blocks(), {
        facts: [day("2026-03-01", "2026-03-10T09:00")],
        events: [event("task.closed", "2026-03-20", { step: "five", key: "plan/five", status: "done" })],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 around.skipped ten[plan] due=2026-02-28 09:00 reason=past
      2026-03-02 09:00 around.armed five[plan] due=2026-03-05 09:00
      2026-03-02 09:00 around.armed too[plan] due=2026-03-05 09:00
      2026-03-02 09:00 around.armed day[plan] due=2026-03-10 09:00
      2026-03-02 09:00 around.armed grace[plan] due=2026-03-11 09:00
      2026-03-05 09:00 around.due five[plan] due=2026-03-05 09:00
      2026-03-05 09:00 task.opened five assignee=u1 due=2026-03-06 09:00
      2026-03-05 09:00 around.due too[plan] due=2026-03-05 09:00
      2026-03-05 09:00 slack.posted too to=u1
      2026-03-10 09:00 around.due day[plan] due=2026-03-10 09:00
      2026-03-10 09:00 email.sent day to=c1
      2026-03-11 09:00 around.due grace[plan] due=2026-03-11 09:00
      2026-03-11 09:00 slack.posted grace to=u1
      2026-03-20 00:00 task.closed five status=done
      2026-03-20 00:00 wait_for.met five
      2026-03-20 00:00 slack.posted behind to=u1
      2026-03-20 00:00 run.ended outcome=completed"
    `);
  });

  test("re-armed when the date moves, twice: what has run stays done, what was skipped as past gets another chance", async () => {
    expect(
      await story(blocks(), {
        facts: [
          day("2026-03-01", "2026-03-10T09:00"),
          day("2026-03-06", "2026-03-30T09:00"),
          day("2026-03-21", "2026-03-26T09:00"),
        ],
        events: [
          changed("2026-03-06", "account.day"),
          changed("2026-03-21", "account.day"),
          event("task.closed", "2026-03-25", { step: "five", key: "plan/five", status: "done" }),
        ],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 around.skipped ten[plan] due=2026-02-28 09:00 reason=past
      2026-03-02 09:00 around.armed five[plan] due=2026-03-05 09:00
      2026-03-02 09:00 around.armed too[plan] due=2026-03-05 09:00
      2026-03-02 09:00 around.armed day[plan] due=2026-03-10 09:00
      2026-03-02 09:00 around.armed grace[plan] due=2026-03-11 09:00
      2026-03-05 09:00 around.due five[plan] due=2026-03-05 09:00
      2026-03-05 09:00 task.opened five assignee=u1 due=2026-03-06 09:00
      2026-03-05 09:00 around.due too[plan] due=2026-03-05 09:00
      2026-03-05 09:00 slack.posted too to=u1
      2026-03-06 00:00 around.moved ten[plan] due=2026-03-20 09:00
      2026-03-06 00:00 around.moved day[plan] due=2026-03-30 09:00
      2026-03-06 00:00 around.moved grace[plan] due=2026-03-31 09:00
      2026-03-20 09:00 around.due ten[plan] due=2026-03-20 09:00
      2026-03-20 09:00 slack.posted ten to=u1
      2026-03-21 00:00 around.moved day[plan] due=2026-03-26 09:00
      2026-03-21 00:00 around.moved grace[plan] due=2026-03-27 09:00
      2026-03-25 00:00 task.closed five status=done
      2026-03-25 00:00 wait_for.met five
      2026-03-26 09:00 around.due day[plan] due=2026-03-26 09:00
      2026-03-26 09:00 email.sent day to=c1
      2026-03-27 09:00 around.due grace[plan] due=2026-03-27 09:00
      2026-03-27 09:00 slack.posted grace to=u1
      2026-03-27 09:00 slack.posted behind to=u1
      2026-03-27 09:00 run.ended outcome=completed"
    `);
  });

  test("a date that moved without a word is found when a block falls due", async () => {
    expect(
      await story(
        planFrom([
          around("plan", "account.day", [
            ["-1d", slack("x")],
            ["0d", slack("y")],
          ]),
        ]),
        { facts: [day("2026-03-01", "2026-03-10"), day("2026-03-05", "2026-03-12")] },
      ),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 around.armed x[plan] due=2026-03-09 00:00
      2026-03-02 09:00 around.armed y[plan] due=2026-03-10 00:00
      2026-03-09 00:00 around.moved x[plan] due=2026-03-11 00:00
      2026-03-10 00:00 around.moved y[plan] due=2026-03-12 00:00
      2026-03-11 00:00 around.due x[plan] due=2026-03-11 00:00
      2026-03-11 00:00 slack.posted x to=u1
      2026-03-12 00:00 around.due y[plan] due=2026-03-12 00:00
      2026-03-12 00:00 slack.posted y to=u1
      2026-03-12 00:00 run.ended outcome=completed"
    `);
  });

  test("all in the past: over at once", async () => {
    expect(await story(blocks(), { facts: [day("2026-01-01", "2026-02-01")] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 around.skipped ten[plan] due=2026-01-22 00:00 reason=past
      2026-03-02 09:00 around.skipped five[plan] due=2026-01-27 00:00 reason=past
      2026-03-02 09:00 around.skipped too[plan] due=2026-01-27 00:00 reason=past
      2026-03-02 09:00 around.skipped day[plan] due=2026-02-01 00:00 reason=past
      2026-03-02 09:00 around.skipped grace[plan] due=2026-02-03 09:00 reason=past
      2026-03-02 09:00 slack.posted behind to=u1
      2026-03-02 09:00 run.ended outcome=completed"
    `);
  });

  test("on_past: run", async () => {
    expect(
      await story(
        planFrom([
          around(
            "plan",
            "account.day",
            [
              ["-5d", slack("a")],
              ["-1d", slack("b")],
            ],
            { onPast: "run" },
          ),
        ]),
        { facts: [day("2026-03-01", "2026-03-04T09:00")] },
      ),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 around.due a[plan] due=2026-02-27 09:00
      2026-03-02 09:00 around.armed b[plan] due=2026-03-03 09:00
      2026-03-02 09:00 slack.posted a to=u1
      2026-03-03 09:00 around.due b[plan] due=2026-03-03 09:00
      2026-03-03 09:00 slack.posted b to=u1
      2026-03-03 09:00 run.ended outcome=completed"
    `);
  });

  test("on_past: fail", async () => {
    expect(
      await story(planFrom([around("plan", "account.day", [["-5d", slack("a")]], { onPast: "fail" })]), {
        facts: [day("2026-03-01", "2026-03-04")],
      }),
    ).toMatchInlineSnapshot(`"2026-03-02 09:00 run.parked plan reason=account.day has passed"`);
  });

  test.each([
    [
      "skip",
      "2026-03-02 09:00 around.skipped a[plan] reason=missing\n2026-03-02 09:00 around.skipped b[plan] reason=missing\n2026-03-02 09:00 run.ended outcome=completed",
    ],
    ["fail", "2026-03-02 09:00 run.parked plan reason=account.day is missing"],
    [
      "run",
      "2026-03-02 09:00 around.due a[plan] due=2026-03-02 09:00\n2026-03-02 09:00 around.due b[plan] due=2026-03-02 09:00\n2026-03-02 09:00 slack.posted a to=u1\n2026-03-02 09:00 slack.posted b to=u1\n2026-03-02 09:00 run.ended outcome=completed",
    ],
  ] as const)("without a date: on_missing %s", async (onMissing, lines) => {
    expect(
      await story(
        planFrom([
          around(
            "plan",
            "account.day",
            [
              ["-5d", slack("a")],
              ["0d", slack("b")],
            ],
            { onMissing },
          ),
        ]),
      ),
    ).toBe(lines);
  });

  test("a date that passes, moves and comes back is said each time, and no more than that", async () => {
    const plan = planFrom([
      around(
        "plan",
        "account.day",
        [
          ["-1d", slack("a")],
          ["90d", slack("b")],
        ],
        { onMissing: "skip" },
      ),
    ]);
    expect(
      await story(plan, {
        until: at("2026-04-01"),
        facts: [
          day("2026-02-01", "2026-03-02"),
          day("2026-03-04", "2026-03-03"),
          day("2026-03-05", undefined),
          day("2026-03-06", "2026-03-09"),
        ],
        events: [
          changed("2026-03-03", "account.timezone"),
          changed("2026-03-04", "account.day"),
          changed("2026-03-06", "account.day"),
        ],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 around.skipped a[plan] due=2026-03-01 00:00 reason=past
      2026-03-02 09:00 around.armed b[plan] due=2026-05-31 00:00
      2026-03-04 00:00 around.skipped a[plan] due=2026-03-02 00:00 reason=past
      2026-03-04 00:00 around.moved b[plan] due=2026-06-01 00:00
      2026-03-06 00:00 around.moved a[plan] due=2026-03-08 00:00
      2026-03-06 00:00 around.moved b[plan] due=2026-06-07 00:00
      2026-03-08 00:00 around.due a[plan] due=2026-03-08 00:00
      2026-03-08 00:00 slack.posted a to=u1"
    `);
  });

  test("a missing date that comes: skipped blocks are armed", async () => {
    const plan = planFrom([
      around(
        "plan",
        "account.day",
        [
          ["-1d", slack("a")],
          ["0d", slack("b")],
        ],
        { onMissing: "skip" },
      ),
      slack("behind"),
    ]);
    // With nothing left to do the whole is over, and a date that comes later is too late.
    expect(
      await story(plan, { facts: [day("2026-03-05", "2026-03-10")], events: [changed("2026-03-05", "account.day")] }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 around.skipped a[plan] reason=missing
      2026-03-02 09:00 around.skipped b[plan] reason=missing
      2026-03-02 09:00 slack.posted behind to=u1
      2026-03-02 09:00 run.ended outcome=completed"
    `);
  });

  test("a date that goes while blocks are armed", async () => {
    const plan = planFrom([
      around(
        "plan",
        "account.day",
        [
          ["-1d", slack("a")],
          ["0d", slack("b")],
        ],
        { onMissing: "skip" },
      ),
    ]);
    expect(
      await story(plan, {
        facts: [day("2026-03-01", "2026-03-10"), day("2026-03-05", undefined)],
        events: [changed("2026-03-05", "account.day")],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 around.armed a[plan] due=2026-03-09 00:00
      2026-03-02 09:00 around.armed b[plan] due=2026-03-10 00:00
      2026-03-05 00:00 around.skipped a[plan] reason=missing
      2026-03-05 00:00 around.skipped b[plan] reason=missing
      2026-03-05 00:00 run.ended outcome=completed"
    `);
  });

  test("without blocks it is over at once", async () => {
    expect(await story(planFrom([around("plan", "account.day", []), slack("x")]))).toMatchInlineSnapshot(`
      "2026-03-02 09:00 slack.posted x to=u1
      2026-03-02 09:00 run.ended outcome=completed"
    `);
  });

  test("a block may be a container; a zone's change moves what is armed", async () => {
    const plan = planFrom([
      around("plan", "account.day", [
        [
          "-1d",
          choose("c", [[is("account.tier", "a"), [slack("a"), waitFor("w", on("go"), "1h", [slack("late")])]]], []),
        ],
        ["0d", slack("b")],
      ]),
    ]);
    expect(
      await story(plan, {
        facts: [
          dated("2026-03-01", { "account.day": at("2026-03-29T09:00"), "account.tier": "a" }),
          dated("2026-03-05", { "account.timezone": "Europe/Warsaw" }),
        ],
        events: [changed("2026-03-05", "account.timezone")],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 around.armed c[plan] due=2026-03-28 09:00
      2026-03-02 09:00 around.armed b[plan] due=2026-03-29 09:00
      2026-03-05 00:00 around.moved c[plan] due=2026-03-28 10:00
      2026-03-28 10:00 around.due c[plan] due=2026-03-28 10:00
      2026-03-28 10:00 branch.taken c branch=1
      2026-03-28 10:00 slack.posted a to=u1
      2026-03-28 10:00 wait_for.began w until=2026-03-28 11:00
      2026-03-28 11:00 wait_for.timed_out w
      2026-03-28 11:00 slack.posted late to=u1
      2026-03-29 09:00 around.due b[plan] due=2026-03-29 09:00
      2026-03-29 09:00 slack.posted b to=u1
      2026-03-29 09:00 run.ended outcome=completed"
    `);
  });
});
