import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { FolderClaim } from "./watchdog.js";

/** A server of ours that can be killed as if by accident, and comes back at the same address over its data. */
export interface Crashable {
  /** Ends ours in order; does nothing to one from outside. Idempotent; waits for a `crash` under way. */
  stop(): Promise<void>;
  /** SIGKILL, nobody there for so many real milliseconds (default 0), then started again; resolves when it is ready. Throws for one from outside. */
  crash(awayMs?: number): Promise<void>;
}

export function crashable(how: {
  readonly server: ChildProcess;
  readonly claim: FolderClaim | undefined;
  /** Starts it once more at its address. */
  readonly again: () => Promise<ChildProcess>;
  readonly stop: (server: ChildProcess) => Promise<void>;
}): Crashable {
  let { server } = how;
  let crashing: Promise<void> = Promise.resolve();
  let stopped: Promise<void> | undefined;

  async function crash(awayMs: number): Promise<void> {
    const gone = new Promise<void>((resolve) => server.once("exit", () => resolve()));
    server.kill("SIGKILL");
    await gone;
    if (server.pid !== undefined) how.claim?.forget(server.pid);
    await sleep(awayMs);
    server = await how.again();
  }

  return {
    stop() {
      stopped ??= crashing.catch(() => {}).then(() => how.stop(server));
      return stopped;
    },
    crash(awayMs = 0) {
      if (stopped !== undefined) return Promise.reject(new Error("it is being stopped"));
      crashing = crashing.then(() => crash(awayMs));
      return crashing;
    },
  };
}

/** What a server from outside says to `crash`. */
export function notOurs(): Promise<never> {
  return Promise.reject(new Error("a server from outside (DATABASE_URL, TEMPORAL_ADDRESS) is not ours to kill"));
}
