import { mkdtemp } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { migrate } from "../src/adapters/postgres/migrate.js";
import { clockVariable, readEnvironment, SERVER_NEEDS } from "../src/entrances/environment.js";
import { createLogger } from "../src/entrances/logger.js";
import { type Wired, wire } from "../src/entrances/wire.js";
import { type Stack, withStack } from "../src/local/stack.js";
import type { SupervisedChild } from "../src/local/supervisor.js";
import { ENROL_BATCH_ROWS, enrolBatch } from "../src/operations/enrol-many.js";
import { publishFiles } from "../src/operations/publish-files.js";
import { ROWS_PER_BATCH_MAX, upsertCustomers } from "../src/operations/upsert-customers.js";
import type { ClockSetting } from "../src/ports/clock.js";
import type { WorkspaceFiles } from "../src/playbook/workspace.js";
import { benchWorkspace } from "./playbooks.js";
import { usageOf } from "./processes.js";
import { type Sink, startSink } from "./sink.js";

/** Everything that a suite measures on: servers of its own on loopback, a mail sink, the bench playbooks published. */
export interface Stand {
  readonly stack: Stack;
  readonly sink: Sink;
  /** Operations and connections of this process: it enrols and looks, and is in no figure. */
  readonly wired: Wired;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  /** What Waypost's processes are told. */
  readonly environment: Readonly<Record<string, string>>;
  /** The real worker of `dist`. */
  worker(more?: Readonly<Record<string, string>>): SupervisedChild;
  /** The real server of `dist`, on its port. */
  server(port: number): SupervisedChild;
  /** A worker of hand-written workflows on task queue `reference-KIND`. */
  reference(kind: ReferenceKind, more?: Readonly<Record<string, string>>): SupervisedChild;
  /** CPU seconds of the two servers so far. */
  serversCpu(): { readonly temporal: number; readonly postgres: number };
  /** Accounts with a champion each; ids that have never been used. */
  accounts(count: number, fields?: Readonly<Record<string, string>>): Promise<readonly string[]>;
}

/** How the hand-written workflows perform their effects: an activity each, or a local one. */
export type ReferenceKind = "normal" | "local";

export const REFERENCE_KINDS = ["normal", "local"] as const satisfies readonly ReferenceKind[];

/** The task queue of a kind of reference. */
export function referenceQueue(kind: ReferenceKind): string {
  return `reference-${kind}`;
}

/** The `waypost` command. */
export const WAYPOST = fileURLToPath(
  new URL(import.meta.url.includes("/dist/") ? "../../bin/waypost.mjs" : "../bin/waypost.mjs", import.meta.url),
);
const REFERENCE_WORKER = besideBench("reference/worker.js");

/** A compiled program of the bench. */
export function besideBench(name: string): string {
  return fileURLToPath(new URL(import.meta.url.includes("/dist/") ? name : `../dist/bench/${name}`, import.meta.url));
}

/** Starts servers and sink, does `body`, ends them; returns what it returns. */
export async function withStand<T>(
  options: {
    readonly log: (line: string) => void;
    readonly clock?: ClockSetting;
    readonly postgresSettings?: Readonly<Record<string, string>>;
    /** Files of the workspace besides the bench's own, or instead of them. */
    readonly files?: WorkspaceFiles;
    /** Each worker leaves a CPU profile here when it ends. */
    readonly profile?: string;
  },
  body: (stand: Stand) => Promise<T>,
): Promise<T> {
  const { log } = options;
  const { DATABASE_URL: _, TEMPORAL_ADDRESS: __, TEMPORAL_NAMESPACE: ___, ...environment } = process.env;
  const sink = await startSink();
  try {
    return await withStack(
      {
        folder: await mkdtemp(join(tmpdir(), "waypost-bench-")),
        removeFolderAtEnd: true,
        environment,
        temporalUiPort: "none",
        ...(options.postgresSettings ? { postgresSettings: options.postgresSettings } : {}),
        log,
      },
      async (stack, signal) => {
        const told = {
          DATABASE_URL: stack.databaseUrl,
          TEMPORAL_ADDRESS: stack.temporalAddress,
          TEMPORAL_NAMESPACE: stack.temporalNamespace,
          SMTP_URL: sink.smtpUrl,
          MAIL_DOMAIN: "waypost.example",
          PUBLIC_URL: "http://127.0.0.1:1",
          HOST: "127.0.0.1",
          WAYPOST_LOG_LEVEL: process.env["WAYPOST_LOG_LEVEL"] ?? "warn",
          WAYPOST_REQUESTS_PER_SECOND: "10000",
          ...(options.clock === undefined ? {} : { WAYPOST_CLOCK: clockVariable(options.clock) }),
        };
        await migrate(stack.databaseUrl);
        const logger = createLogger("warn", "bench", { write: (line) => console.error(line.trimEnd()) });
        const wired = wire(readEnvironment(told, SERVER_NEEDS), "bench", logger);
        try {
          const published = await publishFiles(wired, { ...benchWorkspace(), ...options.files }, "bench");
          if (published.kind === "refused")
            throw new Error(`the bench playbooks don't compile: ${JSON.stringify(published.diagnostics)}`);
          await seedPeople(wired);
          return await body(standOn(stack, sink, wired, told, signal, log, options.profile));
        } finally {
          await wired.close();
        }
      },
    );
  } finally {
    await sink.stop();
  }
}

