import { spawn } from "node:child_process";
import { accessSync, chmodSync, constants, existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Log } from "./watchdog.js";

/** The release that is downloaded or built when none is at hand; its server is 1.29.1. */
export const TEMPORAL_CLI_VERSION = "v1.5.1";
const GO_PACKAGE = `github.com/temporalio/cli/cmd/temporal@${TEMPORAL_CLI_VERSION}`;
const DOWNLOAD_HOST = "temporal.download";

/** Where a Temporal CLI was found, in the order in which the places are looked at. */
export type TemporalCliSource = "TEMPORAL_CLI" | "PATH" | "cache" | "SDK download" | "go install";

/** A Temporal CLI that answers. */
export interface TemporalCli {
  path: string;
  source: TemporalCliSource;
}

/** How to look. */
export interface FindTemporalCliOptions {
  log: Log;
  environment?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
  /** Replaces the SDK's download in tests: puts the executable into the folder and returns its path. */
  download?: (folder: string, signal: AbortSignal | undefined) => Promise<string>;
}

const VERSION_LIMIT_MS = 20_000;
const REACH_LIMIT_MS = 5_000;
const DOWNLOAD_LIMIT_MS = 10 * 60_000;
const BUILD_LIMIT_MS = 20 * 60_000;
const PROGRESS_EVERY_MS = 15_000;

/**
 * The `temporal` command: `TEMPORAL_CLI`, else PATH, the cache (`$XDG_CACHE_HOME` or `~/.cache`, then
 * `waypost/temporal-VERSION/temporal`), the SDK's own download, `go install` into the cache — in that order. Every place
 * that was tried and failed is told in one line with its reason and what to do.
 *
 * @throws Error with all the reasons when there is none
 */
export async function findTemporalCli(options: FindTemporalCliOptions): Promise<TemporalCli> {
  const environment = options.environment ?? process.env;
  const cache = join(cacheFolder(environment), `temporal-${TEMPORAL_CLI_VERSION}`, "temporal");
  const places: [TemporalCliSource, () => Promise<string>][] = [
    ["TEMPORAL_CLI", () => fromVariable(environment)],
    ["PATH", () => fromPath(environment)],
    ["cache", () => fromCache(cache)],
    ["SDK download", () => fromDownload(cache, environment, options)],
    ["go install", () => fromGo(cache, environment, options)],
  ];
  const reasons: string[] = [];
  for (const [source, look] of places) {
    options.signal?.throwIfAborted();
    try {
      return { path: await look(), source };
    } catch (fault) {
      options.signal?.throwIfAborted();
      if (fault instanceof NotTried) continue;
      const line = `${source}: ${oneLine(fault)}`;
      reasons.push(line);
      options.log(`Temporal CLI not taken from ${line}`);
    }
  }
  throw new Error(
    `No Temporal CLI. ${reasons.join(" ")} Any one of these helps: TEMPORAL_ADDRESS=host:port of a running server; TEMPORAL_CLI=path of the temporal command; the command on PATH.`,
  );
}

/** The place is empty as it is for most people: nothing worth a line. */
class NotTried extends Error {}

/** `$XDG_CACHE_HOME/waypost`, else `~/.cache/waypost`. A relative XDG_CACHE_HOME is ignored, as its specification says. */
export function cacheFolder(environment: NodeJS.ProcessEnv): string {
  const given = environment.XDG_CACHE_HOME;
  const base = given?.startsWith("/") ? given : join(environment.HOME ?? homedir(), ".cache");
  return join(base, "waypost");
}

async function fromVariable(environment: NodeJS.ProcessEnv): Promise<string> {
  const path = environment.TEMPORAL_CLI;
  if (!path) throw new NotTried();
  if (!existsSync(path)) throw new Error(`${path} does not exist. Correct TEMPORAL_CLI or unset it.`);
  await checkAnswers(path, "Correct TEMPORAL_CLI or unset it.");
  return path;
}

async function fromPath(environment: NodeJS.ProcessEnv): Promise<string> {
  const path = onPath("temporal", environment);
  if (path === undefined) throw new NotTried();
  await checkAnswers(path, "Update it (brew upgrade temporal) or take it off PATH.");
  return path;
}

async function fromCache(cache: string): Promise<string> {
  if (!existsSync(cache)) throw new NotTried();
  await checkAnswers(cache, `Delete ${cache}; it will be fetched again.`);
  return cache;
}

