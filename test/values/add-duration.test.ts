import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { addDuration, addDurationToWallClock } from "../../src/values/add-duration.js";
import { type Calendar, isOpen, STANDARD_CALENDAR } from "../../src/values/calendar.js";
import { dayNumberOf } from "../../src/values/calendar-date.js";
import { type Duration, parseDuration } from "../../src/values/duration.js";
import { formatInstant } from "../../src/values/instant.js";
import { instantAt, wallClockOf } from "../../src/values/zone.js";
import { anInstant, aZone, at } from "./samples.js";

const duration = (text: string) => parseDuration(text) as Duration;
const add = (from: string, text: string, zone: string, calendar = STANDARD_CALENDAR) =>
  formatInstant(addDuration(at(from), duration(text), zone, calendar));

/** From and result as the wall shows them; literal on both sides, so the zone's offset is not in question. */
const onTheWall = (from: string, text: string, zone: string, calendar = STANDARD_CALENDAR) => {
  const [date, time] = from.split(" ") as [string, string];
  const result = addDuration(instantAt(date, time, zone), duration(text), zone, calendar);
  const { day, msOfDay } = wallClockOf(result, zone);
  return new Date(day * 86_400_000 + msOfDay).toISOString().slice(0, 16).replace("T", " ");
};

describe("working days, Monday to Friday 09:00–17:00", () => {
  // 2026-03-02 is a Monday. The first three are the language's own examples.
  const table = [
    ["2026-03-06 15:00", "2 bd", "2026-03-10 15:00", "Friday 15:00 + 2 bd = Tuesday 15:00"],
    ["2026-03-07 12:00", "1 bd", "2026-03-10 09:00", "Saturday 12:00 + 1 bd = Tuesday 09:00"],
    ["2026-03-06 20:00", "1 bd", "2026-03-10 09:00", "Friday 20:00 + 1 bd = Tuesday 09:00"],
    ["2026-03-02 10:00", "1 bd", "2026-03-03 10:00", "the next day at the same time"],
    ["2026-03-02 07:00", "1 bd", "2026-03-03 09:00", "before opening: opening"],
    ["2026-03-02 09:00", "1 bd", "2026-03-03 09:00", "at opening"],
    ["2026-03-02 16:59", "1 bd", "2026-03-03 16:59", "just before closing"],
    ["2026-03-02 17:00", "1 bd", "2026-03-04 09:00", "at closing: the next working day's opening"],
    ["2026-03-02 10:00", "5 bd", "2026-03-09 10:00", "a week"],
    ["2026-03-02 10:00", "20 bd", "2026-03-30 10:00", "four weeks, over a clock change in some zones"],
    ["2026-03-08 23:00", "5 bd", "2026-03-16 09:00", "from a Sunday: begins on Monday 09:00"],
    ["2026-03-06 00:00", "1 bd", "2026-03-09 09:00", "from midnight"],
    ["2026-03-02 10:00", "0 bd", "2026-03-02 10:00", "nought while open is now"],
    ["2026-03-02 07:00", "0 bd", "2026-03-02 09:00", "nought before opening"],
    ["2026-03-06 17:00", "0 bd", "2026-03-09 09:00", "nought at closing"],
    ["2026-03-07 12:00", "-0 bd", "2026-03-09 09:00", "nought on a Saturday, signed or not"],
    ["2026-03-10 15:00", "-2 bd", "2026-03-06 15:00", "back over the weekend"],
    ["2026-03-10 07:00", "-1 bd", "2026-03-09 09:00", "back, moved up to opening"],
    ["2026-03-10 20:00", "-1 bd", "2026-03-09 17:00", "back, moved back to closing"],
    ["2026-03-10 17:00", "-1 bd", "2026-03-09 17:00", "back, at closing it stays"],
    ["2026-03-07 12:00", "-1 bd", "2026-03-05 17:00", "back from a Saturday: begins on Friday 17:00"],
    ["2026-03-08 12:00", "-5 bd", "2026-02-27 17:00", "back from a Sunday, a week"],
  ] as const;
  for (const zone of [
    "Europe/Warsaw",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Sao_Paulo",
  ]) {
    test.each(table)(`${zone}: %s %s is %s: %s`, (from, text, expected) => {
      expect(onTheWall(from, text, zone)).toBe(expected);
    });
  }

  test.each([
    ["2026-03-27T14:00:00Z", "1 bd", "Europe/Warsaw", "2026-03-30T13:00:00Z", "over the change to summer time"],
    ["2026-10-23T13:00:00Z", "1 bd", "Europe/Warsaw", "2026-10-26T14:00:00Z", "over the change to winter time"],
    ["2026-03-06T15:00:00Z", "1 bd", "America/New_York", "2026-03-09T14:00:00Z", "10:00 there both times"],
    ["2026-03-06T22:30:00Z", "1 bd", "America/Sao_Paulo", "2026-03-10T12:00:00Z", "19:30 on Friday"],
    ["2026-03-06T04:00:00Z", "2 bd", "Asia/Kolkata", "2026-03-10T04:00:00Z", "09:30 there"],
    [
      "2026-04-02T22:30:00Z",
      "1 bd",
      "Australia/Lord_Howe",
      "2026-04-05T23:00:00Z",
      "Friday 09:30 +11 to Monday 09:30 +10:30",
    ],
    [
      "2026-03-01T20:00:00Z",
      "1 bd",
      "Pacific/Apia",
      "2026-03-02T20:00:00Z",
      "Monday there while it is Sunday in London",
    ],
    ["2026-03-06T14:00:30.250Z", "2 bd", "Europe/Warsaw", "2026-03-10T14:00:30.250Z", "seconds are kept"],
  ])("%s + %s in %s is %s: %s", (from, text, zone, expected) => {
    expect(add(from, text, zone)).toBe(expected);
  });
});

