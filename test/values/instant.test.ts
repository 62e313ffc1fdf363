import fc from "fast-check";
import { expect, it, test } from "vitest";
import { formatInstant, parseInstant } from "../../src/values/instant.js";

test.each([
  ["2026-03-02T09:00:00Z", 1772442000000],
  ["2026-03-02T10:00+01:00", 1772442000000],
  ["2026-03-02T10:00:00+0100", 1772442000000],
  ["2026-03-02T10:00+01", 1772442000000],
  ["2026-03-02T03:30:00-05:30", 1772442000000],
  ["2026-03-02T09:00:00.5Z", 1772442000500],
  ["2026-03-02T09:00:00.123456Z", 1772442000123],
  ["1969-12-31T23:59:59.999Z", -1],
  ["1970-01-01T00:00-00:00", 0],
  ["2026-03-02T09:00:00", undefined],
  ["2026-03-02", undefined],
  ["2026-03-02T09Z", undefined],
  ["2026-03-02 09:00Z", undefined],
  ["2026-02-29T09:00Z", undefined],
  ["2026-03-02T24:00Z", undefined],
  ["2026-03-02T09:60Z", undefined],
  ["2026-03-02T09:00:60Z", undefined],
  ["2026-03-02T09:00+24:00", undefined],
  ["2026-03-02T09:00.5Z", undefined],
  [" 2026-03-02T09:00Z", undefined],
  ["0001-01-01T00:00+01:00", undefined],
  ["9999-12-31T23:59-01:00", undefined],
  ["", undefined],
])("parseInstant(%j) is %s", (text, expected) => {
  expect(parseInstant(text)).toBe(expected);
});

test.each([
  [1772442000000, "2026-03-02T09:00:00Z"],
  [1772442000005, "2026-03-02T09:00:00.005Z"],
  [1772447025120, "2026-03-02T10:23:45.120Z"],
  [0, "1970-01-01T00:00:00Z"],
  [-1, "1969-12-31T23:59:59.999Z"],
  [-62135596800000, "0001-01-01T00:00:00Z"],
  [253402300799999, "9999-12-31T23:59:59.999Z"],
])("formatInstant(%d) is %s", (instant, expected) => {
  expect(formatInstant(instant)).toBe(expected);
});

it("reads back what it writes, as Date does", () => {
  fc.assert(
    fc.property(fc.integer({ min: -62135596800000, max: 253402300799999 }), (instant) => {
      expect(parseInstant(formatInstant(instant))).toBe(instant);
      expect(new Date(formatInstant(instant)).getTime()).toBe(instant);
    }),
    { numRuns: 1000 },
  );
});

it("refuses to write an instant outside the years 0001 to 9999", () => {
  expect(() => formatInstant(253402300800000)).toThrow(RangeError);
  expect(() => formatInstant(Number.NaN)).toThrow(RangeError);
});
