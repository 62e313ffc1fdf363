import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, openDatabase } from "../../../src/adapters/postgres/database.js";
import { postgresSlackRequests } from "../../../src/adapters/postgres/slack-requests.js";
import type { SlackRequestLog } from "../../../src/ports/slack-request-log.js";
import { memoryRequestLog } from "../../entrances/slack/fake-actions.js";
import { type FreshDatabase, freshDatabase } from "../../support/database.js";

let fresh: FreshDatabase;
let database: Database;
beforeAll(async () => {
  fresh = await freshDatabase();
  database = openDatabase(fresh.url);
});
afterAll(async () => {
  await database?.close();
  await fresh?.drop();
});

const request = (id: string, receivedAt: number) => ({
  id,
  kind: "command",
  payload: { text: `of ${id}` },
  receivedAt,
});

/** Every log of Slack's requests keeps this contract. */
describe.each<[string, () => SlackRequestLog]>([
  ["Postgres", () => postgresSlackRequests(database)],
  ["memory", memoryRequestLog],
])("%s", (_name, open) => {
  test("keeps a request once, knows what was not handled, forgets what is old", async () => {
    const log = open();
    expect(await log.keep(request("a", 1_000))).toBe(true);
    expect(await log.keep(request("b", 2_000))).toBe(true);
    expect(await log.keep(request("c", 3_000))).toBe(true);
    expect(await log.keep({ ...request("a", 9_000), payload: "another" })).toBe(false);
    await log.handled("b", 2_500);
    await log.handled("b", 2_600);
    await log.handled("unknown", 2_600);
    expect(await log.unhandled(0, 10_000, 10)).toEqual([request("a", 1_000), request("c", 3_000)]);
    expect(await log.unhandled(1_001, 10_000, 10)).toEqual([request("c", 3_000)]);
    expect(await log.unhandled(0, 3_000, 10)).toEqual([request("a", 1_000)]);
    expect(await log.unhandled(0, 10_000, 1)).toEqual([request("a", 1_000)]);
    expect(await log.forget(3_000)).toBe(2);
    expect(await log.forget(3_000)).toBe(0);
    expect(await log.unhandled(0, 10_000, 10)).toEqual([request("c", 3_000)]);
  });

  test("of ten at once with the same id, one is new", async () => {
    const log = open();
    const kept = await Promise.all(Array.from({ length: 10 }, () => log.keep(request("same", 5_000))));
    expect(kept.filter(Boolean)).toHaveLength(1);
  });
});
