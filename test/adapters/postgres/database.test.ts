import { createServer } from "node:net";
import { sql } from "drizzle-orm";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { inside, openDatabase, rowsOf, type Database } from "../../../src/adapters/postgres/database.js";
import { ask } from "../../../src/adapters/postgres/statement.js";
import { migrate } from "../../../src/adapters/postgres/migrate.js";
import { StoreUnavailable, WithCommit } from "../../../src/ports/transactions.js";
import { freshDatabase } from "../../support/database.js";

let database: Database;
let fresh: Awaited<ReturnType<typeof freshDatabase>>;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = openDatabase(fresh.url, { poolMax: 6, statementTimeoutMs: 5_000 });
  await database.client`create table counters (id int primary key, n int not null)`;
  await database.client`insert into counters values (1, 0), (2, 0)`;
});
afterAll(async () => {
  await database.close();
  await database.close();
  await fresh.drop();
});

describe("what a failed query says", () => {
  const said = async (failing: Promise<unknown>): Promise<string> => {
    const error = await failing.then(
      () => new Error("it did not fail"),
      (thrown: Error) => thrown,
    );
    const lines: string[] = [];
    for (let at: unknown = error; at instanceof Error; at = at.cause) lines.push(at.message, at.stack ?? "");
    return lines.join("\n");
  };
  const query = sql`select 1 / (length(${"eva@acme.example"}::text) - 16)`;

  it("leaves the values out, also where the server is away", async () => {
    const fails = [
      database.read((tx) => rowsOf(tx, query)),
      database.transaction((tx) => rowsOf(tx, query)),
      openDatabase("postgres://u:p@127.0.0.1:1/none").read((tx) => rowsOf(tx, query)),
    ];
    for (const text of await Promise.all(fails.map(said))) {
      expect(text).toContain("select 1 / (length($1");
      expect(text).not.toContain("eva@");
    }
  });
});

describe("migrate", () => {
  it("lets several processes start at once, and does nothing the second time", async () => {
    const admin = postgres(inject("databaseUrl") as string, { max: 1, onnotice: () => {} });
    const name = `migrate_${process.pid}`;
    await admin.unsafe(`create database ${name}`);
    const url = new URL(inject("databaseUrl") as string);
    url.pathname = `/${name}`;
    try {
      const lines: string[] = [];
      await Promise.all(Array.from({ length: 4 }, () => migrate(url.toString(), (line) => lines.push(line))));
      await migrate(url.toString(), (line) => lines.push(line));
      expect(lines).toEqual(["database: 7 migration(s) applied"]);
      const client = postgres(url.toString(), { max: 1 });
      const [row] =
        await client`select count(*)::int as n from information_schema.tables where table_schema = 'public' and table_name in ('runs', 'events', 'due', 'field_changes')`;
      await client.end();
      expect(row?.n).toBe(4);
    } finally {
      await admin.unsafe(`drop database if exists ${name} with (force)`);
      await admin.end();
    }
  });
});

