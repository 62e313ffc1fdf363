import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Crashable, crashable, notOurs } from "./crashable.js";
import { freePort } from "./free-port.js";
import { lastLines } from "./last-lines.js";
import { endProcesses, identifyProcess } from "./process-identity.mjs";
import type { FolderClaim, Log } from "./watchdog.js";

/** A Temporal server to work with. */
export interface RunningTemporal extends Crashable {
  /** `host:port` of its gRPC front end. */
  address: string;
  namespace: string;
  /** Its web page; `undefined` for a server from outside, or one without. */
  uiUrl: string | undefined;
  /** Whether we started it (else it came from `TEMPORAL_ADDRESS`). */
  isEmbedded: boolean;
}

/** What a dev server is started with. */
export interface TemporalOptions {
  folder: string;
  /** Asked for the command only if a server has to be started. */
  findCli: () => Promise<{ path: string }>;
  log: Log;
  environment?: NodeJS.ProcessEnv;
  claim?: FolderClaim;
  /** A file in the folder that keeps runs over a restart; without it they live in memory. */
  dbFilename?: string;
  /** The port of the web page, `"free"` for any, `"none"` for no page. Default `"free"`. */
  uiPort?: number | "free" | "none";
  signal?: AbortSignal;
}

/** The search attributes of architecture.md; a production cluster needs them made once by hand. */
export const SEARCH_ATTRIBUTES = {
  WaypostPlaybook: "Keyword",
  WaypostAccount: "Keyword",
  WaypostStatus: "Keyword",
} as const;

const READY_LIMIT_MS = 60_000;
const OUTSIDE_LIMIT_MS = 10_000;
const STOP_GRACE_MS = 5_000;
const PORT_ATTEMPTS = 3;

/**
 * A real Temporal server: `TEMPORAL_ADDRESS` (and `TEMPORAL_NAMESPACE`) if set, else `temporal server start-dev` on
 * free ports of 127.0.0.1 with our search attributes in the namespace `default`. Ready when its front end answers for
 * the namespace.
 */
export async function startTemporal(options: TemporalOptions): Promise<RunningTemporal> {
  const environment = options.environment ?? process.env;
  if (environment.TEMPORAL_ADDRESS)
    return outside(environment.TEMPORAL_ADDRESS, environment.TEMPORAL_NAMESPACE || "default");

  const { path } = await options.findCli();
  const folder = resolve(options.folder);
  mkdirSync(join(folder, "logs"), { recursive: true });
  for (let attempt = 1; ; attempt += 1) {
    options.signal?.throwIfAborted();
    const port = await freePort();
    const uiPort =
      options.uiPort === "none" ? undefined : typeof options.uiPort === "number" ? options.uiPort : await freePort();
    const started = await tryStart(path, port, uiPort, { ...options, folder });
    if (started.kind === "ready") {
      return {
        address: `127.0.0.1:${port}`,
        namespace: "default",
        uiUrl: uiPort === undefined ? undefined : `http://127.0.0.1:${uiPort}`,
        isEmbedded: true,
        ...crashable({
          server: started.server,
          claim: options.claim,
          again: () => startAgain(path, port, uiPort, { ...options, folder }),
          stop: (server) => endServer(server, options),
        }),
      };
    }
    const isOursToChoose = typeof options.uiPort !== "number";
    if (!started.isPortTaken || !isOursToChoose || attempt === PORT_ATTEMPTS) {
      throw new Error(`Temporal did not start: ${started.reason} (log: ${join(folder, "logs", "temporal.log")})`);
    }
  }
}

async function outside(address: string, namespace: string): Promise<RunningTemporal> {
  const end = performance.now() + OUTSIDE_LIMIT_MS;
  for (;;) {
    const fault = await ask(address, namespace);
    if (fault === undefined)
      return { address, namespace, uiUrl: undefined, isEmbedded: false, stop: async () => {}, crash: notOurs };
    if (performance.now() > end) {
      throw new Error(`Temporal at TEMPORAL_ADDRESS=${address}, namespace ${namespace}, doesn't answer: ${fault}`);
    }
    await sleep(250);
  }
}

