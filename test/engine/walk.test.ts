import { describe, expect, test } from "vitest";
import { newRun } from "../../src/engine/advance.js";
import type { Outcome } from "../../src/engine/command.js";
import type { PerformRequest, PerformResponse } from "../../src/engine/perform.js";
import type { Plan } from "../../src/engine/plan.js";
import { statusOf, walk } from "../../src/engine/walk.js";
import { choose, email, end, fact, has, is, on, parallel, planFrom, repeat, slack, wait, waitFor } from "./plans.js";
import { at, event, linesOf, rehearse, START, story } from "./rehearse.js";

const RUN = {
  id: "r",
  playbook: "p",
  subject: "account",
  subjectId: "a1",
  accountId: "a1",
  key: "a1",
  startedAt: START,
} as const;

/** Walks with a world that answers by a list of scripted answers; what is not scripted goes well. */
async function walkWith(
  plan: Plan,
  perform: (request: PerformRequest, nth: number) => PerformResponse,
  persist: (request: PerformRequest) => PerformResponse,
) {
  const lines: PerformRequest["entries"][number][] = [];
  const persisted: string[][] = [];
  let nth = 0;
  const state = await walk(plan, newRun(plan, RUN), {
    perform: async (request) => {
      lines.push(...request.entries);
      nth += 1;
      return perform(request, nth);
    },
    persist: async (request) => {
      lines.push(...request.entries);
      persisted.push(
        request.commands.map(({ key, speculative }) => `${key}${speculative === undefined ? "" : " ahead"}`),
      );
      return persist(request);
    },
    arrived: () => [],
    idle: async () => {
      throw new Error("nothing to wait for");
    },
    hasReached: () => true,
    isLong: () => false,
    observe: () => {},
  });
  return { state, lines: linesOf(lines), persisted };
}

const well = ({ commands, asOf }: PerformRequest): Record<string, Outcome> =>
  Object.fromEntries(
    commands.map(({ key, kind }) => [
      key,
      kind === "slack" ? { kind: "posted", at: asOf, to: "u1" } : { kind: "done", at: asOf },
    ]),
  );

describe("a delivery that must be tried again", () => {
  const plan = planFrom([slack("a"), slack("b"), slack("c")]);

  test("is given alone to the patient one; what was done before it counts", async () => {
    const { lines, persisted } = await walkWith(
      plan,
      (request, nth) =>
        nth > 1
          ? { events: [], outcomes: well(request) }
          : {
              events: [],
              outcomes: { a: { kind: "posted", at: request.asOf, to: "u1" } },
              retry: { key: "b", notBefore: 0 },
            },
      (request) => ({ events: [], outcomes: well(request) }),
    );
    expect(persisted).toEqual([["b"]]);
    expect(lines.map((line) => line.slice(17))).toEqual([
      "run.started",
      "slack.posted a to=u1",
      "slack.posted b to=u1",
      "slack.posted c to=u1",
      "run.ended outcome=completed",
    ]);
  });

  test("comes back with an event instead: the event is handled, and decides", async () => {
    const leaving = { ...plan, exits: [{ when: { event: "left" }, outcome: "left" }] };
    const { state } = await walkWith(
      leaving,
      (request, nth) =>
        nth > 1
          ? { events: [], outcomes: well(request) }
          : { events: [], outcomes: {}, retry: { key: "a", notBefore: 0 } },
      () => ({ events: [event("left", START)], outcomes: {} }),
    );
    expect(state.outcome).toBe("left");
  });

  test("is no longer asked for: then it is not tried again", async () => {
    const { persisted } = await walkWith(
      plan,
      (request, nth) =>
        nth > 1
          ? { events: [], outcomes: well(request) }
          : {
              events: [],
              outcomes: well({ ...request, commands: request.commands.slice(0, 1) }),
              retry: { key: "gone", notBefore: 0 },
            },
      (request) => ({ events: [], outcomes: well(request) }),
    );
    expect(persisted).toEqual([]);
  });

  test("an event beside outcomes: both are taken", async () => {
    const { lines } = await walkWith(
      { ...plan, exits: [{ when: { event: "left" }, outcome: "left" }] },
      (request, nth) =>
        nth > 1
          ? { events: [], outcomes: well(request) }
          : { events: [event("left", START)], outcomes: well({ ...request, commands: request.commands.slice(0, 1) }) },
      () => ({ events: [], outcomes: {} }),
    );
    expect(lines.map((line) => line.slice(17))).toEqual([
      "run.started",
      "slack.posted a to=u1",
      "run.exited outcome=left event=left",
    ]);
  });
});

test("a run whose end is in the store already walks no further", async () => {
  const plan = planFrom([slack("a"), slack("b")]);
  const { state, lines } = await walkWith(
    plan,
    () => ({ events: [], outcomes: {}, ended: "void" }),
    () => ({ events: [], outcomes: {} }),
  );
  expect([state.phase, state.outcome, state.positions, state.journal]).toEqual(["ended", "void", {}, []]);
  expect(lines).toEqual(["2026-03-02 09:00 run.started"]);
});

