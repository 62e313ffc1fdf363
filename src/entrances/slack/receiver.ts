import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { App, HTTPReceiver, type Logger, LogLevel, SocketModeReceiver } from "@slack/bolt";
import { ACTION } from "../../adapters/slack/messages.js";
import { MODAL } from "../../adapters/slack/modals.js";
import type { SlackRequestLog } from "../../ports/slack-request-log.js";
import { createHandlers, type HandlerParts } from "./handlers.js";
import { blockActions, isOfSlack, kindOf, readPayload, viewSubmission } from "./payloads.js";
import { checkSignature } from "./signature.js";
import { socketLink } from "./socket-link.js";

export interface SlackEntranceOptions {
  /** Of the bot, `xoxb-…`. */
  readonly token: string;
  /** HTTP: Slack's requests are checked against it. */
  readonly signingSecret: string;
  /** `SLACK_APP_TOKEN`: Socket Mode instead of HTTP. */
  readonly appToken?: string;
  /** Base address of the Web API; absent: Slack's own. */
  readonly apiUrl?: string;
  readonly actions: HandlerParts["actions"];
  readonly poster: HandlerParts["poster"];
  readonly messages: HandlerParts["messages"];
  readonly log: SlackRequestLog;
  /** The one path that is answered. Default `/slack/events`. */
  readonly path?: string;
  /**
   * Slack wants its answer within 3 s. Up to so long it comes after the deed, so that whoever pressed knows that it is done;
   * default 800. Scripted people, who rely on that order, are given longer.
   */
  readonly ackAfterMs?: number;
  /** Whether `waypost_at` in a payload counts: only at a time scale above 1. Default false. */
  readonly acceptDomainTime?: boolean;
  /** Real time, epoch milliseconds. */
  readonly now?: () => number;
  /** Told of faults that were got over: ids, no addresses, no texts. */
  readonly onFault?: (what: string, error: unknown) => void;
}

export interface SlackEntrance {
  readonly mode: "http" | "socket";
  /** The path that `requestListener` answers. */
  readonly path: string;
  /** For one Node server beside other listeners. In Socket Mode it answers 404. */
  readonly requestListener: RequestListener;
  /** Socket Mode: begins to connect, and stays connected until `stop`; doesn't wait for Slack. HTTP: nothing to do. */
  start(): Promise<void>;
  /** Waits until what is under way is done, then disconnects. */
  stop(): Promise<void>;
  /**
   * Acts once more on requests that were kept and not acted on (a crash, Postgres away), received at least a minute and at
   * most an hour ago; revisions keep a click from acting twice. Returns how many.
   */
  replayUnhandled(): Promise<number>;
}

/**
 * Slack's way in: signatures checked (age both ways, no request twice), each request kept before it is acknowledged, then
 * handled by Bolt.
 */
