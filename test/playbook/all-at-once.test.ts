import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileWorkspace } from "../../src/playbook/workspace.js";
import { FIXTURE, fixtureWith } from "./fixture.js";

// docs/language.md: "everything is checked"; the README: all problems of a file in one pass. Mistakes of form and of meaning are planted in
// different keys of one step or file; whichever are chosen, each must be told, and nothing else.

type Path = readonly (string | number)[];

/** A mistake: what is put where (a key that doesn't exist where `undefined`-valued keys are added), and the codes told for it. */
interface Mistake {
  readonly at: Path;
  readonly put: unknown;
  readonly codes: readonly string[];
}

const HEAD = { playbook: "sample", title: "Sample", maintainer: "cs-ops@example.com", subject: "account" };
const MANUAL = { enroll: { when: [{ manual: {} }] } };
const withSteps = (...steps: unknown[]) => ({ ...HEAD, ...MANUAL, steps });
const mistake = (at: Path, put: unknown, ...codes: string[]): Mistake => ({ at, put, codes });
const ofStep = (at: Path, put: unknown, ...codes: string[]) => mistake(["steps", 0, ...at], put, ...codes);

const CASES: Readonly<Record<string, { file?: string; good: unknown; mistakes: readonly Mistake[] }>> = {
  email: {
    good: withSteps({
      id: "a",
      if: "account.seats > 3",
      email: { to: "champion", template: "welcome", category: "onboarding", send: "now", send_within: "3d" },
    }),
    mistakes: [
      ofStep(["id"], "on_exit", "WP107"),
      ofStep(["if"], "account.seat > 3", "WP302"),
      ofStep(["email", "to"], "chmpion", "WP203"),
      ofStep(["email", "from"], "role:nobody", "WP204"),
      ofStep(["email", "template"], "nope", "WP401"),
      ofStep(["email", "category"], "onbording", "WP205"),
      ofStep(["email", "send"], "at noon", "WP106"),
      ofStep(["email", "send_within"], "soon", "WP106"),
      ofStep(["email", "sendwithin"], "3d", "WP101"),
      ofStep(["note"], 12, "WP103"),
      ofStep(["wat"], 12, "WP101"),
    ],
  },
  task: {
    good: withSteps({
      id: "a",
      task: {
        title: "Call",
        text: "Now",
        for: "csm",
        due: "1d",
        due_if: [{ if: "account.seats > 3", due: "2d" }],
        escalate: [{ after: "1d", to: "manager" }],
        wait: "done",
        within: "5d",
        ask: "outcome",
        outcomes: ["yes", "no"],
        otherwise: [{ id: "b", wait: "1d" }],
      },
    }),
    mistakes: [
      ofStep(["task", "title"], "{{ account.nme }}", "WP405"),
      ofStep(["task", "text"], "{{ account.name ", "WP404"),
      ofStep(["task", "for"], "role:nobody", "WP204"),
      ofStep(["task", "due"], "soon", "WP106"),
      ofStep(["task", "due_if", 0, "if"], "account.nope > 3", "WP302"),
      ofStep(["task", "due_if", 0, "due"], "-2d", "WP504"),
      ofStep(["task", "escalate", 0, "to"], "pool:none", "WP204"),
      ofStep(["task", "escalate", 0, "after"], 3, "WP106"),
      ofStep(["task", "within"], "later", "WP106"),
      ofStep(["task", "ask"], "anything", "WP103"),
      ofStep(["task", "outcomes", 1], "No way", "WP107"),
      ofStep(["task", "otherwise", 0, "wait"], "0d", "WP504"),
    ],
  },
  "a wait with an `if`": {
    good: withSteps({ id: "a", if: "account.seats > 3", wait: { until: "account.review_date", offset: "-2d" } }),
    mistakes: [
      ofStep(["if"], 'account.nope == "x"', "WP302"),
      ofStep(["wait", "until"], "account.nope", "WP302"),
      ofStep(["wait", "offset"], "a bit", "WP106"),
      ofStep(["wait", "on_past"], "shrug", "WP103"),
      ofStep(["on_error"], "panic", "WP103"),
    ],
  },
  "a wait of no known length": {
    good: withSteps({ id: "a", if: "account.seats > 3", wait: "3d" }),
    mistakes: [ofStep(["if"], 'account.nope == "x"', "WP302"), ofStep(["wait"], "soon", "WP106")],
  },
  risk: {
    good: withSteps({ id: "a", if: "account.seats > 3", risk: { kind: "x", severity: "high", text: "Look" } }),
    mistakes: [
      ofStep(["if"], "account.nope", "WP302"),
      ofStep(["risk", "severity"], "huge", "WP103"),
      ofStep(["risk", "kind"], "A b", "WP107"),
      ofStep(["risk", "text"], "{{ x }}", "WP405"),
    ],
  },
  wait_for: {
    good: withSteps(
      { id: "t", task: { title: "X", for: "csm", due: "1d" } },
      {
        id: "a",
        wait_for: {
          any: [{ event: "meeting.booked", where: 'event.kind == "x"' }, { task: "t" }],
          within: "3d",
          otherwise: [{ id: "b", milestone: "first_value" }],
        },
      },
    ),
    mistakes: [
      mistake(["steps", 1, "wait_for", "within"], "soon", "WP106"),
      mistake(["steps", 1, "wait_for", "any", 0, "where"], 'event.knd == "x"', "WP302"),
      mistake(["steps", 1, "wait_for", "any", 0, "since"], "ever", "WP103"),
      mistake(["steps", 1, "wait_for", "any", 1, "task"], "u", "WP213"),
      mistake(["steps", 1, "wait_for", "otherwise", 0, "milestone"], "nope", "WP210"),
      mistake(["steps", 0, "task", "for"], "boss", "WP204"),
    ],
  },
  play: {
    good: withSteps({
      id: "a",
      play: { playbook: "other", with: { reason: '"x"', level: '"low"' }, wait: "done", within: "3d" },
    }),
    mistakes: [
      ofStep(["play", "with", "reasn"], "3", "WP214"),
      ofStep(["play", "with", "level"], "3", "WP303"),
      ofStep(["play", "within"], "x", "WP106"),
      ofStep(["play", "with", "reason"], [], "WP103"),
      ofStep(["play", "extra"], 1, "WP101"),
    ],
  },
  set: {
    good: withSteps({ id: "a", set: { field: "account.stage", value: '"adoption"' } }),
    mistakes: [
      ofStep(["set", "value"], '"adopted"', "WP308"),
      ofStep(["set", "why"], 1, "WP101"),
      ofStep(["name"], "", "WP108"),
    ],
  },
  "choose and repeat": {
    good: withSteps(
      {
        choose: [{ if: "account.seats > 3", steps: [{ id: "a", wait: "1d" }] }, { else: [] }],
      },
      {
        id: "r",
        repeat: { every: "1d", times: 3, until: "account.seats > 3", steps: [{ id: "b", milestone: "first_value" }] },
      },
    ),
    mistakes: [
      mistake(["steps", 0, "choose", 0, "if"], "account.nope > 3", "WP302"),
      mistake(["steps", 0, "choose", 0, "then"], [], "WP101"),
      mistake(["steps", 0, "choose", 0, "steps", 0, "wait"], {}, "WP102"),
      mistake(["steps", 1, "repeat", "every"], "daily", "WP106"),
      mistake(["steps", 1, "repeat", "times"], 0, "WP108"),
      mistake(["steps", 1, "repeat", "until"], "account.nope", "WP302"),
      mistake(["steps", 1, "repeat", "steps", 0, "milestone"], "x", "WP210"),
    ],
  },
  "the head": {
    good: {
      ...HEAD,
      inputs: { reason: { type: "string", default: "" }, level: { type: "number", default: 3 } },
      enroll: {
        when: [{ event: "contract.signed", where: "event.arr > 3" }, { enters: "segment.customers" }],
        if: "account.seats > 3",
        key: "account.id",
        again: "always",
        merge: { level: "max" },
        with: { reason: "event.contract_id" },
      },
      exit: [
        { when: { event: "contract.voided" }, outcome: "void" },
        { if: "account.is_test", outcome: "void" },
      ],
      goal: { if: "account.seats > 9", outcome: "done" },
      on_exit: { steps: [{ id: "bye", milestone: "first_value" }] },
      steps: [{ id: "a", if: 'run.inputs.reason != ""', wait: "1d" }],
    },
    mistakes: [
      mistake(["titel"], "x", "WP101"),
      mistake(["inputs", "level", "default"], [1], "WP103"),
      mistake(["enroll", "when", 0, "where"], "event.ar > 3", "WP302"),
      mistake(["enroll", "when", 0, "wher"], "x", "WP101"),
      mistake(["enroll", "when", 1, "enters"], "segment.nope", "WP208"),
      mistake(["enroll", "if"], 'account.touch_modl == "x"', "WP302"),
      mistake(["enroll", "key"], "account.nope", "WP302"),
      mistake(["enroll", "again"], "sometimes", "WP103"),
      mistake(["enroll", "merge", "other"], "max", "WP214"),
      mistake(["exit", 0, "outcome"], "Void!", "WP107"),
      mistake(["exit", 1, "outcome"], "viod", "WP212"),
      mistake(["goal", "if"], "account.nope", "WP302"),
      mistake(["on_exit", "open_tasks"], "burn", "WP103"),
      mistake(["on_exit", "steps", 0, "milestone"], "nope", "WP210"),
      mistake(["calendar"], "mars", "WP209"),
      mistake(["priority"], 1.5, "WP103"),
      mistake(["pauses"], ["nobody"], "WP206"),
    ],
  },
  "health.yaml": {
    file: "health.yaml",
    good: {
      version: 1,
      status: { red: 0, yellow: 50, green: 75 },
      evaluate: { daily_at: "03:00", on: ["meeting.booked"] },
      measures: {
        usage: { value: "usage.key_actions_7d", fresh: "10d", bands: [{ under: 5, points: 10 }, { points: 100 }] },
        stage: { value: "account.stage", values: { onboarding: 50 } },
        seats: { value: "usage.key_actions_7d", stages: ["adoption"], linear: { from: 0, to: 1 } },
      },
      profiles: [
        { name: "big", if: "account.seats > 100", weights: { usage: 20, seats: 10 } },
        { name: "others", weights: { usage: 20, stage: 5 } },
      ],
    },
    mistakes: [
      mistake(["version"], "one", "WP103"),
      mistake(["status", "green"], "lots", "WP103"),
      mistake(["evaluate", "daily_at"], "noon", "WP106"),
      mistake(["evaluate", "on", 0], "meeting.boked", "WP207"),
      mistake(["measures", "usage", "value"], "usage.nope", "WP302"),
      mistake(["measures", "usage", "fresh"], "old", "WP106"),
      mistake(["measures", "usage", "bands", 0, "under"], "five", "WP103"),
      mistake(["measures", "usage", "bands", 1, "points"], 101, "WP108"),
      mistake(["measures", "stage", "values", "adopted"], 3, "WP308"),
      mistake(["measures", "seats", "stages", 0], "adopted", "WP308"),
      mistake(["measures", "seats", "linear", "to"], "x", "WP103"),
      mistake(["profiles", 0, "if"], "account.nope > 3", "WP302"),
      mistake(["profiles", 0, "weights", "nope"], 3, "WP605"),
      mistake(["profiles", 1, "weights", "stage"], 0, "WP108"),
    ],
  },
  "policy.yaml": {
    file: "policy.yaml",
    good: {
      company: { name: "A", domain: "cs.example", support_email: "h@cs.example", postal_address: "1 Main Street" },
      email: { quiet_hours: "20:00-08:00", from: { name: "A", address: "s@cs.example" } },
      categories: { service: { title: "Notices" }, onboarding: { title: "Getting started" } },
      tasks: { fallback: ["role:account_executive"] },
      slack: { unassigned_channel: "#cs", alerts_channel: "#cs-alerts" },
    },
    mistakes: [
      mistake(["company", "name"], 12, "WP103"),
      mistake(["email", "quiet_hours"], "08:00-08:00", "WP604"),
      mistake(["email", "cap"], { messages: 0, per: "7d" }, "WP108"),
      mistake(["categories", "service", "capped"], "no", "WP103"),
      mistake(["tasks", "fallback", 0], "role:nobody", "WP204"),
      mistake(["slack", "alerts_channel"], "cs", "WP107"),
    ],
  },
  "model.yaml": {
    file: "model.yaml",
    good: {
      account: { seats: { type: "number" } },
      contract: { last_call: { type: "date", derived: "end_date - notice_days" } },
      roles: { contact: ["champion"] },
      metrics: { a: { from: "x", aggregate: "sum", window: "7d" }, b: { from: "x", aggregate: "sum", window: "7d" } },
      milestones: { m: { on: "meeting.booked", where: 'event.kind == "x"' } },
      events: { "meeting.booked": { subject: "account", payload: { kind: "string" } } },
      outcomes: { done: { kind: "good" } },
    },
    mistakes: [
      mistake(["account", "seats", "values"], ["x"], "WP602"),
      mistake(["contract", "last_call", "derived"], "start_date - nothing", "WP602"),
      mistake(["roles", "staff"], "me", "WP103"),
      mistake(["metrics", "a", "aggregate"], "total", "WP103"),
      mistake(["metrics", "b", "role"], "nobody", "WP203"),
      mistake(["milestones", "m", "where"], 'event.knd == "x"', "WP302"),
      mistake(["events", "meeting.booked", "system"], "yes", "WP103"),
      mistake(["outcomes", "done", "kind"], "fine", "WP103"),
    ],
  },
};

