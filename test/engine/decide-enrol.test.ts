import { describe, expect, test } from "vitest";
import { applicantOf, decideEnrol, type EarlierRun } from "../../src/engine/decide-enrol.js";
import type { Enroll, Plan } from "../../src/engine/plan.js";
import type { FactValue } from "../../src/expression/expression.js";
import { STANDARD_CALENDAR } from "../../src/values/calendar.js";
import { fact, is, planFrom, span } from "./plans.js";
import { at } from "./rehearse.js";

const ENROLL: Enroll = { when: [{ kind: "manual" }], again: { kind: "per_key" }, merge: {}, with: {} };
const plan = (enroll: Partial<Enroll> = {}, more: Partial<Plan> = {}): Plan =>
  planFrom([], { enroll: { ...ENROLL, ...enroll }, ...more });
const inputs = {
  why: { type: "string" },
  level: { type: "string", default: "low" },
  days: { type: "number", default: 7 },
} as const;

describe("an applicant", () => {
  const whom = { accountId: "a1", contactId: "c1" };
  const facts: Record<string, FactValue> = { "account.tier": "big", "event.year": 2026, "event.tags": ["a"] };
  const when = at("2026-03-02T09:00");
  const apply = (of: Plan, given?: Record<string, FactValue>, subject: { accountId: string } = whom) =>
    applicantOf(of, subject, when, (path) => facts[path], given);

  test.each<[string, Plan, Record<string, FactValue> | undefined, unknown]>([
    ["an account", plan(), undefined, { kind: "applicant", subjectId: "a1", key: "a1", inputs: {} }],
    ["a contact", plan({}, { subject: "contact" }), undefined, { subjectId: "c1", key: "c1" }],
    ["a key that is a number", plan({ key: fact("event.year") }), undefined, { key: "2026" }],
    ["who matches", plan({ if: is("account.tier", "big") }), undefined, { kind: "applicant" }],
    [
      "inputs from the trigger",
      plan({ with: { why: fact("account.tier") } }, { inputs }),
      undefined,
      { inputs: { why: "big", level: "low", days: 7 } },
    ],
    [
      "inputs from a person, not the trigger's",
      plan({ with: { why: fact("account.tier") } }, { inputs }),
      { days: 3 },
      { inputs: { level: "low", days: 3 } },
    ],
    [
      "an input with no value and no default is left out",
      plan({}, { inputs }),
      undefined,
      { inputs: { level: "low", days: 7 } },
    ],
  ])("%s", (_, of, given, expected) => {
    expect(apply(of, given)).toMatchObject(expected as object);
  });

  test.each<[string, Plan, Record<string, FactValue> | undefined, string, string]>([
    [
      "who doesn't match",
      plan({ if: is("account.tier", "small") }),
      undefined,
      "condition",
      '"if" of playbook "p" does not hold for it at 2026-03-02T09:00:00Z',
    ],
    [
      "an absent key",
      plan({ key: fact("contract.id") }),
      undefined,
      "no_key",
      '"key" of playbook "p" is absent at 2026-03-02T09:00:00Z',
    ],
    [
      "a key that is a list",
      plan({ key: fact("event.tags") }),
      undefined,
      "no_key",
      '"key" of playbook "p" is absent at 2026-03-02T09:00:00Z',
    ],
    ["an input that there is not", plan({}, { inputs }), { x: 1 }, "inputs", 'playbook "p" has no input "x"'],
    ["one of Object's own", plan({}, { inputs }), { toString: "x" }, "inputs", 'playbook "p" has no input "toString"'],
    [
      "an input of another type",
      plan({}, { inputs }),
      { days: "3" },
      "inputs",
      'input "days" of playbook "p" must be a number',
    ],
  ])("not %s", (_, of, given, reason, message) => {
    expect(apply(of, given)).toEqual({ kind: "refused", reason, message });
  });

  test("not an account where a contact is asked for", () => {
    expect(apply(plan({}, { subject: "contact" }), undefined, { accountId: "a1" })).toEqual({
      kind: "refused",
      reason: "no_subject",
      message: 'playbook "p" is about a contact, and none was named',
    });
  });
});

