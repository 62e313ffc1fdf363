import { type ChildProcess, spawn } from "node:child_process";
import { linkSync, mkdirSync, openSync, closeSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type EndableProcess,
  endProcesses,
  identifyProcess,
  isAlive,
  type ProcessIdentity,
} from "./process-identity.mjs";

/** One line for a person: what is being done, or what came of it. */
export type Log = (line: string) => void;

/** A folder that this process alone uses, and the processes it answers for. */
export interface FolderClaim {
  readonly folder: string;
  /** From now on this process is ended if we die. Call it in the same tick as the spawn. A pid that is gone already is ignored. */
  register(name: string, pid: number, stopSignal: NodeJS.Signals): void;
  /** The process ended in order; nobody needs to look for it any more. Unknown pids are ignored. */
  forget(pid: number): void;
  /** Ends whatever is still registered and the watchdog, gives the folder back. Idempotent. */
  release(): Promise<void>;
}

/** The folder is in use by a live process. */
export class FolderBusyFault extends Error {
  override readonly name = "FolderBusyFault";
}

interface FolderState {
  owner: ProcessIdentity;
  /** The command that started the owner and whose death ends it (`npm run demo` killed with -9). */
  launcher?: ProcessIdentity;
  watchdog?: ProcessIdentity;
  processes: EndableProcess[];
  removeFolderAtEnd: boolean;
}

const END_GRACE_MS = 5_000;
const LOCK_ATTEMPTS = 10;

/**
 * Claims `folder` for this process: refuses if a live process holds it, ends what an earlier crash left running in it,
 * and starts the watchdog, which ends everything registered within 10 s of our death, however we die.
 *
 * Processes are known by number and start time, never by name. `removeFolderAtEnd` is for folders of tests: they vanish
 * with their owner. If `WAYPOST_LAUNCHER_PID` is our parent, its death ends us too.
 *
 * @throws FolderBusyFault when the folder is in use
 */
export async function claimFolder(
  folder: string,
  options: { log: Log; removeFolderAtEnd?: boolean; environment?: NodeJS.ProcessEnv },
): Promise<FolderClaim> {
  const absolute = resolve(folder);
  mkdirSync(join(absolute, "logs"), { recursive: true });
  const owner = identifyProcess(process.pid);
  if (owner === undefined)
    throw new Error("cannot read this process's own start time (is /proc mounted, is ps there?)");
  takeLock(absolute, owner);
  try {
    await cleanAfterCrash(absolute, options.log);
    const launcher = launcherOf(options.environment ?? process.env);
    const state: FolderState = {
      owner,
      ...(launcher ? { launcher } : {}),
      processes: [],
      removeFolderAtEnd: options.removeFolderAtEnd ?? false,
    };
    writeState(absolute, state);
    return claimOf(absolute, state, startWatchdog(absolute, state));
  } catch (fault) {
    rmSync(join(absolute, "lock"), { force: true });
    throw fault;
  }
}

function claimOf(folder: string, state: FolderState, watchdog: ChildProcess): FolderClaim {
  let released: Promise<void> | undefined;
  return {
    folder,
    register(name, pid, stopSignal) {
      const identity = identifyProcess(pid);
      if (identity === undefined) return;
      state.processes.push({ name, stopSignal, ...identity });
      writeState(folder, state);
    },
    forget(pid) {
      if (released !== undefined) return;
      state.processes = state.processes.filter((each) => each.pid !== pid);
      writeState(folder, state);
    },
    release() {
      released ??= (async () => {
        await endProcesses(state.processes, END_GRACE_MS);
        await dismiss(watchdog);
        if (state.removeFolderAtEnd) {
          rmSync(folder, { recursive: true, force: true });
        } else {
          rmSync(join(folder, "processes.json"), { force: true });
          rmSync(join(folder, "lock"), { force: true });
        }
      })();
      return released;
    },
  };
}

