import { describe, expect, test } from "vitest";
import type { Model } from "../../src/customers/model.js";
import type { Command, CommandBody } from "../../src/engine/command.js";
import type { PersonRule } from "../../src/engine/plan.js";
import type { FactValue } from "../../src/expression/expression.js";
import type { Given } from "../../src/simulation/records.js";
import type { SimulatedRun } from "../../src/simulation/world.js";
import { STANDARD_CALENDAR } from "../../src/values/calendar.js";
import { type TimeRule, parseTimeRule } from "../../src/values/time-rule.js";
import { fact, planFrom, policy, scenarioOf, span } from "../engine/plans.js";
import { at, short } from "../engine/rehearse.js";
import { job, mail, stage } from "./stage.js";

const given = scenarioOf().given;
const [account] = given.accounts ?? [];
const [contact] = given.contacts ?? [];
const withAccount = (fields: Record<string, string | number | boolean | null>): Given => ({
  ...given,
  accounts: [{ id: "a1", fields: { ...account?.fields, ...fields } }],
});
const withContact = (fields: Record<string, string | number | boolean | null>): Given => ({
  ...given,
  contacts: [{ id: "c1", accountId: "a1", fields: { ...contact?.fields, ...fields } }],
});
const withContract: Given = { ...given, contracts: [{ id: "k1", accountId: "a1", fields: { status: "active" } }] };

describe("set", () => {
  const model: Partial<Model> = {
    account: {
      stage: { type: "string" },
      is_key: { type: "boolean" },
      live_on: { type: "date" },
      live_at: { type: "datetime" },
    },
    contact: { title: { type: "string" } },
    contract: { arr: { type: "number" } },
  };
  const noon = at("2026-04-01T23:30");

  test.each<[string, FactValue | null, Partial<SimulatedRun>, string, FactValue | undefined]>([
    ["account.stage", "live", {}, "(account.stage)", "live"],
    ["account.is_key", true, {}, "(account.is_key)", true],
    ["account.stage", null, {}, "", undefined],
    // The day in the account's zone: in Warsaw it is the second by then.
    ["account.live_on", noon, {}, "(account.live_on)", at("2026-04-01T22:00")],
    ["account.live_at", noon, {}, "(account.live_at)", noon],
    ["contact.title", "CEO", { contactId: "c1" }, "of c1 (contact.title)", "CEO"],
    ["contract.arr", 5, {}, "of k1 (contract.arr)", 5],
  ])("%s to %j", (field, value, more, changed, expected) => {
    const { begin, act, told, customers } = stage({ model, given: withContract });
    const run = begin(planFrom([]), more);
    expect(act(run, { kind: "set", field, value })).toEqual({ kind: "done", at: at("2026-03-02T10:00") });
    expect(told()).toEqual(changed === "" ? [] : [`2026-03-02 10:00 facts.changed ${changed}`]);
    const facts = customers.read({ accountId: "a1", contactId: "c1" }, [field], at("2026-05-01"));
    expect(facts[field]).toBe(expected);
  });

  test("clears what was there", () => {
    const { begin, act, told } = stage({ model, given: withAccount({ stage: "live" }) });
    act(begin(), { kind: "set", field: "account.stage", value: null });
    expect(told()).toEqual(["2026-03-02 10:00 facts.changed (account.stage)"]);
  });

  test.each([
    ["contact.title", "the run has no contact"],
    ["contract.arr", "the run has no contract"],
    ["segment.x", "the run has no segment"],
  ])("fails where there is none: %s", (field, reason) => {
    const { begin, act } = stage({ model });
    expect(act(begin(), { kind: "set", field, value: 1 })).toEqual({
      kind: "failed",
      at: at("2026-03-02T10:00"),
      reason: `${field}: ${reason}`,
    });
  });

  test("takes no list", () => {
    const { begin, act } = stage({ model });
    expect(() => act(begin(), { kind: "set", field: "account.stage", value: ["a"] })).toThrow(
      "a list can't be a field's value",
    );
  });
});

