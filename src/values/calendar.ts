import {
  type CalendarDate,
  type DayNumber,
  dateOfDayNumber,
  dayNumberOf,
  isCalendarDate,
  WEEKDAYS,
  type Weekday,
  weekdayOfDay,
} from "./calendar-date.js";
import type { Instant } from "./instant.js";
import { isTimeOfDay, msOfTime, type TimeOfDay } from "./time-of-day.js";
import { instantOfWallClock, wallClockOf } from "./zone.js";

/** From `open` until just before `close`, on one day; `close` may be `24:00`. */
export interface WorkingHours {
  open: TimeOfDay;
  close: TimeOfDay;
}

/** Working hours by day of the week, and the dates on which nobody works. It has no zone: the same calendar serves people in many. */
export interface Calendar {
  name: string;
  hours: Partial<Record<Weekday, WorkingHours>>;
  holidays: CalendarDate[];
}

/** What counts where no calendar is named: Monday to Friday, 09:00–17:00, no holidays. */
export const STANDARD_CALENDAR: Calendar = {
  name: "standard",
  hours: {
    mon: { open: "09:00", close: "17:00" },
    tue: { open: "09:00", close: "17:00" },
    wed: { open: "09:00", close: "17:00" },
    thu: { open: "09:00", close: "17:00" },
    fri: { open: "09:00", close: "17:00" },
  },
  holidays: [],
};

/** The furthest that the next working day may lie ahead; a calendar that closes for longer is refused. */
export const MAX_DAYS_TO_WORKING_DAY = 366;

/** The most holidays that a calendar may list: a century of forty a year. */
export const MAX_HOLIDAYS = 4000;

/** Why `calendar` can't be used, in a sentence for its author, or undefined if it can: times, dates, and a working day at least every 366 days. */
export function calendarProblem(calendar: Calendar): string | undefined {
  for (const [weekday, hours] of Object.entries(calendar.hours)) {
    if (!WEEKDAYS.includes(weekday as Weekday))
      return `"${weekday}" is no day of the week; use mon, tue, wed, thu, fri, sat, sun`;
    if (!isTimeOfDay(hours.open)) return `${weekday}: open "${hours.open}" is no time of day; write it as "09:00"`;
    if (!isTimeOfDay(hours.close) && hours.close !== "24:00") {
      return `${weekday}: close "${hours.close}" is no time of day; write it as "17:00" ("24:00" for the end of the day)`;
    }
    if (hours.open >= hours.close) return `${weekday}: open ${hours.open} must be before close ${hours.close}`;
  }
  const badDate = calendar.holidays.find((date) => !isCalendarDate(date));
  if (badDate !== undefined) return `holiday "${badDate}" is no date; write it as "2026-12-25"`;
  if (calendar.holidays.length > MAX_HOLIDAYS) return `more than ${MAX_HOLIDAYS} holidays`;
  if (Object.keys(calendar.hours).length === 0) return "no day of the week has working hours";
  return longClosure(calendar);
}

/** Whether `date` has working hours and is no holiday. */
export function isWorkingDay(date: CalendarDate, calendar: Calendar): boolean {
  return workingDaysOf(calendar).hoursOn(dayNumberOf(date)) !== undefined;
}

/** Whether working hours hold in `zone` at `instant`: open at opening, closed at closing. */
export function isOpen(instant: Instant, zone: string, calendar: Calendar): boolean {
  const { day } = wallClockOf(instant, zone);
  const span = openSpan(day, zone, workingDaysOf(calendar));
  return span !== undefined && span.opening <= instant && instant < span.closing;
}

/** The first opening at or after `instant` in `zone`. Throws Error for a calendar that `calendarProblem` refuses. */
export function nextOpening(instant: Instant, zone: string, calendar: Calendar): Instant {
  const days = workingDaysOf(calendar);
  let { day } = wallClockOf(instant, zone);
  for (;;) {
    const span = openSpan(day, zone, days);
    // A working time that a clock change skips whole opens nothing.
    if (span !== undefined && span.opening >= instant && span.opening < span.closing) return span.opening;
    day = days.next(day);
  }
}

