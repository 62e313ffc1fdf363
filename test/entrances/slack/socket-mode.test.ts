import { afterEach, beforeEach, expect, test } from "vitest";
import { createSlackPoster } from "../../../src/adapters/slack/web-api-poster.js";
import { createSlackMessages } from "../../../src/adapters/slack/messages.js";
import { createSlackEntrance, type SlackEntrance } from "../../../src/entrances/slack/receiver.js";
import { type Desk, startDesk } from "../../../src/local/desk.js";
import { eventually } from "../support/installation.js";
import { FakeActions, memoryRequestLog } from "./fake-actions.js";
import { SECRET, USERS } from "./setting.js";
import { type SocketSide, startSocketSide } from "./socket-side.js";

let desk: Desk;
let slack: SocketSide;
let actions: FakeActions;
let log: ReturnType<typeof memoryRequestLog>;
let faults: string[];
let entrance: SlackEntrance;

beforeEach(async () => {
  desk = await startDesk({ signingSecret: SECRET, users: USERS });
  slack = await startSocketSide({ token: "xapp-test", deskApiUrl: desk.apiUrl, signingSecret: SECRET });
  desk.setReceiver(slack.receiverUrl);
  actions = new FakeActions();
  log = memoryRequestLog();
  faults = [];
  entrance = entranceWith("xapp-test");
});
afterEach(async () => {
  await entrance.stop();
  await slack.stop();
  await desk.stop();
});

const messages = createSlackMessages();

function poster() {
  return createSlackPoster({ token: "xoxb-test", apiUrl: slack.apiUrl, timeoutMs: 10_000 });
}

function entranceWith(appToken: string): SlackEntrance {
  return createSlackEntrance({
    token: "xoxb-test",
    signingSecret: "",
    appToken,
    apiUrl: slack.apiUrl,
    actions,
    poster: poster(),
    messages,
    log,
    onFault: (what, error) => faults.push(`${what}: ${error instanceof Error ? error.message : JSON.stringify(error)}`),
  });
}

/** Starts, waits for the connection, and posts the task's message to Alice. */
async function connected() {
  await entrance.start();
  await eventually(async () => slack.greeted() === 1 || undefined, 5_000);
  const posted = await poster().post({ channel: "UALICE", deliveryId: "delivery-1", ...messages.task(actions.card) });
  if (posted.kind !== "posted") throw new Error("not posted");
  const press = () =>
    desk.press({ user: "UALICE", channel: posted.channel, ts: posted.ts, actionId: "task:snooze", value: "2 bd" });
  return { ...posted, press };
}

test("a click arrives by Socket Mode, acts, is acknowledged by its envelope's id and kept", async () => {
  const { press } = await connected();
  expect((await press()).status).toBe(200);
  expect(actions.acts).toMatchObject([{ verb: "snooze", for: "2 bd", by: "csm-1", task: actions.card.id }]);
  const [envelope] = slack.envelopes;
  expect(log.rows).toMatchObject([{ id: `envelope:${envelope?.envelope_id}`, kind: "block_actions" }]);
  expect(log.rows[0]?.handledAt).toBeGreaterThan(0);
  expect(log.rows[0]?.payload).not.toHaveProperty("token");
  expect(faults).toEqual([]);
});

test("a form, a slash command and the Home tab come the same way, and the form's answer goes back in the acknowledgement", async () => {
  const { channel, ts } = await connected();
  const skipped = await desk.press({
    user: "UALICE",
    channel,
    ts,
    actionId: "task:more",
    value: "skip",
    viewSubmit: { reason: "They called us." },
  });
  expect(skipped.submission?.status).toBe(200);
  expect(actions.acts).toMatchObject([{ verb: "skip", reason: "They called us." }]);
  const said = await desk.command("UALICE", "/waypost", "tasks");
  expect(JSON.parse(said.body)).toMatchObject({ response_type: "ephemeral" });
  await desk.openHome("UALICE");
  await eventually(async () => desk.home("UALICE"), 5_000);
  expect(slack.envelopes.map(({ type }) => type)).toEqual([
    "interactive",
    "interactive",
    "slash_commands",
    "events_api",
  ]);
});

