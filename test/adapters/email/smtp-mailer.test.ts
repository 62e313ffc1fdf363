import { createServer, Socket } from "node:net";
import { SMTPServer } from "smtp-server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseOnlyTo } from "../../../src/adapters/email/only-to.js";
import { createSmtpMailer } from "../../../src/adapters/email/smtp-mailer.js";
import { type Mailbox, startMailbox } from "../../../src/local/mailbox.js";
import type { Behaviour } from "../../../src/local/mailbox-behaviours.js";
import type { RawMessage } from "../../../src/ports/mailer.js";

const MESSAGE: RawMessage = {
  messageId: "<1@waypost.example>",
  envelope: { from: "anna@waypost.example", to: "jan@acme.example" },
  raw: "Message-ID: <1@waypost.example>\r\nSubject: Hello\r\n\r\nHello\r\n.\r\nstill here\r\n",
};
const yes = async () => true;

describe("against the mailbox", () => {
  let mailbox: Mailbox;
  beforeEach(async () => {
    mailbox = await startMailbox();
  });
  afterEach(async () => {
    await mailbox.stop();
  });
  const mailer = (more = {}) =>
    createSmtpMailer({ url: mailbox.smtpUrl, replyTimeoutMs: 2_000, setupTimeoutMs: 1_000, ...more });

  test("a message arrives byte for byte", async () => {
    expect(await mailer().send(MESSAGE, yes)).toEqual({ kind: "accepted" });
    expect(mailbox.messages().map(({ from, to, raw }) => ({ from, to, raw }))).toEqual([
      { from: "anna@waypost.example", to: ["jan@acme.example"], raw: MESSAGE.raw },
    ]);
  });

  test("logs in when the address has a user", async () => {
    const url = mailbox.smtpUrl.replace("smtp://", "smtp://user:p%40ss@");
    expect(await mailer({ url }).send(MESSAGE, yes)).toEqual({ kind: "accepted" });
  });

  test.each<[string, Behaviour, object]>([
    [
      "an address that does not exist is suppressed",
      { kind: "reply", at: "recipient", reply: "550 5.1.1 <jan@acme.example> unknown" },
      { kind: "refused", permanent: true, suppress: true, ours: false, reason: "550 5.1.1 at recipient" },
    ],
    [
      "so is one whose domain takes no mail",
      { kind: "reply", at: "recipient", reply: "556 5.1.10 Null MX" },
      { kind: "refused", permanent: true, suppress: true, ours: false, reason: "556 5.1.10 at recipient" },
    ],
    [
      "a full mailbox is permanent, but not suppressed",
      { kind: "reply", at: "recipient", reply: "552 5.2.2 Mailbox full" },
      { kind: "refused", permanent: true, suppress: false, ours: false, reason: "552 5.2.2 at recipient" },
    ],
    [
      "a code that only begins like 5.1.1 is not 5.1.1",
      { kind: "reply", at: "recipient", reply: "550 5.1.11 Something else" },
      { kind: "refused", permanent: true, suppress: false, ours: false, reason: "550 5.1.11 at recipient" },
    ],
    [
      "5.7.1 for a recipient is policy: our own fault",
      { kind: "reply", at: "recipient", reply: "550 5.7.1 Relaying denied" },
      { kind: "refused", permanent: true, suppress: false, ours: true, reason: "550 5.7.1 at recipient" },
    ],
    [
      "greylisting is tried again",
      { kind: "reply", at: "recipient", reply: "451 4.7.1 Greylisted" },
      { kind: "refused", permanent: false, suppress: false, ours: false, reason: "451 4.7.1 at recipient" },
    ],
    [
      "421 before the body",
      { kind: "reply", at: "recipient", reply: "421 4.3.2 Shutting down" },
      { kind: "refused", permanent: false, suppress: false, ours: false, reason: "421 4.3.2 at connection" },
    ],
    [
      "a refused sender is our own fault",
      { kind: "reply", at: "sender", reply: "550 5.1.8 Bad sender" },
      { kind: "refused", permanent: true, suppress: false, ours: true, reason: "550 5.1.8 at sender" },
    ],
    [
      "5.1.1 for the sender suppresses nobody",
      { kind: "reply", at: "sender", reply: "550 5.1.1 No such sender" },
      { kind: "refused", permanent: true, suppress: false, ours: true, reason: "550 5.1.1 at sender" },
    ],
    [
      "a sender refused for now is tried again",
      { kind: "reply", at: "sender", reply: "451 4.4.0 Later" },
      { kind: "refused", permanent: false, suppress: false, ours: false, reason: "451 4.4.0 at sender" },
    ],
    [
      "the connection drops at the sender",
      { kind: "drop", at: "sender" },
      { kind: "refused", permanent: false, suppress: false, ours: false, reason: "connection: ECONNECTION" },
    ],
    [
      "the connection drops before DATA",
      { kind: "drop", at: "recipient" },
      { kind: "refused", permanent: false, suppress: false, ours: false, reason: "connection: ECONNECTION" },
    ],
  ])("%s, and the fence is not asked", async (_, behaviour, expected) => {
    mailbox.misbehave(behaviour);
    let asked = 0;
    const result = await mailer().send(MESSAGE, async () => {
      asked += 1;
      return true;
    });
    expect({ result, asked, taken: mailbox.stats().messages }).toEqual({ result: expected, asked: 0, taken: 0 });
  });

  test.each<[string, Behaviour, object, number]>([
    [
      "4xx after the dot is a definite no",
      { kind: "reply", at: "body", reply: "452 4.3.1 Disk full" },
      { kind: "refused", permanent: false, suppress: false, ours: false, reason: "452 4.3.1 at body" },
      0,
    ],
    [
      "421 after the dot too",
      { kind: "reply", at: "body", reply: "421 4.3.2 Going down" },
      { kind: "refused", permanent: false, suppress: false, ours: false, reason: "421 4.3.2 at body" },
      0,
    ],
    [
      "5xx after the dot is permanent",
      { kind: "reply", at: "body", reply: "554 5.6.0 Content refused" },
      { kind: "refused", permanent: true, suppress: false, ours: false, reason: "554 5.6.0 at body" },
      0,
    ],
    [
      "spam policy is our own fault",
      { kind: "reply", at: "body", reply: "550 5.7.1 Looks like spam" },
      { kind: "refused", permanent: true, suppress: false, ours: true, reason: "550 5.7.1 at body" },
      0,
    ],
    [
      "5.1.1 after the dot suppresses nobody",
      { kind: "reply", at: "body", reply: "550 5.1.1 Who" },
      { kind: "refused", permanent: true, suppress: false, ours: false, reason: "550 5.1.1 at body" },
      0,
    ],
    [
      "a drop after the dot is unknown",
      { kind: "drop", at: "body" },
      { kind: "unknown", reason: "no answer after the body" },
      0,
    ],
    [
      "also when the message was taken",
      { kind: "drop", at: "body", kept: true },
      { kind: "unknown", reason: "no answer after the body" },
      1,
    ],
    [
      "an answer that comes too late is unknown",
      { kind: "delay", at: "body", delayMs: 1_500 },
      { kind: "unknown", reason: "no answer after the body" },
      1,
    ],
    ["an answer that comes late, but in time", { kind: "delay", at: "body", delayMs: 200 }, { kind: "accepted" }, 1],
  ])("%s", async (_, behaviour, expected, taken) => {
    mailbox.misbehave({ ...behaviour, times: 1 });
    const one = mailer({ replyTimeoutMs: 600, mailboxUrl: mailbox.httpUrl });
    expect(await one.send(MESSAGE, yes)).toEqual(expected);
    expect(mailbox.stats().messages).toBe(taken);
    expect(await one.find?.(MESSAGE.messageId)).toBe(taken === 1);
    // Used up: the next one goes through, and the mailbox knows that it came before.
    expect(await one.send(MESSAGE, yes)).toEqual({ kind: "accepted" });
    expect(mailbox.count(MESSAGE.messageId)).toBe(taken + 1);
  });

  test("a login that is refused is our own fault", async () => {
    mailbox.misbehave({ kind: "reply", at: "login", reply: "535 5.7.8 Bad credentials" });
    const url = mailbox.smtpUrl.replace("smtp://", "smtp://user:secret@");
    expect(await mailer({ url }).send(MESSAGE, yes)).toEqual({
      kind: "refused",
      permanent: true,
      suppress: false,
      ours: true,
      reason: "535 5.7.8 at login",
    });
  });

  test.each<[string, () => Promise<boolean>]>([
    ["says no", async () => false],
    [
      "fails",
      async () => {
        throw new Error("no row");
      },
    ],
  ])("a fence that %s: nothing is sent", async (_, fence) => {
    expect(await mailer().send(MESSAGE, fence)).toEqual({
      kind: "refused",
      permanent: false,
      suppress: false,
      ours: false,
      reason: "fence",
    });
    // The server has seen the end of the connection, and no message.
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(mailbox.stats().messages).toBe(0);
    expect(await mailer().send(MESSAGE, yes)).toEqual({ kind: "accepted" });
    expect(mailbox.stats().messages).toBe(1);
  });

  test("a fence may take longer than the deadlines around it", async () => {
    const slow = () => new Promise<boolean>((resolve) => setTimeout(() => resolve(true), 400));
    const one = mailer({ setupTimeoutMs: 300, replyTimeoutMs: 300 });
    expect(await one.send(MESSAGE, slow)).toEqual({ kind: "accepted" });
  });

  test("addresses that could break out of the envelope are refused unsent", async () => {
    const send = (envelope: RawMessage["envelope"]) => mailer().send({ ...MESSAGE, envelope }, yes);
    expect(await send({ from: "anna@waypost.example", to: "a@b.example>\r\nRCPT TO:<c@d.example" })).toMatchObject({
      kind: "refused",
      permanent: true,
      ours: false,
      reason: "recipient is not an address",
    });
    expect(await send({ from: "anna@waypost.example\r\nDATA", to: "a@b.example" })).toMatchObject({
      kind: "refused",
      ours: true,
      reason: "sender is not an address",
    });
  });

  test("EMAIL_ONLY_TO holds for messages that were composed before it was set", async () => {
    const restricted = mailer({ onlyTo: parseOnlyTo("@waypost.example") });
    expect(await restricted.send(MESSAGE, yes)).toMatchObject({
      kind: "refused",
      permanent: true,
      ours: true,
      reason: "EMAIL_ONLY_TO",
    });
    const redirected = mailer({ onlyTo: parseOnlyTo("redirect:qa@waypost.example") });
    expect(await redirected.send(MESSAGE, yes)).toEqual({ kind: "accepted" });
    expect(mailbox.messages().map((message) => message.to)).toEqual([["qa@waypost.example"]]);
  });

  test("a mailbox that can't be asked can't tell", async () => {
    const one = mailer({ mailboxUrl: "http://127.0.0.1:1" });
    expect(await one.find?.("<1@waypost.example>")).toBe(undefined);
    expect(mailer().find).toBe(undefined);
  });

  test("fifty at once", async () => {
    const one = mailer({ setupTimeoutMs: 10_000, replyTimeoutMs: 10_000 });
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        one.send({ ...MESSAGE, raw: MESSAGE.raw.replace("<1@", `<${n}@`) }, yes).then((result) => result.kind),
      ),
    );
    expect(new Set(results)).toEqual(new Set(["accepted"]));
    expect(mailbox.stats()).toMatchObject({ messages: 50, distinct: 50, duplicated: 0 });
  });
});

