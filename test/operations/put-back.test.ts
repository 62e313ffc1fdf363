import { afterAll, beforeEach, expect, test } from "vitest";
import { postgresLedger } from "../../src/adapters/postgres/ledger.js";
import { postgresPutBacks } from "../../src/adapters/postgres/put-backs.js";
import { postgresAudit } from "../../src/adapters/postgres/audit.js";
import { newRun } from "../../src/engine/advance.js";
import type { RunState } from "../../src/engine/state.js";
import { deliveryId } from "../../src/operations/delivery-id.js";
import { ALL_SENDS, turnSwitchOff } from "../../src/operations/kill-switches.js";
import { makeRoom } from "../../src/operations/make-room.js";
import { postOutbox, putNotices } from "../../src/operations/outbox.js";
import { performRequest, persistRequest } from "../../src/operations/perform.js";
import type { PerformPorts } from "../../src/operations/perform-ports.js";
import { lookForPutBack, noticePutBack } from "../../src/operations/put-back.js";
import { SeenCounts, StorePutBack } from "../../src/ports/put-backs.js";
import type { RunRow } from "../../src/ports/runs.js";
import { on, task, waitFor } from "../engine/plans.js";
import { command, confirmed, email, openStage, PLAN, performOn, type Stage, T0 } from "./support/stage.js";

let stage: Stage;
let ports: PerformPorts & { putBacks: typeof postgresPutBacks };
let told: string[];
const RUN = "run/onboarding/acme/acme/1";
const NUDGE = command("nudge", {
  kind: "slack",
  to: { kind: "channel", channel: "#cs" },
  text: "Look at {{ account.name }}",
  actions: [],
  scope: {},
});

beforeEach(async () => {
  await stage?.close();
  stage = await openStage();
  told = [];
  ports = { ...stage.ports, putBacks: postgresPutBacks, onPutBack: (reason) => void told.push(reason) };
  await stage.account("acme", {});
  await stage.contact("pat", "acme", { first_name: "Pat" });
  await stage.run({ id: RUN, accountId: "acme", key: "acme" });
});
afterAll(() => stage.close());

const notice = () => noticePutBack(ports, "as the test says");
const release = () => turnSwitchOff({ ...ports, audit: postgresAudit() }, ALL_SENDS, "ann");
const mail = email("welcome", { send: { kind: "now" } });
const perform = async (asked: Parameters<typeof performOn>[2][number], asOf = T0) =>
  performOn(ports, RUN, [asked], { asOf });
const forget = () => stage.database.client`delete from deliveries`;
const switches = () => stage.write((tx) => ports.holds.switches(tx));

test("it is noticed once: everything is held, with the reason, and the channel for alarms is told although all is held", async () => {
  await stage.event({ id: "before", name: "meeting.booked", accountId: "acme" });
  stage.clock.moveTo(T0 + 60_000);
  await stage.write((tx) =>
    putNotices(ports, tx, [
      { key: "other", to: { channel: "#cs" }, body: { text: "Hi", blocks: [] }, accountId: null, at: T0 },
    ]),
  );
  expect([await notice(), await notice()]).toEqual([true, false]);
  const reason =
    "the database was put back to an older copy: it knows nothing since 2026-03-03T09:00:00Z; as the test says";
  expect(await switches()).toEqual([{ name: "all_sends", by: "waypost", reason, at: T0 + 60_000 }]);
  expect(told).toEqual([reason]);
  await postOutbox(ports);
  await postOutbox(ports);
  expect(stage.slack.messages.map(({ channel, text }) => [channel, text.split(":")[0]])).toEqual([
    ["#alerts", "Nothing is sent any more, by e-mail or Slack"],
  ]);
  await release();
  await postOutbox(ports);
  expect(stage.slack.messages.map(({ channel }) => channel)).toEqual(["#alerts", "#cs"]);
});

test("while all is held a mail waits as for a kill switch and a Slack message is looked at again; then both go, once", async () => {
  await notice();
  expect((await perform(mail)).outcomes.welcome).toMatchObject({ kind: "deferred", reason: "kill_switch" });
  expect((await perform(NUDGE)).retry).toEqual({ key: "nudge", afterMs: 15_000 });
  expect([stage.mailer.inbox.length, stage.slack.messages.length]).toEqual([0, 0]);
  await release();
  const released = await stage.eventsOf("email.released");
  expect(released.map(({ run_id }) => run_id)).toEqual([RUN]);
  const row = await stage.store.read((tx) => stage.store.runs.get(tx, RUN));
  await confirmed(stage.store, row as RunRow, [released[0]?.id as string]);
  expect((await perform(mail)).outcomes.welcome).toMatchObject({ kind: "emailed", deliveries: [{ result: "sent" }] });
  expect((await perform(NUDGE)).outcomes.nudge).toMatchObject({ kind: "posted" });
  expect([stage.mailer.inbox.length, stage.slack.messages.length]).toEqual([1, 1]);
});

