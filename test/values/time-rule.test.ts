import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { type Calendar, STANDARD_CALENDAR } from "../../src/values/calendar.js";
import { formatInstant } from "../../src/values/instant.js";
import { formatTimeRule, parseTimeRule, resolveTimeRule, type TimeRule } from "../../src/values/time-rule.js";
import { anInstant, aZone, at } from "./samples.js";

const WARSAW = "Europe/Warsaw";
const POLAND: Calendar = { ...STANDARD_CALENDAR, name: "pl", holidays: ["2026-04-06"] };
const resolve = (rule: TimeRule, from: string, zone: string, calendar = POLAND) =>
  formatInstant(resolveTimeRule(rule, at(from), zone, calendar));

describe("a rule that a text names", () => {
  // 2026-03-02 is a Monday; Warsaw is at +01:00 until 2026-03-29T01:00Z, then at +02:00.
  test.each([
    ["now", "2026-03-07T11:00:00Z", WARSAW, "2026-03-07T11:00:00Z", "also on a Saturday"],
    ["5 bd", "2026-03-02T09:00:00Z", WARSAW, "2026-03-09T09:00:00Z", "working days"],
    ["48h", "2026-03-28T09:00:00Z", WARSAW, "2026-03-30T09:00:00Z", "exact"],
    ["2d", "2026-03-28T09:00:00Z", WARSAW, "2026-03-30T08:00:00Z", "calendar days"],
    ["-1d", "2026-03-02T09:00:00Z", WARSAW, "2026-03-01T09:00:00Z", "back"],
    ["working hours", "2026-03-02T09:00:00Z", WARSAW, "2026-03-02T09:00:00Z", "open: now"],
    ["working hours", "2026-03-02T16:00:00Z", WARSAW, "2026-03-03T08:00:00Z", "at closing"],
    ["working hours", "2026-03-28T09:00:00Z", WARSAW, "2026-03-30T07:00:00Z", "Saturday before summer time"],
    ["working hours", "2026-04-04T09:00:00Z", WARSAW, "2026-04-07T07:00:00Z", "over a holiday"],
    ["working hours", "2026-03-02T09:00:00Z", "America/New_York", "2026-03-02T14:00:00Z", "04:00 there"],
    ["09:30", "2026-03-07T08:00:00Z", WARSAW, "2026-03-07T08:30:00Z", "later today, a Saturday too"],
    ["09:30", "2026-03-07T08:30:00Z", WARSAW, "2026-03-07T08:30:00Z", "exactly now"],
    ["09:30", "2026-03-07T08:30:00.001Z", WARSAW, "2026-03-08T08:30:00Z", "a moment late: tomorrow"],
    ["09:30", "2026-03-28T12:00:00Z", WARSAW, "2026-03-29T07:30:00Z", "tomorrow, in summer time"],
    ["02:30", "2026-03-28T12:00:00Z", WARSAW, "2026-03-29T01:00:00Z", "skipped: first instant after"],
    ["02:30", "2026-03-29T01:00:00Z", WARSAW, "2026-03-29T01:00:00Z", "that instant counts as exactly now"],
    ["02:30", "2026-03-29T01:01:00Z", WARSAW, "2026-03-30T00:30:00Z", "after it: tomorrow"],
    ["02:30", "2026-10-24T12:00:00Z", WARSAW, "2026-10-25T00:30:00Z", "twice: the first"],
    ["02:30", "2026-10-25T01:30:00Z", WARSAW, "2026-10-26T01:30:00Z", "the second pass doesn't count"],
    ["02:15", "2026-10-03T12:00:00Z", "Australia/Lord_Howe", "2026-10-03T15:30:00Z", "a gap of half an hour"],
    ["00:30", "2018-11-03T12:00:00Z", "America/Sao_Paulo", "2018-11-04T03:00:00Z", "a gap at midnight"],
    ["23:30", "2026-03-29T01:00:00Z", "America/Nuuk", "2026-03-29T01:00:00Z", "a gap up to midnight: yesterday's, now"],
    ["10:00", "2011-12-30T09:00:00Z", "Pacific/Apia", "2011-12-30T10:00:00Z", "a day that never was"],
    ["09:30", "2026-03-02T05:00:00Z", "Asia/Kolkata", "2026-03-03T04:00:00Z", "10:30 there"],
    ["working hours 09:30", "2026-03-02T08:00:00Z", WARSAW, "2026-03-02T08:30:00Z", "later today"],
    ["working hours 09:30", "2026-03-02T08:30:00Z", WARSAW, "2026-03-02T08:30:00Z", "exactly now"],
    ["working hours 09:30", "2026-03-06T09:00:00Z", WARSAW, "2026-03-09T08:30:00Z", "Friday, too late"],
    ["working hours 09:30", "2026-04-03T12:00:00Z", WARSAW, "2026-04-07T07:30:00Z", "over weekend and holiday"],
    ["working hours 07:00", "2026-03-07T08:00:00Z", WARSAW, "2026-03-09T06:00:00Z", "a working day, not working hours"],
    ["monday", "2026-03-02T09:17:00Z", WARSAW, "2026-03-02T09:17:00Z", "it is Monday: now"],
    ["monday", "2026-03-03T09:17:00Z", WARSAW, "2026-03-08T23:00:00Z", "else the start of the next one"],
    ["monday", "2026-03-01T23:30:00Z", WARSAW, "2026-03-01T23:30:00Z", "already Monday there"],
    ["sunday", "2018-11-02T12:00:00Z", "America/Sao_Paulo", "2018-11-04T03:00:00Z", "a day that starts at 01:00"],
    ["monday 09:30", "2026-03-02T08:30:00Z", WARSAW, "2026-03-02T08:30:00Z", "exactly now"],
    ["monday 09:30", "2026-03-02T08:00:00Z", WARSAW, "2026-03-02T08:30:00Z", "later today"],
    ["monday 09:30", "2026-03-02T08:31:00Z", WARSAW, "2026-03-09T08:30:00Z", "too late today"],
    ["Friday 17:00", "2026-03-02T08:31:00Z", WARSAW, "2026-03-06T16:00:00Z", "later this week"],
    ["sunday 02:30", "2026-03-23T09:00:00Z", WARSAW, "2026-03-29T01:00:00Z", "skipped"],
  ])("%s from %s in %s is %s: %s", (text, from, zone, expected) => {
    const rule = parseTimeRule(text) as TimeRule;
    expect(resolve(rule, from, zone)).toBe(expected);
  });
});

