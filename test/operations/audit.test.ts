import { readFileSync } from "node:fs";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { postgresAudit } from "../../src/adapters/postgres/audit.js";
import { type Database, openDatabase } from "../../src/adapters/postgres/database.js";
import { postgresStore } from "../../src/adapters/postgres/store.js";
import { AUDIT_GENESIS, auditHash, verifyAudit } from "../../src/operations/verify-audit.js";
import { type FreshDatabase, freshDatabase } from "../support/database.js";

let fresh: FreshDatabase;
let database: Database;
beforeEach(async () => {
  fresh = await freshDatabase();
  database = openDatabase(fresh.url, { poolMax: 12 });
});
afterEach(async () => {
  await database.close();
  await fresh.drop();
});

const audit = postgresAudit();
const ports = () => ({ store: postgresStore(database), audit });
const T0 = Date.UTC(2026, 2, 2, 9);

async function append(count: number, from = 0): Promise<void> {
  for (let index = from; index < from + count; index += 1)
    await database.transaction((tx) =>
      audit.record(tx, {
        at: T0 + index,
        actor: `token:crm-${index}`,
        action: "run.pause",
        subject: `run/${index}`,
        ...(index % 2 === 0 ? {} : { detail: { reason: `because ${index}`, b: 1, a: [1.5, null, "ż"] } }),
      }),
    );
}

const found = async (anchor?: { seq: number; hash: string }) =>
  (await verifyAudit(ports(), anchor)).problems.map(({ what, seq }) => `${what} ${seq}`);

/** As somebody who owns the tables could. */
async function tamper(statement: string): Promise<void> {
  await database.client.unsafe(
    `alter table audit disable trigger user; ${statement}; alter table audit enable trigger user`,
  );
}

test("an empty audit is whole", async () => {
  expect(await verifyAudit(ports())).toEqual({
    rows: 0,
    head: { seq: 0, hash: AUDIT_GENESIS, unchained: 0 },
    problems: [],
  });
});

test("rows name the one before them, and the head names the last", async () => {
  await append(3);
  const rows = await database.read((tx) => audit.rows(tx, 0, 10));
  expect(rows.map(({ seq, actor, subject }) => ({ seq, actor, subject }))).toEqual([
    { seq: 1, actor: "token:crm-0", subject: "run/0" },
    { seq: 2, actor: "token:crm-1", subject: "run/1" },
    { seq: 3, actor: "token:crm-2", subject: "run/2" },
  ]);
  expect(rows.map(({ previous }) => previous)).toEqual([AUDIT_GENESIS, rows[0]?.hash, rows[1]?.hash]);
  expect((await verifyAudit(ports())).head).toEqual({ seq: 3, hash: rows[2]?.hash, unchained: 0 });
  expect(await found()).toEqual([]);
});

test("a row's hash is SHA-256 of its canonical JSON: any language can check it", () => {
  // printf '%s' '{"action":"run.pause","actor":"cli:ann","at":1772442000000,"detail":{"a":1,"b":"x"},"previous":"00…00","seq":1,"subject":"run/1"}' | sha256sum
  expect(
    auditHash({
      seq: 1,
      at: T0,
      actor: "cli:ann",
      action: "run.pause",
      subject: "run/1",
      detail: { b: "x", a: 1 },
      previous: AUDIT_GENESIS,
    }),
  ).toBe("ec64d4b189ef9706ad8ffce804ba639b0c498c01928b52c5abc850d1136bed2f");
});

test("forty writers at once make one chain without gaps, also when every fourth rolls back", async () => {
  await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      database
        .transaction(async (tx) => {
          await audit.record(tx, { at: T0, actor: "a", action: "b", subject: String(index) });
          if (index % 4 === 0) throw new Error("rolled back");
        })
        .catch(() => {}),
    ),
  );
  const report = await verifyAudit(ports());
  expect([report.rows, report.head.seq, report.problems]).toEqual([30, 30, []]);
});

test("addresses and tokens are struck out", async () => {
  await database.transaction((tx) =>
    audit.record(tx, {
      at: T0,
      actor: "a",
      action: "b",
      subject: "c",
      detail: { reason: `asked by pat@acme.example, used wp_${"x".repeat(43)}` },
    }),
  );
  const [row] = await database.read((tx) => audit.list(tx));
  expect(row?.detail).toEqual({ reason: "asked by …@acme.example, used wp_xxxxxxxx…" });
  expect(await found()).toEqual([]);
});

test.each([
  "update audit set actor = 'nobody'",
  "delete from audit",
  "truncate audit",
  "delete from audit_head",
  "truncate audit_head",
])("the store refuses: %s", async (statement) => {
  await append(2);
  await expect(database.client.unsafe(statement)).rejects.toThrow(/the audit is append-only/);
  expect(await found()).toEqual([]);
});

