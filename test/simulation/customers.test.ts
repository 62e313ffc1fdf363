import { describe, expect, test } from "vitest";
import type { Metric, Model, Segments } from "../../src/customers/model.js";
import type { FactValue } from "../../src/expression/expression.js";
import { SimulatedCustomers } from "../../src/simulation/customers.js";
import { model as bareModel, is } from "../engine/plans.js";
import { at } from "../engine/rehearse.js";

const EVER = Number.MIN_SAFE_INTEGER;
const NOW = at("2026-06-01");

const metric = (more: Partial<Metric>): Metric => ({
  from: "login",
  aggregate: "sum",
  window: { amount: 7, unit: "d" },
  of: "account",
  title: "M",
  ...more,
});

const model: Model = {
  ...bareModel,
  account: { live_at: { type: "datetime" }, live_date: { type: "date" } },
  contract: {
    notice_date: { type: "date", derived: { date: "end_date", sign: -1, days: "notice_days" } },
  },
  metrics: {
    logins: metric({}),
    mine: metric({ of: "contact" }),
    champions: metric({ role: "champion" }),
    frozen: metric({ frozenWhile: "rescue" }),
  },
  milestones: {
    first_value: { of: "account", title: "F" },
    trained: { of: "contact", title: "T" },
  },
};

const segments: Segments = { big: { if: is("account.arr", 1_000, ">="), title: "Big" } };

function customers(): SimulatedCustomers {
  const made = new SimulatedCustomers(model, segments);
  made.upsert(
    {
      users: [
        { id: "u1", name: "Ann", email: "ann@w.example", managerId: "u2", slackUserId: "U1", pools: ["desk"] },
        { id: "u2", name: "Bob", email: "bob@w.example" },
      ],
      absences: [{ id: "v1", userId: "u1", fromAt: NOW, toAt: NOW + 1 }],
      accounts: [
        {
          id: "a1",
          fields: {
            name: "Acme",
            timezone: "Europe/Warsaw",
            csm: "u1",
            arr: 2_000,
            live_date: "2026-05-01",
            live_at: "2026-05-01T10:00:00Z",
            locale: "pl",
            country: "PL",
          },
          roles: { sales: "u2" },
        },
        {
          id: "a2",
          fields: { csm: "ghost", arr: 10, calendar: "cairo", live_date: "soon", live_at: 5, is_test: true },
        },
      ],
      contacts: [
        { id: "c1", accountId: "a1", fields: { email: "c1@a.example", role: "champion" } },
        { id: "c2", accountId: "a1", fields: { is_active: false, timezone: "Asia/Tokyo" } },
      ],
      contracts: [
        { id: "k1", accountId: "a1", fields: { status: "active", end_date: "2026-12-31", notice_days: 30, arr: 1 } },
        { id: "k2", accountId: "a1", fields: { status: "active", end_date: "2027-12-31", notice_days: 30, arr: 2 } },
        { id: "k3", accountId: "a1", fields: { status: "ended", end_date: "2028-12-31", arr: 3 } },
      ],
    },
    EVER,
  );
  return made;
}

