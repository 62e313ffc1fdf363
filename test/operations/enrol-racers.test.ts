import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, openDatabase } from "../../src/adapters/postgres/database.js";
import { postgresStore } from "../../src/adapters/postgres/store.js";
import { appendEvents } from "../../src/operations/append-events.js";
import { dispatchBatch } from "../../src/operations/dispatch-events.js";
import { enrol } from "../../src/operations/enrol.js";
import { upsertCustomers } from "../../src/operations/upsert-customers.js";
import { type Random, randomFrom, seedOr } from "../hostile/random.js";
import { at, fact, openWorld, planOf, workspaceOf, type World } from "./world.js";

const SEED = seedOr(4);
const KEYS = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 12);
/** Five contracts each. */
const ACCOUNTS = Math.ceil(KEYS / 5);
const RACERS = 50;
/** After a key's run has ended, of which three are the event. */
const LATE_RACERS = 6;
/** Keys that are raced for at once. */
const AT_ONCE = 4;

let world: World;
/** Of the dispatchers, as they are a process of their own: behind all the racers in one queue they would stand for minutes. */
let database: Database;
beforeAll(async () => {
  world = await openWorld("2026-03-02T12:00Z");
  database = openDatabase(world.url, { poolMax: 6 });
  await world.publish(workspaceOf([PLAN]));
});
afterAll(async () => {
  await database.close();
  await world.close();
});

/** A contract's own: five contracts of one account want five runs. */
const PLAN = planOf("onboarding", {
  when: [{ kind: "manual" }, { kind: "event", event: "contract.signed" }],
  key: fact("contract.id"),
});

test(`${RACERS} racers for each of ${KEYS} keys, and each event three times (seed ${SEED}): one run per key, before its end and after it`, async () => {
  const random = randomFrom(SEED);
  const keys = Array.from({ length: KEYS }, (_, n) => ({ contract: `k-${n}`, account: `a-${n % ACCOUNTS}` }));
  const rows = {
    accounts: [...new Set(keys.map(({ account }) => account))].map((id) => ({ id, fields: { name: id } })),
    contracts: keys.map(({ contract: id, account: accountId }) => ({ id, accountId, fields: { status: "active" } })),
  };
  await upsertCustomers(world.ports, rows, { source: "import", at: at("2026-01-01T00:00Z") });

  const startedAt = performance.now();
  const first = await race(keys, random, "first", RACERS);
  await world.settle();
  const afterRace = await judge();
  const started = new Set(world.workflows.started.keys());

  // All runs end, and Temporal forgets them: a workflow that was never heard of would be started again.
  for (const run of started) {
    await world.store.transaction((tx) => world.store.runs.end(tx, run, "won", world.clock.now()));
    world.workflows.close(run);
  }
  const again = await race(keys, random, "first", LATE_RACERS);
  const anew = await race(keys, random, "second", LATE_RACERS);
  await world.settle();
  const afterEnd = await judge();

  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  console.log(
    `racers, seed ${SEED}: ${RACERS} × ${KEYS} keys, ${first.calls + again.calls + anew.calls} calls, each event ${first.repeats + 1} times; ` +
      `runs ${afterRace.runs}, keys with another number than one ${afterRace.wrong}, after their end ${afterEnd.wrong}; workflows begun ${world.workflows.started.size}, ` +
      `events kept twice ${afterEnd.twice}; ${seconds} s`,
  );
  expect(afterRace).toEqual({ runs: KEYS, wrong: 0, twice: 0 });
  expect(afterEnd).toEqual({ runs: KEYS, wrong: 0, twice: 0 });
  expect(started.size).toBe(KEYS);
  expect(new Set(world.workflows.started.keys())).toEqual(started);
  expect(first.enrolled).toBeLessThanOrEqual(KEYS);
  expect(anew.enrolled).toBe(0);
}, 3_600_000);

interface Key {
  readonly contract: string;
  readonly account: string;
}

/** By hand under causes of their own, and three times the same event, with dispatchers at work all the while. */
async function race(keys: readonly Key[], random: Random, round: string, racers: number) {
  const figures = { calls: 0, enrolled: 0, repeats: 0 };
  const byHand = async ({ contract, account }: Key, cause: string): Promise<void> => {
    const now = world.clock.now();
    const request = { playbook: "onboarding", accountId: account, contractId: contract, at: now, cause, source: "cli" };
    const answer = await world.store.transaction((tx) => enrol(world.store, tx, request, now));
    if (answer.kind === "enrolled") figures.enrolled += 1;
  };
  const byEvent = async ({ contract }: Key): Promise<void> => {
    const event = { id: `signed-${contract}-${round}`, name: "contract.signed", payload: { contract_id: contract } };
    await appendEvents(world.ports, [{ ...event, at: world.clock.now() }], "http");
  };
  let isOver = false;
  const ports = { ...world.ports, store: postgresStore(database) };
  const dispatchers = Array.from({ length: 2 }, async () => {
    for (;;) {
      if ((await dispatchBatch(ports, 50)) > 0) continue;
      if (isOver) return;
      await new Promise((done) => setTimeout(done, 20));
    }
  });
  const queue = [...keys];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let key = queue.shift(); key !== undefined; key = queue.shift()) {
        const racing = key;
        const calls = Array.from({ length: racers }, (_, n) =>
          n < 3 ? () => byEvent(racing) : () => byHand(racing, `${racing.contract}-${round}-${n}`),
        );
        calls.sort(() => random.next() - 0.5);
        figures.calls += calls.length;
        await Promise.all(calls.map((call) => call()));
      }
    }),
  );
  isOver = true;
  await Promise.all(dispatchers);
  return { ...figures, repeats: 2 };
}

async function judge(): Promise<{ runs: number; wrong: number; twice: number }> {
  const [row] = await world.rows<{ runs: number; keys: number; wrong: number; twice: number }>(`
    select (select count(*)::int from runs) as runs,
      (select count(*)::int from contracts c where 1 <> (select count(*) from runs r where r.key = c.id)) as wrong,
      (select count(*)::int from (select payload->>'contract_id', id from events where name = 'contract.signed' group by 1, 2 having count(*) > 1) t) as twice`);
  return { runs: row?.runs ?? -1, wrong: row?.wrong ?? -1, twice: row?.twice ?? -1 };
}
