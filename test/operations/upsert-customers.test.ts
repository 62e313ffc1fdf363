import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { upsertCustomers } from "../../src/operations/upsert-customers.js";
import type { CustomerBatch } from "../../src/ports/customers.js";
import { at, openWorld, planOf, workspaceOf, type World } from "./world.js";

let world: World;
const NOW = at("2026-03-02T12:00Z");

beforeAll(async () => {
  world = await openWorld("2026-03-02T12:00Z");
  await world.publish(workspaceOf([planOf("x", {})]));
});
afterAll(() => world.close());

const upsert = (batch: CustomerBatch, instant?: number) =>
  upsertCustomers(world.ports, batch, { source: "import", at: instant });
const changes = (id: string) =>
  world.rows(`select field, value, source from field_changes where entity_id = '${id}' order by seq`);
const events = (id: string) =>
  world.rows(`select name, at, changed from events where account_id = '${id}' order by seq`);

describe("upsertCustomers", () => {
  it("keeps versions of real changes only; undefined leaves, null clears", async () => {
    await upsert({
      accounts: [
        { id: "a-1", fields: { name: "Acme", stage: "onboarding", seats: 5 }, roles: { account_executive: "u-1" } },
      ],
    });
    await upsert({ accounts: [{ id: "a-1", fields: { name: "Acme", stage: "onboarding", seats: undefined } }] });
    const third = await upsert({
      accounts: [
        { id: "a-1", fields: { stage: null, seats: 6 }, roles: { account_executive: null, support_lead: "u-2" } },
      ],
    });
    expect(third.changed.accounts).toBe(1);
    expect(await changes("a-1")).toEqual([
      { field: "name", value: "Acme", source: "import" },
      { field: "timezone", value: "UTC", source: "import" },
      { field: "is_test", value: false, source: "import" },
      { field: "stage", value: "onboarding", source: "import" },
      { field: "seats", value: 5, source: "import" },
      { field: "stage", value: null, source: "import" },
      { field: "seats", value: 6, source: "import" },
    ]);
    expect(await world.rows("select name, fields, roles, is_test from accounts where id = 'a-1'")).toEqual([
      {
        name: "Acme",
        fields: { name: "Acme", timezone: "UTC", is_test: false, seats: 6 },
        roles: { support_lead: "u-2" },
        is_test: false,
      },
    ]);
    // With its zone come its dates.
    const dates = ["contract.end_date", "contract.notice_date", "contract.renewal_date", "contract.start_date"];
    expect((await events("a-1")).map((event) => (event as { changed: string[] }).changed)).toEqual([
      [
        "account.id",
        "account.is_test",
        "account.name",
        "account.qbr_date",
        "account.seats",
        "account.stage",
        "account.timezone",
        ...dates,
      ],
      ["account.seats", "account.stage"],
    ]);
  });

  it("keeps what is dated ahead though nothing differs yet: what comes between doesn't undo it; told again it changes nothing", async () => {
    const DAY = 86_400_000;
    const tell = (stage: string, instant: number) =>
      upsert({ accounts: [{ id: "a-ahead", fields: { stage } }] }, instant);
    await tell("onboarding", NOW);
    await tell("onboarding", NOW + 20 * DAY);
    await tell("adoption", NOW + 10 * DAY);
    expect((await tell("onboarding", NOW + 20 * DAY)).changed.accounts).toBe(0);
    const facts = world.ports.store.facts;
    const stageAt = async (instant: number) =>
      (
        await world.store.read((tx) =>
          facts.within(tx).readMany([{ accountId: "a-ahead" }], ["account.stage"], instant),
        )
      )[0];
    expect(await stageAt(NOW + 15 * DAY)).toEqual({ "account.stage": "adoption" });
    expect(await stageAt(NOW + 21 * DAY)).toEqual({ "account.stage": "onboarding" });
    expect((await events("a-ahead")).map((event) => String((event as { at: unknown }).at).slice(0, 10))).toEqual([
      "2026-03-02",
      "2026-03-22",
      "2026-03-12",
    ]);
  });

  it("refuses bad rows with their place and takes the good ones", async () => {
    const outcome = await upsert({
      accounts: [
        { id: "b-0", fields: { stge: "adoption" } },
        { id: "b-1", fields: { stage: "adoptoin" } },
        { id: "b-2", fields: { seats: "five" as unknown as number, timezone: "Mars/Base" } },
        { id: "b-3", fields: { name: "Good" } },
      ],
      contacts: [
        { id: "q-1", accountId: "nobody", fields: {} },
        { id: "q-2", fields: {} },
        { id: "q-3", accountId: "b-3", fields: { name: "Good" } },
      ],
      contracts: [{ id: "l-1", accountId: "b-3", fields: { notice_date: "2026-01-01", end_date: "soon" } }],
      tickets: [{ id: "t-9", accountId: "b-3", closedAt: NOW }],
      samples: [{ id: "s-9", accountId: "nobody", name: "actions", at: NOW, value: 1 }],
      users: [{ id: "u-9", name: "No address" }],
      absences: [{ id: "z-9", userId: "nobody", fromAt: NOW, toAt: NOW + 1 }],
    });
    expect(outcome.refused).toEqual([
      { kind: "absences", index: 0, reason: 'user "nobody" is not known; import it first, or in the same batch' },
      {
        kind: "accounts",
        index: 0,
        field: "stge",
        reason: 'no field "stge" of accounts is declared; did you mean "stage"?',
      },
      { kind: "accounts", index: 1, field: "stage", reason: '"stage" must be one of onboarding, adoption, churned' },
      {
        kind: "accounts",
        index: 2,
        field: "seats",
        reason: '"seats" must be a number; "Mars/Base" is no time zone, such as "Europe/Warsaw"',
      },
      { kind: "contacts", index: 0, reason: 'account "nobody" is not known; import it first, or in the same batch' },
      { kind: "contacts", index: 1, reason: 'contact "q-2" is new and needs its account' },
      {
        kind: "contracts",
        index: 0,
        field: "notice_date",
        reason: '"notice_date" is computed and can\'t be imported; "end_date" must be a date such as "2026-03-02"',
      },
      { kind: "samples", index: 0, reason: 'account "nobody" is not known; import it first, or in the same batch' },
      { kind: "tickets", index: 0, reason: 'ticket "t-9" is new and needs the instant it was opened' },
      { kind: "users", index: 0, reason: 'user "u-9" is new and needs a name and an email' },
    ]);
    expect(await world.rows("select id from accounts where id like 'b-%'")).toEqual([{ id: "b-3" }]);
    expect(await world.rows("select id from contacts where id like 'q-%'")).toEqual([{ id: "q-3" }]);
  });

  it("refuses to clear what texts and working hours rely on; the others that are always there go back to their default", async () => {
    await upsert({
      accounts: [{ id: "n-1", fields: { name: "Nine", timezone: "Europe/Warsaw", is_test: true } }],
      contacts: [{ id: "n-p", accountId: "n-1", fields: { name: "Nina", is_active: false, is_primary: true } }],
    });
    const outcome = await upsert({
      accounts: [
        { id: "n-1", fields: { name: null } },
        { id: "n-1", fields: { timezone: null } },
        { id: "n-1", fields: { name: "  " } },
        { id: "n-1", fields: { is_test: null, locale: null, stage: null } },
        { id: "n-1", fields: { locale: "zz-!!" } },
      ],
      contacts: [
        { id: "n-p", fields: { name: null } },
        { id: "n-p", fields: { is_active: null, is_primary: null, timezone: null } },
      ],
      users: [{ id: "n-u", name: "U", email: "u@x", timezone: "Mars/Base" }],
    });
    const missing = (name: string) => `"${name}" can't be empty: give it, or leave ${name} out and what is known stays`;
    expect(outcome.refused).toEqual([
      { kind: "accounts", index: 0, field: "name", reason: missing("name") },
      { kind: "accounts", index: 1, field: "timezone", reason: missing("timezone") },
      { kind: "accounts", index: 2, field: "name", reason: missing("name") },
      { kind: "accounts", index: 4, field: "locale", reason: '"zz-!!" is no locale, such as "en" or "pl"' },
      { kind: "contacts", index: 0, field: "name", reason: missing("name") },
      {
        kind: "users",
        index: 0,
        field: "timezone",
        reason: '"Mars/Base" is no time zone, such as "Europe/Warsaw"',
      },
    ]);
    expect(await world.rows("select name, timezone, is_test from accounts where id = 'n-1'")).toEqual([
      { name: "Nine", timezone: "Europe/Warsaw", is_test: false },
    ]);
    expect(await world.rows("select name, is_active, is_primary from contacts where id = 'n-p'")).toEqual([
      { name: "Nina", is_active: true, is_primary: false },
    ]);
  });

  it("calls by its id, and puts into UTC, whom nobody named: conditions and segments see it, too", async () => {
    await upsert({
      accounts: [{ id: "bare", fields: {} }],
      contacts: [{ id: "c-bare", accountId: "bare", fields: {} }],
    });
    const read = (paths: string[], more = {}) =>
      world.store.read((tx) => world.store.facts.within(tx).read({ accountId: "bare", ...more }, paths, NOW));
    expect(await read(["account.name", "account.timezone", "account.is_test"])).toEqual({
      "account.name": "bare",
      "account.timezone": "UTC",
      "account.is_test": false,
    });
    expect(await read(["contact.name"], { contactId: "c-bare" })).toEqual({ "contact.name": "c-bare" });
    await upsert({ accounts: [{ id: "bare", fields: { name: "Bare", timezone: "Asia/Tokyo" } }] });
    expect(await read(["account.name", "account.timezone"])).toEqual({
      "account.name": "Bare",
      "account.timezone": "Asia/Tokyo",
    });
  });

  it("takes rows that name a colleague or calendar nobody knows, and warns of each", async () => {
    const outcome = await upsert({
      users: [{ id: "w-u", name: "W", email: "w@x", managerId: "boss", calendar: "mars" }],
      accounts: [
        { id: "w-1", fields: { stge: "x" } },
        { id: "w-2", fields: { csm: "ghost", calendar: "mars" }, roles: { support_lead: "phantom" } },
        { id: "w-3", fields: { csm: "w-u", country: "Poland" } },
        { id: "w-4", fields: { csm: "w-u", country: "LT" } },
      ],
    });
    expect(outcome.refused.map(({ index }) => index)).toEqual([0]);
    const nobody = (field: string, id: string) =>
      `${field} "${id}" is no colleague that is known; until users bring them, it counts as nobody`;
    const mars = 'no calendar "mars" is in calendars.yaml; working days go by "standard"';
    expect(outcome.warnings).toEqual([
      { kind: "accounts", index: 1, field: "csm", reason: nobody("csm", "ghost") },
      { kind: "accounts", index: 1, field: "role:support_lead", reason: nobody("role:support_lead", "phantom") },
      { kind: "users", index: 0, field: "manager", reason: nobody("manager", "boss") },
      { kind: "accounts", index: 1, field: "calendar", reason: mars },
      { kind: "users", index: 0, field: "calendar", reason: mars },
      {
        kind: "accounts",
        index: 2,
        field: "country",
        reason: 'country "Poland" is no code of two letters, such as "PL"; working days go by "standard"',
      },
    ]);
    expect(await world.rows("select csm_id from accounts where id = 'w-2'")).toEqual([{ csm_id: "ghost" }]);
  });

  it("imports the past without undoing the present", async () => {
    await upsert({ accounts: [{ id: "c-1", fields: { stage: "adoption" } }] }, NOW);
    await upsert({ accounts: [{ id: "c-1", fields: { stage: "onboarding" } }] }, NOW - 1000);
    const stageAt = async (instant: number) =>
      (await world.store.facts.read({ accountId: "c-1" }, ["account.stage"], instant))["account.stage"];
    expect([await stageAt(NOW - 1001), await stageAt(NOW - 1), await stageAt(NOW)]).toEqual([
      undefined,
      "onboarding",
      "adoption",
    ]);
    expect(await world.rows("select fields->>'stage' as stage from accounts where id = 'c-1'")).toEqual([
      { stage: "adoption" },
    ]);
  });

  it("gives each account one event that names all facts concerned; importing again gives none", async () => {
    const batch: CustomerBatch = {
      accounts: [{ id: "d-1", fields: { name: "D" } }],
      contracts: [
        { id: "d-k", accountId: "d-1", fields: { status: "active", end_date: "2026-12-31", notice_days: 30 } },
      ],
      samples: [{ id: "d-s", accountId: "d-1", name: "actions", at: NOW + 5, value: 3, user: "d-p" }],
      tickets: [{ id: "d-t", accountId: "d-1", openedAt: NOW - 5 }],
    };
    await upsert(batch);
    await upsert(batch);
    await upsert({ contracts: [{ id: "d-k", fields: { notice_days: 60 } }] });
    const [first, second, ...more] = (await events("d-1")) as { name: string; at: string; changed: string[] }[];
    expect(more).toEqual([]);
    expect(first?.name).toBe("facts.changed");
    expect(Date.parse(first?.at as string)).toBe(NOW + 5);
    expect(first?.changed).toEqual(
      expect.arrayContaining([
        "account.name",
        "contract.notice_date",
        "usage.actions_7d",
        "usage.baseline",
        "tickets.open",
      ]),
    );
    expect(second?.changed).toEqual(["contract.notice_date", "contract.notice_days"]);
  });

  it("clears what belongs to users and tickets, keeps addresses in lower case", async () => {
    await upsert({ users: [{ id: "u-1", name: "Ada", email: "a@x", title: "CSM", pools: ["p"] }] });
    await upsert({ users: [{ id: "u-1", title: null }] });
    expect(await world.rows("select name, title, pools from users where id = 'u-1'")).toEqual([
      { name: "Ada", title: null, pools: ["p"] },
    ]);
    await upsert({
      accounts: [{ id: "e-1", fields: {} }],
      contacts: [{ id: "e-p", accountId: "e-1", fields: { email: " Eva@X.Example " } }],
    });
    expect(await world.rows("select email from contacts where id = 'e-p'")).toEqual([{ email: "eva@x.example" }]);
  });

  it("arms both ends of an absence, and moves them", async () => {
    await upsert({
      users: [{ id: "u-2", name: "Bea", email: "b@x" }],
      absences: [{ id: "z-1", userId: "u-2", fromAt: NOW + 10, toAt: NOW + 20, coverId: "u-1" }],
    });
    await upsert({ absences: [{ id: "z-1", userId: "u-2", fromAt: NOW + 10, toAt: NOW + 30 }] });
    expect(
      await world.rows(
        "select id, kind, round(extract(epoch from at) * 1000)::float8 as at, payload from due where kind = 'absence' order by id",
      ),
    ).toEqual([
      { id: "absence/z-1/end", kind: "absence", at: NOW + 30, payload: { absence: "z-1", user: "u-2", edge: "end" } },
      {
        id: "absence/z-1/start",
        kind: "absence",
        at: NOW + 10,
        payload: { absence: "z-1", user: "u-2", edge: "start" },
      },
    ]);
    expect(await world.rows("select cover_id from absences where id = 'z-1'")).toEqual([{ cover_id: "u-1" }]);
  });
});