describe("fields", () => {
  test.each<[string, FactValue | undefined]>([
    ["now", NOW],
    ["account.id", "a1"],
    ["account.name", "Acme"],
    ["account.csm_name", "Ann"],
    ["account.manager", "u2"],
    ["account.live_date", at("2026-04-30T22:00")],
    ["account.live_at", at("2026-05-01T10:00")],
    ["account.none", undefined],
    ["contact.id", undefined],
    ["contract.id", "k2"],
    ["contract.arr", 2],
    ["contract.notice_date", at("2027-11-30T23:00")],
    ["segment.big", true],
    ["segment.none", undefined],
    ["goals.count", 0],
    ["goals.on_track_share", undefined],
    ["health.score", undefined],
    ["usage.none", undefined],
    ["tasks.open", undefined],
  ])("%s is %j", (path, expected) => {
    expect(customers().read({ accountId: "a1" }, [path], NOW)[path]).toBe(expected);
  });

  test("of a stranger, of who has no colleague, of another contract", () => {
    const made = customers();
    expect(made.read({ accountId: "a2" }, ["account.csm_name", "account.manager", "segment.big"], NOW)).toEqual({
      "segment.big": false,
    });
    expect(made.read({ accountId: "none" }, ["account.csm_name", "account.arr"], NOW)).toEqual({});
    expect(made.read({ accountId: "a1", contractId: "k3" }, ["contract.arr"], NOW)).toEqual({ "contract.arr": 3 });
    expect(made.read({ accountId: "a2" }, ["contract.arr"], NOW)).toEqual({});
    expect(made.read({ accountId: "a1", contactId: "c1" }, ["contact.role"], NOW)).toEqual({
      "contact.role": "champion",
    });
  });

  test.each<[string, string, string | number | undefined]>([
    ["a1", "account.live_date", "2026-05-01"],
    ["a1", "account.live_at", at("2026-05-01T10:00")],
    ["a1", "contract.notice_date", "2027-12-01"],
    ["a1", "milestone.first_value", at("2026-05-05")],
    ["a1", "milestone.trained", undefined],
    ["a2", "account.live_date", undefined],
    ["a2", "account.live_at", undefined],
    ["a2", "contract.end_date", undefined],
  ])("the date of %s %s as given: %j", (accountId, path, expected) => {
    const made = customers();
    made.milestones.set("a1\n\nfirst_value", at("2026-05-05"));
    expect(made.date({ accountId }, path, NOW)).toBe(expected);
  });

  test("are as they were at the instant that is asked about, however late it was told", () => {
    const made = customers();
    made.upsert({ accounts: [{ id: "a1", fields: { arr: 500 } }] }, at("2026-06-10"));
    made.upsert({ accounts: [{ id: "a1", fields: { arr: 800 }, at: at("2026-06-05") }] }, at("2026-06-11"));
    const arr = (when: string) => made.read({ accountId: "a1" }, ["account.arr"], at(when))["account.arr"];
    expect(["2026-06-04", "2026-06-05", "2026-06-10"].map(arr)).toEqual([2_000, 800, 500]);
  });
});

describe("rows that come in", () => {
  test.each<[string, Parameters<SimulatedCustomers["upsert"]>[0], Record<string, string[]>]>([
    ["nothing", {}, {}],
    ["what is known already", { accounts: [{ id: "a1", fields: { arr: 2_000 } }] }, {}],
    ["a field", { accounts: [{ id: "a1", fields: { arr: 1, id: "x" } }] }, { a1: ["account.arr"] }],
    ["a field that is cleared", { accounts: [{ id: "a1", fields: { name: null } }] }, { a1: ["account.name"] }],
    [
      "cleared to its first value",
      { contacts: [{ id: "c2", fields: { is_active: null } }] },
      { a1: ["contact.is_active"] },
    ],
    ["roles alone", { accounts: [{ id: "a1", fields: {}, roles: { legal: "u1" } }] }, {}],
    [
      "a new contact, of no account yet",
      { contacts: [{ id: "c9", fields: {} }] },
      { "": ["contact.id", "contact.is_active", "contact.is_primary", "contact.name"] },
    ],
    [
      "samples",
      { samples: [{ id: "s1", accountId: "a1", name: "login", at: NOW, value: 1 }] },
      { a1: ["usage.champions", "usage.frozen", "usage.logins", "usage.mine"] },
    ],
    [
      "an answer",
      { surveyAnswers: [{ id: "n1", accountId: "a2", survey: "nps", score: 9, at: NOW }] },
      { a2: ["survey.csat", "survey.my_nps", "survey.nps", "survey.nps_at", "survey.nps_count"] },
    ],
  ])("%s", (_name, rows, expected) => {
    const changed = customers().upsert(rows, NOW);
    expect(Object.fromEntries([...changed].map(([id, paths]) => [id, [...paths].sort()]))).toEqual(expected);
  });

  test("samples and answers once", () => {
    const made = customers();
    const rows = {
      samples: [{ id: "s1", accountId: "a1", name: "login", at: NOW, value: 1 }],
      surveyAnswers: [{ id: "n1", accountId: "a1", survey: "nps", score: 9, at: NOW }],
    };
    made.upsert(rows, NOW);
    expect(made.upsert(rows, NOW).size).toBe(0);
  });
});

