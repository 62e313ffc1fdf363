import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { upsertCustomers } from "../../../src/operations/upsert-customers.js";
import { at, openWorld, planOf, workspaceOf, type World } from "../../operations/world.js";

let world: World;
const DAY = 86_400_000;
const iso = (instant: number) => new Date(instant).toISOString();
const T = at("2026-06-01T00:00Z");

beforeAll(async () => {
  world = await openWorld("2026-06-10T00:00Z");
  await world.publish(workspaceOf([planOf("rescue", {})]));
  await upsertCustomers(
    world.ports,
    {
      users: [
        { id: "u-boss", name: "Boss", email: "boss@example.com" },
        { id: "u-1", name: "Ada", email: "ada@example.com", managerId: "u-boss" },
      ],
      accounts: [
        {
          id: "a-1",
          at: at("2026-01-01T00:00Z"),
          fields: { name: "Acme", timezone: "Europe/Warsaw", stage: "onboarding", csm: "u-1", qbr_date: "2026-07-01" },
        },
        { id: "a-1", at: at("2026-05-01T00:00Z"), fields: { stage: "adoption", qbr_date: null } },
        { id: "a-2", at: at("2026-01-01T00:00Z"), fields: { name: "Bolt" } },
      ],
      contacts: [
        {
          id: "p-1",
          accountId: "a-1",
          at: at("2026-01-01T00:00Z"),
          fields: { name: "Eva", role: "champion", email: "Eva@Acme.example" },
        },
        { id: "p-2", accountId: "a-1", at: at("2026-01-01T00:00Z"), fields: { name: "Jan" } },
      ],
      contracts: [
        {
          id: "k-old",
          accountId: "a-1",
          at: at("2026-01-01T00:00Z"),
          fields: { status: "active", end_date: "2026-06-30", notice_days: 30 },
        },
        {
          id: "k-new",
          accountId: "a-1",
          at: at("2026-05-15T00:00Z"),
          fields: { status: "active", end_date: "2027-06-30", notice_days: 90 },
        },
      ],
      samples: [
        // One a week before T, at its end: 10, 20, … 80, then 5 in the present week.
        ...Array.from({ length: 8 }, (_, k) => ({
          id: `s-${k}`,
          accountId: "a-1",
          name: "actions",
          at: T - (8 - k) * 7 * DAY,
          value: (k + 1) * 10,
          user: "p-1",
        })),
        { id: "s-now", accountId: "a-1", name: "actions", at: T, value: 5, user: "p-2" },
        { id: "s-late", accountId: "a-1", name: "actions", at: T + 1, value: 1000, user: "p-2" },
      ],
      tickets: [
        { id: "t-1", accountId: "a-1", openedAt: T - 3 * DAY },
        { id: "t-2", accountId: "a-1", openedAt: T - 20 * DAY, closedAt: T - 2 * DAY },
        { id: "t-3", accountId: "a-1", openedAt: T - 30 * DAY, closedAt: T + DAY },
        { id: "t-4", accountId: "a-1", openedAt: T + DAY },
      ],
      surveyAnswers: [
        { id: "n-1", accountId: "a-1", contactId: "p-1", survey: "nps", score: 3, at: T - 100 * DAY },
        { id: "n-2", accountId: "a-1", contactId: "p-1", survey: "nps", score: 9, at: T - 10 * DAY },
        { id: "n-3", accountId: "a-1", contactId: "p-2", survey: "nps", score: 7, at: T - 5 * DAY },
        { id: "n-4", accountId: "a-1", contactId: "p-2", survey: "nps", score: 0, at: T + DAY },
        { id: "c-1", accountId: "a-1", survey: "csat", score: 4, at: T - DAY },
        { id: "c-2", accountId: "a-1", survey: "csat", score: 2, at: T - DAY },
      ],
      goals: [
        { id: "g-1", accountId: "a-1", title: "Fewer calls", status: "at_risk", at: T - 50 * DAY },
        { id: "g-1", accountId: "a-1", title: "Fewer calls", status: "on_track", at: T - 5 * DAY },
        { id: "g-2", accountId: "a-1", title: "Adoption", status: "at_risk", at: T - 50 * DAY },
      ],
    },
    { source: "import", at: at("2026-01-01T00:00Z") },
  );
});
afterAll(() => world.close());

const read = (paths: string[], asOf = T, subject = {}) =>
  world.store.facts.read({ accountId: "a-1", ...subject }, paths, asOf);

