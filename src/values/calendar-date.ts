/** A day of the proleptic Gregorian calendar, `YYYY-MM-DD`, years 0001–9999, belonging to no time zone. */
export type CalendarDate = string;

/** A day of the week as calendars and rules name it. */
export type Weekday = "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun";

/** The days of the week, Monday first. */
export const WEEKDAYS: readonly Weekday[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/** Days since 1970-01-01, negative before: what calendar arithmetic counts in, so that no loop handles text. */
export type DayNumber = number;

/** Whether `text` names a day that exists, in the form `YYYY-MM-DD`. */
export function isCalendarDate(text: string): boolean {
  return parseDate(text) !== undefined;
}

/** The date `days` after `date` (before, if negative). Throws RangeError for a bad date or a result outside years 0001–9999. */
export function addDays(date: CalendarDate, days: number): CalendarDate {
  return dateOfDayNumber(dayNumberOf(date) + days);
}

/** The same day of the month `months` later (earlier, if negative), at most that month's last: 31 August + 1 = 30 September. Throws RangeError as `addDays`. */
export function addMonths(date: CalendarDate, months: number): CalendarDate {
  return dateOfDayNumber(addMonthsToDay(dayNumberOf(date), months));
}

/** The day of the week of `date`. Throws RangeError for a bad date. */
export function weekdayOf(date: CalendarDate): Weekday {
  return weekdayOfDay(dayNumberOf(date));
}

/** How many days `to` lies after `from`, negative if before. Throws RangeError for a bad date. */
export function daysBetween(from: CalendarDate, to: CalendarDate): number {
  return dayNumberOf(to) - dayNumberOf(from);
}

/** The day number of `date`. Throws RangeError for text that is no date. */
export function dayNumberOf(date: CalendarDate): DayNumber {
  const day = parseDate(date);
  if (day === undefined) throw new RangeError(`not a calendar date: ${JSON.stringify(date)}`);
  return day;
}

/** The date with this day number. Throws RangeError outside years 0001–9999. */
export function dateOfDayNumber(day: DayNumber): CalendarDate {
  const { y, mo, d } = civilOfDay(day);
  return `${String(y).padStart(4, "0")}-${String(mo).padStart(2, "0")}-${String(d).padStart(2, "0")}`;
}

/** As `addMonths`, in day numbers. */
export function addMonthsToDay(day: DayNumber, months: number): DayNumber {
  const { y, mo, d } = civilOfDay(day);
  const month = y * 12 + (mo - 1) + months;
  const year = Math.floor(month / 12);
  const monthOfYear = month - year * 12 + 1;
  return dayOfCivil(year, monthOfYear, Math.min(d, daysInMonth(year, monthOfYear)));
}

/** As `weekdayOf`, of a day number. */
export function weekdayOfDay(day: DayNumber): Weekday {
  // 1970-01-01 was a Thursday, index 3.
  return WEEKDAYS[(((day + 3) % 7) + 7) % 7] as Weekday;
}

/** The day number of year, month (1–12) and day, or undefined if there is no such day in years 0001–9999. */
export function dayNumberOfCivil(y: number, mo: number, d: number): DayNumber | undefined {
  if (!Number.isInteger(y) || y < 1 || y > 9999) return undefined;
  if (!Number.isInteger(mo) || mo < 1 || mo > 12) return undefined;
  if (!Number.isInteger(d) || d < 1 || d > daysInMonth(y, mo)) return undefined;
  return dayOfCivil(y, mo, d);
}

const FIRST_DAY: DayNumber = dayOfCivil(1, 1, 1);
const LAST_DAY: DayNumber = dayOfCivil(9999, 12, 31);

/** Year, month (1–12) and day of a day number. Throws RangeError outside years 0001–9999. */
export function civilOfDay(day: DayNumber): { y: number; mo: number; d: number } {
  if (!(day >= FIRST_DAY && day <= LAST_DAY)) throw new RangeError(`outside the years 0001 to 9999: day ${day}`);
  // Days are counted in eras of 400 years that begin on 1 March, so that the leap day is last
  // (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const mo = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const d = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  return { y: yearOfEra + era * 400 + (mo <= 2 ? 1 : 0), mo, d };
}

function dayOfCivil(year: number, mo: number, d: number): DayNumber {
  const y = mo <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (mo > 2 ? mo - 3 : mo + 9) + 2) / 5) + d - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function daysInMonth(y: number, mo: number): number {
  if (mo === 2) return y % 4 === 0 && (y % 100 !== 0 || y % 400 === 0) ? 29 : 28;
  return mo === 4 || mo === 6 || mo === 9 || mo === 11 ? 30 : 31;
}

function parseDate(text: string): DayNumber | undefined {
  const match = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text);
  return match ? dayNumberOfCivil(Number(match[1]), Number(match[2]), Number(match[3])) : undefined;
}
