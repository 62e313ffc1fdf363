import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/postgres-js";
import { migrate as applyMigrations } from "drizzle-orm/postgres-js/migrator";
import postgres from "postgres";
import { StoreUnavailable } from "../../ports/transactions.js";
import { codeOf } from "./database.js";

/** The folder of SQL files that drizzle-kit generated from `schema.ts`; the build copies it beside this file. */
export const MIGRATIONS_FOLDER = join(dirname(fileURLToPath(import.meta.url)), "migrations");

/** Any number will do, as long as every process takes the same. */
const MIGRATION_LOCK = 7_303_014;

/**
 * Brings the database to the present schema. Several processes may do so at once: one works, the others wait for it.
 * Idempotent. Throws `StoreUnavailable` when the database can't be reached.
 */
export async function migrate(url: string, log: (line: string) => void = () => {}): Promise<void> {
  const client = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => {} });
  try {
    await client`select pg_advisory_lock(${MIGRATION_LOCK})`;
    const before = await applied(client);
    if (before < migrationCount()) {
      await applyMigrations(drizzle(client), { migrationsFolder: MIGRATIONS_FOLDER });
      log(`database: ${migrationCount() - before} migration(s) applied`);
    }
  } catch (error) {
    if (/^(E[A-Z]+|CONNECT.*|57P03)$/.test(codeOf(error) ?? "")) {
      throw new StoreUnavailable(`Postgres can't be reached (${codeOf(error)})`, { cause: error });
    }
    throw error;
  } finally {
    // The lock goes with the connection.
    await client.end({ timeout: 5 });
  }
}

function migrationCount(): number {
  const journal = JSON.parse(readFileSync(join(MIGRATIONS_FOLDER, "meta", "_journal.json"), "utf8")) as {
    entries: unknown[];
  };
  return journal.entries.length;
}

async function applied(client: postgres.Sql): Promise<number> {
  const [table] = await client`select to_regclass('drizzle.__drizzle_migrations') is not null as there`;
  if (!table?.there) return 0;
  const [row] = await client`select count(*)::int as n from drizzle.__drizzle_migrations`;
  return row?.n as number;
}
