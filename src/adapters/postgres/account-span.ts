import { type SQL, sql } from "drizzle-orm";
import type { AccountSpan } from "../../ports/health.js";
import { instantParam } from "./database.js";

/** A span whose ends are said when the statement is asked: `fillPlaceholders` puts them in. */
export const ANY_SPAN = { after: sql.placeholder("after"), last: sql.placeholder("last") };

/** The span's ends, or what stands for them. */
export type Ends = Pick<AccountSpan, "after" | "last"> | typeof ANY_SPAN;

/** That the column is an id of the span. Also of accounts that didn't exist yet: to be joined with `existing`. */
export function within({ after, last }: Ends, column: SQL): SQL {
  return sql`(${column} > ${after} and ${column} <= ${last})`;
}

/** The span's accounts, a row (`id`) each. */
export function existing(span: Ends & Pick<AccountSpan, "existedAt">): SQL {
  return sql`(select id from accounts where ${within(span, sql`id`)} and created_at <= ${instantParam(span.existedAt)} offset 0) existing`;
}
