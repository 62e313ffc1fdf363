import { expect, test } from "vitest";
import { newRun } from "../../src/engine/advance.js";
import type { Outcome } from "../../src/engine/command.js";
import type { RunEvent } from "../../src/engine/event.js";
import type { PerformRequest, PerformResponse } from "../../src/engine/perform.js";
import type { Plan } from "../../src/engine/plan.js";
import type { RunState } from "../../src/engine/state.js";
import { walk } from "../../src/engine/walk.js";
import { end, on, parallel, planFrom, slack, wait, waitFor } from "./plans.js";
import { at, event, linesOf, START } from "./rehearse.js";

class Lost extends Error {}

const RUN = {
  id: "r",
  playbook: "p",
  subject: "account",
  subjectId: "a1",
  accountId: "a1",
  key: "a1",
  startedAt: START,
} as const;

/**
 * A driver as Temporal is one: what a run did since it last waited is remembered only when it waits again. `loses`: after which calls, counted from 1, the
 * whole task is lost, and walked anew from where it last waited. The store keeps what each call wrote.
 */
async function walkLosing(plan: Plan, events: readonly RunEvent[], loses: readonly number[]) {
  const confirmed = new Set<string>();
  const lines = new Map<number, PerformRequest["entries"][number]>();
  let kept: RunState = newRun(plan, RUN);
  let latest = kept;
  let now: number = START;
  let waits = 0;
  let calls = 0;

  const perform = async (request: PerformRequest): Promise<PerformResponse> => {
    calls += 1;
    for (const id of request.confirm) confirmed.add(id);
    const told = events.filter(
      (one) => one.at <= request.asOf && !confirmed.has(one.id) && request.have?.includes(one.id) !== true,
    );
    let response: PerformResponse = { events: told, outcomes: {} };
    if (told.length === 0) {
      for (const entry of request.entries) lines.set(entry.seq, entry);
      const outcomes: [string, Outcome][] = request.commands.map(({ key, kind }) => [
        key,
        kind === "slack" ? { kind: "posted", at: request.asOf, to: "u1" } : { kind: "done", at: request.asOf },
      ]);
      response = { events: [], outcomes: Object.fromEntries(outcomes) };
    }
    if (loses.includes(calls)) throw new Lost();
    return response;
  };

  for (let tasks = 0; tasks < 100; tasks++) {
    try {
      const state = await walk(plan, kept, {
        perform,
        persist: perform,
        arrived: () => [],
        idle: async (until) => {
          if (until === undefined) throw new Error("nothing to wait for");
          kept = latest;
          waits += 1;
          now = Math.max(now, until);
        },
        remembered: () => waits,
        hasReached: (instant) => now >= instant,
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

test("an event that a call handed over takes effect, whichever task is lost behind it", async () => {
  const whole = await walkLosing(plan, [heard], []);
  expect(whole.lines.map((line) => line.slice(17))).toContain("wait_for.met x event=x event_at=2026-03-03 08:00");
  for (let first = 1; first <= whole.calls; first++) {
    expect((await walkLosing(plan, [heard], [first])).lines, `call ${first}`).toEqual(whole.lines);
    expect((await walkLosing(plan, [heard], [first, first + 1, first + 2])).lines, `calls from ${first}`).toEqual(
      whole.lines,
    );
  }
});

test("an exit, too", async () => {
  const whole = await walkLosing(plan, [bye], []);
  expect(whole.state.outcome).toBe("left");
  for (let lost = 1; lost <= whole.calls; lost++)
    expect((await walkLosing(plan, [bye], [lost])).state.outcome, `call ${lost}`).toBe("left");
});

test("what a call handed over is confirmed once the run has waited, not before", async () => {
  const requests: [readonly string[], readonly string[]][] = [];
  let waits = 0;
  let now: number = START;
  const plain = planFrom([wait("w", "24h"), slack("a"), wait("v", "24h"), slack("b")]);
  await walk(plain, newRun(plain, RUN), {
    perform: async (request) => {
      const known = [...request.confirm, ...(request.have ?? [])];
      requests.push([request.confirm, request.have ?? []]);
      if (request.asOf >= heard.at && !requests.some(([confirm]) => confirm.includes(heard.id)) && known.length === 0)
        return { events: [heard], outcomes: {} };
      return {
        events: [],
        outcomes: Object.fromEntries(
          request.commands.map(({ key, kind }) => [
            key,
            kind === "slack" ? { kind: "posted", at: request.asOf, to: "u1" } : { kind: "done", at: request.asOf },
          ]),
        ),
      };
    },
    persist: async () => ({ events: [], outcomes: {} }),
    arrived: () => [],
    idle: async (until) => {
      waits += 1;
      now = until ?? now;
    },
    remembered: () => waits,
    hasReached: (instant) => now >= instant,
    isLong: () => false,
    observe: () => {},
  });
  expect(requests.filter(([confirm, have]) => confirm.length + have.length > 0)[0]).toEqual([[], [heard.id]]);
  expect(requests.find(([confirm]) => confirm.length > 0)).toEqual([[heard.id], []]);
});
