import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { appendEvents, type IncomingEvent } from "../../src/operations/append-events.js";
import { upsertCustomers } from "../../src/operations/upsert-customers.js";
import { validateEvent } from "../../src/operations/validate-event.js";
import { at, MODEL, openWorld, planOf, workspaceOf, type World } from "./world.js";

let world: World;
const NOON = at("2026-03-02T12:00Z");

beforeAll(async () => {
  world = await openWorld("2026-03-02T12:00Z");
  await world.publish(workspaceOf([planOf("onboarding", {})]));
  await upsertCustomers(
    world.ports,
    {
      accounts: [
        { id: "a-1", fields: { name: "Acme", timezone: "Europe/Warsaw" } },
        { id: "a-2", fields: { name: "Bolt" } },
      ],
      contacts: [
        { id: "p-1", accountId: "a-1", fields: { name: "Eva" } },
        { id: "p-2", accountId: "a-2", fields: { name: "Bo" } },
      ],
      contracts: [{ id: "k-1", accountId: "a-1", fields: { status: "active" } }],
    },
    { source: "import", at: at("2026-01-01T00:00Z") },
  );
});
afterAll(() => world.close());

const event = (id: string, name: string, more: Partial<IncomingEvent> = {}): IncomingEvent => ({
  id,
  name,
  at: NOON,
  payload: {},
  ...more,
});

