import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { memoryLedger } from "../../src/adapters/memory/ledger.js";
import { type Database, openDatabase } from "../../src/adapters/postgres/database.js";
import { postgresLedger } from "../../src/adapters/postgres/ledger.js";
import type { Ledger, NewDelivery } from "../../src/ports/ledger.js";
import type { Tx } from "../../src/ports/transactions.js";
import { freshDatabase, type FreshDatabase } from "../support/database.js";
import { HOUR, newMail, T0 } from "./support/stage.js";

let number = 0;
function mail(more: Partial<NewDelivery> = {}): NewDelivery {
  number += 1;
  return newMail(`run-1|welcome|c-${number}|email`, {
    id: `00000000-0000-0000-0000-${String(number).padStart(12, "0")}`,
    effectKey: "welcome",
    step: "welcome",
    ...more,
  });
}

/** One contract, two ledgers; `pause` lets the ledger's own clock go on. */
function contract(
  name: string,
  open: () => Promise<{ ledger: Ledger; tx: Tx; pause(ms: number): Promise<void>; close(): Promise<void> }>,
): void {
  describe(name, () => {
    let ledger: Ledger;
    let tx: Tx;
    let pause: (ms: number) => Promise<void>;
    let close: () => Promise<void>;
    let key: string;

    beforeAll(async () => {
      ({ ledger, tx, pause, close } = await open());
    });
    afterAll(() => close());
    beforeEach(async () => {
      const row = mail({ contactId: `c-${number}` });
      key = row.key;
      await ledger.pin(tx, [row]);
    });
    const status = async (): Promise<string | undefined> => (await ledger.read(tx, key))?.status;

    test("pinning twice is pinning once, and shows what has become of it", async () => {
      const row = mail();
      expect((await ledger.pin(tx, [row]))[0]).toMatchObject({ ...row, status: "pending", attempts: 0, sentAt: null });
      await ledger.claim(tx, row.key, "t", 1000, T0);
      expect(await ledger.pin(tx, [row])).toMatchObject([{ key: row.key, status: "claimed" }]);
      expect(await ledger.readById(tx, row.id)).toMatchObject({ key: row.key });
    });

    test("the way of a message that is accepted", async () => {
      expect(await ledger.claim(tx, key, "t1", 1000, T0)).toMatchObject({
        status: "claimed",
        token: "t1",
        attempts: 1,
        sentAt: T0,
      });
      expect(await ledger.wire(tx, key, "t1", 1000, { raw: "bytes", messageId: "<m>" })).toBe(true);
      expect(await ledger.read(tx, key)).toMatchObject({ status: "wire", raw: "bytes", messageId: "<m>" });
      const settled = await ledger.settle(tx, key, "t1", { status: "sent", serverMessageId: "<s>" });
      expect(settled).toEqual(await ledger.read(tx, key));
      expect(settled).toMatchObject({
        status: "sent",
        raw: null,
        messageId: "<m>",
        serverMessageId: "<s>",
        sentAt: T0,
      });
      expect(await ledger.claim(tx, key, "t2", 1000, T0)).toBeUndefined();
      expect(await ledger.drop(tx, key, "withdrawn", "late")).toBe(false);
    });

    test("of two claimers the later has it, and the earlier can't get on the wire", async () => {
      await ledger.claim(tx, key, "first", 1000, T0);
      expect(await ledger.claim(tx, key, "second", 1000, T0)).toMatchObject({ token: "second", attempts: 2 });
      expect(await ledger.wire(tx, key, "first", 1000, { raw: "x", messageId: null })).toBe(false);
      expect(await ledger.read(tx, key)).toMatchObject({ raw: null, messageId: null });
      expect(await ledger.wire(tx, key, "second", 1000)).toBe(true);
      expect(await ledger.settle(tx, key, "first", { status: "sent" })).toBeUndefined();
      expect(await status()).toBe("wire");
    });

    test("a lease that is over doesn't get on the wire", async () => {
      await ledger.claim(tx, key, "t", 20, T0);
      await pause(60);
      expect(await ledger.wire(tx, key, "t", 1000)).toBe(false);
      expect(await status()).toBe("claimed");
    });

    test("the wire is taken over only once it is over, and only from its token", async () => {
      await ledger.claim(tx, key, "t1", 1000, T0);
      await ledger.wire(tx, key, "t1", 150);
      expect(await ledger.claim(tx, key, "t2", 1000, T0)).toBeUndefined();
      expect(await ledger.takeOver(tx, key, "t1", "t2", 1000)).toBe(false);
      expect(await ledger.wireLeftMs(tx, key)).toBeGreaterThan(0);
      await pause(200);
      expect(await ledger.wireLeftMs(tx, key)).toBe(0);
      expect(await ledger.takeOver(tx, key, "other", "t2", 1000)).toBe(false);
      expect(await ledger.takeOver(tx, key, "t1", "t2", 1000)).toBe(true);
      expect(await ledger.takeOver(tx, key, "t1", "t3", 1000)).toBe(false);
      expect(await ledger.settle(tx, key, "t1", { status: "sent" })).toBeUndefined();
      expect(await ledger.wire(tx, key, "t2", 1000)).toBe(true);
    });

    test("off the wire again when no byte was sent", async () => {
      await ledger.claim(tx, key, "t1", 1000, T0);
      await ledger.wire(tx, key, "t1", 1000);
      expect(await ledger.unwire(tx, key, "other")).toBe(false);
      expect(await ledger.unwire(tx, key, "t1")).toBe(true);
      expect(await status()).toBe("claimed");
    });

    test("a retry waits for its time, and no longer counts meanwhile", async () => {
      await ledger.claim(tx, key, "t1", 1000, T0);
      expect(await ledger.settle(tx, key, "t1", { status: "retry", reason: "451", afterMs: 150 })).toMatchObject({
        status: "retry",
      });
      expect(await ledger.retryLeftMs(tx, key)).toBeGreaterThan(0);
      expect(await ledger.claim(tx, key, "t2", 1000, T0)).toBeUndefined();
      expect(await ledger.read(tx, key)).toMatchObject({ status: "retry", reason: "451", sentAt: null });
      await pause(200);
      expect(await ledger.claim(tx, key, "t2", 1000, T0)).toMatchObject({ attempts: 2, notBefore: null });
    });

    test("silence is unknown, and a person or a look-up resolves it", async () => {
      await ledger.claim(tx, key, "t1", 1000, T0);
      expect(await ledger.settle(tx, key, "t1", { status: "unknown", reason: "silent" })).toBeUndefined();
      await ledger.wire(tx, key, "t1", 1000);
      expect(await ledger.settle(tx, key, "t1", { status: "unknown", reason: "silent" })).toMatchObject({
        status: "unknown",
      });
      expect(await ledger.resolve(tx, key, "held", "a person looks")).toBe(true);
      expect(await ledger.resolve(tx, key, "resolved", "it arrived")).toBe(true);
      expect(await ledger.resolve(tx, key, "held", "again")).toBe(false);
    });

    test("what is not on the wire can be deferred, skipped, withdrawn; what is can't", async () => {
      expect(await ledger.defer(tx, key, T0 + HOUR, T0 + 2 * HOUR, "capped")).toBe(true);
      expect(await ledger.read(tx, key)).toMatchObject({
        status: "pending",
        deferredUntil: T0 + HOUR,
        staleAt: T0 + 2 * HOUR,
        reason: "capped",
      });
      await ledger.claim(tx, key, "t1", 1000, T0);
      expect(await ledger.drop(tx, key, "withdrawn", "exit")).toBe(true);
      expect(await ledger.wire(tx, key, "t1", 1000)).toBe(false);
      expect(await ledger.claim(tx, key, "t2", 1000, T0)).toBeUndefined();
      const other = mail();
      await ledger.pin(tx, [other]);
      await ledger.claim(tx, other.key, "t1", 1000, T0);
      await ledger.wire(tx, other.key, "t1", 1000);
      expect(await ledger.defer(tx, other.key, T0, T0, "x")).toBe(false);
      expect(await ledger.drop(tx, other.key, "skipped", "x")).toBe(false);
    });

    test("what was on the wire keeps its bytes for the next attempt", async () => {
      await ledger.claim(tx, key, "t1", 1000, T0);
      await ledger.wire(tx, key, "t1", 1000, { raw: "bytes", messageId: "<m>" });
      await ledger.settle(tx, key, "t1", { status: "retry", reason: "451", afterMs: 0 });
      expect(await ledger.claim(tx, key, "t2", 1000, T0)).toMatchObject({ raw: "bytes", messageId: "<m>" });
      await ledger.wire(tx, key, "t2", 1000);
      expect(await ledger.read(tx, key)).toMatchObject({ raw: "bytes", messageId: "<m>" });
    });

    test("a new row is pinned and claimed as one; one that is there is left", async () => {
      const row = mail();
      const claimed = await ledger.pinClaimed(tx, row, "t1", 1000, T0);
      expect(claimed).toMatchObject({ ...row, status: "claimed", token: "t1", attempts: 1, sentAt: T0, raw: null });
      // The store has a column of its own besides.
      expect(await ledger.read(tx, row.key)).toMatchObject({ ...claimed });
      expect(await ledger.pinClaimed(tx, row, "t2", 1000, T0)).toBeUndefined();
      expect(await ledger.wire(tx, row.key, "t1", 1000)).toBe(true);
    });

    test("the rows of an effect and the open ones of a run", async () => {
      const runId = `run-${number}`;
      const [a, b] = [mail({ runId, effectKey: "e-1" }), mail({ runId, effectKey: "e-2" })] as const;
      await ledger.pin(tx, [a, b]);
      expect((await ledger.ofEffect(tx, runId, "e-1")).map((row) => row.key)).toEqual([a.key]);
      await ledger.drop(tx, a.key, "skipped", "stale");
      expect((await ledger.openOf(tx, runId)).map((row) => row.key)).toEqual([b.key]);
    });
  });
}

contract("the ledger in memory", async () => {
  let now = T0;
  return {
    ledger: memoryLedger(() => now),
    tx: undefined as unknown as Tx,
    pause: async (ms) => void (now += ms),
    close: async () => {},
  };
});

contract("the ledger on Postgres", async () => {
  const fresh: FreshDatabase = await freshDatabase();
  const database: Database = openDatabase(fresh.url, { poolMax: 3 });
  return {
    ledger: postgresLedger(),
    tx: await database.read(async (tx) => tx),
    pause: (ms) => new Promise((done) => setTimeout(done, ms)),
    close: async () => {
      await database.close();
      await fresh.drop();
    },
  };
});
