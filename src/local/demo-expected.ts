import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Run id → how it must have ended by the year's end, or `live`. */
export type ExpectedOutcomes = Readonly<Record<string, string>>;

/** What the portfolio's own script says of its runs (`expected.json` beside it); empty where it says nothing. */
export function expectedOutcomes(portfolio: string): ExpectedOutcomes {
  const file = join(portfolio, "expected.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as ExpectedOutcomes) : {};
}

/** A sentence for every run that ended otherwise, was never begun, or that nobody expected; none where nothing is expected. */
export function differences(expected: ExpectedOutcomes, actual: Readonly<Record<string, string>>): string[] {
  if (Object.keys(expected).length === 0) return [];
  const otherwise = Object.entries(expected).flatMap(([run, outcome]) => {
    const found = Object.hasOwn(actual, run) ? actual[run] : undefined;
    if (found === outcome) return [];
    return [`expected: ${run} ${outcome}, but it ${found === undefined ? "was never begun" : `is ${found}`}`];
  });
  const tooMany = Object.entries(actual).filter(([run]) => !Object.hasOwn(expected, run));
  return [...otherwise, ...tooMany.map(([run, outcome]) => `expected: no run ${run}, but it is ${outcome}`)];
}
