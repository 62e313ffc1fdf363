import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import PostalMime from "postal-mime";
import { SMTPServer, type SMTPServerSession } from "smtp-server";
import { mailboxHandler } from "./mailbox-http.js";
import { type Behaviour, MailboxBehaviours, type Reply } from "./mailbox-behaviours.js";
import { type MailboxMessage, MailboxMessages, type MailboxStats } from "./mailbox-messages.js";

export interface MailboxOptions {
  /** SMTP; 0 or absent: a free one. Always on 127.0.0.1. */
  readonly port?: number;
  /** The page and its JSON; 0 or absent: a free one. */
  readonly httpPort?: number;
  /** Messages kept whole; older ones only stay counted. Default 5 000. */
  readonly keep?: number;
  /**
   * Awaited before the server answers 250: scripted people post their reaction first. A throw is answered with 451, and
   * the message isn't taken.
   */
  readonly onMessage?: (message: MailboxMessage) => void | Promise<void>;
  /** Told of every message that came as far as its dot: how long until the server answered, real milliseconds; undefined: it never did. */
  readonly onAnswer?: (message: MailboxMessage, afterMs: number | undefined) => void;
}

export interface Mailbox {
  /** For `createSmtpMailer`. */
  readonly smtpUrl: string;
  /** The page; also the base of `/messages?after=N`, `/messages/by-id/MESSAGE-ID`, `/stats`, `/behaviours`. */
  readonly httpUrl: string;
  /** What is kept, oldest first. */
  messages(): readonly MailboxMessage[];
  /** How often a Message-ID was taken, kept whole or not. */
  count(messageId: string): number;
  stats(): MailboxStats;
  /** From now on the server misbehaves so; the first behaviour that applies wins, and is used up after `times`. */
  misbehave(behaviour: Behaviour): void;
  behave(): void;
  /** Closes both servers and all their connections. */
  stop(): Promise<void>;
}

/** A mail server on loopback that keeps what it is sent and shows it on a page: for the demo and for tests, never for production. */
export async function startMailbox(options: MailboxOptions = {}): Promise<Mailbox> {
  const messages = new MailboxMessages(options.keep ?? DEFAULT_KEEP);
  const behaviours = new MailboxBehaviours();
  const smtp = smtpServer(messages, behaviours, options);
  const smtpPort = await listenSmtp(smtp, options.port ?? 0);
  let http: Server;
  try {
    http = await listenHttp(createServer(mailboxHandler(messages, behaviours)), options.httpPort ?? 0);
  } catch (error) {
    await closeSmtp(smtp);
    throw error;
  }
  return {
    smtpUrl: `smtp://127.0.0.1:${smtpPort}`,
    httpUrl: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    messages: () => messages.kept(),
    count: (messageId) => messages.count(messageId),
    stats: () => messages.stats(),
    misbehave: (behaviour) => behaviours.add(behaviour),
    behave: () => behaviours.clear(),
    stop: async () => {
      await closeSmtp(smtp);
      http.closeAllConnections();
      await new Promise<void>((resolve) => http.close(() => resolve()));
    },
  };
}

const DEFAULT_KEEP = 5_000;

/** Larger messages are refused with 552. */
const MAX_MESSAGE_BYTES = 10_000_000;

function smtpServer(
  messages: MailboxMessages,
  behaviours: MailboxBehaviours,
  { onMessage, onAnswer }: MailboxOptions,
): SMTPServer {
  const server: SMTPServer = new SMTPServer({
    banner: "Waypost mailbox",
    size: MAX_MESSAGE_BYTES,
    disabledCommands: ["STARTTLS"],
    authOptional: true,
    allowInsecureAuth: true,
    disableReverseLookup: true,
    hideENHANCEDSTATUSCODES: true,
    closeTimeout: 1_000,
    logger: false,
    onAuth(auth, _session, done) {
      const reply = behaviours.take("login", []);
      if (reply?.kind === "reply") return done(refusal(reply));
      done(null, { user: auth.username ?? "user" });
    },
    onMailFrom(_address, session, done) {
      const behaviour = behaviours.take("sender", []);
      if (behaviour?.kind === "drop") return drop(server, session);
      done(behaviour?.kind === "reply" ? refusal(behaviour) : null);
    },
    onRcptTo(address, session, done) {
      const behaviour = behaviours.take("recipient", [address.address]);
      if (behaviour?.kind === "drop") return drop(server, session);
      if (behaviour?.kind === "reply") {
        messages.refused();
        return done(refusal(behaviour));
      }
      done(null);
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", done);
      stream.on("end", () => {
        take(Buffer.concat(chunks), session).then(
          (reply) => (reply === "dropped" ? undefined : done(reply === null ? null : reply)),
          () => done(refusal({ reply: "451 4.3.0 The reaction to this message failed" })),
        );
      });
    },
  });
  // A client that goes away in the middle is an everyday thing here.
  server.on("error", () => {});

  async function take(raw: Buffer, session: SMTPServerSession): Promise<Error | null | "dropped"> {
    const began = performance.now();
    const to = session.envelope.rcptTo.map((recipient) => recipient.address);
    const from = session.envelope.mailFrom === false ? "" : session.envelope.mailFrom.address;
    const message = messages.prepare(from, to, raw, await PostalMime.parse(raw));
    const behaviour = behaviours.take("body", to);
    const answered = (): void => onAnswer?.(message, performance.now() - began);
    if (behaviour?.kind === "reply") {
      messages.refused();
      answered();
      return refusal(behaviour);
    }
    if (behaviour?.kind !== "drop" || behaviour.kept) {
      await onMessage?.(message);
      messages.add(message);
    }
    if (behaviour?.kind === "delay") await sleep(behaviour.delayMs);
    if (behaviour?.kind === "drop") {
      messages.dropped();
      drop(server, session);
      onAnswer?.(message, undefined);
      return "dropped";
    }
    answered();
    return null;
  }

  return server;
}

/** The reply exactly as written, enhanced code included. */
function refusal({ reply }: Pick<Reply, "reply">): Error {
  return Object.assign(new Error(reply.slice(4)), { responseCode: Number(reply.slice(0, 3)) });
}

/** Ends the connection without a word; the library keeps its sockets to itself. */
function drop(server: SMTPServer, session: SMTPServerSession): void {
  for (const connection of server.connections as Set<{ id: string; _socket: { destroy(): void } }>) {
    if (connection.id === session.id) connection._socket.destroy();
  }
}

function listenSmtp(smtp: SMTPServer, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    smtp.server.once("error", reject);
    smtp.listen(port, "127.0.0.1", () => resolve((smtp.server.address() as AddressInfo).port));
  });
}

function closeSmtp(smtp: SMTPServer): Promise<void> {
  return new Promise((resolve) => {
    smtp.close(() => resolve());
    for (const connection of smtp.connections as Set<{ _socket: { destroy(): void } }>) connection._socket.destroy();
  });
}

function listenHttp(server: Server, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}