describe("fields", () => {
  it("are read as of an instant, cleared ones left out", async () => {
    const paths = ["account.id", "account.stage", "account.qbr_date", "account.is_test", "account.seats"];
    expect(await read(paths, at("2026-04-30T23:59Z"))).toEqual({
      "account.id": "a-1",
      "account.stage": "onboarding",
      "account.qbr_date": at("2026-06-30T22:00Z"),
      "account.is_test": false,
    });
    expect(await read(paths, at("2026-05-01T00:00Z"))).toEqual({
      "account.id": "a-1",
      "account.stage": "adoption",
      "account.is_test": false,
    });
    expect(await read(["account.stage"], at("2025-12-31T00:00Z"))).toEqual({});
  });

  it("name the CSM and the manager", async () => {
    expect(await read(["account.csm_name", "account.manager"])).toEqual({
      "account.csm_name": "Ada",
      "account.manager": "u-boss",
    });
  });

  it("take the contract that is named, else the active one with the latest end", async () => {
    const paths = ["contract.id", "contract.notice_date"];
    expect(await read(paths, at("2026-05-01T00:00Z"))).toEqual({
      "contract.id": "k-old",
      "contract.notice_date": at("2026-05-30T22:00Z"),
    });
    expect(await read(paths)).toEqual({ "contract.id": "k-new", "contract.notice_date": at("2027-03-31T22:00Z") });
    expect(await read(["contract.id"], T, { contractId: "k-old" })).toEqual({ "contract.id": "k-old" });
  });

  it("are a contact's only where a contact is the subject", async () => {
    expect(await read(["contact.name", "contact.role", "contact.is_active"], T, { contactId: "p-1" })).toEqual({
      "contact.name": "Eva",
      "contact.role": "champion",
      "contact.is_active": true,
    });
    expect(await read(["contact.name"])).toEqual({});
  });

  it("give dates as days with their zone", async () => {
    const { facts } = world.store;
    const before = at("2026-04-01T00:00Z");
    expect(await facts.readDate({ accountId: "a-1" }, "account.qbr_date", before)).toEqual({
      date: "2026-07-01",
      zone: "Europe/Warsaw",
    });
    expect(await facts.readDate({ accountId: "a-1" }, "contract.notice_date", before)).toEqual({
      date: "2026-05-31",
      zone: "Europe/Warsaw",
    });
    expect(await facts.readDate({ accountId: "a-1" }, "account.qbr_date", T)).toBeUndefined();
  });
});

describe("usage", () => {
  it("counts samples in (now − window, now]", async () => {
    expect(
      await read([
        "usage.actions_7d",
        "usage.actions_last",
        "usage.users_7d",
        "usage.champion_7d",
        "usage.actions_avg_7d",
      ]),
    ).toEqual({
      "usage.actions_7d": 5,
      "usage.actions_last": 5,
      "usage.users_7d": 1,
      "usage.champion_7d": 0,
      "usage.actions_avg_7d": 5,
    });
    // The sample of exactly a week ago is out, one of a millisecond later would be in.
    expect(await read(["usage.actions_7d"], T - 1)).toEqual({ "usage.actions_7d": 80 });
  });

  it("is 0 over an empty window only after a first sample", async () => {
    expect(await read(["usage.actions_7d", "usage.actions_avg_7d"], T + 30 * DAY)).toEqual({ "usage.actions_7d": 0 });
    expect(await read(["usage.actions_7d"], T - 100 * DAY)).toEqual({});
    expect(await world.store.facts.read({ accountId: "a-2" }, ["usage.actions_7d"], T)).toEqual({});
  });

  it("is a person's own where the metric is of a contact", async () => {
    expect(await read(["usage.my_7d"], T, { contactId: "p-2" })).toEqual({ "usage.my_7d": 5 });
    expect(await read(["usage.my_7d"], T, { contactId: "p-1" })).toEqual({ "usage.my_7d": 0 });
    expect(await read(["usage.my_7d"])).toEqual({});
  });

  it("takes the median of the windows before, absent with fewer than four", async () => {
    expect(await read(["usage.baseline"])).toEqual({ "usage.baseline": 45 });
    expect(await read(["usage.baseline"], T - 35 * DAY)).toEqual({});
    expect(await read(["usage.baseline"], T - 28 * DAY)).toEqual({ "usage.baseline": 25 });
  });

  it("stays frozen while a run of the named playbook lives", async () => {
    await world.database
      .client`insert into runs (id, playbook, hash, subject, account_id, key, ordinal, status, started_at, ended_at, outcome)
      values ('run/rescue/a-1/a-1/1', 'rescue', 'h', 'account', 'a-1', 'a-1', 1, 'ended', ${iso(T - 28 * DAY)}, ${iso(T + DAY)}, 'won')`;
    expect(await read(["usage.baseline"])).toEqual({ "usage.baseline": 25 });
    expect(await read(["usage.baseline"], T + DAY)).toEqual({ "usage.baseline": 45 });
  });
});

