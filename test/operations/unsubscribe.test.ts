import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { postgresAudit } from "../../src/adapters/postgres/audit.js";
import { type Database, openDatabase } from "../../src/adapters/postgres/database.js";
import { postgresPeople } from "../../src/adapters/postgres/people.js";
import { postgresStore } from "../../src/adapters/postgres/store.js";
import { postgresSuppressions } from "../../src/adapters/postgres/suppressions.js";
import { unsubscribePage } from "../../src/entrances/http/unsubscribe.js";
import { unsubscribe } from "../../src/operations/unsubscribe.js";
import { type FreshDatabase, freshDatabase } from "../support/database.js";

const T0 = Date.parse("2026-03-03T09:00:00Z");
const TOKEN = "k3Jq0xO7Yl9hX2bD5mN8vA";

describe("unsubscribing", () => {
  let fresh: FreshDatabase;
  let database: Database;
  let now = T0;
  const suppressions = postgresSuppressions();
  const ports = () => ({
    store: postgresStore(database),
    people: postgresPeople(),
    suppressions,
    audit: postgresAudit(),
    clock: { scale: 1, now: () => now, realMsUntil: () => 0 },
  });

  beforeAll(async () => {
    fresh = await freshDatabase();
    database = openDatabase(fresh.url);
  });
  afterAll(async () => {
    await database.close();
    await fresh.drop();
  });
  beforeEach(async () => {
    now = T0;
    await database.client`truncate accounts, contacts, events, suppressions, unsubscribe_links`;
    await database.client`insert into accounts (id, name, created_at) values ('a-1', 'Acme', now())`;
    await database.client`insert into contacts (id, account_id, name, email, created_at) values
      ('c-1', 'a-1', 'Jan', 'Jan@Acme.example', now()), ('c-2', 'a-1', 'Ola', null, now())`;
    await database.read((tx) =>
      suppressions.keepLink(tx, { token: TOKEN, contactId: "c-1", category: "onboarding", deliveryKey: "d" }),
    );
  });
  const rows = async () => ({
    suppressed: (await database.client`select email, category, reason, delivery_key from suppressions`).map((row) => ({
      ...row,
    })),
    events: (
      await database.client`select name, account_id, contact_id, run_id, payload, status from events order by seq`
    ).map((row) => ({ ...row })),
  });
  const HEARD = {
    name: "email.unsubscribed",
    account_id: "a-1",
    contact_id: "c-1",
    run_id: null,
    payload: { contact: "c-1", category: "onboarding" },
    status: "pending",
  };
  const SUPPRESSED = { email: "jan@acme.example", category: "onboarding", reason: "unsubscribed", delivery_key: "d" };

  test("suppresses the address for the category, and the runs hear it", async () => {
    await unsubscribe(ports(), { token: TOKEN, all: false });
    expect(await rows()).toEqual({ suppressed: [SUPPRESSED], events: [HEARD] });
  });

  test("twice, and twenty times at once, is once", async () => {
    await Promise.all(Array.from({ length: 20 }, () => unsubscribe(ports(), { token: TOKEN, all: false })));
    now += 1_000;
    await unsubscribe(ports(), { token: TOKEN, all: false });
    expect(await rows()).toEqual({ suppressed: [SUPPRESSED], events: [HEARD] });
  });

  test("everything is a suppression of its own", async () => {
    await unsubscribe(ports(), { token: TOKEN, all: false });
    await unsubscribe(ports(), { token: TOKEN, all: true });
    expect((await rows()).suppressed).toEqual([SUPPRESSED, { ...SUPPRESSED, category: "*" }]);
    expect((await rows()).events.map((event) => (event as { payload?: unknown }).payload)).toEqual([
      { contact: "c-1", category: "onboarding" },
      { contact: "c-1", category: "*" },
    ]);
  });

  test("who came back can leave again", async () => {
    await unsubscribe(ports(), { token: TOKEN, all: false });
    await database.read((tx) =>
      suppressions.remove(tx, "jan@acme.example", { category: "onboarding", reason: "unsubscribed" }),
    );
    now += 60_000;
    await unsubscribe(ports(), { token: TOKEN, all: false });
    expect(await rows()).toEqual({ suppressed: [SUPPRESSED], events: [HEARD, HEARD] });
  });

  test("an unknown token does nothing, and does not say so", async () => {
    await unsubscribe(ports(), { token: "unknown", all: false });
    expect(await rows()).toEqual({ suppressed: [], events: [] });
  });

  test("a contact whose address has gone is still heard, once", async () => {
    await database.read((tx) =>
      suppressions.keepLink(tx, { token: "t-2", contactId: "c-2", category: "qbr", deliveryKey: "e" }),
    );
    await unsubscribe(ports(), { token: "t-2", all: false });
    now += 1_000;
    await unsubscribe(ports(), { token: "t-2", all: false });
    const { suppressed, events } = await rows();
    expect(suppressed).toEqual([]);
    expect(events).toEqual([{ ...HEARD, contact_id: "c-2", payload: { contact: "c-2", category: "qbr" } }]);
  });

  test("the token is not in the event", async () => {
    await unsubscribe(ports(), { token: TOKEN, all: false });
    const [row] = await database.client`select row_to_json(events)::text as text from events`;
    expect(row?.text).not.toContain(TOKEN);
  });

  test("through the page: GET changes nothing, POST does, and a stranger's token looks the same", async () => {
    const page = unsubscribePage({
      unsubscribe: (request) => unsubscribe(ports(), request),
      company: () => ({ name: "Waypost Analytics", categoryTitles: { onboarding: { en: "Getting started" } } }),
    });
    const path = `/unsubscribe/${TOKEN}?lang=en&about=onboarding`;
    const strange = "/unsubscribe/AAAAAAAAAAAAAAAAAAAAAA?lang=en&about=onboarding";
    const get = await (await page.request(path)).text();
    expect((await rows()).suppressed).toEqual([]);
    expect(get).toBe(await (await page.request(strange)).text());
    const post = await page.request(path, {
      method: "POST",
      body: "List-Unsubscribe=One-Click",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    expect(post.status).toBe(200);
    expect((await rows()).suppressed).toEqual([SUPPRESSED]);
    const other = await page.request(strange, { method: "POST" });
    expect(other.status).toBe(200);
    expect(await post.text()).toBe(await other.text());
    expect([...post.headers]).toEqual([...other.headers]);
  });
});
