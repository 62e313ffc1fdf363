import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import {
  type Calendar,
  calendarProblem,
  isOpen,
  isWorkingDay,
  nextOpening,
  openFrom,
  previousClosing,
  STANDARD_CALENDAR,
  workingDaysOf,
} from "../../src/values/calendar.js";
import { addDays, type CalendarDate } from "../../src/values/calendar-date.js";
import { formatInstant } from "../../src/values/instant.js";
import { anInstant, aZone, at } from "./samples.js";

const WARSAW = "Europe/Warsaw";
const hours = { open: "09:00", close: "17:00" };
const withHolidays = (...holidays: CalendarDate[]): Calendar => ({ ...STANDARD_CALENDAR, holidays });
const datesFrom = (first: CalendarDate, count: number) => Array.from({ length: count }, (_, i) => addDays(first, i));

describe("opening hours in Europe/Warsaw, Monday to Friday 09:00–17:00, closed on 2026-04-06 (a Monday)", () => {
  const calendar = withHolidays("2026-04-06");
  // instant, open?, next opening, previous closing
  test.each([
    ["2026-03-02T08:00:00Z", true, "2026-03-02T08:00:00Z", "2026-02-27T16:00:00Z", "at opening"],
    ["2026-03-02T07:59:59.999Z", false, "2026-03-02T08:00:00Z", "2026-02-27T16:00:00Z", "just before opening"],
    ["2026-03-02T15:59:59.999Z", true, "2026-03-03T08:00:00Z", "2026-02-27T16:00:00Z", "just before closing"],
    ["2026-03-02T16:00:00Z", false, "2026-03-03T08:00:00Z", "2026-03-02T16:00:00Z", "at closing"],
    ["2026-03-07T11:00:00Z", false, "2026-03-09T08:00:00Z", "2026-03-06T16:00:00Z", "on a Saturday"],
    ["2026-03-28T11:00:00Z", false, "2026-03-30T07:00:00Z", "2026-03-27T16:00:00Z", "over the change to summer time"],
    ["2026-04-03T15:30:00Z", false, "2026-04-07T07:00:00Z", "2026-04-03T15:00:00Z", "before a weekend with a holiday"],
    ["2026-04-06T10:00:00Z", false, "2026-04-07T07:00:00Z", "2026-04-03T15:00:00Z", "on a holiday"],
  ])("%s: open %s, next opening %s, previous closing %s: %s", (instant, open, opening, closing) => {
    expect(isOpen(at(instant), WARSAW, calendar)).toBe(open);
    expect(formatInstant(nextOpening(at(instant), WARSAW, calendar))).toBe(opening);
    expect(formatInstant(previousClosing(at(instant), WARSAW, calendar))).toBe(closing);
    expect(openFrom(at(instant), WARSAW, calendar)).toBe(open ? at(instant) : at(opening));
  });
});

it("goes by the zone it is asked for", () => {
  const instant = at("2026-03-02T14:00Z");
  expect(isOpen(instant, "America/New_York", STANDARD_CALENDAR)).toBe(true);
  expect(isOpen(instant, "Asia/Kolkata", STANDARD_CALENDAR)).toBe(false);
  expect(isOpen(at("2026-03-02T13:59Z"), "America/New_York", STANDARD_CALENDAR)).toBe(false);
});

it("is open round the clock from 00:00 to 24:00", () => {
  const always: Calendar = {
    name: "always",
    hours: Object.fromEntries(
      ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].map((day) => [day, { open: "00:00", close: "24:00" }]),
    ),
    holidays: [],
  };
  expect(calendarProblem(always)).toBeUndefined();
  fc.assert(fc.property(anInstant, aZone, (instant, zone) => isOpen(instant, zone, always)));
});

it("opens nothing when a clock change skips the whole working time", () => {
  // Sunday 2026-03-29, 02:00–03:00, doesn't exist in Warsaw.
  const night: Calendar = { name: "night", hours: { sun: { open: "02:10", close: "02:50" } }, holidays: [] };
  expect(isOpen(at("2026-03-29T01:00Z"), WARSAW, night)).toBe(false);
  expect(formatInstant(nextOpening(at("2026-03-28T12:00Z"), WARSAW, night))).toBe("2026-04-05T00:10:00Z");
  expect(formatInstant(previousClosing(at("2026-03-30T12:00Z"), WARSAW, night))).toBe("2026-03-22T01:50:00Z");
});

