/**
 * What a portfolio is measured by. Shares, not percentages (0.25 is 25 %), at full precision: round when you show them.
 * A denominator of 0 gives null, never 0. Nothing is clamped. Source of the definitions: docs/domain.md, "Metrics".
 */
import { median } from "./metrics.js";

/** What an account of the start-of-period cohort paid then and pays now, per month. Who is new is not in the cohort. */
export interface CohortAccount {
  readonly startMrr: number;
  /** 0: lost. */
  readonly nowMrr: number;
}

/** Accounts of the cohort that were lost ÷ the cohort. Lost accounts that were not in it don't count. */
export function logoChurn(cohort: readonly string[], lost: readonly string[]): number | null {
  const start = new Set(cohort);
  return share(new Set(lost.filter((id) => start.has(id))).size, start.size);
}

/** 1 − (1 − m)^12, for a monthly share. */
export function annualFromMonthly(monthly: number): number {
  return 1 - (1 - monthly) ** 12;
}

/** (Churned + contraction) ÷ MRR at the start. */
export function grossRevenueChurn(cohort: readonly CohortAccount[]): number | null {
  return share(lostMrr(cohort), startMrr(cohort));
}

/** (Churned + contraction − expansion) ÷ MRR at the start; below 0 is growth. */
export function netRevenueChurn(cohort: readonly CohortAccount[]): number | null {
  return share(lostMrr(cohort) - expansionMrr(cohort), startMrr(cohort));
}

/** GRR: Σ min(now, start) ÷ Σ start. */
export function grossRevenueRetention(cohort: readonly CohortAccount[]): number | null {
  return share(sum(cohort.map((account) => Math.min(account.nowMrr, account.startMrr))), startMrr(cohort));
}

/** NRR: (start + expansion − contraction − churned) ÷ start. */
export function netRevenueRetention(cohort: readonly CohortAccount[]): number | null {
  const start = startMrr(cohort);
  return share(start + expansionMrr(cohort) - lostMrr(cohort), start);
}

/** What existing accounts pay more per month than at the start: upgrades, upsell, cross-sell and add-ons. */
export function expansionMrr(cohort: readonly CohortAccount[]): number {
  return sum(cohort.map((account) => Math.max(0, account.nowMrr - account.startMrr)));
}

/** The median time from contract start to first value, in milliseconds, and how many have not got there. */
export function timeToValue(
  contracts: readonly { readonly startAt: number; readonly firstValueAt?: number | undefined }[],
): { readonly medianMs: number | null; readonly open: number } {
  const times = contracts.flatMap(({ startAt, firstValueAt }) =>
    firstValueAt === undefined ? [] : [firstValueAt - startAt],
  );
  return { medianMs: median(times) ?? null, open: contracts.length - times.length };
}

/** Renewals won ÷ due in the period. */
export function renewalRate(won: number, due: number): number | null {
  return share(won, due);
}

/** Distinct users in rolling 7 days ÷ in rolling 28 days. */
export function stickiness(weeklyUsers: number, monthlyUsers: number): number | null {
  return share(weeklyUsers, monthlyUsers);
}

/** Active users ÷ bought licences; may pass 1. */
export function licenceUse(activeUsers: number, seats: number): number | null {
  return share(activeUsers, seats);
}

/** The change against the same months a year earlier: twelve-month contracts are seasonal. */
export function yearOverYear(now: number, yearEarlier: number): number | null {
  return share(now - yearEarlier, yearEarlier);
}

/** What was lost per month: whole accounts and parts of them. */
function lostMrr(cohort: readonly CohortAccount[]): number {
  return sum(cohort.map((account) => Math.max(0, account.startMrr - account.nowMrr)));
}

function startMrr(cohort: readonly CohortAccount[]): number {
  return sum(cohort.map((account) => account.startMrr));
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
