import type { Command } from "../../src/engine/command.js";
import { describe, expect, test } from "vitest";
import type { Model } from "../../src/customers/model.js";
import { is, planFrom } from "../engine/plans.js";
import { at, short } from "../engine/rehearse.js";
import { stage } from "./stage.js";

const TICKETS = "tickets.closed_90d tickets.open tickets.opened_7d tickets.opened_90d tickets.weekly_mean_8w";
const SURVEY = "survey.csat survey.my_nps survey.nps survey.nps_at survey.nps_count";

describe("an event writes the rows that it stands for", () => {
  test.each<[string, Record<string, string | number>, string | undefined, string]>([
    ["survey.answered", { kind: "nps", score: 9 }, "c1", `of c1 kind=nps score=9 (${SURVEY})`],
    ["survey.answered", { kind: "csat", score: 4 }, undefined, `kind=csat score=4 (${SURVEY})`],
    ["survey.answered", { score: 9 }, undefined, "score=9"],
    ["survey.answered", { kind: "nps", score: "nine" }, undefined, "kind=nps score=nine"],
    ["ticket.opened", { ticket_id: "t1" }, undefined, `ticket_id=t1 (${TICKETS})`],
    ["ticket.opened", {}, undefined, ""],
    ["ticket.closed", {}, undefined, ""],
    ["ticket.closed", { ticket_id: "unknown" }, undefined, "ticket_id=unknown"],
    ["contact.left", {}, "c1", "of c1 (contact.is_active)"],
    ["contact.left", {}, undefined, ""],
    ["login", { count: 3 }, undefined, "count=3"],
  ])("%s %j %s", (name, payload, contactId, expected) => {
    const { tell, told } = stage();
    tell(name, "2026-03-02T10:00", { payload, ...(contactId === undefined ? {} : { contactId }) });
    expect(told()).toEqual([`2026-03-02 10:00 ${name}${expected === "" ? "" : ` ${expected}`}`]);
  });

  test("and facts are read by them from then on", () => {
    const { tell, customers } = stage();
    const facts = (when: string, ...paths: string[]) =>
      customers.read({ accountId: "a1", contactId: "c1" }, paths, at(when));
    tell("survey.answered", "2026-03-02T10:00", { contactId: "c1", payload: { kind: "nps", score: 9 } });
    tell("ticket.opened", "2026-03-02T10:00", { payload: { ticket_id: "t1" } });
    tell("ticket.closed", "2026-03-04T10:00", { payload: { ticket_id: "t1" } });
    tell("contact.left", "2026-03-05T10:00", { contactId: "c1" });
    expect(facts("2026-03-01", "survey.my_nps", "tickets.open", "contact.is_active")).toEqual({
      "tickets.open": 0,
      "contact.is_active": true,
    });
    expect(facts("2026-03-03", "survey.my_nps", "tickets.open")).toEqual({ "survey.my_nps": 9, "tickets.open": 1 });
    expect(facts("2026-03-06", "tickets.open", "contact.is_active")).toEqual({
      "tickets.open": 0,
      "contact.is_active": false,
    });
  });

  test("what is known already changes nothing; an id that is known is not logged again", () => {
    const { tell, told } = stage();
    tell("contact.left", "2026-03-02T10:00", { contactId: "c1" });
    tell("contact.left", "2026-03-03T10:00", { contactId: "c1" });
    tell("contact.left", "2026-03-03T10:00", { contactId: "c1" });
    expect(told()).toEqual([
      "2026-03-02 10:00 contact.left of c1 (contact.is_active)",
      "2026-03-03 10:00 contact.left of c1",
    ]);
  });
});

