import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { postgresHealth } from "../../src/adapters/postgres/health.js";
import { postgresSegments } from "../../src/adapters/postgres/segments.js";
import type { HealthModel } from "../../src/customers/health-model.js";
import { explainHealth } from "../../src/operations/explain-health.js";
import { healthMeter, measureHealth, measureOnEvent } from "../../src/operations/measure-health.js";
import { expireHealthOverride, overrideHealth, removeHealthOverride } from "../../src/operations/override-health.js";
import { publish } from "../../src/operations/publish.js";
import { sweepDue, sweepHealth } from "../../src/operations/sweep-health.js";
import { upsertCustomers } from "../../src/operations/upsert-customers.js";
import type { HealthPorts } from "../../src/ports/health.js";
import { at, fact, literal, MODEL, openWorld, planOf, type World } from "./world.js";

const DAY = 86_400_000;
const NOON = at("2026-06-01T12:00Z");

const SEATS: HealthModel = {
  version: 1,
  status: { red: 0, yellow: 50, green: 75 },
  minCoverage: 0.6,
  hysteresis: { points: 5, evaluations: 2 },
  trend: { flatUnder: 3 },
  evaluate: { dailyAt: "03:00", on: ["ticket.opened"] },
  measures: { seats: { title: "Seats", value: "account.seats", scale: { kind: "linear", from: 0, to: 100 } } },
  profiles: [{ name: "all", weights: { seats: 1 } }],
};

let world: World;
let ports: HealthPorts;

async function publishModel(health: HealthModel, listens: readonly string[] = []) {
  const plans = [
    planOf("watch", {}, { listens: { events: [], facts: listens } }),
    planOf("persons", {}, { subject: "contact", listens: { events: [], facts: ["usage.my_7d", "usage.actions_7d"] } }),
  ];
  const segments = { few: { title: "", if: { op: "<" as const, left: fact("account.seats"), right: literal(50) } } };
  await publish(
    ports,
    {
      playbooks: plans.map((plan) => ({ plan, source: "" })),
      templates: [],
      configurations: { model: MODEL, health, segments, calendars: [], policy: { datesAt: "09:00" } },
    },
    "ops",
  );
  return plans.map((plan) => plan.hash);
}

/** From then on the account has so many seats: its score. */
async function seats(account: string, value: number | null, since: number): Promise<void> {
  await upsertCustomers(
    ports,
    { accounts: [{ id: account, at: since, fields: { name: account, seats: value } }] },
    { at: since, source: "test" },
  );
  await world.database.client.unsafe(
    "update accounts a set created_at = (select min(at) from field_changes where entity = 'account' and entity_id = a.id)",
  );
}

const told = (account: string) =>
  world.rows<{ name: string; at: string; payload: Record<string, unknown>; changed: string[] }>(
    `select name, at, payload, changed from events where account_id = '${account}' and source in ('health', 'sweep') order by at, seq`,
  );
const changes = async (account: string) =>
  (await told(account)).flatMap(({ name, payload }) =>
    name === "health.changed" ? [[payload.from, payload.to, payload.cause]] : [],
  );

beforeAll(async () => {
  world = await openWorld("2026-06-01T00:00Z");
  ports = { store: world.store, clock: world.clock, health: postgresHealth, segments: postgresSegments };
  await publishModel(SEATS);
});
beforeEach(async () => {
  await world.database.client.unsafe(
    "truncate accounts, field_changes, health, health_history, health_overrides, events, segment_members, sweeps, swept_facts, runs, due, samples, contacts",
  );
});
afterAll(() => world.close());

