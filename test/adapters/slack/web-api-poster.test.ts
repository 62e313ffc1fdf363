import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createSlackPoster, type WebApiPoster } from "../../../src/adapters/slack/web-api-poster.js";
import { type Desk, startDesk } from "../../../src/local/desk.js";
import type { DeskBehaviour } from "../../../src/local/desk-behaviours.js";

const TOKEN = "xoxb-test";
const ALICE = { id: "UALICE", name: "Alice Kowalska", email: "alice@vendor.example" };
const MESSAGE = { channel: "#cs-alerts", text: "hello", deliveryId: "d-1" };

let desk: Desk;
let poster: WebApiPoster;

beforeEach(async () => {
  desk = await startDesk({ signingSecret: "s", users: [ALICE], token: TOKEN });
  poster = createSlackPoster({ token: TOKEN, apiUrl: desk.apiUrl, timeoutMs: 1_000 });
});
afterEach(() => desk.stop());

describe("post", () => {
  test("posted: channel and ts, with the delivery id in the metadata", async () => {
    const result = await poster.post(MESSAGE);
    const [message] = desk.posts();
    expect(result).toEqual({ kind: "posted", channel: message?.channel, ts: message?.ts });
    expect(message?.metadata).toEqual({ event_type: "waypost_delivery", event_payload: { delivery_id: "d-1" } });
    expect(message?.channelName).toBe("#cs-alerts");
  });

  test("a user id is written to in their direct message", async () => {
    const result = await poster.post({ ...MESSAGE, channel: "UALICE" });
    expect(result.kind).toBe("posted");
    expect(desk.posts()[0]).toMatchObject({ user: "UALICE", channelName: "Alice Kowalska" });
  });

  test("in a thread", async () => {
    const first = await poster.post(MESSAGE);
    if (first.kind !== "posted") throw new Error("not posted");
    await poster.post({ ...MESSAGE, deliveryId: "d-2", channel: first.channel, threadTs: first.ts });
    expect(desk.posts()[1]?.threadTs).toBe(first.ts);
  });

  const cases: [string, DeskBehaviour, unknown, number][] = [
    ["429", { kind: "limit", retryAfterSeconds: 7 }, { kind: "limited", retryAfterMs: 7_000 }, 0],
    ["429 without Retry-After", { kind: "limit_without_header" }, { kind: "limited", retryAfterMs: 30_000 }, 0],
    ["ratelimited with 200", { kind: "error", error: "ratelimited" }, { kind: "limited", retryAfterMs: 30_000 }, 0],
    [
      "channel gone",
      { kind: "error", error: "channel_not_found" },
      { kind: "refused", permanent: true, reason: "channel_not_found" },
      0,
    ],
    [
      "archived",
      { kind: "error", error: "is_archived" },
      { kind: "refused", permanent: true, reason: "is_archived" },
      0,
    ],
    [
      "account inactive",
      { kind: "error", error: "account_inactive" },
      { kind: "refused", permanent: true, reason: "account_inactive" },
      0,
    ],
    [
      "token revoked",
      { kind: "error", error: "token_revoked" },
      { kind: "refused", permanent: false, reason: "token_revoked" },
      0,
    ],
    [
      "scope missing",
      { kind: "error", error: "missing_scope" },
      { kind: "refused", permanent: false, reason: "missing_scope" },
      0,
    ],
    ["Slack's own fault", { kind: "error", error: "internal_error" }, { kind: "unknown", reason: "internal_error" }, 0],
    ["fatal_error", { kind: "error", error: "fatal_error" }, { kind: "unknown", reason: "fatal_error" }, 0],
    ["503", { kind: "status", status: 503 }, { kind: "unknown", reason: "HTTP 503" }, 0],
    [
      "503 after it was accepted",
      { kind: "status", status: 503, accepted: true },
      { kind: "unknown", reason: "HTTP 503" },
      1,
    ],
    ["404 of a proxy", { kind: "status", status: 404 }, { kind: "refused", permanent: false, reason: "HTTP 404" }, 0],
    [
      "a page instead of an answer",
      { kind: "garbage", accepted: true },
      { kind: "unknown", reason: "not an answer of Slack's" },
      1,
    ],
    ["dropped", { kind: "drop" }, { kind: "unknown", reason: "UND_ERR_SOCKET" }, 0],
    [
      "dropped after it was accepted",
      { kind: "drop", accepted: true },
      { kind: "unknown", reason: "UND_ERR_SOCKET" },
      1,
    ],
    ["too late", { kind: "delay", delayMs: 1_500 }, { kind: "unknown", reason: "timeout" }, 1],
  ];
  test.each(cases)("%s", async (_name, behaviour, expected, posted) => {
    desk.misbehave(behaviour);
    expect(await poster.post(MESSAGE)).toEqual(expected);
    expect(desk.stats().posts).toBe(posted);
    expect(desk.posts().length).toBe(posted);
  });

  test("one post is one request, whatever happens: nothing is retried", async () => {
    desk.misbehave({ kind: "status", status: 503, accepted: true, times: "always" });
    await poster.post(MESSAGE);
    expect(desk.count("d-1")).toBe(1);
  });

  test("nobody there: certainly not posted", async () => {
    await desk.stop();
    expect(await poster.post(MESSAGE)).toEqual({ kind: "refused", permanent: false, reason: "ECONNREFUSED" });
    desk = await startDesk({ signingSecret: "s" });
  });

  test("a wrong token", async () => {
    const wrong = createSlackPoster({ token: "xoxb-other", apiUrl: desk.apiUrl });
    expect(await wrong.post(MESSAGE)).toEqual({ kind: "refused", permanent: false, reason: "invalid_auth" });
  });

  test("blocks beyond Slack's limits", async () => {
    const blocks = [{ type: "header", text: { type: "plain_text", text: "x".repeat(151) } }];
    expect(await poster.post({ ...MESSAGE, blocks })).toEqual({
      kind: "refused",
      permanent: true,
      reason: "invalid_blocks",
    });
  });

  describe("when the direct message can't be opened, nothing was posted", () => {
    const opening: [string, DeskBehaviour, unknown][] = [
      [
        "no such user",
        { method: "conversations.open", kind: "error", error: "user_not_found" },
        { kind: "refused", permanent: true, reason: "user_not_found" },
      ],
      [
        "503",
        { method: "conversations.open", kind: "status", status: 503 },
        { kind: "refused", permanent: false, reason: "HTTP 503" },
      ],
      [
        "dropped",
        { method: "conversations.open", kind: "drop" },
        { kind: "refused", permanent: false, reason: "UND_ERR_SOCKET" },
      ],
      [
        "limited",
        { method: "conversations.open", kind: "limit", retryAfterSeconds: 2 },
        { kind: "limited", retryAfterMs: 2_000 },
      ],
      [
        "late",
        { method: "conversations.open", kind: "delay", delayMs: 600 },
        { kind: "refused", permanent: false, reason: "timeout" },
      ],
    ];
    test.each(opening)("%s", async (_name, behaviour, expected) => {
      desk.misbehave(behaviour);
      expect(await poster.post({ ...MESSAGE, channel: "UALICE" })).toEqual(expected);
      expect(desk.stats().posts).toBe(0);
    });
  });

  test("an answer that ends in the middle", async () => {
    const half = createServer((_request, response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
      response.write('{"ok":true,');
      setTimeout(() => response.destroy(), 20);
    });
    await new Promise<void>((resolve) => half.listen(0, "127.0.0.1", resolve));
    try {
      const cut = createSlackPoster({
        token: TOKEN,
        apiUrl: `http://127.0.0.1:${(half.address() as AddressInfo).port}/api/`,
      });
      expect((await cut.post(MESSAGE)).kind).toBe("unknown");
    } finally {
      half.close();
    }
  });
});

