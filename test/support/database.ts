import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { inject } from "vitest";

/** A database of one test file's own. */
export interface FreshDatabase {
  url: string;
  /** Closes others' connections to it and drops it. Idempotent. */
  drop(): Promise<void>;
}

const MIGRATE = fileURLToPath(new URL("../../src/adapters/postgres/migrate.ts", import.meta.url));
const MIGRATIONS = fileURLToPath(new URL("../../src/adapters/postgres/migrations", import.meta.url));
/** Any number, the same for everybody: whoever holds it makes the template. */
const TEMPLATE_LOCK = 20_260_101;

/**
 * A migrated, otherwise empty database, cloned in some 50 ms from a template that the first caller of the run makes
 * with the project's own migrations.
 *
 * @throws Error where the run has no stack (WAYPOST_TEST_STACK=off, or a room that runs without: vitest.config.ts)
 */
export async function freshDatabase(): Promise<FreshDatabase> {
  const serverUrl = inject("databaseUrl");
  if (!serverUrl)
    throw new Error("freshDatabase(): this test runs without the stack (see projects in vitest.config.ts)");
  const admin = postgres(serverUrl, { max: 1, onnotice: () => {} });
  const name = `test_${randomBytes(6).toString("hex")}`;
  try {
    const template = await readyTemplate(admin, serverUrl);
    await admin.unsafe(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  } finally {
    await admin.end();
  }
  let dropped: Promise<void> | undefined;
  return {
    url: withDatabase(serverUrl, name),
    drop() {
      dropped ??= dropDatabase(serverUrl, name);
      return dropped;
    },
  };
}

async function dropDatabase(serverUrl: string, name: string): Promise<void> {
  const admin = postgres(serverUrl, { max: 1, onnotice: () => {} });
  try {
    await admin.unsafe(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  } finally {
    await admin.end();
  }
}

/** Named after the migrations' content, so that a server from outside, which outlives the run, never serves an old one. */
async function readyTemplate(admin: postgres.Sql, serverUrl: string): Promise<string> {
  const template = `template_${migrationsHash()}`;
  await admin`SELECT pg_advisory_lock(${TEMPLATE_LOCK})`;
  try {
    const [found] = await admin`SELECT 1 FROM pg_database WHERE datname = ${template}`;
    if (found) return template;
    const draft = `${template}_draft`;
    await admin.unsafe(`DROP DATABASE IF EXISTS ${draft} WITH (FORCE)`);
    await admin.unsafe(`CREATE DATABASE ${draft}`);
    await migrateTo(withDatabase(serverUrl, draft));
    // CREATE DATABASE … TEMPLATE needs a template that nobody is connected to.
    await admin`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ${draft}`;
    await admin.unsafe(`ALTER DATABASE ${draft} RENAME TO ${template}`);
    return template;
  } finally {
    await admin`SELECT pg_advisory_unlock(${TEMPLATE_LOCK})`;
  }
}

async function migrateTo(url: string): Promise<void> {
  // Until the adapter exists, databases are empty; afterwards a missing migration is an error of the import.
  if (!existsSync(MIGRATE)) return;
  const { migrate } = (await import(MIGRATE)) as { migrate: (url: string) => Promise<unknown> };
  await migrate(url);
}

function migrationsHash(): string {
  const hash = createHash("sha256").update(existsSync(MIGRATE) ? "migrate" : "empty");
  if (existsSync(MIGRATIONS)) {
    for (const name of readdirSync(MIGRATIONS, { recursive: true, encoding: "utf8" }).sort()) {
      hash.update(name);
      if (/\.(sql|json)$/.test(name)) hash.update(readFileSync(join(MIGRATIONS, name)));
    }
  }
  return hash.digest("hex").slice(0, 16);
}

function withDatabase(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.toString();
}
