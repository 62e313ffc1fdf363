import { describe, expect, test } from "vitest";
import type { Enroll, Plan } from "../../src/engine/plan.js";
import type { FactValue } from "../../src/expression/expression.js";
import type { Scenario, Scripted } from "../../src/simulation/records.js";
import { type SimulationSetting, simulate } from "../../src/simulation/simulate.js";
import { end, fact, is, model, planFrom, scenarioOf, settingOf, slack, span, wait } from "../engine/plans.js";
import { at, short } from "../engine/rehearse.js";

const MANUAL: Enroll = { when: [{ kind: "manual" }], again: { kind: "always" }, merge: {}, with: {} };

const enrolling = (more: Partial<Enroll>, plan: Partial<Plan> = {}): Plan =>
  planFrom([slack("hello"), end("done")], { enroll: { ...MANUAL, ...more }, ...plan });

const told = (name: string, when: string, more: Partial<Extract<Scripted, { kind: "event" }>> = {}): Scripted => ({
  kind: "event",
  id: `${name}/${when}`,
  at: at(when),
  name,
  accountId: "a1",
  payload: {},
  ...more,
});

const given = scenarioOf().given;
const withContracts = (endDate: string | null): Scenario["given"] => ({
  ...given,
  contracts: [
    { id: "k1", accountId: "a1", fields: { status: "active", end_date: endDate } },
    { id: "k2", accountId: "a1", fields: { status: "active", end_date: "2026-09-01" } },
  ],
});
const changed = (when: string, rows: Scenario["given"]): Scripted => ({
  kind: "upsert",
  id: `change/${when}`,
  at: at(when),
  rows,
});

/** `RUN at INSTANT (OUTCOME)` of each run. */
async function started(
  plans: Plan | readonly Plan[],
  scenario: Partial<Scenario>,
  setting: Partial<SimulationSetting> = {},
): Promise<string[]> {
  const all = Array.isArray(plans) ? (plans as readonly Plan[]) : [plans as Plan];
  const runs = await simulate({ ...settingOf(...all), ...setting }, { ...scenarioOf({ enrolments: [] }), ...scenario });
  return runs.map(({ run, entries }) => `${run.replace(/^run\//, "")} at ${short(entries[0]?.at ?? 0)}`);
}

describe("days before a date", () => {
  const before = (path: string, by = "30d", more: Partial<Plan> = {}): Plan =>
    enrolling({ when: [{ kind: "before", date: fact(path), by: span(by) }] }, more);

  test("a run for each contract, in the account's zone at the house's hour", async () => {
    const plan = before("contract.end_date");
    const keyed = { ...plan, enroll: { ...plan.enroll, key: fact("contract.id") } };
    expect(await started(keyed, { given: withContracts("2026-06-30") })).toEqual([
      "p/a1/k1/1 at 2026-05-31 07:00",
      "p/a1/k2/1 at 2026-08-02 07:00",
    ]);
  });

  test("a date that moves takes its run along; one that is gone, or past, starts nobody", async () => {
    const move = (when: string, endDate: string | null) =>
      changed(when, { contracts: [{ id: "k1", accountId: "a1", fields: { end_date: endDate } }] });
    const runs = (script: Scripted[]) =>
      started(
        before("contract.end_date"),
        {
          given: withContracts("2026-06-30"),
          script,
          until: at("2026-07-31"),
        },
        { model: { ...model, contract: { end_date: { type: "date" } } } },
      );
    expect(await runs([move("2026-04-01", "2026-07-10")])).toEqual(["p/a1/a1/1 at 2026-06-10 07:00"]);
    expect(await runs([move("2026-04-01", null)])).toEqual([]);
    expect(await runs([move("2026-05-01", "2026-04-01")])).toEqual([]);
    // Nearer than thirty days: at once.
    expect(await runs([move("2026-04-01", "2026-04-10")])).toEqual(["p/a1/a1/1 at 2026-04-01 00:00"]);
    // Once per date.
    expect(await runs([changed("2026-06-15", { accounts: [{ id: "a1", fields: { name: "New" } }] })])).toEqual([
      "p/a1/a1/1 at 2026-05-31 07:00",
    ]);
  });

  test("of an account's date, of a contact's, of a computed one, of none", async () => {
    const dated = {
      ...given,
      accounts: [{ id: "a1", fields: { live_date: "2026-06-30", live_at: "2026-06-30T12:00:00Z" } }],
    };
    const model = {
      ...settingOf().model,
      account: { live_date: { type: "date" }, live_at: { type: "datetime" } },
    } as const;
    const run = (plan: Plan) => started(plan, { given: dated }, { model });
    expect(await run(before("account.live_date", "0d"))).toEqual(["p/a1/a1/1 at 2026-06-30 09:00"]);
    expect(await run(before("account.live_at", "1d"))).toEqual(["p/a1/a1/1 at 2026-06-29 12:00"]);
    expect(await run(before("account.live_at", "1d", { subject: "contact" }))).toEqual([
      "p/c1/c1/1 at 2026-06-29 12:00",
    ]);
    expect(await run(before("account.none"))).toEqual([]);
    const later = {
      op: "+",
      left: fact("account.live_at"),
      right: { op: "literal", value: 86_400_000 },
    } as const;
    const computed = enrolling({ when: [{ kind: "before", date: later, by: span("2d") }] });
    expect(await run(computed)).toEqual(["p/a1/a1/1 at 2026-06-29 12:00"]);
    const absent = { ...later, left: fact("account.none") };
    expect(await run(enrolling({ when: [{ kind: "before", date: absent, by: span("2d") }] }))).toEqual([]);
  });
});