async function fromDownload(
  cache: string,
  environment: NodeJS.ProcessEnv,
  { log, signal, download = downloadBySdk }: FindTemporalCliOptions,
): Promise<string> {
  const folder = `${cache}.download-${process.pid}`;
  mkdirSync(folder, { recursive: true });
  try {
    if (download === downloadBySdk) await checkReachable(environment, signal);
    log(`Downloading the Temporal CLI ${TEMPORAL_CLI_VERSION} from ${DOWNLOAD_HOST} (once, about 50 MB)`);
    const path = await download(folder, signal);
    chmodSync(path, 0o755);
    await checkAnswers(path, "The next place is tried.");
    renameSync(path, cache);
    return cache;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The core retries for a long time where the host is cut off: this finds it out within 5 s. A proxy is the core's to find. */
async function checkReachable(environment: NodeJS.ProcessEnv, signal: AbortSignal | undefined): Promise<void> {
  if (environment.HTTPS_PROXY || environment.https_proxy) return;
  const limit = AbortSignal.timeout(REACH_LIMIT_MS);
  try {
    await fetch(`https://${DOWNLOAD_HOST}/`, {
      method: "HEAD",
      redirect: "manual",
      signal: signal ? AbortSignal.any([limit, signal]) : limit,
    });
  } catch (fault) {
    const cause = (fault as Error).cause;
    const why = limit.aborted ? `no answer within ${REACH_LIMIT_MS / 1000} s` : oneLine(cause ?? fault);
    throw new Error(`${DOWNLOAD_HOST} can't be reached (${why}). Check the network, or set HTTPS_PROXY.`);
  }
}

async function downloadBySdk(folder: string, signal: AbortSignal | undefined): Promise<string> {
  const script = fileURLToPath(new URL("./download-temporal-process.mjs", import.meta.url));
  const result = await run(process.execPath, [script, folder, TEMPORAL_CLI_VERSION], {
    env: process.env,
    limitMs: DOWNLOAD_LIMIT_MS,
    signal,
  });
  if (result.code === 0) return result.stdout.trim();
  throw new Error(`the download failed (${lastSaid(result)}). Check the network.`);
}

async function fromGo(
  cache: string,
  environment: NodeJS.ProcessEnv,
  { log, signal }: FindTemporalCliOptions,
): Promise<string> {
  const go = onPath("go", environment);
  if (go === undefined) {
    throw new Error(
      "Go is not installed (no go on PATH). Install Go 1.24 or later from https://go.dev/dl, or set TEMPORAL_CLI.",
    );
  }
  const folder = `${cache}.build-${process.pid}`;
  mkdirSync(folder, { recursive: true });
  const startedAtMs = performance.now();
  const seconds = () => Math.round((performance.now() - startedAtMs) / 1000);
  log(`Building the Temporal CLI ${TEMPORAL_CLI_VERSION} with go install (once, about 2.5 minutes)`);
  const progress = setInterval(() => log(`… still building the Temporal CLI (${seconds()} s)`), PROGRESS_EVERY_MS);
  try {
    const result = await run(go, ["install", GO_PACKAGE], {
      env: { ...environment, GOBIN: folder },
      limitMs: BUILD_LIMIT_MS,
      signal,
    });
    if (result.code !== 0) {
      throw new Error(
        `it failed (${lastSaid(result)}). Try: GOBIN=DIR go install ${GO_PACKAGE}, then TEMPORAL_CLI=DIR/temporal.`,
      );
    }
    const built = join(folder, "temporal");
    await checkAnswers(built, "Set TEMPORAL_CLI.");
    renameSync(built, cache);
    log(`Built the Temporal CLI in ${seconds()} s; kept in ${cache}`);
    return cache;
  } finally {
    clearInterval(progress);
    rmSync(folder, { recursive: true, force: true });
  }
}

function onPath(name: string, environment: NodeJS.ProcessEnv): string | undefined {
  return (environment.PATH ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

async function checkAnswers(path: string, advice: string): Promise<void> {
  const result = await run(path, ["--version"], { env: process.env, limitMs: VERSION_LIMIT_MS, signal: undefined });
  if (result.code === 0 && result.stdout.startsWith("temporal version")) return;
  throw new Error(`${path} is no Temporal CLI that works (${lastSaid(result)}). ${advice}`);
}

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

function run(
  command: string,
  args: readonly string[],
  options: { env: NodeJS.ProcessEnv; limitMs: number; signal: AbortSignal | undefined },
): Promise<Ended> {
  return new Promise((resolve) => {
    const limit = AbortSignal.timeout(options.limitMs);
    const child = spawn(command, args, {
      env: options.env,
      stdio: ["ignore", "pipe", "pipe"],
      signal: options.signal ? AbortSignal.any([limit, options.signal]) : limit,
      killSignal: "SIGKILL",
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => {
      stdout = keepEnd(stdout + chunk.toString());
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr = keepEnd(stderr + chunk.toString());
    });
    child.once("error", (fault) => {
      const why = limit.aborted ? `no end within ${options.limitMs / 1000} s` : fault.message;
      resolve({ code: 1, stdout, stderr: `${stderr}\n${why}` });
    });
    child.once("close", (code) => resolve({ code: code ?? 1, stdout, stderr }));
  });
}

const KEPT_CHARACTERS = 4_000;
const keepEnd = (text: string): string => text.slice(-KEPT_CHARACTERS);

function lastSaid({ code, stdout, stderr }: Ended): string {
  const line = `${stdout}\n${stderr}`.trim().split("\n").at(-1)?.trim();
  return line ? line.slice(0, 200) : `exit code ${code}`;
}

function oneLine(fault: unknown): string {
  const error = fault as { message?: string; code?: string };
  return (error.message || error.code || String(fault)).split("\n")[0] ?? "";
}