describe("milestone", () => {
  const model: Partial<Model> = {
    milestones: { live: { of: "account", title: "L" }, trained: { of: "contact", title: "T" } },
  };
  test("of the account, of the run's contact, of nobody", () => {
    const { begin, act, told } = stage({ model });
    const own = begin();
    const personal = begin(planFrom([], { subject: "contact" }), { contactId: "c1" });
    act(own, { kind: "milestone", milestone: "live" });
    act(personal, { kind: "milestone", milestone: "trained" });
    expect(told()).toEqual([
      "2026-03-02 10:00 milestone.reached milestone=live (milestone.live)",
      "2026-03-02 10:00 milestone.reached of c1 milestone=trained (milestone.trained)",
    ]);
    expect(act(own, { kind: "milestone", milestone: "trained" }, "2026-03-02T10:00", { key: "other" })).toEqual({
      kind: "failed",
      at: at("2026-03-02T10:00"),
      reason: "milestone trained is a contact's, and the run is about an account",
    });
  });
});

describe("a mail", () => {
  /** `RESULT REASON UNTIL to CONTACT in LOCALE` of each, or what became of the whole. */
  const fate = (outcome: ReturnType<ReturnType<typeof stage>["act"]>): string[] => {
    if (outcome.kind !== "emailed" && outcome.kind !== "deferred") return [outcome.kind];
    const deliveries = outcome.deliveries.map((one) =>
      [
        one.result,
        one.reason,
        one.until === undefined ? undefined : short(one.until),
        `to ${one.contact} in ${one.locale}`,
      ]
        .filter((part) => part !== undefined)
        .join(" "),
    );
    return outcome.kind === "emailed"
      ? deliveries
      : [...deliveries, `until ${short(outcome.until)}, at most ${short(outcome.staleAt)}: ${outcome.reason}`];
  };

  test.each<[string, Given, Parameters<typeof mail>[0], string[]]>([
    ["goes", given, {}, ["sent to c1 in pl"]],
    [
      "goes out of a closed window",
      given,
      { send: parseTimeRule("14:00") as TimeRule },
      [
        "deferred outside_window 2026-03-02 13:00 to c1 in pl",
        "until 2026-03-02 13:00, at most 2026-03-05 10:00: outside_window",
      ],
    ],
    ["is left out without an address", withContact({ email: null }), {}, ["skipped no_address to c1 in pl"]],
    ["is left out for a test account", withAccount({ is_test: true }), {}, ["skipped test_account to c1 in pl"]],
    ["is left out after an exit", given, { exiting: true }, ["skipped not_service_after_exit to c1 in pl"]],
    ["goes after an exit if it is service", given, { exiting: true, category: "service" }, ["sent to c1 in pl"]],
    ["goes under an unknown category", given, { category: "none" }, ["sent to c1 in pl"]],
    ["in the account's language", withBoth({ locale: null }, { locale: "pl" }), {}, ["sent to c1 in pl"]],
    ["in the house's language", withBoth({ locale: null }, {}), {}, ["sent to c1 in en"]],
    [
      "in the contact's own zone",
      withContact({ timezone: "Asia/Tokyo" }),
      { send: { kind: "working_hours" } },
      [
        "deferred outside_window 2026-03-03 00:00 to c1 in pl",
        "until 2026-03-03 00:00, at most 2026-03-06 00:00: outside_window",
      ],
    ],
    ["is too late", given, { since: at("2026-02-20T10:00") }, ["skipped stale to c1 in pl"]],
    ["may have longer", given, { since: at("2026-02-20T10:00"), sendWithin: span("30 d") }, ["sent to c1 in pl"]],
    ["has nobody to go to", given, { to: { kind: "role", role: "sponsor" } }, []],
    ["has nobody of all to go to", given, { to: { kind: "each", role: "sponsor" } }, []],
    ["has no subject to go to", given, { to: { kind: "subject" } }, []],
  ])("%s", (_name, rows, more, expected) => {
    const { begin, act } = stage({ given: rows });
    expect(fate(act(begin(), mail(more)))).toEqual(expected);
  });

  function withBoth(fields: Parameters<typeof withContact>[0], more: Parameters<typeof withAccount>[0]): Given {
    return { ...withContact(fields), accounts: withAccount(more).accounts ?? [] };
  }

  const three: Given = {
    ...given,
    contacts: ["c1", "c2", "c3"].map((id) => ({
      id,
      accountId: "a1",
      fields: {
        email: `${id}@acme.example`,
        role: "champion",
        locale: "en",
        timezone: id === "c2" ? "Asia/Tokyo" : "Europe/Warsaw",
      },
    })),
  };

  test("to everyone of a role: each in their own time, and the next one says when", () => {
    const { begin, act } = stage({ given: three });
    const run = begin();
    const all = mail({ to: { kind: "each", role: "champion" }, send: { kind: "working_hours" } });
    expect(fate(act(run, all))).toEqual([
      "sent to c1 in en",
      "deferred outside_window 2026-03-03 00:00 to c2 in en",
      "sent to c3 in en",
      "until 2026-03-03 00:00, at most 2026-03-06 00:00: outside_window",
    ]);
    expect(fate(act(run, all, "2026-03-03T00:00"))).toEqual([
      "sent to c1 in en",
      "sent to c2 in en",
      "sent to c3 in en",
    ]);
  });

  test("of several that wait, the earliest counts", () => {
    const { begin, act } = stage({ given: three });
    const all = mail({ to: { kind: "each", role: "champion" }, send: parseTimeRule("14:00") as TimeRule });
    expect(fate(act(begin(), all)).at(-1)).toBe("until 2026-03-02 13:00, at most 2026-03-06 00:00: outside_window");
  });

  test("to the run's own contact", () => {
    const { begin, act } = stage({ given: three });
    const run = begin(planFrom([], { subject: "contact" }), { contactId: "c3" });
    expect(fate(act(run, mail({ to: { kind: "subject" } })))).toEqual(["sent to c3 in en"]);
  });

  test("that waits is left out once its contact is gone, or it is withdrawn; the one of another run stays", () => {
    const { begin, act, tell } = stage();
    const [one, two] = [begin(), begin()];
    const later = mail({ send: parseTimeRule("14:00") as TimeRule });
    act(one, later);
    act(two, later);
    act(one, { kind: "email_withdraw", email: "s", reason: "withdrawn" }, "2026-03-02T10:30", { key: "w" });
    expect(fate(act(one, later, "2026-03-02T13:00"))).toEqual(["deferred outside_window 2026-03-02 13:00 to c1 in pl"]);
    tell("contact.left", "2026-03-02T12:00", { contactId: "c1" });
    expect(fate(act(two, later, "2026-03-02T13:00"))).toEqual(["skipped contact_gone to c1 in pl"]);
  });

  test("keeps the cap of all its person's mail; uncapped ones don't count", () => {
    const { begin, act } = stage();
    const run = begin();
    const send = (key: string, category: string) => fate(act(run, mail({ category }), "2026-03-02T10:00", { key }));
    expect(send("1", "service")).toEqual(["sent to c1 in pl"]);
    expect(send("2", "onboarding")).toEqual(["sent to c1 in pl"]);
    expect(send("3", "onboarding")).toEqual(["sent to c1 in pl"]);
    expect(send("4", "onboarding")).toEqual(["sent to c1 in pl"]);
    expect(send("5", "service")).toEqual(["sent to c1 in pl"]);
    expect(send("6", "onboarding")[0]).toBe("deferred capped 2026-03-09 10:00 to c1 in pl");
  });

  test("keeps a cap of calendar units as a real run does: a month is as long as the one that begins", () => {
    const monthly = { ...policy, email: { ...policy.email, cap: { messages: 1, per: span("1 mo") } } };
    const { begin, act } = stage({ policy: monthly });
    const run = begin();
    const send = (key: string, when: string) => fate(act(run, mail({ since: at(when) }), when, { key }))[0];
    expect(send("1", "2026-03-02T10:00")).toBe("sent to c1 in pl");
    expect(send("2", "2026-04-01T12:00")).toBe("sent to c1 in pl");
    expect(send("3", "2026-05-01T12:00")).toBe("deferred capped 2026-05-02 12:00 to c1 in pl");
  });

  test("without anybody to go to asks the CSM to find somebody, once", () => {
    const { begin, act, told, customers } = stage();
    const run = begin(planFrom([], { listens: { events: [], facts: ["tasks.open"] } }));
    const nobody = mail({ to: { kind: "role", role: "sponsor" } });
    act(run, nobody);
    act(run, nobody);
    expect([...customers.tasks.keys()]).toEqual(["r1|s|no_contact"]);
    expect(told()).toEqual(["2026-03-02 10:00 facts.changed of r1 (tasks.open tasks.required_open)"]);
  });

  test("without anybody and without a CSM: nobody's task", () => {
    const { begin, act, customers } = stage({ given: withAccount({ csm: null }) });
    act(begin(), mail({ to: { kind: "role", role: "sponsor" } }), "2026-03-02T10:00", {});
    expect(customers.tasks.get("r1|s|no_contact")).toEqual({
      runId: "r1",
      required: false,
      openedAt: at("2026-03-02T10:00"),
    });
  });
});

