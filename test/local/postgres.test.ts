import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:net";
import postgres from "postgres";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type RunningPostgres, startPostgres } from "../../src/local/postgres.js";

let folder: string;
let running: RunningPostgres | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "waypost-postgres-test-"));
  chmodSync(folder, 0o755);
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
  rmSync(folder, { recursive: true, force: true });
});

const start = (below = ".") => startPostgres({ folder: join(folder, below), log: () => {}, environment: {} });

test("DATABASE_URL is taken as it is, and nothing is started", async () => {
  const environment = { DATABASE_URL: "postgres://someone@db.example:5432/app" };
  running = await startPostgres({ folder, log: () => {}, environment });
  expect(running).toMatchObject({ url: "postgres://someone@db.example:5432/app", isEmbedded: false });
  expect(existsSync(join(folder, "postgres"))).toBe(false);
  await expect(running.crash()).rejects.toThrow("not ours to kill");
});

test("it keeps its data and its password over a restart, in order or after kill -9", async () => {
  running = await start();
  const first = new URL(running.url);
  await query(running.url, (sql) => sql`CREATE TABLE kept (word text)`);
  await query(running.url, (sql) => sql`INSERT INTO kept VALUES ('zażółć')`);
  await running.stop();

  running = await start();
  expect(new URL(running.url).password).toBe(first.password);
  expect(await query(running.url, (sql) => sql`SELECT word FROM kept`)).toEqual([{ word: "zażółć" }]);
  const [pid] = readFileSync(join(folder, "postgres", "data", "postmaster.pid"), "utf8").split("\n");
  process.kill(Number(pid), "SIGKILL");

  running = await start();
  expect(await query(running.url, (sql) => sql`SELECT word FROM kept`)).toEqual([{ word: "zażółć" }]);
});

test("killed, it is back at the same address with what was committed; stopped, it comes back no more", async () => {
  running = await start();
  await query(running.url, (sql) => sql`CREATE TABLE kept (word text)`);
  await query(running.url, (sql) => sql`INSERT INTO kept VALUES ('was')`);
  const [before] = await query(running.url, (sql) => sql`SELECT pg_postmaster_start_time()::text AS at`);
  await running.crash();
  expect(await query(running.url, (sql) => sql`SELECT word FROM kept`)).toEqual([{ word: "was" }]);
  expect(await query(running.url, (sql) => sql`SELECT pg_postmaster_start_time()::text AS at`)).not.toEqual([before]);
  const crashing = running.crash(100);
  await running.stop();
  await crashing;
  await expect(query(running.url, (sql) => sql`SELECT 1`)).rejects.toThrow();
  await expect(running.crash()).rejects.toThrow("it is being stopped");
});

test("a server that nobody registered is ended before its data is used again", async () => {
  const forgotten = await start();
  running = await start();
  await expect(query(forgotten.url, (sql) => sql`SELECT 1`)).rejects.toThrow();
  expect(await query(running.url, (sql) => sql`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
  await forgotten.stop();
});

test("the password is random, private, and asked for", async () => {
  running = await start();
  const url = new URL(running.url);
  expect(url.password).toMatch(/^[0-9a-f]{48}$/);
  expect(statSync(join(folder, "postgres-password")).mode & 0o777).toBe(0o600);
  url.password = "wrong";
  await expect(query(url.toString(), (sql) => sql`SELECT 1`)).rejects.toThrow("password authentication failed");
});

test("it listens on loopback only, and is durable by default", async () => {
  running = await start();
  const port = Number(new URL(running.url).port);
  const outward = Object.values(networkInterfaces())
    .flat()
    .find((each) => each !== undefined && !each.internal && each.family === "IPv4")?.address;
  if (outward) expect(await isListening(outward, port)).toBe(false);
  expect(await isListening("127.0.0.1", port)).toBe(true);
  const settings = (name: string) => query(running?.url ?? "", (sql) => sql`SELECT current_setting(${name}) AS value`);
  expect(await settings("fsync")).toEqual([{ value: "on" }]);
  expect(await settings("synchronous_commit")).toEqual([{ value: "on" }]);
  expect(await settings("TimeZone")).toEqual([{ value: "UTC" }]);
});

const canSetpriv = process.getuid?.() === 0 && hasSetpriv();
test.skipIf(!canSetpriv)("as root, below a folder that only root may enter", async () => {
  chmodSync(folder, 0o700);
  running = await start("clone/.waypost");
  expect(await query(running.url, (sql) => sql`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
});

test("what keeps it from starting is said with the server's own words", async () => {
  const settings = { shared_buffers: "lots" };
  await expect(startPostgres({ folder, log: () => {}, environment: {}, settings })).rejects.toThrow(
    /^Postgres did not start: it ended at once: .*invalid value for parameter "shared_buffers": "lots".* \(log: .*logs\/postgres\.log\)$/,
  );
});

async function query<T>(url: string, ask: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, connect_timeout: 5 });
  try {
    const answer = await ask(sql);
    return (Array.isArray(answer) ? [...answer] : answer) as T;
  } finally {
    await sql.end();
  }
}

function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1_000 });
    const over = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => over(true));
    socket.once("error", () => over(false));
    socket.once("timeout", () => over(false));
  });
}

function hasSetpriv(): boolean {
  try {
    execFileSync("setpriv", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
