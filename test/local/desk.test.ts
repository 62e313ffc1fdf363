import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createSlackMessages } from "../../src/adapters/slack/messages.js";
import { type Desk, startDesk } from "../../src/local/desk.js";
import { mrkdwnHtml } from "../../src/local/desk-blocks.js";
import { blockProblems, viewProblems } from "../../src/local/desk-limits.js";
import { CARD } from "../adapters/slack/samples.js";
import { type Setting, startSetting } from "../entrances/slack/setting.js";

async function call(desk: Desk, method: string, args: Record<string, string> = {}) {
  const response = await fetch(`${desk.apiUrl}${method}`, { method: "POST", body: new URLSearchParams(args) });
  return (await response.json()) as Record<string, unknown>;
}

describe("the Web API of an open workspace", () => {
  let desk: Desk;
  beforeEach(async () => {
    desk = await startDesk({ signingSecret: "s", keep: 3 });
  });
  afterEach(() => desk.stop());

  test("whoever is looked up exists, with the same id after a restart", async () => {
    const found = await call(desk, "users.lookupByEmail", { email: "Ada.Nowak@vendor.example" });
    expect(found).toMatchObject({
      ok: true,
      user: { name: "Ada Nowak", profile: { email: "ada.nowak@vendor.example" } },
    });
    const other = await startDesk({ signingSecret: "s" });
    expect(other.userByEmail("ada.nowak@vendor.example")?.id).toBe((found.user as { id: string }).id);
    await other.stop();
  });

  test("counts posts by delivery id, also of messages that it no longer keeps", async () => {
    const metadata = (id: string) =>
      JSON.stringify({ event_type: "waypost_delivery", event_payload: { delivery_id: id } });
    for (const id of ["d-1", "d-2", "d-1", "d-3", "d-4", "d-1"])
      await call(desk, "chat.postMessage", { channel: "#a", text: id, metadata: metadata(id) });
    expect(desk.stats()).toMatchObject({ posts: 6, duplicated: 1, kept: 3 });
    expect(desk.count("d-1")).toBe(3);
    expect(desk.count("d-9")).toBe(0);
    const deliveries = await (await fetch(`${desk.url}/deliveries`)).json();
    expect(deliveries).toEqual({ deliveries: { "d-1": 3, "d-2": 1, "d-3": 1, "d-4": 1 } });
    const one = (await (await fetch(`${desk.url}/deliveries/d-1`)).json()) as {
      count: number;
      post: { arrival: number };
    };
    expect([one.count, one.post.arrival]).toEqual([3, 3]);
    expect((await fetch(`${desk.url}/deliveries/d-9`)).status).toBe(404);
    const listed = (await (await fetch(`${desk.url}/posts?after=4&limit=1`)).json()) as {
      posts: { text: string }[];
      more: boolean;
    };
    expect([listed.posts.map((post) => post.text), listed.more]).toEqual([["d-4"], true]);
    expect(await (await fetch(`${desk.url}/stats`)).json()).toEqual(desk.stats());
  });

  test("ts are unique and rise; what isn't there is said in Slack's words", async () => {
    await Promise.all(Array.from({ length: 3 }, () => call(desk, "chat.postMessage", { channel: "#a", text: "x" })));
    const all = desk.posts().map((post) => Number(post.ts));
    expect(new Set(all).size).toBe(3);
    expect([...all].sort((a, b) => a - b)).toEqual(all);
    expect(await call(desk, "chat.postMessage", { channel: "CNONE", text: "x" })).toEqual({
      ok: false,
      error: "channel_not_found",
    });
    expect(await call(desk, "chat.postMessage", { channel: "#a", text: "" })).toEqual({ ok: false, error: "no_text" });
    expect(await call(desk, "chat.postMessage", { channel: "#a", text: "x", thread_ts: "1.0" })).toEqual({
      ok: false,
      error: "thread_not_found",
    });
    expect(await call(desk, "chat.update", { channel: "#a", ts: "1.0", text: "x" })).toEqual({
      ok: false,
      error: "message_not_found",
    });
    expect(
      await call(desk, "views.open", {
        trigger_id: "t",
        view: JSON.stringify({ type: "modal", title: { type: "plain_text", text: "T" }, blocks: [] }),
      }),
    ).toEqual({ ok: false, error: "invalid_trigger_id" });
    expect(await call(desk, "no.such.method")).toEqual({ ok: false, error: "unknown_method" });
    expect(await call(desk, "auth.test")).toMatchObject({ ok: true, user_id: "UWAYPOST" });
  });

  test("a reaction that fails is a 500, and the message stays", async () => {
    await desk.stop();
    desk = await startDesk({ signingSecret: "s", onPost: () => Promise.reject(new Error("script")) });
    const response = await fetch(`${desk.apiUrl}chat.postMessage`, {
      method: "POST",
      body: new URLSearchParams({ channel: "#a", text: "x" }),
    });
    expect(response.status).toBe(500);
    expect(desk.stats().posts).toBe(1);
  });

  test("behaviours over HTTP: for the demo and for a person", async () => {
    await fetch(`${desk.url}/behaviours`, {
      method: "POST",
      body: JSON.stringify({ kind: "error", error: "is_archived", channel: "#a", times: "always" }),
    });
    expect(await call(desk, "chat.postMessage", { channel: "#a", text: "x" })).toEqual({
      ok: false,
      error: "is_archived",
    });
    expect(await call(desk, "chat.postMessage", { channel: "#b", text: "x" })).toMatchObject({ ok: true });
    expect(await call(desk, "chat.postMessage", { channel: "#a", text: "x" })).toEqual({
      ok: false,
      error: "is_archived",
    });
    await fetch(`${desk.url}/behaviours`, { method: "DELETE" });
    expect(await call(desk, "chat.postMessage", { channel: "#a", text: "x" })).toMatchObject({ ok: true });
    expect(desk.stats()).toMatchObject({ posts: 2, troubled: 2 });
  });

  test("another site's page may not press", async () => {
    const response = await fetch(`${desk.url}/press`, {
      method: "POST",
      headers: { origin: "https://evil.example" },
      body: new URLSearchParams(),
    });
    expect(response.status).toBe(403);
  });

  test("a receiver that isn't there: status 0, and counted", async () => {
    desk.setReceiver("http://127.0.0.1:1/slack/events");
    const user = desk.userByEmail("a@b.example");
    expect(await desk.command(user?.id ?? "", "/waypost", "tasks")).toMatchObject({ status: 0 });
    expect(desk.stats()).toMatchObject({ interactions: 1, interactionsFailed: 1 });
  });

  test("nobody can press what isn't there", async () => {
    const user = desk.userByEmail("a@b.example")?.id ?? "";
    const blocks = JSON.stringify(createSlackMessages().task(CARD).blocks);
    await call(desk, "chat.postMessage", { channel: user, text: "x", blocks });
    const ts = desk.posts()[0]?.ts ?? "";
    await expect(desk.press({ user, ts, actionId: "task:nothing" })).rejects.toThrow(
      "there is no task:nothing to press here, only task:complete, task:snooze, task:reassign, task:more",
    );
    await expect(desk.press({ user, ts, actionId: "task:snooze", value: "9 bd" })).rejects.toThrow(
      "task:snooze has no option 9 bd, only 1 bd, 2 bd, 5 bd",
    );
    await expect(desk.press({ user, ts: "1.0", actionId: "x" })).rejects.toThrow("the desk has no message 1.0");
    await expect(desk.press({ user, actionId: "x" })).rejects.toThrow("has no Home tab yet");
    await expect(desk.submit(user, {})).rejects.toThrow("no modal is open");
  });
});

