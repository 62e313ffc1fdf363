import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { clockVariable } from "../entrances/environment.js";
import type { ClockSetting } from "../ports/clock.js";
import { type Desk, type DeskOptions, startDesk } from "./desk.js";
import { freePort } from "./free-port.js";
import { type Mailbox, type MailboxOptions, startMailbox } from "./mailbox.js";
import type { Stack } from "./stack.js";
import type { SupervisedChild } from "./supervisor.js";

/** The whole of Waypost on this machine: the real worker and server beside a mailbox and a Slack desk. */
export interface LocalSystem {
  readonly mailbox: Mailbox;
  readonly desk: Desk;
  /** The HTTP API: `http://127.0.0.1:PORT`. */
  readonly serverUrl: string;
  readonly worker: SupervisedChild;
  readonly server: SupervisedChild;
  /** What every process of ours is told. With secrets: never logged. */
  readonly environment: Readonly<Record<string, string>>;
  /** Waits until the server answers that Postgres and Temporal are there and the schema is. */
  ready(signal: AbortSignal): Promise<void>;
  /** Ends mailbox and desk; the stack ends the processes. Idempotent. */
  stop(): Promise<void>;
}

export interface LocalSystemOptions {
  readonly log: (line: string) => void;
  /** Domain time; absent: real time. */
  readonly clock?: ClockSetting;
  readonly mailbox?: Pick<MailboxOptions, "onMessage">;
  readonly desk?: Pick<DeskOptions, "onPost" | "users">;
  /** The server's port; absent: a free one. */
  readonly port?: number;
  /** `EMAIL_ONLY_TO`, as for a worker; absent: every mail goes to the mailbox under its own address. */
  readonly emailOnlyTo?: string | undefined;
}

/** Who waits for their turn asks the database meanwhile. */
const POOL = "20";

/** The command that the processes of ours are started with. */
const WAYPOST = fileURLToPath(new URL("../../../bin/waypost.mjs", import.meta.url));

/** How long the processes may take until they answer. */
const READY_MS = 60_000;

/**
 * Starts mailbox, desk, worker and server on the stack, and writes `connection.json` (0600) into its folder, by which `waypost`
 * commands of this folder find the system.
 */
export async function startLocalSystem(stack: Stack, options: LocalSystemOptions): Promise<LocalSystem> {
  const mailbox = await startMailbox({ ...options.mailbox });
  const signingSecret = randomBytes(16).toString("hex");
  const token = `xoxb-local-${randomBytes(12).toString("hex")}`;
  const desk = await startDesk({ signingSecret, token, ...options.desk });
  const port = options.port ?? (await freePort());
  const serverUrl = `http://127.0.0.1:${port}`;
  desk.setReceiver(`${serverUrl}/slack/events`);
  const environment: Record<string, string> = {
    DATABASE_URL: stack.databaseUrl,
    TEMPORAL_ADDRESS: stack.temporalAddress,
    TEMPORAL_NAMESPACE: stack.temporalNamespace,
    SMTP_URL: mailbox.smtpUrl,
    MAILBOX_URL: mailbox.httpUrl,
    MAIL_DOMAIN: "waypost.example",
    SLACK_BOT_TOKEN: token,
    SLACK_SIGNING_SECRET: signingSecret,
    SLACK_API_URL: desk.apiUrl,
    PUBLIC_URL: serverUrl,
    HOST: "127.0.0.1",
    PORT: String(port),
    ...(options.emailOnlyTo === undefined ? {} : { EMAIL_ONLY_TO: options.emailOnlyTo }),
    ...(options.clock === undefined ? {} : { WAYPOST_CLOCK: clockVariable(options.clock), WAYPOST_POOL_MAX: POOL }),
  };
  const connection = join(stack.folder, "connection.json");
  mkdirSync(stack.folder, { recursive: true });
  writeFileSync(connection, JSON.stringify(environment), { mode: 0o600 });
  const program = (name: "worker" | "server"): SupervisedChild =>
    stack.supervise({
      name,
      command: process.execPath,
      args: [WAYPOST, name],
      env: { ...inherited(), ...environment },
      restart: true,
    });
  const worker = program("worker");
  const server = program("server");
  let stopped: Promise<void> | undefined;
  return {
    mailbox,
    desk,
    serverUrl,
    worker,
    server,
    environment,
    ready: (signal) => untilReady(`${serverUrl}/readyz`, signal),
    stop() {
      stopped ??= (async () => {
        rmSync(connection, { force: true });
        await Promise.allSettled([mailbox.stop(), desk.stop()]);
      })();
      return stopped;
    },
  };
}

/** What a process needs of ours besides: where programs and time-zone data are. Nothing that could name another installation. */
function inherited(): Record<string, string> {
  const kept = ["PATH", "HOME", "LANG", "TMPDIR", "NODE_OPTIONS", "WAYPOST_LOG_LEVEL", "WAYPOST_PAYLOAD_KEY"];
  return Object.fromEntries(
    kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}

async function untilReady(url: string, signal: AbortSignal): Promise<void> {
  const until = Date.now() + READY_MS;
  let last = "no answer yet";
  while (Date.now() < until) {
    signal.throwIfAborted();
    try {
      const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(2_000)]) });
      if (response.ok) return;
      last = `HTTP ${response.status}`;
    } catch (error) {
      signal.throwIfAborted();
      last = error instanceof Error ? error.message : String(error);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`server and worker are not ready after ${READY_MS / 1000} s (${last}); see .waypost/logs`);
}
