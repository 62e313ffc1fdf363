import { type AddressInfo, connect, createServer } from "node:net";
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, inside, openDatabase } from "../../../src/adapters/postgres/database.js";
import { StoreUnavailable, type Tx } from "../../../src/ports/transactions.js";
import { type Cable, startCable } from "../../entrances/support/cable.js";
import { type FreshDatabase, freshDatabase } from "../../support/database.js";
import { startTcpProxy } from "../../support/tcp-proxy.js";

let fresh: FreshDatabase;
let cable: Cable;
let database: Database;

beforeAll(async () => {
  fresh = await freshDatabase();
  const url = new URL(fresh.url);
  cable = await startCable(url.hostname, Number(url.port));
  url.hostname = "127.0.0.1";
  url.port = String(cable.port);
  database = openDatabase(url.toString(), { poolMax: 3 });
});
afterAll(async () => {
  await cable.mend();
  await database.close();
  await cable.cut();
  await fresh.drop();
});

const ask = () => database.read((tx) => inside(tx).execute(sql`select 1 as one`));

/** A rollback follows the statement that fails: it must be settled too. */
const askInTransaction = () =>
  database.transaction(async (tx) => {
    await inside(tx).execute(sql`select 1`);
    return inside(tx).execute(sql`select pg_sleep(0.005)`);
  });

/** Statements that find a connection broken may still fail; soon none does, on any of the pool's. */
async function everyConnectionWorks(): Promise<void> {
  const deadline = performance.now() + 5_000;
  for (let inARow = 0; inARow < 3; ) {
    const results = await Promise.all(Array.from({ length: 6 }, () => ask().catch((error: unknown) => error)));
    inARow = results.every((result) => Array.isArray(result)) ? inARow + 1 : 0;
    if (performance.now() > deadline) throw new Error("a connection is still broken", { cause: results });
  }
}

test("a connection that breaks inside a transaction is a StoreUnavailable, and the process lives", async () => {
  const broken = database.transaction(async (tx) => {
    await inside(tx).execute(sql`select 1`);
    await cable.cut();
    // Long enough for the driver to know that its socket is gone.
    await new Promise((resolve) => setTimeout(resolve, 50));
    await inside(tx).execute(sql`select 2`);
  });
  await expect(broken).rejects.toBeInstanceOf(StoreUnavailable);
  await expect(ask()).rejects.toBeInstanceOf(StoreUnavailable);
  await cable.mend();
  await everyConnectionWorks();
});

test("connections that break at any moment, with statements buffered or under way, all work again afterwards", async () => {
  for (let round = 0; round < 9; round++) {
    const asked = Array.from({ length: 12 }, (_, index) =>
      (index % 2 === 0 ? ask() : askInTransaction()).catch((error: unknown) => error),
    );
    if (round % 3 === 1) await new Promise((resolve) => setImmediate(resolve));
    if (round % 3 === 2) await new Promise((resolve) => setTimeout(resolve, 1));
    await cable.cut();
    for (const result of await Promise.all(asked)) {
      if (result instanceof Error) expect(result).toBeInstanceOf(StoreUnavailable);
    }
    await cable.mend();
    await everyConnectionWorks();
  }
}, 60_000);

test("a connection that falls silent under a statement is given up, and the next works", async () => {
  const proxy = await startTcpProxy(new URL(fresh.url).host);
  const url = new URL(fresh.url);
  url.host = `127.0.0.1:${proxy.port}`;
  const own = openDatabase(url.toString(), { poolMax: 1, silenceMaxMs: 400 });
  try {
    const once = () => own.read((tx) => inside(tx).execute(sql`select 1 as one`));
    await once();
    proxy.freeze();
    const began = performance.now();
    await expect(once()).rejects.toBeInstanceOf(StoreUnavailable);
    expect(performance.now() - began).toBeLessThan(3_000);
    await proxy.restore();
    // The attempt to connect anew that was under way breaks off with the restoring.
    const again = async (left: number): Promise<unknown> =>
      once().catch((error) => {
        if (left === 0) throw error;
        return new Promise((resolve) => setTimeout(resolve, 100)).then(() => again(left - 1));
      });
    await expect(again(30)).resolves.toEqual([{ one: 1 }]);
    // One that was only idle goes quietly.
    await new Promise((resolve) => setTimeout(resolve, 700));
    await expect(once()).resolves.toEqual([{ one: 1 }]);
  } finally {
    await own.close();
    await proxy.stop();
  }
});