describe("holidays", () => {
  // Easter in Poland: Good Friday is a working day there, Monday 2026-04-06 is not. Then 1 May, a Friday.
  const poland: Calendar = { ...STANDARD_CALENDAR, name: "pl", holidays: ["2026-04-06", "2026-05-01", "2026-12-25"] };
  test.each([
    ["2026-04-03 15:00", "1 bd", "2026-04-07 15:00", "skipped on the way"],
    ["2026-04-06 15:00", "1 bd", "2026-04-08 09:00", "begun on a holiday"],
    ["2026-04-03 18:00", "1 bd", "2026-04-08 09:00", "after closing, the day it lands on is not the holiday"],
    ["2026-04-30 17:00", "0 bd", "2026-05-04 09:00", "closing before a long weekend"],
    ["2026-04-30 16:00", "1 bd", "2026-05-04 16:00", "a holiday on Friday"],
    ["2026-04-07 10:00", "-1 bd", "2026-04-03 10:00", "back over it"],
    ["2026-04-06 10:00", "-1 bd", "2026-04-02 17:00", "back from it"],
    ["2026-12-24 20:00", "1 bd", "2026-12-29 09:00", "Christmas"],
  ])("%s + %s is %s: %s", (from, text, expected) => {
    expect(onTheWall(from, text, "Europe/Warsaw", poland)).toBe(expected);
  });
});

describe("hours that differ by day: those of the day it lands on decide", () => {
  const shortFriday: Calendar = {
    name: "short Friday",
    hours: {
      ...STANDARD_CALENDAR.hours,
      mon: { open: "12:00", close: "20:00" },
      fri: { open: "09:00", close: "13:00" },
    },
    holidays: [],
  };
  test.each([
    ["2026-03-05 15:00", "1 bd", "2026-03-09 12:00", "Friday 15:00 is closed"],
    ["2026-03-06 15:00", "1 bd", "2026-03-09 15:00", "Friday is a working day, also after closing"],
    ["2026-03-07 15:00", "1 bd", "2026-03-10 12:00", "begun on Monday 12:00"],
    ["2026-03-06 10:00", "1 bd", "2026-03-09 12:00", "before Monday's opening"],
    ["2026-03-09 19:00", "1 bd", "2026-03-11 09:00", "after Tuesday's closing"],
    ["2026-03-09 19:00", "-1 bd", "2026-03-06 13:00", "back to Friday's closing"],
    ["2026-03-10 10:00", "-1 bd", "2026-03-09 12:00", "up to Monday's opening"],
    ["2026-03-08 10:00", "-1 bd", "2026-03-05 13:00", "back from Friday's closing, which is open on Thursday"],
  ])("%s + %s is %s: %s", (from, text, expected) => {
    expect(onTheWall(from, text, "Europe/Warsaw", shortFriday)).toBe(expected);
  });
});