describe("appendEvents", () => {
  it("keeps an event once, however often and concurrently it comes", async () => {
    const one = event("e-1", "meeting.booked", { account: "a-1", payload: { kind: "kickoff" } });
    expect(await appendEvents(world.ports, [one, one], "http")).toEqual([
      { id: "e-1", status: "accepted" },
      { id: "e-1", status: "repeated" },
    ]);
    const racers = await Promise.all(
      Array.from({ length: 20 }, () =>
        appendEvents(world.ports, [event("e-2", "meeting.booked", { account: "a-1" })], "http"),
      ),
    );
    expect(racers.flat().filter((result) => result.status === "accepted")).toHaveLength(1);
    expect(await world.rows("select count(*)::int as n from events where id in ('e-1', 'e-2')")).toEqual([{ n: 2 }]);
  });

  it("tells the same event from another with its id: by name, instant, account and payload", async () => {
    const signed = event("c-1", "contract.renewed", { payload: { contract_id: "k-1", new_end_date: "2027-06-30" } });
    const again = async (more: Partial<IncomingEvent>) =>
      (await appendEvents(world.ports, [{ ...signed, ...more }], "http"))[0]?.status;
    expect(await again({})).toBe("accepted");
    expect(await again({})).toBe("repeated");
    // The zone in which its day was an instant may have moved meanwhile.
    await upsertCustomers(
      world.ports,
      { accounts: [{ id: "a-1", fields: { timezone: "America/Los_Angeles" } }] },
      { source: "import", at: NOON },
    );
    expect(await again({})).toBe("repeated");
    await upsertCustomers(
      world.ports,
      { accounts: [{ id: "a-1", fields: { timezone: "Europe/Warsaw" } }] },
      { source: "import", at: NOON },
    );
    expect(await again({ payload: { contract_id: "k-1", new_end_date: "2027-07-01" } })).toBe("conflict");
    expect(await again({ payload: { contract_id: "k-1" } })).toBe("conflict");
    expect(await again({ at: NOON - 1 })).toBe("conflict");
    expect(await again({ at: NOON - 1, isAtDefault: true })).toBe("repeated");
    const waiting = event("c-2", "meeting.booked", { account: "a-later" });
    expect((await appendEvents(world.ports, [waiting], "http"))[0]?.status).toBe("unmatched");
    expect((await appendEvents(world.ports, [waiting], "http"))[0]?.status).toBe("repeated");
    expect((await appendEvents(world.ports, [{ ...waiting, account: "a-1" }], "http"))[0]?.status).toBe("conflict");
  });

  it("takes a thousand at once, and no more", async () => {
    const many = Array.from({ length: 1000 }, (_, k) =>
      event(`bulk-${k}`, "meeting.booked", { account: k % 2 ? "a-1" : "a-2" }),
    );
    const results = await appendEvents(world.ports, many, "http");
    expect(results.every((result) => result.status === "accepted")).toBe(true);
    await expect(appendEvents(world.ports, [...many, event("x", "meeting.booked")], "http")).rejects.toThrow(
      RangeError,
    );
  });

  it("finds the account by contact and by contract, and turns dates into instants", async () => {
    await appendEvents(
      world.ports,
      [
        event("e-3", "user.logged_in", { contact: "p-1" }),
        event("e-4", "contract.renewed", { payload: { contract_id: "k-1", new_end_date: "2027-06-30" } }),
      ],
      "http",
    );
    expect(
      await world.rows(
        "select id, account_id, contact_id, contract_id, payload from events where id in ('e-3', 'e-4') order by id",
      ),
    ).toEqual([
      { id: "e-3", account_id: "a-1", contact_id: "p-1", contract_id: null, payload: {} },
      {
        id: "e-4",
        account_id: "a-1",
        contact_id: null,
        contract_id: "k-1",
        payload: { contract_id: "k-1", new_end_date: at("2027-06-29T22:00Z") },
      },
    ]);
  });

  it("refuses what contradicts itself", async () => {
    expect(
      await appendEvents(world.ports, [event("e-5", "user.logged_in", { account: "a-2", contact: "p-1" })], "http"),
    ).toEqual([
      { id: "e-5", status: "refused", reason: "the account, contact and contract it names don't belong together" },
    ]);
  });

  it("dates a milestone once, by the first event that fits", async () => {
    const held = (id: string, kind: string, instant: number) =>
      event(id, "meeting.held", { account: "a-1", at: instant, payload: { kind } });
    await appendEvents(
      world.ports,
      [held("m-1", "training", NOON - 2), held("m-2", "kickoff", NOON - 1), held("m-3", "kickoff", NOON)],
      "http",
    );
    expect(await world.store.facts.read({ accountId: "a-1" }, ["milestone.kickoff"], NOON)).toEqual({
      "milestone.kickoff": NOON - 1,
    });
    expect(
      await world.rows(
        "select payload, changed from events where name = 'milestone.reached' and account_id = 'a-1' and contact_id is null",
      ),
    ).toEqual([{ payload: { milestone: "kickoff" }, changed: ["milestone.kickoff"] }]);
  });

  it("changes facts in the same transaction: answers, tickets, a contact who left", async () => {
    await appendEvents(
      world.ports,
      [
        event("w-1", "survey.answered", { contact: "p-2", payload: { kind: "nps", score: 9 } }),
        event("w-2", "ticket.opened", { account: "a-2", payload: { ticket_id: "t-1", priority: "high" } }),
        event("w-3", "contact.left", { payload: { contact_id: "p-2" } }),
      ],
      "http",
    );
    expect(
      await world.store.facts.read(
        { accountId: "a-2", contactId: "p-2" },
        ["survey.nps", "tickets.open", "contact.is_active"],
        NOON,
      ),
    ).toEqual({ "survey.nps": 100, "tickets.open": 1, "contact.is_active": false });
    await appendEvents(
      world.ports,
      [event("w-4", "ticket.closed", { account: "a-2", payload: { ticket_id: "t-1" } })],
      "http",
    );
    expect(await world.store.facts.read({ accountId: "a-2" }, ["tickets.open"], NOON)).toEqual({ "tickets.open": 0 });
    expect(await world.rows("select changed from events where id = 'w-3'")).toEqual([
      { changed: ["contact.is_active"] },
    ]);
  });
});

