import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, openDatabase } from "../../../src/adapters/postgres/database.js";
import { postgresStore } from "../../../src/adapters/postgres/store.js";
import { eventsTeller, listenForEvents } from "../../../src/adapters/postgres/wake.js";
import { type Cable, startCable } from "../../entrances/support/cable.js";
import { type FreshDatabase, freshDatabase } from "../../support/database.js";

let fresh: FreshDatabase;
let cable: Cable;
let database: Database;
const stop = new AbortController();
let listening: Promise<void>;
let heard = 0;

beforeAll(async () => {
  fresh = await freshDatabase();
  const url = new URL(fresh.url);
  cable = await startCable(url.hostname, Number(url.port));
  url.hostname = "127.0.0.1";
  url.port = String(cable.port);
  database = openDatabase(fresh.url, { poolMax: 3 });
  listening = listenForEvents(url.toString(), () => (heard += 1), stop.signal);
  await hears(1);
});
afterAll(async () => {
  stop.abort();
  await listening;
  await database.close();
  await cable.mend();
  await cable.cut();
  await fresh.drop();
});

async function hears(times: number): Promise<void> {
  for (let i = 0; i < 600 && heard < times; i += 1) await sleep(10);
  expect(heard).toBeGreaterThanOrEqual(times);
}

async function hearsNothing(): Promise<void> {
  const before = heard;
  await sleep(300);
  expect(heard).toBe(before);
}

test("who listens is told behind the commit that brings an event, and by no other", async () => {
  const store = postgresStore(database, eventsTeller(database.client));
  const append = (id: string, fails: boolean) =>
    store.transaction(async (tx) => {
      const at = Date.parse("2026-03-02T09:00:00Z");
      const event = { id, name: "x", at, payload: {}, source: "test", accountId: "a1", changed: [] };
      const added = await store.events.append(tx, [event], at);
      await hearsNothing();
      if (fails) throw new Error("taken back");
      return added.size;
    });
  await expect(append("e1", true)).rejects.toThrow("taken back");
  await hearsNothing();
  const before = heard;
  expect(await append("e1", false)).toBe(1);
  await hears(before + 1);
  // There already: nothing came.
  expect(await append("e1", false)).toBe(0);
  await hearsNothing();
});

test("behind a broken connection it listens again, and looks whether something came meanwhile", async () => {
  const tell = eventsTeller(database.client);
  await cable.cut();
  tell();
  await hearsNothing();
  const before = heard;
  await cable.mend();
  await hears(before + 1);
  await sleep(100);
  const since = heard;
  tell();
  await hears(since + 1);
});