describe("an applicant with runs before", () => {
  const over = (ordinal: number, from: string, to: string, key = "k"): EarlierRun => ({
    id: `r${ordinal}`,
    key,
    ordinal,
    startedAt: at(from),
    endedAt: at(to),
    enrolledBy: `c${ordinal}`,
  });
  const live: EarlierRun = { id: "r1", key: "k", ordinal: 1, startedAt: at("2026-03-01"), enrolledBy: "c1" };
  const decide = (
    of: Plan,
    earlier: readonly EarlierRun[],
    more: { when?: string; cause?: string; isByItself?: boolean; given?: Record<string, FactValue> } = {},
  ) =>
    decideEnrol(
      of,
      { kind: "applicant", subjectId: "a/1", key: "k", inputs: more.given ?? {} },
      {
        at: at(more.when ?? "2026-03-10T12:00"),
        cause: more.cause ?? "c",
        isByItself: more.isByItself ?? true,
        zone: "Europe/Warsaw",
        calendar: STANDARD_CALENDAR,
      },
      earlier,
    );
  const always = plan({ again: { kind: "always" } });
  const past = [over(1, "2026-03-02T09:00", "2026-03-06T16:00")];

  test("begins the first, and the next, ordinal of its key", () => {
    expect(decide(plan(), [])).toEqual({ kind: "begin", id: "run/p/a%2F1/k/1", ordinal: 1 });
    // Retention may have taken the first away.
    const third = over(3, "2026-02-01", "2026-02-02");
    expect(decide(always, [third, ...past])).toEqual({ kind: "begin", id: "run/p/a%2F1/k/4", ordinal: 4 });
    expect(decide(plan(), [over(1, "2026-02-01", "2026-02-02", "other")])).toMatchObject({ ordinal: 1 });
  });

  test("is known by its cause, live or over", () => {
    expect(decide(plan(), [live], { cause: "c1" })).toEqual({ kind: "known", run: "r1" });
    expect(decide(always, past, { cause: "c1" })).toEqual({ kind: "known", run: "r1" });
  });

  test("tells the live run of its key, also of what is older than it, and whatever `again` says", () => {
    const told = { kind: "tell", run: "r1", at: at("2026-03-10T12:00"), payload: { "input.level": "high" } };
    for (const again of [{ kind: "never" }, { kind: "always" }] as const)
      expect(decide(plan({ again }), [live], { given: { level: "high" } })).toEqual(told);
    expect(decide(always, [live], { when: "2026-02-01" })).toMatchObject({ kind: "tell", at: at("2026-03-01") });
  });

  const after = (text: string) => ({ kind: "after", duration: span(text) }) as const;
  test.each<[string, Enroll["again"], readonly EarlierRun[], string, string]>([
    [
      "never, but of another key",
      { kind: "never" },
      [over(1, "2026-02-01", "2026-02-02", "other")],
      "2026-03-10",
      'it has been through playbook "p", which runs once (again: never)',
    ],
    ["per_key", { kind: "per_key" }, past, "2026-03-10", 'playbook "p" has run for key "k" (again: per_key)'],
    [
      "a week later, too early",
      after("7d"),
      past,
      "2026-03-13T15:59",
      'playbook "p" may not run for it again before 2026-03-13T16:00:00Z',
    ],
    ["a week later", after("7d"), past, "2026-03-13T16:00", "begin"],
    // Friday 17:00 in Warsaw is closed: the next working day's end is at its opening after it.
    [
      "a working day later",
      after("1 bd"),
      past,
      "2026-03-10T07:59",
      'playbook "p" may not run for it again before 2026-03-10T08:00:00Z',
    ],
    ["a working day later, from its opening", after("1 bd"), past, "2026-03-10T08:00", "begin"],
    ["after a week, of no run before", after("7d"), [], "2026-03-10", "begin"],
    ["always", { kind: "always" }, past, "2026-03-10", "begin"],
    [
      "always, told belatedly of when one was live",
      { kind: "always" },
      past,
      "2026-03-05",
      "run r1 was live at 2026-03-05T00:00:00Z",
    ],
    ["always, of before it", { kind: "always" }, past, "2026-03-01", "begin"],
  ])("again: %s", (_, again, earlier, when, expected) => {
    const decision = decide(plan({ again }), earlier, { when });
    expect(decision.kind === "refused" ? decision.message : decision.kind).toBe(expected);
  });

  test("begins by itself a hundred times an hour at most; a person may", () => {
    const many = Array.from({ length: 100 }, (_, i) => ({
      ...over(i + 1, "2026-03-10T11:00", "2026-03-10T11:30"),
      key: `k${i}`,
      startedAt: at("2026-03-10T11:00") + 1 + i,
    }));
    expect(decide(always, many)).toEqual({
      kind: "refused",
      reason: "again",
      message: 'playbook "p" has begun 100 times for a/1 within an hour: do playbooks set each other off?',
      isTooOften: true,
    });
    expect(decide(always, many, { isByItself: false })).toMatchObject({ kind: "begin" });
    expect(decide(always, many.slice(1))).toMatchObject({ kind: "begin" });
    expect(decide(always, many, { when: "2026-03-10T12:01" })).toMatchObject({ kind: "begin" });
  });

  test("begins only with every input that has no default", () => {
    expect(decide(plan({}, { inputs }), [], { given: { level: "low", days: 7 } })).toEqual({
      kind: "refused",
      reason: "inputs",
      message: 'playbook "p" needs the input "why", which has no default',
    });
    expect(decide(plan({}, { inputs }), [], { given: { why: "x", level: "low", days: 7 } }).kind).toBe("begin");
  });
});
