import { getTableColumns } from "drizzle-orm";
import type { PgTable } from "drizzle-orm/pg-core";
import type postgres from "postgres";
import type { Tx } from "../../ports/transactions.js";

/** What stands for `$1`, `$2` …: instants as ISO text (`isoOf`), JSON as text. */
export type Parameter = string | number | boolean | null | readonly string[];

/**
 * The rows of a statement that was written once, with `$1`, `$2` … for what differs from call to call. For what every effect of every run
 * asks: drizzle builds a statement anew each time, which costs a worker more than the statement itself.
 *
 * Statements of one transaction are done in the order in which this was called, also where nobody waited for the one before: they travel together.
 */
export async function ask<Row>(tx: Tx, text: string, parameters: readonly Parameter[]): Promise<Row[]> {
  const { client } = (tx as unknown as DrizzleInside).session;
  return (await client.unsafe(text, parameters as postgres.ParameterOrJSON<never>[], AS_GIVEN)) as unknown as Row[];
}

/** Left to itself, the driver has a statement without parameters parsed and planned each time. It takes the option, though its types don't have it. */
const AS_GIVEN = { simple: false } as postgres.UnsafeQueryOptions;

/** Both a drizzle transaction and a drizzle database have it. */
interface DrizzleInside {
  readonly session: { readonly client: Pick<postgres.Sql, "unsafe"> };
}

/** An instant as a parameter of a hand-written statement. */
export function isoOf(at: number): string {
  return new Date(at).toISOString();
}

/** SQL for a row as JSON that is already what the code calls it: names of the schema, instants as epoch milliseconds. */
export function jsonRow(table: PgTable, alias: string): string {
  const pairs = Object.entries(getTableColumns(table)).map(([name, column]) => {
    const value = `${alias}."${column.name}"`;
    return `'${name}', ${column.getSQLType().startsWith("timestamp") ? msText(value) : value}`;
  });
  return `json_build_object(${pairs.join(", ")})`;
}

/** SQL: epoch milliseconds of a `timestamptz`. */
export function msText(value: string): string {
  return `round(extract(epoch from ${value}) * 1000)::bigint`;
}
