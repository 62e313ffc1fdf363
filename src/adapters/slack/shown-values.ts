import type { Instant } from "../../values/instant.js";
import { escapeMrkdwn, humanName } from "./block-kit.js";

/** `Fri 6 Mar, 17:00` in the person's zone and language; an unknown locale reads as English. */
export function instantText(at: Instant, timezone: string, locale: string): string {
  const format: Intl.DateTimeFormatOptions = {
    weekday: "short",
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    timeZone: timezone,
  };
  try {
    return new Intl.DateTimeFormat(localeOf(locale), format).format(at);
  } catch {
    return new Intl.DateTimeFormat("en-GB", format).format(at);
  }
}

export function dayText(at: Instant, timezone: string, locale: string): string {
  const format: Intl.DateTimeFormatOptions = { weekday: "long", day: "numeric", month: "long", timeZone: timezone };
  try {
    return new Intl.DateTimeFormat(localeOf(locale), format).format(at);
  } catch {
    return new Intl.DateTimeFormat("en-GB", format).format(at);
  }
}

/** `120,000`: no currency, the account's is not known here. */
export function moneyText(amount: number, locale: string): string {
  const format: Intl.NumberFormatOptions = { maximumFractionDigits: 0 };
  try {
    return new Intl.NumberFormat(localeOf(locale), format).format(amount);
  } catch {
    return new Intl.NumberFormat("en-GB", format).format(amount);
  }
}

export interface ShownHealth {
  readonly healthStatus?: string;
  readonly healthScore?: number;
  readonly healthChange7d?: number;
}

/** `🔴 Red 38 (▼ 12 in 7 days)`; `⚪ Unknown` when nothing is known. */
export function healthText(health: ShownHealth): string {
  const status = health.healthStatus ?? "unknown";
  const score = health.healthScore === undefined ? "" : ` ${Math.round(health.healthScore)}`;
  return `${LIGHTS[status] ?? "⚪"} ${escapeMrkdwn(humanName(status))}${score}${trendText(health.healthChange7d)}`;
}

function trendText(change: number | undefined): string {
  if (change === undefined) return "";
  const points = Math.round(change);
  if (points === 0) return " (steady)";
  return ` (${points > 0 ? "▲" : "▼"} ${Math.abs(points)} in 7 days)`;
}

const LIGHTS: Readonly<Record<string, string>> = { green: "🟢", yellow: "🟡", red: "🔴", unknown: "⚪" };

/** `2 bd` → `2 working days`. */
export function durationText(duration: string): string {
  const [, count, unit] = /^(\d+)\s*(s|m|h|d|w|mo|y|bd)$/.exec(duration.trim()) ?? [];
  if (count === undefined || unit === undefined) return duration;
  const name = UNITS[unit] ?? unit;
  return `${count} ${name}${count === "1" ? "" : "s"}`;
}

const UNITS: Readonly<Record<string, string>> = {
  s: "second",
  m: "minute",
  h: "hour",
  d: "day",
  w: "week",
  mo: "month",
  y: "year",
  bd: "working day",
};

/** British rather than American where only `en` is said: day before month, in a product with customers in eight zones. */
function localeOf(locale: string): string {
  return locale === "en" ? "en-GB" : locale;
}
