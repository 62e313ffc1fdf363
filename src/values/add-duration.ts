import { type Calendar, openFrom, workingDaysOf } from "./calendar.js";
import { addMonthsToDay } from "./calendar-date.js";
import { type Duration, type DurationUnit, isDuration } from "./duration.js";
import type { Instant } from "./instant.js";
import { instantOfWallClock, type WallClock, wallClockOf } from "./zone.js";

/**
 * The instant `duration` after `from` (before, if negative). `s`, `m`, `h` are exact; `d`, `w`, `mo`, `y` keep the wall-clock time in
 * `zone`, at most the month's last day; `bd` counts the working days of `calendar` there. 0 bd is now if open, else the next opening.
 * Throws RangeError beyond 100 years, and Error for a calendar that `calendarProblem` refuses. Source: language.md, Meaning, Time.
 */
export function addDuration(from: Instant, duration: Duration, zone: string, calendar: Calendar): Instant {
  if (!isDuration(duration)) throw new RangeError(`not a duration: ${JSON.stringify(duration)}`);
  const exactMs = EXACT_UNIT_MS[duration.unit];
  if (exactMs !== undefined) return from + duration.amount * exactMs;
  // Nought by way of the wall clock would go back an hour in the second pass of an hour that occurs twice.
  if (duration.amount === 0) return duration.unit === "bd" ? openFrom(from, zone, calendar) : from;
  return instantOfWallClock(shift(wallClockOf(from, zone), duration, calendar), zone);
}

/** As `addDuration`, from what the wall shows: a wall clock that a clock change skips keeps its time of day on the way. */
export function addDurationToWallClock(wall: WallClock, duration: Duration, zone: string, calendar: Calendar): Instant {
  if (!isDuration(duration) || duration.amount === 0 || EXACT_UNIT_MS[duration.unit] !== undefined) {
    return addDuration(instantOfWallClock(wall, zone), duration, zone, calendar);
  }
  return instantOfWallClock(shift(wall, duration, calendar), zone);
}

/** Units that no calendar, zone or clock change can stretch; milliseconds. */
export const EXACT_UNIT_MS: Partial<Record<DurationUnit, number>> = { s: 1000, m: 60_000, h: 3_600_000 };

function shift(wall: WallClock, { amount, unit }: Duration, calendar: Calendar): WallClock {
  switch (unit) {
    case "w":
      return { ...wall, day: wall.day + amount * 7 };
    case "mo":
      return { ...wall, day: addMonthsToDay(wall.day, amount) };
    case "y":
      return { ...wall, day: addMonthsToDay(wall.day, amount * 12) };
    case "bd":
      return amount > 0 ? workingDaysOn(wall, amount, calendar) : workingDaysBack(wall, -amount, calendar);
    default:
      return { ...wall, day: wall.day + amount };
  }
}

/** `count` working days on; outside the hours of the day it lands on, that day's opening or the next working day's. */
function workingDaysOn(wall: WallClock, count: number, calendar: Calendar): WallClock {
  const days = workingDaysOf(calendar);
  let { day, msOfDay } = wall;
  if (days.hoursOn(day) === undefined) {
    day = days.next(day);
    msOfDay = hoursOf(days, day).openMs;
  }
  for (let counted = 0; counted < count; counted++) day = days.next(day);
  const { openMs, closeMs } = hoursOf(days, day);
  if (msOfDay < openMs) return { day, msOfDay: openMs };
  if (msOfDay < closeMs) return { day, msOfDay };
  day = days.next(day);
  return { day, msOfDay: hoursOf(days, day).openMs };
}

/** `count` working days back; outside the hours of the day it lands on, moved up to its opening or back to its closing. */
function workingDaysBack(wall: WallClock, count: number, calendar: Calendar): WallClock {
  const days = workingDaysOf(calendar);
  let { day, msOfDay } = wall;
  if (days.hoursOn(day) === undefined) {
    day = days.previous(day);
    msOfDay = hoursOf(days, day).closeMs;
  }
  for (let counted = 0; counted < count; counted++) day = days.previous(day);
  const { openMs, closeMs } = hoursOf(days, day);
  return { day, msOfDay: Math.min(Math.max(msOfDay, openMs), closeMs) };
}

/** The hours of a day that is known to be a working day. */
function hoursOf(days: ReturnType<typeof workingDaysOf>, day: number): { openMs: number; closeMs: number } {
  return days.hoursOn(day) as { openMs: number; closeMs: number };
}
