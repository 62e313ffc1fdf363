import { describe, expect, test } from "vitest";
import type { Command, Outcome } from "../../src/engine/command.js";
import {
  around,
  email,
  is,
  on,
  planFrom,
  repeat,
  slack,
  span,
  task,
  wait,
  waitFor,
  waitUntil,
  parallel,
} from "./plans.js";
import type { Step } from "../../src/engine/plan.js";
import { at, event, rehearse, START, story } from "./rehearse.js";

const held = (when: string, hold = "operator") => event("run.held", when, { hold });
const released = (when: string, hold = "operator") => event("run.released", when, { hold });
const twoDays = [held("2026-03-03T09:00"), released("2026-03-05T09:00")];

describe("while a run is held", () => {
  test("relative waits and `within` are extended by it, exact or not", async () => {
    for (const duration of ["72h", "3d", "3 bd"]) {
      expect(await story(planFrom([wait("w", duration)]), { events: twoDays })).toContain(
        "2026-03-07 09:00 wait.over w",
      );
    }
    expect(await story(planFrom([waitFor("w", on("x"), "3d")]), { events: twoDays })).toContain(
      "2026-03-07 09:00 wait_for.timed_out w",
    );
    expect(
      await story(planFrom([task("t", { wait: { within: span("3d"), otherwise: [] } })]), { events: twoDays }),
    ).toContain("2026-03-07 09:00 wait_for.timed_out t");
    expect(await story(planFrom([repeat("r", "3d", 2, [slack("s")])]), { events: twoDays })).toContain(
      "2026-03-07 09:00 repeat.began r count=2",
    );
  });

  test("twice: both extend; only the time the wait was running counts", async () => {
    expect(
      await story(planFrom([wait("w", "3d")]), {
        events: [...twoDays, held("2026-03-06T09:00"), released("2026-03-06T21:00")],
      }),
    ).toContain("2026-03-07 21:00 wait.over w");
    expect(
      await story(planFrom([waitFor("first", on("x"), "9d"), wait("w", "3d")]), {
        events: [...twoDays, event("x", "2026-03-04T09:00")],
      }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait_for.began first until=2026-03-11 09:00
      2026-03-03 09:00 run.held hold=operator
      2026-03-04 09:00 wait_for.met first event=x event_at=2026-03-04 09:00
      2026-03-04 09:00 wait.began w until=2026-03-07 09:00
      2026-03-05 09:00 run.released hold=operator held_since=2026-03-03 09:00
      2026-03-08 09:00 wait.over w
      2026-03-08 09:00 run.ended outcome=completed"
    `);
  });

  test("holds are counted, by name", async () => {
    const events = [
      held("2026-03-03T09:00"),
      held("2026-03-03T10:00"),
      held("2026-03-04T09:00", "playbook:rescue"),
      released("2026-03-05T09:00"),
      released("2026-03-05T10:00"),
      released("2026-03-06T09:00", "playbook:rescue"),
    ];
    expect(await story(planFrom([wait("w", "2d"), slack("x")]), { events })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began w until=2026-03-04 09:00
      2026-03-03 09:00 run.held hold=operator
      2026-03-06 09:00 run.released hold=playbook:rescue held_since=2026-03-03 09:00
      2026-03-07 09:00 wait.over w
      2026-03-07 09:00 slack.posted x to=u1
      2026-03-07 09:00 run.ended outcome=completed"
    `);
  });

  test("absolute instants are not: what they lead to is done on release, in order", async () => {
    const plan = planFrom([wait("w", "friday 10:00"), slack("x"), slack("y")]);
    expect(await story(plan, { events: [held("2026-03-03"), released("2026-03-09T09:00")] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began w until=2026-03-06 10:00
      2026-03-03 00:00 run.held hold=operator
      2026-03-09 09:00 run.released hold=operator held_since=2026-03-03 00:00
      2026-03-09 09:00 wait.over w
      2026-03-09 09:00 slack.posted x to=u1
      2026-03-09 09:00 slack.posted y to=u1
      2026-03-09 09:00 run.ended outcome=completed"
    `);
    expect(await story(plan, { events: twoDays })).toContain("2026-03-06 10:00 wait.over w");
  });

  test("a date that passed meanwhile: then on_past", async () => {
    const facts = [{ at: at("2026-03-01"), values: { "account.day": at("2026-03-04") } }];
    expect(
      await story(planFrom([waitUntil("d", "account.day"), slack("x")]), { facts, events: twoDays }),
    ).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began d until=2026-03-04 00:00
      2026-03-03 09:00 run.held hold=operator
      2026-03-05 09:00 run.released hold=operator held_since=2026-03-03 09:00
      2026-03-05 09:00 step.skipped d reason=past due=2026-03-04 00:00
      2026-03-05 09:00 slack.posted x to=u1
      2026-03-05 09:00 run.ended outcome=completed"
    `);
    expect(
      await story(planFrom([waitUntil("d", "account.day", { onPast: "fail" }), slack("x")]), {
        facts,
        events: twoDays,
      }),
    ).toContain("run.parked d reason=the date to wait for has passed");
    const dates = planFrom([
      around("plan", "account.day", [
        ["-2h", slack("skipped")],
        ["0d", slack("skipped_too")],
        ["36h", slack("later")],
      ]),
    ]);
    expect(await story(dates, { facts, events: twoDays })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 around.armed skipped[plan] due=2026-03-03 22:00
      2026-03-02 09:00 around.armed skipped_too[plan] due=2026-03-04 00:00
      2026-03-02 09:00 around.armed later[plan] due=2026-03-05 12:00
      2026-03-03 09:00 run.held hold=operator
      2026-03-05 09:00 run.released hold=operator held_since=2026-03-03 09:00
      2026-03-05 09:00 around.skipped skipped[plan] due=2026-03-03 22:00 reason=past
      2026-03-05 09:00 around.skipped skipped_too[plan] due=2026-03-04 00:00 reason=past
      2026-03-05 12:00 around.due later[plan] due=2026-03-05 12:00
      2026-03-05 12:00 slack.posted later to=u1
      2026-03-05 12:00 run.ended outcome=completed"
    `);
    expect(
      await story(planFrom([around("plan", "account.day", [["0d", slack("x")]], { onPast: "run" })]), {
        facts,
        events: twoDays,
      }),
    ).toContain("2026-03-05 09:00 slack.posted x");
  });

  test("no effect begins, but events, exits and conditions act", async () => {
    const plan = planFrom(
      [parallel("p", { a: [waitFor("w", on("x"), "9d"), slack("effect")], b: [waitFor("v", on("y"), "9d")] })],
      { exits: [{ when: { event: "left" }, outcome: "left" }] },
    );
    expect(await story(plan, { events: [...twoDays, event("x", "2026-03-04")] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait_for.began w until=2026-03-11 09:00
      2026-03-02 09:00 wait_for.began v until=2026-03-11 09:00
      2026-03-03 09:00 run.held hold=operator
      2026-03-04 00:00 wait_for.met w event=x event_at=2026-03-04 00:00
      2026-03-05 09:00 run.released hold=operator held_since=2026-03-03 09:00
      2026-03-05 09:00 slack.posted effect to=u1
      2026-03-13 09:00 wait_for.timed_out v
      2026-03-13 09:00 run.ended outcome=completed"
    `);
    expect(await story(plan, { events: [...twoDays, event("left", "2026-03-04")] })).toContain(
      "2026-03-04 00:00 run.exited outcome=left event=left",
    );
    expect(await story(plan, { events: [...twoDays, event("run.stop", "2026-03-04")] })).toContain(
      "2026-03-04 00:00 run.stopped outcome=stopped",
    );
  });

  test("nothing is decided from facts either", async () => {
    const plan = planFrom([waitFor("w", on("x"), "9d"), slack("asked", { if: is("account.arr", 1) })]);
    const { done } = await rehearse(plan, {
      events: [...twoDays, event("x", "2026-03-04")],
      facts: [{ at: at("2026-03-05"), values: { "account.arr": 1 } }],
    });
    expect(done.find(({ command }) => command.key === "asked:if")?.at).toBe(at("2026-03-05T09:00"));
    expect(done.at(-2)?.command.key).toBe("asked");
  });
});

test("a run may start held: nothing happens until it is released", async () => {
  const plan = planFrom([slack("x"), wait("w", "1d")]);
  const how = { holds: ["playbook:rescue"], events: [released("2026-03-04T09:00", "playbook:rescue")] };
  expect(await story(plan, how)).toMatchInlineSnapshot(`
    "2026-03-02 09:00 run.held hold=playbook:rescue
    2026-03-04 09:00 run.released hold=playbook:rescue held_since=2026-03-02 09:00
    2026-03-04 09:00 slack.posted x to=u1
    2026-03-04 09:00 wait.began w until=2026-03-05 09:00
    2026-03-05 09:00 wait.over w
    2026-03-05 09:00 run.ended outcome=completed"
  `);
  expect((await rehearse(plan, { ...how, events: [] })).done).toEqual([]);
});

describe("mail and holds", () => {
  const plan = planFrom([wait("w", "1d"), email("hello"), slack("x")]);
  const since = (one: Awaited<ReturnType<typeof rehearse>>) =>
    one.done.flatMap(({ command }) => (command.kind === "email" ? [command.since] : []));

  test("one that was reached before the hold has its time extended by it", async () => {
    const answer = (command: Command, now: number): Outcome | undefined =>
      command.kind === "email" && now < at("2026-03-10")
        ? {
            kind: "deferred",
            at: now,
            until: at("2026-03-04T09:00"),
            staleAt: command.since + 3 * 86_400_000,
            reason: "capped",
            deliveries: [
              { contact: "c1", result: "deferred", at: now, until: at("2026-03-04T09:00"), reason: "capped" },
            ],
          }
        : undefined;
    const how = { events: [held("2026-03-03T12:00"), released("2026-03-10T12:00")], answer };
    expect(await story(plan, how)).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began w until=2026-03-03 09:00
      2026-03-03 09:00 wait.over w
      2026-03-03 09:00 email.deferred hello to=c1 reason=capped until=2026-03-04 09:00
      2026-03-03 12:00 run.held hold=operator
      2026-03-10 12:00 run.released hold=operator held_since=2026-03-03 12:00
      2026-03-10 12:00 email.sent hello to=c1
      2026-03-10 12:00 slack.posted x to=u1
      2026-03-10 12:00 run.ended outcome=completed"
    `);
    expect(since(await rehearse(plan, how))).toEqual([at("2026-03-03T09:00"), at("2026-03-10T09:00")]);
  });

  test("one that is reached while held counts from the release", async () => {
    const during = planFrom([waitFor("w", on("go"), "20d"), email("hello")]);
    const how = { events: [held("2026-03-03"), event("go", "2026-03-04"), released("2026-03-20")] };
    expect(since(await rehearse(during, how))).toEqual([at("2026-03-20")]);
  });

  test("one that is deferred is asked about anew on release, and said again only if it changed", async () => {
    const answer = (command: Command, now: number): Outcome | undefined =>
      command.kind === "email" && now < at("2026-03-20")
        ? {
            kind: "deferred",
            at: now,
            until: at("2026-03-20"),
            staleAt: at("2026-03-30"),
            reason: "capped",
            deliveries: [{ contact: "c1", result: "deferred", at: now, until: at("2026-03-20"), reason: "capped" }],
          }
        : undefined;
    expect(await story(plan, { answer, events: [held("2026-03-04"), released("2026-03-05")] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began w until=2026-03-03 09:00
      2026-03-03 09:00 wait.over w
      2026-03-03 09:00 email.deferred hello to=c1 reason=capped until=2026-03-20 00:00
      2026-03-04 00:00 run.held hold=operator
      2026-03-05 00:00 run.released hold=operator held_since=2026-03-04 00:00
      2026-03-20 00:00 email.sent hello to=c1
      2026-03-20 00:00 slack.posted x to=u1
      2026-03-20 00:00 run.ended outcome=completed"
    `);
  });
});

test("releasing what is not held, and holding twice by one name, is nothing", async () => {
  expect(
    await story(planFrom([wait("w", "1d")]), {
      events: [
        released("2026-03-02T10:00"),
        held("2026-03-02T11:00"),
        held("2026-03-02T11:00"),
        released("2026-03-02T11:00"),
      ],
    }),
  ).toMatchInlineSnapshot(`
    "2026-03-02 09:00 wait.began w until=2026-03-03 09:00
    2026-03-02 11:00 run.held hold=operator
    2026-03-02 11:00 run.released hold=operator held_since=2026-03-02 11:00
    2026-03-03 09:00 wait.over w
    2026-03-03 09:00 run.ended outcome=completed"
  `);
  expect(START).toBe(at("2026-03-02T09:00"));
});

test("a run is held by one that it plays from where it plays it: what led there is done first", async () => {
  const rescue: Step = { kind: "play", id: "rescue", path: "", playbook: "q", with: {} };
  const plan = planFrom([wait("w", "1d"), slack("x"), rescue, slack("y")]);
  const payload = { hold: "playbook:q", played: "run-rescue" };
  const held = event("run.held", "2026-03-03T09:00", payload);
  for (const tell of ["perform", "signal", "ahead"] as const) {
    const released = event("run.released", "2026-03-05T09:00", payload);
    expect(await story(plan, { tell, events: [held, released] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began w until=2026-03-03 09:00
      2026-03-03 09:00 wait.over w
      2026-03-03 09:00 slack.posted x to=u1
      2026-03-03 09:00 play.started rescue playbook=q
      2026-03-03 09:00 run.held hold=playbook:q
      2026-03-05 09:00 run.released hold=playbook:q held_since=2026-03-03 09:00
      2026-03-05 09:00 slack.posted y to=u1
      2026-03-05 09:00 run.ended outcome=completed"
    `);
    // Released by another run of the playbook: the last of them that holds.
    const atOnce = event("run.released", "2026-03-03T09:00", { hold: "playbook:q" });
    expect(await story(plan, { tell, events: [held, atOnce] })).toMatchInlineSnapshot(`
      "2026-03-02 09:00 wait.began w until=2026-03-03 09:00
      2026-03-03 09:00 wait.over w
      2026-03-03 09:00 slack.posted x to=u1
      2026-03-03 09:00 play.started rescue playbook=q
      2026-03-03 09:00 run.held hold=playbook:q
      2026-03-03 09:00 run.released hold=playbook:q held_since=2026-03-03 09:00
      2026-03-03 09:00 slack.posted y to=u1
      2026-03-03 09:00 run.ended outcome=completed"
    `);
  }
});