describe("the rest", () => {
  it("tickets", async () => {
    expect(
      await read([
        "tickets.open",
        "tickets.opened_7d",
        "tickets.opened_90d",
        "tickets.closed_90d",
        "tickets.weekly_mean_8w",
      ]),
    ).toEqual({
      "tickets.open": 2,
      "tickets.opened_7d": 1,
      "tickets.opened_90d": 3,
      "tickets.closed_90d": 1,
      "tickets.weekly_mean_8w": 0.25,
    });
  });

  it("surveys: the latest answer per person", async () => {
    expect(await read(["survey.nps", "survey.nps_at", "survey.nps_count", "survey.csat"])).toEqual({
      "survey.nps": 50,
      "survey.nps_at": T - 5 * DAY,
      "survey.nps_count": 2,
      "survey.csat": 0.5,
    });
    expect(await read(["survey.my_nps"], T, { contactId: "p-1" })).toEqual({ "survey.my_nps": 9 });
    expect(await world.store.facts.read({ accountId: "a-2" }, ["survey.nps"], T)).toEqual({});
  });

  it("goals, by their latest version", async () => {
    expect(await read(["goals.count", "goals.on_track_share"])).toEqual({
      "goals.count": 2,
      "goals.on_track_share": 0.5,
    });
    expect(await read(["goals.on_track_share"], T - 20 * DAY)).toEqual({ "goals.on_track_share": 0 });
  });

  it("health, tasks, milestones, now", async () => {
    const sql = world.database.client;
    await sql`insert into health_history (account_id, at, score, status, cause) values
      ('a-1', ${iso(T - 8 * DAY)}, 80, 'green', 'first'), ('a-1', ${iso(T - DAY)}, 60, 'yellow', 'data'), ('a-1', ${iso(T + DAY)}, 10, 'red', 'data')`;
    await sql`insert into tasks (id, effect_key, run_id, step, key, account_id, title, "for", required, status, opened_at, closed_at, due_at, snooze_limit) values
      ('1', '1', 'r', 's', 's', 'a-1', 't', '{}', true, 'open', ${iso(T - DAY)}, null, ${iso(T)}, 2),
      ('2', '2', 'r', 's', 's', 'a-1', 't', '{}', false, 'open', ${iso(T - DAY)}, null, ${iso(T)}, 2),
      ('3', '3', 'r', 's', 's', 'a-1', 't', '{}', true, 'done', ${iso(T - DAY)}, ${iso(T + 1)}, ${iso(T)}, 2)`;
    await sql`insert into milestones (account_id, contact_id, milestone, at) values ('a-1', '', 'kickoff', ${iso(T)}), ('a-1', 'p-1', 'logged_in', ${iso(T - DAY)})`;
    expect(
      await read(
        [
          "health.score",
          "health.status",
          "health.change_7d",
          "health.change_30d",
          "tasks.open",
          "tasks.required_open",
          "milestone.kickoff",
          "milestone.logged_in",
          "now",
        ],
        T,
        {
          runId: "r",
          contactId: "p-1",
        },
      ),
    ).toEqual({
      "health.score": 60,
      "health.status": "yellow",
      "health.change_7d": -20,
      "tasks.open": 3,
      "tasks.required_open": 2,
      "milestone.kickoff": T,
      "milestone.logged_in": T - DAY,
      now: T,
    });
    expect(await read(["milestone.kickoff", "milestone.logged_in"], T - 1)).toEqual({});
  });

  it("many subjects at once give what each gives alone", async () => {
    const paths = ["account.stage", "usage.actions_7d", "tickets.open", "survey.nps", "goals.count", "contract.id"];
    const subjects = [
      { accountId: "a-2" },
      { accountId: "a-1" },
      { accountId: "nobody" },
      { accountId: "a-1", contractId: "k-old" },
    ];
    const many = await world.store.facts.readMany(subjects, paths, T);
    expect(many).toEqual(await Promise.all(subjects.map((subject) => world.store.facts.read(subject, paths, T))));
    expect(many[2]).toEqual({ "tickets.open": 0, "goals.count": 0 });
  });
});
