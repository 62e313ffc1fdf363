import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { isPostgresReady } from "../../adapters/postgres/is-ready.js";
import { postgresSlackRequests } from "../../adapters/postgres/slack-requests.js";
import { isTemporalReady } from "../../adapters/temporal/temporal-client.js";
import type { EnvironmentWith, SERVER_NEEDS } from "../environment.js";
import { createLogger, type Logger } from "../logger.js";
import { runPollLoop } from "../worker/poll-loop.js";
import { putBackLoop } from "../worker/put-back-loop.js";
import { createTaskActions } from "../slack/operations-actions.js";
import { createSlackEntrance, type SlackEntrance } from "../slack/receiver.js";
import { wire, type Wired } from "../wire.js";
import { createApp } from "./app.js";
import { Problem, problemResponse } from "./problem.js";
import { answerUnreadable, unreadableRequest } from "./unreadable.js";

export interface ServerProcessOptions {
  readonly logger?: Logger;
  /** Called once requests are answered, with the server's own address: `http://127.0.0.1:3000`. */
  readonly onReady?: (url: string) => void;
  /** For tests: how long requests under way may take after the signal. Default 10 s. */
  readonly graceMs?: number;
}

const EXIT_OK = 0;
const EXIT_FAULT = 3;

const GRACE_MS = 10_000;
const READY_MS = 2_000;
const REQUESTS_PER_SECOND = 100;
/** Requests of Slack's that were kept and not acted on are looked for so often; signatures' ids are forgotten after a day. */
const REPLAY_EVERY_MS = 60_000;
const FORGET_AFTER_MS = 24 * 60 * 60_000;

/**
 * The server: HTTP and Slack's requests on one port, until the signal aborts; then what is under way is answered. It starts, and stays up, while
 * Postgres or Temporal is away: `/readyz` says so, requests get 503. It needs a worker somewhere, which also migrates the database.
 *
 * @returns the exit code: 0 after the signal, 3 after a fault (a port in use)
 */
export async function runServer(
  environment: EnvironmentWith<(typeof SERVER_NEEDS)[number]>,
  signal: AbortSignal,
  options: ServerProcessOptions = {},
): Promise<number> {
  const logger = options.logger ?? createLogger(environment.WAYPOST_LOG_LEVEL ?? "info", "server");
  const wired = wire(environment, "server", logger);
  // A server sends little, but what this database doesn't know may be out already.
  wired.seen.waitForNote();
  const stop = new AbortController();
  const watching = runPollLoop(putBackLoop(wired), stop.signal, logger);
  let slack: SlackEntrance | undefined;
  try {
    slack = slackEntrance(environment, wired);
    const server = createServer({ requireHostHeader: false }, listenerOf(environment, wired, slack));
    answerUnreadable(server);
    // Slow senders must not hold connections for ever; the largest body takes seconds.
    server.requestTimeout = 60_000;
    server.headersTimeout = 10_000;
    const url = await listen(server, environment.HOST ?? "127.0.0.1", environment.PORT ?? 3000);
    await slack?.start();
    const replaying = slack && setInterval(() => void replay(slack as SlackEntrance, wired), REPLAY_EVERY_MS);
    logger.info({ url, slack: slack?.mode ?? "off", scale: wired.clock.scale }, `ready: ${url}`);
    options.onReady?.(url);
    await aborted(signal);
    logger.info("shutting down: answering what is under way");
    clearInterval(replaying);
    await close(server, options.graceMs ?? GRACE_MS);
    await slack?.stop();
    logger.info("ended");
    return EXIT_OK;
  } catch (error) {
    logger.fatal({ err: error }, "the server ends");
    return EXIT_FAULT;
  } finally {
    stop.abort();
    await watching;
    await wired.close();
  }
}

function listenerOf(
  environment: EnvironmentWith<(typeof SERVER_NEEDS)[number]>,
  wired: Wired,
  slack: SlackEntrance | undefined,
): RequestListener {
  const app = createApp({
    ports: wired,
    publicUrl: environment.PUBLIC_URL,
    company: () => wired.company(),
    readiness: async () => {
      const [postgres, temporal] = await Promise.all([
        isPostgresReady(wired.database, READY_MS),
        isTemporalReady(wired.temporal, READY_MS),
      ]);
      return { postgres, temporal };
    },
    requestsPerSecond: environment.WAYPOST_REQUESTS_PER_SECOND ?? REQUESTS_PER_SECOND,
    onFault: wired.onFault,
  });
  const http = getRequestListener(app.fetch, {
    errorHandler: (error) => {
      const unreadable = unreadableRequest(error);
      if (unreadable !== undefined) return unreadable;
      wired.onFault("an HTTP request", error);
      return problemResponse(new Problem("fault", "this is our fault; it was noted"));
    },
  });
  return (request, response) => {
    const path = (request.url ?? "").split("?", 1)[0];
    if (slack !== undefined && path === slack.path) slack.requestListener(request, response);
    else void http(request, response);
  };
}

/** Slack's way in, where an app is configured for it. */
function slackEntrance(
  environment: EnvironmentWith<(typeof SERVER_NEEDS)[number]>,
  wired: Wired,
): SlackEntrance | undefined {
  const {
    SLACK_BOT_TOKEN: token,
    SLACK_SIGNING_SECRET: signingSecret,
    SLACK_APP_TOKEN: appToken,
    SLACK_API_URL: apiUrl,
  } = environment;
  if (token === undefined || wired.slackApi === undefined) return undefined;
  if (signingSecret === undefined && appToken === undefined) {
    wired.logger.warn(
      "SLACK_SIGNING_SECRET is not set: nobody can press a button. Set it, or SLACK_APP_TOKEN for Socket Mode",
    );
    return undefined;
  }
  return createSlackEntrance({
    token,
    signingSecret: signingSecret ?? "",
    ...(appToken === undefined ? {} : { appToken }),
    ...(apiUrl === undefined ? {} : { apiUrl }),
    actions: createTaskActions(wired),
    poster: wired.slackApi,
    messages: wired.composer,
    log: postgresSlackRequests(wired.database),
    acceptDomainTime: wired.clock.scale !== 1,
    // Scripted people rely on the deed being done when they are answered.
    ...(wired.clock.scale === 1 ? {} : { ackAfterMs: 20_000 }),
    onFault: wired.onFault,
  });
}

async function replay(slack: SlackEntrance, wired: Wired): Promise<void> {
  try {
    await slack.replayUnhandled();
    await postgresSlackRequests(wired.database).forget(Date.now() - FORGET_AFTER_MS);
  } catch (error) {
    wired.onFault("requests of Slack's could not be replayed", error);
  }
}

async function listen(server: Server, host: string, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address() as AddressInfo;
  const name = address.address === "0.0.0.0" || address.address === "::" ? "127.0.0.1" : address.address;
  return `http://${name.includes(":") ? `[${name}]` : name}:${address.port}`;
}

/** No new connections; what is under way is answered, for `graceMs` at most. */
async function close(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const late = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(late);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
