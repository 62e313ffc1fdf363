import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appendEvents } from "../../src/operations/append-events.js";
import { dispatchBatch } from "../../src/operations/dispatch-events.js";
import { enrol, type EnrolRequest } from "../../src/operations/enrol.js";
import { upsertCustomers } from "../../src/operations/upsert-customers.js";
import { at, equals, fact, openWorld, planOf, workspaceOf, type World } from "./world.js";

let world: World;

beforeEach(async () => {
  world = await openWorld("2026-03-02T12:00Z");
});
afterEach(() => world.close());

const accounts = (...ids: string[]) =>
  upsertCustomers(
    world.ports,
    { accounts: ids.map((id) => ({ id, fields: { name: id, tier: "enterprise" } })) },
    { source: "import", at: at("2026-01-01T00:00Z") },
  );

const byHand = (request: Partial<EnrolRequest> = {}) =>
  world.store.transaction((tx) =>
    enrol(
      world.store,
      tx,
      {
        playbook: "rescue",
        accountId: "a-1",
        at: world.clock.now(),
        cause: `c-${Math.random()}`,
        source: "cli",
        ...request,
      },
      world.clock.now(),
    ),
  );

describe("by hand", () => {
  it("makes one run of 50 racers, the others reach it", async () => {
    await accounts("a-1");
    await world.publish(
      workspaceOf([planOf("rescue", {}, { inputs: { severity: { type: "string", default: "low" } } })]),
    );
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, (_, k) => byHand({ cause: `c-${k}`, inputs: { severity: "high" } })),
    );
    expect(outcomes.filter((outcome) => outcome.kind === "enrolled")).toEqual([
      { kind: "enrolled", run: "run/rescue/a-1/a-1/1" },
    ]);
    expect(outcomes.filter((outcome) => outcome.kind === "triggered_again")).toHaveLength(49);
    expect((await world.runs()).map((run) => run.id)).toEqual(["run/rescue/a-1/a-1/1"]);
    expect(
      await world.rows(
        "select count(*)::int as n from events where name = 'run.triggered_again' and run_id = 'run/rescue/a-1/a-1/1'",
      ),
    ).toEqual([{ n: 49 }]);
    await world.settle();
    expect(
      [...world.workflows.started.values()].map(({ start, times }) => [start.run.id, start.inputs, times]),
    ).toEqual([["run/rescue/a-1/a-1/1", { severity: "high" }, 1]]);
    expect(world.workflows.signals.every(({ event }) => event.payload["input.severity"] === "high")).toBe(true);
  });

  it("is the same run when the same cause asks again, also after its end", async () => {
    await accounts("a-1");
    await world.publish(workspaceOf([planOf("rescue", { again: { kind: "always" } })]));
    const first = await byHand({ cause: "one" });
    await world.store.transaction((tx) => world.store.runs.end(tx, "run/rescue/a-1/a-1/1", "won", world.clock.now()));
    expect(await byHand({ cause: "one" })).toEqual(first);
    expect(await byHand({ cause: "two" })).toEqual({ kind: "enrolled", run: "run/rescue/a-1/a-1/2" });
  });

  it.each([
    ["never", { kind: "never" }, "refused"],
    ["per_key", { kind: "per_key" }, "refused"],
    ["always", { kind: "always" }, "enrolled"],
    ["after 90d, on day 89", { kind: "after", duration: { amount: 90, unit: "d" } }, "refused"],
    ["after 89d, on day 89", { kind: "after", duration: { amount: 89, unit: "d" } }, "enrolled"],
  ] as const)("again: %s", async (_, again, expected) => {
    await accounts("a-1");
    await world.publish(workspaceOf([planOf("rescue", { again })]));
    await byHand();
    await world.store.transaction((tx) =>
      world.store.runs.end(tx, "run/rescue/a-1/a-1/1", "won", at("2026-03-03T12:00Z")),
    );
    world.clock.moveTo(at("2026-05-31T12:00Z"));
    expect((await byHand()).kind).toBe(expected);
  });

  it("a trigger told belatedly, of a time when a run was live that is over now, makes no second one for that time", async () => {
    await accounts("a-1");
    await world.publish(workspaceOf([planOf("rescue", { again: { kind: "always" } })]));
    await byHand();
    const end = at("2026-03-03T12:00Z");
    await world.store.transaction((tx) => world.store.runs.end(tx, "run/rescue/a-1/a-1/1", "won", end));
    expect(await byHand({ at: end - 1 })).toMatchObject({ kind: "refused", reason: "again" });
    expect(await byHand({ at: end })).toMatchObject({ kind: "enrolled", run: "run/rescue/a-1/a-1/2" });
  });

  it("obeys `if`, and says what is missing", async () => {
    await upsertCustomers(world.ports, { accounts: [{ id: "a-1", fields: { is_test: true } }] }, { source: "import" });
    await world.publish(
      workspaceOf([
        planOf("rescue", { if: equals("account.is_test", false) }),
        planOf("personal", {}, { subject: "contact" }),
        planOf("keyed", { key: fact("contract.id") }),
      ]),
    );
    expect(await byHand()).toMatchObject({ kind: "refused", reason: "condition" });
    expect(await byHand({ playbook: "personal" })).toMatchObject({ kind: "refused", reason: "no_subject" });
    expect(await byHand({ playbook: "keyed" })).toMatchObject({ kind: "refused", reason: "no_key" });
    expect(await byHand({ playbook: "nothing" })).toMatchObject({ kind: "refused", reason: "unknown_playbook" });
    expect(await byHand({ playbook: "keyed", contractId: "k-1", inputs: { x: 1 } })).toMatchObject({
      kind: "refused",
      reason: "inputs",
    });
  });

  it("begins only with every input that has no default", async () => {
    await accounts("a-1");
    const inputs = { why: { type: "string" }, level: { type: "string", default: "low" } } as const;
    await world.publish(workspaceOf([planOf("rescue", {}, { inputs })]));
    const needed = {
      kind: "refused",
      reason: "inputs",
      message: 'playbook "rescue" needs the input "why", which has no default',
    };
    expect(await byHand()).toEqual(needed);
    expect(await byHand({ inputs: { level: "high" } })).toEqual(needed);
    expect(await byHand({ inputs: { why: "churn" } })).toMatchObject({ kind: "enrolled" });
    // One that is live is told what there is.
    expect(await byHand({ cause: "again", inputs: { level: "high" } })).toMatchObject({ kind: "triggered_again" });
  });

  it("begins held, unless the two pause each other and it has priority", async () => {
    await accounts("a-1");
    await world.publish(
      workspaceOf([
        planOf("qbr", {}),
        planOf("renewal", {}, { pauses: ["rescue"], priority: 80 }),
        planOf("rescue", {}, { pauses: ["qbr", "renewal"], priority: 70 }),
      ]),
    );
    await byHand({ playbook: "rescue" });
    await world.database
      .client`insert into holds values ('a-1', 'qbr', 'run/rescue/a-1/a-1/1', 'rescue', now()), ('a-1', 'renewal', 'run/rescue/a-1/a-1/1', 'rescue', now()), ('a-1', 'qbr', '', '', now())`;
    await byHand({ playbook: "qbr" });
    await byHand({ playbook: "renewal" });
    await world.settle();
    const held = (await world.runs()).map((run) => [
      run.playbook,
      run.status,
      world.workflows.started.get(run.id)?.start.holds,
    ]);
    expect(held.sort()).toEqual([
      ["qbr", "held", ["operator", "playbook:rescue"]],
      ["renewal", "starting", []],
      ["rescue", "starting", []],
    ]);
  });
});

