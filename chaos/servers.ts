import type { Crashable } from "../src/local/crashable.js";
import { findTemporalCli } from "../src/local/find-temporal-cli.js";
import { startPostgres } from "../src/local/postgres.js";
import { startTemporal } from "../src/local/temporal.js";
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
  const settings = { max_connections: "200" };
  const running = await startPostgres({ folder, log, claim, environment: {}, settings });
  const url = new URL(running.url);
  const behind = await behindDoor(running, url.host);
  url.host = `127.0.0.1:${behind.door.port}`;
  return { ...behind, url: url.toString(), direct: () => running.url };
}

/** `temporal server start-dev` with its database in a file. */
export async function killableTemporal(
  folder: string,
  claim: FolderClaim,
  log: (line: string) => void,
): Promise<Killable> {
  const running = await startTemporal({
    folder,
    log,
    claim,
    environment: {},
    findCli: () => findTemporalCli({ log, environment: process.env }),
    dbFilename: "temporal.db",
    uiPort: "none",
  });
  return behindDoor(running, running.address);
}

async function behindDoor(server: Crashable, address: string): Promise<Killable> {
  const door = await openDoor(address);
  let crashes = 0;
  return {
    door,
    direct: () => address,
    crashes: () => crashes,
    async crash(awayMs) {
      crashes += 1;
      door.lead(undefined);
      await server.crash(Math.max(awayMs, 300));
      door.lead(address);
    },
    async stop() {
      await door.stop();
      await server.stop();
    },
  };
}