/** At its address, which the one before may not have left yet. What lived in memory only is gone. */
async function startAgain(
  cli: string,
  port: number,
  uiPort: number | undefined,
  options: TemporalOptions,
): Promise<ChildProcess> {
  for (let attempt = 1; ; attempt += 1) {
    const started = await tryStart(cli, port, uiPort, options);
    if (started.kind === "ready") return started.server;
    if (attempt === AGAIN_ATTEMPTS) throw new Error(`Temporal did not start again: ${started.reason}`);
    await sleep(500);
  }
}

const AGAIN_ATTEMPTS = 5;

type Attempt = { kind: "ready"; server: ChildProcess } | { kind: "failed"; reason: string; isPortTaken: boolean };

async function tryStart(
  cli: string,
  port: number,
  uiPort: number | undefined,
  options: TemporalOptions,
): Promise<Attempt> {
  const args = ["server", "start-dev", "--ip", "127.0.0.1", "--port", String(port), "--log-level", "warn"];
  args.push(...(uiPort === undefined ? ["--headless"] : ["--ui-port", String(uiPort)]));
  if (options.dbFilename) args.push("--db-filename", join(options.folder, options.dbFilename));
  for (const [name, type] of Object.entries(SEARCH_ATTRIBUTES)) args.push("--search-attribute", `${name}=${type}`);

  const logPath = join(options.folder, "logs", "temporal.log");
  const logFile = openSync(logPath, "a");
  const from = statSync(logPath).size;
  const server = spawn(cli, args, {
    cwd: options.folder,
    env: serverEnvironment(),
    detached: true,
    stdio: ["ignore", logFile, logFile],
  });
  closeSync(logFile);
  if (server.pid !== undefined) options.claim?.register("temporal", server.pid, stopSignal(options));
  let spawnFault: Error | undefined;
  server.once("error", (fault) => {
    spawnFault = fault;
  });
  const stop = () => endServer(server, options);
  const failed = async (reason: string): Promise<Attempt> => {
    await stop();
    // It takes further ports itself, and where one is gone it panics: the reason stands above its stack.
    const whole = lastLines(logPath, 500, from);
    const said = /panic: [^|]*[^| ]/.exec(whole)?.[0] ?? lastLines(logPath, 5, from);
    return {
      kind: "failed",
      reason: `${reason}: ${said}`,
      isPortTaken: /address already in use|port .* is not free/i.test(whole),
    };
  };

  const end = performance.now() + READY_LIMIT_MS;
  let last: string | undefined;
  while (performance.now() < end) {
    if (spawnFault) return failed(spawnFault.message);
    if (server.exitCode !== null || server.signalCode !== null) return failed("it ended at once");
    if (options.signal?.aborted) {
      await stop();
      options.signal.throwIfAborted();
    }
    last = await ask(`127.0.0.1:${port}`, "default");
    if (last === undefined) return { kind: "ready", server };
    await sleep(50);
  }
  return failed(`not ready within ${READY_LIMIT_MS / 1000} s (${last})`);
}

/** What keeps the namespace from answering, in one line; `undefined` when it answers. */
async function ask(address: string, namespace: string): Promise<string | undefined> {
  // Loaded only here: a stack on servers from outside has no other need of the client.
  const { Connection } = await import("@temporalio/client");
  const connection = Connection.lazy({ address, connectTimeout: "2s" });
  try {
    await connection.withDeadline(Date.now() + 2_000, () =>
      connection.workflowService.describeNamespace({ namespace }),
    );
    return undefined;
  } catch (fault) {
    return (fault as Error).message.split("\n")[0] ?? "no answer";
  } finally {
    await connection.close();
  }
}

/** TEMPORAL_* of the user's shell (address, TLS, profile) is for clients and would change what the server does. */
function serverEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TEMPORAL_")));
}

/** In order takes 3 s and is worth it only where something is kept. */
function stopSignal({ dbFilename }: TemporalOptions): NodeJS.Signals {
  return dbFilename ? "SIGTERM" : "SIGKILL";
}

async function endServer(server: ChildProcess, options: TemporalOptions): Promise<void> {
  const identity = server.pid === undefined ? undefined : identifyProcess(server.pid);
  if (identity) {
    await endProcesses([{ ...identity, name: "temporal", stopSignal: stopSignal(options) }], STOP_GRACE_MS);
  }
  if (server.pid !== undefined) options.claim?.forget(server.pid);
}
