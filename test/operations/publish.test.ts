import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dispatchBatch } from "../../src/operations/dispatch-events.js";
import { pollDue } from "../../src/operations/poll-due.js";
import { listRuns, readRun } from "../../src/operations/read-runs.js";
import { upsertCustomers } from "../../src/operations/upsert-customers.js";
import { formatInstant } from "../../src/values/instant.js";
import { at, equals, fact, openWorld, planOf, workspaceOf, type World } from "./world.js";

let world: World;

beforeEach(async () => {
  world = await openWorld("2026-03-02T12:00Z");
});
afterEach(() => world.close());

const RENEWAL = planOf("renewal", {
  when: [{ kind: "before", date: fact("contract.notice_date"), by: { amount: 30, unit: "d" } }],
  key: fact("contract.id"),
});

const contract = (id: string, end: string | null, more = {}) =>
  upsertCustomers(
    world.ports,
    {
      accounts: [{ id: "a-1", fields: { name: "A", timezone: "Europe/Warsaw" } }],
      contracts: [{ id, accountId: "a-1", fields: { status: "active", end_date: end, notice_days: 30, ...more } }],
    },
    { source: "import" },
  );

const armed = async () =>
  (
    await world.rows<{ id: string; at: string; done_at: string | null }>(
      "select id, at, done_at from due where kind in ('before', 'every') order by id",
    )
  ).map((row) => [row.id, formatInstant(Date.parse(row.at)), row.done_at === null ? "open" : "done"]);

describe("publish", () => {
  it("twice is once; a new content is a new number, an old one comes back with its own", async () => {
    const first = planOf("rescue", {});
    const second = planOf("rescue", {}, { title: "Better" });
    const workspace = workspaceOf([first, RENEWAL]);
    expect(await world.publish(workspace)).toEqual({
      playbooks: [
        { playbook: "rescue", number: 1, what: "new" },
        { playbook: "renewal", number: 1, what: "new" },
      ],
      retired: [],
      configurations: ["model", "segments", "health", "calendars", "policy"],
    });
    expect(await world.publish(workspace)).toEqual({
      playbooks: [
        { playbook: "rescue", number: 1, what: "same" },
        { playbook: "renewal", number: 1, what: "same" },
      ],
      retired: [],
      configurations: [],
    });
    expect((await world.publish(workspaceOf([second]))).playbooks).toEqual([
      { playbook: "rescue", number: 2, what: "new" },
    ]);
    const back = await world.publish(workspace);
    expect(back.playbooks).toEqual([
      { playbook: "rescue", number: 1, what: "back" },
      { playbook: "renewal", number: 1, what: "back" },
    ]);
    const versions = await world.store.read((tx) => world.store.playbooks.versions(tx, "rescue"));
    expect(versions.map(({ number, isCurrent, publishedBy }) => [number, isCurrent, publishedBy])).toEqual([
      [2, false, "ops"],
      [1, true, "ops"],
    ]);
  });

  it("applies nothing when a part fails", async () => {
    const broken = workspaceOf([planOf("rescue", {})]);
    const templates = [{ hash: "h", name: "n", locale: "en", source: null as unknown as string }];
    await expect(world.publish({ ...broken, templates })).rejects.toThrow();
    expect(await world.rows("select count(*)::int as n from configurations")).toEqual([{ n: 0 }]);
    expect(await world.rows("select count(*)::int as n from playbook_versions")).toEqual([{ n: 0 }]);
  });

  it("concurrently gives one row per version", async () => {
    await Promise.all(Array.from({ length: 6 }, () => world.publish(workspaceOf([planOf("rescue", {}), RENEWAL]))));
    expect(await world.rows("select playbook, number, is_current from playbook_versions order by playbook")).toEqual([
      { playbook: "renewal", number: 1, is_current: true },
      { playbook: "rescue", number: 1, is_current: true },
    ]);
  });

  it("leaves live runs on their hash, and makes none of a retired playbook", async () => {
    await contract("k-1", "2026-04-15");
    await world.publish(workspaceOf([RENEWAL]));
    await world.settle();
    const report = await world.publish(workspaceOf([planOf("rescue", {})]));
    expect(report.retired).toEqual(["renewal"]);
    await contract("k-2", "2026-04-15");
    await world.settle();
    const { runs } = await listRuns(world.store, {});
    expect(runs.map((run) => [run.id, run.hash === RENEWAL.hash])).toEqual([["run/renewal/a-1/k-1/1", true]]);
    expect(await readRun(world.store, "run/renewal/a-1/k-1/1")).toMatchObject({
      title: "renewal",
      version: 1,
      timeline: [],
    });
  });
});

