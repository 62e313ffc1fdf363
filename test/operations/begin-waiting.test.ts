import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appendEvents } from "../../src/operations/append-events.js";
import { dispatchBatch, Turns } from "../../src/operations/dispatch-events.js";
import { enrolBatch } from "../../src/operations/enrol-many.js";
import { upsertCustomers } from "../../src/operations/upsert-customers.js";
import type { DispatchPorts } from "../../src/ports/store.js";
import type { RunStart } from "../../src/ports/workflows.js";
import { at, openWorld, planOf, workspaceOf, type World } from "./world.js";

const START = at("2026-03-02T12:00Z");
const MANY = Array.from({ length: 240 }, (_, n) => `m-${n}`);
const OTHERS = ["o-0", "o-1"];

let world: World;

beforeEach(async () => {
  world = await openWorld("2026-03-02T12:00Z");
  await upsertCustomers(
    world.ports,
    { accounts: [...MANY, ...OTHERS].map((id) => ({ id, fields: { name: id } })) },
    { source: "import", at: at("2026-01-01T00:00Z") },
  );
  await world.publish(
    workspaceOf([
      planOf("campaign", {}, { listens: { events: ["meeting.booked"], facts: [] } }),
      planOf("rescue", {}, { listens: { events: ["meeting.booked"], facts: [] } }),
    ]),
  );
  await world.settle();
});
afterEach(() => world.close());

const enrolAll = (accounts: readonly string[], playbook = "campaign", source = "cli", id = "spring") =>
  enrolBatch(
    world.ports,
    { playbook, id, source },
    accounts.map((accountId) => ({ accountId, inputs: {} })),
  );
const started = () => [...world.workflows.started.keys()];
const timesStarted = () => [...world.workflows.started.values()].map(({ times }) => times);
const runOf = (account: string, playbook = "campaign") => `run/${playbook}/${account}/${account}/1`;
const pendingStarts = async () =>
  (
    await world.rows<{ n: number }>(
      "select count(*)::int as n from events where name = 'run.enrolled' and status = 'pending'",
    )
  )[0]?.n;

/** The ports of the world with another `start`. */
const starting = (start: (given: RunStart) => Promise<string | undefined>, more: Partial<DispatchPorts> = {}) => ({
  ...world.ports,
  workflows: { ...world.workflows, start },
  ...more,
});