test("who enters or leaves a segment; who is in it from the beginning has not entered", async () => {
  const segments = { big: { if: is("account.arr", 100, ">="), title: "Big" } };
  const arr = (when: string, value: number) => changed(when, { accounts: [{ id: "a1", fields: { arr: value } }] });
  const script = [arr("2026-04-01", 200), arr("2026-04-02", 300), arr("2026-05-01", 50), arr("2026-06-01", 100)];
  const runs = (kind: "enters" | "leaves", more: Partial<Scenario> = {}) =>
    started(enrolling({ when: [{ kind, segment: "big" }] }), { script, ...more }, { segments });
  expect(await runs("enters")).toEqual(["p/a1/a1/1 at 2026-04-01 00:00", "p/a1/a1/2 at 2026-06-01 00:00"]);
  expect(await runs("leaves")).toEqual(["p/a1/a1/1 at 2026-05-01 00:00"]);
  const big = { ...given, accounts: [{ id: "a1", fields: { arr: 150 } }] };
  expect(await runs("enters", { given: big })).toEqual(["p/a1/a1/1 at 2026-06-01 00:00"]);
  const other = enrolling({ when: [{ kind: "enters", segment: "small" }] });
  expect(await started(other, { script }, { segments })).toEqual([]);
});

test("a health trigger hears a change to its status that data made, and no other", async () => {
  const plan = enrolling({ when: [{ kind: "health", becomes: "red" }] });
  const change = (when: string, to: string, cause: string) => told("health.changed", when, { payload: { to, cause } });
  const script = [
    change("2026-04-01", "yellow", "data"),
    change("2026-04-02", "red", "override"),
    change("2026-04-03", "red", "data"),
  ];
  expect(await started(plan, { script })).toEqual(["p/a1/a1/1 at 2026-04-03 00:00"]);
});

