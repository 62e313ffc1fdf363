import { type SQL, sql } from "drizzle-orm";
import { windowMs } from "../../customers/metrics.js";
import type { Metric } from "../../customers/model.js";

/**
 * What a sample `s` must fit to lie in the metric's window `back` windows before the present one: (as of − (back + 1)·w, as of − back·w].
 * Empty for a metric without a window. `before` gives the instant so many milliseconds before the one that is meant.
 */
export function windowBounds(metric: Metric, back: number, before: (ms: number) => SQL): SQL[] {
  if (metric.window === undefined) return [];
  const ms = windowMs(metric.window);
  const from = sql`s.at > ${before(ms * (back + 1))}`;
  return back === 0 ? [from] : [from, sql`s.at <= ${before(ms * back)}`];
}

/** The metric's aggregate over the samples `s` that fit all conditions. */
export function aggregateSql(metric: Metric, conditions: readonly SQL[]): SQL {
  const where = conditions.length === 0 ? sql`` : sql`filter (where ${sql.join([...conditions], sql` and `)})`;
  switch (metric.aggregate) {
    case "sum":
      return sql`sum(s.value) ${where}`;
    case "count":
      return sql`(count(*) ${where})::double precision`;
    case "avg":
      return sql`avg(s.value) ${where}`;
    case "max":
      return sql`max(s.value) ${where}`;
    case "distinct":
      return sql`(count(distinct s.actor) ${where})::double precision`;
    case "last":
      return sql`(array_agg(s.value order by s.at desc, s.source_id desc) ${where})[1]`;
  }
}

/** Milliseconds as Postgres' interval. */
export function interval(ms: number): SQL {
  return sql`${`${ms} milliseconds`}::interval`;
}
