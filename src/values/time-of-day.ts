/** A wall-clock time of day, `HH:MM`, 00:00–23:59. */
export type TimeOfDay = string;

/** Whether `text` is a time of day in the form `HH:MM`. */
export function isTimeOfDay(text: string): boolean {
  return /^([01]\d|2[0-3]):[0-5]\d$/.test(text);
}

/** Milliseconds from midnight to `time` on the clock face; `24:00`, the end of a day, is taken too. Throws RangeError for other text. */
export function msOfTime(time: TimeOfDay): number {
  if (!isTimeOfDay(time) && time !== "24:00") throw new RangeError(`not a time of day: ${JSON.stringify(time)}`);
  return Number(time.slice(0, 2)) * 3_600_000 + Number(time.slice(3)) * 60_000;
}