describe("find", () => {
  test("the message of a delivery, in a channel by id or name and in a direct message", async () => {
    await poster.post({ ...MESSAGE, deliveryId: "d-0" });
    const posted = await poster.post(MESSAGE);
    const direct = await poster.post({ ...MESSAGE, channel: "UALICE", deliveryId: "d-2" });
    if (posted.kind !== "posted" || direct.kind !== "posted") throw new Error("not posted");
    expect(await poster.find(posted.channel, "d-1", 0)).toEqual({ channel: posted.channel, ts: posted.ts });
    expect(await poster.find("#cs-alerts", "d-1", 0)).toEqual({ channel: posted.channel, ts: posted.ts });
    expect(await poster.find("UALICE", "d-2", 0)).toEqual({ channel: direct.channel, ts: direct.ts });
  });

  test("one that dropped after it was accepted is found", async () => {
    desk.misbehave({ kind: "drop", accepted: true });
    expect((await poster.post(MESSAGE)).kind).toBe("unknown");
    expect(await poster.find("#cs-alerts", "d-1", Date.now() - 60_000)).toEqual({
      channel: desk.posts()[0]?.channel,
      ts: desk.posts()[0]?.ts,
    });
  });

  test("null where it isn't, and before `since`", async () => {
    const posted = await poster.post(MESSAGE);
    if (posted.kind !== "posted") throw new Error("not posted");
    expect(await poster.find(posted.channel, "d-9", 0)).toBeNull();
    expect(await poster.find(posted.channel, "d-1", Date.now() + 60_000)).toBeNull();
  });

  test("over several pages", async () => {
    const first = await poster.post({ ...MESSAGE, deliveryId: "d-first" });
    for (let index = 0; index < 230; index++) await poster.post({ ...MESSAGE, deliveryId: `d-more-${index}` });
    if (first.kind !== "posted") throw new Error("not posted");
    expect(await poster.find(first.channel, "d-first", 0)).toEqual({ channel: first.channel, ts: first.ts });
  });

  test("a reply is found only in its thread", async () => {
    const first = await poster.post(MESSAGE);
    if (first.kind !== "posted") throw new Error("not posted");
    const reply = await poster.post({ ...MESSAGE, channel: first.channel, deliveryId: "d-2", threadTs: first.ts });
    if (reply.kind !== "posted") throw new Error("not posted");
    expect(await poster.find(first.channel, "d-2", 0)).toBeNull();
    expect(await poster.find(first.channel, "d-2", 0, first.ts)).toEqual({ channel: first.channel, ts: reply.ts });
  });

  test.each<[string, DeskBehaviour]>([
    ["503", { method: "conversations.history", kind: "status", status: 503 }],
    ["limited", { method: "conversations.history", kind: "limit", retryAfterSeconds: 60 }],
    ["scope missing", { method: "conversations.history", kind: "error", error: "missing_scope" }],
  ])("can't tell: %s", async (_name, behaviour) => {
    await poster.post(MESSAGE);
    desk.misbehave(behaviour);
    expect(await poster.find("#cs-alerts", "d-1", 0)).toBeUndefined();
  });

  test("can't tell of a channel that no name leads to; knows of one that is gone", async () => {
    expect(await poster.find("#nowhere", "d-1", 0)).toBeUndefined();
    expect(await poster.find("CGONE", "d-1", 0)).toBeNull();
  });
});