describe("a worker that was away: what has happened meanwhile", () => {
  const plan = planFrom([wait("w", "1h"), email("late")], {
    exits: [{ outcome: "void", when: { event: "contract.voided" } }],
  });
  /** It is 12:00; the mail was due at 10:00, the exit at 11:00 is told before or at the claim. */
  async function walkLate(isTold: "by signal" | "by the claim", isRealTime = true) {
    const exit = event("contract.voided", "2026-03-02T11:00");
    const signals = isTold === "by signal" ? [exit] : [];
    const asked: string[] = [];
    let hasClaimed = false;
    const state = await walk(plan, newRun(plan, RUN), {
      perform: async (request) => {
        const effects = request.commands.filter(({ kind }) => kind === "email");
        if (effects.length > 0 && isTold === "by the claim" && !hasClaimed) {
          hasClaimed = true;
          return { events: [exit], outcomes: {}, isWritten: true };
        }
        asked.push(...effects.map(({ key }) => key));
        const outcomes = Object.entries(well(request)).map(([key, outcome]) => [
          key,
          key === "late" ? { kind: "emailed", at: request.asOf, deliveries: [] } : outcome,
        ]);
        return { events: [], outcomes: Object.fromEntries(outcomes) };
      },
      persist: async () => ({ events: [], outcomes: {} }),
      arrived: () => signals.splice(0),
      idle: async () => {
        throw new Error("nothing to wait for");
      },
      hasReached: () => true,
      isRealTime,
      isLong: () => false,
      observe: () => {},
    });
    return { asked, outcome: state.outcome };
  }

  test("comes before an effect that is late, in real time", async () => {
    expect(await walkLate("by signal")).toEqual({ asked: [], outcome: "void" });
    expect(await walkLate("by the claim")).toEqual({ asked: [], outcome: "void" });
  });

  test("makes no difference where time is only played", async () => {
    expect((await walkLate("by signal", false)).asked).toHaveLength(1);
  });
});

test("the status that people see", async () => {
  const plan = planFrom([slack("a"), wait("w", "1d")]);
  const fresh = newRun(plan, RUN);
  expect(statusOf(fresh)).toBe("running");
  expect(statusOf(newRun(plan, RUN, {}, ["operator"]))).toBe("held");
  expect(statusOf({ ...fresh, parked: { at: START, key: "a", reason: "r" } })).toBe("parked");
  expect(statusOf({ ...fresh, phase: "leaving" })).toBe("exiting");
  expect(statusOf((await rehearse(plan)).state)).toBe("ended");
});

describe("bounds", () => {
  test("events are kept for waits that may come, two hundred of them", async () => {
    const plan = planFrom([
      wait("w", "10d"),
      waitFor("first", on("x", { where: is("event.n", 1) }), "1h"),
      waitFor("late", on("x", { where: is("event.n", 300) }), "1h"),
    ]);
    const events = Array.from({ length: 300 }, (_, i) => event("x", START + (i + 1) * 60_000, { n: i + 1 }));
    const told = await story(plan, { events, tell: "signal" });
    expect(told).toContain("wait_for.timed_out first");
    expect(told).toContain("wait_for.met late");
    expect((await rehearse(plan, { events })).state.events).toHaveLength(200);
  });

  test("a hundred confirmations are not kept waiting", async () => {
    const events = Array.from({ length: 250 }, (_, i) => event("unheard", START + (i + 1) * 60_000));
    const { performs } = await rehearse(planFrom([wait("w", "10d")]), { events, tell: "signal" });
    expect(performs).toBeLessThan(12);
  });

  test("a plan that goes round without ever waiting is stopped", async () => {
    await expect(rehearse(planFrom([repeat("r", "0s", 20_000, [choose("c", [])])]))).rejects.toThrow(
      "over 10000 steps without a wait",
    );
  });

  test("a step that the plan doesn't have is a fault", async () => {
    const plan = planFrom([wait("w", "1d")]);
    const { state } = await rehearse(plan, { until: START + 1 });
    await expect(
      walk(planFrom([slack("other")]), state, {
        perform: async () => ({ events: [], outcomes: {} }),
        persist: async () => ({ events: [], outcomes: {} }),
        arrived: () => [],
        idle: async () => {},
        hasReached: () => true,
        isLong: () => false,
        observe: () => {},
      }),
    ).rejects.toThrow("has no step at w");
  });
});

test("what an expression can see of a run", async () => {
  const plan = planFrom(
    [
      waitFor(
        "w",
        on("x", {
          where: {
            op: "and",
            of: [
              is("event.name", "x"),
              is("event.at", at("2026-03-03"), "=="),
              is("event.occurred_at", at("2026-03-03"), "=="),
              has("event.n"),
              { op: "not", of: has("event.none") },
            ],
          },
        }),
        "9d",
      ),
      slack("seen", {
        if: {
          op: "and",
          of: [
            is("run.id", "r"),
            is("run.key", "a1"),
            is("run.started_at", START),
            is("now", at("2026-03-03")),
            { op: "not", of: has("steps.nothing") },
            { op: "not", of: has("event.n") },
            { op: "not", of: has("steps.constructor.name") },
            is("run.inputs.reason", "why"),
          ],
        },
      }),
      parallel("p", {}),
      slack("none", { if: fact("run.other") }),
      end("done"),
    ],
    { inputs: { reason: { type: "string", default: "why" }, empty: { type: "string" } } },
  );
  expect(await story(plan, { events: [event("x", "2026-03-03", { n: 1 })] })).toContain("slack.posted seen");
  expect(email("x").kind).toBe("email");
});
