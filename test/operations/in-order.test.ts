import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { postgresHealth } from "../../src/adapters/postgres/health.js";
import { postgresOrder } from "../../src/adapters/postgres/order.js";
import { postgresSegments } from "../../src/adapters/postgres/segments.js";
import { appendEvents } from "../../src/operations/append-events.js";
import { dispatchBatch } from "../../src/operations/dispatch-events.js";
import { inOrder } from "../../src/operations/in-order.js";
import { pollDue } from "../../src/operations/poll-due.js";
import { sweepDue } from "../../src/operations/sweep-health.js";
import { upsertCustomers } from "../../src/operations/upsert-customers.js";
import type { Blocker, LogicalOrder, Turn } from "../../src/ports/order.js";
import { at, openWorld, planOf, workspaceOf, type World } from "./world.js";

let world: World;
let order: LogicalOrder;
let givenUp: Blocker[];
const START = at("2026-03-02T12:00Z");
const HOUR = 3_600_000;

beforeEach(async () => {
  world = await openWorld("2026-03-02T12:00Z");
  givenUp = [];
  order = orderWith({});
  await upsertCustomers(
    world.ports,
    { accounts: ["a-0", "a-1"].map((id) => ({ id, fields: { name: id } })) },
    { source: "import", at: at("2026-01-01T00:00Z") },
  );
  const workspace = workspaceOf([
    planOf(
      "one",
      { when: [{ kind: "event", event: "signal.raised" }] },
      { listens: { events: ["meeting.booked"], facts: [] } },
    ),
  ]);
  const health = { evaluate: { dailyAt: "03:00", on: [] } };
  await world.publish({ ...workspace, configurations: { ...workspace.configurations, health } });
  await world.settle();
});
afterEach(() => world.close());

const orderWith = (more: { patienceMs?: number }) =>
  inOrder({
    ports: world.ports,
    order: postgresOrder,
    onBlocked: () => {},
    onGivenUp: (blocker) => givenUp.push(blocker),
    ...more,
  });
/** What is measured is no matter here. */
const measureAll = async () => ({ written: 0, changed: 0 });
const dispatch = () => dispatchBatch({ ...world.ports, order }, 100);
const send = (id: string, name: string, account: string, instant: number) =>
  appendEvents(world.ports, [{ id, name, account, at: instant, payload: {} }], "http");
const RUN = "run/one/a-0/a-0/1";
const turnOfRun = (instant: number, runId = RUN, accountId = "a-0"): Turn => ({
  rank: "run",
  at: instant,
  accountId,
  runId,
});
const inStore = <T>(work: Parameters<typeof world.store.transaction<T>>[0]) => world.store.transaction(work);

async function startRun(): Promise<void> {
  await send("start", "signal.raised", "a-0", START);
  await world.settle();
}