function startWatchdog(folder: string, state: FolderState): ChildProcess {
  const logFile = openSync(join(folder, "logs", "watchdog.log"), "a");
  const script = fileURLToPath(new URL("./watchdog-process.mjs", import.meta.url));
  const child = spawn(process.execPath, [script, folder], {
    detached: true,
    stdio: ["pipe", logFile, logFile],
    // Nothing of ours (debugger flags, test settings) should reach it.
    env: { PATH: process.env.PATH },
  });
  closeSync(logFile);
  child.stdin?.on("error", () => {});
  child.on("error", () => {});
  child.unref();
  (child.stdin as unknown as { unref?: () => void } | null)?.unref?.();
  const identity = child.pid === undefined ? undefined : identifyProcess(child.pid);
  if (identity === undefined)
    throw new Error(`the watchdog did not start (see ${join(folder, "logs", "watchdog.log")})`);
  state.watchdog = identity;
  writeState(folder, state);
  return child;
}

async function dismiss(watchdog: ChildProcess): Promise<void> {
  if (watchdog.exitCode !== null || watchdog.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => watchdog.once("exit", () => resolve()));
  watchdog.ref();
  watchdog.stdin?.end("released\n");
  const timer = setTimeout(() => watchdog.kill("SIGKILL"), 2_000);
  await gone;
  clearTimeout(timer);
}

async function cleanAfterCrash(folder: string, log: Log): Promise<void> {
  const left = readJson<FolderState>(join(folder, "processes.json"));
  if (left === undefined) return;
  // The earlier watchdog first: two cleaners at once would take each other's files away.
  if (left.watchdog) await endProcesses([{ ...left.watchdog, name: "watchdog", stopSignal: "SIGKILL" }], 1_000);
  const ended = await endProcesses(left.processes, END_GRACE_MS);
  rmSync(join(folder, "processes.json"), { force: true });
  log(
    ended.length === 0
      ? `An earlier run (process ${left.owner.pid}) ended without cleaning up; nothing of it was still running.`
      : `An earlier run (process ${left.owner.pid}) crashed; stopped what it left: ${ended.join(", ")}.`,
  );
}

/** The lock appears with its content in one step (link), so nobody ever reads half of it. */
function takeLock(folder: string, owner: ProcessIdentity): void {
  const lock = join(folder, "lock");
  const mine = join(folder, `lock.${process.pid}`);
  writeFileSync(mine, JSON.stringify(owner));
  try {
    for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt += 1) {
      try {
        linkSync(mine, lock);
        return;
      } catch (fault) {
        if ((fault as NodeJS.ErrnoException).code !== "EEXIST") throw fault;
      }
      const holder = readJson<ProcessIdentity>(lock);
      if (holder && isAlive(holder)) throw busy(folder, holder);
      discardStaleLock(lock);
    }
    throw new FolderBusyFault(`${folder} could not be locked: several starts at once. Try again.`);
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Two starts may find the same stale lock: who moves away a lock that turns out to be live puts it back. */
function discardStaleLock(lock: string): void {
  const aside = `${lock}.stale.${process.pid}`;
  try {
    renameSync(lock, aside);
  } catch {
    return;
  }
  const moved = readJson<ProcessIdentity>(aside);
  if (moved && isAlive(moved)) {
    try {
      linkSync(aside, lock);
    } catch {
      // a third start has locked meanwhile; the loop will see it
    }
  }
  rmSync(aside, { force: true });
}

function busy(folder: string, holder: ProcessIdentity): FolderBusyFault {
  return new FolderBusyFault(
    `${folder} is in use by another Waypost (process ${holder.pid}). Stop that one first, or give this one a folder of its own.`,
  );
}

function launcherOf(environment: NodeJS.ProcessEnv): ProcessIdentity | undefined {
  const pid = Number(environment.WAYPOST_LAUNCHER_PID);
  return pid === process.ppid ? identifyProcess(pid) : undefined;
}

function writeState(folder: string, state: FolderState): void {
  const file = join(folder, "processes.json");
  writeFileSync(`${file}.tmp`, `${JSON.stringify(state, null, 2)}\n`);
  renameSync(`${file}.tmp`, file);
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as T;
  } catch {
    return undefined;
  }
}
