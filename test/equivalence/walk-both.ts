import { setTimeout as sleep } from "node:timers/promises";
import { dispatchBatch } from "../../src/operations/dispatch-events.js";
import { publish } from "../../src/operations/publish.js";
import { readRun } from "../../src/operations/read-runs.js";
import type { Workspace } from "../../src/ports/playbooks.js";
import type { Scenario } from "../../src/simulation/records.js";
import { simulate, type SimulationSetting } from "../../src/simulation/simulate.js";
import { DAY_MS, type Instant } from "../../src/values/instant.js";
import { startWholeSystem, type WholeSystem } from "../support/whole-system.js";
import { Feed } from "./feed.js";
import { difference, linesOf, type Timelines } from "./timelines.js";

export interface BothOptions {
  /** What is published. Without a health model: the simulator doesn't measure. */
  readonly workspace: Workspace;
  readonly setting: SimulationSetting;
  /** All begin at the same instant; every id is a scenario's own (`isolated`). */
  readonly scenarios: readonly Scenario[];
  /** Domain days in a second. */
  readonly daysPerSecond: number;
}

export interface Walked {
  readonly scenario: Scenario;
  readonly simulated: Timelines;
  readonly real: Timelines;
  /** The first difference; undefined: they agree. */
  readonly difference: string | undefined;
}

/** Walks scenarios through the simulator and, all at once, through the whole real system; one result for each. */
export async function walkBoth(options: BothOptions): Promise<readonly Walked[]> {
  const { scenarios, setting, workspace, daysPerSecond } = options;
  const origin = (scenarios[0] as Scenario).at;
  if (scenarios.some(({ at }) => at !== origin)) throw new Error("the scenarios must begin at the same instant");
  const until = Math.max(...scenarios.map((scenario) => scenario.until));
  // Before anything is timed: it takes the whole processor.
  const simulated = new Map<Scenario, Timelines>();
  for (const scenario of scenarios) simulated.set(scenario, await simulatedLines(setting, scenario));
  const feed = new Feed(scenarios);
  const { segments: _, ...configurations } = workspace.configurations;
  const system = await startWholeSystem({
    scale: (daysPerSecond * DAY_MS) / 1000,
    domainOrigin: origin,
    mailbox: { onMessage: (message) => feed.onMessage(message) },
    desk: { onPost: (message) => feed.onPost(message) },
    prepare: async (prepared) => {
      // What they are like is known before the playbooks are: nobody enters a segment by being imported.
      const { wired } = prepared;
      const fields = { playbooks: [], templates: [], configurations: { ...configurations, segments: {} } };
      await publish(wired, fields, "test");
      await feed.give(prepared, origin - 400 * DAY_MS);
      while ((await dispatchBatch(wired.dispatch, 1_000)) > 0);
      await publish({ ...wired, clock: { ...wired.clock, now: () => origin } }, workspace, "test");
      await feed.tell();
    },
  });
  feed.meet(system);
  const feeding = new AbortController();
  try {
    const { wired } = system;
    const playing = feed.enrol(feeding.signal).catch((error: unknown) => {
      if (!feeding.signal.aborted) throw error;
    });
    await playing;
    await sleep(wired.clock.realMsUntil(until));
    const walked: Walked[] = [];
    const settled = await untilSettled(system, scenarios);
    for (const scenario of scenarios) {
      const a = simulated.get(scenario) as Timelines;
      const b = settled.get(scenario) as Timelines;
      walked.push({ scenario, simulated: a, real: b, difference: difference(a, b) });
    }
    if (feed.problems.length > 0)
      throw new Error(`the scenarios could not be fed:\n${[...new Set(feed.problems)].slice(0, 20).join("\n")}`);
    return walked;
  } finally {
    feeding.abort();
    await system.stop();
  }
}

async function simulatedLines(setting: SimulationSetting, scenario: Scenario): Promise<Timelines> {
  const timelines = await simulate(setting, scenario);
  return new Map(timelines.map(({ run, entries }) => [run, linesOf(entries, scenario.until)]));
}

/** Quiet for so long, real milliseconds, means that everything up to the scenarios' end has been walked. */
const QUIET_MS = 3_000;
const SETTLE_MAX_MS = 60_000;

async function untilSettled(system: WholeSystem, scenarios: readonly Scenario[]): Promise<Map<Scenario, Timelines>> {
  let last = "";
  let since = Date.now();
  const giveUp = Date.now() + SETTLE_MAX_MS;
  for (;;) {
    const found = new Map<Scenario, Timelines>();
    for (const scenario of scenarios) found.set(scenario, await realLines(system, scenario));
    const now = JSON.stringify(
      [...found.values()].map((timelines) => [...timelines].map(([run, lines]) => [run, lines.length])),
    );
    if (now !== last) since = Date.now();
    last = now;
    if (Date.now() - since >= QUIET_MS || Date.now() > giveUp) return found;
    await sleep(300);
  }
}

async function realLines({ wired }: WholeSystem, scenario: Scenario): Promise<Timelines> {
  const { store } = wired;
  const accounts = [
    ...(scenario.given.accounts ?? []),
    ...scenario.script.flatMap((item) => (item.kind === "upsert" ? (item.rows.accounts ?? []) : [])),
  ];
  const lines = new Map<string, readonly string[]>();
  for (const accountId of new Set(accounts.map(({ id }) => id))) {
    for (const run of await store.read((tx) => store.runs.list(tx, { accountId, limit: 200 }))) {
      // What begins after the end is no part of it.
      if (run.startedAt > scenario.until) continue;
      const detail = await readRun(store, run.id);
      lines.set(run.id, linesOf(detail?.timeline ?? [], scenario.until));
    }
  }
  return lines;
}
