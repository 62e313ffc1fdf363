import { afterAll, beforeAll, expect, test } from "vitest";
import { postgresRetention } from "../../src/adapters/postgres/retention.js";
import { pollDue } from "../../src/operations/poll-due.js";
import { armRemoval, removeOld } from "../../src/operations/remove-old.js";
import { DAY, email, openStage, type Stage, T0, task } from "./support/stage.js";

let stage: Stage;
const old = "run/onboarding/acme/old/1";
const live = "run/onboarding/acme/live/1";
const MONTH = 31 * DAY;

beforeAll(async () => {
  stage = await openStage();
  await stage.account("acme", {});
  await stage.contact("carla", "acme", { first_name: "Carla" });
  await stage.run({ id: old, accountId: "acme", key: "old" });
  await stage.run({ id: live, accountId: "acme", key: "live", startedAt: T0 + 1 });
  for (const run of [old, live]) {
    stage.mailer.isAskable = false;
    stage.mailer.trouble({ kind: "gone" });
    const entries = [{ seq: 1, at: T0, kind: "run.started" as const }];
    await stage.perform(run, [], { entries });
    expect(await stage.outcome(run, email("held"))).toMatchObject({ deliveries: [{ result: "unknown" }] });
    await stage.outcome(run, task("call"));
  }
  await stage.event({ id: "before", name: "meeting.booked", accountId: "acme", at: T0 });
  await stage.event({ id: "after", name: "meeting.booked", accountId: "acme", at: T0 + DAY });
  await stage.event({ id: "pending", name: "meeting.booked", accountId: "acme", at: T0 });
  await stage.database.client`update events set status = 'dispatched' where id <> 'pending'`;
  for (const [id, at] of [
    ["s1", T0],
    ["s2", T0 + 20 * MONTH],
  ] as const) {
    await stage.database.client`insert into samples (source_id, account_id, sample, at, value)
      values (${id}, 'acme', 'logins', ${new Date(at).toISOString()}, 1)`;
  }
  await stage.write((tx) => stage.store.runs.end(tx, old, "done", T0 + DAY));
  await armRemoval(stage.ports);
  await armRemoval(stage.ports);
});
afterAll(() => stage.close());

async function kept() {
  const { client } = stage.database;
  const one = async (rows: Promise<readonly Record<string, unknown>[]>) =>
    (await rows).map((row) => Object.values(row).join(" "));
  return {
    bodies: await one(client`select run_id from deliveries where raw is not null and channel = 'email' order by 1`),
    mails: await one(client`select run_id from deliveries where channel = 'email' order by 1`),
    timeline: await one(client`select distinct run_id from timeline order by 1`),
    events: await one(client`select id from events where name = 'meeting.booked' order by 1`),
    samples: await one(client`select source_id from samples order by 1`),
  };
}

async function poll(at: number): Promise<number> {
  stage.clock.moveTo(at);
  const retention = postgresRetention();
  return pollDue(stage.ports, { retention: (ports, tx, item) => removeOld({ ...ports, retention }, tx, item) }, 1);
}

const everything = {
  bodies: [live, old],
  mails: [live, old],
  timeline: [live, old],
  events: ["after", "before", "pending"],
  samples: ["s1", "s2"],
};

test("nothing that is young is removed", async () => {
  await stage.database.client`delete from due where kind <> 'retention'`;
  expect(await poll(T0 + DAY)).toBe(1);
  expect(await kept()).toEqual(everything);
  expect(await poll(T0 + 2 * DAY - 1)).toBe(0);
});

test("after 90 days the bodies of what is over", async () => {
  await poll(T0 + 95 * DAY);
  expect(await kept()).toEqual({ ...everything, bodies: [live] });
});

test("after 25 months messages, events and samples; never what a living run may need, nor what is pending", async () => {
  await poll(T0 + 26 * MONTH);
  expect(await kept()).toEqual({
    bodies: [live],
    mails: [live],
    timeline: [live, old],
    events: ["after", "pending"],
    samples: ["s2"],
  });
});

test("after 36 months the timeline of who has ended", async () => {
  await poll(T0 + 37 * MONTH);
  expect((await kept()).timeline).toEqual([live]);
});