describe("an event", () => {
  const signed = (where?: ReturnType<typeof is>, plan: Partial<Plan> = {}, more: Partial<Enroll> = {}) =>
    enrolling(
      {
        when: [{ kind: "event", event: "deal.signed", ...(where === undefined ? {} : { where }) }, { kind: "manual" }],
        ...more,
      },
      plan,
    );

  test("enrols the account it is about, if its `where` holds", async () => {
    const script = [told("deal.signed", "2026-04-01", { payload: { amount: 5 } }), told("deal.lost", "2026-04-02")];
    expect(await started(signed(), { script })).toEqual(["p/a1/a1/1 at 2026-04-01 00:00"]);
    expect(await started(signed(is("event.amount", 5)), { script })).toEqual(["p/a1/a1/1 at 2026-04-01 00:00"]);
    expect(await started(signed(is("event.amount", 6)), { script })).toEqual([]);
    const when = is("event.at", at("2026-04-01"), "<=");
    expect(await started(signed(when), { script })).toEqual(["p/a1/a1/1 at 2026-04-01 00:00"]);
    expect(await started(signed(is("event.id", "deal.signed/2026-04-01")), { script })).toHaveLength(1);
    expect(await started(signed(is("event.name", "deal.lost")), { script })).toEqual([]);
    expect(await started(signed(is("now", at("2026-04-01"))), { script })).toHaveLength(1);
  });

  test("enrols its contact, or everyone active of the account", async () => {
    const people = {
      ...given,
      contacts: [
        { id: "c1", accountId: "a1", fields: {} },
        { id: "c2", accountId: "a1", fields: {} },
        { id: "c3", accountId: "a1", fields: { is_active: false } },
      ],
    };
    const plan = signed(undefined, { subject: "contact" });
    expect(
      await started(plan, { given: people, script: [told("deal.signed", "2026-04-01", { contactId: "c2" })] }),
    ).toEqual(["p/c2/c2/1 at 2026-04-01 00:00"]);
    expect(await started(plan, { given: people, script: [told("deal.signed", "2026-04-01")] })).toEqual([
      "p/c1/c1/1 at 2026-04-01 00:00",
      "p/c2/c2/1 at 2026-04-01 00:00",
    ]);
  });

  test("is keyed, given inputs, or refused", async () => {
    const script = [told("deal.signed", "2026-04-01", { payload: { year: 2026, tags: ["a"] } })];
    const keyed = (path: string) => started(signed(undefined, {}, { key: fact(path) }), { script });
    expect(await keyed("event.year")).toEqual(["p/a1/2026/1 at 2026-04-01 00:00"]);
    expect(await keyed("event.none")).toEqual([]);
    expect(await keyed("event.tags")).toEqual([]);
    const inputs = {
      year: { type: "number" },
      note: { type: "string", default: "" },
      days: { type: "number", default: 7 },
    } as const;
    const withYear = (path: string) =>
      started(signed(undefined, { inputs }, { with: { year: fact(path) } }), { script });
    expect(await withYear("event.year")).toHaveLength(1);
    expect(await withYear("event.none")).toEqual([]);
    expect(await withYear("event.name")).toEqual([]);
    expect(await started(signed(undefined, {}, { if: is("account.name", "Other") }), { script })).toEqual([]);
  });

  test("before its account was known: the run begins with the account", async () => {
    const late = { ...given, accounts: [{ id: "a1", fields: {}, at: at("2026-04-05") }] };
    expect(await started(signed(), { given: late, script: [told("deal.signed", "2026-04-01")] })).toEqual([
      "p/a1/a1/1 at 2026-04-05 00:00",
    ]);
  });

  test("that comes again reaches the live run", async () => {
    const plan = planFrom([wait("w", "30d"), end("done")], {
      enroll: { ...MANUAL, when: [{ kind: "event", event: "deal.signed" }], with: { level: fact("event.level") } },
      inputs: { level: { type: "string" } },
    });
    const script = ["2026-04-01", "2026-04-02"].map((when) => told("deal.signed", when, { payload: { level: when } }));
    const [run] = await simulate(settingOf(plan), { ...scenarioOf({ enrolments: [] }), script });
    expect(run?.entries.map(({ kind }) => kind)).toContain("run.triggered_again");
  });
});

test("triggers begin it a hundred times an hour at most, as in a real run", async () => {
  const plan = enrolling({ when: [{ kind: "event", event: "deal.signed" }], key: fact("event.id") });
  const script = [...Array(102).keys()].map((n) => told("deal.signed", "2026-04-01", { id: `e${n}` }));
  const later = told("deal.signed", "2026-04-01T01:00", { id: "later" });
  const runs = await started(plan, { script: [...script, later] });
  expect(runs).toHaveLength(101);
  expect(runs.slice(-2)).toEqual(["p/a1/e99/1 at 2026-04-01 00:00", "p/a1/later/1 at 2026-04-01 01:00"]);
});

