import fc from "fast-check";
import { type Instant, parseInstant } from "../../src/values/instant.js";

/** The instant of an ISO 8601 text that is known to be right. */
export function at(text: string): Instant {
  const instant = parseInstant(text);
  if (instant === undefined) throw new Error(`not an instant: ${text}`);
  return instant;
}

/** Zones with gaps and overlaps of an hour and half an hour, by day and at midnight, odd offsets, a skipped day, and none of that. */
export const aZone = fc.constantFrom(
  "Europe/Warsaw",
  "America/New_York",
  "Asia/Kolkata",
  "Australia/Lord_Howe",
  "Pacific/Apia",
  "America/Sao_Paulo",
  "America/Nuuk",
  "Asia/Kathmandu",
  "Pacific/Kiritimati",
  "UTC",
);

/** Instants to the millisecond from 2010 to 2035. */
export const anInstant = fc.integer({ min: 1262304000000, max: 2051222400000 });
