import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { simulate } from "../../src/simulation/simulate.js";
import { DAY_MS } from "../../src/values/instant.js";
import {
  around,
  end,
  milestone,
  on,
  planFrom,
  repeat,
  scenarioOf,
  settingOf,
  slack,
  task,
  wait,
  waitFor,
} from "../engine/plans.js";
import { linesOf } from "../engine/rehearse.js";
import { temporalSimulator } from "../support/temporal-simulation.js";
import { type Edit, editedBundle } from "./edited-bundle.js";
import { openStage, type Stage } from "./stage.js";

const isLong = process.env["WAYPOST_LONG"] === "1";
const EVENTS = isLong ? 20_000 : 1_000;
/** How many signals are under way at once. */
const AT_ONCE = 16;
/** How far the run may be behind what it was told. Signals without end that nobody waits for only fill its history. */
const BEHIND = 48;

/** For a thousand events a run need not continue as new. */
const EARLY: Readonly<Record<string, readonly Edit[]>> = {
  "workflows/run-playbook.ts": [["HISTORY_LENGTH_MAX = 1_000", "HISTORY_LENGTH_MAX = 400"]],
};

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(inject("temporalAddress") ?? "", await editedBundle(isLong ? {} : EARLY));
});
afterAll(() => stage?.close());

test(`${EVENTS} events through one run: it continues as new and doesn't grow`, {
  timeout: isLong ? 3_600_000 : 120_000,
}, async () => {
  const began = Date.now();
  let rounds = 0;
  const run = await stage.run("long", {
    // A round takes a minute, which is a millisecond here.
    dayMs: 1_440,
    plan: planFrom(
      [
        repeat("round", "1m", 1_000_000, [waitFor("told", on("x", { since: "wait" }), "300d"), slack("said")]),
        end("done"),
      ],
      { exits: [{ when: { event: "bye" }, outcome: "left" }] },
    ),
    isForgetful: true,
    answer: (command) => {
      if (command.kind === "slack") rounds += 1;
      return undefined;
    },
  });
  let refused = 0;
  /** As the dispatcher does: again, until the server takes it. It takes ten thousand per execution. */
  const tell = async (): Promise<void> => {
    for (;;) {
      try {
        await run.tell("x");
        return;
      } catch (error) {
        refused += 1;
        if (refused === 1) console.log(`refused: ${String((error as Error).cause ?? error)}`);
        await sleep(500);
      }
    }
  };
  const figures: { told: number; handled: number; bytes: number; rssMb: number }[] = [];
  for (let told = 0; told < EVENTS; ) {
    await Promise.all(Array.from({ length: AT_ONCE }, tell));
    told += AT_ONCE;
    while (run.taken() < told - BEHIND) await sleep(2);
    if (told % (EVENTS / 8) < AT_ONCE || told >= EVENTS) {
      const state = await run.state();
      figures.push({
        told,
        handled: state?.handled ?? 0,
        bytes: JSON.stringify(state).length,
        rssMb: Math.round(process.memoryUsage().rss / 1024 / 1024),
      });
    }
  }
  const last = await run.until("through", (state) => state.handled >= EVENTS);
  await run.tell("bye");
  expect(await run.ended()).toBe("left");
  const lengths = (await run.histories()).map(({ events }) => events?.length ?? 0);
  const seconds = (Date.now() - began) / 1000;
  const show = figures.filter((_, i) => i % Math.ceil(figures.length / 8) === 0);
  console.log(
    `long run: ${last.handled} events handled, ${rounds} rounds, ${lengths.length} executions (longest ${Math.max(...lengths)} events), ${refused} signals refused and sent again, ${Math.round(seconds)} s; ` +
      show.map(({ told, bytes, rssMb }) => `${told}: ${bytes} B state, ${rssMb} MB`).join("; "),
  );
  expect(last.handled).toBe(Math.ceil(EVENTS / AT_ONCE) * AT_ONCE);
  expect(lengths.length).toBeGreaterThan(1);
  // The server would end a run of more than 51,200.
  expect(Math.max(...lengths)).toBeLessThan(25_000);
  expect(figures.at(-1)?.bytes).toBeLessThan(60_000);
});

test("a run of three years", { timeout: 120_000 }, async () => {
  const plan = planFrom([
    repeat("weekly", "7d", 156, [
      task("touch", { wait: { within: { amount: 3, unit: "bd" }, otherwise: [] } }),
      wait("tuesday", "thursday 10:00"),
    ]),
    milestone("reached"),
    around("dates", "milestone.first_value", [
      ["0d", slack("anniversary")],
      ["1 bd", slack("day_after")],
    ]),
    end("done"),
  ]);
  const scenario = scenarioOf();
  const threeYears = { ...scenario, until: scenario.at + 1_150 * DAY_MS };
  const [expected] = await simulate(settingOf(plan), threeYears);
  const temporal = await temporalSimulator(inject("temporalAddress") ?? "");
  try {
    const began = Date.now();
    const [actual] = await temporal.simulate(settingOf(plan), threeYears, 12);
    const days = ((expected?.entries.at(-1)?.at ?? 0) - scenario.at) / DAY_MS;
    console.log(
      `three years: ${Math.round(days)} days, ${expected?.entries.length} lines, ${Math.round((Date.now() - began) / 1000)} s`,
    );
    expect(days).toBeGreaterThan(1_080);
    expect(actual?.outcome).toBe("done");
    expect(linesOf(actual?.entries ?? [])).toEqual(linesOf(expected?.entries ?? []));
  } finally {
    await temporal.close();
  }
});
