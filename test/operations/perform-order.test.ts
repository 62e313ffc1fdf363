import { afterAll, beforeAll, expect, test } from "vitest";
import { postgresOrder } from "../../src/adapters/postgres/order.js";
import { inOrder } from "../../src/operations/in-order.js";
import { storeWorld } from "../../src/operations/perform.js";
import { sessionOf } from "../../src/operations/scene.js";
import type { LogicalOrder } from "../../src/ports/order.js";
import { email, HOUR, openStage, PLAN, type Stage, T0 } from "./support/stage.js";

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

test("told just then of an event that it has in hand already, a run still lets go first what is earlier", async () => {
  const run = "run/onboarding/acme/k/1";
  await stage.account("acme", {});
  await stage.contact("carla", "acme", { first_name: "Carla" });
  await stage.run({ id: run, accountId: "acme" });
  const booked = { id: "booked", name: "meeting.booked", accountId: "acme", at: T0 - 2 * HOUR };
  await stage.event(booked);
  await stage.event({ id: "paid", name: "payment.received", accountId: "acme", at: T0 - HOUR });
  await stage.write((tx) => stage.store.events.markDispatched(tx, "booked"));
  const real = inOrder({ ports: stage.ports, order: postgresOrder, onBlocked: () => {}, onGivenUp: () => {} });
  // The dispatcher tells the run between its look for events and the question whether it is its turn.
  let isTold = false;
  const order: LogicalOrder = {
    ...real,
    async isTurn(turn) {
      if (!isTold) await stage.write((tx) => postgresOrder.stir(tx, [run], booked.at));
      isTold = true;
      return real.isTurn(turn);
    },
  };
  const row = await stage.store.read((tx) => stage.store.runs.get(tx, run));
  if (row === undefined) throw new Error("no run");
  const askedFor = (waitMs: number) => {
    const session = sessionOf({ ...stage.ports, order }, row, PLAN, {
      turns: 0,
      offered: [{ id: "booked", name: "meeting.booked", at: booked.at, payload: {} }],
    });
    const turnUntil = performance.now() + waitMs;
    return storeWorld(session, { turns: 0, reached: T0, durable: 0, turnUntil }).perform(
      email("welcome"),
      T0,
      "running",
    );
  };

  expect(await askedFor(300)).toEqual({ kind: "later" });
  expect(stage.mailer.inbox).toHaveLength(0);
  await stage.write((tx) => stage.store.events.markDispatched(tx, "paid"));
  expect(await askedFor(5_000)).toMatchObject({ kind: "outcome", outcome: { kind: "emailed" } });
});