describe("by trigger", () => {
  it("an event enrols the accounts that match, with key and inputs from it", async () => {
    await accounts("a-1", "a-2");
    await world.publish(
      workspaceOf([
        planOf(
          "rescue",
          {
            when: [{ kind: "event", event: "signal.raised", where: equals("event.severity", "high") }],
            if: equals("account.tier", "enterprise"),
            with: { severity: fact("event.severity") },
          },
          { inputs: { severity: { type: "string", default: "low" } } },
        ),
      ]),
    );
    const raise = (id: string, account: string, severity: string) => ({
      id,
      name: "signal.raised",
      account,
      at: world.clock.now(),
      payload: { severity },
    });
    await appendEvents(
      world.ports,
      [raise("1", "a-1", "low"), raise("2", "a-1", "high"), raise("3", "a-2", "low"), raise("4", "a-1", "high")],
      "http",
    );
    await world.settle();
    expect((await world.runs()).map((run) => [run.id, run.enrolledBy, run.inputs])).toEqual([
      ["run/rescue/a-1/a-1/1", "2", { severity: "high" }],
    ]);
    expect(world.workflows.signals.map(({ event }) => [event.name, event.payload])).toEqual([
      ["run.triggered_again", { "input.severity": "high" }],
    ]);
  });

  it("a hundred times an hour at most: playbooks that set each other off come to an end, and somebody is told", async () => {
    await accounts("a-1");
    const feeds = { again: { kind: "always" }, key: fact("event.id") } as const;
    await world.publish(
      workspaceOf([planOf("rescue", { ...feeds, when: [{ kind: "event", event: "signal.raised" }] })]),
    );
    const raised = (from: number, count: number) =>
      Array.from({ length: count }, (_, index) => ({
        id: `${from + index}`,
        name: "signal.raised",
        account: "a-1",
        at: world.clock.now(),
        payload: { severity: "high" },
      }));
    const faults: string[] = [];
    const ports = { ...world.ports, onFault: (_: string, error: unknown) => void faults.push(String(error)) };
    const settled = async () => {
      while ((await dispatchBatch(ports, 1000)) > 0);
    };
    await appendEvents(world.ports, raised(0, 102), "http");
    await settled();
    expect(await world.runs()).toHaveLength(100);
    const told =
      'Error: playbook "rescue" has begun 100 times for a-1 within an hour: do playbooks set each other off?';
    expect(faults).toEqual([told, told]);
    // `waypost doctor` shows it.
    const often = (since: number) => world.store.read((tx) => world.store.runs.oftenBegun(tx, since, 100));
    expect(await often(world.clock.now() - 86_400_000)).toEqual([
      { playbook: "rescue", accountId: "a-1", count: 100, at: world.clock.now() },
    ]);
    expect(await often(world.clock.now() + 1)).toEqual([]);
    // A person may.
    expect(await byHand({ contractId: "x", event: { id: "p", name: "x", at: 0, payload: {} } })).toMatchObject({
      kind: "enrolled",
    });
    world.clock.moveTo(world.clock.now() + 3_600_000);
    await appendEvents(world.ports, raised(200, 1), "http");
    await settled();
    expect(await world.runs()).toHaveLength(102);
  });

  it("an event that waited for its account enrols it when it arrives, from then on", async () => {
    await world.publish(
      workspaceOf([
        planOf("rescue", {
          when: [{ kind: "event", event: "signal.raised" }],
          if: equals("account.tier", "enterprise"),
        }),
      ]),
    );
    await appendEvents(
      world.ports,
      [{ id: "early", name: "signal.raised", account: "a-1", at: world.clock.now(), payload: {} }],
      "http",
    );
    await world.settle();
    world.clock.moveTo(at("2026-03-05T12:00Z"));
    await upsertCustomers(
      world.ports,
      { accounts: [{ id: "a-1", fields: { tier: "enterprise" } }] },
      { source: "import" },
    );
    await world.settle();
    expect((await world.runs()).map((run) => [run.id, run.enrolledBy, run.startedAt])).toEqual([
      ["run/rescue/a-1/a-1/1", "early", at("2026-03-05T12:00Z")],
    ]);
  });

  it("a contract's event gives the run its contract, and only that contract's events match it", async () => {
    await accounts("a-1");
    await upsertCustomers(
      world.ports,
      { contracts: ["k-1", "k-2"].map((id) => ({ id, accountId: "a-1", fields: { status: "active" } })) },
      { source: "import" },
    );
    const plan = planOf(
      "onboarding",
      { when: [{ kind: "event", event: "contract.signed" }], key: fact("contract.id") },
      { listens: { events: ["contract.renewed", "meeting.booked"], facts: [] } },
    );
    await world.publish(workspaceOf([plan]));
    const send = (id: string, name: string, payload: Record<string, string>, account?: string) =>
      appendEvents(world.ports, [{ id, name, at: world.clock.now(), account, payload }], "http");
    await send("s", "contract.signed", { contract_id: "k-1" });
    await world.settle();
    await send("r1", "contract.renewed", { contract_id: "k-1" });
    await send("r2", "contract.renewed", { contract_id: "k-2" });
    await send("b", "meeting.booked", {}, "a-1");
    await world.settle();
    const [run] = await world.runs();
    expect(run).toMatchObject({ id: "run/onboarding/a-1/k-1/1", contractId: "k-1", key: "k-1" });
    expect(world.workflows.signals.map(({ event }) => event.id)).toEqual(["r1", "b"]);
    const undelivered = await world.store.read((tx) =>
      world.store.events.undelivered(
        tx,
        {
          runId: run?.id as string,
          accountId: "a-1",
          contractId: "k-1",
          startedAt: run?.startedAt as number,
          enrolledBy: "s",
          listens: plan.listens,
        },
        world.clock.now(),
      ),
    );
    expect(undelivered.map((event) => event.id)).toEqual(["r1", "b"]);
    await world.store.transaction((tx) =>
      world.store.runs.record(tx, run?.id as string, { status: "running", position: [], entries: [], confirm: ["r1"] }),
    );
  });

  it("a playbook about contacts enrols the contact of the event, or all of the account", async () => {
    await accounts("a-1");
    await upsertCustomers(
      world.ports,
      { contacts: ["p-1", "p-2"].map((id) => ({ id, accountId: "a-1", fields: {} })) },
      { source: "import" },
    );
    await world.publish(
      workspaceOf([
        planOf("tips", { when: [{ kind: "event", event: "user.logged_in" }] }, { subject: "contact" }),
        planOf("news", { when: [{ kind: "event", event: "meeting.booked" }] }, { subject: "contact" }),
      ]),
    );
    await appendEvents(
      world.ports,
      [
        { id: "1", name: "user.logged_in", contact: "p-1", at: world.clock.now(), payload: {} },
        { id: "2", name: "meeting.booked", account: "a-1", at: world.clock.now(), payload: {} },
      ],
      "http",
    );
    await world.settle();
    expect((await world.runs()).map((run) => run.id).sort()).toEqual([
      "run/news/p-1/p-1/1",
      "run/news/p-2/p-2/1",
      "run/tips/p-1/p-1/1",
    ]);
  });

  it("entering and leaving a segment enrols; being in it when it is published does not", async () => {
    await accounts("a-1", "a-2");
    const segments = { stars: { title: "Stars", if: equals("account.stage", "adoption") } };
    await upsertCustomers(
      world.ports,
      { accounts: [{ id: "a-1", fields: { stage: "adoption" } }] },
      { source: "import" },
    );
    await world.settle();
    await world.publish(
      workspaceOf(
        [
          planOf("joined", { when: [{ kind: "enters", segment: "stars" }] }),
          planOf("dropped", { when: [{ kind: "leaves", segment: "stars" }] }),
        ],
        segments,
      ),
    );
    await world.settle();
    expect(await world.runs()).toEqual([]);
    expect(await world.store.facts.read({ accountId: "a-1" }, ["segment.stars"], world.clock.now())).toEqual({
      "segment.stars": true,
    });
    await upsertCustomers(
      world.ports,
      {
        accounts: [
          { id: "a-2", fields: { stage: "adoption" } },
          { id: "a-1", fields: { stage: "churned" } },
        ],
      },
      { source: "import" },
    );
    await world.settle();
    expect((await world.runs()).map((run) => run.id).sort()).toEqual(["run/dropped/a-1/a-1/1", "run/joined/a-2/a-2/1"]);
  });

  it("a change of health enrols only when its cause is data", async () => {
    await accounts("a-1", "a-2");
    await world.publish(workspaceOf([planOf("rescue", { when: [{ kind: "health", becomes: "red" }] })]));
    await world.store.transaction(async (tx) => {
      await world.store.lockAccounts(tx, ["a-1", "a-2"]);
      const changed = (id: string, accountId: string, cause: string) => ({
        id,
        name: "health.changed",
        at: world.clock.now(),
        accountId,
        payload: { from: "green", to: "red", cause },
        source: "sweep",
      });
      await world.store.events.append(
        tx,
        [changed("1", "a-1", "model"), changed("2", "a-2", "data")],
        world.clock.now(),
      );
    });
    await world.settle();
    expect((await world.runs()).map((run) => run.id)).toEqual(["run/rescue/a-2/a-2/1"]);
  });
});
