import { postgresAudit } from "../../../src/adapters/postgres/audit.js";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { postgresPortfolio } from "../../../src/adapters/postgres/portfolio.js";
import { postgresSlackRequests } from "../../../src/adapters/postgres/slack-requests.js";
import { createSlackMessages } from "../../../src/adapters/slack/messages.js";
import { createSlackPoster } from "../../../src/adapters/slack/web-api-poster.js";
import { createTaskActions } from "../../../src/entrances/slack/operations-actions.js";
import { createSlackEntrance, type SlackEntrance } from "../../../src/entrances/slack/receiver.js";
import { type Desk, startDesk } from "../../../src/local/desk.js";
import type { DeskMessage } from "../../../src/local/desk-workspace.js";
import { postOutbox } from "../../../src/operations/outbox.js";
import { verifyAudit } from "../../../src/operations/verify-audit.js";
import { LOCAL_SETTINGS, type PerformPorts } from "../../../src/operations/perform-ports.js";
import { deliveryId } from "../../../src/operations/delivery-id.js";
import { HOUR, openStage, performOn, type Stage, T0, task } from "../../operations/support/stage.js";

/** The whole way: a run opens a task, the desk gets its message, a person presses, Postgres has what they did. */
let stage: Stage;
let ports: PerformPorts;
let desk: Desk;
let entrance: SlackEntrance;
let server: Server;
let number = 0;
let account: string;
let run: string;
let onPost: ((message: DeskMessage) => Promise<void>) | undefined;
const faults: string[] = [];

const USERS = [
  { id: "UEVE", name: "Eve", email: "eve@ours.example" },
  { id: "UJOE", name: "Joe", email: "joe@ours.example" },
  { id: "UMAX", name: "Max", email: "max@ours.example" },
];

