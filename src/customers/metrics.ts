import type { Duration } from "../values/duration.js";
import { DAY_MS, type Instant } from "../values/instant.js";
import type { Metric } from "./model.js";

/** One sample that the product sent. */
export interface Sample {
  /** Of the source; orders samples of one instant. */
  readonly id: string;
  readonly at: Instant;
  readonly value: number;
  /** A contact's id. */
  readonly user?: string | undefined;
}

/** Fewer full windows than this make no baseline. */
export const BASELINE_WINDOWS_MIN = 4;

/**
 * The metric's value as of the instant; undefined where it is absent. `samples`: all of one account and of the name
 * `metric.from`, in any order; those after `asOf` are ignored. A metric of a contact needs `contactId`. `roleOf` is
 * needed by a metric with a role. For a frozen metric pass the start of the run that freezes it as `asOf`.
 * Source: docs/language-files.md, "model.yaml".
 */
export function metricValue(
  metric: Metric,
  samples: readonly Sample[],
  asOf: Instant,
  whose: { readonly contactId?: string; readonly roleOf?: (user: string) => string | undefined } = {},
): number | undefined {
  if (metric.of === "contact" && whose.contactId === undefined) return undefined;
  const known = samples.filter((sample) => sample.at <= asOf).sort(bySource);
  const first = known[0];
  if (first === undefined) return undefined;
  const counted = known.filter(
    ({ user }) =>
      (metric.of === "account" || user === whose.contactId) &&
      (metric.role === undefined || (user !== undefined && whose.roleOf?.(user) === metric.role)),
  );
  if (metric.baseline === undefined) return aggregate(metric, counted, asOf, 0);
  // Without a window there is none before the present one.
  if (metric.window === undefined) return undefined;
  const lengthMs = windowMs(metric.window);
  const values: number[] = [];
  for (let back = 1; back <= metric.baseline.weeks; back++) {
    // A window counts if it ended at or after the first sample: before that, silence says nothing.
    if (asOf - back * lengthMs < first.at) break;
    const value = aggregate(metric, counted, asOf, back);
    if (value !== undefined) values.push(value);
  }
  if (values.length < BASELINE_WINDOWS_MIN) return undefined;
  return metric.baseline.statistic === "mean" ? mean(values) : median(values);
}

/** Exact milliseconds of a metric's window: h, d (24 h) and w (168 h). */
export function windowMs(window: Duration): number {
  switch (window.unit) {
    case "h":
      return window.amount * 3_600_000;
    case "w":
      return window.amount * 7 * DAY_MS;
    default:
      return window.amount * DAY_MS;
  }
}

/** The middle value, or the mean of the two middle ones. Undefined for no values. */
export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  return upper === undefined || lower === undefined ? undefined : (lower + upper) / 2;
}

/** Over the window that lies `back` windows before the present one: (asOf − (back + 1)·w, asOf − back·w]. */
function aggregate(metric: Metric, samples: readonly Sample[], asOf: Instant, back: number): number | undefined {
  const lengthMs = metric.window === undefined ? Number.POSITIVE_INFINITY : windowMs(metric.window);
  const to = back === 0 ? asOf : asOf - back * lengthMs;
  const inside = samples.filter(({ at }) => at > to - lengthMs && at <= to);
  switch (metric.aggregate) {
    case "sum":
      return sum(inside.map(({ value }) => value));
    case "count":
      return inside.length;
    case "distinct":
      return new Set(inside.flatMap(({ user }) => user ?? [])).size;
    case "avg":
      return inside.length === 0 ? undefined : mean(inside.map(({ value }) => value));
    case "max":
      return inside.length === 0 ? undefined : inside.reduce((most, { value }) => Math.max(most, value), -Infinity);
    case "last":
      return inside.at(-1)?.value;
  }
}

function bySource(a: Sample, b: Sample): number {
  return a.at - b.at || (a.id < b.id ? -1 : 1);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Of at least one value. */
export function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}
