import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createSlackEntrance } from "../../../src/entrances/slack/receiver.js";
import { signSlackRequest } from "../../../src/local/desk-interactions.js";
import { CARD, homeTask } from "../../adapters/slack/samples.js";
import { SECRET, type Setting, startSetting } from "./setting.js";

let setting: Setting;
beforeEach(async () => {
  setting = await startSetting();
});
afterEach(() => setting.stop());

const shown = (ts: string) => setting.desk.posts().find((message) => message.ts === ts);
const titleOf = (ts: string) => (shown(ts)?.blocks[0] as { text: { text: string } }).text.text;

describe("signatures", () => {
  const body = new URLSearchParams({ command: "/waypost", text: "tasks", user_id: "UALICE" }).toString();
  const nowSeconds = () => Math.floor(Date.now() / 1_000);

  async function send(
    change: { timestamp?: number; secret?: string; body?: string; signature?: string; method?: string } = {},
  ) {
    const timestamp = change.timestamp ?? nowSeconds();
    const response = await fetch(setting.receiverUrl, {
      method: change.method ?? "POST",
      ...(change.method === "GET" ? {} : { body: change.body ?? body }),
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": String(timestamp),
        "x-slack-signature": change.signature ?? signSlackRequest(change.secret ?? SECRET, body, timestamp),
      },
    });
    const text = await response.text();
    return {
      status: response.status,
      detail: text.startsWith("{") ? (JSON.parse(text) as { detail?: string }).detail : text,
    };
  }

  test("Slack's own example of a signature", () => {
    const example =
      "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    expect(signSlackRequest("8f742231b10e8888abcd99yyyzzz85a5", example, 1_531_420_618)).toBe(
      "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    );
  });

  test("a good one is taken, kept and marked as handled; the body's old token is not kept", async () => {
    expect((await send()).status).toBe(200);
    expect(setting.log.rows).toMatchObject([
      { kind: "command", payload: { command: "/waypost", text: "tasks", user_id: "UALICE" } },
    ]);
    expect(setting.log.rows[0]?.handledAt).toBeGreaterThan(0);
    expect(setting.log.rows[0]?.id).toMatch(/^[0-9a-f]{64}$/);
  });

  test.each<[string, () => Parameters<typeof send>[0], number, string]>([
    ["forged", () => ({ secret: "another" }), 401, "wrong signature"],
    ["of an altered body", () => ({ body: `${body}&text=x` }), 401, "wrong signature"],
    ["no signature", () => ({ signature: "" }), 401, "no signature"],
    ["of another version", () => ({ signature: `v1=${"0".repeat(64)}` }), 401, "no signature"],
    [
      "late by more than five minutes",
      () => ({ timestamp: nowSeconds() - 302 }),
      401,
      "the timestamp is more than five minutes from now",
    ],
    [
      "ahead by more than five minutes",
      () => ({ timestamp: nowSeconds() + 302 }),
      401,
      "the timestamp is more than five minutes from now",
    ],
    ["a GET", () => ({ method: "GET" }), 405, "POST only"],
  ])("%s is refused", async (_name, change, status, detail) => {
    expect(await send(change())).toEqual({ status, detail });
    expect(setting.log.rows).toEqual([]);
  });

  test.each([-290, 290])("%d s from now is taken", async (offset) => {
    expect((await send({ timestamp: nowSeconds() + offset })).status).toBe(200);
  });

  test("a repeated one is refused, and acts once", async () => {
    const timestamp = nowSeconds();
    expect((await send({ timestamp })).status).toBe(200);
    expect(await send({ timestamp })).toEqual({ status: 409, detail: "this request was received before" });
    expect(setting.log.rows).toHaveLength(1);
  });

  test("no timestamp; another path; too long; not readable", async () => {
    const plain = await fetch(setting.receiverUrl, { method: "POST", body });
    expect(plain.status).toBe(401);
    expect((await fetch(setting.receiverUrl.replace("/slack/events", "/other"), { method: "POST", body })).status).toBe(
      404,
    );
    const long = await fetch(setting.receiverUrl, { method: "POST", body: "x".repeat(1_000_001) });
    expect(long.status).toBe(413);
    const timestamp = nowSeconds();
    const unreadable = await fetch(setting.receiverUrl, {
      method: "POST",
      body: "not json",
      headers: {
        "content-type": "application/json",
        "x-slack-request-timestamp": String(timestamp),
        "x-slack-signature": signSlackRequest(SECRET, "not json", timestamp),
      },
    });
    expect(unreadable.status).toBe(400);
  });

  test("with the store away nothing is acknowledged: 503, and when to come again", async () => {
    setting.log.away = true;
    const { ts } = await setting.postTask();
    const result = await setting.desk.press({ user: "UALICE", ts, actionId: "task:complete" });
    expect(result.status).toBe(503);
    expect(setting.actions.acts).toEqual([]);
    setting.log.away = false;
    expect((await setting.desk.press({ user: "UALICE", ts, actionId: "task:complete" })).status).toBe(200);
    expect(setting.actions.acts).toHaveLength(1);
  });

  test("Slack's check of the address is answered", async () => {
    const challenge = JSON.stringify({ type: "url_verification", challenge: "abc" });
    const timestamp = nowSeconds();
    const response = await fetch(setting.receiverUrl, {
      method: "POST",
      body: challenge,
      headers: {
        "content-type": "application/json",
        "x-slack-request-timestamp": String(timestamp),
        "x-slack-signature": signSlackRequest(SECRET, challenge, timestamp),
      },
    });
    expect(await response.json()).toEqual({ challenge: "abc" });
  });
});