test("two that play the same at one instant both reach its live run", async () => {
  const play = (playbook: string): Plan =>
    planFrom([{ kind: "play", id: "go", path: "go", playbook: "rescue", with: {} }, end("done")], {
      playbook,
      enroll: { ...MANUAL, when: [{ kind: "event", event: "deal.signed" }] },
    });
  const rescue = planFrom([wait("w", "30d"), end("done")], { playbook: "rescue", enroll: MANUAL });
  const runs = await simulate(settingOf(rescue, play("a"), play("b"), play("c")), {
    ...scenarioOf({ enrolments: [] }),
    script: [told("deal.signed", "2026-04-01")],
  });
  const [rescued] = runs.filter(({ playbook }) => playbook === "rescue");
  expect(rescued?.entries.filter(({ kind }) => kind === "run.triggered_again")).toHaveLength(2);
});

describe("enrolled by hand", () => {
  const enrolments = (
    ...days: readonly (readonly [string, (Readonly<Record<string, FactValue>> | undefined)?, string?])[]
  ) =>
    days.map(([when, inputs, contactId]) => ({
      at: at(when),
      playbook: "p",
      accountId: "a1",
      ...(inputs === undefined ? {} : { inputs }),
      ...(contactId === undefined ? {} : { contactId }),
    }));
  const days = enrolments(["2026-04-01"], ["2026-04-03"], ["2026-04-20"]);

  test.each<[string, Enroll["again"], string[]]>([
    ["always", { kind: "always" }, ["1 at 2026-04-01", "2 at 2026-04-03", "3 at 2026-04-20"]],
    ["never", { kind: "never" }, ["1 at 2026-04-01"]],
    ["once per key", { kind: "per_key" }, ["1 at 2026-04-01"]],
    ["a week later", { kind: "after", duration: { amount: 7, unit: "d" } }, ["1 at 2026-04-01", "2 at 2026-04-20"]],
  ])("again %s", async (_name, again, expected) => {
    const runs = await started(enrolling({ again }), { enrolments: days });
    expect(runs.map((run) => run.replace("p/a1/a1/", "").slice(0, 15))).toEqual(expected);
  });

  test("an input that the playbook doesn't have", async () => {
    const inputs = { level: { type: "string", default: "low" } } as const;
    const wrong = enrolments(["2026-04-01", { levle: "high" }], ["2026-04-02", { level: "high" }]);
    expect(await started(enrolling({}, { inputs }), { enrolments: wrong })).toEqual(["p/a1/a1/1 at 2026-04-02 00:00"]);
  });

  test("a playbook that nobody knows, a contact's without one, inputs of another type", async () => {
    const unknown = { ...enrolling({}), playbook: "q" };
    expect(await started(unknown, { enrolments: days })).toEqual([]);
    expect(await started(enrolling({}, { subject: "contact" }), { enrolments: days })).toEqual([]);
    expect(
      await started(enrolling({}, { subject: "contact" }), { enrolments: enrolments(["2026-04-01", {}, "c1"]) }),
    ).toEqual(["p/c1/c1/1 at 2026-04-01 00:00"]);
    const inputs = { level: { type: "string" } } as const;
    const leveled = enrolments(["2026-04-01", { level: 5 }], ["2026-04-02", { level: "high" }]);
    expect(await started(enrolling({}, { inputs }), { enrolments: leveled })).toEqual([
      "p/a1/a1/1 at 2026-04-02 00:00",
    ]);
  });
});

test("a step of a kind that this build doesn't know is a fault, not a circle", async () => {
  const plan = planFrom([], { steps: [{ kind: "nonsense", path: "x", id: "x" } as never] });
  await expect(simulate(settingOf(plan), scenarioOf())).rejects.toThrow("this build knows no step of kind nonsense");
});