test("the same envelope again is acknowledged, and acts once", async () => {
  const { press } = await connected();
  await press();
  const [envelope] = slack.envelopes;
  if (envelope === undefined) throw new Error("no envelope");
  const again = await slack.send(envelope);
  expect(again?.afterMs).toBeLessThan(3_000);
  expect(actions.acts).toHaveLength(1);
});

test("a deed that takes longer than Slack waits is acknowledged within 3 s, and done", async () => {
  const { press } = await connected();
  actions.delayMs = 3_500;
  const began = performance.now();
  expect((await press()).status).toBe(200);
  expect(performance.now() - began).toBeLessThan(3_000);
  expect(actions.acts).toHaveLength(0);
  await eventually(async () => log.rows[0]?.handledAt, 5_000);
  expect(actions.acts).toHaveLength(1);
});

test.each(["refresh", "breakOff"] as const)("after %s it is there again within two seconds", async (how) => {
  const { press } = await connected();
  slack[how]();
  await eventually(async () => (slack.greeted() === 2 && slack.connected() === 1) || undefined, 2_000);
  expect((await press()).status).toBe(200);
  expect(actions.acts).toHaveLength(1);
});

test("a deed whose connection is replaced meanwhile is done, and not kept as open", async () => {
  const { press } = await connected();
  actions.delayMs = 600;
  const pressing = press();
  await eventually(async () => log.rows.length > 0 || undefined, 5_000);
  slack.breakOff();
  await eventually(async () => log.rows[0]?.handledAt, 5_000);
  expect(actions.acts).toHaveLength(1);
  await pressing;
});

test("while Slack can't be reached it goes on trying, and a fault is told once", async () => {
  slack.refuse("http 500");
  await entrance.start();
  await eventually(async () => slack.asked() >= 3 || undefined, 10_000);
  expect(faults.filter((fault) => fault.startsWith("Slack's Socket Mode"))).toHaveLength(1);
  slack.refuse(undefined);
  await eventually(async () => slack.greeted() === 1 || undefined, 10_000);
});

test("Slack away while it reconnects ends nothing", async () => {
  const { press } = await connected();
  slack.refuse("invalid_auth");
  slack.refresh();
  await eventually(async () => slack.asked() >= 3 || undefined, 10_000);
  slack.refuse(undefined);
  await eventually(async () => slack.greeted() === 2 || undefined, 10_000);
  expect((await press()).status).toBe(200);
});

test("a wrong app token is told by the variable's name, without the token", async () => {
  await entrance.stop();
  entrance = entranceWith("xapp-wrong");
  await entrance.start();
  await eventually(async () => faults.length > 0 || undefined, 5_000);
  expect(faults[0]).toContain("invalid_auth");
  expect(faults[0]).toContain("SLACK_APP_TOKEN");
  expect(faults.join()).not.toContain("xapp-wrong");
});

test("stopping lets a click that is under way be done and acknowledged, then disconnects", async () => {
  const { press } = await connected();
  actions.delayMs = 700;
  const pressing = press();
  await eventually(async () => log.rows.length > 0 || undefined, 5_000);
  await entrance.stop();
  expect((await pressing).status).toBe(200);
  expect(actions.acts).toHaveLength(1);
  expect(log.rows[0]?.handledAt).toBeGreaterThan(0);
  await eventually(async () => slack.connected() === 0 || undefined, 2_000);
  // And stays away.
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(slack.greeted()).toBe(1);
});

test("stopping before Slack has ever answered ends at once", async () => {
  slack.refuse("http 500");
  await entrance.start();
  const began = performance.now();
  await entrance.stop();
  expect(performance.now() - began).toBeLessThan(2_000);
});
