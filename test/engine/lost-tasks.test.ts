import { expect, test } from "vitest";
import { newRun } from "../../src/engine/advance.js";
import type { RunEvent } from "../../src/engine/event.js";
import type { PerformResponse } from "../../src/engine/perform.js";
import type { Plan } from "../../src/engine/plan.js";
import type { RunState } from "../../src/engine/state.js";
import { stretch } from "../../src/engine/stretch.js";
import type { TimelineEntry } from "../../src/engine/timeline.js";
import { type Driver, walk } from "../../src/engine/walk.js";
import { end, on, parallel, planFrom, slack, wait, waitFor } from "./plans.js";
import { at, event, linesOf, RUN, START } from "./rehearse.js";

class Lost extends Error {}

/**
 * A driver as Temporal is one: what a run did since it last waited is remembered only when it waits again. `loses`: behind which stretches, counted from 1, the
 * whole task is lost, and walked anew from where it last waited. The store keeps what each stretch wrote, and answers it again; or, `breaks`, the stretch
 * broke off before it wrote anything.
 */
async function walkLosing(plan: Plan, events: readonly RunEvent[], loses: readonly number[], breaks = false) {
  const confirmed = new Set<string>();
  const answers = new Map<number, PerformResponse>();
  const lines = new Map<number, TimelineEntry>();
  let kept: RunState = newRun(plan, RUN);
  let latest = kept;
  let now: number = START;
  let calls = 0;
  let ended: string | undefined;

  const perform: Driver["perform"] = async ({ state, offered, reached }) => {
    calls += 1;
    if (ended !== undefined) return { log: [], isResting: true, ended };
    const isLost = loses.includes(calls);
    const inHand = new Set(offered.map(({ id }) => id));
    const undelivered = (asOf: number): RunEvent[] => {
      const found = events.filter(({ id, at }) => at <= asOf && !confirmed.has(id) && !inHand.has(id));
      for (const { id } of found) inHand.add(id);
      return found;
    };
    const answer =
      answers.get(state.turns) ??
      (await stretch(plan, state, offered, {
        hasReached: (instant) => instant <= reached,
        mayGoOn: () => true,
        async perform(command, asOf) {
          const { kind } = command;
          const found = kind === "close" ? [] : undelivered(asOf);
          if (found.length > 0) return { kind: "events", events: found };
          if (command.kind === "close") ended = command.outcome;
          return {
            kind: "outcome",
            outcome: kind === "slack" ? { kind: "posted", at: asOf, to: "u1" } : { kind: "done", at: asOf },
          };
        },
        async write({ asOf, entries, taken, response, isSure }) {
          const found = isSure === true ? [] : undelivered(asOf);
          if (found.length > 0) return found;
          if (isLost && breaks) throw new Lost();
          for (const entry of entries) lines.set(entry.seq, entry);
          for (const id of taken) confirmed.add(id);
          if (response !== undefined) answers.set(state.turns, response);
          return [];
        },
      }));
    if (isLost) throw new Lost();
    return answer;
  };

  for (let tasks = 0; tasks < 100; tasks++) {
    try {
      const state = await walk(plan, kept, {
        perform,
        persist: () => Promise.reject(new Error("nothing is retried here")),
        arrived: () => [],
        idle: async (until) => {
          if (until === undefined) throw new Error("nothing to wait for");
          kept = latest;
          now = Math.max(now, until);
        },
        now: () => now,
        isLong: () => false,
        observe: (state) => {
          latest = JSON.parse(JSON.stringify(state)) as RunState;
        },
      });
      return { state, calls, lines: linesOf([...lines.values()]) };
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
    }
  }
  throw new Error("lost for ever");
}

const plan = planFrom(
  [
    wait("w", "24h"),
    parallel("both", {
      left: [slack("a"), wait("pause", "1h"), slack("b")],
      right: [waitFor("x", on("x", { since: "start" }), "100h", [slack("in_vain")]), slack("c")],
    }),
    end("done"),
  ],
  { exits: [{ when: { event: "bye" }, outcome: "left" }] },
);

/** Both lie before an instant at which the run has something to do, so that a call hands them over. */
const heard = event("x", at("2026-03-03T08:00"));
const bye = event("bye", at("2026-03-03T09:30"));

test.each([
  ["whose answer is lost", false],
  ["that breaks off", true],
])("an event that a stretch has taken in takes effect, whichever stretch it is %s", async (_name, breaks) => {
  const whole = await walkLosing(plan, [heard], []);
  expect(whole.lines.map((line) => line.slice(17))).toContain("wait_for.met x event=x event_at=2026-03-03 08:00");
  expect(whole.calls).toBeGreaterThan(2);
  for (let first = 1; first <= whole.calls; first++) {
    expect((await walkLosing(plan, [heard], [first], breaks)).lines, `stretch ${first}`).toEqual(whole.lines);
    expect(
      (await walkLosing(plan, [heard], [first, first + 1, first + 2], breaks)).lines,
      `stretches from ${first}`,
    ).toEqual(whole.lines);
  }
});

test("an exit, too", async () => {
  const whole = await walkLosing(plan, [bye], []);
  expect(whole.state.outcome).toBe("left");
  for (const breaks of [false, true])
    for (let lost = 1; lost <= whole.calls; lost++)
      expect((await walkLosing(plan, [bye], [lost], breaks)).state.outcome, `stretch ${lost}`).toBe("left");
});