export function createSlackEntrance(options: SlackEntranceOptions): SlackEntrance {
  const now = options.now ?? Date.now;
  const onFault = options.onFault ?? (() => {});
  const path = options.path ?? "/slack/events";
  const ackAfterMs = options.ackAfterMs ?? 800;
  const logger = boltLogger(onFault);
  const underWay = new Set<Promise<unknown>>();
  const requestIds = new WeakMap<IncomingMessage, string>();
  const isSocket = options.appToken !== undefined && options.appToken !== "";
  const http = isSocket
    ? undefined
    : new HTTPReceiver({
        signingSecret: options.signingSecret,
        endpoints: path,
        logger,
        bodyLimit: BODY_MAX_BYTES,
        // Bolt complains of handlers that are late by Slack's measure; ours are late only where they are allowed to be.
        unhandledRequestTimeoutMillis: Math.max(3_001, ackAfterMs + 1_000),
        customPropertiesExtractor: (request) => ({ requestId: requestIds.get(request) }),
      });
  const socket = isSocket
    ? new SocketModeReceiver({
        appToken: options.appToken ?? "",
        // Each failed attempt would be told, by the client and by the link.
        logger: silent,
        processEventErrorHandler: async ({ error }) => {
          onFault("a Slack request", error);
          return false;
        },
        customPropertiesExtractor: ({ envelope_id }: { envelope_id?: string }) => ({ envelopeId: envelope_id }),
        // The link below tries again, in its own way.
        autoReconnectEnabled: false,
        installerOptions: {
          clientOptions: {
            retryConfig: { retries: 0 },
            timeout: 10_000,
            rejectRateLimitedCalls: true,
            ...(options.apiUrl === undefined ? {} : { slackApiUrl: options.apiUrl }),
          },
        },
      })
    : undefined;
  const link = socket && socketLink(socket.client, onFault);
  const app = new App({
    receiver: (http ?? socket) as HTTPReceiver,
    token: options.token,
    tokenVerificationEnabled: false,
    convoStore: false,
    ignoreSelf: false,
    logger,
    ...(options.apiUrl === undefined ? {} : { clientOptions: { slackApiUrl: options.apiUrl } }),
  });
  const handlers = createHandlers({
    actions: options.actions,
    poster: options.poster,
    messages: options.messages,
    acceptDomainTime: options.acceptDomainTime ?? false,
    onFault,
  });

  /** The deed first, then the answer, unless that would take too long; a deed that outlasts the answer is finished all the same. */
  async function answered<T>(deed: Promise<T>, ack: (result: T | undefined) => Promise<void>): Promise<void> {
    const watch = new AbortController();
    const late = sleep(ackAfterMs, "late" as const, { signal: watch.signal }).catch(() => "late" as const);
    const first = await Promise.race([
      deed.then(
        (result) => ({ result }),
        () => "failed" as const,
      ),
      late,
    ]);
    watch.abort();
    try {
      await ack(typeof first === "string" ? undefined : first.result);
    } catch (error) {
      // Socket Mode's connection went away meanwhile: what was asked is done all the same.
      onFault("answering Slack", error);
    }
    await deed;
  }

  app.use(async ({ context, body, ack, next }) => {
    const work = handled(
      context as { requestId?: string; envelopeId?: string },
      body,
      ack as () => Promise<void>,
      next,
    );
    underWay.add(work);
    await work.finally(() => underWay.delete(work));
  });

  async function handled(
    context: { requestId?: string; envelopeId?: string },
    body: unknown,
    ack: () => Promise<void>,
    next: () => Promise<void>,
  ): Promise<void> {
    let id = context.requestId;
    if (id === undefined && context.envelopeId !== undefined) {
      id = `envelope:${context.envelopeId}`;
      const isNew = await options.log.keep({ id, kind: kindOf(body), payload: withoutToken(body), receivedAt: now() });
      if (!isNew) return ack();
    }
    await next();
    if (id !== undefined) await options.log.handled(id, now());
  }

  app.action(/^task:/, ({ body, ack }) => {
    const payload = blockActions.parse(body);
    return answered(orApology(handlers.taskButton(payload), payload), () => ack());
  });
  app.action(/^nudge:/, ({ body, ack }) => {
    const payload = blockActions.parse(body);
    return answered(orApology(handlers.nudgeButton(payload), payload), () => ack());
  });
  app.action(/^home:page/, ({ body, ack }) => answered(handlers.homePage(blockActions.parse(body)), () => ack()));
  for (const callbackId of Object.values(MODAL)) {
    app.view(callbackId, ({ body, ack }) => {
      const payload = viewSubmission.parse(body);
      return answered(orApology(handlers.submission(payload), payload), (answer) =>
        answer === undefined ? ack() : ack(answer as never),
      );
    });
  }
  app.command("/waypost", ({ command, ack }) =>
    answered(handlers.command(command.user_id, command.text), (answer) =>
      ack({
        response_type: "ephemeral",
        text: answer?.text ?? "Please try again.",
        ...(answer?.blocks ? { blocks: answer.blocks as never } : {}),
      }),
    ),
  );
  app.event("app_home_opened", async ({ event }) => {
    if (event.tab === "home") await handlers.drawHome(event.user);
  });
  app.error(async (error) => onFault("a Slack request", error));

  async function orApology<T>(deed: Promise<T>, payload: Parameters<typeof handlers.apologise>[0]): Promise<T> {
    try {
      return await deed;
    } catch (error) {
      await handlers.apologise(payload);
      throw error;
    }
  }

  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (http === undefined) return refuse(response, 404, "Slack is connected by Socket Mode");
    if (new URL(request.url ?? "/", "http://slack").pathname !== path) return refuse(response, 404, "no such path");
    if (request.method !== "POST") return refuse(response, 405, "POST only");
    const body = await readRaw(request);
    if (body === undefined) {
      response.setHeader("connection", "close");
      return refuse(response, 413, `more than ${BODY_MAX_BYTES} bytes`);
    }
    const verdict = checkSignature(
      options.signingSecret,
      {
        timestamp: headerOf(request, "x-slack-request-timestamp"),
        signature: headerOf(request, "x-slack-signature"),
        body,
      },
      now(),
    );
    if (!verdict.ok) return refuse(response, 401, verdict.reason);
    let payload: Record<string, unknown>;
    try {
      payload = readPayload(body.toString("utf8"), request.headers["content-type"] ?? "");
      if (!isOfSlack(payload)) return refuse(response, 400, "the body is nothing that Slack sends");
    } catch {
      return refuse(response, 400, "the body can't be read");
    }
    let isNew: boolean;
    try {
      isNew = await options.log.keep({
        id: verdict.id,
        kind: kindOf(payload),
        payload: withoutToken(payload),
        receivedAt: now(),
      });
    } catch (error) {
      onFault("keeping a Slack request", error);
      response.setHeader("retry-after", "5");
      return refuse(response, 503, "the store can't be reached");
    }
    if (!isNew) return refuse(response, 409, "this request was received before");
    requestIds.set(request, verdict.id);
    // Bolt takes a body that is read already from here; it checks the signature once more.
    (request as IncomingMessage & { rawBody: Buffer }).rawBody = body;
    http.requestListener(request, response);
  }

  return {
    mode: isSocket ? "socket" : "http",
    path,
    requestListener: (request, response) => {
      receive(request, response).catch((error: unknown) => {
        onFault("a Slack request", error);
        if (!response.headersSent) refuse(response, 500, "fault");
      });
    },
    async start() {
      link?.start();
    },
    async stop() {
      await Promise.allSettled(underWay);
      await link?.stop();
      // What came in while it was saying goodbye.
      await Promise.allSettled(underWay);
    },
    async replayUnhandled() {
      const kept = await options.log.unhandled(now() - REPLAY_OLDEST_MS, now() - REPLAY_YOUNGEST_MS, REPLAY_BATCH);
      for (const { id, payload } of kept) {
        await app.processEvent({ body: payload as never, ack: async () => {}, customProperties: {} });
        // Once more is enough: what fails again needs a person, and whoever pressed was told to press again.
        await options.log.handled(id, now());
      }
      return kept.length;
    },
  };
}

