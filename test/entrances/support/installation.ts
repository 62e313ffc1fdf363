import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import type { EnvironmentWith } from "../../../src/entrances/environment.js";
import { createLogger, type Logger } from "../../../src/entrances/logger.js";
import { runServer } from "../../../src/entrances/http/run-server.js";
import { wire, type Wired } from "../../../src/entrances/wire.js";
import { runWorker } from "../../../src/entrances/worker/run-worker.js";
import { createToken } from "../../../src/operations/tokens.js";
import { type Mailbox, startMailbox } from "../../../src/local/mailbox.js";
import type { Scope } from "../../../src/ports/tokens.js";
import { type FreshDatabase, freshDatabase } from "../../support/database.js";
import { shippedFiles } from "../../support/workspace.js";
import { workflowBundle } from "../../support/workflow-bundle.js";

/**
 * The processes of an installation inside this one: a server, perhaps workers, a database and a task queue of their own. Temporal's namespace is
 * shared with other test files: a run's id is taken for ever, so each file names accounts that no other has.
 */
export interface Installation {
  readonly url: string;
  readonly environment: EnvironmentWith<"DATABASE_URL" | "TEMPORAL_ADDRESS" | "SMTP_URL" | "PUBLIC_URL">;
  readonly mailbox: Mailbox;
  readonly database: FreshDatabase;
  readonly wired: Wired;
  /** Lines of the log so far, of all processes. */
  readonly log: string[];
  token(...scopes: Scope[]): Promise<string>;
  /** `{ status, body, headers }` of a request with JSON. */
  ask(method: string, path: string, options?: Asking): Promise<Answered>;
  startWorker(): Promise<Running>;
  stopWorkers(): Promise<void>;
  stop(): Promise<void>;
}

export interface Asking {
  readonly token?: string | undefined;
  readonly body?: unknown;
  readonly raw?: string;
  readonly headers?: Record<string, string>;
}

export interface Answered {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at freely
  readonly body: any;
  readonly headers: Headers;
}

export interface Running {
  /** The exit code after the signal. */
  stop(): Promise<number>;
}

/** @param through what the processes get for the database's address */
export async function startInstallation(
  more: Record<string, unknown> = {},
  through: (url: string) => Promise<string> = async (url) => url,
): Promise<Installation> {
  const temporal = inject("temporalAddress");
  if (!temporal) throw new Error("needs the stack");
  const database = await freshDatabase();
  const mailbox = await startMailbox();
  const log: string[] = [];
  const logger = createLogger("info", "test", { write: (line: string) => void log.push(line) });
  const environment = {
    DATABASE_URL: await through(database.url),
    TEMPORAL_ADDRESS: temporal,
    SMTP_URL: mailbox.smtpUrl,
    MAILBOX_URL: mailbox.httpUrl,
    PUBLIC_URL: "http://localhost:3000",
    PORT: 0,
    WAYPOST_TASK_QUEUE: `test-${randomBytes(6).toString("hex")}`,
    ...more,
  };
  const wired = wire(environment, "test", logger);
  const server = await startServer(environment, logger);
  const workers: Running[] = [];
  let admin: string | undefined;
  const token = async (...scopes: Scope[]) =>
    (await createToken(wired, { name: `test ${randomBytes(4).toString("hex")}`, scopes }, "test")).token;
  return {
    url: server.url,
    environment,
    mailbox,
    database,
    wired,
    log,
    token,
    async ask(method, path, { token: given, body, raw, headers } = {}) {
      admin ??= await token("admin");
      const authorization = given === "" ? undefined : `Bearer ${given ?? admin}`;
      const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
      const response = await fetch(`${server.url}${path}`, {
        method,
        headers: {
          ...(authorization === undefined ? {} : { authorization }),
          ...(text === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(text === undefined ? {} : { body: text }),
      });
      const answer = await response.text();
      let parsed: unknown = answer;
      if (/json/.test(response.headers.get("content-type") ?? "")) parsed = JSON.parse(answer);
      return { status: response.status, body: parsed, headers: response.headers };
    },
    async startWorker() {
      const stop = new AbortController();
      const bundle = await workflowBundle();
      let ended: Promise<number> | undefined;
      await new Promise<void>((resolve, reject) => {
        ended = runWorker(environment, stop.signal, { logger, bundle, graceMs: 5_000, onReady: resolve });
        ended.then((code) => code !== 0 && reject(new Error(`worker ended with ${code}: ${log.join("")}`)), reject);
      });
      const worker: Running = {
        stop: async () => {
          stop.abort();
          return ended as Promise<number>;
        },
      };
      workers.push(worker);
      return worker;
    },
    async stopWorkers() {
      for (const worker of workers.splice(0)) await worker.stop();
    },
    async stop() {
      for (const worker of workers) await worker.stop();
      await server.stop();
      await deleteSchedule(wired);
      await wired.close();
      await mailbox.stop();
      await database.drop();
    },
  };
}

async function startServer(
  environment: Installation["environment"],
  logger: Logger,
): Promise<Running & { url: string }> {
  const stop = new AbortController();
  let ended: Promise<number> | undefined;
  const url = await new Promise<string>((resolve, reject) => {
    ended = runServer(environment, stop.signal, { logger, onReady: resolve, graceMs: 2_000 });
    ended.then((code) => code !== 0 && reject(new Error(`server ended with ${code}`)), reject);
  });
  return {
    url,
    stop: async () => {
      stop.abort();
      return ended as Promise<number>;
    },
  };
}

async function deleteSchedule({ temporal, taskQueue }: Wired): Promise<void> {
  await temporal.schedule
    .getHandle(`waypost-sweep-${taskQueue}`)
    .delete()
    .catch(() => {});
}

/** Waits until `look` gives something. Generous: a whole run beside other test files on two busy cores. */
export async function eventually<T>(look: () => Promise<T | undefined>, timeoutMs = 45_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error("it did not happen in time");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The shipped model and rules with one small playbook: a mail, a task, and an answer that is waited for. */
export function smallWorkspace(): Record<string, string> {
  const shared = Object.entries(shippedFiles()).filter(([path]) => !path.includes("/"));
  const workspace = Object.fromEntries(shared);
  return {
    ...workspace,
    "model.yaml": (workspace["model.yaml"] as string).replaceAll(/, frozen_while: [\w-]+/g, ""),
    "hello/playbook.yaml": SMALL_PLAYBOOK,
    "hello/templates/hello.en.md": template("Hello"),
    "hello/templates/hello.ru.md": template("Привет"),
    "hello/templates/hello.pl.md": template("Witamy"),
  };
}

const template = (word: string) =>
  `---\nsubject: "${word}, {{ contact.name | default: account.name }}"\npreheader: "${word}"\n---\n${word}.\n\n{{ company.name }}\n`;

const SMALL_PLAYBOOK = `playbook: hello
title: Hello
maintainer: cs-ops@waypost.example
subject: account
enroll:
  when:
    - event: signal.raised
    - manual: {}
  again: always
exit:
  - when: { event: contract.lost }
    outcome: churned
on_exit: { open_tasks: cancel, deferred_email: cancel }
priority: 10
calendar: customer
steps:
  - id: hello
    email: { to: champion, from: csm, template: hello, category: service, send: now }
  - id: call
    task: { title: "Call {{ account.name }}", for: csm, due: 2 bd, required: true, ask: outcome, outcomes: [reached, not_reached] }
  - id: answer
    wait_for:
      reply: hello
      within: 30d
      otherwise: []
  - end: replied
`;