describe("Slack's limits, as the desk knows them", () => {
  const text = (length: number, type = "mrkdwn") => ({ type, text: "x".repeat(length) });
  const actions = (element: unknown) => [{ type: "actions", elements: [element] }];
  const option = (value: string) => ({ text: text(1, "plain_text"), value });
  test.each<[string, unknown]>([
    ["51 blocks", Array.from({ length: 51 }, () => ({ type: "divider" }))],
    ["13,200 characters", Array.from({ length: 5 }, () => ({ type: "section", text: text(2_900) }))],
    ["a long header", [{ type: "header", text: text(151, "plain_text") }]],
    ["a header of mrkdwn", [{ type: "header", text: text(1) }]],
    ["a long section", [{ type: "section", text: text(3_001) }]],
    ["an empty section", [{ type: "section", text: text(0) }]],
    ["11 fields", [{ type: "section", fields: Array.from({ length: 11 }, () => text(1)) }]],
    ["a long field", [{ type: "section", fields: [text(2_001)] }]],
    ["a long button", actions({ type: "button", action_id: "a", text: text(76, "plain_text") })],
    [
      "a long value",
      actions({ type: "button", action_id: "a", value: "x".repeat(2_001), text: text(1, "plain_text") }),
    ],
    ["a long action id", actions({ type: "button", action_id: "a".repeat(256), text: text(1, "plain_text") })],
    [
      "6 in an overflow",
      actions({ type: "overflow", action_id: "a", options: [1, 2, 3, 4, 5, 6].map((n) => option(`${n}`)) }),
    ],
    [
      "101 in a select",
      actions({
        type: "static_select",
        action_id: "a",
        options: Array.from({ length: 101 }, (_, n) => option(`${n}`)),
      }),
    ],
    ["a long option", actions({ type: "static_select", action_id: "a", options: [option("x".repeat(76))] })],
    ["an option twice", actions({ type: "static_select", action_id: "a", options: [option("x"), option("x")] })],
    [
      "a block id twice",
      [
        { type: "divider", block_id: "a" },
        { type: "divider", block_id: "a" },
      ],
    ],
    ["a long block id", [{ type: "divider", block_id: "a".repeat(256) }]],
    ["an input", [{ type: "input", label: text(1, "plain_text"), element: {} }]],
    ["an unknown block", [{ type: "carousel" }]],
    ["no list", {}],
  ])("refuses %s", (_name, blocks) => {
    expect(blockProblems(blocks, "message")).toHaveLength(1);
  });
  test("refuses a modal's long title, long metadata, inputs without submit", () => {
    const input = {
      type: "input",
      label: text(1, "plain_text"),
      element: { type: "plain_text_input", action_id: "a" },
    };
    expect(
      viewProblems({
        type: "modal",
        title: text(25, "plain_text"),
        private_metadata: "x".repeat(3_001),
        blocks: [input],
      }),
    ).toHaveLength(3);
  });
});

