import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { formatInstant, parseInstant } from "../../src/values/instant.js";
import { isTimeOfDay, msOfTime } from "../../src/values/time-of-day.js";
import {
  instantAt,
  instantOfLocal,
  instantOfWallClock,
  isZone,
  localDate,
  localParts,
  wallClockOf,
} from "../../src/values/zone.js";
import { anInstant, aZone, at } from "./samples.js";

test.each([
  ["Europe/Warsaw", true],
  ["UTC", true],
  ["America/Argentina/Buenos_Aires", true],
  ["Europe/Atlantis", false],
  ["+01:00", false],
  ["", false],
  ["Europe/Warsaw ", false],
])("isZone(%j) is %s", (name, expected) => {
  expect(isZone(name)).toBe(expected);
});

describe("from an instant to the wall", () => {
  test.each([
    ["2026-03-02T09:00:00.250Z", "Europe/Warsaw", { y: 2026, mo: 3, d: 2, h: 10, mi: 0, s: 0, ms: 250 }],
    ["2026-07-02T23:30:15Z", "Europe/Warsaw", { y: 2026, mo: 7, d: 3, h: 1, mi: 30, s: 15, ms: 0 }],
    ["2026-03-02T03:00:00Z", "America/New_York", { y: 2026, mo: 3, d: 1, h: 22, mi: 0, s: 0, ms: 0 }],
    ["2026-03-02T03:30:00Z", "Asia/Kolkata", { y: 2026, mo: 3, d: 2, h: 9, mi: 0, s: 0, ms: 0 }],
    ["2026-12-31T13:00:00Z", "Australia/Lord_Howe", { y: 2027, mo: 1, d: 1, h: 0, mi: 0, s: 0, ms: 0 }],
    ["2026-07-01T00:00:00Z", "Australia/Lord_Howe", { y: 2026, mo: 7, d: 1, h: 10, mi: 30, s: 0, ms: 0 }],
    ["2011-12-30T09:59:59.999Z", "Pacific/Apia", { y: 2011, mo: 12, d: 29, h: 23, mi: 59, s: 59, ms: 999 }],
    ["2011-12-30T10:00:00Z", "Pacific/Apia", { y: 2011, mo: 12, d: 31, h: 0, mi: 0, s: 0, ms: 0 }],
    ["1969-12-31T23:59:59.999Z", "UTC", { y: 1969, mo: 12, d: 31, h: 23, mi: 59, s: 59, ms: 999 }],
  ])("%s in %s", (instant, zone, expected) => {
    expect(localParts(at(instant), zone)).toEqual(expected);
  });

  it("knows the date there", () => {
    expect(localDate(at("2026-03-02T03:00Z"), "America/New_York")).toBe("2026-03-01");
    expect(localDate(at("2026-03-02T03:00Z"), "Asia/Kolkata")).toBe("2026-03-02");
  });
});

describe("from the wall to an instant", () => {
  // Literals from Python's zoneinfo with the rule applied by hand.
  test.each([
    ["2026-03-02", "10:00", "Europe/Warsaw", "2026-03-02T09:00:00Z", "winter"],
    ["2026-07-02", "10:00", "Europe/Warsaw", "2026-07-02T08:00:00Z", "summer"],
    ["2026-03-29", "02:30", "Europe/Warsaw", "2026-03-29T01:00:00Z", "in the gap: the first instant after"],
    ["2026-03-29", "02:00", "Europe/Warsaw", "2026-03-29T01:00:00Z", "the gap's first minute"],
    ["2026-03-29", "03:00", "Europe/Warsaw", "2026-03-29T01:00:00Z", "just after the gap"],
    ["2026-03-29", "01:59", "Europe/Warsaw", "2026-03-29T00:59:00Z", "just before the gap"],
    ["2026-10-25", "02:30", "Europe/Warsaw", "2026-10-25T00:30:00Z", "twice: the first"],
    ["2026-10-25", "03:00", "Europe/Warsaw", "2026-10-25T02:00:00Z", "just after the overlap"],
    ["2026-03-08", "02:30", "America/New_York", "2026-03-08T07:00:00Z", "gap west of Greenwich"],
    ["2026-11-01", "01:30", "America/New_York", "2026-11-01T05:30:00Z", "overlap west of Greenwich"],
    ["2026-03-02", "09:00", "Asia/Kolkata", "2026-03-02T03:30:00Z", "half-hour offset"],
    ["2026-10-04", "02:15", "Australia/Lord_Howe", "2026-10-03T15:30:00Z", "gap of 30 minutes"],
    ["2026-04-05", "01:45", "Australia/Lord_Howe", "2026-04-04T14:45:00Z", "overlap of 30 minutes"],
    ["2011-12-30", "10:00", "Pacific/Apia", "2011-12-30T10:00:00Z", "a skipped day"],
    ["2018-11-04", "00:00", "America/Sao_Paulo", "2018-11-04T03:00:00Z", "gap at midnight"],
    ["2018-11-04", "00:30", "America/Sao_Paulo", "2018-11-04T03:00:00Z", "gap at midnight"],
    ["2019-02-16", "23:30", "America/Sao_Paulo", "2019-02-17T01:30:00Z", "overlap before midnight"],
    ["2019-02-16", "24:00", "America/Sao_Paulo", "2019-02-17T03:00:00Z", "end of the day of 25 hours"],
    ["2026-03-02", "09:00", "America/Sao_Paulo", "2026-03-02T12:00:00Z", "no clock change any more"],
    ["2026-03-28", "23:30", "America/Nuuk", "2026-03-29T01:00:00Z", "gap before midnight"],
  ])("%s %s in %s is %s: %s", (date, time, zone, expected) => {
    expect(formatInstant(instantAt(date, time, zone))).toBe(expected);
  });

  it("takes the parts, down to the millisecond", () => {
    const parts = { y: 2026, mo: 3, d: 2, h: 10, mi: 23, s: 45, ms: 120 };
    expect(formatInstant(instantOfLocal(parts, "Europe/Warsaw"))).toBe("2026-03-02T09:23:45.120Z");
  });

  test.each([
    [{ d: 31, mo: 2 }],
    [{ h: 24 }],
    [{ h: -1 }],
    [{ mi: 60 }],
    [{ mi: -1 }],
    [{ s: 60 }],
    [{ s: -1 }],
    [{ ms: 1000 }],
    [{ ms: -1 }],
    [{ ms: 0.5 }],
  ])("refuses %j", (wrong) => {
    const parts = { y: 2026, mo: 3, d: 2, h: 10, mi: 0, s: 0, ms: 0, ...wrong };
    expect(() => instantOfLocal(parts, "UTC")).toThrow("not a local date and time");
  });

  it("refuses a zone that doesn't exist", () => {
    expect(() => instantAt("2026-03-02", "10:00", "Europe/Atlantis")).toThrow(RangeError);
    expect(() => localParts(0, "Europe/Atlantis")).toThrow(RangeError);
  });
});

