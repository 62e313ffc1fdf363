import { describe, expect, test } from "vitest";
import type { CommandBody } from "../../src/engine/command.js";
import type { Reaction } from "../../src/simulation/records.js";
import type { SimulatedRun } from "../../src/simulation/world.js";
import { email, end, is, on, planFrom, scenarioOf, settingOf, span, task, waitFor } from "../engine/plans.js";
import { at, short } from "../engine/rehearse.js";
import { simulate } from "../../src/simulation/simulate.js";
import { hasty, host, job, mail, stage } from "./stage.js";

const toMail = (deed: Reaction["do"], step = "s"): Reaction => ({ step, to: "email", after: span("2 h"), do: deed });
const toTask = (deed: Reaction["do"], step = "s"): Reaction => ({ step, to: "task", after: span("1 d"), do: deed });

function story(reactions: readonly Reaction[], body: CommandBody, more: Partial<SimulatedRun> = {}) {
  const set = stage({ reactions });
  set.act(set.begin(planFrom([]), more), body);
  return { ...set, lines: set.told() };
}

const CLOSED = "2026-03-03 10:00 task.closed of r1 task=r1|s run=r1 key=s step=s";
const TASKS = "(tasks.open tasks.required_open)";

describe("to a mail", () => {
  test.each<[string, Reaction["do"], Partial<SimulatedRun>, string[]]>([
    ["a reply", { kind: "reply" }, {}, ["2026-03-02 12:00 email.replied of r1 run=r1 key=s step=s"]],
    ["a bounce", { kind: "bounce" }, {}, ["2026-03-02 12:00 email.bounced of r1 run=r1 key=s step=s permanent=true"]],
    [
      "an opt-out",
      { kind: "unsubscribe" },
      {},
      ["2026-03-02 12:00 email.unsubscribed of c1 contact=c1 category=onboarding"],
    ],
    ["an event", { kind: "event", name: "login", payload: { count: 1 } }, {}, ["2026-03-02 12:00 login of c1 count=1"]],
    [
      "an event, of the run's contract",
      { kind: "event", name: "login", payload: {} },
      { contractId: "k1" },
      ["2026-03-02 12:00 login of c1 contract_id=k1"],
    ],
  ])("%s", (_name, deed, more, expected) => {
    expect(story([toMail(deed)], mail(), more).lines).toEqual(expected);
  });

  test("of any step, of another, to tasks only", () => {
    expect(story([toMail({ kind: "reply" }, "*")], mail()).lines).toHaveLength(1);
    expect(story([toMail({ kind: "reply" }, "other")], mail()).lines).toEqual([]);
    expect(story([toTask({ kind: "reply" })], mail()).lines).toEqual([]);
    expect(story([toMail({ kind: "reply" }), toMail({ kind: "bounce" })], mail()).lines).toHaveLength(2);
  });

  test.each<[string, Reaction["do"], string, string]>([
    ["a bounce stops all mail", { kind: "bounce" }, "service", "bounced_before"],
    ["an opt-out its category", { kind: "unsubscribe" }, "onboarding", "unsubscribed"],
    ["and no other", { kind: "unsubscribe" }, "service", "sent"],
    ["a reply none", { kind: "reply" }, "onboarding", "sent"],
  ])("%s", (_name, deed, category, expected) => {
    const { act, begin } = stage({ reactions: [toMail(deed, "first")] });
    const run = begin();
    act(run, mail(), "2026-03-02T10:00", { key: "first", step: "first" });
    const fate = (key: string, when: string) => {
      const outcome = act(run, mail({ category }), when, { key, step: key });
      const [one] = outcome.kind === "emailed" ? outcome.deliveries : [];
      return one?.reason ?? one?.result;
    };
    expect(fate("before", "2026-03-02T11:59")).toBe("sent");
    expect(fate("after", "2026-03-02T12:00")).toBe(expected);
  });
});