describe("all problems of a file in one pass", () => {
  for (const [name, { file = "sample/playbook.yaml", good, mistakes }] of Object.entries(CASES)) {
    const codesOf = (planted: readonly Mistake[]) => {
      const value = structuredClone(good);
      for (const { at, put } of planted) plant(value, at, put);
      // Names in other files are not told while the model itself is wrong.
      const { diagnostics } = compileWorkspace(fixtureWith({ [file]: JSON.stringify(value) }));
      return diagnostics.filter((each) => each.file === file && each.severity === "error").map(({ code }) => code);
    };

    it(`${name}: without a mistake nothing is said`, () => expect(codesOf([])).toEqual([]));

    for (const one of mistakes) {
      it(`${name}: ${one.at.join(".")} alone`, () => expect(codesOf([one])).toEqual(one.codes));
    }

    it(`${name}: any of them together`, () => {
      fc.assert(
        fc.property(fc.subarray([...mistakes], { minLength: 2 }), (planted) => {
          expect(codesOf(planted).sort()).toEqual(planted.flatMap(({ codes }) => codes).sort());
        }),
        { numRuns: 30, seed: 20_261_122 },
      );
    });

    it(`${name}: all of them together`, () =>
      expect(codesOf(mistakes).sort()).toEqual(mistakes.flatMap(({ codes }) => codes).sort()));
  }

  it("is not about an empty workspace", () => expect(Object.keys(FIXTURE).length).toBeGreaterThan(5));
});

function plant(root: unknown, at: Path, put: unknown): void {
  let value = root as Record<string | number, unknown>;
  for (const key of at.slice(0, -1)) {
    value[key] ??= {};
    value = value[key] as Record<string | number, unknown>;
  }
  value[at.at(-1) as string | number] = put;
}
