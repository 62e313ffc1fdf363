import { describe, expect, test } from "vitest";
import { newRun } from "../../src/engine/advance.js";
import type { Command, Outcome } from "../../src/engine/command.js";
import type { RunEvent } from "../../src/engine/event.js";
import type { Answer, PerformResponse, PersistRequest } from "../../src/engine/perform.js";
import type { Plan, Step } from "../../src/engine/plan.js";
import type { RunState } from "../../src/engine/state.js";
import { follow, NotYetItsTurn, statusOf, stretch, type Told } from "../../src/engine/stretch.js";
import type { TimelineEntry } from "../../src/engine/timeline.js";
import { walk } from "../../src/engine/walk.js";
import { choose, email, end, fact, has, is, on, parallel, planFrom, repeat, slack, wait, waitFor } from "./plans.js";
import { at, event, linesOf, rehearse, RUN, START, story } from "./rehearse.js";

/** How one command is answered: by what the test says, else as if everything went well. */
type Script = (command: Command, nth: number) => Answer | undefined;

const well = ({ kind }: Command, at: number): Outcome =>
  kind === "slack"
    ? { kind: "posted", at, to: "u1" }
    : kind === "email"
      ? { kind: "emailed", at, deliveries: [] }
      : { kind: "done", at };

/** Walks with a store of one run: lines by `seq`, answers of stretches, and what of them is lost on their way to the driver. */
async function walkWith(
  plan: Plan,
  how: {
    script?: Script;
    persist?: (request: PersistRequest) => Answer;
    signals?: RunEvent[];
    isRealTime?: boolean;
    /** The answers of these stretches never reach the driver, which asks again; meanwhile these events have reached it. */
    lost?: Readonly<Record<number, readonly RunEvent[]>>;
    mayGoOn?: () => boolean;
  },
) {
  const lines = new Map<number, TimelineEntry>();
  const kept = new Map<number, PerformResponse>();
  const asked: string[] = [];
  const persisted: string[] = [];
  const signals = how.signals ?? [];
  const lost = { ...how.lost };
  let nth = 0;
  const tell = (told: Told, turns: number): void => {
    for (const entry of told.entries) lines.set(entry.seq, entry);
    if (told.response !== undefined) kept.set(turns, told.response);
  };
  const state = await walk(plan, newRun(plan, RUN), {
    async perform(request) {
      const turns = request.state.turns;
      for (;;) {
        const response =
          kept.get(turns) ??
          (await stretch(plan, request.state, request.offered, {
            hasReached: (instant) => instant <= request.reached,
            isRealTime: how.isRealTime ?? false,
            mayGoOn: how.mayGoOn ?? (() => true),
            async perform(command, asOf) {
              nth += 1;
              const answer = how.script?.(command, nth) ?? { kind: "outcome", outcome: well(command, asOf) };
              if (answer.kind === "outcome") asked.push(command.key);
              return answer;
            },
            async write(told) {
              tell(told, turns);
              return [];
            },
          }));
        const meanwhile = lost[turns];
        if (meanwhile === undefined) return response;
        delete lost[turns];
        signals.push(...meanwhile);
        request = { ...request, offered: [...request.offered, ...signals] };
      }
    },
    async persist(request) {
      persisted.push(request.command.key);
      return how.persist?.(request) ?? { kind: "outcome", outcome: well(request.command, request.asOf) };
    },
    arrived: () => signals.splice(0),
    idle: async () => {
      throw new Error("nothing to wait for");
    },
    now: () => Number.POSITIVE_INFINITY,
    isLong: () => false,
    observe: () => {},
  });
  const told = linesOf([...lines.values()].sort((a, b) => a.seq - b.seq)).map((line) => line.slice(17));
  return { state, told, asked, persisted };
}

