import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import {
  addDays,
  addMonths,
  civilOfDay,
  dateOfDayNumber,
  dayNumberOf,
  dayNumberOfCivil,
  daysBetween,
  isCalendarDate,
  weekdayOf,
} from "../../src/values/calendar-date.js";

test.each([
  ["2026-03-02", true],
  ["2024-02-29", true],
  ["2000-02-29", true],
  ["0001-01-01", true],
  ["9999-12-31", true],
  ["2026-02-29", false],
  ["1900-02-29", false],
  ["2026-04-31", false],
  ["2026-13-01", false],
  ["2026-00-01", false],
  ["2026-01-00", false],
  ["0000-01-01", false],
  ["2026-3-2", false],
  ["2026-03-02 ", false],
  ["", false],
])("isCalendarDate(%j) is %s", (text, expected) => {
  expect(isCalendarDate(text)).toBe(expected);
});

test.each([
  ["2026-02-28", 1, "2026-03-01"],
  ["2024-02-28", 1, "2024-02-29"],
  ["2026-01-01", -1, "2025-12-31"],
  ["2026-03-02", -120, "2025-11-02"],
  ["2026-03-02", 0, "2026-03-02"],
])("addDays(%s, %d) is %s", (date, days, expected) => {
  expect(addDays(date, days)).toBe(expected);
});

test.each([
  ["2026-08-31", 1, "2026-09-30"],
  ["2026-01-31", 1, "2026-02-28"],
  ["2024-01-31", 1, "2024-02-29"],
  ["2024-02-29", 12, "2025-02-28"],
  ["2024-02-29", 48, "2028-02-29"],
  ["2026-03-31", -1, "2026-02-28"],
  ["2026-01-15", -1, "2025-12-15"],
  ["2026-12-31", 2, "2027-02-28"],
])("addMonths(%s, %d) is %s", (date, months, expected) => {
  expect(addMonths(date, months)).toBe(expected);
});

test.each([
  ["2026-03-02", "mon"],
  ["2026-03-08", "sun"],
  ["1970-01-01", "thu"],
  ["1969-12-31", "wed"],
  ["0001-01-01", "mon"],
  ["2024-02-29", "thu"],
])("weekdayOf(%s) is %s", (date, expected) => {
  expect(weekdayOf(date)).toBe(expected);
});

describe("day numbers", () => {
  it("count from 1970 and both ways", () => {
    expect(dayNumberOf("1970-01-01")).toBe(0);
    expect(dayNumberOf("1969-12-31")).toBe(-1);
    expect(dayNumberOf("2000-03-01")).toBe(11017);
    expect(daysBetween("2026-03-02", "2026-03-31")).toBe(29);
    expect(daysBetween("2026-03-31", "2026-03-02")).toBe(-29);
    expect(dayNumberOfCivil(2026.5, 1, 1)).toBeUndefined();
    expect(dayNumberOfCivil(2026, 1.5, 1)).toBeUndefined();
    expect(dayNumberOfCivil(2026, 1, 1.5)).toBeUndefined();
  });

  it("agree with Date on every day number", () => {
    fc.assert(
      fc.property(fc.integer({ min: dayNumberOf("0001-01-01"), max: dayNumberOf("9999-12-31") }), (day) => {
        const date = new Date(day * 86_400_000).toISOString().slice(0, 10);
        expect(dateOfDayNumber(day)).toBe(date);
        expect(dayNumberOf(date)).toBe(day);
      }),
      { numRuns: 2000 },
    );
  });

  it("refuse what has no four-digit year, and text that is no date", () => {
    expect(() => addDays("9999-12-31", 1)).toThrow(RangeError);
    expect(() => addMonths("0001-01-01", -1)).toThrow(RangeError);
    expect(() => civilOfDay(Number.NaN)).toThrow(RangeError);
    expect(() => dayNumberOf("tomorrow")).toThrow('not a calendar date: "tomorrow"');
  });
});
