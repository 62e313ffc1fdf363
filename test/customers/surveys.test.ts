import { describe, expect, test } from "vitest";
import { ces, csat, latestScore, nps, type SurveyAnswer } from "../../src/customers/surveys.js";
import { at } from "./models.js";

const NOW = at("2026-06-01T00:00Z");
const DAY = 86_400_000;
const answer = (id: string, score: number, contactId?: string, daysBefore = 1): SurveyAnswer => ({
  id,
  at: NOW - daysBefore * DAY,
  contactId,
  score,
});

describe("nps", () => {
  test("9 and 10 minus 0 to 6; 7 and 8 only count below the line", () => {
    const answers = [
      answer("1", 10, "a"),
      answer("2", 9, "b"),
      answer("3", 8, "c"),
      answer("4", 7, "d"),
      answer("5", 6, "e"),
    ];
    expect(nps(answers, NOW)).toEqual({ nps: 20, count: 5, at: NOW - DAY });
  });
  test("goes from −100 to 100", () => {
    expect(nps([answer("1", 0, "a"), answer("2", 6, "b")], NOW)?.nps).toBe(-100);
    expect(nps([answer("1", 9, "a"), answer("2", 10, "b")], NOW)?.nps).toBe(100);
  });
  test("takes the latest answer of each person, and of one instant that with the greater id", () => {
    expect(nps([answer("1", 0, "a", 5), answer("2", 10, "a", 2)], NOW)).toEqual({
      nps: 100,
      count: 1,
      at: NOW - 2 * DAY,
    });
    expect(nps([answer("2", 10, "a"), answer("1", 0, "a")], NOW)?.nps).toBe(100);
    expect(nps([answer("1", 0, "a"), answer("2", 10, "a")], NOW)?.nps).toBe(100);
  });
  test("answers without a name are people of their own", () => {
    expect(nps([answer("1", 0), answer("2", 10)], NOW)).toMatchObject({ nps: 0, count: 2 });
  });
  test("counts (now − 180 days, now]", () => {
    expect(nps([answer("1", 10, "a", 180)], NOW)).toBeUndefined();
    expect(nps([answer("1", 10, "a", 179.99)], NOW)?.count).toBe(1);
    expect(nps([answer("1", 10, "a", -0.01)], NOW)).toBeUndefined();
    expect(nps([], NOW)).toBeUndefined();
  });
});

test("one person's latest score is never too old", () => {
  const answers = [answer("1", 3, "a", 400), answer("2", 5, "a", 300), answer("3", 9, "b"), answer("4", 1, "a", -1)];
  expect(latestScore(answers, "a", NOW)).toBe(5);
  expect(latestScore(answers, "c", NOW)).toBeUndefined();
});

test("csat is the share of 4 and 5, not the mean", () => {
  expect(csat([answer("1", 5), answer("2", 4), answer("3", 3), answer("4", 1)], NOW)).toBe(0.5);
  expect(csat([], NOW)).toBeUndefined();
});

test("ces is the share above 4 of 7", () => {
  expect(ces([answer("1", 7), answer("2", 5), answer("3", 4), answer("4", 1)], NOW)).toBe(0.5);
  expect(ces([], NOW)).toBeUndefined();
});