describe("before:", () => {
  it("arms by the date in the account's zone, enrols when due, with that contract", async () => {
    await world.publish(workspaceOf([RENEWAL]));
    await contract("k-1", "2026-06-30");
    await world.settle();
    // 30 June − 30 d notice = 31 May, at 09:00 in Warsaw; 30 d before: 1 May.
    expect(await armed()).toEqual([["before/renewal/0/a-1/k-1", "2026-05-01T07:00:00Z", "open"]]);
    world.clock.moveTo(at("2026-05-01T06:59:59Z"));
    await world.settle();
    expect(await world.runs()).toEqual([]);
    world.clock.moveTo(at("2026-05-01T08:00Z"));
    await world.settle();
    expect((await world.runs()).map((run) => [run.id, run.contractId, formatInstant(run.startedAt)])).toEqual([
      ["run/renewal/a-1/k-1/1", "k-1", "2026-05-01T07:00:00Z"],
    ]);
    await contract("k-1", "2026-06-30");
    await world.settle();
    expect(await armed()).toEqual([["before/renewal/0/a-1/k-1", "2026-05-01T07:00:00Z", "done"]]);
  });

  it("moves with the date, before and after it was due; is taken back when the date goes", async () => {
    await world.publish(workspaceOf([RENEWAL]));
    await contract("k-1", "2026-06-30");
    await world.settle();
    await contract("k-1", "2026-12-31");
    await world.settle();
    expect(await armed()).toEqual([["before/renewal/0/a-1/k-1", "2026-11-01T08:00:00Z", "open"]]);
    await contract("k-1", null);
    await world.settle();
    expect(await armed()).toEqual([]);
    await contract("k-1", "2026-06-30");
    await world.settle();
    world.clock.moveTo(at("2026-05-02T00:00Z"));
    await world.settle();
    await contract("k-1", "2027-06-30");
    await world.settle();
    expect(await armed()).toEqual([["before/renewal/0/a-1/k-1", "2027-05-01T07:00:00Z", "open"]]);
  });

  it("moves with the account's zone", async () => {
    await world.publish(workspaceOf([RENEWAL]));
    await contract("k-1", "2026-06-30");
    await world.settle();
    await upsertCustomers(
      world.ports,
      { accounts: [{ id: "a-1", fields: { timezone: "Asia/Tokyo" } }] },
      { source: "import" },
    );
    await world.settle();
    expect(await armed()).toEqual([["before/renewal/0/a-1/k-1", "2026-05-01T00:00:00Z", "open"]]);
  });

  it("doesn't fire for a date that moved and was not dispatched yet", async () => {
    await world.publish(workspaceOf([RENEWAL]));
    await contract("k-1", "2026-06-30");
    await world.settle();
    world.clock.moveTo(at("2026-05-01T06:00Z"));
    await contract("k-1", "2026-12-31");
    world.clock.moveTo(at("2026-05-01T07:00Z"));
    await pollDue(world.ports, {}, 10);
    expect(await armed()).toEqual([["before/renewal/0/a-1/k-1", "2026-11-01T08:00:00Z", "open"]]);
  });

  it("fires for what fell due before the date moved, however late it is polled, and again for the new date", async () => {
    await world.publish(workspaceOf([RENEWAL]));
    await contract("k-1", "2026-06-30");
    await world.settle();
    world.clock.moveTo(at("2026-05-01T08:00Z"));
    await contract("k-1", "2026-12-31");
    while ((await dispatchBatch(world.ports, 10)) > 0);
    await world.settle();
    expect((await world.runs()).map((run) => [run.id, formatInstant(run.startedAt)])).toEqual([
      ["run/renewal/a-1/k-1/1", "2026-05-01T07:00:00Z"],
    ]);
    expect(await armed()).toEqual([["before/renewal/0/a-1/k-1", "2026-11-01T08:00:00Z", "open"]]);
  });

  it("enrols at once inside the span, never when the date is past", async () => {
    await contract("k-in", "2026-04-15");
    await contract("k-past", "2026-03-15");
    await world.publish(workspaceOf([RENEWAL]));
    await world.settle();
    expect((await world.runs()).map((run) => [run.id, formatInstant(run.startedAt)])).toEqual([
      ["run/renewal/a-1/k-in/1", "2026-03-02T12:00:00Z"],
    ]);
    await contract("k-new", "2026-04-20");
    await world.settle();
    expect((await world.runs()).map((run) => run.id)).toContain("run/renewal/a-1/k-new/1");
  });
});