function standOn(
  stack: Stack,
  sink: Sink,
  wired: Wired,
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal,
  log: (line: string) => void,
  profile: string | undefined,
): Stand {
  let made = 0;
  const start = (name: string, args: readonly string[], more: Readonly<Record<string, string>>): SupervisedChild =>
    stack.supervise({
      name,
      command: process.execPath,
      args: [...(profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${resolve(profile)}`]), ...args],
      env: { ...kept(), ...environment, ...more },
      restart: false,
    });
  return {
    stack,
    sink,
    wired,
    signal,
    log,
    environment,
    worker: (more = {}) => start("worker", [WAYPOST, "worker"], more),
    server: (port) =>
      start("server", [WAYPOST, "server"], { PORT: String(port), PUBLIC_URL: `http://127.0.0.1:${port}` }),
    reference: (kind, more = {}) => start(`reference-${kind}`, [REFERENCE_WORKER], { REFERENCE_KIND: kind, ...more }),
    serversCpu: () => ({
      temporal: usageOf(pidOf(stack, "temporal")).cpuSeconds,
      postgres: usageOf(pidOf(stack, "postgres"), { children: true }).cpuSeconds,
    }),
    async accounts(count, fields = {}) {
      const ids = Array.from({ length: count }, () => `a-${++made}`);
      for (let from = 0; from < ids.length; from += ROWS_PER_BATCH_MAX / 2) {
        const some = ids.slice(from, from + ROWS_PER_BATCH_MAX / 2);
        const { refused } = await upsertCustomers(
          wired,
          {
            accounts: some.map((id) => ({
              id,
              fields: { name: `Customer ${id}`, timezone: "UTC", locale: "en", arr: 1_000, csm: "ann", ...fields },
            })),
            contacts: some.map((id) => ({
              id: `c-${id}`,
              accountId: id,
              fields: { name: "Pat Doe", first_name: "Pat", email: addressOf(id), role: "champion", is_primary: true },
            })),
          },
          { source: "bench" },
        );
        if (refused.length > 0) throw new Error(`account refused: ${refused[0]?.reason}`);
      }
      return ids;
    },
  };
}

/** Where an account's champion is written to. */
export function addressOf(account: string): string {
  return `pat@${account}.example`;
}

/** Enrols each account, a batch at a time, as `waypost enrol` does; the runs' ids. */
export async function enrolAll(
  { wired }: Stand,
  playbook: string,
  accounts: readonly string[],
): Promise<readonly string[]> {
  const runs: string[] = [];
  for (let from = 0; from < accounts.length; from += ENROL_BATCH_ROWS) {
    const rows = accounts.slice(from, from + ENROL_BATCH_ROWS).map((accountId) => ({ accountId, inputs: {} }));
    for (const outcome of await enrolBatch(wired, { playbook, id: "bench", source: "bench" }, rows)) {
      if (outcome.kind !== "enrolled") throw new Error(`${playbook}: ${JSON.stringify(outcome)}`);
      runs.push(outcome.run);
    }
  }
  return runs;
}

/** Waits until `isSo`, looking every `everyMs`. Throws after `limitMs`, naming `what`. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  { everyMs = 50, limitMs = 120_000, signal }: { everyMs?: number; limitMs?: number; signal?: AbortSignal } = {},
): Promise<void> {
  for (const end = performance.now() + limitMs; performance.now() < end; ) {
    signal?.throwIfAborted();
    if (await isSo()) return;
    await sleep(everyMs);
  }
  throw new Error(`${what}: not within ${limitMs / 1000} s`);
}

/** The process number of a server that the stack started. */
export function pidOf(stack: Stack, name: string): number {
  const { processes } = JSON.parse(readFileSync(join(stack.folder, "processes.json"), "utf8")) as {
    processes: { name: string; pid: number }[];
  };
  const found = processes.find((each) => each.name === name);
  if (found === undefined) throw new Error(`the stack started no ${name}`);
  return found.pid;
}

async function seedPeople(wired: Wired): Promise<void> {
  await upsertCustomers(
    wired,
    { users: [{ id: "ann", name: "Ann Ames", email: "ann@waypost.example", timezone: "UTC", locale: "en" }] },
    { source: "bench" },
  );
}

/** What a process needs of ours besides: where programs and time-zone data are. */
function kept(): Record<string, string> {
  return Object.fromEntries(
    ["PATH", "HOME", "LANG", "TMPDIR"].flatMap((name) =>
      process.env[name] === undefined ? [] : [[name, process.env[name] as string]],
    ),
  );
}
