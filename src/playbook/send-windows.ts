import { TIME_OF_DAY_TOLERANCE_MS } from "../engine/decide-send.js";
import type { Policy } from "../engine/policy.js";
import type { Calendar } from "../values/calendar.js";
import { msOfTime, type TimeOfDay } from "../values/time-of-day.js";
import type { TimeRule } from "../values/time-rule.js";

/**
 * Whether a mail that keeps quiet hours could never go by such a rule, whatever day it is, at a customer of any of the calendars: each minute
 * of the day that the rule allows is quiet.
 */
export function isAlwaysQuiet(
  send: TimeRule,
  quietHours: Policy["email"]["quietHours"],
  calendars: readonly Calendar[],
): boolean {
  const isQuiet = spanOf(minuteOf(quietHours.from), minuteOf(quietHours.to));
  const isAllowed = windowOf(send, calendars);
  for (let minute = 0; minute < DAY_MINUTES; minute++) if (isAllowed(minute) && !isQuiet(minute)) return false;
  return true;
}

const DAY_MINUTES = 24 * 60;
const TOLERANCE_MINUTES = TIME_OF_DAY_TOLERANCE_MS / 60_000;

type Minutes = (minute: number) => boolean;

/** The minutes of a day at which the rule lets a mail go; the same as `decideSend`, without the days. */
function windowOf(send: TimeRule, calendars: readonly Calendar[]): Minutes {
  switch (send.kind) {
    case "time_of_day":
    case "working_hours_at":
      return toleranceAfter(send.time);
    case "weekday":
      return send.time === undefined ? () => true : toleranceAfter(send.time);
    case "working_hours": {
      const spans = calendars
        .flatMap(({ hours }) => Object.values(hours))
        .map(({ open, close }) => spanOf(minuteOf(open), minuteOf(close)));
      return (minute) => spans.some((isIn) => isIn(minute));
    }
    default:
      return () => true;
  }
}

/** From the time to the last minute at which it still counts, included. */
function toleranceAfter(time: TimeOfDay): Minutes {
  const from = minuteOf(time);
  return (minute) => (minute - from + DAY_MINUTES) % DAY_MINUTES <= TOLERANCE_MINUTES;
}

/** `from` included, `to` not; over midnight where `to` is the earlier. */
function spanOf(from: number, to: number): Minutes {
  return (minute) => (from <= to ? minute >= from && minute < to : minute >= from || minute < to);
}

function minuteOf(time: TimeOfDay): number {
  return msOfTime(time) / 60_000;
}