describe("one account", () => {
  test("is measured once an instant, and written only where it differs", async () => {
    await seats("a", 80, NOON - DAY);
    const meter = healthMeter(ports);
    expect(await meter.measure("a", NOON, "step")).toEqual({ score: 80, status: "green" });
    expect(await meter.measure("a", NOON, "step")).toEqual({ score: 80, status: "green" });
    expect(await meter.measure("a", NOON + DAY, "daily")).toEqual({ score: 80, status: "green" });
    expect(await told("a")).toEqual([
      {
        name: "health.changed",
        at: expect.anything(),
        payload: { to: "green", cause: "first" },
        changed: ["health.status", "health.score", "health.change_7d", "health.change_30d", "health.coverage"],
      },
    ]);
    const [row] = await world.rows<{ at: string }>("select at from health");
    expect(new Date(row?.at ?? 0).toISOString()).toBe("2026-06-01T12:00:00.000Z");
    expect(await world.rows("select account_id from health_history")).toHaveLength(1);
  });

  test("a score that moves inside its band is a change of facts", async () => {
    await seats("a", 80, NOON - DAY);
    await measureHealth(ports, "a", NOON, "step");
    await seats("a", 90, NOON + 1);
    await measureHealth(ports, "a", NOON + 2, "event");
    expect((await told("a")).at(-1)).toMatchObject({
      name: "facts.changed",
      payload: {},
      changed: ["health.score", "health.change_7d", "health.change_30d"],
    });
  });

  test("two daily evaluations outside the band change it; a repeated one counts once, an event never", async () => {
    await seats("a", 80, NOON - DAY);
    await measureHealth(ports, "a", NOON, "daily");
    await seats("a", 73, NOON + 1);
    for (const _ of [1, 2, 3]) await measureHealth(ports, "a", NOON + DAY, "daily");
    await measureHealth(ports, "a", NOON + DAY + 1, "event");
    expect(await changes("a")).toEqual([[undefined, "green", "first"]]);
    expect(await measureHealth(ports, "a", NOON + 2 * DAY, "daily")).toEqual({ score: 73, status: "yellow" });
    expect(await changes("a")).toEqual([
      [undefined, "green", "first"],
      ["green", "yellow", "data"],
    ]);
  });

  test("behind a later evaluation: a daily one changes nothing, another is made then", async () => {
    await seats("a", 80, NOON - DAY);
    await measureHealth(ports, "a", NOON, "step");
    await seats("a", 10, NOON - 1);
    expect(await measureHealth(ports, "a", NOON - 2, "daily")).toEqual({ score: 80, status: "green" });
    expect(await measureHealth(ports, "a", NOON - 2, "event")).toEqual({ score: 10, status: "red" });
  });

  test("events of evaluate.on measure their accounts once, others don't", async () => {
    await seats("a", 80, NOON - DAY);
    await seats("b", 20, NOON - DAY);
    const event = (name: string, accountId: string, when: number) => ({ name, accountId, at: when });
    const measured: string[] = [];
    for (const one of [
      event("ticket.opened", "a", NOON),
      event("ticket.opened", "a", NOON + 5),
      event("ticket.closed", "b", NOON),
    ]) {
      await ports.store.transaction(async (tx) => {
        await ports.store.lockAccounts(tx, [one.accountId]);
        if (await measureOnEvent(ports, tx, one)) measured.push(one.accountId);
      });
    }
    expect(measured).toEqual(["a", "a"]);
    expect(await changes("a")).toHaveLength(1);
    expect(await changes("b")).toEqual([]);
  });

  test("an unknown account is a fault", async () => {
    await expect(measureHealth(ports, "nobody", NOON, "step")).rejects.toThrow("no account nobody");
  });
});

describe("an override", () => {
  const override = {
    accountId: "a",
    status: "green" as const,
    reason: "renewal signed",
    author: "u-1",
    until: NOON + 3 * DAY,
  };
  beforeEach(async () => {
    world.clock.moveTo(Math.max(world.clock.now(), NOON));
    await seats("a", 20, NOON - DAY);
    await measureHealth(ports, "a", NOON, "daily");
  });

  test("shows its status, survives recomputation, and ends when it expires", async () => {
    expect(await overrideHealth(ports, override)).toEqual({ ok: true, health: { score: 20, status: "green" } });
    await sweepHealth(ports, NOON + DAY);
    await seats("a", 90, NOON + DAY + 1);
    expect(await measureHealth(ports, "a", NOON + 2 * DAY, "event")).toEqual({ score: 90, status: "green" });
    await seats("a", 10, NOON + 2 * DAY + 1);
    expect(await measureHealth(ports, "a", NOON + 2 * DAY + 2, "event")).toEqual({ score: 10, status: "green" });
    expect(await world.rows("select id, kind, account_id from due")).toEqual([
      { id: "override_expiry/a", kind: "override_expiry", account_id: "a" },
    ]);
    await expireHealthOverride(ports, "a", NOON + 3 * DAY - 1);
    await expireHealthOverride(ports, "a", NOON + 3 * DAY);
    await expireHealthOverride(ports, "a", NOON + 3 * DAY);
    expect(await changes("a")).toEqual([
      [undefined, "red", "first"],
      ["red", "green", "override"],
      ["green", "red", "expiry"],
    ]);
    expect(await world.rows("select * from health_overrides")).toEqual([]);
  });

  test("the sweep takes off one that has expired", async () => {
    await overrideHealth(ports, override);
    await sweepHealth(ports, NOON + 3 * DAY);
    expect((await changes("a")).at(-1)).toEqual(["green", "red", "expiry"]);
    expect(await world.rows("select * from health_overrides")).toEqual([]);
  });

  test("can be removed", async () => {
    await overrideHealth(ports, override);
    expect(await removeHealthOverride(ports, "a")).toEqual({ ok: true, health: { score: 20, status: "red" } });
    expect((await changes("a")).at(-1)).toEqual(["green", "red", "override"]);
    expect(await world.rows("select id from due")).toEqual([]);
    expect(await removeHealthOverride(ports, "a")).toEqual({ ok: false, problem: "not_overridden" });
  });

  test("needs an account, a reason and a future", async () => {
    expect(await overrideHealth(ports, { ...override, accountId: "nobody" })).toEqual({
      ok: false,
      problem: "no_account",
    });
    expect(await overrideHealth(ports, { ...override, reason: " " })).toEqual({ ok: false, problem: "no_reason" });
    expect(await overrideHealth(ports, { ...override, until: NOON })).toEqual({ ok: false, problem: "until_is_past" });
  });

  test("is explained", async () => {
    await overrideHealth(ports, override);
    const explained = await explainHealth(ports, "a");
    expect(explained?.text.split("\n")).toEqual([
      "green: score 20, coverage 100 %, profile all, model version 1",
      expect.stringMatching(/^so since 2026-06-01T12:00:00Z$/),
      "u-1 says green until 2026-06-04T12:00:00Z: renewal signed (the model: red)",
      "- Seats: 20 → 20 points (0 gives 0, 100 gives 100), adds 20, weight 1, newest 1 d old",
    ]);
    expect(await explainHealth(ports, "nobody")).toBeUndefined();
  });
});