describe("a date", () => {
  test.each<[string, TimeRule, string, string]>([
    ["in its zone", { kind: "date", date: "2026-06-30", time: "09:00" }, WARSAW, "2026-06-30T07:00:00Z"],
    ["in the past all the same", { kind: "date", date: "2020-06-30", time: "09:00" }, WARSAW, "2020-06-30T07:00:00Z"],
    ["that is skipped", { kind: "date", date: "2026-03-29", time: "02:30" }, WARSAW, "2026-03-29T01:00:00Z"],
    [
      "120 days before",
      { kind: "date", date: "2026-06-30", time: "09:00", offset: { amount: -120, unit: "d" } },
      WARSAW,
      "2026-03-02T08:00:00Z",
    ],
    [
      "30 days after",
      { kind: "date", date: "2026-03-01", time: "09:00", offset: { amount: 30, unit: "d" } },
      WARSAW,
      "2026-03-31T07:00:00Z",
    ],
    [
      "a day after a skipped time keeps the time",
      { kind: "date", date: "2026-03-29", time: "02:30", offset: { amount: 1, unit: "d" } },
      WARSAW,
      "2026-03-30T00:30:00Z",
    ],
    [
      "working days before a Sunday, from the previous closing",
      { kind: "date", date: "2026-03-08", time: "09:00", offset: { amount: -1, unit: "bd" } },
      WARSAW,
      "2026-03-05T16:00:00Z",
    ],
    [
      "nought working days from a Sunday",
      { kind: "date", date: "2026-03-08", time: "09:00", offset: { amount: 0, unit: "bd" } },
      WARSAW,
      "2026-03-09T08:00:00Z",
    ],
    [
      "hours before",
      { kind: "date", date: "2026-03-08", time: "09:00", offset: { amount: -48, unit: "h" } },
      "Asia/Kolkata",
      "2026-03-06T03:30:00Z",
    ],
  ])("%s", (_, rule, zone, expected) => {
    expect(resolve(rule, "2026-03-02T09:00Z", zone)).toBe(expected);
  });

  it("that doesn't exist is refused", () => {
    expect(() => resolve({ kind: "date", date: "2026-02-29", time: "09:00" }, "2026-03-02T09:00Z", WARSAW)).toThrow(
      RangeError,
    );
  });
});