describe("people", () => {
  const people: Given = {
    ...given,
    users: [
      ...(given.users ?? []),
      { id: "u3", name: "Cy", email: "cy@w.example", timezone: "Asia/Tokyo", calendar: "short" },
    ],
    accounts: [{ id: "a1", fields: { ...account?.fields }, roles: { sales: "u3" } }],
  };
  const calendars = [
    { ...STANDARD_CALENDAR, name: "standard" },
    { ...STANDARD_CALENDAR, name: "short", holidays: ["2026-03-03"] },
  ];
  const csmless: Given = { ...people, accounts: [{ id: "a1", fields: { timezone: "Europe/Warsaw" } }] };

  test.each<[string, Given, PersonRule, string, string | null]>([
    ["the CSM", people, { kind: "csm" }, "u1", "u1"],
    ["the manager", people, { kind: "manager" }, "u2", "u2"],
    ["a role", people, { kind: "role", role: "sales" }, "u3", "u3"],
    ["a role that nobody has: the CSM", people, { kind: "role", role: "legal" }, "u1", "u1"],
    ["a pool: a queue", people, { kind: "pool", pool: "desk" }, "#u", null],
    ["a channel: whom else but the fallback", people, { kind: "channel", channel: "#cs" }, "#cs", "u2"],
    ["no CSM: nobody", csmless, { kind: "csm" }, "#u", null],
    ["no CSM, no manager", csmless, { kind: "manager" }, "#u", null],
  ])("%s", (_name, rows, rule, posted, assignee) => {
    const { begin, act } = stage({ given: rows, calendars });
    const run = begin();
    expect(act(run, { kind: "slack", to: rule, text: "x", actions: [], scope: {} })).toMatchObject({ to: posted });
    expect(act(run, job({ for: rule }), "2026-03-02T10:00", { key: "t" })).toMatchObject({ assignee });
  });

  test.each<[string, Given, PersonRule, string]>([
    ["Warsaw's CSM", people, { kind: "csm" }, "2026-03-03 10:00"],
    ["Tokyo's, with a holiday", people, { kind: "role", role: "sales" }, "2026-03-05 00:00"],
    ["a queue has the account's time", people, { kind: "pool", pool: "desk" }, "2026-03-03 10:00"],
  ])("a task is due in the working time of who has it: %s", (_name, rows, rule, due) => {
    const { begin, act } = stage({ given: rows, calendars });
    const outcome = act(begin(), job({ for: rule }));
    expect(outcome.kind === "task_opened" && short(outcome.due)).toBe(due);
  });
});

