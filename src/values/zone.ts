import {
  type CalendarDate,
  civilOfDay,
  type DayNumber,
  dateOfDayNumber,
  dayNumberOf,
  dayNumberOfCivil,
} from "./calendar-date.js";
import { DAY_MS, type Instant } from "./instant.js";
import { msOfTime, type TimeOfDay } from "./time-of-day.js";

/** What the wall shows in some zone: year, month 1–12, day, hour, minute, second, millisecond. */
export interface LocalParts {
  y: number;
  mo: number;
  d: number;
  h: number;
  mi: number;
  s: number;
  ms: number;
}

/** The same as arithmetic wants it: the day, and the clock face in milliseconds from midnight (24 h is the next day's midnight). */
export interface WallClock {
  day: DayNumber;
  msOfDay: number;
}

/** Whether `name` is a time zone of the IANA database (letter case doesn't matter). Bare offsets such as `+01:00` are not: they know no clock changes. */
export function isZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    formatterOf(name);
    return true;
  } catch {
    return false;
  }
}

/** The zone if there is one of that name, else UTC: for names from before they were checked, which must keep nobody's work from being done. */
export function usableZone(name: string): string {
  return isZone(name) ? name : "UTC";
}

/** What the wall shows in `zone` at `instant`. Throws RangeError for an unknown zone. */
export function localParts(instant: Instant, zone: string): LocalParts {
  const { day, msOfDay } = wallClockOf(instant, zone);
  return {
    ...civilOfDay(day),
    h: Math.floor(msOfDay / 3_600_000),
    mi: Math.floor(msOfDay / 60_000) % 60,
    s: Math.floor(msOfDay / 1000) % 60,
    ms: msOfDay % 1000,
  };
}

/**
 * The instant at which the wall in `zone` shows `local`: the first of two if the clock goes back over it, the first instant after the
 * gap if the clock skips it. Throws RangeError for a date or time that no wall shows, or an unknown zone.
 */
export function instantOfLocal(local: LocalParts, zone: string): Instant {
  const { h, mi, s, ms } = local;
  const day = dayNumberOfCivil(local.y, local.mo, local.d);
  const msOfDay = h * 3_600_000 + mi * 60_000 + s * 1000 + ms;
  const fits = h >= 0 && h < 24 && mi >= 0 && mi < 60 && s >= 0 && s < 60 && ms >= 0 && ms < 1000;
  if (day === undefined || !fits || !Number.isInteger(msOfDay)) {
    throw new RangeError(`not a local date and time: ${JSON.stringify(local)}`);
  }
  return instantOfWallClock({ day, msOfDay }, zone);
}

/** The date in `zone` at `instant`. Throws RangeError for an unknown zone. */
export function localDate(instant: Instant, zone: string): CalendarDate {
  return dateOfDayNumber(wallClockOf(instant, zone).day);
}

/** The instant at which it is `time` on `date` in `zone`, by the rules of `instantOfLocal`; time `24:00` is the next day's start. */
export function instantAt(date: CalendarDate, time: TimeOfDay, zone: string): Instant {
  return instantOfWallClock({ day: dayNumberOf(date), msOfDay: msOfTime(time) }, zone);
}

/** As `localParts`, as day and milliseconds. */
export function wallClockOf(instant: Instant, zone: string): WallClock {
  const shown = instant + offsetAt(instant, zone);
  const day = Math.floor(shown / DAY_MS);
  return { day, msOfDay: shown - day * DAY_MS };
}

/** As `instantOfLocal`, from day and milliseconds. */
export function instantOfWallClock(wall: WallClock, zone: string): Instant {
  const shown = wall.day * DAY_MS + wall.msOfDay;
  // Offsets lie within ±15 h, so a day either way is on either side of any change that could matter to this wall clock.
  const earlier = shown - offsetAt(shown - DAY_MS, zone);
  const later = shown - offsetAt(shown + DAY_MS, zone);
  const [first, second] = earlier <= later ? [earlier, later] : [later, earlier];
  if (first + offsetAt(first, zone) === shown) return first;
  if (second + offsetAt(second, zone) === shown) return second;
  return endOfGap(first, second, shown, zone);
}

/** The first instant in (before, after] at which the wall shows more than `shown`, which it skips. */
function endOfGap(before: Instant, after: Instant, shown: number, zone: string): Instant {
  let low = before;
  let high = after;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (middle + offsetAt(middle, zone) > shown) high = middle;
    else low = middle;
  }
  return high;
}

/** Milliseconds that the wall in `zone` is ahead of UTC at `instant`. */
function offsetAt(instant: Instant, zone: string): number {
  // One `format` and a scan for digits costs a third of `formatToParts`. en-US puts month, day, year, hour, minute, second.
  const numbers = formatterOf(zone).format(instant).match(/\d+/g) as string[];
  const [mo, d, y, h, mi, s] = numbers.map(Number) as [number, number, number, number, number, number];
  const day = dayNumberOfCivil(y, mo, d) as DayNumber;
  const wholeSecond = Math.floor(instant / 1000) * 1000;
  return day * DAY_MS + h * 3_600_000 + mi * 60_000 + s * 1000 - wholeSecond;
}

/** There are some 600 zone names; more entries can only be other spellings of the same. */
const MAX_CACHED_FORMATTERS = 1000;
const formatters = new Map<string, Intl.DateTimeFormat>();

function formatterOf(zone: string): Intl.DateTimeFormat {
  const cached = formatters.get(zone);
  if (cached) return cached;
  const formatter = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    calendar: "gregory",
    numberingSystem: "latn",
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  if (formatters.size >= MAX_CACHED_FORMATTERS) formatters.clear();
  formatters.set(zone, formatter);
  return formatter;
}
