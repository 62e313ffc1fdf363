/** Exact units (`s`, `m`, `h`), calendar units (`d`, `w`, `mo`, `y`) and working days (`bd`). */
export type DurationUnit = "s" | "m" | "h" | "d" | "w" | "mo" | "y" | "bd";

/** A signed span, as written: `120d` and `4 mo` stay different, because only a date and a zone can compare them. */
export interface Duration {
  amount: number;
  unit: DurationUnit;
}

/** The largest amount of each unit: 100 years, far beyond any contract, so that counting days always ends soon. */
export const MAX_DURATION_AMOUNT: Readonly<Record<DurationUnit, number>> = {
  s: 3_155_760_000,
  m: 52_596_000,
  h: 876_600,
  d: 36_525,
  w: 5_217,
  mo: 1_200,
  y: 100,
  bd: 36_525,
};

/** The duration that `text` names: a whole number with an optional sign, then the unit, `5 bd`, `-120d`, `+30d`. Undefined for other text and beyond 100 years. */
export function parseDuration(text: string): Duration | undefined {
  const match = /^([+-]?)(\d{1,10}) ?(s|m|h|d|w|mo|y|bd)$/.exec(text);
  if (!match) return undefined;
  const size = Number(match[2]);
  // Not -0: it would not survive JSON, and the language knows one nought.
  const amount = match[1] === "-" && size !== 0 ? -size : size;
  const duration: Duration = { amount, unit: match[3] as DurationUnit };
  return isDuration(duration) ? duration : undefined;
}

/** The duration as people write it: `5 bd`, `-120d`. `parseDuration` reads it back. */
export function formatDuration(duration: Duration): string {
  return `${duration.amount}${duration.unit === "bd" ? " " : ""}${duration.unit}`;
}

/** Whether the amount is a whole number of at most 100 years of its unit. */
export function isDuration(duration: Duration): boolean {
  return Number.isInteger(duration.amount) && Math.abs(duration.amount) <= MAX_DURATION_AMOUNT[duration.unit];
}