describe("Complete", () => {
  test("acts, and the message shows it", async () => {
    const { channel, ts, deliveryId } = await setting.postTask();
    const result = await setting.desk.press({ user: "UALICE", deliveryId, actionId: "task:complete" });
    expect(result.status).toBe(200);
    expect(setting.actions.acts).toEqual([
      { task: CARD.id, revision: 3, by: "csm-1", verb: "complete", posted: { channel, ts } },
    ]);
    expect(titleOf(ts)).toBe("✅ Done: Call the champion");
    expect(result.ephemerals).toEqual([]);
    expect(setting.faults).toEqual([]);
  });

  test("a task that asks for an outcome opens a modal first", async () => {
    setting.actions.card = { ...CARD, ask: "outcome", outcomes: ["false_alarm", "confirmed"] };
    const { channel, ts } = await setting.postTask();
    const opened = await setting.desk.press({ user: "UALICE", ts, actionId: "task:complete" });
    expect(opened.modal?.view.callback_id).toBe("modal:complete");
    expect(setting.actions.acts).toEqual([]);
    const missing = (await setting.desk.submit("UALICE", { note: "x" })) as { errors?: unknown };
    expect(missing.errors).toEqual({ outcome: "Please fill this in." });
    await setting.desk.submit("UALICE", { outcome: "confirmed", note: " They are leaving. " });
    expect(setting.actions.acts).toEqual([
      {
        task: CARD.id,
        revision: 3,
        by: "csm-1",
        verb: "complete",
        outcome: "confirmed",
        note: "They are leaving.",
        posted: { channel, ts },
      },
    ]);
    expect(setting.desk.modal("UALICE")).toBeUndefined();
    expect(titleOf(ts)).toBe("✅ Done: Call the champion");
  });

  test("in one go, as a scripted person does it, and with a note", async () => {
    setting.actions.card = { ...CARD, ask: "note" };
    const { ts } = await setting.postTask();
    const result = await setting.desk.press({
      user: "UALICE",
      ts,
      actionId: "task:complete",
      viewSubmit: { note: "Spoke to them" },
    });
    expect(result.submission?.status).toBe(200);
    expect(setting.actions.acts[0]).toMatchObject({ verb: "complete", note: "Spoke to them" });
  });

  test("from the Home tab, which is drawn anew", async () => {
    setting.actions.homeValue = { ...setting.actions.homeValue, today: [homeTask(2, { id: CARD.id, revision: 3 })] };
    await setting.desk.openHome("UALICE");
    const before = setting.desk.home("UALICE")?.id;
    await setting.desk.press({
      user: "UALICE",
      actionId: "task:complete",
      value: `{"v":1,"task":"${CARD.id}","revision":3}`,
    });
    expect(setting.actions.acts).toEqual([{ task: CARD.id, revision: 3, by: "csm-1", verb: "complete" }]);
    expect(setting.desk.home("UALICE")?.id).not.toBe(before);
  });
});