/** The last closing at or before `instant` in `zone`. Throws Error for a calendar that `calendarProblem` refuses. */
export function previousClosing(instant: Instant, zone: string, calendar: Calendar): Instant {
  const days = workingDaysOf(calendar);
  let { day } = wallClockOf(instant, zone);
  for (;;) {
    const span = openSpan(day, zone, days);
    if (span !== undefined && span.closing <= instant && span.opening < span.closing) return span.closing;
    day = days.previous(day);
  }
}

/** `instant` itself if working hours hold then, else the next opening: what `working hours` means. Throws as `nextOpening`. */
export function openFrom(instant: Instant, zone: string, calendar: Calendar): Instant {
  return isOpen(instant, zone, calendar) ? instant : nextOpening(instant, zone, calendar);
}

/** A calendar made ready for counting days: text parsed once, then only numbers. */
export interface WorkingDays {
  /** Opening and closing in milliseconds on the clock face, or undefined if nobody works on `day`. */
  hoursOn(day: DayNumber): { openMs: number; closeMs: number } | undefined;
  /** The first working day after `day`. Throws Error if there is none within 366 days. */
  next(day: DayNumber): DayNumber;
  /** The last working day before `day`. Throws Error if there is none within 366 days. */
  previous(day: DayNumber): DayNumber;
}

/** `calendar` made ready for counting. Throws RangeError for times and dates that `calendarProblem` refuses. */
export function workingDaysOf(calendar: Calendar): WorkingDays {
  const holidays = new Set(calendar.holidays.map(dayNumberOf));
  const hours = new Map<Weekday, { openMs: number; closeMs: number }>();
  for (const weekday of WEEKDAYS) {
    const written = calendar.hours[weekday];
    if (written) hours.set(weekday, { openMs: msOfTime(written.open), closeMs: msOfTime(written.close) });
  }
  const hoursOn = (day: DayNumber) => (holidays.has(day) ? undefined : hours.get(weekdayOfDay(day)));
  const search = (from: DayNumber, direction: 1 | -1): DayNumber => {
    for (let distance = 1; distance <= MAX_DAYS_TO_WORKING_DAY; distance++) {
      const day = from + direction * distance;
      if (hoursOn(day) !== undefined) return day;
    }
    const side = direction === 1 ? "after" : "before";
    throw new Error(
      `calendar "${calendar.name}" has no working day within ${MAX_DAYS_TO_WORKING_DAY} days ${side} ${dateOfDayNumber(from)}`,
    );
  };
  return { hoursOn, next: (day) => search(day, 1), previous: (day) => search(day, -1) };
}

function openSpan(day: DayNumber, zone: string, days: WorkingDays): { opening: Instant; closing: Instant } | undefined {
  const hours = days.hoursOn(day);
  if (hours === undefined) return undefined;
  return {
    opening: instantOfWallClock({ day, msOfDay: hours.openMs }, zone),
    closing: instantOfWallClock({ day, msOfDay: hours.closeMs }, zone),
  };
}

/** The problem if holidays follow each other so that no one works for 366 days on end. */
function longClosure(calendar: Calendar): string | undefined {
  const holidays = calendar.holidays.map(dayNumberOf).sort((a, b) => a - b);
  const weekly = workingDaysOf({ ...calendar, holidays: [] });
  let closedUntil = Number.NEGATIVE_INFINITY;
  let lastWorked = Number.NEGATIVE_INFINITY;
  for (const holiday of holidays) {
    if (weekly.hoursOn(holiday) === undefined) continue;
    // The closure goes on if this holiday falls on the very day on which work would have resumed.
    if (holiday > closedUntil) lastWorked = weekly.previous(holiday);
    closedUntil = weekly.next(holiday);
    if (closedUntil - lastWorked > MAX_DAYS_TO_WORKING_DAY) {
      return `holidays leave no working day within ${MAX_DAYS_TO_WORKING_DAY} days after ${dateOfDayNumber(lastWorked)}`;
    }
  }
  return undefined;
}
