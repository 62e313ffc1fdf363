import { addDuration, addDurationToWallClock } from "./add-duration.js";
import { type Calendar, openFrom, workingDaysOf } from "./calendar.js";
import {
  type CalendarDate,
  type DayNumber,
  dayNumberOf,
  WEEKDAYS,
  type Weekday,
  weekdayOfDay,
} from "./calendar-date.js";
import { type Duration, formatDuration, parseDuration } from "./duration.js";
import type { Instant } from "./instant.js";
import { isTimeOfDay, msOfTime, type TimeOfDay } from "./time-of-day.js";
import { instantOfWallClock, wallClockOf } from "./zone.js";

/** When something happens, as a playbook says it; an instant only once `resolveTimeRule` knows from when, where and by which calendar. */
export type TimeRule =
  | { kind: "after"; duration: Duration }
  | { kind: "now" }
  | { kind: "working_hours" }
  | { kind: "time_of_day"; time: TimeOfDay }
  | { kind: "working_hours_at"; time: TimeOfDay }
  | { kind: "weekday"; day: Weekday; time?: TimeOfDay }
  | { kind: "date"; date: CalendarDate; time: TimeOfDay; offset?: Duration };

/**
 * The instant that `rule` means in `zone`, by `calendar`, for someone who asks at `from`. Never before `from`, except `after` with a
 * negative duration and `date`, which doesn't look at `from`: whether a date in the past is skipped or run is the caller's decision.
 * Resolving again at the result gives the same instant for every rule but `after`. Throws RangeError for an unknown zone or a malformed rule, Error for a calendar that
 * `calendarProblem` refuses. Source: language.md, Meaning, Time.
 */
export function resolveTimeRule(rule: TimeRule, from: Instant, zone: string, calendar: Calendar): Instant {
  switch (rule.kind) {
    case "now":
      return from;
    case "after":
      return addDuration(from, rule.duration, zone, calendar);
    case "working_hours":
      return openFrom(from, zone, calendar);
    case "time_of_day":
      return nextTime(rule.time, from, zone, (day) => day + 1);
    case "working_hours_at": {
      const days = workingDaysOf(calendar);
      return nextTime(rule.time, from, zone, days.next);
    }
    case "weekday":
      return nextWeekday(rule.day, rule.time, from, zone);
    case "date": {
      const wall = { day: dayNumberOf(rule.date), msOfDay: msOfTime(rule.time) };
      if (rule.offset === undefined) return instantOfWallClock(wall, zone);
      return addDurationToWallClock(wall, rule.offset, zone, calendar);
    }
  }
}

/** The rule that `text` names, or undefined: `now`, a duration (`5 bd`), `working hours`, `09:30`, `working hours 09:30`, `monday`, `monday 09:30`. */
export function parseTimeRule(text: string): TimeRule | undefined {
  if (text === "now") return { kind: "now" };
  if (text === "working hours") return { kind: "working_hours" };
  if (isTimeOfDay(text)) return { kind: "time_of_day", time: text };
  const duration = parseDuration(text);
  if (duration) return { kind: "after", duration };
  const [, words, time] = /^(.*?)(?: (\d\d:\d\d))?$/s.exec(text) as unknown as [string, string, string | undefined];
  if (time !== undefined && !isTimeOfDay(time)) return undefined;
  if (words === "working hours" && time !== undefined) return { kind: "working_hours_at", time };
  const day = WEEKDAY_BY_NAME.get(words.toLowerCase());
  if (day === undefined) return undefined;
  return time === undefined ? { kind: "weekday", day } : { kind: "weekday", day, time };
}

/** The rule as people write it; `parseTimeRule` reads it back, except for `date`, which playbooks write as an expression. */
export function formatTimeRule(rule: TimeRule): string {
  switch (rule.kind) {
    case "now":
      return "now";
    case "after":
      return formatDuration(rule.duration);
    case "working_hours":
      return "working hours";
    case "time_of_day":
      return rule.time;
    case "working_hours_at":
      return `working hours ${rule.time}`;
    case "weekday": {
      const name = NAME_OF_WEEKDAY[rule.day];
      return rule.time === undefined ? name : `${name} ${rule.time}`;
    }
    case "date": {
      const anchor = `${rule.date} ${rule.time}`;
      if (rule.offset === undefined) return anchor;
      return `${formatDuration({ ...rule.offset, amount: Math.abs(rule.offset.amount) })} ${rule.offset.amount < 0 ? "before" : "after"} ${anchor}`;
    }
  }
}

const NAME_OF_WEEKDAY: Readonly<Record<Weekday, string>> = {
  mon: "monday",
  tue: "tuesday",
  wed: "wednesday",
  thu: "thursday",
  fri: "friday",
  sat: "saturday",
  sun: "sunday",
};
const WEEKDAY_BY_NAME = new Map(Object.entries(NAME_OF_WEEKDAY).map(([day, name]) => [name, day as Weekday]));

/** The first instant at or after `from` when it is `time` on a day that `following` leads to. */
function nextTime(time: TimeOfDay, from: Instant, zone: string, following: (day: DayNumber) => DayNumber): Instant {
  const msOfDay = msOfTime(time);
  // From yesterday's date on: a gap over midnight can move yesterday's time to this very instant. (`following` gives a later day, hence 2.)
  let day = following(wallClockOf(from, zone).day - 2);
  for (;;) {
    const instant = instantOfWallClock({ day, msOfDay }, zone);
    if (instant >= from) return instant;
    day = following(day);
  }
}

function nextWeekday(weekday: Weekday, time: TimeOfDay | undefined, from: Instant, zone: string): Instant {
  if (time === undefined && weekdayOfDay(wallClockOf(from, zone).day) === weekday) return from;
  return nextTime(time ?? "00:00", from, zone, (day) => {
    const ahead = (WEEKDAYS.indexOf(weekday) - WEEKDAYS.indexOf(weekdayOfDay(day)) + 7) % 7;
    return day + (ahead === 0 ? 7 : ahead);
  });
}