test("Snooze: the preset chosen", async () => {
  const { ts } = await setting.postTask();
  await setting.desk.press({ user: "UALICE", ts, actionId: "task:snooze", value: "2 bd" });
  expect(setting.actions.acts[0]).toMatchObject({ verb: "snooze", for: "2 bd", revision: 3 });
});

test("Reassign: a modal with the others of ours", async () => {
  const { ts } = await setting.postTask();
  const result = await setting.desk.press({
    user: "UALICE",
    ts,
    actionId: "task:reassign",
    viewSubmit: { person: "csm-2" },
  });
  const input = (result.modal?.view.blocks as { element?: { options: { value: string }[] } }[])[1];
  expect(input?.element?.options.map((option) => option.value)).toEqual(["csm-2"]);
  expect(setting.actions.acts[0]).toMatchObject({ verb: "reassign", to: "csm-2", revision: 3 });
});

test("Skip asks why; a note; the account", async () => {
  const { ts } = await setting.postTask();
  await setting.desk.press({
    user: "UALICE",
    ts,
    actionId: "task:more",
    value: "note",
    viewSubmit: { note: "On holiday" },
  });
  expect(setting.actions.acts[0]).toMatchObject({ verb: "note", note: "On holiday", revision: 3 });
  const about = await setting.desk.press({ user: "UALICE", ts, actionId: "task:more", value: "open_account" });
  expect(about.ephemerals).toEqual(["Acme is account acme."]);
  await setting.desk.press({
    user: "UALICE",
    ts,
    actionId: "task:more",
    value: "skip",
    viewSubmit: { reason: "Duplicate" },
  });
  expect(setting.actions.acts[1]).toMatchObject({ verb: "skip", reason: "Duplicate", revision: 4 });
  expect(titleOf(ts)).toBe("⏭️ Skipped: Call the champion");
});

