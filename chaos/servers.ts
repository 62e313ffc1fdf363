import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findTemporalCli } from "../src/local/find-temporal-cli.js";
import { freePort } from "../src/local/free-port.js";
import { startPostgres } from "../src/local/postgres.js";
import { SEARCH_ATTRIBUTES } from "../src/local/temporal.js";
import type { FolderClaim } from "../src/local/watchdog.js";
import { type Door, openDoor } from "./proxy.js";

/** A server that can be killed with -9 and started again over the same data, behind a port that stays. */
export interface Killable {
  readonly door: Door;
  /** Its own address, past the door: for who looks on from outside. */
  direct(): string;
  /** kill -9, so long nobody there, then the same data again. Resolves when it is ready. */
  crash(awayMs: number): Promise<void>;
  /** How often it was killed. */
  crashes(): number;
  stop(): Promise<void>;
}

/** The embedded Postgres, and the address that processes of ours are given. fsync stays on: a crash must lose nothing. */
export async function killablePostgres(
  folder: string,
  claim: FolderClaim,
  log: (line: string) => void,
): Promise<Killable & { readonly url: string }> {
  const options = { folder, log, claim, environment: {}, settings: { max_connections: "200" } };
  let running = await startPostgres(options);
  const door = await openDoor(new URL(running.url).host);
  const url = new URL(running.url);
  url.host = `127.0.0.1:${door.port}`;
  let crashes = 0;
  return {
    door,
    url: url.toString(),
    direct: () => running.url,
    crashes: () => crashes,
    async crash(awayMs) {
      crashes += 1;
      const pid = Number(readFileSync(join(folder, "postgres", "data", "postmaster.pid"), "utf8").split("\n")[0]);
      process.kill(pid, "SIGKILL");
      door.lead(undefined);
      claim.forget(pid);
      await sleep(Math.max(awayMs, 300));
      running = await startPostgres(options);
      door.lead(new URL(running.url).host);
    },
    async stop() {
      await door.stop();
      await running.stop();
    },
  };
}

/** `temporal server start-dev` with its database in a file. */
export async function killableTemporal(
  folder: string,
  claim: FolderClaim,
  log: (line: string) => void,
): Promise<Killable> {
  const { path } = await findTemporalCli({ log, environment: process.env });
  const port = await freePort();
  let crashes = 0;
  const start = async (): Promise<number> => {
    for (let attempt = 1; ; attempt += 1) {
      const args = ["server", "start-dev", "--ip", "127.0.0.1", "--port", String(port), "--headless"];
      args.push("--log-level", "error", "--db-filename", join(folder, "temporal.db"));
      for (const [name, type] of Object.entries(SEARCH_ATTRIBUTES)) args.push("--search-attribute", `${name}=${type}`);
      const child = spawn(path, args, { cwd: folder, env: serverEnvironment(), detached: true, stdio: "ignore" });
      const pid = child.pid as number;
      claim.register("temporal", pid, "SIGKILL");
      let isOver = false;
      child.once("exit", () => {
        isOver = true;
      });
      const until = performance.now() + 60_000;
      while (!isOver && performance.now() < until) {
        if (await answers(`127.0.0.1:${port}`)) return pid;
        await sleep(100);
      }
      claim.forget(pid);
      if (attempt === 5) throw new Error("Temporal did not start again over its file");
      await sleep(500);
    }
  };
  let pid = await start();
  const door = await openDoor(`127.0.0.1:${port}`);
  const kill = () => {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // gone already
    }
    claim.forget(pid);
  };
  return {
    door,
    direct: () => `127.0.0.1:${port}`,
    crashes: () => crashes,
    async crash(awayMs) {
      crashes += 1;
      door.lead(undefined);
      kill();
      await sleep(Math.max(awayMs, 300));
      pid = await start();
      door.lead(`127.0.0.1:${port}`);
    },
    async stop() {
      await door.stop();
      kill();
    },
  };
}

async function answers(address: string): Promise<boolean> {
  const { Connection } = await import("@temporalio/client");
  const connection = Connection.lazy({ address, connectTimeout: "2s" });
  try {
    await connection.withDeadline(Date.now() + 2_000, () =>
      connection.workflowService.describeNamespace({ namespace: "default" }),
    );
    return true;
  } catch {
    return false;
  } finally {
    await connection.close();
  }
}

function serverEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TEMPORAL_")));
}