test("people, zones and calendars of an account, and what is assumed of one that nobody knows", () => {
  const made = customers();
  expect(made.team("a1", NOW)).toEqual({ csmId: "u1", roles: { sales: "u2" } });
  expect(made.team("none", NOW)).toEqual({ csmId: null, roles: {} });
  expect(["a1", "a2", "none"].map((id) => made.zone(id, NOW))).toEqual(["Europe/Warsaw", "UTC", "UTC"]);
  expect(["a1", "a2", "none"].map((id) => made.calendarName(id, NOW))).toEqual(["pl", "cairo", undefined]);
  expect(["a1", "a2"].map((id) => made.locale(id, NOW))).toEqual(["pl", null]);
  expect(["a1", "a2"].map((id) => made.isTest(id, NOW))).toEqual([false, true]);
  expect(made.accountIds()).toEqual(["a1", "a2"]);
  expect(made.activeContactIdsOf("a1", NOW)).toEqual(["c1"]);
  expect(made.contacts("a1", NOW).map(({ id, zone, email }) => [id, zone, email])).toEqual([
    ["c1", "Europe/Warsaw", "c1@a.example"],
    ["c2", "Asia/Tokyo", null],
  ]);
  expect(made.directory().absences).toEqual([{ id: "v1", userId: "u1", fromAt: NOW, toAt: NOW + 1, coverId: null }]);
  expect(made.knownSince({ accountId: "a1", contactId: "c1", contractId: "k1" })).toBe(EVER);
  made.upsert({ contacts: [{ id: "c3", accountId: "a1", fields: {} }] }, NOW);
  expect(made.knownSince({ accountId: "a1", contactId: "c3" })).toBe(NOW);
  expect(made.knownSince({ accountId: "none" })).toBe(EVER);
});

test("usage counts an account's samples, a person's, a role's; frozen, it stands as of the run's beginning", () => {
  const made = customers();
  const sample = (id: string, day: string, value: number, user?: string) => ({
    id,
    accountId: "a1",
    name: "login",
    at: at(day),
    value,
    ...(user === undefined ? {} : { user }),
  });
  made.upsert(
    {
      samples: [sample("1", "2026-05-20", 100), sample("2", "2026-05-28", 2, "c1"), sample("3", "2026-05-30", 5, "c2")],
    },
    NOW,
  );
  made.runSpans.push({ playbook: "rescue", accountId: "a1", from: at("2026-05-29") });
  made.runSpans.push({ playbook: "rescue", accountId: "a1", from: at("2026-05-20"), to: at("2026-05-25") });
  const usage = ["usage.logins", "usage.mine", "usage.champions", "usage.frozen"];
  expect(made.read({ accountId: "a1", contactId: "c2" }, usage, NOW)).toEqual({
    "usage.logins": 7,
    "usage.mine": 5,
    "usage.champions": 2,
    "usage.frozen": 2,
  });
  expect(made.read({ accountId: "a1" }, ["usage.mine"], NOW)).toEqual({});
  expect(made.read({ accountId: "a2" }, usage, NOW)).toEqual({});
});

