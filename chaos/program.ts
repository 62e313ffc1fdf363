import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, createWriteStream } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { FolderClaim } from "../src/local/watchdog.js";

/** `dist-chaos/chaos/` → the project. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const WAYPOST = join(ROOT, "bin", "waypost.mjs");
const HOOK = join(ROOT, "chaos", "hook", "register.mjs");

/** A worker or server of the build that is started again whenever it dies, by whosever hand. */
export interface Program {
  readonly name: string;
  pid(): number | undefined;
  /** It lives and has said so: it does its work. */
  isReady(): boolean;
  /** Where it died at a named point, and when, real time. */
  diedAt(): readonly { readonly point: string; readonly at: number }[];
  /** What it said when it ended though nobody had killed it. */
  endedByItself(): readonly string[];
  /** SIGKILL; its next life begins with `next` on top of its environment. */
  kill(next?: Readonly<Record<string, string>>): void;
  isFrozen(): boolean;
  /** SIGSTOP, and after so long SIGCONT: unless it was killed meanwhile. */
  freeze(ms: number): Promise<void>;
  stop(): Promise<void>;
}

/** Exit codes that are not a fault's: ended at a named point (`chaos/hook`), or killed. */
const RESTART_MS = 150;

export function startProgram(
  name: string,
  command: "worker" | "server",
  environment: () => Readonly<Record<string, string>>,
  context: { readonly folder: string; readonly claim: FolderClaim; readonly log: (line: string) => void },
): Program {
  const { folder, claim, log } = context;
  const logFile = join(folder, "logs", `${name}.log`);
  const died: { readonly point: string; readonly at: number }[] = [];
  const byItself: string[] = [];
  let child: ChildProcess | undefined;
  let isFrozen = false;
  let isStopping = false;
  let nextLife: Readonly<Record<string, string>> = {};
  let wasKilled = false;
  let isReady = false;

  const start = (): void => {
    const extra = nextLife;
    nextLife = {};
    wasKilled = false;
    const current = spawn(process.execPath, ["--import", HOOK, WAYPOST, command], {
      cwd: folder,
      env: { ...inherited(), ...environment(), ...extra },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    child = current;
    isFrozen = false;
    isReady = false;
    if (current.pid !== undefined) claim.register(name, current.pid, "SIGKILL");
    const file = createWriteStream(logFile, { flags: "a" });
    let tail = "";
    for (const stream of [current.stdout, current.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        file.write(chunk);
        tail = (tail + chunk.toString()).slice(-4_000);
        if (tail.includes("ready: ") && child === current) isReady = true;
      });
    }
    current.once("close", (code, signal) => {
      file.end();
      if (current.pid !== undefined) claim.forget(current.pid);
      if (child === current) {
        child = undefined;
        isReady = false;
      }
      const point = /WAYPOST_DIED_AT=(\S+)/.exec(tail)?.[1];
      if (point !== undefined) {
        died.push({ point, at: Date.now() });
        log(`${name} died at ${point}`);
      } else if (!wasKilled && !isStopping) {
        byItself.push(`${signal ?? code}: ${tail.slice(-600)}`);
        log(`${name} ended by itself (${byItself.at(-1)})`);
      }
      appendFileSync(logFile, `--- ended: ${signal ?? code}\n`);
      if (!isStopping) setTimeout(() => !isStopping && start(), RESTART_MS);
    });
  };
  start();

  return {
    name,
    pid: () => child?.pid,
    isReady: () => isReady && child !== undefined && child.exitCode === null && child.signalCode === null,
    diedAt: () => died,
    endedByItself: () => byItself,
    isFrozen: () => isFrozen,
    kill(next = {}) {
      nextLife = next;
      wasKilled = true;
      child?.kill("SIGKILL");
    },
    async freeze(ms) {
      const frozen = child;
      if (frozen === undefined) return;
      isFrozen = true;
      frozen.kill("SIGSTOP");
      await sleep(ms);
      frozen.kill("SIGCONT");
      if (child === frozen) isFrozen = false;
    },
    async stop() {
      isStopping = true;
      const last = child;
      if (last === undefined || last.exitCode !== null || last.signalCode !== null) return;
      const gone = new Promise<void>((resolve) => last.once("close", () => resolve()));
      last.kill("SIGCONT");
      last.kill("SIGKILL");
      await gone;
    },
  };
}

function inherited(): Record<string, string> {
  const kept = ["PATH", "HOME", "LANG", "TMPDIR"];
  return Object.fromEntries(
    kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name] as string]])),
  );
}
