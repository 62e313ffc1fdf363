import { createConnection } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createMailComposer } from "../../src/adapters/email/compose.js";
import { createSmtpMailer } from "../../src/adapters/email/smtp-mailer.js";
import { type Mailbox, type MailboxOptions, startMailbox } from "../../src/local/mailbox.js";
import type { MailboxMessage } from "../../src/local/mailbox-messages.js";

const composer = createMailComposer({
  domain: "waypost.example",
  publicUrl: "https://waypost.example",
});

const COMPANY = { name: "Waypost", postalAddress: "London", supportEmail: "s@waypost.example", categoryTitles: {} };

describe("the mailbox", () => {
  let mailbox: Mailbox;
  const restart = async (options: MailboxOptions) => {
    await mailbox.stop();
    mailbox = await startMailbox(options);
  };
  beforeEach(async () => {
    mailbox = await startMailbox();
  });
  afterEach(async () => {
    await mailbox.stop();
  });

  const id = (number: number) => `00000000-0000-5000-8000-${String(number).padStart(12, "0")}`;
  async function send(number: number, to = "jan@acme.example", locale = "en", subject = `Mail ${number}`) {
    const message = await composer.mail({
      deliveryId: id(number),
      template: {
        name: "welcome",
        locale,
        source: `---\nsubject: "{{ subject }}"\n---\nHello **you** <script>x</script>`,
      },
      variables: { subject },
      timezone: "UTC",
      from: { name: "Anna", address: "anna@waypost.example" },
      to: { name: "Jan", address: to },
      category: "onboarding",
      unsubscribeToken: `token${number}`,
      at: Date.UTC(2026, 2, 2, 9),
      company: COMPANY,
    });
    return await createSmtpMailer({ url: mailbox.smtpUrl, replyTimeoutMs: 2_000 }).send(message, async () => true);
  }
  const get = async (path: string) => {
    const response = await fetch(mailbox.httpUrl + path);
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const json = async (path: string) => JSON.parse((await get(path)).text);

  test("shows what it took", async () => {
    await send(1, "jan@acme.example", "pl", "Zażółć gęślą jaźń");
    const { html, text, raw, ...rest } = mailbox.messages()[0] as MailboxMessage;
    expect(rest).toEqual({
      number: 1,
      messageId: `<${id(1)}@waypost.example>`,
      arrival: 1,
      from: "anna@waypost.example",
      to: ["jan@acme.example"],
      fromHeader: "Anna <anna@waypost.example>",
      toHeader: "Jan <jan@acme.example>",
      subject: "Zażółć gęślą jaźń",
      date: Date.UTC(2026, 2, 2, 9),
      locale: "pl",
      template: "welcome",
      category: "onboarding",
      deliveryId: id(1),
      unsubscribeUrl: "https://waypost.example/unsubscribe/token1?lang=pl&about=onboarding",
    });
    expect(text).toContain("Hello you <script>x</script>");
    expect(html).toContain("&lt;script&gt;");
    expect(raw).toContain("X-Waypost-Delivery");
  });

  test("JSON: what came after N, by Message-ID, and the counts", async () => {
    await send(1);
    await send(2, "ola@beta.example", "pl");
    await send(2, "ola@beta.example", "pl");
    const after = await json("/messages?after=1");
    expect(after.messages.map((message: MailboxMessage) => [message.number, message.arrival])).toEqual([
      [2, 1],
      [3, 2],
    ]);
    expect(await json("/messages?after=3")).toEqual({ messages: [], more: false });
    expect((await json("/messages?limit=1")).more).toBe(true);
    expect(await json(`/messages/by-id/${encodeURIComponent(`<${id(2)}@waypost.example>`)}`)).toMatchObject({
      count: 2,
      message: { number: 3 },
    });
    expect((await json(`/messages/by-id/${id(1)}@waypost.example`)).count).toBe(1);
    expect((await get("/messages/by-id/nothing")).status).toBe(404);
    expect(await json("/stats")).toEqual({
      messages: 3,
      distinct: 2,
      duplicated: 1,
      kept: 3,
      refused: 0,
      dropped: 0,
      byTemplate: { welcome: { en: 1, pl: 1 } },
    });
  });

  test("keeps the last ones whole, and still counts the others", async () => {
    await restart({ keep: 2 });
    for (const number of [1, 2, 3, 1]) await send(number);
    expect(mailbox.messages().map((message) => message.number)).toEqual([3, 4]);
    expect(mailbox.count(`<${id(1)}@waypost.example>`)).toBe(2);
    expect(await json(`/messages/by-id/${id(2)}@waypost.example`)).toMatchObject({ count: 1, message: null });
    expect(mailbox.stats()).toMatchObject({ messages: 4, distinct: 3, duplicated: 1, kept: 2 });
  });

  test("scripted people react before the sender has its answer", async () => {
    const order: string[] = [];
    await restart({
      onMessage: async (message) => {
        await new Promise((resolve) => setTimeout(resolve, 100));
        order.push(`reaction to ${message.subject}`);
      },
    });
    await send(1);
    order.push("answered");
    expect(order).toEqual(["reaction to Mail 1", "answered"]);
  });

  test("when they fail the message isn't taken, and comes again", async () => {
    let fail = true;
    await restart({
      onMessage: () => {
        if (fail) throw new Error("HTTP is away");
      },
    });
    expect(await send(1)).toMatchObject({ kind: "refused", permanent: false, reason: "451 4.3.0 at body" });
    fail = false;
    expect(await send(1)).toEqual({ kind: "accepted" });
    expect(mailbox.stats()).toMatchObject({ messages: 1, duplicated: 0 });
  });

  test("misbehaves for one recipient, so often, also when told by HTTP", async () => {
    const behaviour = { kind: "reply", at: "recipient", reply: "550 5.1.1 Gone", to: "Jan@acme.example", times: 2 };
    const post = (body: unknown) =>
      fetch(`${mailbox.httpUrl}/behaviours`, { method: "POST", body: JSON.stringify(body) });
    expect((await post(behaviour)).status).toBe(200);
    expect(await send(1, "ola@beta.example")).toEqual({ kind: "accepted" });
    expect(await send(2)).toMatchObject({ suppress: true });
    expect(await json("/behaviours")).toEqual({ behaviours: [{ ...behaviour, times: 1 }] });
    expect(await send(3)).toMatchObject({ suppress: true });
    expect(await send(4)).toEqual({ kind: "accepted" });
    expect(mailbox.stats().refused).toBe(2);
    expect((await post({ kind: "reply", at: "body", reply: "250 fine" })).status).toBe(400);
    await post({ kind: "drop", at: "body" });
    await fetch(`${mailbox.httpUrl}/behaviours`, { method: "DELETE" });
    expect(await send(5)).toEqual({ kind: "accepted" });
  });

  test("the list can be filtered by customer, language and text", async () => {
    await send(1, "jan@acme.example", "en");
    await send(2, "ola@beta.example", "pl", 'Do zobaczenia <b>"x"</b>');
    await send(3, "ivan@acme.example", "ru");
    const rows = async (query: string) =>
      [...(await get(`/${query}`)).text.matchAll(/<a href="\/mail\/(\d+)">/g)].map(([, number]) => Number(number));
    expect(await rows("")).toEqual([3, 2, 1]);
    expect(await rows("?customer=acme.example")).toEqual([3, 1]);
    expect(await rows("?customer=acme.example&locale=en")).toEqual([1]);
    expect(await rows("?q=ZOBACZENIA")).toEqual([2]);
    expect(await rows("?q=nothing")).toEqual([]);
    expect((await get("/?locale=pl")).text).toContain("Do zobaczenia &#60;b&#62;&#34;x&#34;&#60;/b&#62;");
    expect((await get("/?page=999&q=%22%3E%3Cscript%3E")).text).not.toContain("<script");
  });

  test("a message is shown in a frame that can do nothing", async () => {
    await send(1);
    const page = await get("/mail/1");
    expect(page.text).toContain('<iframe src="/mail/1/html" sandbox="allow-popups allow-popups-to-escape-sandbox"');
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect((await get("/mail/1/html")).headers.get("content-security-policy")).toBe(
      "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    );
    expect((await get("/mail/1/raw")).headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect((await get("/mail/2")).status).toBe(404);
    expect((await get("/nothing")).status).toBe(404);
    expect((await fetch(`${mailbox.httpUrl}/`, { method: "POST" })).status).toBe(405);
    expect((await get("/messages/by-id/%")).status).toBe(400);
  });

  test("listens on loopback only, and lets go of its ports", async () => {
    const smtpPort = Number(new URL(mailbox.smtpUrl).port);
    const httpPort = Number(new URL(mailbox.httpUrl).port);
    // A client that never says goodbye doesn't hold it up.
    const idle = createConnection(smtpPort, "127.0.0.1");
    idle.on("error", () => {});
    await new Promise((resolve) => idle.once("data", resolve));
    const began = Date.now();
    await mailbox.stop();
    expect(Date.now() - began).toBeLessThan(10_000);
    mailbox = await startMailbox({ port: smtpPort, httpPort });
    expect(mailbox.smtpUrl).toBe(`smtp://127.0.0.1:${smtpPort}`);
    await expect(startMailbox({ port: smtpPort })).rejects.toThrow("EADDRINUSE");
    await expect(startMailbox({ httpPort })).rejects.toThrow("EADDRINUSE");
    idle.destroy();
  });
});
