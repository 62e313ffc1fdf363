import fc from "fast-check";
import { expect, it, test } from "vitest";
import { formatDuration, isDuration, MAX_DURATION_AMOUNT, parseDuration } from "../../src/values/duration.js";

test.each([
  ["5 bd", { amount: 5, unit: "bd" }],
  ["5bd", { amount: 5, unit: "bd" }],
  ["-5 bd", { amount: -5, unit: "bd" }],
  ["120d", { amount: 120, unit: "d" }],
  ["-120d", { amount: -120, unit: "d" }],
  ["+30d", { amount: 30, unit: "d" }],
  ["0d", { amount: 0, unit: "d" }],
  ["-0 bd", { amount: 0, unit: "bd" }],
  ["48h", { amount: 48, unit: "h" }],
  ["90 s", { amount: 90, unit: "s" }],
  ["5m", { amount: 5, unit: "m" }],
  ["2 w", { amount: 2, unit: "w" }],
  ["6mo", { amount: 6, unit: "mo" }],
  ["1y", { amount: 1, unit: "y" }],
  ["100y", { amount: 100, unit: "y" }],
])("parseDuration(%j) is %j", (text, expected) => {
  expect(parseDuration(text)).toEqual(expected);
});

test.each([
  "",
  "5",
  "d",
  "5  bd",
  " 5d",
  "5d ",
  "1.5h",
  "5 D",
  "5 days",
  "--5d",
  "- 5d",
  "1e3d",
  "101y",
  "36526d",
  "99999999999s",
])("parseDuration(%j) is undefined", (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test.each([
  [{ amount: 5, unit: "bd" }, "5 bd"],
  [{ amount: -5, unit: "bd" }, "-5 bd"],
  [{ amount: -120, unit: "d" }, "-120d"],
  [{ amount: 4, unit: "mo" }, "4mo"],
] as const)("formatDuration(%j) is %j", (duration, expected) => {
  expect(formatDuration(duration)).toBe(expected);
});

it("reads back what it writes", () => {
  const aDuration = fc
    .constantFrom("s", "m", "h", "d", "w", "mo", "y", "bd" as const)
    .chain((unit) =>
      fc
        .integer({ min: -MAX_DURATION_AMOUNT[unit], max: MAX_DURATION_AMOUNT[unit] })
        .map((amount) => ({ amount, unit })),
    );
  fc.assert(
    fc.property(aDuration, (duration) => {
      expect(parseDuration(formatDuration(duration))).toEqual(duration);
    }),
  );
});

it("has whole amounts only", () => {
  expect(isDuration({ amount: 1.5, unit: "d" })).toBe(false);
  expect(isDuration({ amount: Number.NaN, unit: "d" })).toBe(false);
});