describe("calendars", () => {
  const holiday = (name: string, ...holidays: string[]) => ({ ...STANDARD_CALENDAR, name, holidays });
  const calendars = [
    holiday("standard"),
    holiday("pl", "2026-03-03"),
    holiday("own", "2026-03-03", "2026-03-04"),
    holiday("csm-cal", "2026-03-03", "2026-03-04", "2026-03-05"),
  ];
  const users = [{ id: "u1", name: "Ann", email: "ann@w.example", timezone: "UTC", calendar: "csm-cal" }];
  const rows = (fields: Parameters<typeof withAccount>[0]): Given => ({ ...withAccount(fields), users });
  const rule = parseTimeRule("1 bd") as TimeRule;
  const inTwo: CommandBody = { kind: "resolve", rule, from: at("2026-03-02T10:00") };
  const dueIn = (which: string, fields: Parameters<typeof withAccount>[0], all = calendars): string => {
    const { begin, act } = stage({ given: rows(fields), calendars: all });
    const outcome = act(begin(planFrom([], { calendar: which })), inTwo);
    return outcome.kind === "resolved" ? short(outcome.at ?? 0) : outcome.kind;
  };

  test.each<[string, Parameters<typeof withAccount>[0], string]>([
    ["customer", {}, "2026-03-03 10:00"],
    ["customer", { country: "PL" }, "2026-03-04 10:00"],
    ["customer", { country: "PL", calendar: "own" }, "2026-03-05 10:00"],
    ["customer", { calendar: "unknown" }, "2026-03-03 10:00"],
    ["", { country: "PL" }, "2026-03-04 10:00"],
    ["csm", { country: "PL" }, "2026-03-06 10:00"],
    ["csm", { country: "PL", csm: null }, "2026-03-04 10:00"],
    ["csm", { country: "PL", csm: "ghost" }, "2026-03-04 10:00"],
    ["own", {}, "2026-03-05 10:00"],
    ["unknown", {}, "2026-03-03 10:00"],
  ])("%s %j", (which, fields, expected) => {
    expect(dueIn(which, fields)).toBe(expected);
  });

  test("of none at all, Monday to Friday; of no account, the standard one", () => {
    expect(dueIn("customer", {}, [])).toBe("2026-03-03 10:00");
    const { world } = stage({ calendars });
    expect(world.calendarOf(undefined, "customer", at("2026-03-02")).holidays).toEqual([]);
  });
});

