import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Run id → how it must have ended by the year's end, or `live`. */
export type ExpectedOutcomes = Readonly<Record<string, string>>;

/** What the portfolio's own script says of its runs (`expected.json` beside it); empty where it says nothing. */
export function expectedOutcomes(portfolio: string): ExpectedOutcomes {
  const file = join(portfolio, "expected.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as ExpectedOutcomes) : {};
}

/** A sentence for every run that ended otherwise, or was never begun. Runs of which nothing is expected may end as they like. */
export function differences(expected: ExpectedOutcomes, actual: Readonly<Record<string, string>>): string[] {
  return Object.entries(expected).flatMap(([run, outcome]) => {
    const found = Object.hasOwn(actual, run) ? actual[run] : undefined;
    if (found === outcome) return [];
    return [`expected: ${run} ${outcome}, but it ${found === undefined ? "was never begun" : `is ${found}`}`];
  });
}
