import { describe, expect, test } from "vitest";
import { type Band, bandOf, causeOf, nextStanding, type Standing } from "../../src/customers/hysteresis.js";
import { MODEL } from "./models.js";

const next = (
  previous: Standing | undefined,
  score: number | null,
  more: { isDaily?: boolean; isModelNew?: boolean; coverage?: number } = {},
) =>
  nextStanding(previous, { score, coverage: more.coverage ?? 1 }, MODEL, {
    isDaily: more.isDaily ?? true,
    isModelNew: more.isModelNew ?? false,
  });
const held = (band: Band | null, outside = 0): Standing => ({ band, outside });

test("every score lies in exactly one band", () => {
  expect([0, 49.999, 50, 74.999, 75, 100].map((score) => bandOf(score, MODEL))).toEqual([
    "red",
    "red",
    "yellow",
    "yellow",
    "green",
    "green",
  ]);
});

describe("the band changes", () => {
  test.each<[string, Standing, number, boolean, Standing]>([
    ["not inside it", held("green", 1), 75, true, held("green", 0)],
    ["not at once less than 5 points below", held("green"), 70.01, true, held("green", 1)],
    ["at once 5 points below", held("green"), 70, true, held("yellow", 0)],
    ["at once far below", held("green"), 10, true, held("red", 0)],
    ["not at once less than 5 points above", held("yellow"), 79.99, true, held("yellow", 1)],
    ["at once 5 points above", held("yellow"), 80, true, held("green", 0)],
    ["at once 5 points above red", held("red"), 55, true, held("yellow", 0)],
    ["not less than 5 points above red", held("red"), 54, true, held("red", 1)],
    ["after the second day outside", held("green", 1), 74, true, held("yellow", 0)],
    ["after the second day outside, upwards", held("red", 1), 51, true, held("yellow", 0)],
    ["on an event, at once 5 points below", held("green"), 70, false, held("yellow", 0)],
    ["not on an event, however many", held("green", 1), 74, false, held("green", 1)],
    ["not after an event found it inside again", held("green", 1), 76, false, held("green", 0)],
  ])("%s", (_name, before, score, isDaily, expected) => {
    expect(next(before, score, { isDaily })).toEqual({ ...expected, status: expected.band, isFirst: false });
  });
});

describe("unknown", () => {
  test("below the coverage, whatever the score; the band waits", () => {
    expect(next(held("green", 1), 10, { coverage: 0.59 })).toEqual({
      band: "green",
      outside: 0,
      status: "unknown",
      isFirst: false,
    });
    expect(next(held("green"), null)).toMatchObject({ status: "unknown" });
    expect(next(held("green"), 10, { coverage: 0.6 })).toMatchObject({ status: "red" });
  });
  test("back from it, hysteresis still holds the band", () => {
    expect(next(held("green"), 73)).toEqual({ band: "green", outside: 1, status: "green", isFirst: false });
  });
});

describe("the first status", () => {
  test("is the score's band", () =>
    expect(next(undefined, 74)).toEqual({ band: "yellow", outside: 0, status: "yellow", isFirst: true }));
  test("may be unknown; the first known one is a first one too", () => {
    expect(next(undefined, null)).toEqual({ band: null, outside: 0, status: "unknown", isFirst: true });
    expect(next(held(null), null)).toEqual({ band: null, outside: 0, status: "unknown", isFirst: false });
    expect(next(held(null), 20)).toEqual({ band: "red", outside: 0, status: "red", isFirst: true });
  });
});

test("a new model takes the score's band at once, and forgets the old one where data is short", () => {
  expect(next(held("green"), 73, { isModelNew: true })).toMatchObject({ band: "yellow", status: "yellow" });
  expect(next(held("green"), 73, { isModelNew: true, coverage: 0.1 })).toEqual({
    band: null,
    outside: 0,
    status: "unknown",
    isFirst: false,
  });
});

test("the cause of a change", () => {
  const none = { isByOverride: false, hasExpired: false, isModelNew: false, isFirst: false };
  expect(causeOf(none)).toBe("data");
  expect(causeOf({ ...none, isFirst: true })).toBe("first");
  expect(causeOf({ ...none, isFirst: true, isModelNew: true })).toBe("model");
  expect(causeOf({ ...none, isModelNew: true, hasExpired: true })).toBe("expiry");
  expect(causeOf({ isByOverride: true, hasExpired: true, isModelNew: true, isFirst: true })).toBe("override");
});
