import { describe, expect, test } from "vitest";
import { newRun } from "../../src/engine/advance.js";
import type { Plan } from "../../src/engine/plan.js";
import type { RunEvent } from "../../src/engine/event.js";
import { stretch } from "../../src/engine/stretch.js";
import type { TimelineEntry } from "../../src/engine/timeline.js";
import { walk } from "../../src/engine/walk.js";
import { end, on, parallel, planFrom, repeat, slack, wait, waitFor } from "./plans.js";
import { at, event, RUN, short } from "./rehearse.js";

/** Walks a run that nobody has attended to until `now`, and whose worker then takes it up. `missed`: what happened to it meanwhile, and is still in the store. */
async function caughtUp(plan: Plan, now: string, missed: readonly RunEvent[] = []) {
  const told: TimelineEntry[] = [];
  const logs: number[] = [];
  const taken = new Set<string>();
  const state = await walk(plan, newRun(plan, RUN), {
    perform: async ({ state, offered }) => {
      const response = await stretch(plan, state, offered, {
        perform: async (command, asOf) => ({
          kind: "outcome",
          outcome: command.kind === "slack" ? { kind: "posted", at: asOf, to: "u1" } : { kind: "done", at: asOf },
        }),
        write: async ({ asOf, entries }) => {
          const events = missed.filter((one) => one.at <= asOf && !taken.has(one.id));
          for (const { id } of events) taken.add(id);
          if (events.length === 0) told.push(...entries);
          return events;
        },
        hasReached: (due) => due <= at(now),
        mayGoOn: () => true,
      });
      logs.push(response.log.length);
      return response;
    },
    persist: () => Promise.reject(new Error("nothing fails")),
    arrived: () => [],
    idle: () => Promise.reject(new Error("it rests")),
    now: () => at(now),
    isLong: () => false,
    observe: () => {},
  }).catch((error: Error) => (error.message === "it rests" ? undefined : Promise.reject(error)));
  return { told, logs, longest: Math.max(...logs), state };
}

describe("a worker that was away for days takes up", () => {
  test("a round every second: all of them, each at its own instant, a stretch at a time", async () => {
    const plan = planFrom([repeat("hours", "1h", 1_000, [repeat("beat", "1s", 1_000, [])]), end("done")]);
    const { told, logs, longest } = await caughtUp(plan, "2026-03-04T09:00");
    const beats = told.filter(({ kind, key }) => kind === "repeat.began" && key?.includes("#"));
    // Two days, and the hour that begins with the third.
    expect(beats).toHaveLength(48 * 1_000 + 1);
    expect(short(beats.at(-2)?.at ?? 0)).toBe("2026-03-04 08:16");
    expect(told.map(({ seq }) => seq)).toEqual(told.map((_, i) => i + 1));
    expect(told.some(({ kind }) => kind === "run.parked")).toBe(false);
    expect(longest).toBeLessThanOrEqual(1_001);
    expect(logs.length).toBeLessThan(100);
  });

  test("three years of a minute's rounds, to the end", async () => {
    const day = repeat("minutes", "1m", 60, []);
    const plan = planFrom([repeat("days", "24h", 1_000, [day, slack("note")]), end("done")]);
    const { told, longest, state } = await caughtUp(plan, "2029-03-02T09:00");
    expect(state?.outcome).toBe("done");
    expect(told.filter(({ kind }) => kind === "slack.posted")).toHaveLength(1_000);
    expect(told.filter(({ kind, key }) => kind === "repeat.began" && key?.includes("#"))).toHaveLength(60_000);
    expect(longest).toBeLessThanOrEqual(1_001);
  });

  test("what happened meanwhile, at its own instant among the rounds", async () => {
    const plan = planFrom([
      parallel(
        "both",
        {
          beat: [repeat("hours", "1h", 1_000, [repeat("beat", "1s", 1_000, [])])],
          said: [waitFor("stop", on("deal.signed"), "300h"), wait("pause", "10s")],
        },
        "any",
      ),
      end("done"),
    ]);
    const missed = [event("deal.signed", "2026-03-03T09:00:30Z")];
    const { told, state } = await caughtUp(plan, "2026-03-05T09:00", missed);
    expect(state?.outcome).toBe("done");
    expect(told.filter(({ kind }) => kind === "wait_for.met").map((line) => short(line.at))).toEqual([
      "2026-03-03 09:00",
    ]);
    // A day, and forty seconds of the next one, the first second included.
    expect(told.filter(({ kind, key }) => kind === "repeat.began" && key?.includes("#"))).toHaveLength(24_000 + 41);
  });
});
