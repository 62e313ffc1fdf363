import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client, Connection } from "@temporalio/client";
import postgres from "postgres";
import { inject } from "vitest";
import { type Desk, startDesk } from "../../../src/local/desk.js";
import { freePort } from "../../../src/local/free-port.js";
import { type Mailbox, startMailbox } from "../../../src/local/mailbox.js";
import { type FreshDatabase, freshDatabase } from "../../support/database.js";
import { startTcpProxy, type TcpProxy } from "../../support/tcp-proxy.js";

const WAYPOST = fileURLToPath(new URL("../../../bin/waypost.mjs", import.meta.url));

/** Waypost as it runs in production: processes of the build, told by their environment alone. */
export interface Production {
  readonly environment: Record<string, string>;
  readonly url: string;
  /** Of the API, with every right. */
  readonly token: string;
  readonly mailbox: Mailbox;
  readonly desk: Desk;
  readonly database: FreshDatabase;
  /** An empty folder of the installation's own. */
  readonly folder: string;
  /** Between the processes and Postgres, or Temporal; only where asked for. */
  readonly postgres: TcpProxy | undefined;
  readonly temporal: TcpProxy | undefined;
  worker(): Promise<Program>;
  server(): Promise<Program>;
  waypost(...args: readonly string[]): Promise<Said>;
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answered>;
  publish(files: Readonly<Record<string, string>>): Promise<void>;
  /** An account with a champion, `pat@ID.example`, and its CSM `ann` unless told otherwise. */
  account(id: string, fields?: Record<string, unknown>): Promise<void>;
  /** `signal.raised` with the playbook's name: enrols the account. */
  signal(playbook: string, account: string, id?: string): Promise<void>;
  run(account: string, is?: (run: Run) => boolean, timeoutMs?: number): Promise<Run>;
  timeline(run: string): Promise<string[]>;
  mailsTo(account: string): readonly string[];
  stop(): Promise<void>;
}

/** What the processes keep, past their entrances. */
export interface Insides {
  readonly sql: postgres.Sql;
  readonly temporal: Client;
  close(): Promise<void>;
}

export async function openInsides({ database }: Production): Promise<Insides> {
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  const connection = await Connection.connect({ address: inject("temporalAddress") as string });
  const close = async () => {
    await connection.close();
    await sql.end();
  };
  return { sql, temporal: new Client({ connection }), close };
}

export interface Run {
  readonly id: string;
  readonly playbook: string;
  readonly status: string;
  readonly outcome: string | null;
  readonly position: readonly string[];
  readonly parked: { readonly step: string; readonly reason: string } | null;
}

export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The last line of stdout as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at freely
  json(): any;
}

export interface Answered {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at freely
  readonly body: any;
  readonly headers: Headers;
}

/** A process of ours. */
export interface Program {
  readonly pid: number;
  log(): string;
  isRunning(): boolean;
  /** Sends the signal and waits for the end; the exit code, or 137 of a killed one. */
  end(signal?: NodeJS.Signals): Promise<number>;
}