it("comes back to the same wall clock, and to the same instant or its first pass", () => {
  fc.assert(
    fc.property(anInstant, aZone, (instant, zone) => {
      const back = instantOfWallClock(wallClockOf(instant, zone), zone);
      expect(back).toBeLessThanOrEqual(instant);
      expect(instantOfLocal(localParts(instant, zone), zone)).toBe(back);
      expect(wallClockOf(back, zone)).toEqual(wallClockOf(instant, zone));
    }),
    { numRuns: 1000 },
  );
});

it("is the first minute that shows the wall clock or, if none does, the first that shows more", () => {
  const minute = 60_000;
  // Near the changes of the zones of samples.ts, where mistakes would be.
  const changes = [
    "2026-03-29T01:00Z",
    "2026-10-25T01:00Z",
    "2026-03-08T07:00Z",
    "2026-11-01T06:00Z",
    "2026-10-03T15:30Z",
    "2026-04-04T15:00Z",
    "2018-11-04T03:00Z",
    "2019-02-17T02:00Z",
    "2011-12-30T10:00Z",
  ];
  fc.assert(
    fc.property(fc.constantFrom(...changes), fc.integer({ min: -900, max: 900 }), aZone, (change, minutes, zone) => {
      const near = wallClockOf(at(change), zone);
      const wanted = near.day * 86_400_000 + near.msOfDay + minutes * minute;
      const day = Math.floor(wanted / 86_400_000);
      let scanned = at(change) - 30 * 60 * minute;
      const shows = () => {
        const wall = wallClockOf(scanned, zone);
        return wall.day * 86_400_000 + wall.msOfDay;
      };
      while (shows() < wanted) scanned += minute;
      expect(formatInstant(instantOfWallClock({ day, msOfDay: wanted - day * 86_400_000 }, zone))).toBe(
        formatInstant(scanned),
      );
    }),
    { numRuns: 150 },
  );
});

it("knows every zone that the platform lists, and keeps its cache bounded", () => {
  for (const zone of Intl.supportedValuesOf("timeZone")) expect(isZone(zone)).toBe(true);
  // Spellings of one zone, more than the cache holds.
  const letters = [..."pacific/apia"];
  for (let spelling = 0; spelling < 1100; spelling++) {
    const name = letters.map((letter, i) => (spelling & (1 << i) ? letter.toUpperCase() : letter)).join("");
    expect(isZone(name)).toBe(true);
  }
  expect(localDate(parseInstant("2011-12-30T10:00Z") as number, "Pacific/Apia")).toBe("2011-12-31");
});

test.each([
  ["00:00", true],
  ["09:30", true],
  ["23:59", true],
  ["24:00", false],
  ["9:30", false],
  ["09:60", false],
  ["09:30:00", false],
])("isTimeOfDay(%j) is %s", (text, expected) => {
  expect(isTimeOfDay(text)).toBe(expected);
});

it("measures times of day from midnight", () => {
  expect(msOfTime("09:30")).toBe(34_200_000);
  expect(msOfTime("24:00")).toBe(86_400_000);
  expect(() => msOfTime("noon")).toThrow('not a time of day: "noon"');
});