test("work that goes on behind its broken transaction ends as failed, and does nothing in the next one on that connection", async () => {
  const own = openDatabase(fresh.url, { poolMax: 1 });
  const other = openDatabase(fresh.url, { poolMax: 1 });
  const rows = async () =>
    (await other.client<{ who: string }[]>`select who from zombies order by who`).map(({ who }) => who);
  const add = (tx: Tx, who: string) => inside(tx).execute(sql`insert into zombies values (${who})`);
  await other.client`create table zombies (who text)`;
  try {
    for (const ending of ["goes on", "ends", "fails"] as const) {
      const [gone, awake, asleep] = [gate(), gate(), gate()];
      let late: unknown = "nothing";
      const first = own.transaction(async (tx) => {
        await add(tx, "first");
        gone.open();
        await awake.passed;
        if (ending === "goes on") late = await add(tx, "zombie").catch((error: unknown) => error);
        setTimeout(asleep.open, 50);
        if (ending === "fails") throw new Error("too late");
      });
      const broken = expect(first).rejects.toBeInstanceOf(StoreUnavailable);
      await gone.passed;
      await other.client`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and state = 'idle in transaction'`;
      await broken;

      const second = own.transaction(async (tx) => {
        await add(tx, "second");
        awake.open();
        await asleep.passed;
        await add(tx, "second");
        throw new Error("not to be kept");
      });
      await expect(second).rejects.toThrow("not to be kept");
      expect([ending, await rows()]).toEqual([ending, []]);
      await own.transaction((tx) => add(tx, "third"));
      expect(await rows()).toEqual(["third"]);
      await other.client`delete from zombies`;
      if (ending === "goes on") expect(late).toMatchObject({ cause: { code: "CONNECTION_CLOSED" } });
    }
  } finally {
    await own.close();
    await other.close();
  }
});

function gate() {
  let open = (): void => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}

test("where BEGIN fails nothing of the transaction is kept, though its first statement travels with it", async () => {
  const to = new URL(fresh.url);
  let spoilt = 0;
  const together: boolean[] = [];
  const door = createServer((near) => {
    const far = connect(Number(to.port), to.hostname);
    far.on("error", () => near.destroy());
    near.on("error", () => far.destroy());
    far.pipe(near);
    near.on("data", (bytes: Buffer) => {
      const at = bytes.indexOf("Q\0\0\0\vbegin \0");
      if (at >= 0) together.push(bytes.length > at + 12);
      if (at >= 0 && spoilt > 0) {
        spoilt -= 1;
        bytes.write("bogus ", at + 5);
      }
      far.write(bytes);
    });
  });
  await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", () => resolve()));
  const url = new URL(fresh.url);
  url.host = `127.0.0.1:${(door.address() as AddressInfo).port}`;
  const own = openDatabase(url.toString(), { poolMax: 1 });
  const kept = () => database.read((tx) => inside(tx).execute(sql`select who from unbegun order by who`));
  const add = (tx: Tx, who: string) => inside(tx).execute(sql`insert into unbegun values (${who})`);
  const lookAndAdd = (who: string, more: (tx: Tx) => Promise<unknown>[]) =>
    own.transaction(async (tx) => {
      await Promise.all([own.lockAccounts(tx, ["acme"]), inside(tx).execute(sql`select 1`), ...more(tx)]);
      await add(tx, who);
    });
  try {
    await own.read((tx) => inside(tx).execute(sql`create table unbegun (who text)`));
    await lookAndAdd("a", () => []);
    const beside: ((who: string) => (tx: Tx) => Promise<unknown>[])[] = [
      () => () => [],
      (who) => (tx) => [add(tx, who), inside(tx).execute(sql`select 2`), add(tx, who)],
    ];
    for (const more of beside) {
      spoilt = 1;
      await expect(lookAndAdd("lost", more("lost"))).rejects.toThrow();
      expect(spoilt).toBe(0);
    }
    spoilt = 1;
    await expect(own.transaction((tx) => add(tx, "lost"))).rejects.toThrow();
    // The same connection does the next one, whole.
    await lookAndAdd("b", (tx) => [add(tx, "c")]);
    await own.transaction((tx) => add(tx, "d"));
    expect(await kept()).toEqual(["a", "b", "c", "d"].map((who) => ({ who })));
    expect(together).toEqual([true, true, true, false, true, false]);
  } finally {
    await own.close();
    door.close();
  }
});

test("a connection that breaks while the driver asks for its array types fails who waits for it, and nobody else", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => void unhandled.push(error);
  process.on("unhandledRejection", note);
  const to = new URL(fresh.url);
  const door = createServer((near) => {
    const far = connect(Number(to.port), to.hostname);
    far.on("error", () => near.destroy());
    near.on("error", () => far.destroy());
    far.pipe(near);
    near.on("data", (bytes: Buffer) => {
      if (bytes.includes("pg_catalog.pg_type")) near.resetAndDestroy();
      else far.write(bytes);
    });
  });
  await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", () => resolve()));
  const url = new URL(fresh.url);
  url.host = `127.0.0.1:${(door.address() as AddressInfo).port}`;
  const brittle = openDatabase(url.toString(), { poolMax: 1 });
  try {
    const asked = brittle.read((tx) => inside(tx).execute(sql`select 1 as one`));
    await expect(asked).rejects.toBeInstanceOf(StoreUnavailable);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(unhandled).toEqual([]);
  } finally {
    process.off("unhandledRejection", note);
    await brittle.close();
    door.close();
  }
});
