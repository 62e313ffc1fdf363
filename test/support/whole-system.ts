import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import { clockVariable, readEnvironment, SERVER_NEEDS, WORKER_NEEDS } from "../../src/entrances/environment.js";
import { runServer } from "../../src/entrances/http/run-server.js";
import { createLogger } from "../../src/entrances/logger.js";
import { runWorker } from "../../src/entrances/worker/run-worker.js";
import { type Wired, wire } from "../../src/entrances/wire.js";
import { type Desk, type DeskOptions, startDesk } from "../../src/local/desk.js";
import { type Mailbox, type MailboxOptions, startMailbox } from "../../src/local/mailbox.js";
import { createToken } from "../../src/operations/tokens.js";
import type { ClockSetting } from "../../src/ports/clock.js";
import { SCOPES } from "../../src/ports/tokens.js";
import type { Instant } from "../../src/values/instant.js";
import { freshDatabase } from "./database.js";
import { workflowBundle } from "./workflow-bundle.js";

export interface WholeSystemOptions {
  /** Domain time, once everything runs. */
  readonly scale: number;
  readonly domainOrigin: Instant;
  /** Done while the domain's clock stands at its origin and nothing but a server runs: no event is handed on, nothing falls due. */
  readonly prepare?: (system: PreparedSystem) => Promise<void>;
  readonly mailbox?: Pick<MailboxOptions, "onMessage">;
  readonly desk?: Pick<DeskOptions, "onPost">;
  /** So many workers in this process. Default 1. */
  readonly workers?: number;
}

export interface PreparedSystem {
  /** For what no entrance shows: another process's connections, as it were. */
  readonly wired: Wired;
  /** The answer's JSON. Throws with status and body for anything but 2xx. */
  call<T>(method: string, path: string, body?: unknown): Promise<T>;
}

/** Everything that a user would have, in this process: the real worker and server on a database and task queue of their own. */
export interface WholeSystem extends PreparedSystem {
  readonly serverUrl: string;
  readonly mailbox: Mailbox;
  readonly desk: Desk;
  /** Ends runs, processes and servers and drops the database. Idempotent. */
  stop(): Promise<void>;
}

/** How long worker and server may take before the domain's clock begins to move, real milliseconds. */
const START_MS = 2_500;

/**
 * Starts the whole of Waypost beside the test run's Postgres and Temporal. The daily sweep's Schedule is removed: a test that wants a sweep
 * calls it.
 */
