import { describe, expect, test } from "vitest";
import { advance, newRun } from "../../src/engine/advance.js";
import type { MachineEvent, RunEvent } from "../../src/engine/event.js";
import { nextWake } from "../../src/engine/timers.js";
import type { RunState } from "../../src/engine/state.js";
import type { FactValue } from "../../src/expression/expression.js";
import { instantAt } from "../../src/values/zone.js";
import { randomCase, randomFrom } from "../support/random-plans.js";
import { planFrom, wait } from "./plans.js";
import { event, linesOf, rehearse, RUN, START, type Rehearsal, taskOf } from "./rehearse.js";

const SEEDS = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 150);
const FIRST = Number(process.env["WAYPOST_SEED"] ?? 1);

/** A random case as the world of `rehearse` knows it: dated facts and events, tasks closed and mails answered some hours later. */
async function storyOf(seed: number) {
  const { plan, scenario } = randomCase(seed);
  const facts: { at: number; values: Record<string, FactValue | undefined> }[] = [];
  const events: RunEvent[] = [];
  const put = (at: number, fields: Readonly<Record<string, string | number | boolean | null>>): void => {
    const values = Object.entries(fields).map(([name, value]) => [
      `account.${name}`,
      value === null ? undefined : name === "day" ? instantAt(String(value), "09:00", "UTC") : value,
    ]);
    facts.push({ at, values: Object.fromEntries(values) });
  };
  for (const { fields } of scenario.given.accounts ?? []) put(0, fields);
  for (const one of [...scenario.script].sort((a, b) => a.at - b.at)) {
    if (one.kind === "event") events.push({ id: one.id, name: one.name, at: one.at, payload: one.payload });
    else {
      const fields = one.rows.accounts?.[0]?.fields ?? {};
      put(one.at, fields);
      events.push({
        id: one.id,
        name: "facts.changed",
        at: one.at,
        payload: {},
        changed: Object.keys(fields).map((name) => `account.${name}`),
      });
    }
  }
  const how: Rehearsal = { startedAt: scenario.at, until: scenario.until, facts };
  const first = await rehearse(plan, { ...how, events });
  const next = randomFrom(seed);
  for (const { command, at } of first.done) {
    if (next() < 0.3) continue;
    const later = at + Math.floor(next() * 60) * 3_600_000;
    const payload = { step: command.step ?? "", key: command.key };
    if (command.kind === "task")
      events.push({
        id: `${command.key}/closed`,
        name: "task.closed",
        at: later,
        payload: { ...payload, task: taskOf(command.key), status: "done", outcome: next() < 0.5 ? "good" : "bad" },
      });
    if (command.kind === "email")
      events.push({ id: `${command.key}/replied/${at}`, name: "email.replied", at: later, payload });
  }
  return { plan, how: { ...how, events }, outcome: linesOf((await rehearse(plan, { ...how, events })).timeline) };
}

describe(`${SEEDS} random plans and stories (seeds from ${FIRST})`, { timeout: 120_000 }, () => {
  const variants: [string, (seed: number) => Rehearsal][] = [
    [
      "whatever part of its commands a call gets done",
      (seed) => {
        const next = randomFrom(seed + 1_000_000);
        // Now and then a call comes to nothing at all.
        return { cut: (commands) => (next() < 0.1 ? 0 : 1 + Math.floor(next() * commands)) };
      },
    ],
    ["one command at a time", () => ({ cut: () => 1 })],
    ["events come as signals first", () => ({ tell: "signal" })],
    ["events are all known from the beginning", () => ({ tell: "ahead" })],
    ["serialised and continued at every wait", () => ({ continues: true })],
    [
      "all of it",
      (seed) => {
        const next = randomFrom(seed + 2_000_000);
        return { continues: true, tell: "signal", cut: (commands) => Math.ceil(next() * commands) };
      },
    ],
  ];
  test.each(variants)("the same timeline: %s", async (_name, vary) => {
    let lines = 0;
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const { plan, how, outcome } = await storyOf(seed);
      const varied = vary(seed);
      const told = linesOf((await rehearse(plan, { ...how, ...varied })).timeline);
      expect(told, `seed ${seed}`).toEqual(outcome);
      lines += outcome.length;
    }
    expect(lines).toBeGreaterThan(SEEDS * 5);
  });

  test("a state is plain JSON, and `advance` leaves the one it was given as it was", async () => {
    for (let seed = FIRST; seed < FIRST + Math.ceil(SEEDS / 3); seed++) {
      const { plan, how } = await storyOf(seed);
      await rehearse(plan, {
        ...how,
        observe: (state) => {
          const copy = JSON.parse(JSON.stringify(state)) as RunState;
          expect(copy, `seed ${seed}`).toEqual(state);
          const wake = nextWake(state);
          const next: MachineEvent[] = [
            { kind: "tick", at: wake ?? state.clock },
            {
              kind: "event",
              event: {
                id: "!x",
                name: "x",
                at: state.clock,
                payload: { n: 1 },
                changed: ["account.tier", "account.day"],
              },
            },
            { kind: "performed", key: "!none", outcome: { kind: "done", at: state.clock } },
            { kind: "written" },
          ];
          for (const one of next)
            expect(JSON.stringify(advance(plan, copy, one)), `seed ${seed}`).toBe(
              JSON.stringify(advance(plan, state, one)),
            );
          expect(copy, `seed ${seed}`).toEqual(state);
        },
      });
    }
  });

  test("an event told twice is told once", async () => {
    for (let seed = FIRST; seed < FIRST + Math.ceil(SEEDS / 3); seed++) {
      const { plan, how, outcome } = await storyOf(seed);
      const twice = (how.events ?? []).flatMap((one) => [one, one]);
      for (const tell of ["ahead", "signal"] as const)
        expect(linesOf((await rehearse(plan, { ...how, tell, events: twice })).timeline), `seed ${seed}`).toEqual(
          outcome,
        );
    }
  });
});

test("a run that has not begun, or has ended, does nothing about anything", async () => {
  const plan = planFrom([wait("w", "1h")]);
  const fresh = newRun(plan, RUN);
  expect(advance(plan, fresh, { kind: "tick", at: START + 1 }).commands).toEqual([]);
  expect(nextWake((await rehearse(plan)).state)).toBeUndefined();
  const { state } = await rehearse(plan);
  expect(advance(plan, state, { kind: "start", at: START }).state).toEqual(state);
  expect(advance(plan, state, { kind: "event", event: event("x", START) }).commands).toEqual([]);
});