beforeAll(async () => {
  stage = await openStage();
  await stage.people([
    { id: "eve", name: "Eve", email: "eve@ours.example", timezone: "Europe/Warsaw", managerId: "max" },
    { id: "joe", name: "Joe", email: "Joe@ours.example", timezone: "Asia/Tokyo" },
    { id: "max", name: "Max", email: "max@ours.example" },
  ]);
  desk = await startDesk({ signingSecret: "secret", users: USERS, onPost: async (message) => onPost?.(message) });
  const poster = createSlackPoster({ token: "xoxb-test", apiUrl: desk.apiUrl });
  const messages = createSlackMessages();
  // The stage's patience is for a Slack in memory: here there is a server, and somebody who acts before it answers.
  ports = {
    ...stage.ports,
    settings: LOCAL_SETTINGS,
    slack: poster,
    composer: { ...stage.ports.composer, ...messages },
  };
  entrance = createSlackEntrance({
    token: "xoxb-test",
    signingSecret: "secret",
    apiUrl: desk.apiUrl,
    actions: createTaskActions({ ...ports, portfolio: postgresPortfolio(), audit: postgresAudit() }),
    poster,
    messages,
    log: postgresSlackRequests(stage.database),
    acceptDomainTime: true,
    // As the server does where people are scripted.
    ackAfterMs: 20_000,
    onFault: (what, error) => faults.push(`${what}: ${String(error)}`),
  });
  server = createServer(entrance.requestListener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  desk.setReceiver(`http://127.0.0.1:${(server.address() as AddressInfo).port}/slack/events`);
});
afterAll(async () => {
  server?.closeAllConnections();
  server?.close();
  await entrance?.stop();
  await desk?.stop();
  await stage?.close();
});
beforeEach(async () => {
  number += 1;
  account = `acme-${number}`;
  run = `run/onboarding/${account}/k/1`;
  onPost = undefined;
  faults.length = 0;
  await stage.account(account, { csm: "eve" });
  await stage.run({ id: run, accountId: account });
});

async function open(more: Parameters<typeof task>[1] = {}) {
  await performOn(ports, run, [task("call", more)]);
  const [opened] = await stage.store.read((tx) => ports.tasks.list(tx, { accountId: account }));
  if (!opened) throw new Error("no task");
  // Where the machine is busy the fence may say no: as in a worker, the next poke posts it.
  const message = await vi.waitFor(
    async () => {
      await postOutbox(ports);
      const posted = desk.posts().findLast((post) => post.deliveryId === deliveryId(`task:${opened.id}|slack`));
      if (!posted) throw new Error("no message");
      return posted;
    },
    { timeout: 30_000 },
  );
  return { id: opened.id, ts: message.ts, deliveryId: message.deliveryId ?? "" };
}
const read = async (id: string) => {
  const found = await stage.store.read((tx) => ports.tasks.read(tx, id));
  if (!found) throw new Error("gone");
  return found;
};
const title = (ts: string) =>
  (desk.posts().find((post) => post.ts === ts)?.blocks[0] as { text: { text: string } }).text.text;

test("Complete closes the task, tells the run, and the message says so", async () => {
  const { id, ts } = await open();
  const result = await desk.press({ user: "UEVE", ts, actionId: "task:complete" });
  expect([result.status, result.ephemerals, faults]).toEqual([200, [], []]);
  expect(await read(id)).toMatchObject({ status: "done", closedBy: "eve", closedAt: T0 });
  expect(title(ts)).toMatch(/^✅ Done: /);
  const events = await stage.database.client`select name from events where account_id = ${account} order by seq`;
  expect(events.map(({ name }) => name)).toContain("task.closed");
  // It is marked as handled behind the answer.
  await vi.waitFor(async () => {
    const kept = await stage.database
      .client`select kind, handled_at from slack_requests order by received_at desc limit 1`;
    expect(kept[0]).toMatchObject({ kind: "block_actions" });
    expect(kept[0]?.handled_at).not.toBeNull();
  });
});

test("an outcome and a note by modal; the manager may, a colleague may not", async () => {
  const { id, ts } = await open({ ask: "outcome", outcomes: ["went_well", "at_risk"] });
  const joe = await desk.press({ user: "UJOE", ts, actionId: "task:complete" });
  expect(joe.ephemerals[0]).toMatch(/^This task is Eve's/);
  expect(await read(id)).toMatchObject({ status: "open", revision: 1 });
  await desk.press({
    user: "UMAX",
    ts,
    actionId: "task:complete",
    viewSubmit: { outcome: "at_risk", note: "Call again" },
  });
  expect(await read(id)).toMatchObject({ status: "done", outcome: "at_risk", note: "Call again", closedBy: "max" });
});

test("a second press on what has changed does nothing", async () => {
  const { id, ts } = await open();
  const before = desk.posts().find((post) => post.ts === ts)?.blocks ?? [];
  await desk.press({ user: "UEVE", ts, actionId: "task:more", value: "note", viewSubmit: { note: "Left a message" } });
  const message = desk.posts().find((post) => post.ts === ts);
  if (message) message.blocks = before;
  const stale = await desk.press({ user: "UEVE", ts, actionId: "task:complete" });
  expect(stale.ephemerals[0]).toMatch(/had changed in the meantime/);
  expect(await read(id)).toMatchObject({ status: "open", revision: 2, note: "Left a message" });
});

test("Reassign gives it to a colleague, whose own message comes", async () => {
  const { id, ts } = await open();
  await desk.press({ user: "UEVE", ts, actionId: "task:reassign", viewSubmit: { person: "joe" } });
  expect(await read(id)).toMatchObject({ assigneeId: "joe" });
  expect(desk.posts().at(-1)).toMatchObject({ user: "UJOE" });
});

test("each act leaves one row in the audit, with who it was; what was refused, stale or only looked at leaves none", async () => {
  const acts = async () =>
    (await stage.store.read((tx) => postgresAudit().list(tx, { limit: 500 })))
      .filter(({ subject }) => subject === first.id || subject === second.id || subject === `${run}-c`)
      .map(({ actor, action, detail }) => [actor, action, detail?.["via"]])
      .reverse();
  const first = await open();
  // Another person's, and one that is no time.
  await desk.press({ user: "UJOE", ts: first.ts, actionId: "task:complete" });
  await desk.press({ user: "UEVE", ts: first.ts, actionId: "task:more", value: "note", viewSubmit: { note: "Rang" } });
  await desk.press({ user: "UEVE", ts: first.ts, actionId: "task:snooze", value: "1 bd" });
  await desk.press({ user: "UEVE", ts: first.ts, actionId: "task:reassign", viewSubmit: { person: "joe" } });
  await desk.openHome("UEVE");
  const joes = desk.posts().findLast(({ user }) => user === "UJOE")?.ts ?? "";
  const before = desk.posts().find((post) => post.ts === joes)?.blocks ?? [];
  await desk.press({ user: "UJOE", ts: joes, actionId: "task:complete" });
  const message = desk.posts().find((post) => post.ts === joes);
  if (message) message.blocks = before;
  // Stale: it is done already.
  await desk.press({ user: "UJOE", ts: joes, actionId: "task:complete" });
  await stage.run({ id: `${run}-b`, accountId: account });
  await performOn(ports, `${run}-b`, [task("other")]);
  const second = (await stage.store.read((tx) => ports.tasks.list(tx, { accountId: account }))).find(
    ({ status }) => status === "open",
  ) as { id: string };
  await postOutbox(ports);
  const { ts } = await vi.waitFor(() => {
    const post = desk.posts().findLast((one) => one.deliveryId === deliveryId(`task:${second.id}|slack`));
    if (!post) throw new Error("no message");
    return post;
  });
  await desk.press({ user: "UEVE", ts, actionId: "task:more", value: "skip", viewSubmit: { reason: "Not needed" } });
  await stage.run({ id: `${run}-c`, accountId: account });
  await nudged(`${run}-c`);
  const nudge = desk.posts().at(-1);
  for (let press = 0; press < 2; press++)
    await desk.press({ user: "UEVE", deliveryId: nudge?.deliveryId ?? "", actionId: "nudge:ack" });
  expect(await acts()).toEqual([
    ["eve", "task.note", "slack"],
    ["eve", "task.snooze", "slack"],
    ["eve", "task.reassign", "slack"],
    ["joe", "task.complete", "slack"],
    ["eve", "task.skip", "slack"],
    ["eve", "nudge.ack", "slack"],
  ]);
  expect((await verifyAudit({ store: stage.store, audit: postgresAudit() })).problems).toEqual([]);
});

/** The run posts a nudge to its CSM. */
async function nudged(by: string): Promise<void> {
  await performOn(ports, by, [
    {
      kind: "slack",
      key: "nudge",
      path: "nudge",
      step: "nudge",
      to: { kind: "csm" },
      text: "Look at this",
      actions: ["open_account", "ack"],
      scope: {},
    } as never,
  ]);
}

test("Skip with a reason", async () => {
  const { id, ts } = await open();
  await desk.press({ user: "UEVE", ts, actionId: "task:more", value: "skip", viewSubmit: { reason: "Not needed" } });
  expect(await read(id)).toMatchObject({ status: "skipped", note: "Not needed" });
});

test("a scripted person acts at their own domain time, before the post is answered", async () => {
  onPost = async (message) => {
    if (message.user !== "UEVE") return;
    // They take their time, and the post with them.
    await sleep(300);
    await desk.press({ user: "UEVE", ts: message.ts, actionId: "task:complete", at: T0 + 5 * HOUR });
  };
  const { id, ts } = await open();
  expect(await read(id)).toMatchObject({ status: "done", closedAt: T0 + 5 * HOUR });
  expect(title(ts)).toMatch(/^✅ Done: /);
});

test("Home and /waypost tasks show what is open", async () => {
  const { ts } = await open({ due: { amount: 1, unit: "h" } });
  await desk.openHome("UEVE");
  const home = JSON.stringify(desk.home("UEVE")?.view);
  expect(home).toContain("My accounts by risk");
  expect(home).toContain(account.toUpperCase());
  expect(home).toContain("task:complete");
  await desk.command("UEVE", "/waypost", "tasks");
  expect(desk.ephemerals().at(-1)?.text).toMatch(/overdue, \d+ due today, \d+ later$/);
  const [, task] = /"value":"(\{[^}]+\})"/.exec(home) ?? [];
  await desk.press({ user: "UEVE", actionId: "task:complete", value: JSON.parse(`"${task}"`) as string });
  expect(title(ts)).toMatch(/^✅ Done: /);
});

describe("a nudge", () => {
  test("its button reaches the run as slack.clicked, once", async () => {
    await nudged(run);
    const message = desk.posts().at(-1);
    expect(message).toMatchObject({ user: "UEVE", text: "Look at this" });
    const press = () => desk.press({ user: "UEVE", deliveryId: message?.deliveryId ?? "", actionId: "nudge:ack" });
    expect((await press()).ephemerals).toEqual(["Noted."]);
    await press();
    const events = await stage.database
      .client`select run_id, payload from events where name = 'slack.clicked' and account_id = ${account}`;
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      run_id: run,
      payload: { run, key: "nudge", step: "nudge", action: "ack", by: "eve", delivery: message?.deliveryId },
    });
  });
});