describe("the model says", () => {
  const typed = (subject: "account" | "contact" | "contract"): Partial<Model> => ({
    events: { signed: { subject, payload: { on: "date", at: "datetime", note: "string" }, system: false } },
  });

  test.each<[string, "account" | "contact" | "contract", object, string]>([
    ["its contact", "contact", { payload: { contact_id: "c1" } }, "of c1 contact_id=c1"],
    ["a contact that is given", "contact", { contactId: "c2", payload: { contact_id: "c1" } }, "of c2 contact_id=c1"],
    ["no contact", "contact", { payload: { contact_id: "" } }, "contact_id="],
    ["its contract", "contract", { payload: { contract_id: "k1" } }, "of k1 contract_id=k1"],
    ["a contract that is given", "contract", { contractId: "k2" }, "of k2"],
    ["no contract of an account's", "account", { contractId: "k2", payload: { contract_id: "k1" } }, "contract_id=k1"],
    [
      "a day, at midnight in the account's zone",
      "account",
      { payload: { on: "2026-04-01" } },
      "on=2026-03-31T22:00:00Z",
    ],
    ["an instant", "account", { payload: { at: "2026-04-01T10:00:00+02:00" } }, "at=2026-04-01T08:00:00Z"],
    ["no date", "account", { payload: { on: "soon", note: "2026-04-01" } }, "on=soon note=2026-04-01"],
    ["a number", "account", { payload: { on: 5 } }, "on=5"],
  ])("whom an event is about, and which of its fields are dates: %s", (_name, subject, more, expected) => {
    const { tell, told } = stage({ model: typed(subject) });
    tell("signed", "2026-03-02T10:00", more);
    expect(told()).toEqual([`2026-03-02 10:00 signed ${expected}`]);
  });

  const milestones: Model["milestones"] = {
    live: { of: "account", title: "Live", on: "went_live" },
    big: { of: "account", title: "Big", on: "deal", where: is("event.amount", 100, ">=") },
    trained: { of: "contact", title: "Trained", on: "course.done" },
    named: { of: "account", title: "Named", on: "x", where: is("event.id", "x/2026-03-02T10:00") },
    dated: { of: "account", title: "Dated", on: "y", where: is("event.occurred_at", at("2026-03-02T10:00")) },
  };

  test.each<[string, object, string | undefined]>([
    ["went_live", {}, "milestone=live (milestone.live)"],
    ["deal", { payload: { amount: 100 } }, "milestone=big (milestone.big)"],
    ["deal", { payload: { amount: 99 } }, undefined],
    ["deal", {}, undefined],
    ["course.done", { contactId: "c1" }, "of c1 milestone=trained (milestone.trained)"],
    ["course.done", {}, undefined],
    ["x", {}, "milestone=named (milestone.named)"],
    ["y", {}, "milestone=dated (milestone.dated)"],
  ])("which milestone %s %j dates", (name, more, expected) => {
    const { tell, told } = stage({ model: { milestones } });
    tell(name, "2026-03-02T10:00", more);
    expect(told().slice(1)).toEqual(expected === undefined ? [] : [`2026-03-02 10:00 milestone.reached ${expected}`]);
  });

  test("a milestone is reached once", () => {
    const { tell, told, customers } = stage({ model: { milestones } });
    tell("went_live", "2026-03-02T10:00");
    tell("went_live", "2026-03-03T10:00");
    expect(told().filter((line) => line.includes("reached"))).toHaveLength(1);
    const facts = customers.read({ accountId: "a1" }, ["milestone.live"], at("2026-04-01"));
    expect(short(Number(facts["milestone.live"]))).toBe("2026-03-02 10:00");
  });
});

describe("a run is told", () => {
  const plan = planFrom([], { listens: { events: ["login"], facts: ["account.arr"] } });
  const event = { id: "e", name: "login", at: at("2026-03-02T10:00"), accountId: "a1", payload: {} };

  test.each<[string, object, object, boolean]>([
    ["what it listens to", {}, {}, true],
    ["nothing of another account", {}, { accountId: "a2" }, false],
    ["nothing it doesn't know", {}, { name: "logout" }, false],
    ["a change of its facts", {}, { name: "facts.changed", changed: ["account.arr"] }, true],
    ["no other change", {}, { name: "facts.changed", changed: ["account.tier"] }, false],
    ["nothing older than itself", {}, { at: at("2026-03-02T08:59") }, false],
    ["nothing after its end", { endedAt: at("2026-03-02T09:30") }, {}, false],
    ["nothing of what began it", { enrolledBy: "e" }, {}, false],
    ["what is told to it alone", {}, { name: "run.held", runId: "r1" }, true],
    ["nothing that is told to another", {}, { runId: "r2" }, false],
    ["of its contact", { contactId: "c1" }, { contactId: "c1" }, true],
    ["of nobody in particular", { contactId: "c1", contractId: "k1" }, {}, true],
    ["nothing of another contact", { contactId: "c1" }, { contactId: "c2" }, false],
    ["of its contract", { contractId: "k1" }, { contractId: "k1" }, true],
    ["nothing of another contract", { contractId: "k1" }, { contractId: "k2" }, false],
    ["of a contact, if it is about none", {}, { contactId: "c2", contractId: "k2" }, true],
  ])("%s", (_name, run, more, expected) => {
    const { world, begin } = stage();
    expect(world.matches(begin(plan, run), { ...event, ...more })).toBe(expected);
  });

  test("before a command begins, and only once; its end waits for nothing", () => {
    const { world, begin, tell } = stage();
    const run = begin(plan);
    tell("login", "2026-03-02T10:00");
    const inHand = new Set<string>();
    const ask = (command: Command) => world.ask(run, command, at("2026-03-02T11:00"), "running", inHand);
    const read = { kind: "read", key: "r", path: "r", facts: ["account.name"] } as const;
    const close = { kind: "close", key: "c", path: "c", outcome: "done" } as const;
    expect(ask(read)).toEqual({
      kind: "events",
      events: [{ id: "login/2026-03-02T10:00", name: "login", at: at("2026-03-02T10:00"), payload: {} }],
    });
    expect(ask(read)).toEqual({
      kind: "outcome",
      outcome: { kind: "read", at: at("2026-03-02T11:00"), facts: { "account.name": "Acme" } },
    });
    tell("login", "2026-03-02T10:30");
    expect(ask(close)).toEqual({ kind: "outcome", outcome: { kind: "done", at: at("2026-03-02T11:00") } });
  });
});
