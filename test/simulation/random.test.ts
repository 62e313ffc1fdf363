import { expect, test } from "vitest";
import { simulate } from "../../src/simulation/simulate.js";
import { linesOf } from "../engine/rehearse.js";
import { randomCase } from "../support/random-plans.js";
import { settingFor } from "./random-setting.js";

const SEEDS = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 500);
const FIRST = Number(process.env["WAYPOST_SEED"] ?? 1);

test(`${SEEDS} random plans, each with its story: they end or wait, in order, the same way twice (seeds from ${FIRST})`, {
  timeout: 120_000,
}, async () => {
  const outcomes: Record<string, number> = {};
  let lines = 0;
  const kinds = new Set<string>();
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const one = randomCase(seed);
    let runs: Awaited<ReturnType<typeof simulate>>;
    try {
      runs = await simulate(settingFor(one), one.scenario);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
    expect(await simulate(settingFor(one), one.scenario), `seed ${seed}`).toEqual(runs);
    expect(runs.length, `seed ${seed}`).toBe(1);
    const { entries, outcome, state } = runs[0] as (typeof runs)[number];
    const told = `seed ${seed}\n${linesOf(entries).join("\n")}`;
    entries.forEach((entry, i) => {
      kinds.add(entry.kind);
      expect(entry.seq, told).toBe(i + 1);
      if (i > 0) expect(entry.at, `${told}\n${entry.seq}`).toBeGreaterThanOrEqual(entries[i - 1]?.at as number);
    });
    lines += entries.length;
    const left = entries.findIndex(
      ({ kind }) => kind === "run.exited" || kind === "run.goal_met" || kind === "run.stopped",
    );
    if (left >= 0) {
      for (const entry of entries.slice(left + 1)) {
        const isFarewell = one.plan.onExit.steps.some(({ id }) => id === entry.step);
        const isKept =
          one.plan.onExit.deferredEmail === "keep" &&
          entry.kind.startsWith("email.") &&
          entries.slice(0, left).some((before) => before.kind === "email.deferred" && before.step === entry.step);
        expect(isFarewell || isKept, `${told}\n${entry.seq}`).toBe(true);
      }
    }
    const how = outcome ?? (state.parked === undefined ? "waits" : "parked");
    outcomes[how] = (outcomes[how] ?? 0) + 1;
    if (how === "waits") expect(state.holds.length > 0 || Object.keys(state.positions).length > 0, told).toBe(true);
    // Nothing that is due before the end of the scenario is left lying.
    if (how === "waits") throw new Error(`${told}\nstill waits at ${JSON.stringify(state.positions)}`);
  }
  console.log(`random plans: ${SEEDS} runs, ${lines} lines of ${kinds.size} kinds, ${JSON.stringify(outcomes)}`);
});