describe("to a task", () => {
  test.each<[string, Reaction["do"], Parameters<typeof job>[0], string[]]>([
    ["done", { kind: "complete" }, {}, [`${CLOSED} status=done completed_by=u1 ${TASKS}`]],
    [
      "done, by whoever",
      { kind: "complete" },
      { for: { kind: "pool", pool: "desk" } },
      [`${CLOSED} status=done completed_by= ${TASKS}`],
    ],
    [
      "done, with a note",
      { kind: "complete", note: "called" },
      { ask: "note" },
      [`${CLOSED} status=done completed_by=u1 note=called ${TASKS}`],
    ],
    [
      "done, with an outcome",
      { kind: "complete", outcome: "yes" },
      { ask: "outcome", outcomes: ["yes", "no"] },
      [`${CLOSED} status=done completed_by=u1 outcome=yes ${TASKS}`],
    ],
    [
      "any outcome",
      { kind: "complete", outcome: "maybe" },
      {},
      [`${CLOSED} status=done completed_by=u1 outcome=maybe ${TASKS}`],
    ],
    ["skipped", { kind: "skip", reason: "moot" }, {}, [`${CLOSED} status=skipped completed_by=u1 ${TASKS}`]],
    ["not without a reason", { kind: "skip", reason: " " }, {}, []],
    ["not without the outcome", { kind: "complete" }, { ask: "outcome" }, []],
    ["not with another outcome", { kind: "complete", outcome: "maybe" }, { outcomes: ["yes", "no"] }, []],
    ["not without the note", { kind: "complete" }, { ask: "note" }, []],
    ["not with an empty note", { kind: "complete", note: " " }, { ask: "note" }, []],
    ["an event", { kind: "event", name: "login", payload: {} }, {}, ["2026-03-03 10:00 login"]],
    // Nobody in particular is meant: the log has it, no address is stopped.
    ["an opt-out", { kind: "unsubscribe" }, {}, ["2026-03-03 10:00 email.unsubscribed contact= category=*"]],
  ])("%s", (_name, deed, more, expected) => {
    const { lines, customers } = story([toTask(deed)], job(more));
    expect(lines).toEqual(expected);
    expect(customers.suppressions).toEqual([]);
  });

  test("by the first reaction that is meant for it", () => {
    const both = [toTask({ kind: "skip", reason: "moot" }, "*"), toTask({ kind: "complete" })];
    expect(story(both, job()).lines).toEqual([`${CLOSED} status=skipped completed_by=u1 ${TASKS}`]);
  });

  test("that asks for somebody to write to", () => {
    const { lines } = story([toTask({ kind: "complete" })], mail({ to: { kind: "role", role: "sponsor" } }));
    expect(lines).toEqual([
      `2026-03-03 10:00 task.closed of r1 task=r1|s|no_contact run=r1 key=s step=s status=done completed_by=u1 ${TASKS}`,
    ]);
  });

  test("by a step that has only its path", () => {
    const { act, begin, told } = stage({
      reactions: [toTask({ kind: "complete" }, "*"), toMail({ kind: "reply" }, "*")],
    });
    const run = begin();
    for (const [key, body] of [
      ["t", job()],
      ["m", mail()],
    ] as const) {
      act(run, body, "2026-03-02T10:00", { key, path: `on/${key}`, step: undefined as never });
    }
    expect(told()).toEqual([
      "2026-03-02 12:00 email.replied of r1 run=r1 key=m step=on/m",
      `2026-03-03 10:00 task.closed of r1 task=r1|t run=r1 key=t step=on/t status=done completed_by=u1 ${TASKS}`,
    ]);
  });
});

describe("in a whole scenario", () => {
  const plan = planFrom([
    email("hello", { send: { kind: "now" } }),
    waitFor("answer", { kind: "reply", step: "hello" }, "5d", [
      task("call", { wait: { within: span("5d"), otherwise: [] } }),
      end("called"),
    ]),
    end("done"),
  ]);
  const kinds = (runs: Awaited<ReturnType<typeof simulate>>) =>
    runs.flatMap(({ outcome, entries }) => [
      ...entries.map((entry) => `${short(entry.at).slice(5)} ${entry.kind}`),
      `→ ${outcome}`,
    ]);
  const REPLIED = [
    "03-02 09:00 run.started",
    "03-02 09:00 email.sent",
    "03-02 09:00 wait_for.began",
    "03-02 11:00 email.replied",
    "03-02 11:00 wait_for.met",
    "03-02 11:00 run.ended",
    "→ done",
  ];

  test.each([undefined, host])("the run hears of it", async (clock) => {
    const scenario = scenarioOf({ reactions: [toMail({ kind: "reply" }, "hello")] });
    expect(kinds(await simulate(settingOf(plan), scenario, clock))).toEqual(REPLIED);
  });

  test("an unanswered mail, a task that is done", async () => {
    const scenario = scenarioOf({ reactions: [toTask({ kind: "complete" }, "call")] });
    expect(kinds(await simulate(settingOf(plan), scenario)).slice(3)).toEqual([
      "03-07 09:00 wait_for.timed_out",
      "03-07 09:00 task.opened",
      "03-08 09:00 task.closed",
      "03-08 09:00 wait_for.met",
      "03-08 09:00 run.ended",
      "→ called",
    ]);
  });

  test("on a host's clock the script, too, is played before a run looks", async () => {
    const waits = planFrom([waitFor("login", on("login"), "5d", [end("none")]), end("logged in")], {
      enroll: {
        when: [{ kind: "enters", segment: "big" }],
        again: { kind: "always" },
        merge: {},
        with: {},
      },
    });
    const script = [
      {
        kind: "upsert",
        id: "u",
        at: at("2026-03-10"),
        rows: { accounts: [{ id: "a1", fields: { arr: 100 } }] },
      },
      { kind: "event", id: "l", at: at("2026-03-12"), name: "login", accountId: "a1", payload: {} },
    ] as const;
    const setting = { ...settingOf(waits), segments: { big: { if: is("account.arr", 100, ">="), title: "Big" } } };
    for (const clock of [undefined, host, hasty])
      expect(kinds(await simulate(setting, scenarioOf({ enrolments: [], script }), clock))).toEqual([
        "03-10 00:00 run.started",
        "03-10 00:00 wait_for.began",
        "03-12 00:00 wait_for.met",
        "03-12 00:00 run.ended",
        "→ logged in",
      ]);
  });
});