describe("a date", () => {
  const model: Partial<Model> = { account: { live_on: { type: "date" }, live_at: { type: "datetime" } } };
  const rows = withAccount({ live_on: "2026-04-10", live_at: "2026-04-10T12:00:00Z" });
  const later = { op: "+", left: fact("account.live_at"), right: { op: "literal", value: 3_600_000 } } as const;
  test.each<[string, Omit<Extract<Command, { kind: "resolve_date" }>, "key" | "path" | "kind">, string | undefined]>([
    ["a day, at the house's hour", { date: fact("account.live_on") }, "2026-04-10 07:00"],
    ["an instant", { date: fact("account.live_at") }, "2026-04-10 12:00"],
    ["with an offset", { date: fact("account.live_at"), offset: span("-1 bd") }, "2026-04-09 12:00"],
    ["a computed one", { date: later }, "2026-04-10 13:00"],
    ["none", { date: fact("account.none"), offset: span("1 d") }, undefined],
    ["none to compute with", { date: { ...later, left: fact("account.none") } }, undefined],
  ])("%s", (_name, date, expected) => {
    const { begin, act } = stage({ model, given: rows });
    const outcome = act(begin(), { kind: "resolve_date", ...date });
    expect(outcome.kind === "resolved" && outcome.at !== undefined ? short(outcome.at) : undefined).toBe(expected);
  });
});