describe("events about nobody known", () => {
  it("are kept, and matched with all their effects when the account arrives", async () => {
    const early = event("u-1", "meeting.held", {
      account: "a-9",
      payload: { kind: "kickoff", starts_at: "2026-03-02T10:00Z" },
    });
    expect(await appendEvents(world.ports, [early], "http")).toEqual([
      {
        id: "u-1",
        status: "unmatched",
        reason: 'account "a-9" is not known yet; the event is kept until it is imported',
      },
    ]);
    expect(await appendEvents(world.ports, [early], "http")).toEqual([{ id: "u-1", status: "repeated" }]);
    const outcome = await upsertCustomers(
      world.ports,
      { accounts: [{ id: "a-9", fields: { name: "Late" } }] },
      { source: "import" },
    );
    expect(outcome.matchedEvents).toBe(1);
    expect(await world.rows("select status, account_id, payload, unmatched from events where id = 'u-1'")).toEqual([
      {
        status: "pending",
        account_id: "a-9",
        payload: { kind: "kickoff", starts_at: at("2026-03-02T10:00Z") },
        unmatched: null,
      },
    ]);
    expect(await world.store.facts.read({ accountId: "a-9" }, ["milestone.kickoff"], NOON)).toEqual({
      "milestone.kickoff": NOON,
    });
  });

  it("are matched also if what they name arrives at the same moment", async () => {
    let arrive = (): void => {};
    const mayArrive = new Promise<void>((done) => void (arrive = done));
    let found = (): void => {};
    const hasLooked = new Promise<void>((done) => void (found = done));
    // The import has looked for waiting events, and is not committed yet.
    const store: typeof world.store = {
      ...world.store,
      events: {
        ...world.store.events,
        async unmatchedNaming(tx, names) {
          const waiting = await world.store.events.unmatchedNaming(tx, names);
          found();
          await mayArrive;
          return waiting;
        },
      },
    };
    const arriving = upsertCustomers(
      { ...world.ports, store },
      { accounts: [{ id: "a-10", fields: { name: "Just now" } }] },
      { source: "import" },
    );
    await hasLooked;
    const telling = appendEvents(world.ports, [event("u-10", "meeting.booked", { account: "a-10" })], "http");
    await Promise.race([telling, new Promise((done) => setTimeout(done, 200))]);
    arrive();
    await arriving;
    expect(await telling).toEqual([{ id: "u-10", status: "accepted" }]);
    expect(await world.rows("select status, account_id from events where id = 'u-10'")).toEqual([
      { status: "pending", account_id: "a-10" },
    ]);
  });

  it("wait for everything they name", async () => {
    await appendEvents(world.ports, [event("u-2", "user.logged_in", { account: "a-1", contact: "p-9" })], "http");
    const first = await upsertCustomers(
      world.ports,
      { contacts: [{ id: "p-8", accountId: "a-1", fields: {} }] },
      { source: "import" },
    );
    expect(first.matchedEvents).toBe(0);
    const second = await upsertCustomers(
      world.ports,
      { contacts: [{ id: "p-9", accountId: "a-1", fields: {} }] },
      { source: "import" },
    );
    expect(second.matchedEvents).toBe(1);
  });
});

describe("validateEvent", () => {
  const clock = { scale: 1, now: () => NOON };
  const problemsOf = (given: IncomingEvent) =>
    validateEvent(MODEL, given, clock).map(({ field, message }) => `${field}: ${message}`);

  it.each<[IncomingEvent, string[]]>([
    [event("e", "meeting.booked", { account: "a-1", payload: { kind: "kickoff" } }), []],
    [event("", "meeting.booked", { account: "a-1" }), ["id: the id must have 1 to 200 characters"]],
    [
      event("e", "meeting.boked", { account: "a-1" }),
      ['name: no event "meeting.boked" is declared in model.yaml; did you mean "meeting.booked"?'],
    ],
    [
      event("e", "health.changed", { account: "a-1" }),
      ["name: \"health.changed\" is Waypost's own event; it can't be sent"],
    ],
    [event("e", "meeting.booked"), ['account: "meeting.booked" is about an account: name it in "account"']],
    [
      event("e", "user.logged_in", { account: "a-1" }),
      ['contact: "user.logged_in" is about a contact: name it in "contact" or payload "contact_id"'],
    ],
    [
      event("e", "contract.signed", { account: "a-1" }),
      ['payload.contract_id: "contract.signed" is about a contract: name it in payload "contract_id"'],
    ],
    [
      event("e", "meeting.held", { account: "a-1", payload: { knid: "x", starts_at: "tomorrow", kind: 7 } }),
      [
        'payload.knid: "meeting.held" has no field "knid"; did you mean "kind"?',
        'payload.starts_at: "starts_at" must be an instant such as "2026-03-02T09:00:00Z"',
        'payload.kind: "kind" must be a string',
      ],
    ],
    [
      event("e", "meeting.booked", { account: "a-1", at: NOON + 300_001 }),
      ["at: 2026-03-02T12:05:00.001Z is more than 5 minutes in the future"],
    ],
  ])("%j", (given, expected) => expect(problemsOf(given)).toEqual(expected));

  it("lets the future in on a scaled clock", () => {
    const future = event("e", "meeting.booked", { account: "a-1", at: NOON + 86_400_000 });
    expect(validateEvent(MODEL, future, { scale: 1000, now: () => NOON })).toEqual([]);
  });
});
