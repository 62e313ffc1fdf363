import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import type { FolderClaim, Log } from "./watchdog.js";

/** A program of ours that is kept running (worker, server). */
export interface ChildProgram {
  /** Names the log file `logs/NAME.log` and the progress lines. */
  name: string;
  command: string;
  args: readonly string[];
  /** The whole environment of the child, not an addition to ours. Default: ours. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Whether it is started again when it dies without having been asked to. Default true. */
  restart?: boolean;
  /** How long SIGTERM may take before SIGKILL follows. Default 8 s. */
  graceMs?: number;
  /** Told once when it died so often in a row that it isn't started again, with a sentence that names the log. */
  onGivenUp?: (reason: string) => void;
}

/** A child program under supervision. */
export interface SupervisedChild {
  readonly name: string;
  /** The number of the process that runs now; `undefined` between two lives. */
  pid(): number | undefined;
  /** How many times it was started again. */
  restarts(): number;
  /** Ends it in order: SIGTERM, then SIGKILL. The exit code of its last life (137 when killed, 1 if it never ran). Idempotent. */
  stop(): Promise<number>;
}

const FIRST_BACKOFF_MS = 250;
const LONGEST_BACKOFF_MS = 5_000;
/** A life this long counts as a good start: the next death begins again with the first backoff. */
const GOOD_LIFE_MS = 10_000;
/** Deaths in a row, none after a good life, before it is given up: about 25 s of trying. */
const DEATHS_BEFORE_GIVING_UP = 10;
const DEFAULT_GRACE_MS = 8_000;

/**
 * Starts a program and keeps it running: when it dies, killed by hand or by itself, it is started again after a
 * backoff of 0.25 s, doubling to 5 s. It runs in a process group of its own, so Ctrl-C in the terminal reaches only
 * us, and is registered with the watchdog under its current number.
 */
export function superviseChild(program: ChildProgram, context: { claim: FolderClaim; log: Log }): SupervisedChild {
  const { claim, log } = context;
  const logPath = join(claim.folder, "logs", `${program.name}.log`);
  mkdirSync(join(claim.folder, "logs"), { recursive: true });
  let child: ChildProcess | undefined;
  let restarts = 0;
  let deathsInARow = 0;
  let lastCode = 1;
  let backoff: NodeJS.Timeout | undefined;
  let stopping: Promise<number> | undefined;

  const start = (): void => {
    const logFile = openSync(logPath, "a");
    const startedAtMs = performance.now();
    const current = spawn(program.command, program.args, {
      cwd: program.cwd,
      env: program.env ?? process.env,
      detached: true,
      stdio: ["ignore", logFile, logFile],
    });
    closeSync(logFile);
    child = current;
    if (current.pid !== undefined) claim.register(program.name, current.pid, "SIGTERM");
    let isOver = false;
    const over = (code: number, how: string): void => {
      if (isOver) return;
      isOver = true;
      lastCode = code;
      child = undefined;
      if (current.pid !== undefined) claim.forget(current.pid);
      if (stopping === undefined) died(how, performance.now() - startedAtMs);
    };
    current.once("error", (fault) => over(1, fault.message));
    current.once("exit", (code, signal) => over(code ?? 137, signal ? `killed by ${signal}` : `exit code ${code}`));
  };

  const died = (how: string, lifeMs: number): void => {
    deathsInARow = lifeMs >= GOOD_LIFE_MS ? 1 : deathsInARow + 1;
    if (program.restart === false) {
      log(`${program.name} ended (${how}); see ${logPath}`);
      program.onGivenUp?.(`${program.name} ended (${how}); see ${logPath}`);
      return;
    }
    if (deathsInARow >= DEATHS_BEFORE_GIVING_UP) {
      const reason = `${program.name} died ${deathsInARow} times in a row (last: ${how}) and is not started again; see ${logPath}`;
      log(reason);
      program.onGivenUp?.(reason);
      return;
    }
    const waitMs = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (deathsInARow - 1));
    log(`${program.name} died (${how}); starting it again in ${waitMs / 1000} s`);
    backoff = setTimeout(() => {
      restarts += 1;
      start();
    }, waitMs);
  };

  start();
  return {
    name: program.name,
    pid: () => child?.pid,
    restarts: () => restarts,
    stop() {
      stopping ??= (async () => {
        clearTimeout(backoff);
        if (child !== undefined) await end(child, program.graceMs ?? DEFAULT_GRACE_MS);
        return lastCode;
      })();
      return stopping;
    },
  };
}

async function end(child: ChildProcess, graceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
  await gone;
  clearTimeout(timer);
}
