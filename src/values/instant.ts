import { dateOfDayNumber, dayNumberOfCivil } from "./calendar-date.js";

/** A moment: milliseconds since 1970-01-01T00:00Z, an integer, within the years 0001–9999 UTC. */
export type Instant = number;

/** Milliseconds in 24 hours; not every calendar day has as many. */
export const DAY_MS = 86_400_000;

/** The instant in UTC, `2026-03-02T09:00:00Z`, with milliseconds only if there are any. Throws RangeError outside the years 0001–9999. */
export function formatInstant(instant: Instant): string {
  const day = Math.floor(instant / DAY_MS);
  const ms = instant - day * DAY_MS;
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  const time = `${two(ms / 3_600_000)}:${two((ms / 60_000) % 60)}:${two((ms / 1000) % 60)}`;
  const fraction = ms % 1000 === 0 ? "" : `.${String(ms % 1000).padStart(3, "0")}`;
  return `${dateOfDayNumber(day)}T${time}${fraction}Z`;
}

/**
 * The instant that an ISO 8601 text names, or undefined. Date, hours, minutes and an offset (`Z`, `+01:00`, `+0100`, `+01`) are compulsory,
 * seconds and a fraction are not; digits finer than a millisecond are dropped. Undefined too: days that don't exist, 24:00, leap
 * seconds, anything around it, a result outside the years 0001–9999.
 */
export function parseInstant(text: string): Instant | undefined {
  const match = ISO_8601.exec(text);
  if (!match) return undefined;
  const [, y, mo, d, h, mi, s, fraction, sign, offsetH, offsetMi] = match;
  const day = dayNumberOfCivil(Number(y), Number(mo), Number(d));
  if (day === undefined) return undefined;
  const ms = Number((fraction ?? "").slice(0, 3).padEnd(3, "0"));
  const local = day * DAY_MS + Number(h) * 3_600_000 + Number(mi) * 60_000 + Number(s ?? 0) * 1000 + ms;
  const offset = (Number(offsetH ?? 0) * 60 + Number(offsetMi ?? 0)) * 60_000;
  const instant = sign === "-" ? local + offset : local - offset;
  return instant >= FIRST_INSTANT && instant <= LAST_INSTANT ? instant : undefined;
}

const ISO_8601 =
  /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,9}))?)?(?:Z|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)$/;
const FIRST_INSTANT: Instant = -62_135_596_800_000;
const LAST_INSTANT: Instant = 253_402_300_799_999;