export async function startProduction(
  options: {
    readonly proxies?: boolean;
    readonly environment?: Record<string, string>;
    /** Migrated; default: a fresh one of the stack. */
    readonly database?: FreshDatabase;
  } = {},
): Promise<Production> {
  const temporalAddress = inject("temporalAddress");
  if (!temporalAddress) throw new Error("needs the stack");
  const database = options.database ?? (await freshDatabase());
  const databaseUrl = new URL(database.url);
  const postgres = options.proxies ? await startTcpProxy(databaseUrl.host) : undefined;
  const temporal = options.proxies ? await startTcpProxy(temporalAddress) : undefined;
  if (postgres) databaseUrl.host = `127.0.0.1:${postgres.port}`;
  const mailbox = await startMailbox();
  const signingSecret = randomBytes(16).toString("hex");
  const slackToken = `xoxb-${randomBytes(8).toString("hex")}`;
  const desk = await startDesk({ signingSecret, token: slackToken, answerTimeoutMs: 10_000 });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  desk.setReceiver(`${url}/slack/events`);
  const folder = mkdtempSync(join(tmpdir(), "waypost-production-"));
  const environment: Record<string, string> = {
    DATABASE_URL: databaseUrl.toString(),
    TEMPORAL_ADDRESS: temporal ? `127.0.0.1:${temporal.port}` : temporalAddress,
    SMTP_URL: mailbox.smtpUrl,
    MAILBOX_URL: mailbox.httpUrl,
    SMTP_REPLY_TIMEOUT: "1s",
    MAIL_DOMAIN: "waypost.example",
    SLACK_BOT_TOKEN: slackToken,
    SLACK_SIGNING_SECRET: signingSecret,
    SLACK_API_URL: desk.apiUrl,
    PUBLIC_URL: url,
    PORT: String(port),
    WAYPOST_TASK_QUEUE: `test-${randomBytes(6).toString("hex")}`,
    ...options.environment,
  };
  const programs: Program[] = [];
  let token = "";
  const start = async (name: "worker" | "server") => {
    const program = await startProgram(name, environment, folder);
    programs.push(program);
    return program;
  };

  const production: Production = {
    environment,
    url,
    get token() {
      return token;
    },
    mailbox,
    desk,
    database,
    folder,
    postgres,
    temporal,
    worker: () => start("worker"),
    server: () => start("server"),
    waypost: (...args) => runWaypost(args, environment, folder),
    async ask(method, path, body, headers = {}) {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      const isJson = /json/.test(response.headers.get("content-type") ?? "");
      return { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers };
    },
    async publish(files) {
      const { status, body } = await production.ask("POST", "/v1/playbooks", { files });
      if (status !== 200) throw new Error(`not published: ${JSON.stringify(body)}`);
    },
    async account(id, fields = {}) {
      const { status, body } = await production.ask("PUT", "/v1/customers", customers(id, fields));
      if (status !== 200 || body.refused.length > 0) throw new Error(`not taken: ${JSON.stringify(body)}`);
    },
    async signal(playbook, account, id = `signal-${randomBytes(6).toString("hex")}`) {
      const event = { id, name: "signal.raised", account, payload: { reason: playbook } };
      const { status, body } = await production.ask("POST", "/v1/events", event);
      if (status !== 202) throw new Error(`not taken: ${JSON.stringify(body)}`);
    },
    run: (account, is = () => true, timeoutMs = 15_000) =>
      eventually(
        async () => (await production.ask("GET", `/v1/runs?account=${account}`)).body.runs.find(is),
        async () => JSON.stringify((await production.ask("GET", `/v1/runs?account=${account}`)).body),
        timeoutMs,
      ),
    async timeline(run) {
      const { body } = await production.ask("GET", `/v1/runs/${encodeURIComponent(run)}/timeline`);
      return body.entries.map(({ kind, step }: { kind: string; step: string | null }) =>
        `${kind} ${step ?? ""}`.trim(),
      );
    },
    mailsTo: (account) =>
      mailbox
        .messages()
        .filter(({ to }) => to.includes(`pat@${account}.example`))
        .map(({ subject }) => subject ?? ""),
    async stop() {
      await postgres?.restore();
      await temporal?.restore();
      for (const program of programs) await program.end("SIGKILL");
      await Promise.all([mailbox.stop(), desk.stop(), postgres?.stop(), temporal?.stop()]);
      await database.drop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  const made = await production.waypost("token", "create", "test", "--scope", "admin", "--json");
  if (made.code !== 0) throw new Error(`no token: ${made.stderr}${made.stdout}`);
  token = made.json().token;
  return production;
}

/** One batch of customers: our two people, an account and its champion. */
export function customers(id: string, fields: Record<string, unknown> = {}): unknown {
  const person = { timezone: "Europe/London", locale: "en", calendar: "standard" };
  return {
    users: [
      { id: "ann", name: "Ann Lee", email: "ann@waypost.example", ...person },
      { id: "ops", name: "Olga Pine", email: "ops@waypost.example", ...person },
    ],
    accounts: [
      {
        id,
        fields: {
          name: id,
          timezone: "Europe/Warsaw",
          locale: "en",
          csm: "ann",
          is_test: false,
          stage: "adoption",
          ...fields,
        },
      },
    ],
    contacts: [
      {
        id: `${id}-pat`,
        accountId: id,
        fields: {
          name: "Pat Roe",
          email: `pat@${id}.example`,
          role: "champion",
          is_primary: true,
          is_active: true,
          locale: "en",
        },
      },
    ],
  };
}

/** Starts a process of the build and waits until it says that it is ready. */
export async function startProgram(
  name: "worker" | "server",
  environment: Readonly<Record<string, string>>,
  folder: string,
): Promise<Program> {
  const child = spawn(process.execPath, [WAYPOST, name], { cwd: folder, env: inherited(environment) });
  const log = collect(child);
  const ended = exitOf(child);
  await eventually(
    async () => {
      if (child.exitCode !== null) throw new Error(`the ${name} ended with ${child.exitCode}: ${log()}`);
      return log().includes("ready: ") || undefined;
    },
    async () => log(),
    30_000,
  );
  return {
    pid: child.pid as number,
    log,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    end(signal = "SIGTERM") {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      return ended;
    },
  };
}

/** Runs a command to its end, in a folder where no local system is found. */
export async function runWaypost(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  folder: string,
): Promise<Said> {
  const child = spawn(process.execPath, [WAYPOST, ...args], { cwd: folder, env: inherited(environment) });
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    stderr += chunk;
  });
  const code = await exitOf(child);
  return { code, stdout, stderr, json: () => JSON.parse(stdout.trim().split("\n").at(-1) ?? "") };
}

/** Writes files below a folder, making what is missing. */
export async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** Waits until `look` gives something. */
export async function eventually<T>(
  look: () => Promise<T | undefined>,
  explain: () => Promise<string> = async () => "",
  timeoutMs = 15_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`it did not happen in time. ${await explain()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Nothing of the shell's that could name another installation. */
function inherited(environment: Readonly<Record<string, string>>): Record<string, string> {
  const kept = Object.fromEntries(["PATH", "HOME", "TMPDIR"].map((name) => [name, process.env[name] ?? ""]));
  return { ...kept, ...environment };
}

function collect(child: ChildProcess): () => string {
  let text = "";
  child.stdout?.on("data", (chunk) => {
    text += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    text += chunk;
  });
  return () => text;
}

function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once("error", () => resolve(127));
    child.once("close", (code, signal) => resolve(code ?? (signal === "SIGKILL" ? 137 : 128)));
  });
}