describe("with TLS", () => {
  /** The library brings a certificate of its own, which nobody has reason to trust. */
  async function tlsServer(secure: boolean) {
    let taken = 0;
    const server = new SMTPServer({
      secure,
      authOptional: true,
      logger: false,
      onData(stream, _session, done) {
        stream.resume();
        stream.on("end", () => {
          taken += 1;
          done();
        });
      },
    });
    server.on("error", () => {});
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    const { port } = server.server.address() as { port: number };
    return { port, taken: () => taken, stop: () => new Promise<void>((resolve) => server.close(() => resolve())) };
  }
  const send = (url: string) =>
    createSmtpMailer({ url, replyTimeoutMs: 1_000, setupTimeoutMs: 2_000, idleMs: 10 }).send(MESSAGE, yes);

  test.each([
    ["smtps", true, "", "refused"],
    ["smtp", false, "?tls=required", "refused"],
    ["smtp", false, "", "refused"],
    ["smtp", false, "?tls=never", "accepted"],
  ])("%s (secure %s) with %s: a certificate that can't be trusted", async (scheme, secure, query, kind) => {
    const server = await tlsServer(secure);
    const result = await send(`${scheme}://127.0.0.1:${server.port}${query}`);
    await server.stop();
    expect({ kind: result.kind, taken: server.taken() }).toEqual({ kind, taken: kind === "accepted" ? 1 : 0 });
    if (result.kind === "refused") expect(result).toMatchObject({ permanent: false, suppress: false });
  });

  test("a server that offers no TLS where it is required", async () => {
    const mailbox = await startMailbox();
    expect(await send(`${mailbox.smtpUrl}?tls=required`)).toEqual({
      kind: "refused",
      permanent: true,
      suppress: false,
      ours: true,
      reason: "500 at connection",
    });
    expect(mailbox.stats().messages).toBe(0);
    await mailbox.stop();
  });
});