describe("domain time as an order", () => {
  it("lets an event wait for a run of its account that wakes earlier, and for no other account's", async () => {
    await startRun();
    world.clock.moveTo(START + 10 * HOUR);
    await inStore((tx) => postgresOrder.rests(tx, RUN, START + HOUR));
    await send("late-0", "meeting.booked", "a-0", START + 2 * HOUR);
    await send("late-1", "meeting.booked", "a-1", START + 2 * HOUR);
    expect(await dispatch()).toBe(1);
    expect(await world.rows("select id from events where status = 'pending'")).toEqual([{ id: "late-0" }]);
    await inStore((tx) => postgresOrder.rests(tx, RUN, START + 3 * HOUR));
    expect(await dispatch()).toBe(1);
    // It was told: nothing later goes before it now.
    expect(await order.isTurn({ rank: "due", at: START + 2 * HOUR + 1, accountId: "a-0" })).toBe(false);
  });

  it("lets a run wait for events up to its instant, and for due items before the end of it", async () => {
    await startRun();
    world.clock.moveTo(START + 10 * HOUR);
    await inStore((tx) => postgresOrder.rests(tx, RUN, START + 2 * HOUR));
    await send("same", "meeting.held", "a-0", START + 2 * HOUR);
    expect(await order.isTurn(turnOfRun(START + 2 * HOUR - 1))).toBe(true);
    expect(await order.isTurn(turnOfRun(START + 2 * HOUR))).toBe(false);
    await dispatch();
    expect(await order.isTurn(turnOfRun(START + 2 * HOUR))).toBe(true);
    await inStore((tx) =>
      world.store.due.arm(tx, [{ id: "x", kind: "announced", at: START + 2 * HOUR, accountId: "a-0", payload: {} }]),
    );
    expect(await order.isTurn(turnOfRun(START + 2 * HOUR))).toBe(false);
    expect(await pollDue({ ...world.ports, order }, {}, 10)).toBe(0);
    await inStore((tx) => world.store.due.disarm(tx, ["x"]));
    expect(await order.isTurn(turnOfRun(START + 2 * HOUR))).toBe(true);
  });

  it("lets runs that wake at one instant go in the order of their ids", async () => {
    await startRun();
    await inStore((tx) => postgresOrder.rests(tx, RUN, START + HOUR));
    expect(await order.isTurn(turnOfRun(START + HOUR, "run/zero/a-0/a-0/1"))).toBe(false);
    expect(await order.isTurn(turnOfRun(START + HOUR, "run/a/a-0/a-0/1"))).toBe(true);
  });

  it("is no run's turn while it has been told of something earlier: it waits no longer, and looks", async () => {
    await startRun();
    world.clock.moveTo(START + 10 * HOUR);
    await send("first", "meeting.held", "a-0", START + HOUR);
    await inStore((tx) => postgresOrder.rests(tx, RUN, START + 5 * HOUR));
    expect(await order.isTurn(turnOfRun(START + 5 * HOUR))).toBe(false);
    await inStore((tx) => postgresOrder.stir(tx, [RUN], START + 2 * HOUR));
    expect(await order.untilTurn(turnOfRun(START + 5 * HOUR), 60_000)).toBe(true);
    expect(await order.isTurn(turnOfRun(START + 5 * HOUR))).toBe(false);
    await dispatch();
    await inStore((tx) => postgresOrder.wakes(tx, RUN, START + 5 * HOUR));
    expect(await order.isTurn(turnOfRun(START + 5 * HOUR))).toBe(true);
  });

  it("lets nothing of a later day go before the evaluation of the day, and that not before what is earlier", async () => {
    await startRun();
    world.clock.moveTo(START + 48 * HOUR);
    const daily = at("2026-03-03T03:00Z");
    await inStore((tx) => postgresOrder.rests(tx, RUN, null));
    // Before the very first evaluation there is no order of days.
    expect(await order.isTurn({ rank: "event", at: daily + HOUR, accountId: "a-1" })).toBe(true);
    await inStore((tx) => postgresHealth.setSweepCursor(tx, "health", { at: daily - 24 * HOUR, after: null }));
    order.moved();
    expect(await order.horizon()).toBe(daily);
    expect(await order.isTurn({ rank: "event", at: daily, accountId: "a-1" })).toBe(true);
    expect(await order.isTurn({ rank: "event", at: daily + 1, accountId: "a-1" })).toBe(false);
    expect(await order.isTurn({ rank: "due", at: daily, accountId: "a-1" })).toBe(false);
    expect(await order.isTurn({ rank: "sweep", at: daily })).toBe(true);
    await inStore((tx) => postgresOrder.rests(tx, RUN, daily - 1));
    expect(await order.isTurn({ rank: "sweep", at: daily })).toBe(false);
    await inStore((tx) => postgresOrder.rests(tx, RUN, daily));
    expect(await order.isTurn({ rank: "sweep", at: daily })).toBe(true);
    await inStore((tx) => postgresHealth.setSweepCursor(tx, "health", { at: daily, after: "a-0" }));
    order.moved();
    expect(await order.isTurn(turnOfRun(daily))).toBe(false);
    await inStore((tx) => postgresHealth.setSweepCursor(tx, "health", { at: daily, after: null }));
    order.moved();
    expect(await order.isTurn(turnOfRun(daily))).toBe(true);
  });

  it("evaluates the next day however far the clock is ahead: everybody waits for it", async () => {
    await startRun();
    const daily = at("2026-03-03T03:00Z");
    world.clock.moveTo(daily + 500 * 24 * HOUR);
    await inStore((tx) => postgresHealth.setSweepCursor(tx, "health", { at: daily - 24 * HOUR, after: null }));
    await inStore((tx) => postgresOrder.rests(tx, RUN, daily + HOUR));
    const ports = { ...world.ports, health: { ...postgresHealth, measureAll }, segments: postgresSegments };
    const reports = await sweepDue(ports, world.clock.now(), order);
    expect(reports.map(({ at }) => at)).toEqual([daily]);
  });

  it("waits until it moves", async () => {
    await startRun();
    await send("first", "meeting.held", "a-0", START + HOUR);
    world.clock.moveTo(START + 10 * HOUR);
    await inStore((tx) => postgresOrder.rests(tx, RUN, null));
    expect(await order.untilTurn(turnOfRun(START + 5 * HOUR), 30)).toBe(false);
    const waiting = order.untilTurn(turnOfRun(START + 5 * HOUR), 10_000);
    await dispatch();
    expect(await waiting).toBe(true);
  });

  it("waits for nothing for ever", async () => {
    await startRun();
    await inStore((tx) => postgresOrder.rests(tx, RUN, START + HOUR));
    const turn: Turn = { rank: "event", at: START + 2 * HOUR, accountId: "a-0" };
    expect(await order.untilTurn(turn, 400)).toBe(false);
    expect(await orderWith({ patienceMs: 200 }).untilTurn(turn, 10_000)).toBe(true);
    expect(givenUp).toEqual([{ kind: "run", id: RUN, at: START + HOUR }]);
  });
});