test("tickets are counted by when they were opened and closed", () => {
  const made = customers();
  const ticket = (id: string, openedAt: string, closedAt?: string) => ({
    id,
    accountId: "a1",
    openedAt: at(openedAt),
    ...(closedAt === undefined ? {} : { closedAt: at(closedAt) }),
  });
  made.upsert(
    {
      tickets: [
        ticket("t1", "2026-01-01", "2026-01-02"),
        ticket("t2", "2026-04-10", "2026-05-30"),
        ticket("t3", "2026-05-28"),
        ticket("t4", "2026-05-29", "2026-06-05"),
        ticket("t5", "2026-06-02"),
      ],
    },
    NOW,
  );
  const names = ["open", "opened_7d", "opened_90d", "closed_90d", "weekly_mean_8w", "none"];
  const paths = names.map((name) => `tickets.${name}`);
  expect(made.read({ accountId: "a1" }, paths, NOW)).toEqual({
    "tickets.open": 2,
    "tickets.opened_7d": 2,
    "tickets.opened_90d": 3,
    "tickets.closed_90d": 1,
    "tickets.weekly_mean_8w": 1 / 8,
  });
  expect(made.closeTicket("t3", NOW)).toContain("tickets.open");
  expect(made.closeTicket("none", NOW)).toEqual([]);
  made.upsert({ tickets: [ticket("t4", "2026-05-29", "2026-06-01")] }, NOW);
  expect(made.read({ accountId: "a1" }, ["tickets.open"], NOW)).toEqual({ "tickets.open": 0 });
});

test("surveys: NPS over the latest answer of each person, CSAT over all, one's own score", () => {
  const made = customers();
  const answer = (id: string, survey: string, score: number, day: string, contactId?: string) => ({
    id,
    accountId: "a1",
    survey,
    score,
    at: at(day),
    ...(contactId === undefined ? {} : { contactId }),
  });
  made.upsert(
    {
      surveyAnswers: [
        answer("1", "nps", 3, "2026-05-01", "c1"),
        answer("2", "nps", 9, "2026-05-10", "c1"),
        answer("3", "nps", 8, "2026-05-12"),
        answer("4", "csat", 5, "2026-05-12"),
        answer("5", "csat", 2, "2026-05-13"),
      ],
    },
    NOW,
  );
  const paths = ["nps", "nps_count", "nps_at", "csat", "my_nps", "none"].map((name) => `survey.${name}`);
  expect(made.read({ accountId: "a1", contactId: "c1" }, paths, NOW)).toEqual({
    "survey.nps": 50,
    "survey.nps_count": 2,
    "survey.nps_at": at("2026-05-12"),
    "survey.csat": 0.5,
    "survey.my_nps": 9,
  });
  expect(made.read({ accountId: "a2" }, paths, NOW)).toEqual({});
});

test("milestones and tasks, of the person and the run that are meant", () => {
  const made = customers();
  made.milestones.set("a1\nc1\ntrained", at("2026-05-05"));
  const reached = (contactId: string | undefined, when: number) =>
    made.read({ accountId: "a1", ...(contactId === undefined ? {} : { contactId }) }, ["milestone.trained"], when);
  expect(reached("c1", NOW)).toEqual({ "milestone.trained": at("2026-05-05") });
  expect(reached("c1", at("2026-05-04"))).toEqual({});
  expect(reached("c2", NOW)).toEqual({});
  expect(reached(undefined, NOW)).toEqual({});

  made.tasks.set("t1", { runId: "r1", required: true, openedAt: at("2026-05-01"), closedAt: at("2026-06-02") });
  made.tasks.set("t2", { runId: "r1", required: false, openedAt: at("2026-05-01") });
  made.tasks.set("t3", { runId: "r1", required: true, openedAt: at("2026-05-01"), closedAt: at("2026-05-02") });
  made.tasks.set("t4", { runId: "r1", required: true, openedAt: at("2026-06-02") });
  made.tasks.set("t5", { runId: "r2", required: true, openedAt: at("2026-05-01") });
  expect(made.read({ accountId: "a1", runId: "r1" }, ["tasks.open", "tasks.required_open", "tasks.none"], NOW)).toEqual(
    { "tasks.open": 2, "tasks.required_open": 1 },
  );
});
