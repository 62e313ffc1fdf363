import { createHash, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { signSlackRequest } from "../../../src/local/desk-interactions.js";
import { readPayload } from "../../../src/entrances/slack/payloads.js";

/** An envelope as Slack sends it, and when its acknowledgement came. */
export interface Envelope {
  readonly envelope_id: string;
  readonly type: "interactive" | "slash_commands" | "events_api";
  readonly accepts_response_payload: boolean;
  readonly payload: Readonly<Record<string, unknown>>;
}

export interface Acknowledged {
  /** Real milliseconds from sending to acknowledgement. */
  readonly afterMs: number;
  readonly payload: unknown;
}

/**
 * Slack's side of Socket Mode on loopback, in front of a desk: `apps.connections.open` answers an address, a WebSocket there sends
 * `hello`, envelopes and `disconnect`, and expects an acknowledgement of each envelope by its id. Everything else of the Web API goes
 * through to the desk, and what is pressed at the desk comes back as an envelope.
 */
export interface SocketSide {
  /** For `SLACK_API_URL`. */
  readonly apiUrl: string;
  /** For the desk's `setReceiver`: turns its signed requests into envelopes. */
  readonly receiverUrl: string;
  /** Answers of `apps.connections.open` so far, refused ones too. */
  readonly asked: () => number;
  /** Connections that said hello so far. */
  readonly greeted: () => number;
  /** Connections that are open now. */
  readonly connected: () => number;
  /** Every envelope sent, oldest first. */
  readonly envelopes: readonly Envelope[];
  /** Sends it to the newest connection; resolves with its acknowledgement, undefined if none comes in 5 s. */
  send(envelope: Envelope): Promise<Acknowledged | undefined>;
  /** Asks every connection to come again, as Slack does every few hours. */
  refresh(): void;
  /** Breaks every connection off without a word. */
  breakOff(): void;
  /** From now on `apps.connections.open` fails so; undefined: works again. */
  refuse(how: "invalid_auth" | "http 500" | undefined): void;
  stop(): Promise<void>;
}

/** @param token of the app; another one is `invalid_auth` */
export async function startSocketSide(options: {
  readonly token: string;
  readonly deskApiUrl: string;
  readonly signingSecret: string;
}): Promise<SocketSide> {
  const open = new Set<Socket>();
  const waiting = new Map<string, (payload: unknown) => void>();
  const envelopes: Envelope[] = [];
  let [asked, greeted] = [0, 0];
  let refusal: "invalid_auth" | "http 500" | undefined;

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await textOf(request);
    if (request.url === "/api/apps.connections.open") return openConnection(request, response);
    if (request.url === "/pressed") return pressed(request, response, body);
    const { authorization = "", "content-type": contentType = "" } = request.headers;
    const passed = await fetch(new URL((request.url ?? "").replace(/^\/api\//, ""), options.deskApiUrl), {
      method: "POST",
      headers: { authorization, "content-type": contentType },
      body,
    });
    response.writeHead(passed.status, { "content-type": "application/json" });
    response.end(await passed.text());
  }

  function openConnection(request: IncomingMessage, response: ServerResponse): void {
    asked += 1;
    if (refusal === "http 500") {
      response.writeHead(500);
      response.end();
      return;
    }
    const isOurs = request.headers.authorization === `Bearer ${options.token}` && refusal === undefined;
    response.writeHead(200, { "content-type": "application/json" });
    response.end(
      JSON.stringify(isOurs ? { ok: true, url: `ws://127.0.0.1:${port}/link` } : { ok: false, error: "invalid_auth" }),
    );
  }

  /** What the desk would post to a receiver: the envelope's payload; the acknowledgement's payload is the answer. */
  async function pressed(request: IncomingMessage, response: ServerResponse, body: string): Promise<void> {
    const timestamp = Number(request.headers["x-slack-request-timestamp"]);
    if (request.headers["x-slack-signature"] !== signSlackRequest(options.signingSecret, body, timestamp)) {
      response.writeHead(401);
      response.end();
      return;
    }
    const payload = readPayload(body, request.headers["content-type"] ?? "");
    const type =
      "command" in payload ? "slash_commands" : payload.type === "event_callback" ? "events_api" : "interactive";
    const acknowledged = await send({ envelope_id: randomUUID(), type, accepts_response_payload: true, payload });
    response.writeHead(acknowledged === undefined ? 504 : 200, { "content-type": "application/json" });
    const answered = acknowledged?.payload as Record<string, unknown> | undefined;
    response.end(answered === undefined || Object.keys(answered).length === 0 ? "" : JSON.stringify(answered));
  }

  async function send(envelope: Envelope): Promise<Acknowledged | undefined> {
    const socket = [...open].at(-1);
    if (socket === undefined) return undefined;
    const began = performance.now();
    envelopes.push(envelope);
    const acknowledgement = new Promise<Acknowledged | undefined>((resolve) => {
      const late = setTimeout(() => resolve(undefined), 5_000);
      waiting.set(envelope.envelope_id, (payload) => {
        clearTimeout(late);
        resolve({ afterMs: performance.now() - began, payload });
      });
    });
    socket.write(frame(TEXT, JSON.stringify(envelope)));
    return acknowledgement;
  }

  server.on("upgrade", (request, socket: Socket) => {
    const key = request.headers["sec-websocket-key"] ?? "";
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    open.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => open.delete(socket));
    readFrames(socket, (opcode, payload) => {
      if (opcode === PING) socket.write(frame(PONG, payload));
      if (opcode === CLOSE) socket.end(frame(CLOSE, payload));
      if (opcode !== TEXT) return;
      const { envelope_id: id, payload: answered } = JSON.parse(payload.toString()) as {
        envelope_id: string;
        payload: unknown;
      };
      waiting.get(id)?.(answered);
      waiting.delete(id);
    });
    greeted += 1;
    socket.write(frame(TEXT, JSON.stringify({ type: "hello", num_connections: open.size })));
  });

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    apiUrl: `http://127.0.0.1:${port}/api/`,
    receiverUrl: `http://127.0.0.1:${port}/pressed`,
    asked: () => asked,
    greeted: () => greeted,
    connected: () => open.size,
    envelopes,
    send,
    refresh() {
      const farewell = frame(TEXT, JSON.stringify({ type: "disconnect", reason: "refresh_requested" }));
      for (const socket of open) socket.write(farewell);
    },
    breakOff() {
      for (const socket of open) socket.destroy();
    },
    refuse(how) {
      refusal = how;
    },
    async stop() {
      for (const socket of open) socket.destroy();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const [TEXT, CLOSE, PING, PONG] = [1, 8, 9, 10] as const;

/** One unmasked frame, as a server sends them (RFC 6455, 5.2). */
function frame(opcode: number, content: string | Buffer): Buffer {
  const payload = Buffer.from(content);
  const head = payload.length < 126 ? Buffer.from([0x80 | opcode, payload.length]) : Buffer.alloc(4);
  if (payload.length >= 126) {
    head.set([0x80 | opcode, 126]);
    head.writeUInt16BE(payload.length, 2);
  }
  return Buffer.concat([head, payload]);
}

/** Tells every whole frame of a client's; each is masked, and none of ours is longer than 64 KiB or in pieces. */
function readFrames(socket: Socket, onFrame: (opcode: number, payload: Buffer) => void): void {
  let bytes: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (;;) {
      if (bytes.length < 2) return;
      const short = (bytes[1] as number) & 0x7f;
      const start = short < 126 ? 2 : 4;
      if (bytes.length < start + 4) return;
      const length = short < 126 ? short : bytes.readUInt16BE(2);
      if (bytes.length < start + 4 + length) return;
      const mask = bytes.subarray(start, start + 4);
      const payload = Buffer.from(bytes.subarray(start + 4, start + 4 + length)).map(
        (byte, index) => byte ^ (mask[index % 4] as number),
      );
      const opcode = (bytes[0] as number) & 0x0f;
      bytes = bytes.subarray(start + 4 + length);
      onFrame(opcode, Buffer.from(payload));
    }
  });
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
