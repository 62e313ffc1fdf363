import type { Client } from "@temporalio/client";
import type postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { randomFrom, seedOr } from "../hostile/random.js";
import {
  customers,
  eventually,
  type Insides,
  openInsides,
  type Production,
  startProduction,
} from "./support/production.js";
import { END, mail, waitForGo, workspace } from "./support/workspace.js";

const SEED = seedOr(5);
const ACCOUNTS = Number(process.env["WAYPOST_ACCOUNTS"] ?? 12);

let waypost: Production;
let sql: postgres.Sql;
let insides: Insides;
let temporal: Client;
beforeAll(async () => {
  waypost = await startProduction({ environment: { WAYPOST_REQUESTS_PER_SECOND: "100000" } });
  await Promise.all([waypost.worker(), waypost.server()]);
  await waypost.publish(workspace({ walk: mail("first") + waitForGo() + mail("second") + END }));
  insides = await openInsides(waypost);
  ({ sql, temporal } = insides);
}, 60_000);
afterAll(async () => {
  await insides?.close();
  await waypost?.stop();
});

test(`${ACCOUNTS} runs, each event three times, and three times again after Temporal has forgotten them (seed ${SEED}): each took effect once`, async () => {
  const random = randomFrom(SEED);
  const ids = Array.from({ length: ACCOUNTS }, (_, n) => `forgotten-${n}`);
  const startedAt = performance.now();
  for (let from = 0; from < ids.length; from += 200) {
    const batches = ids.slice(from, from + 200).map((id) => customers(id) as Record<string, unknown[]>);
    const batch = {
      users: batches[0]?.["users"],
      accounts: batches.flatMap((one) => one["accounts"]),
      contacts: batches.flatMap((one) => one["contacts"]),
    };
    expect((await waypost.ask("PUT", "/v1/customers", batch)).status).toBe(200);
  }
  const at = new Date().toISOString();
  const signal = (id: string) => ({
    id: `signal-${id}`,
    name: "signal.raised",
    account: id,
    at,
    payload: { reason: "walk" },
  });
  const go = (id: string, given: string) => ({ id: `go-${id}`, name: "go.given", account: id, at: given });

  const begun = await thrice(ids.map(signal), random);
  await comes("'go' = any(position)");
  const given = new Date().toISOString();
  const gone = await thrice(
    ids.map((id) => go(id, given)),
    random,
  );
  await comes("status = 'ended'");

  const runs = (await sql<{ id: string }[]>`select id from runs`).map(({ id }) => id);
  for (const workflowId of runs) {
    const execution = { namespace: "default", workflowExecution: { workflowId } };
    await temporal.workflowService.deleteWorkflowExecution(execution);
  }
  const forgotten = await eventually(
    async () => ((await known(runs)) === 0 ? true : undefined),
    async () => "Temporal still knows them",
    120_000,
  );
  const again = await thrice([...ids.map(signal), ...ids.map((id) => go(id, given))], random);
  // And as if the dispatchers had died before they marked anything: all of it is handed on once more.
  await sql`update events set status = 'pending' where status = 'dispatched'`;
  await eventually(
    async () => {
      const [row] = await sql`select count(*)::int as n from events where status = 'pending'`;
      return row?.["n"] === 0 ? true : undefined;
    },
    undefined,
    180_000,
  );
  const restarted = await known(runs);
  await eventually(
    async () => ((await running(runs)) === 0 ? true : undefined),
    async () => "some live",
    180_000,
  );

  const mails = ids.map((id) => waypost.mailsTo(id));
  const wrong = mails.filter((subjects) => subjects.length !== 2).length;
  const [row] = await sql`select count(*)::int as runs, count(distinct account_id)::int as keys from runs`;
  console.log(
    `forgotten runs, seed ${SEED}: ${ACCOUNTS} keys, ${begun.posted + gone.posted + again.posted} posts of ${2 * ACCOUNTS} events (${begun.repeated + gone.repeated + again.repeated} answered as repeated), ` +
      `all forgotten by Temporal: ${forgotten}; ${restarted} begun there again from events handed on anew, runs ${row?.["runs"]}, mails ${mails.flat().length}, keys with other than two mails ${wrong}; ` +
      `${Math.round((performance.now() - startedAt) / 1_000)} s`,
  );
  expect(row).toEqual({ runs: ACCOUNTS, keys: ACCOUNTS });
  expect(wrong).toBe(0);
  expect(again.repeated).toBe(again.posted);
  expect(waypost.mailbox.stats()).toMatchObject({ messages: 2 * ACCOUNTS, duplicated: 0 });
}, 1_800_000);

/** Posts each three times, in an order of chance, twenty at once. */
async function thrice(events: readonly unknown[], random: { next(): number }) {
  const posts = [...events, ...events, ...events]
    .map((event) => ({ event, place: random.next() }))
    .sort((a, b) => a.place - b.place);
  const figures = { posted: posts.length, repeated: 0 };
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (let post = posts.pop(); post !== undefined; post = posts.pop()) {
        const { status, body } = await waypost.ask("POST", "/v1/events", post.event);
        expect(status).toBe(body.status === "repeated" ? 200 : 202);
        if (body.status === "repeated") figures.repeated += 1;
      }
    }),
  );
  return figures;
}

/** Waits until there are as many runs of the kind as accounts. */
async function comes(which: string): Promise<void> {
  const count = async () => (await sql.unsafe(`select count(*)::int as n from runs where ${which}`))[0]?.["n"];
  await eventually(
    async () => ((await count()) === ACCOUNTS ? true : undefined),
    async () => `${await count()} with ${which}`,
    20_000 + ACCOUNTS * 300,
  );
}

const describeOf = (id: string) =>
  temporal.workflow
    .getHandle(id)
    .describe()
    .catch(() => undefined);

async function known(runs: readonly string[]): Promise<number> {
  let count = 0;
  for (const id of runs) if (await describeOf(id)) count += 1;
  return count;
}

async function running(runs: readonly string[]): Promise<number> {
  let count = 0;
  for (const id of runs) if ((await describeOf(id))?.status.name === "RUNNING") count += 1;
  return count;
}