describe("calendar units and exact units", () => {
  test.each([
    ["2026-03-28T09:00:00Z", "1d", "Europe/Warsaw", "2026-03-29T08:00:00Z", "a day of 23 hours"],
    ["2026-03-28T09:00:00Z", "24h", "Europe/Warsaw", "2026-03-29T09:00:00Z", "24 hours exactly"],
    ["2026-10-24T08:00:00Z", "1d", "Europe/Warsaw", "2026-10-25T09:00:00Z", "a day of 25 hours"],
    ["2026-03-28T01:30:00Z", "1d", "Europe/Warsaw", "2026-03-29T01:00:00Z", "02:30 is skipped: first instant after"],
    ["2026-03-28T01:30:00Z", "2d", "Europe/Warsaw", "2026-03-30T00:30:00Z", "02:30 again the day after"],
    ["2026-10-24T00:30:00Z", "1d", "Europe/Warsaw", "2026-10-25T00:30:00Z", "02:30 twice: the first"],
    ["2026-10-26T01:30:00Z", "-1d", "Europe/Warsaw", "2026-10-25T00:30:00Z", "back to 02:30 twice: the first"],
    ["2026-10-25T01:30:00Z", "0d", "Europe/Warsaw", "2026-10-25T01:30:00Z", "nought is now, in the second pass too"],
    ["2026-10-02T15:45:00Z", "1d", "Australia/Lord_Howe", "2026-10-03T15:30:00Z", "02:15 is skipped by half an hour"],
    ["2026-04-03T14:45:00Z", "1d", "Australia/Lord_Howe", "2026-04-04T14:45:00Z", "01:45 twice: the first"],
    ["2018-11-03T03:30:00Z", "1d", "America/Sao_Paulo", "2018-11-04T03:00:00Z", "00:30 is skipped at midnight"],
    ["2011-12-29T20:00:00Z", "1d", "Pacific/Apia", "2011-12-30T10:00:00Z", "a day that never was: first instant after"],
    ["2011-12-29T20:00:00Z", "2d", "Pacific/Apia", "2011-12-30T20:00:00Z", "two days on, 24 hours later"],
    ["2026-08-31T10:00:00Z", "1mo", "Asia/Kolkata", "2026-09-30T10:00:00Z", "clamped to the month's end"],
    ["2026-01-31T10:00:00Z", "1mo", "America/New_York", "2026-02-28T10:00:00Z", "February"],
    ["2024-01-31T10:00:00Z", "1mo", "America/New_York", "2024-02-29T10:00:00Z", "February of a leap year"],
    ["2024-02-29T10:00:00Z", "1y", "Asia/Kolkata", "2025-02-28T10:00:00Z", "from the leap day"],
    ["2024-02-29T10:00:00Z", "4y", "Asia/Kolkata", "2028-02-29T10:00:00Z", "to the leap day"],
    ["2026-03-31T10:00:00Z", "-1mo", "Asia/Kolkata", "2026-02-28T10:00:00Z", "back"],
    ["2026-03-01T23:30:00Z", "1mo", "Europe/Warsaw", "2026-04-01T22:30:00Z", "the day is the zone's: 2 March there"],
    ["2026-03-25T09:00:00Z", "1w", "Europe/Warsaw", "2026-04-01T08:00:00Z", "a week over the change"],
    ["2026-03-02T09:00:00Z", "-120d", "Europe/Warsaw", "2025-11-02T09:00:00Z", "back"],
    ["2026-03-02T09:00:00Z", "90s", "Europe/Warsaw", "2026-03-02T09:01:30Z", "seconds"],
    ["2026-03-02T09:00:00Z", "-5m", "Europe/Warsaw", "2026-03-02T08:55:00Z", "minutes"],
  ])("%s + %s in %s is %s: %s", (from, text, zone, expected) => {
    expect(add(from, text, zone)).toBe(expected);
  });

  it("keeps the time of day of a wall clock that doesn't exist", () => {
    const skipped = { day: dayNumberOf("2026-03-29"), msOfDay: 9_000_000 };
    const from = (text: string) =>
      formatInstant(addDurationToWallClock(skipped, duration(text), "Europe/Warsaw", STANDARD_CALENDAR));
    expect(from("1d")).toBe("2026-03-30T00:30:00Z");
    expect(from("0d")).toBe("2026-03-29T01:00:00Z");
    expect(from("1h")).toBe("2026-03-29T02:00:00Z");
    expect(() => from("101y")).toThrow();
  });

  it("refuses more than a century, fractions, and an unknown zone", () => {
    const days = (amount: number) => addDuration(0, { amount, unit: "d" }, "UTC", STANDARD_CALENDAR);
    expect(() => days(36_526)).toThrow('not a duration: {"amount":36526,"unit":"d"}');
    expect(() => days(0.5)).toThrow(RangeError);
    expect(() =>
      addDurationToWallClock({ day: 0, msOfDay: 0 }, { amount: 0.5, unit: "d" }, "UTC", STANDARD_CALENDAR),
    ).toThrow(RangeError);
    expect(() => addDuration(0, { amount: 1, unit: "d" }, "Europe/Atlantis", STANDARD_CALENDAR)).toThrow(RangeError);
  });
});

