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
import { freshDatabase } from "./database.js";
import { workflowBundle } from "./workflow-bundle.js";

export interface WholeSystemOptions {
  readonly clock: ClockSetting;
  readonly mailbox?: Pick<MailboxOptions, "onMessage">;
  readonly desk?: Pick<DeskOptions, "onPost">;
  /** Above 0: so many workers in this process. Default 1. */
  readonly workers?: number;
}

/** Everything that a user would have, in this process: the real worker and server on a database and task queue of their own. */
export interface WholeSystem {
  readonly serverUrl: string;
  readonly mailbox: Mailbox;
  readonly desk: Desk;
  /** For what no entrance shows: another process's connections, as it were. */
  readonly wired: Wired;
  /** The answer's JSON. Throws with status and body for anything but 2xx. */
  call<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** Ends runs, processes and servers and drops the database. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts the whole of Waypost beside the test run's Postgres and Temporal. The daily sweep's Schedule is removed: a test that wants a sweep
 * calls it.
 */
export async function startWholeSystem(options: WholeSystemOptions): Promise<WholeSystem> {
  const temporalAddress = inject("temporalAddress");
  if (!temporalAddress)
    throw new Error("startWholeSystem(): this test runs without the stack (see projects in vitest.config.ts)");
  const database = await freshDatabase();
  const mailbox = await startMailbox({ ...options.mailbox });
  const signingSecret = randomBytes(16).toString("hex");
  const token = `xoxb-test-${randomBytes(12).toString("hex")}`;
  const desk = await startDesk({ signingSecret, token, ...options.desk });
  const taskQueue = `test-${process.pid}-${randomBytes(4).toString("hex")}`;
  const source = {
    DATABASE_URL: database.url,
    TEMPORAL_ADDRESS: temporalAddress,
    TEMPORAL_NAMESPACE: "default",
    SMTP_URL: mailbox.smtpUrl,
    MAILBOX_URL: mailbox.httpUrl,
    MAIL_DOMAIN: "waypost.example",
    SLACK_BOT_TOKEN: token,
    SLACK_SIGNING_SECRET: signingSecret,
    SLACK_API_URL: desk.apiUrl,
    PUBLIC_URL: "http://127.0.0.1:1",
    HOST: "127.0.0.1",
    PORT: "0",
    WAYPOST_TASK_QUEUE: taskQueue,
    WAYPOST_REQUESTS_PER_SECOND: "10000",
    WAYPOST_LOG_LEVEL: process.env["WAYPOST_TEST_LOG"] ?? "error",
    WAYPOST_CLOCK: clockVariable(options.clock),
  };
  const logger = createLogger(source.WAYPOST_LOG_LEVEL, "test");
  const stopping = new AbortController();
  const processes: Promise<number>[] = [];
  const wired = wire(readEnvironment(source, SERVER_NEEDS), "test", logger);
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      await endRuns(wired).catch(() => {});
      await wired.temporal.schedule
        .getHandle(`waypost-sweep-${taskQueue}`)
        .delete()
        .catch(() => {});
      stopping.abort();
      await Promise.allSettled(processes);
      await Promise.allSettled([wired.close(), mailbox.stop(), desk.stop()]);
      await database.drop();
    })();
    return stopped;
  };
  try {
    const bundle = await workflowBundle();
    const serverUrl = await ready<string>((onReady, onEnd) => {
      const server = runServer(readEnvironment(source, SERVER_NEEDS), stopping.signal, {
        logger,
        onReady,
        graceMs: 1_000,
      });
      processes.push(server);
      server.then(() => onEnd(new Error("the server ended")), onEnd);
    });
    desk.setReceiver(`${serverUrl}/slack/events`);
    for (let i = 0; i < (options.workers ?? 1); i++) {
      await ready<void>((onReady, onEnd) => {
        const worker = runWorker(readEnvironment({ ...source, PUBLIC_URL: serverUrl }, WORKER_NEEDS), stopping.signal, {
          logger,
          bundle,
          graceMs: 1_000,
          onReady: () => onReady(),
        });
        processes.push(worker);
        worker.then(() => onEnd(new Error("the worker ended")), onEnd);
      });
    }
    await removeSchedule(wired, taskQueue);
    const api = await createToken(
      wired,
      { name: "test", scopes: ["admin", "events:write", "customers:write", "runs:read", "runs:write", "tasks:write"] },
      "test",
    );
    return {
      serverUrl,
      mailbox,
      desk,
      wired,
      call: (method, path, body) => call(serverUrl, api.token, method, path, body),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
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
async function endRuns({ store, temporal }: Wired): Promise<void> {
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