describe("on the wire", () => {
  /** A server that answers from a script and writes down what it sees. */
  async function scripted(answer: (line: string, socket: Socket) => string | undefined, log: string[]) {
    const server = createServer((socket) => {
      let inBody = false;
      let rest = "";
      socket.on("error", () => {});
      socket.write("220 scripted\r\n");
      socket.on("data", (chunk) => {
        rest += chunk.toString();
        const lines = rest.split("\r\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          if (inBody && line !== ".") {
            log.push("body");
            continue;
          }
          log.push(line.split(" ")[0] ?? "");
          if (line === ".") inBody = false;
          const reply = answer(line, socket);
          if (reply === undefined) continue;
          if (reply.startsWith("354")) inBody = true;
          socket.write(`${reply}\r\n`);
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    return { url: `smtp://127.0.0.1:${port}`, stop: () => new Promise((resolve) => server.close(resolve)) };
  }
  const polite = (line: string) => (line === "DATA" ? "354 go on" : line === "QUIT" ? "221 bye" : "250 ok");
  const message = { ...MESSAGE, raw: "Subject: x\r\n" };

  test("DATA, then the fence, then the body", async () => {
    const log: string[] = [];
    const server = await scripted(polite, log);
    const mailer = createSmtpMailer({ url: server.url, replyTimeoutMs: 1_000 });
    const result = await mailer.send(message, async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      log.push("row");
      return true;
    });
    expect(result).toEqual({ kind: "accepted" });
    mailer.close?.();
    await server.stop();
    expect(log).toEqual(["EHLO", "MAIL", "RCPT", "DATA", "row", "body", ".", "QUIT"]);
  });

  const ONE = ["MAIL", "RCPT", "DATA", "row", "body", "."];
  const fenced = (log: string[]) => async () => {
    log.push("row");
    return true;
  };

  test("one message after the other over one connection, the fence asked for each; QUIT when nothing more comes", async () => {
    const log: string[] = [];
    const server = await scripted(polite, log);
    const mailer = createSmtpMailer({ url: server.url, replyTimeoutMs: 1_000, idleMs: 100 });
    for (let n = 0; n < 3; n++) expect(await mailer.send(message, fenced(log))).toEqual({ kind: "accepted" });
    await server.stop();
    expect(log).toEqual(["EHLO", ...ONE, ...ONE, ...ONE, "QUIT"]);
  });

  test("a connection carries a hundred messages at most", async () => {
    const log: string[] = [];
    const server = await scripted(polite, log);
    const mailer = createSmtpMailer({ url: server.url, replyTimeoutMs: 1_000 });
    for (let n = 0; n < 101; n++) expect(await mailer.send(message, yes)).toEqual({ kind: "accepted" });
    mailer.close?.();
    await server.stop();
    expect(log.filter((word) => word === "EHLO")).toHaveLength(2);
    expect(log.filter((word) => word === ".")).toHaveLength(101);
  });

  test("two at once have a connection each", async () => {
    const log: string[] = [];
    const server = await scripted(polite, log);
    const mailer = createSmtpMailer({ url: server.url, replyTimeoutMs: 1_000 });
    await Promise.all([mailer.send(message, yes), mailer.send(message, yes)]);
    mailer.close?.();
    await server.stop();
    expect(log.filter((word) => word === "EHLO")).toHaveLength(2);
  });

  test.each<[string, (line: string, socket: Socket, mails: number) => string | undefined]>([
    [
      "hangs up when it is spoken to again",
      (line, socket, mails) => {
        if (!line.startsWith("MAIL") || mails !== 2) return polite(line);
        socket.destroy();
        return undefined;
      },
    ],
    [
      "says 421",
      (line, _, mails) => (line.startsWith("MAIL") && mails === 2 ? "421 4.4.2 Idle too long" : polite(line)),
    ],
    ["says nothing more", (line, _, mails) => (line.startsWith("MAIL") && mails === 2 ? undefined : polite(line))],
  ])("a server that waited and %s: the message goes over a new connection, once", async (_, answer) => {
    const log: string[] = [];
    let mails = 0;
    const server = await scripted((line, socket) => {
      if (line.startsWith("MAIL")) mails += 1;
      return answer(line, socket, mails);
    }, log);
    const mailer = createSmtpMailer({ url: server.url, replyTimeoutMs: 1_000, setupTimeoutMs: 300 });
    expect(await mailer.send(message, fenced(log))).toEqual({ kind: "accepted" });
    expect(await mailer.send(message, fenced(log))).toEqual({ kind: "accepted" });
    mailer.close?.();
    await server.stop();
    expect(log).toEqual(["EHLO", ...ONE, "MAIL", "EHLO", ...ONE, "QUIT"]);
  });

  test("a server that hung up meanwhile is not spoken to over that connection", async () => {
    const log: string[] = [];
    const sockets: Socket[] = [];
    const server = await scripted((line, socket) => {
      sockets.push(socket);
      return polite(line);
    }, log);
    const mailer = createSmtpMailer({ url: server.url, replyTimeoutMs: 1_000 });
    expect(await mailer.send(message, fenced(log))).toEqual({ kind: "accepted" });
    sockets[0]?.end();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await mailer.send(message, fenced(log))).toEqual({ kind: "accepted" });
    mailer.close?.();
    await server.stop();
    expect(log).toEqual(["EHLO", ...ONE, "EHLO", ...ONE, "QUIT"]);
  });

  test("a used connection on which a message is refused, or its fate is unknown, carries no other", async () => {
    const log: string[] = [];
    let dots = 0;
    let mails = 0;
    const server = await scripted((line, socket) => {
      if (line === ".") dots += 1;
      if (line.startsWith("MAIL")) mails += 1;
      if (line.startsWith("RCPT") && mails === 2) return "550 5.1.1 Unknown";
      if (line === "." && dots === 3) {
        socket.destroy();
        return undefined;
      }
      return polite(line);
    }, log);
    const mailer = createSmtpMailer({ url: server.url, replyTimeoutMs: 1_000 });
    const kinds: string[] = [];
    for (let n = 0; n < 5; n++) kinds.push((await mailer.send(message, fenced(log))).kind);
    mailer.close?.();
    await server.stop();
    expect(kinds).toEqual(["accepted", "refused", "accepted", "unknown", "accepted"]);
    expect(log).toEqual(["EHLO", ...ONE, "MAIL", "RCPT", "EHLO", ...ONE, ...ONE, "EHLO", ...ONE, "QUIT"]);
  });

  test("a fence that says no on a used connection is obeyed, and not asked again", async () => {
    const log: string[] = [];
    const server = await scripted(polite, log);
    const mailer = createSmtpMailer({ url: server.url, replyTimeoutMs: 1_000 });
    expect(await mailer.send(message, fenced(log))).toEqual({ kind: "accepted" });
    const no = async () => {
      log.push("no");
      return false;
    };
    expect(await mailer.send(message, no)).toMatchObject({ kind: "refused", reason: "fence" });
    await server.stop();
    expect(log).toEqual(["EHLO", ...ONE, "MAIL", "RCPT", "DATA", "no"]);
  });

  test("no turn of the event loop between the fence's yes and the first byte", async () => {
    const server = await scripted(polite, []);
    const order: string[] = [];
    const write = Socket.prototype.write;
    Socket.prototype.write = function (this: Socket, chunk: unknown, ...rest: unknown[]) {
      if (Buffer.isBuffer(chunk) && chunk.toString().startsWith("Subject: x")) order.push("first byte");
      return (write as (...all: unknown[]) => boolean).call(this, chunk, ...rest);
    } as typeof write;
    try {
      await createSmtpMailer({ url: server.url, replyTimeoutMs: 1_000, idleMs: 10 }).send(message, async () => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        setImmediate(() => order.push("next turn"));
        process.nextTick(() => order.push("next tick"));
        order.push("last look");
        return true;
      });
    } finally {
      Socket.prototype.write = write;
      await server.stop();
    }
    expect(order).toEqual(["last look", "first byte", "next tick", "next turn"]);
  });

  test("the server's own Message-ID is handed on", async () => {
    const server = await scripted(
      (line) => (line === "." ? "250 2.0.0 OK <AB12@DB9.eurprd02.prod.outlook.com> [Hostname=x]" : polite(line)),
      [],
    );
    expect(await createSmtpMailer({ url: server.url, replyTimeoutMs: 1_000, idleMs: 10 }).send(message, yes)).toEqual({
      kind: "accepted",
      serverMessageId: "<AB12@DB9.eurprd02.prod.outlook.com>",
    });
    await server.stop();
  });

  test("a refusal of DATA itself", async () => {
    const log: string[] = [];
    const server = await scripted((line) => (line === "DATA" ? "451 4.3.0 Not now" : polite(line)), log);
    expect(await createSmtpMailer({ url: server.url, replyTimeoutMs: 1_000 }).send(message, yes)).toEqual({
      kind: "refused",
      permanent: false,
      suppress: false,
      ours: false,
      reason: "451 4.3.0 at data",
    });
    await server.stop();
    expect(log).toEqual(["EHLO", "MAIL", "RCPT", "DATA"]);
  });

  test("the connection dies while the fence is being asked: not sent, and the fence has answered first", async () => {
    const log: string[] = [];
    const server = await scripted((line, socket) => {
      if (line === "DATA") setTimeout(() => socket.destroy(), 50);
      return polite(line);
    }, log);
    const result = await createSmtpMailer({ url: server.url, replyTimeoutMs: 1_000 }).send(message, async () => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      log.push("row");
      return true;
    });
    log.push("result");
    expect(result).toMatchObject({ kind: "refused", permanent: false, ours: false });
    await server.stop();
    expect(log).toEqual(["EHLO", "MAIL", "RCPT", "DATA", "row", "result"]);
  });

  test("an answer to the dot that is neither yes nor no is unknown", async () => {
    const server = await scripted((line) => (line === "." ? "399 what" : polite(line)), []);
    expect(await createSmtpMailer({ url: server.url, replyTimeoutMs: 1_000 }).send(message, yes)).toEqual({
      kind: "unknown",
      reason: "no answer after the body",
    });
    await server.stop();
  });

  test("a server that says nothing runs into the deadline, unsent", async () => {
    const server = await scripted((line) => (line.startsWith("RCPT") ? undefined : polite(line)), []);
    const began = Date.now();
    expect(
      await createSmtpMailer({ url: server.url, replyTimeoutMs: 60_000, setupTimeoutMs: 300 }).send(message, yes),
    ).toMatchObject({ kind: "refused", permanent: false, reason: "connection: timed out" });
    expect(Date.now() - began).toBeLessThan(30_000);
    await server.stop();
  });

  test("a greeting that refuses us is our own fault", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.end("554 5.5.0 Your address is blocked\r\n");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    expect(
      await createSmtpMailer({ url: `smtp://127.0.0.1:${port}`, replyTimeoutMs: 1_000 }).send(message, yes),
    ).toEqual({ kind: "refused", permanent: true, suppress: false, ours: true, reason: "554 5.5.0 at connection" });
    await new Promise((resolve) => server.close(resolve));
  });

  test("nobody listens", async () => {
    expect(
      await createSmtpMailer({ url: "smtp://127.0.0.1:1", replyTimeoutMs: 1_000 }).send(message, yes),
    ).toMatchObject({ kind: "refused", permanent: false, suppress: false, ours: false });
  });

  test("a password is not sent in the clear to another machine", async () => {
    const { smtpServerFromUrl } = await import("../../../src/adapters/email/smtp-server-url.js");
    expect(smtpServerFromUrl("smtp://user:p%40ss@mail.example:2525")).toEqual({
      host: "mail.example",
      port: 2525,
      secure: false,
      tls: "required",
      user: "user",
      password: "p@ss",
    });
    expect(smtpServerFromUrl("smtp://127.0.0.1").tls).toBe("opportunistic");
    expect(smtpServerFromUrl("smtps://mail.example").port).toBe(465);
    expect(() => smtpServerFromUrl("http://mail.example")).toThrow('"http:" is not SMTP');
    expect(() => smtpServerFromUrl("user:secret@nowhere")).toThrow("is not SMTP");
    expect(() => smtpServerFromUrl("smtp://u:secret@x?tls=perhaps")).toThrow("tls=perhaps is not known");
  });
});