describe("transaction", () => {
  it("keeps all or nothing", async () => {
    await expect(
      database.transaction(async (tx) => {
        await inside(tx).execute(sql`update counters set n = 7`);
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(await database.read((tx) => rowsOf(tx, sql`select n from counters where id = 1`))).toEqual([{ n: 0 }]);
  });

  it("is done again for a deadlock's victim", async () => {
    const add = (first: number, second: number) =>
      database.transaction(async (tx) => {
        await inside(tx).execute(sql`update counters set n = n + 1 where id = ${first}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
        await inside(tx).execute(sql`update counters set n = n + 1 where id = ${second}`);
      });
    await Promise.all([add(1, 2), add(2, 1)]);
    expect(await database.read((tx) => rowsOf(tx, sql`select id, n from counters order by id`))).toEqual([
      { id: 1, n: 2 },
      { id: 2, n: 2 },
    ]);
  });

  it("sends COMMIT with the last statement; what that answers comes back, and it takes everything back where it fails", async () => {
    const insert = "insert into counters values ($1, $2) returning n";
    const both = (first: number, second: number) =>
      database.transaction(async (tx) => {
        await ask(tx, insert, [first, 7]);
        return new WithCommit(ask<{ n: number }>(tx, insert, [second, 8])).map(([row]) => row?.n);
      });
    expect(await both(11, 12)).toBe(8);
    await expect(both(13, 12)).rejects.toMatchObject({ code: "23505" });
    const kept = await database.read((tx) => ask(tx, "select id from counters where id > 10 order by id", []));
    expect(kept).toEqual([{ id: 11 }, { id: 12 }]);
    // The connection is free again, and in no transaction.
    expect(await both(14, 15)).toBe(8);
    await database.client`delete from counters where id > 10`;
  });

  it("is done again where the last statement, with COMMIT behind it, was a deadlock's victim", async () => {
    await database.client`update counters set n = 0`;
    const add = "update counters set n = n + 1 where id = $1";
    const addBoth = (first: number, second: number) =>
      database.transaction(async (tx) => {
        await ask(tx, add, [first]);
        await new Promise((resolve) => setTimeout(resolve, 100));
        return new WithCommit(ask(tx, add, [second]));
      });
    await Promise.all([addBoth(1, 2), addBoth(2, 1)]);
    expect(await database.read((tx) => ask(tx, "select id, n from counters order by id", []))).toEqual([
      { id: 1, n: 2 },
      { id: 2, n: 2 },
    ]);
  });

  it("takes accounts' locks in one order, whatever order they are named in", async () => {
    const order: string[] = [];
    const hold = (name: string, ids: string[]) =>
      database.transaction(async (tx) => {
        await database.lockAccounts(tx, ids);
        order.push(`${name} in`);
        await new Promise((resolve) => setTimeout(resolve, 30));
        order.push(`${name} out`);
      });
    await Promise.all(Array.from({ length: 5 }, (_, k) => hold(`t${k}`, k % 2 === 0 ? ["a", "b"] : ["b", "a"])));
    expect(order.filter((_, k) => k % 2 === 0).map((line) => line.split(" ")[0])).toEqual(
      order.filter((_, k) => k % 2 === 1).map((line) => line.split(" ")[0]),
    );
  });

  it("lets one at a time do what is locked by name", async () => {
    let inWork = 0;
    const work = async () => {
      inWork += 1;
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(inWork).toBe(1);
      inWork -= 1;
    };
    const got = await Promise.all([1, 2, 3].map(() => database.whileLocked("dispatch:a", async () => {}, work)));
    expect(got.filter(Boolean)).toHaveLength(1);
    expect(await database.whileLocked("dispatch:a", async () => {}, work)).toBe(true);
  });
});

describe("StoreUnavailable", () => {
  it("is what a refused connection becomes", async () => {
    const away = openDatabase("postgres://nobody:secret@127.0.0.1:1/none");
    const failed = await away.read((tx) => rowsOf(tx, sql`select 1`)).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(StoreUnavailable);
    expect(String(failed)).toBe("StoreUnavailable: Postgres can't be reached (ECONNREFUSED)");
    await expect(away.transaction(async () => {})).rejects.toBeInstanceOf(StoreUnavailable);
    await expect(migrate("postgres://nobody:secret@127.0.0.1:1/none")).rejects.toBeInstanceOf(StoreUnavailable);
    await away.close();
  });

  it("is what a server that hangs up becomes", async () => {
    const server = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const away = openDatabase(`postgres://nobody:secret@127.0.0.1:${port}/none`);
    await expect(away.read((tx) => rowsOf(tx, sql`select 1`))).rejects.toBeInstanceOf(StoreUnavailable);
    await away.close();
    server.close();
  });

  it("is what a killed session becomes, and the pool recovers", async () => {
    const killed = database.transaction(async (tx) => {
      const [row] = await rowsOf<{ pid: number }>(tx, sql`select pg_backend_pid() as pid`);
      await database.client`select pg_terminate_backend(${row?.pid as number})`;
      await new Promise((resolve) => setTimeout(resolve, 50));
      await inside(tx).execute(sql`select 1`);
    });
    await expect(killed).rejects.toBeInstanceOf(StoreUnavailable);
    expect(await database.read((tx) => rowsOf(tx, sql`select 1 as one`))).toEqual([{ one: 1 }]);
  });
});
