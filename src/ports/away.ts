import { StoreUnavailable } from "./transactions.js";

/** Whether the error says that Postgres or Temporal can't be reached just now, by their own words for it: to be tried again. */
export function isAway(error: unknown): error is Error {
  return error instanceof StoreUnavailable || (error instanceof Error && error.name === "TemporalUnavailable");
}
