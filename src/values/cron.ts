import { type CalendarDate, addDays, civilOfDay, dayNumberOf, weekdayOf, WEEKDAYS } from "./calendar-date.js";
import type { Instant } from "./instant.js";
import { instantAt, localDate } from "./zone.js";

/** A schedule of five fields, each as the values that fit. */
export interface Cron {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly daysOfMonth: readonly number[];
  /** 1–12. */
  readonly months: readonly number[];
  /** 0–6, Sunday is 0. */
  readonly daysOfWeek: readonly number[];
  /** Where both kinds of day are restricted, either suffices: the old rule of cron. */
  readonly anyDay: boolean;
}

/** How far ahead the next time is looked for: 29 February on a given weekday comes every 28 years, 40 over a skipped leap year. */
const DAYS_AHEAD_MAX = 41 * 366;

/**
 * The schedule that `text` names: `minute hour day-of-month month day-of-week`, with `*`, lists, ranges, steps and English names
 * (`0 9 1 JAN,APR *`). Undefined for other text. A date that never comes (31 February) parses; `nextCron` finds nothing.
 */
export function parseCron(text: string): Cron | undefined {
  const fields = text.trim().split(/\s+/);
  if (fields.length !== 5) return undefined;
  const [minute, hour, dayOfMonth, month, dayOfWeek] = fields as [string, string, string, string, string];
  const minutes = parseField(minute, 0, 59);
  const hours = parseField(hour, 0, 23);
  const daysOfMonth = parseField(dayOfMonth, 1, 31);
  const months = parseField(month, 1, 12, MONTHS);
  const weekdays = parseField(dayOfWeek, 0, 7, DAYS);
  if (!minutes || !hours || !daysOfMonth || !months || !weekdays) return undefined;
  // 7 is Sunday too.
  const daysOfWeek = [...new Set(weekdays.map((day) => day % 7))].sort((a, b) => a - b);
  return {
    minutes,
    hours,
    daysOfMonth,
    months,
    daysOfWeek,
    anyDay: !dayOfMonth.startsWith("*") && !dayOfWeek.startsWith("*"),
  };
}

/**
 * The first time of the schedule after `after`, by the wall in `zone`; undefined if there is none in 40 years. A time that a clock change
 * skips is the first instant after the gap, one that occurs twice is the first.
 */
export function nextCron(cron: Cron, after: Instant, zone: string): Instant | undefined {
  // From the day before: a gap over midnight may move yesterday's time to today.
  let date = addDays(localDate(after, zone), -1);
  for (let day = 0; day < DAYS_AHEAD_MAX; day++, date = addDays(date, 1)) {
    if (!fitsDay(cron, date)) continue;
    for (const hour of cron.hours) {
      for (const minute of cron.minutes) {
        const at = instantAt(date, `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`, zone);
        if (at > after) return at;
      }
    }
  }
  return undefined;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

function fitsDay(cron: Cron, date: CalendarDate): boolean {
  const { mo, d } = civilOfDay(dayNumberOf(date));
  if (!cron.months.includes(mo)) return false;
  const byMonth = cron.daysOfMonth.includes(d);
  const byWeek = cron.daysOfWeek.includes((WEEKDAYS.indexOf(weekdayOf(date)) + 1) % 7);
  return cron.anyDay ? byMonth || byWeek : byMonth && byWeek;
}

/** The values of one field in order, or undefined. Names stand for `low`, `low + 1`, … */
function parseField(
  text: string,
  low: number,
  high: number,
  names: readonly string[] = [],
): readonly number[] | undefined {
  const values = new Set<number>();
  const numberOf = (word: string): number | undefined => {
    const named = names.indexOf(word.toLowerCase());
    if (named >= 0) return low + named;
    const value = /^\d{1,2}$/.test(word) ? Number(word) : undefined;
    return value !== undefined && value >= low && value <= high ? value : undefined;
  };
  for (const part of text.split(",")) {
    const match = /^(?:(\*)|([0-9a-z]+)(?:-([0-9a-z]+))?)(?:\/(\d{1,2}))?$/i.exec(part);
    if (!match) return undefined;
    const [, star, first, last, stepText] = match;
    const step = stepText === undefined ? 1 : Number(stepText);
    const from = star ? low : numberOf(first as string);
    const to = star ? high : last !== undefined ? numberOf(last) : stepText !== undefined ? high : from;
    if (from === undefined || to === undefined || from > to || step === 0) return undefined;
    for (let value = from; value <= to; value += step) values.add(value);
  }
  return [...values].sort((a, b) => a - b);
}