test.each([
  ["*bold* _slanted_ `code`", "<b>bold</b> <i>slanted</i> <code>code</code>"],
  ["a &lt;b&gt; &amp; c", "a &#60;b&#62; &#38; c"],
  [
    "<https://x.example/?a=1&amp;b=2|a page>\nnext",
    '<a href="https://x.example/?a=1&#38;b=2" rel="noreferrer" target="_blank">a page</a><br>next',
  ],
  ["<javascript:alert(1)|x>", "&#60;javascript:alert(1)|x&#62;"],
])("markup as HTML: %s", (source, html) => {
  expect(mrkdwnHtml(source)).toBe(html);
});

/** Where browsers are, on machines that have one; elsewhere these tests are skipped, and the report says so. */
const CHROMIUM = [
  process.env.CHROMIUM_PATH,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
].find((path) => path !== undefined && existsSync(path));

describe.skipIf(CHROMIUM === undefined)("the page, in Chromium", () => {
  let browser: BrowserContext;
  let folder: string;
  let setting: Setting;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "waypost-desk-"));
    browser = await chromium.launchPersistentContext(folder, {
      executablePath: CHROMIUM ?? "",
      headless: true,
      viewport: { width: 1100, height: 760 },
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
  });
  afterAll(async () => {
    await browser?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    setting = await startSetting();
  });
  afterEach(() => setting.stop());

  async function open(query: string) {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.goto(`${setting.desk.url}/${query}`);
    return { page, complaints };
  }

  test("Complete, pressed with the mouse, arrives as a signed interaction and the page shows the result", async () => {
    await setting.postTask();
    const { page, complaints } = await open("?user=UALICE");
    expect(await page.locator("article .h").textContent()).toBe("Call the champion");
    expect(await page.locator("article .fields").innerText()).toContain("120,000");
    await page.getByRole("button", { name: "Complete" }).click();
    await page.getByText("✅ Done: Call the champion").waitFor();
    expect(setting.actions.acts).toMatchObject([{ verb: "complete", by: "csm-1", revision: 3 }]);
    expect(await page.getByRole("button", { name: "Complete" }).count()).toBe(0);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test("Snooze acts as soon as it is chosen; the menu's Skip opens a modal that asks why", async () => {
    await setting.postTask();
    const { page, complaints } = await open("?user=UALICE");
    await page.getByLabel("Snooze").selectOption("2 bd");
    await expect.poll(() => setting.actions.acts.length).toBe(1);
    await page.waitForLoadState();
    await page.getByLabel("More").click();
    await page.getByRole("button", { name: "Skip, with a reason" }).click();
    await page.getByRole("dialog").waitFor();
    if (process.env.WAYPOST_SCREENSHOTS)
      await page.screenshot({ path: join(process.env.WAYPOST_SCREENSHOTS, "modal.png") });
    await page.getByLabel("Why is it not needed?").fill("A duplicate");
    await page.getByRole("button", { name: "Skip", exact: true }).click();
    await page.getByText("Skipped: Call the champion").waitFor();
    expect(setting.actions.acts).toMatchObject([
      { verb: "snooze", for: "2 bd" },
      { verb: "skip", reason: "A duplicate", revision: 4 },
    ]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test("as somebody else: refused, seen by that person alone", async () => {
    await setting.poster.post({ channel: "#cs-alerts", deliveryId: "c-1", ...createSlackMessages().task(CARD) });
    const { page } = await open("?user=UBOB");
    await page.getByRole("link", { name: "#cs-alerts" }).click();
    await page.getByRole("button", { name: "Complete" }).click();
    await page.getByText("Only the assignee, their cover and their manager can act on it.").waitFor();
    expect(setting.actions.acts).toEqual([]);
    await page.getByLabel("You are").selectOption("UALICE");
    await page.getByRole("link", { name: "#cs-alerts" }).click();
    expect(await page.getByText("Only the assignee").count()).toBe(0);
    await page.close();
  });

  test("the Home tab is drawn when it is opened; a slash command answers", async () => {
    await setting.postTask();
    const { page } = await open("?user=UALICE");
    await page.getByRole("link", { name: "Home" }).click();
    await page.getByText("My accounts by risk").waitFor();
    if (process.env.WAYPOST_SCREENSHOTS)
      await page.screenshot({ path: join(process.env.WAYPOST_SCREENSHOTS, "home.png") });
    await page.getByRole("link", { name: "Messages" }).click();
    await page.getByLabel("Slash command").fill("/waypost tasks");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("1 overdue, 1 due today, 5 later").waitFor();
    await setting.poster.post({
      channel: "UALICE",
      deliveryId: "n-1",
      ...createSlackMessages({ accountUrl: () => "https://crm.example/acme" }).nudge({
        deliveryId: "n-1",
        text: "*Acme* has not booked its kickoff. Their link: <https://book.example/acme|book here>",
        actions: ["open_account", "snooze"],
        account: { id: "acme", name: "Acme <script>alert(1)</script>" },
        playbook: "onboarding-high-touch",
        run: "run/x",
        step: "nudge_csm",
      }),
    });
    // The page reloads by itself.
    await page.getByText("has not booked its kickoff").waitFor({ timeout: 6_000 });
    if (process.env.WAYPOST_SCREENSHOTS)
      await page.screenshot({ path: join(process.env.WAYPOST_SCREENSHOTS, "messages.png") });
    await page.close();
  });

  test("an empty desk says so", async () => {
    const { page } = await open("");
    await page.getByText("Nothing has been posted yet").waitFor();
    await page.close();
  });
});
