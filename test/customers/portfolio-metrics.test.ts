import { describe, expect, test } from "vitest";
import {
  annualFromMonthly,
  expansionMrr,
  grossRevenueChurn,
  grossRevenueRetention,
  licenceUse,
  logoChurn,
  netRevenueChurn,
  netRevenueRetention,
  renewalRate,
  stickiness,
  timeToValue,
  yearOverYear,
} from "../../src/customers/portfolio-metrics.js";

describe("logo churn", () => {
  test("counts only who was there at the start", () => {
    expect(logoChurn(["a", "b", "c", "d"], ["a", "new", "a"])).toBe(0.25);
  });
  test("nobody at the start: null, not 0", () => expect(logoChurn([], ["a"])).toBeNull());
  test("annual from monthly compounds", () => {
    expect(annualFromMonthly(0.05)).toBeCloseTo(0.459_639_912_337_5, 12);
    expect(annualFromMonthly(0)).toBe(0);
    expect(annualFromMonthly(1)).toBe(1);
  });
});

describe("revenue of a cohort", () => {
  // Lost 20, shrunk by 10, grown by 60: 275,000 → 305,000 in thousands.
  const cohort = [
    { startMrr: 20_000, nowMrr: 0 },
    { startMrr: 100_000, nowMrr: 90_000 },
    { startMrr: 155_000, nowMrr: 215_000 },
  ];
  test("275,000 → 305,000 is a net churn of −10.909…%", () => {
    expect(netRevenueChurn(cohort)).toBe(-30_000 / 275_000);
    expect((netRevenueChurn(cohort) as number) * 100).toBeCloseTo(-10.909_090_909, 9);
  });
  test("gross churn leaves expansion out", () => expect(grossRevenueChurn(cohort)).toBe(30_000 / 275_000));
  test("GRR never counts growth", () => expect(grossRevenueRetention(cohort)).toBe(245_000 / 275_000));
  test("NRR does, and passes 1", () => expect(netRevenueRetention(cohort)).toBe(305_000 / 275_000));
  test("expansion", () => expect(expansionMrr(cohort)).toBe(60_000));
  test("nothing at the start: null", () => {
    for (const share of [netRevenueChurn, grossRevenueChurn, grossRevenueRetention, netRevenueRetention]) {
      expect(share([])).toBeNull();
      expect(share([{ startMrr: 0, nowMrr: 10 }])).toBeNull();
    }
  });
});

test("time to value is a median, beside who is still open", () => {
  expect(timeToValue([{ startAt: 0, firstValueAt: 10 }, { startAt: 5, firstValueAt: 25 }, { startAt: 0 }])).toEqual({
    medianMs: 15,
    open: 1,
  });
  expect(timeToValue([{ startAt: 0 }])).toEqual({ medianMs: null, open: 1 });
});

test("other shares", () => {
  expect(renewalRate(3, 4)).toBe(0.75);
  expect(renewalRate(0, 0)).toBeNull();
  expect(stickiness(3, 12)).toBe(0.25);
  expect(stickiness(0, 0)).toBeNull();
  expect(licenceUse(30, 20)).toBe(1.5);
  expect(yearOverYear(110, 100)).toBe(0.1);
  expect(yearOverYear(110, 0)).toBeNull();
});