test("a new model says so, on both paths", async () => {
  await seats("a", 73, NOON - DAY);
  await seats("b", 73, NOON - DAY);
  await sweepHealth(ports, NOON);
  await publishModel({ ...SEATS, version: 2, status: { red: 0, yellow: 50, green: 70 } });
  await measureHealth(ports, "a", NOON + DAY, "event");
  await sweepHealth(ports, NOON + DAY);
  for (const account of ["a", "b"]) expect((await changes(account)).at(-1)).toEqual(["yellow", "green", "model"]);
  await publishModel(SEATS);
});

describe("the daily sweep", () => {
  test("catches up on every missed day, so that two days outside count as two", async () => {
    await seats("a", 80, NOON - 20 * DAY);
    expect((await sweepDue(ports, NOON)).map((report) => new Date(report.at).toISOString())).toEqual([
      "2026-06-01T03:00:00.000Z",
    ]);
    expect(await sweepDue(ports, NOON)).toEqual([]);
    await seats("a", 73, NOON + 1);
    const reports = await sweepDue(ports, NOON + 3 * DAY);
    expect(reports.map((report) => [new Date(report.at).toISOString(), report.written])).toEqual([
      ["2026-06-02T03:00:00.000Z", 1],
      ["2026-06-03T03:00:00.000Z", 1],
      ["2026-06-04T03:00:00.000Z", 0],
    ]);
    const [last] = (await told("a")).slice(-1);
    expect([new Date(last?.at ?? 0).toISOString(), last?.payload]).toEqual([
      "2026-06-03T03:00:00.000Z",
      { from: "green", to: "yellow", cause: "data" },
    ]);
  });

  test("several workers at once do each day once", async () => {
    // Three chunks a day.
    await world.database
      .client`insert into accounts (id, name, created_at) select 'x-' || n, 'x', '2026-01-01' from generate_series(1, 4400) n`;
    await sweepDue(ports, NOON);
    const all = await Promise.all([1, 2, 3].map(() => sweepDue(ports, NOON + 2 * DAY)));
    const swept = all.flat().reduce((sum, report) => sum + report.accounts, 0);
    expect(swept).toBe(8_800);
    expect(await world.rows("select count(*)::int as n from health")).toEqual([{ n: 4_400 }]);
    expect(await world.rows("select after_account from sweeps")).toEqual([{ after_account: null }]);
  });

  test("goes back 400 days at most", async () => {
    await sweepDue(ports, NOON);
    const reports = await sweepDue(ports, NOON + 1_000 * DAY);
    expect(reports).toHaveLength(400);
    expect(reports[0]?.at).toBe(at("2026-06-01T03:00Z") + 601 * DAY);
  });

  test("leaves out accounts that came later", async () => {
    await seats("a", 80, NOON);
    await sweepHealth(ports, NOON - DAY);
    expect(await changes("a")).toEqual([]);
  });

  test("an account that comes while its neighbours are evaluated is evaluated with its lock", async () => {
    await seats("a", 80, NOON - DAY);
    await seats("c", 80, NOON - DAY);
    const locked: string[] = [];
    const late: HealthPorts = {
      ...ports,
      health: {
        ...postgresHealth,
        async lockSpan(tx, after, asOf, limit) {
          const span = await postgresHealth.lockSpan(tx, after, asOf, limit);
          locked.push(`${span?.count} up to ${span?.last}`);
          // By another connection, and after the locks.
          if (locked.length === 1) await seats("b", 20, NOON - DAY);
          return span;
        },
      },
    };
    expect(await sweepHealth(late, NOON)).toMatchObject({ accounts: 3, written: 3, changed: 3 });
    expect(locked).toEqual(["2 up to c", "3 up to c"]);
    expect(await world.rows("select account_id, score from health order by 1")).toEqual([
      { account_id: "a", score: 80 },
      { account_id: "b", score: 20 },
      { account_id: "c", score: 80 },
    ]);
  });

  test("tells no run at an account that came later, and keeps what is known of it", async () => {
    const [watch] = await publishModel(SEATS, ["usage.actions_7d"]);
    for (const [account, since] of [
      ["a", NOON - DAY],
      ["b", NOON + DAY],
      ["c", NOON - DAY],
    ] as const)
      await seats(account, 80, since);
    await world.database
      .client`insert into runs (id, playbook, hash, subject, account_id, contact_id, key, ordinal, status, started_at)
        values ('r1', 'r1', ${watch ?? ""}, 'account', 'b', null, 'r1', 1, 'running', '2026-01-01')`;
    await world.database.client`insert into swept_facts (account_id, path, value) values ('b', 'account.seats', '80')`;
    expect(await sweepHealth(ports, NOON)).toMatchObject({ accounts: 2, told: 0 });
    expect(await world.rows("select account_id, path, value from swept_facts")).toEqual([
      { account_id: "b", path: "account.seats", value: 80 },
    ]);
    await publishModel(SEATS);
  });

  test("tells live runs of facts that time alone changed, and nobody else", async () => {
    const [watch, persons] = await publishModel(SEATS, ["usage.actions_7d", "account.seats"]);
    await seats("a", 80, NOON - 20 * DAY);
    await seats("b", 80, NOON - 20 * DAY);
    await upsertCustomers(
      ports,
      { contacts: [{ id: "p", accountId: "a", at: NOON - 20 * DAY, fields: { name: "P" } }] },
      { at: NOON - 20 * DAY, source: "test" },
    );
    const sample = (id: string, accountId: string) => ({
      id,
      accountId,
      name: "actions",
      at: NOON - 6 * DAY,
      value: 4,
      user: "p",
    });
    await upsertCustomers(ports, { samples: [sample("s1", "a"), sample("s2", "b")] }, { at: NOON, source: "test" });
    const run = (id: string, account: string, contact: string | null, hash: string | undefined, status: string) =>
      world.database
        .client`insert into runs (id, playbook, hash, subject, account_id, contact_id, key, ordinal, status, started_at)
        values (${id}, ${id}, ${hash ?? ""}, 'account', ${account}, ${contact}, ${id}, 1, ${status}, '2026-01-01')`;
    await run("r1", "a", null, watch, "running");
    await run("r2", "a", "p", persons, "held");
    await run("r3", "b", null, watch, "ended");
    await world.database.client.unsafe("delete from events");
    const days: unknown[] = [];
    for (const day of [0, 0, 0.5, 2, 3]) {
      await world.database.client.unsafe("delete from events");
      const { told: count } = await sweepHealth(ports, NOON + day * DAY);
      const events = await world.rows(
        "select account_id, contact_id, changed from events where name = 'facts.changed' order by contact_id nulls first",
      );
      days.push([count, events]);
    }
    const both = [
      { account_id: "a", contact_id: null, changed: ["usage.actions_7d"] },
      { account_id: "a", contact_id: "p", changed: ["usage.my_7d"] },
    ];
    expect(days).toEqual([
      [2, both],
      [0, []],
      [0, []],
      [2, both],
      [0, []],
    ]);
    expect(await world.rows("select account_id, contact_id, path, value from swept_facts order by 1, 2")).toEqual([
      { account_id: "a", contact_id: "", path: "usage.actions_7d", value: 0 },
      { account_id: "a", contact_id: "p", path: "usage.my_7d", value: 0 },
    ]);
    await world.database.client.unsafe("update runs set status = 'ended'");
    await sweepHealth(ports, NOON + 4 * DAY);
    expect(await world.rows("select * from swept_facts")).toEqual([]);
    await publishModel(SEATS);
  });

  test("moves accounts between segments", async () => {
    await seats("a", 20, NOON - DAY);
    expect((await sweepHealth(ports, NOON)).moved).toBe(1);
    expect(await world.rows("select name, payload, changed from events where name like 'segment.%'")).toEqual([
      { name: "segment.entered", payload: { segment: "few" }, changed: ["segment.few"] },
    ]);
    await seats("a", 60, NOON + 1);
    expect((await sweepHealth(ports, NOON + DAY)).moved).toBe(1);
    expect(await world.rows("select * from segment_members")).toEqual([]);
  });
});
