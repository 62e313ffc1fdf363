import * as z from "zod";
import { type Calendar, calendarProblem, type WorkingHours } from "../values/calendar.js";
import { isCalendarDate, WEEKDAYS, type Weekday } from "../values/calendar-date.js";
import { isTimeOfDay } from "../values/time-of-day.js";
import { parsedText } from "./check-form.js";
import { type Checks, type Read, readFile } from "./read-file.js";
import { snakeName } from "./schema.js";

/** `"09:00-17:00"`; the end may be `24:00`. */
export const hours = parsedText(
  "WP106",
  (text) => {
    const [from, to, more] = text.split("-");
    if (from === undefined || to === undefined || more !== undefined) return undefined;
    return isTimeOfDay(from) && (isTimeOfDay(to) || to === "24:00") ? { from, to } : undefined;
  },
  "a span of hours",
  'Write it in quotation marks: "09:00-17:00".',
);

const schema = z.record(
  snakeName,
  z.strictObject({
    title: z.string().optional(),
    hours: z.record(z.string(), hours),
    holidays: z.record(z.string(), z.string()).default({}),
  }),
);

type Form = z.output<typeof schema>[string];

/** `calendars.yaml`, in the order of the file; `standard` is among them. */
export function readCalendars(source: string | undefined): Read<Calendar[]> {
  return readFile("calendars.yaml", source, schema, (form, checks) => {
    if (!Object.hasOwn(form, "standard")) {
      const hint = 'Add: standard: { hours: { mon-fri: "09:00-17:00" } }';
      checks.report([], { code: "WP603", message: 'The calendar "standard" is missing.', hint });
    }
    return Object.entries(form).map(([name, calendar]) => calendarOf(name, calendar, checks));
  });
}

function calendarOf(name: string, form: Form, checks: Checks): Calendar {
  const byDay: Partial<Record<Weekday, WorkingHours>> = {};
  let isFine = true;
  const refuse = (path: string[], message: string, hint: string, at: "key" | "value" = "key") => {
    isFine = false;
    checks.report([name, ...path], { code: "WP603", message, hint }, at);
  };
  for (const [days, span] of Object.entries(form.hours)) {
    const named = daysOf(days);
    if (!named)
      refuse(["hours", days], `"${days}" is no day or range of days.`, `Write ${WEEKDAYS.join(", ")}, or mon-fri.`);
    if (span.from >= span.to)
      refuse(["hours", days], "Work must begin before it ends, on the same day.", "Such as 09:00-17:00.", "value");
    for (const day of named ?? []) {
      if (byDay[day]) refuse(["hours", days], `${day} has hours twice.`, "Name each day once.");
      byDay[day] = { open: span.from, close: span.to };
    }
  }
  for (const date of Object.keys(form.holidays)) {
    if (!isCalendarDate(date)) refuse(["holidays", date], `"${date}" is no date.`, "Write it as 2026-12-25.");
  }
  const calendar: Calendar = { name, hours: byDay, holidays: Object.keys(form.holidays) };
  const problem = isFine ? calendarProblem(calendar) : undefined;
  if (problem !== undefined) checks.report([name], { code: "WP603", message: `Calendar ${name}: ${problem}.` }, "key");
  return calendar;
}

/** `wed`, `mon-fri`, and over the week's end `sun-thu`. */
function daysOf(text: string): Weekday[] | undefined {
  const [first, last = first, more] = text.split("-");
  const from = WEEKDAYS.indexOf(first as Weekday);
  const to = WEEKDAYS.indexOf(last as Weekday);
  if (from < 0 || to < 0 || more !== undefined) return undefined;
  const count = ((to - from + 7) % 7) + 1;
  return Array.from({ length: count }, (_, index) => WEEKDAYS[(from + index) % 7] as Weekday);
}