describe("every:", () => {
  const EVERY = planOf("qbr", {
    when: [{ kind: "every", cron: "0 9 1 */3 *" }],
    if: equals("account.stage", "adoption"),
    again: { kind: "always" },
  });

  it("enrols all that match, each time, also those it slept through", async () => {
    await upsertCustomers(
      world.ports,
      {
        accounts: [
          { id: "a-1", fields: { stage: "adoption" } },
          { id: "a-2", fields: { stage: "churned" } },
          { id: "a-3", fields: { stage: "adoption" } },
        ],
      },
      { source: "import" },
    );
    await world.publish(workspaceOf([EVERY]));
    expect(await armed()).toEqual([["every/qbr/0/next", "2026-04-01T09:00:00Z", "open"]]);
    world.clock.moveTo(at("2026-07-01T09:00Z"));
    await pollDue(world.ports, {}, 10);
    expect(await armed()).toEqual([["every/qbr/0/next", "2026-10-01T09:00:00Z", "open"]]);
    await world.settle();
    expect((await world.runs()).map((run) => [run.id, formatInstant(run.startedAt)]).sort()).toEqual([
      ["run/qbr/a-1/a-1/1", "2026-04-01T09:00:00Z"],
      ["run/qbr/a-3/a-3/1", "2026-04-01T09:00:00Z"],
    ]);
    expect(world.workflows.signals.map(({ event }) => event.name)).toEqual([
      "run.triggered_again",
      "run.triggered_again",
    ]);
  });

  it("keeps a time that is armed when it is published again, and drops it with its trigger", async () => {
    await world.publish(workspaceOf([EVERY]));
    world.clock.moveTo(at("2026-04-02T00:00Z"));
    await world.publish(workspaceOf([EVERY]));
    expect(await armed()).toEqual([["every/qbr/0/next", "2026-04-01T09:00:00Z", "open"]]);
    await world.publish(workspaceOf([planOf("qbr", {})]));
    expect(await armed()).toEqual([]);
  });
});

describe("pollDue", () => {
  it("hands items to their kind's handler once, with two pollers; one that fails stays", async () => {
    await world.store.transaction((tx) =>
      world.store.due.arm(
        tx,
        ["x", "y", "z"].map((id) => ({ id, kind: "digest" as const, at: at("2026-03-02T11:00Z"), payload: {} })),
      ),
    );
    const handled: string[] = [];
    const faults: string[] = [];
    const handlers = {
      digest: async (_ports: unknown, _tx: unknown, item: { id: string }) => {
        if (item.id === "y" && handled.includes("y") === false) {
          handled.push("y");
          throw new Error("not now");
        }
        handled.push(item.id);
        return "done" as const;
      },
    };
    const ports = { ...world.ports, onFault: (id: string) => void faults.push(id) };
    await Promise.all([pollDue(ports, handlers, 10), pollDue(ports, handlers, 10)]);
    await pollDue(ports, handlers, 10);
    expect(faults).toEqual(["y"]);
    expect(handled.sort()).toEqual(["x", "y", "y", "z"]);
    expect(await dispatchBatch(world.ports, 10)).toBe(0);
  });
});