test("update re-renders, and a message that is gone is a refusal", async () => {
  const posted = await poster.post(MESSAGE);
  if (posted.kind !== "posted") throw new Error("not posted");
  expect(await poster.update(posted.channel, posted.ts, { text: "changed" })).toEqual(posted);
  expect(desk.posts()[0]?.text).toBe("changed");
  expect(await poster.update(posted.channel, "1.000001", { text: "x" })).toEqual({
    kind: "refused",
    permanent: true,
    reason: "message_not_found",
  });
});

test("who is who", async () => {
  expect(await poster.userByEmail("ALICE@vendor.example")).toBe("UALICE");
  expect(await poster.userByEmail("nobody@vendor.example")).toBeUndefined();
  expect(await poster.emailOf("UALICE")).toBe("alice@vendor.example");
  expect(await poster.emailOf("UNOBODY")).toBeUndefined();
  expect(await poster.whoAmI()).toEqual({ userId: "UWAYPOST", team: "Desk" });
});

test("a failed call names Slack's reason, and neither the token nor the text", async () => {
  await expect(
    poster.openModal("no-trigger", { type: "modal", title: { type: "plain_text", text: "T" }, blocks: [] }),
  ).rejects.toThrow("Slack's views.open failed: invalid_trigger_id");
  await expect(poster.ephemeral("CGONE", "UALICE", "a secret")).rejects.toThrow(
    "Slack's chat.postEphemeral failed: channel_not_found",
  );
  await expect(poster.publishHome("UNOBODY", { type: "home", blocks: [] })).rejects.toThrow(
    "Slack's views.publish failed: user_not_found",
  );
  const error = await poster.ephemeral("CGONE", "UALICE", "a secret").catch((fault: unknown) => fault);
  expect(JSON.stringify(error) + String(error)).not.toMatch(/secret|xoxb/);
});