/** A view submission of ours is at most some 10 kB. */
const BODY_MAX_BYTES = 1_000_000;
const REPLAY_OLDEST_MS = 3_600_000;
const REPLAY_YOUNGEST_MS = 60_000;
const REPLAY_BATCH = 100;

function refuse(response: ServerResponse, status: number, detail: string): void {
  response.writeHead(status, { "content-type": "application/problem+json" });
  response.end(JSON.stringify({ type: "about:blank", title: TITLES[status] ?? "Refused", status, detail }));
}

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Content Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/** undefined: too long. The rest is not read. */
async function readRaw(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_MAX_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" ? value : undefined;
}

/** Slack's old verification token is a secret, and no longer of use. */
function withoutToken(payload: unknown): unknown {
  if (typeof payload !== "object" || payload === null) return payload;
  const { token: _token, ...rest } = payload as Record<string, unknown>;
  return rest;
}

const silent: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  setLevel: () => {},
  getLevel: () => LogLevel.ERROR,
  setName: () => {},
};

/** Bolt's warnings and errors become faults of ours; what it says for debugging may hold texts. */
function boltLogger(onFault: (what: string, error: unknown) => void): Logger {
  const report = (...messages: unknown[]) =>
    onFault("Bolt", messages.find((one) => one instanceof Error) ?? messages.map(String).join(" "));
  return { ...silent, warn: report, error: report, getLevel: () => LogLevel.WARN };
}