export async function startWholeSystem(options: WholeSystemOptions): Promise<WholeSystem> {
  const temporalAddress = inject("temporalAddress");
  if (!temporalAddress)
    throw new Error("startWholeSystem(): this test runs without the stack (see projects in vitest.config.ts)");
  const bundle = await workflowBundle();
  const database = await freshDatabase();
  const mailbox = await startMailbox({ ...options.mailbox });
  const signingSecret = randomBytes(16).toString("hex");
  const slackToken = `xoxb-test-${randomBytes(12).toString("hex")}`;
  const desk = await startDesk({ signingSecret, token: slackToken, ...options.desk });
  const taskQueue = `test-${process.pid}-${randomBytes(4).toString("hex")}`;
  const source = {
    DATABASE_URL: database.url,
    TEMPORAL_ADDRESS: temporalAddress,
    TEMPORAL_NAMESPACE: "default",
    SMTP_URL: mailbox.smtpUrl,
    MAILBOX_URL: mailbox.httpUrl,
    MAIL_DOMAIN: "waypost.example",
    SLACK_BOT_TOKEN: slackToken,
    SLACK_SIGNING_SECRET: signingSecret,
    SLACK_API_URL: desk.apiUrl,
    PUBLIC_URL: "http://127.0.0.1:1",
    HOST: "127.0.0.1",
    PORT: "0",
    WAYPOST_TASK_QUEUE: taskQueue,
    WAYPOST_REQUESTS_PER_SECOND: "10000",
    WAYPOST_LOG_LEVEL: process.env["WAYPOST_TEST_LOG"] ?? "warn",
  };
  const logger = createLogger(source.WAYPOST_LOG_LEVEL, "test", { write: (line) => console.error(line.trimEnd()) });
  const stopping = new AbortController();
  const processes: Promise<number>[] = [];
  let wired: Wired | undefined;
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      if (wired !== undefined) await endRuns(wired, taskQueue);
      stopping.abort();
      await Promise.allSettled(processes);
      await Promise.allSettled([wired?.close(), mailbox.stop(), desk.stop()]);
      await database.drop();
    })();
    return stopped;
  };

  async function startServer(environment: Record<string, string>, signal: AbortSignal): Promise<string> {
    return ready<string>((onReady, onEnd) => {
      const server = runServer(readEnvironment(environment, SERVER_NEEDS), signal, { logger, onReady, graceMs: 1_000 });
      processes.push(server);
      server.then(() => onEnd(new Error("the server ended")), onEnd);
    });
  }
  async function startWorker(environment: Record<string, string>): Promise<void> {
    await ready<void>((onReady, onEnd) => {
      const worker = runWorker(readEnvironment(environment, WORKER_NEEDS), stopping.signal, {
        logger,
        bundle,
        graceMs: 1_000,
        onReady: () => onReady(),
      });
      processes.push(worker);
      worker.then(() => onEnd(new Error("the worker ended")), onEnd);
    });
  }

  try {
    const { scale, domainOrigin } = options;
    // As slow as a clock can go that isn't real time's: it stands still.
    const still = withClock(source, { scale: 1.000_001, realOrigin: Date.now(), domainOrigin });
    const preparing = wire(readEnvironment(still, SERVER_NEEDS), "test", logger);
    const api = await createToken(preparing, { name: "test", scopes: [...SCOPES] }, "test");
    const caller =
      (url: string): PreparedSystem["call"] =>
      (method, path, body) =>
        call(url, api.token, method, path, body);
    try {
      const ended = new AbortController();
      const url = await startServer(still, ended.signal);
      await options.prepare?.({ wired: preparing, call: caller(url) });
      ended.abort();
      await Promise.all(processes.splice(0));
    } finally {
      await preparing.close();
    }

    const moving = withClock(source, { scale, realOrigin: Date.now() + START_MS, domainOrigin });
    wired = wire(readEnvironment(moving, SERVER_NEEDS), "test", logger);
    const serverUrl = await startServer(moving, stopping.signal);
    desk.setReceiver(`${serverUrl}/slack/events`);
    for (let i = 0; i < (options.workers ?? 1); i++) await startWorker({ ...moving, PUBLIC_URL: serverUrl });
    await removeSchedule(wired, taskQueue);
    return { serverUrl, mailbox, desk, wired, call: caller(serverUrl), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function withClock(source: Record<string, string>, clock: ClockSetting): Record<string, string> {
  return { ...source, WAYPOST_CLOCK: clockVariable(clock) };
}

function ready<T>(start: (onReady: (value: T) => void, onEnd: (error: unknown) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => start(resolve, reject));
}

/** The worker makes it a moment after it is ready. */
async function removeSchedule({ temporal }: Wired, taskQueue: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    try {
      await temporal.schedule.getHandle(`waypost-sweep-${taskQueue}`).delete();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error("the sweep's Schedule was not made");
}

/** Runs that wait for something that no longer comes would stay in Temporal for ever. */
async function endRuns({ store, temporal }: Wired, taskQueue: string): Promise<void> {
  const schedule = temporal.schedule.getHandle(`waypost-sweep-${taskQueue}`);
  await schedule.delete().catch(() => {});
  for (let after: string | undefined; ; ) {
    const rows = await store.read((tx) =>
      store.runs.list(tx, { limit: 200, ...(after === undefined ? {} : { after }) }),
    );
    await Promise.allSettled(
      rows
        .filter((run) => run.status !== "ended")
        .map((run) => temporal.workflow.getHandle(run.id).terminate("the test is over")),
    );
    after = rows.at(-1)?.id;
    if (rows.length < 200) return;
  }
}

async function call<T>(serverUrl: string, token: string, method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${serverUrl}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
}