describe("a delivery that must be tried again", () => {
  const plan = planFrom([slack("a"), slack("b"), slack("c")]);
  const leaving = { ...plan, exits: [{ when: { event: "left" }, outcome: "left" }] };
  const onceAt =
    (key: string): Script =>
    (command, nth) =>
      command.key === key && nth < 3 ? { kind: "retry", afterMs: 0 } : undefined;

  test("is given alone to the patient one; what was done before it counts", async () => {
    const { told, persisted } = await walkWith(plan, { script: onceAt("b") });
    expect(persisted).toEqual(["b"]);
    expect(told).toEqual([
      "run.started",
      "slack.posted a to=u1",
      "slack.posted b to=u1",
      "slack.posted c to=u1",
      "run.ended outcome=completed",
    ]);
  });

  test("comes back with an event instead: the event is handled, and decides", async () => {
    const { state, asked } = await walkWith(leaving, {
      script: onceAt("a"),
      persist: () => ({ kind: "events", events: [event("left", START)] }),
    });
    expect(state.outcome).toBe("left");
    expect(asked).not.toContain("a");
  });

  test("comes back with nothing (cancelled, because a signal came): the signal is offered, and decides", async () => {
    const signals: RunEvent[] = [];
    const { state } = await walkWith(leaving, {
      script: onceAt("a"),
      signals,
      persist: () => {
        signals.push(event("left", START));
        return { kind: "events", events: [] };
      },
    });
    expect(state.outcome).toBe("left");
  });

  test("of a run that has ended meanwhile is not asked for again", async () => {
    const { state } = await walkWith(plan, {
      script: (command, nth) => (nth === 1 ? { kind: "retry", afterMs: 0 } : { kind: "ended", outcome: "void" }),
      persist: () => ({ kind: "ended", outcome: "void" }),
    });
    expect([state.phase, state.outcome]).toEqual(["ended", "void"]);
  });
});

test("an event that turns up between two commands is handled before the second", async () => {
  const plan = planFrom([slack("a"), slack("b")], { exits: [{ when: { event: "left" }, outcome: "left" }] });
  const { told } = await walkWith(plan, {
    script: (command, nth) => (nth === 2 ? { kind: "events", events: [event("left", START)] } : undefined),
  });
  expect(told).toEqual(["run.started", "slack.posted a to=u1", "run.exited outcome=left event=left"]);
});

test("a run whose end is in the store already walks no further", async () => {
  const plan = planFrom([slack("a"), slack("b")]);
  const { state } = await walkWith(plan, { script: () => ({ kind: "ended", outcome: "void" }) });
  expect([state.phase, state.outcome, state.positions, state.journal]).toEqual(["ended", "void", {}, []]);
});

test("a stretch whose answer was lost is answered again, whatever has come meanwhile", async () => {
  const plan = planFrom([slack("a"), wait("w", "1h"), slack("b")], {
    exits: [{ when: { event: "left" }, outcome: "left" }],
  });
  // All but the very last command: then the first stretch is over, and its answer lost; the exit is offered with the second asking.
  const { told, asked } = await walkWith(plan, {
    lost: { 0: [event("left", "2026-03-02T09:30")] },
    script: (command) => (command.key === "b" ? { kind: "retry", afterMs: 0 } : undefined),
    persist: () => ({ kind: "events", events: [] }),
  });
  expect(asked.filter((key) => key === "a")).toEqual(["a"]);
  expect(told).toEqual([
    "run.started",
    "slack.posted a to=u1",
    "wait.began w until=2026-03-02 10:00",
    "wait.over w",
    "event.late event=left event_at=2026-03-02 09:30",
    "run.exited outcome=left event=left",
  ]);
});

test.each(["retry", "events"] as const)(
  "mail that has not gone out (%s) is taken back by a stretch that begins with it: walked again, the one before finds it as it was",
  async (kind) => {
    const plan = planFrom([email("a")], { exits: [{ when: { event: "left" }, outcome: "left" }] });
    const asked: string[] = [];
    let isTold = false;
    const tell = (): readonly RunEvent[] => {
      const events = isTold ? [] : [event("left", START)];
      isTold = true;
      return events;
    };
    const response = await stretch(plan, newRun(plan, RUN), [], {
      hasReached: () => true,
      mayGoOn: () => true,
      async perform(command, asOf) {
        asked.push(command.kind);
        if (command.kind !== "email") return { kind: "outcome", outcome: well(command, asOf) };
        return kind === "retry" ? { kind, afterMs: 1 } : { kind, events: tell() };
      },
      write: async () => tell(),
    });
    expect([asked, response.isResting, response.log.map((item) => item.kind)]).toEqual([
      ["email"],
      false,
      ["start", "event"],
    ]);
  },
);

