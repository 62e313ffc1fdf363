import { afterEach, describe, expect, it } from "vitest";
import { appendEvents, type IncomingEvent } from "../../src/operations/append-events.js";
import { dispatchBatch } from "../../src/operations/dispatch-events.js";
import { pollDue } from "../../src/operations/poll-due.js";
import { upsertCustomers } from "../../src/operations/upsert-customers.js";
import type { DispatchPorts, Store } from "../../src/ports/store.js";
import { at, equals, fact, openWorld, planOf, workspaceOf, type World } from "./world.js";

const START = at("2026-03-02T12:00Z");
const ACCOUNTS = ["a-0", "a-1", "a-2", "a-3"];

let world: World | undefined;
afterEach(() => world?.close());

/** A generator of numbers in [0, 1) from a seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Crash extends Error {}

/** The ports of a process that dies now and then: before a call takes effect, or after it did and before it was told so. */
function dying(ports: DispatchPorts, random: () => number): DispatchPorts {
  const dies = async <T>(work: () => Promise<T>): Promise<T> => {
    if (random() < 0.06) throw new Crash("before");
    const result = await work();
    if (random() < 0.06) throw new Crash("after");
    return result;
  };
  const store: Store = {
    ...ports.store,
    transaction: (work) => dies(() => ports.store.transaction(work)),
    read: (work) => dies(() => ports.store.read(work)),
  };
  const { workflows } = ports;
  return {
    ...ports,
    store,
    workflows: {
      ...workflows,
      start: (start) => dies(() => workflows.start(start)),
      signal: (runId, event) => dies(() => workflows.signal(runId, event)),
    },
  };
}

async function history(seed: number | undefined) {
  world = await openWorld("2026-03-02T12:00Z");
  const { ports } = world;
  await upsertCustomers(
    ports,
    {
      accounts: ACCOUNTS.map((id) => ({ id, fields: { name: id, stage: "onboarding" } })),
      contracts: ACCOUNTS.map((id) => ({
        id: `k-${id}`,
        accountId: id,
        fields: { status: "active", end_date: "2026-03-20" },
      })),
    },
    { source: "import", at: START - 1000 },
  );
  const stars = { title: "", if: equals("account.stage", "adoption") };
  await world.publish(
    workspaceOf(
      [
        planOf(
          "rescue",
          { when: [{ kind: "event", event: "signal.raised" }] },
          { listens: { events: ["meeting.booked"], facts: ["account.stage"] } },
        ),
        planOf(
          "star",
          { when: [{ kind: "enters", segment: "stars" }] },
          { listens: { events: ["meeting.booked"], facts: [] } },
        ),
        planOf("renewal", {
          when: [{ kind: "before", date: fact("contract.end_date"), by: { amount: 30, unit: "d" } }],
          key: fact("contract.id"),
        }),
      ],
      { stars },
    ),
  );
  const random = seeded(seed ?? 0);
  const mine = seed === undefined ? ports : dying(ports, random);
  for (const [k, account] of ACCOUNTS.entries()) {
    const say = (id: string, name: string, offset: number): IncomingEvent => ({
      id: `${account}-${id}`,
      name,
      account,
      at: START + offset,
      payload: {},
    });
    await appendEvents(
      ports,
      [
        say("1", "signal.raised", 1),
        say("2", "meeting.booked", 2),
        say("3", "signal.raised", 3),
        say("5", "meeting.booked", 5 + k),
      ],
      "http",
    );
    await upsertCustomers(
      ports,
      { accounts: [{ id: account, fields: { stage: "adoption" }, at: START + 4 }] },
      { source: "import" },
    );
  }
  world.clock.moveTo(START + 100);
  const process = async () => {
    for (let calm = 0; calm < 3; ) {
      try {
        const done = (await dispatchBatch(mine, 7)) + (await pollDue(mine, {}, 7));
        calm = done === 0 ? calm + 1 : 0;
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
        calm = 0;
      }
    }
  };
  await Promise.all([process(), process(), process()]);
  await world.settle();
  const firstSignals = new Map<string, string[]>();
  for (const { runId, event } of world.workflows.signals) {
    // Ids of `facts.changed` are random.
    const id = event.name === "facts.changed" ? `${event.name}@${event.at - START}` : event.id;
    const seen = firstSignals.get(runId) ?? [];
    if (!seen.includes(id)) firstSignals.set(runId, [...seen, id]);
  }
  const result = {
    runs: (await world.runs()).map((run) => [run.id, run.startedAt - START]).sort(),
    started: [...world.workflows.started.keys()].sort(),
    signals: [...firstSignals].sort(([a], [b]) => (a < b ? -1 : 1)),
    events: await world.rows("select name, status, count(*)::int as n from events group by name, status order by name"),
  };
  await world.close();
  world = undefined;
  return result;
}

describe("three dispatchers that die now and then", () => {
  it("leave exactly what one that never does leaves", { timeout: 120_000 }, async () => {
    const calm = await history(undefined);
    expect(calm.runs).toHaveLength(12);
    expect(calm.signals[0]).toEqual([
      "run/rescue/a-0/a-0/1",
      ["a-0-2", "run.triggered_again/run/rescue/a-0/a-0/1/a-0-3", "facts.changed@4", "a-0-5"],
    ]);
    for (const seed of [1, 2, 3, 4, 5]) expect(await history(seed), `seed ${seed}`).toEqual(calm);
  });
});
