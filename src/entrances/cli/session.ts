import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { type EnvironmentWith, readEnvironment, type VariableName } from "../environment.js";
import { createLogger } from "../logger.js";
import { type Wired, wire } from "../wire.js";
import { UsageFault } from "./answer.js";

/** Written by `waypost dev` and `npm run demo` while they run: how other commands reach that system. 0600: it has passwords. */
export const CONNECTION_FILE = join(".waypost", "connection.json");

/**
 * The environment; where it names no database, with what the local system of this folder has told, which wins. Never half of each: a demo's
 * clock would send an installation's mail at the wrong time.
 */
export function sourceEnvironment(): Record<string, string | undefined> {
  const set = Object.fromEntries(
    Object.entries(process.env).filter(([, value]) => value !== undefined && value !== ""),
  );
  if (set["DATABASE_URL"] !== undefined) return set;
  let local: Record<string, string> = {};
  try {
    local = JSON.parse(readFileSync(CONNECTION_FILE, "utf8")) as Record<string, string>;
  } catch {
    // No local system: the environment alone.
  }
  return { ...set, ...local };
}

/**
 * Runs `work` on the installation that the environment names, or on the local one of this folder; lets go of every
 * connection after it. Throws `UsageFault` where neither is there.
 */
export async function withInstallation<T>(
  work: (wired: Wired) => Promise<T>,
  needed: readonly VariableName[] = ["DATABASE_URL"],
): Promise<T> {
  const source = sourceEnvironment();
  if (!source["DATABASE_URL"]) {
    throw new UsageFault(
      "DATABASE_URL is not set and no local system runs in this folder. Start one with `waypost dev`, or set DATABASE_URL and TEMPORAL_ADDRESS.",
    );
  }
  const environment = readEnvironment(source, needed) as EnvironmentWith<"DATABASE_URL">;
  const wired = wire(environment, "cli", createLogger(environment.WAYPOST_LOG_LEVEL ?? "error", "cli"));
  try {
    return await work(wired);
  } finally {
    await wired.close();
  }
}

/** Who acts, for the audit: `cli:USER`. */
export function actor(): string {
  try {
    return `cli:${userInfo().username}`;
  } catch {
    return "cli";
  }
}