test("where a stretch is cut makes no difference", async () => {
  const plan = planFrom([
    parallel("p", { a: [slack("a"), slack("b")], b: [slack("c"), email("d")], c: [wait("w", "1h"), slack("e")] }),
    slack("f"),
  ]);
  const whole = await walkWith(plan, {});
  for (let each = 1; each < 5; each++) {
    let left = 0;
    const cut = await walkWith(plan, {
      mayGoOn: () => {
        left += 1;
        return left % each !== 0;
      },
    });
    expect([cut.told, cut.asked]).toEqual([whole.told, whole.asked]);
  }
});

test("an event from before the last timer decides, though nothing is asked for between the timer and the end", async () => {
  const plan = planFrom([wait("w", "2h"), end("done")], { exits: [{ when: { event: "left" }, outcome: "left" }] });
  const { state } = await rehearse(plan, { events: [event("left", "2026-03-02T10:00")] });
  expect(state.outcome).toBe("left");
});

describe("where it is not yet a run's turn", () => {
  const plan = planFrom([slack("a"), wait("w", "1h"), slack("b")]);
  /** Nothing later than this has its turn. */
  async function upTo(turn: number, from: RunState = newRun(plan, RUN)) {
    const told: Told[] = [];
    const response = await stretch(plan, from, [], {
      hasReached: () => true,
      mayGoOn: () => true,
      perform: async (command, asOf) =>
        asOf > turn ? { kind: "later" } : { kind: "outcome", outcome: well(command, asOf) },
      write: async (one) => {
        const mustWait = one.response === undefined || one.response.isResting;
        if (mustWait && one.asOf > turn) return "later";
        told.push(one);
        return [];
      },
    });
    return { response, told };
  }

  test("what came before is told, the timer is taken back, and it asks again", async () => {
    const { response, told } = await upTo(START);
    expect(response.isResting).toBe(false);
    expect(response.log.map((item) => item.kind)).toEqual(["start", "performed"]);
    expect(told.map(({ isSure, entries }) => [isSure, entries.map(({ kind }) => kind)])).toEqual([
      [true, ["run.started", "slack.posted", "wait.began"]],
    ]);
  });

  test("a run that would end waits for its turn, too", async () => {
    const waits = planFrom([wait("w", "1h"), wait("v", "1h")]);
    const told: boolean[] = [];
    const response = await stretch(waits, newRun(waits, RUN), [], {
      hasReached: () => true,
      mayGoOn: () => true,
      perform: async (command, asOf) => ({ kind: "outcome", outcome: well(command, asOf) }),
      write: async ({ response: answer }) => {
        if (answer === undefined) return "later";
        told.push(answer.isResting);
        return [];
      },
    });
    expect([response.log.map(({ kind }) => kind), response.isResting, told]).toEqual([["start"], false, [false]]);
  });

  test("so does a timer that is followed by what begins a stretch", async () => {
    const sets = planFrom([
      wait("w", "1h"),
      { kind: "set", path: "stage", id: "stage", field: "account.stage", value: { op: "literal", value: "adoption" } },
      wait("v", "1h"),
    ]);
    const listens = { ...sets, listens: { events: [], facts: ["account.stage"] } };
    const told: Told[] = [];
    const response = await stretch(listens, newRun(listens, RUN), [], {
      hasReached: () => true,
      mayGoOn: () => true,
      perform: async (command, asOf) => ({ kind: "outcome", outcome: well(command, asOf) }),
      write: async (one) => {
        if (one.hasTicked === true) return "later";
        told.push(one);
        return [];
      },
    });
    expect([response.log.map(({ kind }) => kind), response.isResting]).toEqual([["start"], false]);
    expect(told.map(({ entries }) => entries.map(({ kind }) => kind))).toEqual([["run.started", "wait.began"]]);
  });

  test("nothing came of it: said as an error, to be asked again", async () => {
    const waiting = await rehearse(plan, { until: START + 1 });
    await expect(upTo(START, { ...waiting.state, journal: [] })).rejects.toThrow("something that comes earlier");
    await expect(upTo(START - 1, { ...waiting.state, journal: [] })).rejects.toThrow(NotYetItsTurn);
  });
});

