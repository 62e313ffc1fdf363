import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appendEvents } from "../../src/operations/append-events.js";
import { dispatchBatch } from "../../src/operations/dispatch-events.js";
import { upsertCustomers } from "../../src/operations/upsert-customers.js";
import { at, openWorld, planOf, workspaceOf, type World } from "./world.js";

let world: World;
const START = at("2026-03-02T12:00Z");

beforeEach(async () => {
  world = await openWorld("2026-03-02T12:00Z");
  await upsertCustomers(
    world.ports,
    { accounts: ["a-0", "a-1", "a-2", "a-3", "a-4"].map((id) => ({ id, fields: { name: id } })) },
    { source: "import", at: at("2026-01-01T00:00Z") },
  );
  await world.publish(
    workspaceOf([
      planOf(
        "onboarding",
        { when: [{ kind: "event", event: "signal.raised" }] },
        { listens: { events: ["meeting.booked"], facts: ["account.stage"] } },
      ),
    ]),
  );
});
afterEach(() => world.close());

const send = (id: string, name: string, account: string, instant = START) =>
  appendEvents(world.ports, [{ id, name, account, at: instant, payload: {} }], "http");

const signalsOf = (runId: string) =>
  world.workflows.signals.filter((signal) => signal.runId === runId).map(({ event }) => event.id);

describe("dispatchBatch", () => {
  it("tells a run that begins belatedly what was handed on before anybody was there", async () => {
    world.clock.moveTo(START + 10);
    await send("booked", "meeting.booked", "a-0", START + 2);
    await world.settle();
    // Told only now, but of before: without this the run would wait for what has happened already.
    await send("start-a-0", "signal.raised", "a-0", START + 1);
    await world.settle();
    expect(signalsOf("run/onboarding/a-0/a-0/1")).toEqual(["booked"]);
  });

  it("keeps the order of (at, seq) per account with four dispatchers at once", async () => {
    for (const account of ["a-0", "a-1", "a-2", "a-3", "a-4"]) await send(`start-${account}`, "signal.raised", account);
    await world.settle();
    // Appended in an order that is not that of their instants.
    const instants = [5, 1, 4, 2, 3, 5, 1];
    for (const account of ["a-0", "a-1", "a-2", "a-3", "a-4"]) {
      for (const [k, offset] of instants.entries())
        await send(`${account}-${offset}-${k}`, "meeting.booked", account, START + offset);
    }
    world.clock.moveTo(START + 10);
    const dispatcher = async () => {
      let done = 0;
      for (let batch = 1; batch > 0; done += batch) batch = await dispatchBatch(world.ports, 3);
      return done;
    };
    const counts = await Promise.all([dispatcher(), dispatcher(), dispatcher(), dispatcher()]);
    await world.settle();
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
    for (const account of ["a-0", "a-1", "a-2", "a-3", "a-4"]) {
      expect(signalsOf(`run/onboarding/${account}/${account}/1`)).toEqual(
        ["1-1", "1-6", "2-3", "3-4", "4-2", "5-0", "5-5"].map((rest) => `${account}-${rest}`),
      );
    }
  });

  it("leaves the future pending until the clock gets there", async () => {
    await send("start", "signal.raised", "a-1");
    await send("later", "meeting.booked", "a-1", START + 60_000);
    await world.settle();
    expect(signalsOf("run/onboarding/a-1/a-1/1")).toEqual([]);
    world.clock.moveTo(START + 60_000);
    await world.settle();
    expect(signalsOf("run/onboarding/a-1/a-1/1")).toEqual(["later"]);
  });

  it("crashing between enrolment and start, or start and mark, makes nothing twice", async () => {
    await send("start", "signal.raised", "a-1");
    world.workflows.failNext("start", 1);
    await expect(world.settle()).rejects.toThrow("start fails as asked");
    expect((await world.runs()).map((run) => run.id)).toEqual(["run/onboarding/a-1/a-1/1"]);
    expect(world.workflows.started.size).toBe(0);
    await world.settle();
    expect(world.workflows.started.get("run/onboarding/a-1/a-1/1")?.times).toBe(1);

    // As if the process had died after the start, before either event was marked.
    await world.database.client`update events set status = 'pending' where id = 'start' or name = 'run.enrolled'`;
    await world.settle();
    expect((await world.runs()).map((run) => run.id)).toEqual(["run/onboarding/a-1/a-1/1"]);
    expect(world.workflows.started.get("run/onboarding/a-1/a-1/1")?.times).toBe(2);
    expect(
      await world.rows(
        "select name, count(*)::int as n from events where account_id = 'a-1' and name <> 'facts.changed' group by name order by name",
      ),
    ).toEqual([
      { name: "run.enrolled", n: 1 },
      { name: "signal.raised", n: 1 },
    ]);
    expect(await world.rows("select count(*)::int as n from events where status <> 'dispatched'")).toEqual([{ n: 0 }]);
  });

  it("one account's fault holds up nobody else", async () => {
    for (const account of ["a-0", "a-1"]) await send(`start-${account}`, "signal.raised", account);
    await world.settle();
    await send("x", "meeting.booked", "a-0");
    await send("y", "meeting.booked", "a-1");
    world.workflows.failNext("signal", 1);
    const faults: string[] = [];
    await dispatchBatch({ ...world.ports, onFault: (account) => faults.push(account) }, 100);
    // Whichever came first failed.
    expect(faults).toHaveLength(1);
    expect(world.workflows.signals).toHaveLength(1);
    await world.settle();
    expect(signalsOf("run/onboarding/a-0/a-0/1")).toEqual(["x"]);
    expect(signalsOf("run/onboarding/a-1/a-1/1")).toEqual(["y"]);
  });

  it("tells a run of facts that it mentions, not of others, nor of what was before it or enrolled it", async () => {
    await send("early", "meeting.booked", "a-1", START - 1);
    await send("start", "signal.raised", "a-1");
    await world.settle();
    await upsertCustomers(world.ports, { accounts: [{ id: "a-1", fields: { tier: "x" } }] }, { source: "import" });
    await upsertCustomers(
      world.ports,
      { accounts: [{ id: "a-1", fields: { stage: "adoption" } }] },
      { source: "import" },
    );
    await world.settle();
    expect(world.workflows.signals.map(({ event }) => [event.name, event.changed])).toEqual([
      ["facts.changed", ["account.stage"]],
    ]);
  });
});