describe("an open task", () => {
  const open = (due = "5 bd") => {
    const set = stage();
    const run = set.begin();
    const opened = set.act(run, job({ due: span(due) }));
    return { ...set, run, id: opened.kind === "task_opened" ? opened.task : "" };
  };

  test("is only ever due earlier", () => {
    const { run, act, id } = open();
    const tighten = (due: string, key: string, task = id) =>
      act(run, { kind: "task_tighten", task, due: span(due) }, "2026-03-02T11:00", { key });
    expect(tighten("10 bd", "1")).toEqual({ kind: "done", at: at("2026-03-02T11:00") });
    const tightened = tighten("1 bd", "2");
    expect(tightened).toMatchObject({ kind: "task_opened", task: id, assignee: "u1" });
    expect(tightened.kind === "task_opened" && short(tightened.due)).toBe("2026-03-03 11:00");
    expect(tighten("1 bd", "3", "nobody knows it")).toEqual({ kind: "done", at: at("2026-03-02T11:00") });
    act(run, { kind: "task_withdraw", task: id }, "2026-03-02T11:00", { key: "w" });
    expect(tighten("0 d", "4")).toEqual({ kind: "done", at: at("2026-03-02T11:00") });
  });

  const CANCELLED =
    "2026-03-02 11:00 task.closed of r1 task=r1|s run=r1 key=s step=s status=cancelled note=NOTE (tasks.open tasks.required_open)";

  test("is taken back with its branch, once; one that nobody knows is not", () => {
    const { run, act, told, id } = open();
    for (const [key, task] of [
      ["1", id],
      ["2", id],
      ["3", "unknown"],
    ] as const)
      act(run, { kind: "task_withdraw", task }, "2026-03-02T11:00", { key });
    expect(told()).toEqual([CANCELLED.replace("NOTE", "no longer needed")]);
  });

  test.each(["cancel", "keep"] as const)("when its run leaves: %s", (openTasks) => {
    const { run, begin, act, told } = open();
    act(begin(), job(), "2026-03-02T10:00", { key: "of another run" });
    act(run, { kind: "leave", outcome: "left", openTasks, deferredEmail: "keep" }, "2026-03-02T11:00", { key: "l" });
    expect(told()).toEqual(openTasks === "keep" ? [] : [CANCELLED.replace("NOTE", "the run ended: left")]);
  });
});

describe("a mail that waits when its run leaves", () => {
  test.each([
    ["cancel", "2026-03-02 13:00: deferred"],
    ["keep", "2026-03-02 13:00: sent"],
  ] as const)("%s", (deferredEmail, expected) => {
    const { begin, act } = stage();
    const run = begin();
    const later = { send: parseTimeRule("14:00") as TimeRule };
    act(run, mail(later));
    act(begin(), mail(later));
    act(run, { kind: "leave", outcome: "left", openTasks: "keep", deferredEmail }, "2026-03-02T11:00", { key: "l" });
    const outcome = act(run, mail({ ...later, exiting: true }), "2026-03-02T13:00");
    expect(outcome.kind === "emailed" && `${short(outcome.at)}: ${outcome.deliveries[0]?.result}`).toBe(expected);
  });
});

test("what has no effect here is done; no health is measured; a playbook that may not begin is refused", () => {
  const { begin, act } = stage({ policy });
  const run = begin();
  const done = { kind: "done", at: at("2026-03-02T10:00") };
  const does = (body: CommandBody) => act(run, body, "2026-03-02T10:00", { key: body.kind });
  expect(does({ kind: "risk", risk: "r", severity: "low", scope: {} })).toEqual(done);
  expect(does({ kind: "opportunity", opportunity: "o", scope: {} })).toEqual(done);
  expect(does({ kind: "park", reason: "r" })).toEqual(done);
  expect(does({ kind: "health" })).toEqual({ ...done, kind: "measured", score: null, status: "unknown" });
  expect(does({ kind: "play", playbook: "q", inputs: {} })).toEqual({
    ...done,
    kind: "played",
    run: null,
    refused: "again",
  });
});

test("an effect that is asked for again is the same effect; what is read is as of now", () => {
  const { begin, act, customers } = stage();
  const run = begin();
  const opened = act(run, job(), "2026-03-02T10:00");
  expect(act(run, job(), "2026-03-04T10:00")).toEqual(opened);
  expect([...customers.tasks.keys()]).toEqual(["r1|s"]);
  const read = { kind: "read", facts: ["tasks.open"] } as const;
  expect(act(run, read, "2026-03-02T09:59", { key: "r" })).toMatchObject({ facts: { "tasks.open": 0 } });
  expect(act(run, read, "2026-03-02T10:00", { key: "r" })).toMatchObject({ facts: { "tasks.open": 1 } });
});