describe("parseTimeRule and formatTimeRule", () => {
  test.each<[string, TimeRule]>([
    ["now", { kind: "now" }],
    ["5 bd", { kind: "after", duration: { amount: 5, unit: "bd" } }],
    ["-120d", { kind: "after", duration: { amount: -120, unit: "d" } }],
    ["working hours", { kind: "working_hours" }],
    ["09:30", { kind: "time_of_day", time: "09:30" }],
    ["working hours 09:30", { kind: "working_hours_at", time: "09:30" }],
    ["monday", { kind: "weekday", day: "mon" }],
    ["sunday 23:59", { kind: "weekday", day: "sun", time: "23:59" }],
  ])("%j", (text, rule) => {
    expect(parseTimeRule(text)).toEqual(rule);
    expect(formatTimeRule(rule)).toBe(text);
  });

  test.each<[TimeRule, string]>([
    [{ kind: "date", date: "2026-06-30", time: "09:00" }, "2026-06-30 09:00"],
    [
      { kind: "date", date: "2026-06-30", time: "09:00", offset: { amount: -120, unit: "d" } },
      "120d before 2026-06-30 09:00",
    ],
    [
      { kind: "date", date: "2026-06-30", time: "09:00", offset: { amount: 5, unit: "bd" } },
      "5 bd after 2026-06-30 09:00",
    ],
  ])("%j is written", (rule, text) => {
    expect(formatTimeRule(rule)).toBe(text);
  });

  it("takes a weekday's name with a capital", () => {
    expect(parseTimeRule("Wednesday 10:00")).toEqual({ kind: "weekday", day: "wed", time: "10:00" });
  });

  test.each([
    "",
    "9:30",
    "24:00",
    "25:00",
    "monday 9:30",
    "monday 24:00",
    "mon",
    "someday",
    "working hours 24:00",
    "working  hours",
    "now 09:30",
    "monday\n09:30",
  ])("%j names none", (text) => {
    expect(parseTimeRule(text)).toBeUndefined();
  });
});

describe("for all instants and zones", () => {
  const aTime = fc
    .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
    .map(([h, mi]) => `${String(h).padStart(2, "0")}:${String(mi).padStart(2, "0")}`);
  const aDay = fc.constantFrom("mon", "tue", "wed", "thu", "fri", "sat", "sun" as const);
  const aForwardRule: fc.Arbitrary<TimeRule> = fc.oneof(
    fc.constant<TimeRule>({ kind: "now" }),
    fc.constant<TimeRule>({ kind: "working_hours" }),
    aTime.map((time): TimeRule => ({ kind: "time_of_day", time })),
    aTime.map((time): TimeRule => ({ kind: "working_hours_at", time })),
    aDay.map((day): TimeRule => ({ kind: "weekday", day })),
    fc.tuple(aDay, aTime).map(([day, time]): TimeRule => ({ kind: "weekday", day, time })),
  );
  const aWait: fc.Arbitrary<TimeRule> = fc
    .tuple(fc.integer({ min: 0, max: 400 }), fc.constantFrom("s", "m", "h", "d", "w", "mo", "bd" as const))
    .map(([amount, unit]) => ({ kind: "after", duration: { amount, unit } }));

  it("the result is never before from", () => {
    fc.assert(
      fc.property(fc.oneof(aForwardRule, aWait), anInstant, aZone, (rule, from, zone) => {
        expect(resolveTimeRule(rule, from, zone, POLAND)).toBeGreaterThanOrEqual(from);
      }),
      { numRuns: 1000 },
    );
  });

  it("resolved again at the result, or anywhere on the way, it is the same", () => {
    fc.assert(
      fc.property(
        aForwardRule,
        anInstant,
        aZone,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (rule, from, zone, share) => {
          const result = resolveTimeRule(rule, from, zone, POLAND);
          const onTheWay = from + Math.floor((result - from) * share);
          expect(resolveTimeRule(rule, result, zone, POLAND)).toBe(result);
          if (rule.kind !== "now") expect(resolveTimeRule(rule, onTheWay, zone, POLAND)).toBe(result);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