describe("who may", () => {
  test("a manager, found by address and remembered", async () => {
    const { ts } = await setting.postTask();
    await setting.desk.press({ user: "UMIA", ts, actionId: "task:complete" });
    expect(setting.actions.acts[0]).toMatchObject({ by: "mgr-1" });
    expect(setting.actions.links).toEqual([["mgr-1", "UMIA"]]);
  });
  test.each(["task:complete", "task:reassign"])(
    "anybody else is told so, and nothing happens: %s",
    async (actionId) => {
      const { ts } = await setting.postTask();
      const result = await setting.desk.press({ user: "UBOB", ts, actionId });
      expect(result).toMatchObject({
        status: 200,
        ephemerals: ["This task is Alice Kowalska's. Only the assignee, their cover and their manager can act on it."],
      });
      expect(result.modal).toBeUndefined();
      expect(setting.actions.acts).toEqual([]);
      expect(titleOf(ts)).toBe("Call the champion");
    },
  );
  test("somebody who isn't one of ours", async () => {
    const { ts } = await setting.postTask();
    const result = await setting.desk.press({ user: "UGUEST", ts, actionId: "task:complete" });
    expect(result.ephemerals[0]).toMatch(/^Waypost doesn't know you/);
    expect(setting.actions.acts).toEqual([]);
  });
  test("the operation's own refusal is shown", async () => {
    const { ts } = await setting.postTask();
    setting.actions.next = { kind: "refused", reason: "No snoozes are left.", card: CARD };
    const result = await setting.desk.press({ user: "UALICE", ts, actionId: "task:snooze", value: "1 bd" });
    expect(result.ephemerals).toEqual(["No snoozes are left."]);
  });
});

describe("a stale message", () => {
  test("is drawn anew, and nothing is done", async () => {
    const { ts } = await setting.postTask();
    setting.actions.card = { ...CARD, revision: 4, title: "Call the new champion" };
    const result = await setting.desk.press({ user: "UALICE", ts, actionId: "task:complete" });
    expect(setting.actions.acts).toEqual([]);
    expect(titleOf(ts)).toBe("Call the new champion");
    expect(result.ephemerals).toEqual([
      "This task had changed in the meantime, so nothing was done. It is now shown as it is.",
    ]);
  });
  test("also where the change comes between the look and the act, or while a modal is open", async () => {
    const { ts } = await setting.postTask();
    setting.actions.next = { kind: "stale", card: { ...CARD, revision: 5, status: "cancelled" } };
    const pressed = await setting.desk.press({ user: "UALICE", ts, actionId: "task:complete" });
    expect(pressed.ephemerals).toHaveLength(1);
    expect(titleOf(ts)).toBe("🚫 No longer needed: Call the champion");
    const again = await setting.postTask();
    await setting.desk.press({
      user: "UALICE",
      ts: again.ts,
      actionId: "task:more",
      value: "skip",
      viewSubmit: { reason: "x" },
    });
    expect(JSON.stringify(setting.desk.modal("UALICE")?.view)).toContain("had changed in the meantime");
    expect(titleOf(again.ts)).toBe("🚫 No longer needed: Call the champion");
  });
  test("a task that is gone, a message of another version", async () => {
    const { ts } = await setting.postTask({ ...CARD, id: "gone" });
    expect((await setting.desk.press({ user: "UALICE", ts, actionId: "task:complete" })).ephemerals).toEqual([
      "This task is no longer there.",
    ]);
    const blocks = [
      {
        type: "actions",
        elements: [
          { type: "button", action_id: "task:complete", value: "old", text: { type: "plain_text", text: "Complete" } },
        ],
      },
    ];
    const old = await setting.poster.post({ channel: "UALICE", text: "old", blocks, deliveryId: "old" });
    if (old.kind !== "posted") throw new Error("not posted");
    expect((await setting.desk.press({ user: "UALICE", ts: old.ts, actionId: "task:complete" })).ephemerals[0]).toMatch(
      /older version/,
    );
  });
});

test("a nudge's buttons", async () => {
  const { createSlackMessages } = await import("../../../src/adapters/slack/messages.js");
  const body = createSlackMessages().nudge({
    deliveryId: "n-1",
    text: "Look",
    actions: ["snooze", "ack"],
    account: { id: "acme", name: "Acme" },
    playbook: "qbr",
    run: "run/x",
    step: "s",
  });
  const posted = await setting.poster.post({ channel: "#cs-alerts", deliveryId: "n-1", ...body });
  if (posted.kind !== "posted") throw new Error("not posted");
  const snoozed = await setting.desk.press({ user: "UALICE", deliveryId: "n-1", actionId: "nudge:snooze" });
  expect(snoozed.ephemerals).toEqual(["Tomorrow then."]);
  await setting.desk.press({ user: "UGUEST", deliveryId: "n-1", actionId: "nudge:ack" });
  const where = { channel: posted.channel, ts: posted.ts };
  expect(setting.actions.clicks).toEqual([
    { deliveryId: "n-1", action: "snooze", by: "csm-1", posted: where },
    { deliveryId: "n-1", action: "ack", by: undefined, posted: where },
  ]);
});

test("/waypost tasks, and anything else", async () => {
  await setting.desk.command("UALICE", "/waypost", "tasks");
  await setting.desk.command("UALICE", "/waypost", "");
  await setting.desk.command("UGUEST", "/waypost", "tasks");
  const [tasks, help, guest] = setting.desk.ephemerals();
  expect(tasks?.text).toBe("Friday 6 March: 1 overdue, 1 due today, 5 later");
  expect(JSON.stringify(tasks?.blocks)).toContain("*Task 1* — Acme");
  expect(help?.text).toMatch(/^`\/waypost tasks` lists/);
  expect(guest?.text).toMatch(/^Waypost doesn't know you/);
});

test("the Home tab: drawn when it is opened, paged, and empty for strangers", async () => {
  setting.actions.homeValue = {
    ...setting.actions.homeValue,
    overdue: Array.from({ length: 100 }, (_, index) => homeTask(1_000 + index)),
  };
  await setting.desk.openHome("UALICE");
  expect(JSON.stringify(setting.desk.home("UALICE")?.view)).toContain("*Task 1000*");
  await setting.desk.press({ user: "UALICE", actionId: "home:page:2", value: "2" });
  expect(JSON.stringify(setting.desk.home("UALICE")?.view)).toContain("*Task 1099*");
  await setting.desk.openHome("UGUEST");
  expect(JSON.stringify(setting.desk.home("UGUEST")?.view)).toContain("doesn't know you");
});

describe("faults", () => {
  test("a fault of ours is said plainly, kept, and done later", async () => {
    const { ts } = await setting.postTask();
    setting.actions.fault = new Error("password=hunter2");
    const result = await setting.desk.press({ user: "UALICE", ts, actionId: "task:complete" });
    expect(result.status).toBe(200);
    expect(result.ephemerals).toEqual(["Waypost can't do this just now. Please press again in a minute."]);
    expect(setting.log.rows[0]?.handledAt).toBeUndefined();
    expect(setting.faults.length).toBeGreaterThan(0);
    setting.actions.fault = undefined;
    expect(await setting.entrance.replayUnhandled()).toBe(0);
    const row = setting.log.rows[0];
    if (row) setting.log.rows[0] = { ...row, receivedAt: row.receivedAt - 120_000 };
    expect(await setting.entrance.replayUnhandled()).toBe(1);
    expect(setting.actions.acts).toMatchObject([{ verb: "complete", revision: 3 }]);
    expect(titleOf(ts)).toBe("✅ Done: Call the champion");
    expect(await setting.entrance.replayUnhandled()).toBe(0);
  });

  test("Slack gets its answer in time though the deed takes longer, and the deed is done", async () => {
    await setting.stop();
    setting = await startSetting({ ackAfterMs: 100 });
    setting.actions.delayMs = 400;
    const { ts } = await setting.postTask();
    const began = performance.now();
    const result = await setting.desk.press({ user: "UALICE", ts, actionId: "task:complete" });
    expect(result.status).toBe(200);
    expect(performance.now() - began).toBeLessThan(350);
    expect(setting.actions.acts).toEqual([]);
    await setting.entrance.stop();
    expect(setting.actions.acts).toHaveLength(1);
    expect(setting.log.rows[0]?.handledAt).toBeGreaterThan(0);
  });

  test("a message that can't be drawn anew: the act stands", async () => {
    const { ts } = await setting.postTask();
    setting.desk.misbehave({ method: "chat.update", kind: "status", status: 503 });
    expect((await setting.desk.press({ user: "UALICE", ts, actionId: "task:complete" })).status).toBe(200);
    expect(setting.actions.acts).toHaveLength(1);
    expect(setting.faults[0]).toContain("HTTP 503");
  });

  test("a form that Slack doesn't open is said", async () => {
    const { ts } = await setting.postTask();
    setting.desk.misbehave({ method: "views.open", kind: "error", error: "expired_trigger_id" });
    const result = await setting.desk.press({ user: "UALICE", ts, actionId: "task:reassign" });
    expect(result.ephemerals).toEqual(["Slack could not open the form. Please press again."]);
  });
});

describe("scripted people", () => {
  test("their press is done before the post that caused it is answered, at their own time", async () => {
    await setting.stop();
    const order: string[] = [];
    const held: { setting?: Setting } = {};
    setting = await startSetting(
      { acceptDomainTime: true },
      {
        onPost: async (message) => {
          await held.setting?.desk.press({
            user: "UALICE",
            ts: message.ts,
            actionId: "task:complete",
            at: 1_772_000_000_000,
          });
          order.push(`pressed, acts: ${setting.actions.acts.length}`);
        },
      },
    );
    held.setting = setting;
    await setting.postTask();
    order.push("post answered");
    expect(order).toEqual(["pressed, acts: 1", "post answered"]);
    expect(setting.actions.acts[0]).toMatchObject({ at: 1_772_000_000_000, verb: "complete" });
    expect(titleOf(setting.desk.posts()[0]?.ts ?? "")).toBe("✅ Done: Call the champion");
  });
  test("at time scale 1 nobody brings a time along", async () => {
    const { ts } = await setting.postTask();
    await setting.desk.press({ user: "UALICE", ts, actionId: "task:complete", at: 1_772_000_000_000 });
    expect(setting.actions.acts[0]).not.toHaveProperty("at");
  });
});

test("Socket Mode by configuration: nothing connects before start, and HTTP is refused", async () => {
  const entrance = createSlackEntrance({
    token: "xoxb-test",
    signingSecret: "",
    appToken: "xapp-test",
    actions: setting.actions,
    poster: setting.poster,
    messages: { task: () => ({ text: "", blocks: [] }), digest: () => ({ text: "", blocks: [] }) },
    log: setting.log,
  });
  expect(entrance.mode).toBe("socket");
  expect(setting.entrance.mode).toBe("http");
});