it("has a next opening that is open and a previous closing that is not, with the instant between", () => {
  fc.assert(
    fc.property(anInstant, aZone, (instant, zone) => {
      const opening = nextOpening(instant, zone, STANDARD_CALENDAR);
      const closing = previousClosing(instant, zone, STANDARD_CALENDAR);
      expect(closing).toBeLessThanOrEqual(instant);
      expect(opening).toBeGreaterThanOrEqual(instant);
      expect(isOpen(opening, zone, STANDARD_CALENDAR)).toBe(true);
      expect(isOpen(opening - 1, zone, STANDARD_CALENDAR)).toBe(false);
      expect(isOpen(closing, zone, STANDARD_CALENDAR)).toBe(false);
      expect(isOpen(closing - 1, zone, STANDARD_CALENDAR)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

it("knows working days", () => {
  const calendar = withHolidays("2026-04-06");
  expect(isWorkingDay("2026-04-03", calendar)).toBe(true);
  expect(isWorkingDay("2026-04-04", calendar)).toBe(false);
  expect(isWorkingDay("2026-04-06", calendar)).toBe(false);
});

describe("calendarProblem", () => {
  test.each<[string, Calendar, string | undefined]>([
    ["the standard calendar", STANDARD_CALENDAR, undefined],
    [
      "holidays in any order, twice, at weekends",
      withHolidays("2026-12-25", "2026-01-01", "2026-12-25", "2026-12-26"),
      undefined,
    ],
    ["no hours", { name: "x", hours: {}, holidays: [] }, "no day of the week has working hours"],
    [
      "an unknown day",
      { name: "x", hours: { monday: hours } as Calendar["hours"], holidays: [] },
      '"monday" is no day of the week; use mon, tue, wed, thu, fri, sat, sun',
    ],
    [
      "a bad opening",
      { name: "x", hours: { mon: { open: "9:00", close: "17:00" } }, holidays: [] },
      'mon: open "9:00" is no time of day; write it as "09:00"',
    ],
    [
      "a bad closing",
      { name: "x", hours: { mon: { open: "09:00", close: "24:30" } }, holidays: [] },
      'mon: close "24:30" is no time of day; write it as "17:00" ("24:00" for the end of the day)',
    ],
    [
      "closing before opening",
      { name: "x", hours: { mon: { open: "22:00", close: "06:00" } }, holidays: [] },
      "mon: open 22:00 must be before close 06:00",
    ],
    [
      "closing at opening",
      { name: "x", hours: { mon: { open: "09:00", close: "09:00" } }, holidays: [] },
      "mon: open 09:00 must be before close 09:00",
    ],
    ["a bad holiday", withHolidays("2026-02-29"), 'holiday "2026-02-29" is no date; write it as "2026-12-25"'],
    ["too many holidays", withHolidays(...datesFrom("2026-01-01", 4001)), "more than 4000 holidays"],
    // From Friday 2026-01-02 to Monday 2027-01-04 are 367 days.
    [
      "a year of holidays",
      withHolidays(...datesFrom("2026-01-05", 364)),
      "holidays leave no working day within 366 days after 2026-01-02",
    ],
    ["almost a year of holidays", withHolidays(...datesFrom("2026-01-05", 361)), undefined],
    [
      "one day a week, 52 of them holidays",
      {
        name: "x",
        hours: { mon: hours },
        holidays: Array.from({ length: 52 }, (_, i) => addDays("2026-01-05", 7 * i)).reverse(),
      },
      "holidays leave no working day within 366 days after 2025-12-29",
    ],
    [
      "one day a week, 51 of them holidays",
      {
        name: "x",
        hours: { mon: hours },
        holidays: Array.from({ length: 51 }, (_, i) => addDays("2026-01-05", 7 * i)),
      },
      undefined,
    ],
  ])("%s", (_, calendar, expected) => {
    expect(calendarProblem(calendar)).toBe(expected);
  });

  it("lets through exactly the closures that a search survives", () => {
    const aClosure = fc.record({
      first: fc.integer({ min: 0, max: 6 }).map((offset) => addDays("2026-01-05", offset)),
      length: fc.integer({ min: 355, max: 370 }),
      weekdays: fc.subarray(["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const, { minLength: 1 }),
    });
    fc.assert(
      fc.property(aClosure, ({ first, length, weekdays }) => {
        const calendar: Calendar = {
          name: "x",
          hours: Object.fromEntries(weekdays.map((day) => [day, hours])),
          holidays: datesFrom(first, length),
        };
        const days = workingDaysOf(calendar);
        const start = Date.parse(first) / 86_400_000;
        const searches = Array.from({ length: length + 20 }, (_, i) => start - 10 + i);
        const survives = (() => {
          try {
            for (const day of searches) expect(days.next(day)).toBeGreaterThan(day);
            return true;
          } catch {
            return false;
          }
        })();
        expect(calendarProblem(calendar) === undefined).toBe(survives);
      }),
    );
  });
});

it("fails with the calendar's name rather than search for ever", () => {
  const never: Calendar = { name: "never", hours: {}, holidays: [] };
  expect(isOpen(0, "UTC", never)).toBe(false);
  expect(() => nextOpening(0, "UTC", never)).toThrow(
    'calendar "never" has no working day within 366 days after 1970-01-01',
  );
  expect(() => previousClosing(0, "UTC", never)).toThrow(
    'calendar "never" has no working day within 366 days before 1970-01-01',
  );
});