describe("runs that wait to be begun", () => {
  it("are begun many at once, with the same few statements however many they are", async () => {
    await enrolAll(MANY);
    let now = 0;
    let most = 0;
    let reads = 0;
    const ports = starting(async (given) => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 5));
      now -= 1;
      return world.workflows.start(given);
    });
    const store: DispatchPorts["store"] = {
      ...ports.store,
      runs: {
        ...ports.store.runs,
        get: () => Promise.reject(new Error("one by one")),
        getMany: (...given) => {
          reads += 1;
          return ports.store.runs.getMany(...given);
        },
      },
    };
    expect(await dispatchBatch({ ...ports, store }, 200)).toBe(200);
    expect(await dispatchBatch({ ...ports, store }, 200)).toBe(40);
    expect(await dispatchBatch({ ...ports, store }, 200)).toBe(0);
    expect(most).toBe(32);
    expect(reads).toBe(2);
    expect(started().sort()).toEqual(MANY.map((account) => runOf(account)).sort());
    expect(new Set(timesStarted())).toEqual(new Set([1]));
    expect(await pendingStarts()).toBe(0);
  });

  it("are begun once by dispatchers of several processes at once", async () => {
    await enrolAll(MANY);
    const dispatcher = async () => {
      for (let empty = 0; empty < 3; ) empty = (await dispatchBatch(world.ports, 20)) === 0 ? empty + 1 : 0;
    };
    await Promise.all([dispatcher(), dispatcher(), dispatcher(), dispatcher()]);
    expect(started()).toHaveLength(MANY.length);
    expect(new Set(timesStarted())).toEqual(new Set([1]));
  });

  it("find work for each of two dispatchers that look at once", async () => {
    await enrolAll(MANY);
    const counts = await Promise.all([dispatchBatch(world.ports, 60), dispatchBatch(world.ports, 60)]);
    expect(counts).toEqual([60, 60]);
    expect(started()).toHaveLength(120);
  });

  it("are begun again, and are no second ones, where the process died before it had marked any", async () => {
    await enrolAll(MANY.slice(0, 50));
    const { store } = world.ports;
    const dying: DispatchPorts["store"] = {
      ...store,
      events: {
        ...store.events,
        whileStarting: (now, limit, work) =>
          store.events.whileStarting(now, limit, async (starts) => {
            await work(starts);
            throw new Error("killed");
          }),
      },
    };
    await expect(dispatchBatch({ ...world.ports, store: dying }, 200)).rejects.toThrow("killed");
    expect([started().length, await pendingStarts()]).toEqual([50, 50]);
    await world.settle();
    expect(started()).toHaveLength(50);
    expect(new Set(timesStarted())).toEqual(new Set([2]));
    expect(await world.runs()).toHaveLength(50);
  });

  it("keep nobody else's run waiting: each playbook and each source has its share of every batch", async () => {
    await enrolAll(MANY);
    await enrolAll(["o-0"], "rescue");
    await enrolAll(["o-1"], "campaign", "run", "asked for by a run");
    expect(await dispatchBatch(world.ports, 10)).toBe(10);
    expect(started()).toHaveLength(10);
    expect(started()).toEqual(expect.arrayContaining([runOf("o-0", "rescue"), runOf("o-1")]));
  });

  it("keep nobody's events waiting, also while Temporal takes its time", async () => {
    await enrolAll(["o-0"], "rescue");
    await world.settle();
    await enrolAll(MANY);
    let answer = (): void => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const turns = new Turns();
    const ports = starting(
      async (given) => {
        await answered;
        return world.workflows.start(given);
      },
      { turns },
    );
    const slow = dispatchBatch(ports, 200);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await appendEvents(
      world.ports,
      [{ id: "booked", name: "meeting.booked", account: "o-0", at: START, payload: {} }],
      "http",
    );
    // The other dispatchers of the process begin nothing meanwhile: they would wait for the same server.
    expect(await dispatchBatch(ports, 200)).toBe(1);
    expect(world.workflows.signals.map(({ runId, event }) => [runId, event.id])).toEqual([
      [runOf("o-0", "rescue"), "booked"],
    ]);
    answer();
    expect(await slow).toBe(200);
  });

  it("an account with more to hand on gets it in its order, and at once", async () => {
    await enrolAll(MANY);
    world.clock.moveTo(START + 10);
    await appendEvents(
      world.ports,
      [{ id: "booked", name: "meeting.booked", account: "m-239", at: START + 5, payload: {} }],
      "http",
    );
    await dispatchBatch(world.ports, 10);
    expect(started()).toContain(runOf("m-239"));
    expect(world.workflows.signals.map(({ runId, event }) => [runId, event.id])).toEqual([[runOf("m-239"), "booked"]]);
  });

  it("a run is not begun before what is earlier in its account is done", async () => {
    await appendEvents(
      world.ports,
      [{ id: "before", name: "meeting.booked", account: "m-0", at: START, payload: {} }],
      "http",
    );
    world.clock.moveTo(START + 10);
    await enrolAll(["m-0", "m-1"]);
    const faults: string[] = [];
    const ports: DispatchPorts = {
      ...world.ports,
      react: () => Promise.reject(new Error("it can't be done")),
      onFault: (account) => faults.push(account),
    };
    await dispatchBatch(ports, 10);
    expect(faults).toEqual(["m-0"]);
    expect(started()).toEqual([runOf("m-1")]);
    await world.settle();
    expect(started()).toEqual([runOf("m-1"), runOf("m-0")]);
  });

  it("one that can't be begun keeps none of the others back, and is begun later", async () => {
    await enrolAll(MANY.slice(0, 50));
    const faults: string[] = [];
    const ports = starting(
      (given) => (given.run.accountId === "m-3" ? Promise.reject(new Error("refused")) : world.workflows.start(given)),
      { onFault: (account) => faults.push(account) },
    );
    expect(await dispatchBatch(ports, 200)).toBe(49);
    expect(faults).toEqual(["m-3"]);
    expect(started()).toHaveLength(49);
    await world.settle();
    expect(started()).toHaveLength(50);
    expect(new Set(timesStarted())).toEqual(new Set([1]));
  });

  it("where Temporal is away the rest of a batch isn't tried", async () => {
    await enrolAll(MANY);
    let asked = 0;
    const ports = starting(
      () => {
        asked += 1;
        return Promise.reject(Object.assign(new Error("away"), { name: "TemporalUnavailable" }));
      },
      { onFault: () => {} },
    );
    expect(await dispatchBatch(ports, 200)).toBe(0);
    expect(asked).toBe(32);
    expect(await pendingStarts()).toBe(240);
  });

  it("one that begins belatedly is told of what was handed on meanwhile", async () => {
    await enrolAll(["m-0", "m-1"]);
    world.clock.moveTo(START + 10);
    await appendEvents(
      world.ports,
      [{ id: "booked", name: "meeting.booked", account: "m-0", at: START + 5, payload: {} }],
      "http",
    );
    // As after a store that was put back, or a build that handed it on first.
    await world.database.client`update events set status = 'dispatched' where id = 'booked'`;
    await world.settle();
    expect(world.workflows.signals.map(({ runId, event }) => [runId, event.id])).toEqual([[runOf("m-0"), "booked"]]);
  });
});