describe("for all instants and zones", () => {
  const bd = (from: number, amount: number, zone: string, calendar: Calendar) =>
    addDuration(from, { amount, unit: "bd" }, zone, calendar);
  const aHolidaySet = fc.uniqueArray(
    fc.integer({ min: 14_610, max: 23_741 }).map((day) => new Date(day * 86_400_000).toISOString().slice(0, 10)),
    { maxLength: 60 },
  );
  const aCalendar = aHolidaySet.map((holidays): Calendar => ({ ...STANDARD_CALENDAR, holidays }));
  const aCount = fc.integer({ min: 0, max: 300 });
  // Without Apia, where the skipped Friday 2011-12-30 is a working day on which nothing is ever open.
  const aWholeZone = aZone.filter((zone) => zone !== "Pacific/Apia");

  it("n bd is open, and at the same time of day or at an opening", () => {
    fc.assert(
      fc.property(anInstant, aCount, aWholeZone, aCalendar, (from, count, zone, calendar) => {
        const result = bd(from, count, zone, calendar);
        expect(isOpen(result, zone, calendar)).toBe(true);
        expect([wallClockOf(from, zone).msOfDay, 32_400_000]).toContain(wallClockOf(result, zone).msOfDay);
      }),
      { numRuns: 500 },
    );
  });

  it("n bd is never before from, -n bd never after", () => {
    fc.assert(
      fc.property(anInstant, aCount, aZone, aCalendar, (from, count, zone, calendar) => {
        expect(bd(from, count, zone, calendar)).toBeGreaterThanOrEqual(from);
        if (count > 0) expect(bd(from, -count, zone, calendar)).toBeLessThan(from);
      }),
      { numRuns: 500 },
    );
  });

  it("a later start, or one day more, is never earlier", () => {
    const aStep = fc.integer({ min: 0, max: 4 * 86_400_000 });
    fc.assert(
      fc.property(anInstant, aStep, aCount, aZone, aCalendar, (from, step, count, zone, calendar) => {
        const result = bd(from, count, zone, calendar);
        expect(bd(from + step, count, zone, calendar)).toBeGreaterThanOrEqual(result);
        expect(bd(from, count + 1, zone, calendar)).toBeGreaterThan(result);
        expect(bd(from + step, -count - 1, zone, calendar)).toBeGreaterThanOrEqual(
          bd(from, -count - 1, zone, calendar),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("n bd and then -n bd comes back to where it was open", () => {
    fc.assert(
      fc.property(anInstant, aCount, aWholeZone, aCalendar, (from, count, zone, calendar) => {
        const open = bd(from, 0, zone, calendar);
        expect(bd(bd(open, count, zone, calendar), -count, zone, calendar)).toBe(open);
      }),
      { numRuns: 500 },
    );
  });

  it("n bd is n times 1 bd", () => {
    fc.assert(
      fc.property(anInstant, fc.integer({ min: 1, max: 15 }), aWholeZone, aCalendar, (from, count, zone, calendar) => {
        let stepwise = from;
        for (let i = 0; i < count; i++) stepwise = bd(stepwise, 1, zone, calendar);
        expect(bd(from, count, zone, calendar)).toBe(stepwise);
      }),
      { numRuns: 200 },
    );
  });
});