test("a log with an event that nobody offered is another run's", () => {
  const plan = planFrom([slack("a")]);
  expect(() => follow(plan, newRun(plan, RUN), { kind: "took", id: "e9" }, [])).toThrow("was not offered: e9");
});

describe("a worker that was away: what has happened meanwhile", () => {
  const plan = planFrom([wait("w", "1h"), email("late")], {
    exits: [{ outcome: "void", when: { event: "contract.voided" } }],
  });
  /** It is long past 12:00; the mail was due at 10:00, the exit at 11:00 is told before or at the claim. */
  async function walkLate(isTold: "by signal" | "by the claim", isRealTime = true) {
    const exit = event("contract.voided", "2026-03-02T11:00");
    let hasClaimed = false;
    const { asked, state } = await walkWith(plan, {
      isRealTime,
      signals: isTold === "by signal" ? [exit] : [],
      script: ({ kind }) => {
        if (kind !== "email" || isTold === "by signal" || hasClaimed) return undefined;
        hasClaimed = true;
        return { kind: "events", events: [exit] };
      },
    });
    return { asked: asked.filter((key) => key === "late"), outcome: state.outcome };
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

  test("a plan that goes round without ever waiting is stopped", async () => {
    await expect(rehearse(planFrom([repeat("r", "0s", 20_000, [choose("c", [])])]))).rejects.toThrow(
      "over 10000 steps without a wait",
    );
  });

  test("a chain of steps that take no time is as long as it likes: the stack is not", async () => {
    const chain = (length: number) => planFrom(Array.from({ length }, (_, i) => choose(`c${i}`, [])));
    expect((await rehearse(chain(9_000))).state.outcome).toBe("completed");
    await expect(rehearse(chain(12_000))).rejects.toThrow("over 10000 steps without a wait");
    const nested = Array.from({ length: 20 }).reduce<Step[]>(
      (inside, _, i) => [
        ...Array.from({ length: 20 }, (__, j) => choose(`n${i}_${j}`, [])),
        choose(`n${i}`, [[is("now", 0, ">"), inside]]),
      ],
      [],
    );
    expect((await rehearse(planFrom(nested))).state.outcome).toBe("completed");
  });

  test("a step that the plan doesn't have is a fault", async () => {
    const plan = planFrom([wait("w", "1d")]);
    const { state } = await rehearse(plan, { until: START + 1 });
    await expect(
      walk(planFrom([slack("other")]), state, {
        perform: ({ state: from, offered }) =>
          stretch(planFrom([slack("other")]), from, offered, {
            hasReached: () => true,
            mayGoOn: () => true,
            perform: async () => ({ kind: "events", events: [] }),
            write: async () => [],
          }),
        persist: async () => ({ kind: "events", events: [] }),
        arrived: () => [],
        idle: async () => {},
        now: () => Number.POSITIVE_INFINITY,
        isLong: () => false,
        observe: () => {},
      }),
    ).rejects.toThrow("has no step at w");
  });
});

test("an event that a stretch's answer didn't take in is put back, and calls off what is retried", async () => {
  const plan = planFrom([slack("a"), end("done")]);
  const early = event("x", START + 1);
  const inbox: RunEvent[] = [early];
  const offers: string[][] = [];
  const heldBy: number[] = [];
  const state = await walk(plan, newRun(plan, RUN), {
    // As a history has it whose first stretch was asked for before the event came.
    perform: async ({ state: from, offered }) => {
      offers.push(offered.map(({ id }) => id));
      const isFirst = offers.length === 1;
      return stretch(plan, from, isFirst ? [] : offered, {
        hasReached: () => true,
        mayGoOn: () => true,
        perform: async (command, now) =>
          isFirst ? { kind: "retry", afterMs: 1 } : { kind: "outcome", outcome: well(command, now) },
        write: async () => [],
      });
    },
    persist: async () => {
      heldBy.push(inbox.length);
      return { kind: "events", events: [] };
    },
    arrived: () => inbox.splice(0),
    putBack: (events) => void inbox.unshift(...events),
    idle: async () => {},
    now: () => START + 2,
    isLong: () => false,
    observe: () => {},
  });
  expect(state.outcome).toBe("done");
  expect(offers).toEqual([[early.id], [early.id]]);
  expect(heldBy).toEqual([1]);
});

describe("an event that comes while a stretch is under way, or was there before it: a history tells of it either way, and the run asks for the same", () => {
  const plan = planFrom([slack("a"), wait("w", "1h"), slack("b"), end("done")]);
  const x = event("x", START);
  /** What the driver was asked for. `answers`: of the stretches, one by one; the last says that the run is over. */
  async function asksOf(
    how: "before" | "meanwhile",
    answers: readonly PerformResponse[],
    { news, tellsRest = false, seen = [] }: { news: readonly RunEvent[]; tellsRest?: boolean; seen?: string[] },
  ): Promise<string[]> {
    const asks: string[] = [];
    const inbox: RunEvent[] = how === "before" ? [...news] : [];
    const left = [...answers];
    await walk(
      plan,
      { ...newRun(plan, RUN), seen },
      {
        async perform() {
          asks.push("perform");
          if (how === "meanwhile" && left.length === answers.length) inbox.push(...news);
          return left.shift() ?? { log: [], isResting: true, ended: "over" };
        },
        async persist() {
          asks.push(inbox.length > 0 ? "persist, called off" : "persist");
          return { kind: "events", events: [] };
        },
        arrived: () => inbox.splice(0),
        putBack: (events) => void inbox.unshift(...events),
        async idle() {
          asks.push("idle");
          throw new Rested();
        },
        now: () => START,
        tellsRest,
        isLong: () => false,
        observe: () => {},
      },
    ).catch((error: unknown) => {
      if (!(error instanceof Rested)) throw error;
    });
    return asks;
  }
  class Rested extends Error {}
  const begun = { kind: "start", at: START } as const;
  const rests: PerformResponse = { log: [begun], isResting: true, wakesAt: START };
  const restsFor1h: PerformResponse = { ...rests, wakesAt: START + 3_600_000 };
  const retries: PerformResponse = { log: [begun], isResting: false, retry: "a" };
  const retriesWithX: PerformResponse = { ...retries, log: [begun, { kind: "event", event: x }] };
  const both = (answers: readonly PerformResponse[], how: Parameters<typeof asksOf>[2]) =>
    Promise.all([asksOf("before", answers, how), asksOf("meanwhile", answers, how)]);

  test("one that the answer doesn't have calls off what is retried", async () => {
    const [before, meanwhile] = await both([retries], { news: [x] });
    expect(before).toEqual(["perform", "persist, called off", "perform"]);
    expect(meanwhile).toEqual(before);
  });

  test("one that the stretch took from the store calls nothing off", async () => {
    const [before, meanwhile] = await both([retriesWithX], { news: [x] });
    expect(before).toEqual(["perform", "persist", "perform"]);
    expect(meanwhile).toEqual(before);
  });

  test("nor does one that the run has had long ago", async () => {
    const [before, meanwhile] = await both([retries], { news: [x], seen: [x.id] });
    expect(before).toEqual(["perform", "persist", "perform"]);
    expect(meanwhile).toEqual(before);
  });

  test("where others wait for it the world is told once more that the run rests, also after what it had already", async () => {
    const restsHavingX: PerformResponse = { ...restsFor1h, log: [begun, { kind: "took", id: x.id }] };
    for (const seen of [[], [x.id]]) {
      const how = { news: [x], seen, tellsRest: true };
      const [before, meanwhile] = await both([restsFor1h, restsHavingX], how);
      expect(before).toEqual(["perform", "perform", "idle"]);
      expect(meanwhile).toEqual(before);
      expect(await asksOf("before", [restsHavingX], how)).toEqual(["perform", "idle"]);
    }
  });

  test("where nobody does, a repeated one asks for nothing", async () => {
    const [before, meanwhile] = await both([rests], { news: [x], seen: [x.id] });
    expect(before).toEqual(["perform", "perform"]);
    expect(meanwhile).toEqual(before);
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