test("a message that was claimed before all was held doesn't get on the wire", async () => {
  const { ledger, store } = ports;
  await perform(NUDGE);
  await stage.database.client`update deliveries set status = 'pending'`;
  const key = `${RUN}|nudge|first|slack`;
  await store.read((tx) => ledger.claim(tx, key, "mine", 60_000, T0));
  await notice();
  expect(await store.read((tx) => ledger.wire(tx, key, "mine", 1_000))).toBe(false);
});

test("what went out and was forgotten is found, and does not go again", async () => {
  await perform(mail);
  await perform(NUDGE);
  await forget();
  await notice();
  await release();
  expect((await perform(mail)).outcomes.welcome).toMatchObject({ kind: "emailed", deliveries: [{ result: "sent" }] });
  expect((await perform(NUDGE)).outcomes.nudge).toMatchObject({ kind: "posted" });
  expect([stage.mailer.inbox.length, stage.slack.messages.length]).toEqual([1, 1]);
});

test("a mail server that can't be asked: a person says what became of it, and 'send again' sends it once", async () => {
  await perform(mail);
  await forget();
  await notice();
  await release();
  stage.mailer.isAskable = false;
  expect((await perform(mail)).outcomes.welcome).toMatchObject({ deliveries: [{ result: "unknown" }] });
  expect(stage.mailer.inbox.length).toBe(1);
  const key = `${RUN}|welcome|pat|email`;
  const { ledger, store } = ports;
  expect(await store.read((tx) => ledger.reopen(tx, key, "send again"))).toBe(true);
  expect((await perform(mail)).outcomes.welcome).toMatchObject({ deliveries: [{ result: "sent" }] });
  expect(stage.mailer.inbox.length).toBe(2);
});

test("what fell due after it was noticed goes without a look", async () => {
  await notice();
  await release();
  stage.mailer.isAskable = false;
  stage.clock.moveTo(T0 + 60_000);
  const later = email("later", { send: { kind: "now" }, since: T0 + 60_000 });
  expect((await perform(later, T0 + 60_000)).outcomes.later).toMatchObject({ deliveries: [{ result: "sent" }] });
});

test("a process that has seen more claims than the database has claims nothing, and notices", async () => {
  const seen = new SeenCounts();
  ports = { ...ports, ledger: postgresLedger(seen) };
  await perform(mail);
  const { claims } = seen.sure;
  expect(claims).toBe(2);
  await forget();
  await stage.database.client`select setval('delivery_claims', 1)`;
  await expect(perform(mail)).rejects.toThrow(StorePutBack);
  await stage.database.client`select setval('delivery_claims', 100)`;
  // It knows by now, whatever the sequence says.
  await expect(perform(mail)).rejects.toThrow(StorePutBack);
  expect(stage.mailer.inbox.length).toBe(1);

  await stage.database.client`select setval('delivery_claims', 1)`;
  expect(await lookForPutBack(ports, seen)).toBe(true);
  expect((await switches()).map(({ reason }) => reason)).toEqual([
    "the database was put back to an older copy: it knows nothing from before (new and empty on purpose? Then give it a Temporal namespace of its own); it counts 1 messages where there were 2",
  ]);
  expect(await lookForPutBack(ports, seen)).toBe(false);
  expect((await perform(mail)).outcomes.welcome).toMatchObject({ kind: "deferred", reason: "kill_switch" });
});

test("a count that was only read is believed after two seconds: a server that is killed may lose it", () => {
  const seen = new SeenCounts();
  const none = { claims: 0, events: 0 };
  expect(seen.looked({ claims: 7, events: 3 }, none, 0)).toBe(false);
  expect(seen.looked({ claims: 9, events: 3 }, none, 1_999)).toBe(false);
  expect(seen.sure).toEqual(none);
  expect(seen.looked({ claims: 9, events: 3 }, none, 2_000)).toBe(false);
  expect(seen.sure).toEqual({ claims: 7, events: 3 });
  expect(seen.looked({ claims: 7, events: 2 }, seen.sure, 3_000)).toBe(true);
  expect(() => seen.beforeClaim()).toThrow(StorePutBack);
  expect(seen.looked({ claims: 1_007, events: 1_003 }, seen.sure, 4_000)).toBe(false);
  expect(seen.beforeClaim()).toBe(7);
});

// ── a run that is ahead ──────────────────────────────────────────────────────────────────────────────────────────────

function ahead(turns: number, lines: number): RunState {
  const identity = {
    id: RUN,
    playbook: "onboarding",
    subject: "account",
    subjectId: "acme",
    accountId: "acme",
    key: "acme",
    startedAt: T0 - 24 * 3_600_000,
  } as const;
  const at = { path: "wait", parent: "", at: T0, handled: 0, phase: "wait" } as const;
  const fresh = newRun(WAITING, identity, {}, []);
  const openTasks = { call: { path: "call", task: deliveryId(`${RUN}|call`) } };
  return { ...fresh, phase: "running", clock: T0, turns, lines, positions: { wait: at }, openTasks };
}
/** Waits for `meeting.booked`, behind a task that nothing waits for. */
const WAITING = { ...PLAN, steps: [task("call"), waitFor("wait", on("meeting.booked"), "5 d")] };
const request = (state: RunState) => ({ run: RUN, state, offered: [], reached: T0, durable: state.turns });

