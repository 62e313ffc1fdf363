import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Behaviour, MailboxBehaviours } from "./mailbox-behaviours.js";
import type { MailboxMessage, MailboxMessages } from "./mailbox-messages.js";
import { listPage, messagePage, notFoundPage } from "./mailbox-pages.js";

/**
 * The mailbox over HTTP. Pages: `/` (filters `customer`, `locale`, `q`, `page`), `/mail/N`, `/mail/N/html`, `/mail/N/raw`.
 * JSON: `GET /messages?after=N&limit=`, `GET /messages/by-id/MESSAGE-ID` (404 if it never came), `GET /stats`,
 * `GET|POST|DELETE /behaviours`.
 */
export function mailboxHandler(messages: MailboxMessages, behaviours: MailboxBehaviours): RequestListener {
  return (request, response) => {
    answer(request, response, messages, behaviours).catch((error: unknown) => {
      json(response, 400, { error: error instanceof Error ? error.message : "bad request" });
    });
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  messages: MailboxMessages,
  behaviours: MailboxBehaviours,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://mailbox");
  const path = url.pathname;
  if (path === "/behaviours") return await answerBehaviours(request, response, behaviours);
  if (request.method !== "GET" && request.method !== "HEAD") return json(response, 405, { error: "GET only" });
  if (path === "/") return page(response, 200, listPage(messages.kept(), messages.stats(), url.searchParams));
  if (path === "/stats") return json(response, 200, messages.stats());
  if (path === "/messages") {
    const after = Number(url.searchParams.get("after") ?? 0);
    const limit = Math.min(Number(url.searchParams.get("limit") ?? MAX_LISTED), MAX_LISTED);
    const found = messages.kept().filter((message) => message.number > after);
    return json(response, 200, { messages: found.slice(0, limit), more: found.length > limit });
  }
  if (path.startsWith("/messages/by-id/")) {
    const messageId = bracketed(decodeURIComponent(path.slice("/messages/by-id/".length)));
    const count = messages.count(messageId);
    if (count === 0) return json(response, 404, { error: "no message with this id has arrived" });
    return json(response, 200, { messageId, count, message: messages.find(messageId) ?? null });
  }
  const [, number, part] = /^\/mail\/(\d+)(?:\/(html|raw))?$/.exec(path) ?? [];
  const message = messages.kept().find((item) => item.number === Number(number));
  if (message === undefined) return page(response, 404, notFoundPage());
  answerMessage(response, message, part);
}

/** How many messages one answer of `/messages` holds at most. */
const MAX_LISTED = 500;

function answerMessage(response: ServerResponse, message: MailboxMessage, part: string | undefined): void {
  if (part === "raw") {
    response.writeHead(200, { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" });
    response.end(message.raw);
  } else if (part === "html") {
    // Somebody else's HTML: no scripts, nothing loaded, not even our own origin. Links open outside the frame.
    response.writeHead(200, {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy":
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    });
    response.end(`<base target="_blank">${message.html ?? "<p>This message has no HTML part.</p>"}`);
  } else {
    page(response, 200, messagePage(message));
  }
}

async function answerBehaviours(
  request: IncomingMessage,
  response: ServerResponse,
  behaviours: MailboxBehaviours,
): Promise<void> {
  if (request.method === "POST") behaviours.add((await readJson(request)) as Behaviour);
  else if (request.method === "DELETE") behaviours.clear();
  json(response, 200, { behaviours: behaviours.all() });
}

/** A behaviour is a few fields. */
const MAX_BODY_BYTES = 10_000;

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error(`more than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString("utf8"));
}

function bracketed(messageId: string): string {
  return messageId.startsWith("<") ? messageId : `<${messageId}>`;
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" });
  response.end(JSON.stringify(value));
}

function page(response: ServerResponse, status: number, html: string): void {
  response.writeHead(status, {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'",
  });
  response.end(html);
}