describe("what was done past the triggers shows", () => {
  test.each<[string, string, string[]]>([
    ["a changed actor", "update audit set actor = 'nobody' where seq = 3", ["changed 3"]],
    ["a changed instant", "update audit set at = at + interval '1 ms' where seq = 3", ["changed 3"]],
    ["a changed detail", `update audit set detail = '{"reason": "other"}' where seq = 2`, ["changed 2"]],
    ["a detail taken away", "update audit set detail = null where seq = 2", ["changed 2"]],
    [
      "a hash taken away",
      "update audit set hash = null, previous = null where seq = 3",
      ["changed 3", "unlinked 3", "unlinked 4"],
    ],
    ["a row taken out", "delete from audit where seq = 3", ["missing 3", "unlinked 4"]],
    ["the first row taken out", "delete from audit where seq = 1", ["missing 1", "unlinked 2"]],
    ["the last row cut off", "delete from audit where seq = 5", ["head 5"]],
    ["all rows cut off", "delete from audit", ["head 5"]],
    [
      "a row taken out and the others moved up",
      "delete from audit where seq = 3; update audit set seq = seq - 1 where seq > 3",
      ["changed 3", "unlinked 3", "changed 4", "head 5"],
    ],
    [
      "two rows exchanged",
      "update audit set seq = 100 where seq = 2; update audit set seq = 2 where seq = 3; update audit set seq = 3 where seq = 100",
      ["changed 2", "unlinked 2", "changed 3", "unlinked 3", "unlinked 4"],
    ],
    [
      "rows declared to be from before the chain",
      "update audit_head set unchained = 3; update audit set hash = null, previous = null, actor = 'nobody' where seq <= 3",
      ["unlinked 4"],
    ],
    ["a head moved back with the tail", "delete from audit where seq = 5; update audit_head set seq = 4", ["head 4"]],
  ])("%s", async (_what, statement, expected) => {
    await append(5);
    await tamper(statement);
    expect(await found()).toEqual(expected);
  });

  test("a row put in with a hash of its own", async () => {
    await append(3);
    const [, second] = await database.read((tx) => audit.rows(tx, 0, 10));
    const forged = { seq: 2, at: T0, actor: "x", action: "y", subject: "z", previous: second?.previous ?? "" };
    await tamper(
      `update audit set actor = 'x', action = 'y', subject = 'z', at = '${new Date(T0).toISOString()}', detail = null, hash = '${auditHash(forged)}' where seq = 2`,
    );
    expect(await found()).toEqual(["unlinked 3"]);
  });

  test("what was forged with its head shows only against a head that was noted elsewhere", async () => {
    await append(5);
    const { head } = await verifyAudit(ports());
    const [, , , fourth] = await database.read((tx) => audit.rows(tx, 0, 10));
    await tamper(`delete from audit where seq = 5; update audit_head set seq = 4, hash = '${fourth?.hash}'`);
    expect(await found()).toEqual([]);
    expect(await found(head)).toEqual(["anchor 5"]);
    // Somebody else's row in its place.
    await append(1, 70);
    expect(await found()).toEqual([]);
    expect(await found(head)).toEqual(["anchor 5"]);
  });

  test("a head that was noted stays good while rows are added", async () => {
    await append(2);
    const { head } = await verifyAudit(ports());
    await append(2, 2);
    expect(await found(head)).toEqual([]);
    expect(await found({ seq: 0, hash: AUDIT_GENESIS })).toEqual([]);
  });
});

test("300 random alterations of 40 rows: every one is found", async () => {
  await append(40);
  const seed = Number(process.env.WAYPOST_SEED ?? Date.now() % 1_000_000);
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  const alterations = [
    (n: number) => `update audit set actor = actor || 'x' where seq = ${n}`,
    (n: number) => `update audit set action = 'run.stop' where seq = ${n}`,
    (n: number) => `update audit set subject = subject || '1' where seq = ${n}`,
    (n: number) => `update audit set at = at - interval '1 day' where seq = ${n}`,
    (n: number) => `update audit set detail = coalesce(detail, '{}') || '{"c": 1}' where seq = ${n}`,
    (n: number) => `update audit set hash = repeat('a', 64) where seq = ${n}`,
    (n: number) => `update audit set previous = repeat('b', 64) where seq = ${n}`,
    (n: number) => `delete from audit where seq = ${n}`,
    (n: number) => `delete from audit where seq >= ${n}`,
    (n: number) => `delete from audit where seq <= ${n}`,
    (n: number) => `update audit set seq = seq + 1000 where seq = ${n}`,
  ];
  await database.client.unsafe("create table kept as select * from audit");
  const missed: string[] = [];
  for (let round = 0; round < 300; round += 1) {
    const statement = alterations[random(alterations.length)]?.(1 + random(40)) ?? "";
    await tamper(statement);
    if ((await found()).length === 0) missed.push(statement);
    await tamper("delete from audit; insert into audit select * from kept");
  }
  expect({ seed, missed }).toEqual({ seed, missed: [] });
  expect(await found()).toEqual([]);
}, 60_000);

describe("a database from before the chain", () => {
  let admin: FreshDatabase;
  beforeAll(async () => {
    admin = await freshDatabase();
  });
  afterAll(() => admin.drop());

  test("keeps its rows, apart, and chains those that follow", async () => {
    const client = postgres(admin.url, { max: 1, onnotice: () => {} });
    await client.unsafe(
      "drop table audit cascade; drop table audit_head cascade; drop function audit_is_append_only cascade; create table audit (seq bigserial primary key, at timestamptz(3) not null, actor text not null, action text not null, subject text not null, detail jsonb)",
    );
    await client.unsafe(
      "insert into audit (seq, at, actor, action, subject) values (1, now(), 'a', 'b', 'c'), (4, now(), 'a', 'b', 'c')",
    );
    const migration = new URL("../../src/adapters/postgres/migrations/0002_audit_chain.sql", import.meta.url);
    await client.unsafe(readFileSync(migration, "utf8").replaceAll("--> statement-breakpoint", ""));
    await client.end();
    const old = openDatabase(admin.url, { poolMax: 2 });
    try {
      const store = postgresStore(old);
      await old.transaction((tx) => audit.record(tx, { at: T0, actor: "a", action: "b", subject: "d" }));
      const report = await verifyAudit({ store, audit });
      expect([report.rows, report.head.seq, report.head.unchained, report.problems]).toEqual([3, 5, 4, []]);
    } finally {
      await old.close();
    }
  });
});