test("a run that has walked further than the store knows notices, waits, and then the store takes over where it stands", async () => {
  await stage.publish({ ...WAITING, hash: "plan-2" });
  await stage.database.client`update runs set hash = 'plan-2', turns = 1`;
  await stage.write((tx) =>
    stage.store.runs.record(tx, RUN, {
      status: "running",
      position: [],
      entries: [{ seq: 1, at: T0, kind: "run.started" }],
      confirm: [],
    }),
  );
  const state = ahead(3, 4);
  await expect(performRequest(ports, request(state))).rejects.toThrow(StorePutBack);
  expect(told).toEqual([expect.stringContaining(`run ${RUN} has walked 3 stretches, and it knows of 1`)]);
  await expect(performRequest(ports, request(state))).rejects.toThrow(StorePutBack);
  const asked = { run: RUN, turns: 3, asOf: T0, command: mail };
  expect(await persistRequest(ports, asked)).toEqual({ kind: "events", events: [] });
  await release();

  expect(await performRequest(ports, request(state))).toMatchObject({ isResting: true });
  const row = await stage.write((tx) => stage.store.runs.get(tx, RUN));
  expect(row).toMatchObject({ turns: 4, status: "running", position: ["wait"] });
  const lines = await stage.write((tx) => stage.store.runs.timeline(tx, RUN));
  expect(lines).toEqual([
    { seq: 1, at: T0, kind: "run.started" },
    { seq: 2, at: T0, kind: "store.put_back", detail: { lines_missing: 3 } },
  ]);
  // The task that the run has open, and the store had forgotten.
  const tasks = await stage.write((tx) => ports.tasks.list(tx, { runId: RUN }));
  expect(tasks.map(({ id, status }) => [id, status])).toEqual([[deliveryId(`${RUN}|call`), "open"]]);
});

test("a run that walks after the release, and is forgotten again, notices again", async () => {
  await notice();
  await release();
  stage.clock.moveTo(T0 + 60_000);
  const state = { ...ahead(3, 4), clock: T0 + 30_000 };
  await expect(performRequest(ports, request(state))).rejects.toThrow(StorePutBack);
  expect((await switches()).length).toBe(1);
});

test("a run that the store has forgotten is made anew from what Temporal has kept", async () => {
  await stage.publish({ ...WAITING, hash: "plan-2" });
  await stage.database.client`delete from runs`;
  await notice();
  await release();
  const row = { enrolledBy: "cause", contractId: "c-1" };
  const begun = { hash: "plan-2", startedAt: T0 - 24 * 3_600_000, row };
  ports = { ...ports, workflows: { begun: async () => begun } };
  await performRequest(ports, request(ahead(3, 4)));
  expect(await stage.write((tx) => stage.store.runs.get(tx, RUN))).toMatchObject({
    id: RUN,
    ...row,
    hash: "plan-2",
    accountId: "acme",
    key: "acme",
    ordinal: 1,
    turns: 4,
    startedAt: T0 - 24 * 3_600_000,
  });
});

test("an id that a forgotten run has: told again, it is that run; still live, it is that run; else ours is the next", async () => {
  const get = (id: string) => stage.write((tx) => stage.store.runs.get(tx, id));
  const ours = async () =>
    ({ ...(await get(RUN)), enrolledBy: "ours" }) as NonNullable<Awaited<ReturnType<typeof get>>>;
  const anew = async () => {
    await stage.database.client`delete from runs`;
    await stage.run({ id: RUN, accountId: "acme", key: "acme", status: "starting" });
  };
  const begun = { hash: "plan-1", startedAt: T0 - 1_000, row: { enrolledBy: "ours" } };
  expect(await makeRoom(ports, await ours(), { ...begun, row: { enrolledBy: "theirs" } })).toMatchObject({
    id: RUN,
    startedAt: T0 - 1_000,
    enrolledBy: "theirs",
  });
  expect(await get(RUN)).toMatchObject({ status: "running", startedAt: T0 - 1_000, enrolledBy: "theirs" });

  await anew();
  expect(await makeRoom(ports, await ours(), { ...begun, outcome: "done" })).toBeUndefined();
  expect(await get(RUN)).toMatchObject({ status: "ended", outcome: "done" });
  expect(await get("run/onboarding/acme/acme/2")).toBeUndefined();

  await anew();
  await makeRoom(ports, await ours(), { ...begun, row: { enrolledBy: "theirs" }, outcome: "done" });
  expect(await get("run/onboarding/acme/acme/2")).toMatchObject({ status: "starting", ordinal: 2, enrolledBy: "ours" });
  expect((await stage.eventsOf("run.enrolled")).map(({ run_id }) => run_id)).toEqual(["run/onboarding/acme/acme/2"]);
});
