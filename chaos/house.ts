import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import connect from "postgres";
import { migrate } from "../src/adapters/postgres/migrate.js";
import { clockVariable, readEnvironment, SERVER_NEEDS } from "../src/entrances/environment.js";
import { createLogger } from "../src/entrances/logger.js";
import { type Wired, wire } from "../src/entrances/wire.js";
import { type Desk, startDesk } from "../src/local/desk.js";
import type { DeskMessage } from "../src/local/desk-workspace.js";
import { freePort } from "../src/local/free-port.js";
import { type Mailbox, type MailboxOptions, startMailbox } from "../src/local/mailbox.js";
import type { MailboxMessage } from "../src/local/mailbox-messages.js";
import { claimFolder } from "../src/local/watchdog.js";
import { createToken } from "../src/operations/tokens.js";
import { SCOPES } from "../src/ports/tokens.js";
import type { Instant } from "../src/values/instant.js";
import { type Program, startProgram } from "./program.js";
import { type Killable, killablePostgres, killableTemporal } from "./servers.js";

/** The whole of Waypost, each part a process of its own, and everything that can be done to it. */
export interface House {
  readonly folder: string;
  readonly mailbox: Mailbox;
  readonly desk: Desk;
  readonly postgres: Killable & { readonly url: string };
  readonly temporal: Killable;
  readonly programs: Readonly<Record<"server" | "worker-1" | "worker-2", Program>>;
  /** For setting up and for scripted people: as another process of the installation. */
  readonly wired: Wired;
  readonly token: string;
  readonly url: string;
  /** What `WAYPOST_CLOCK` is for a worker whose clock is wrong by so many hours of the domain. */
  wrongClock(hours: number): Record<string, string>;
  /** When the domain's clock begins to move, real time. */
  readonly beginsAt: number;
  stop(): Promise<void>;
}

export interface HouseOptions {
  readonly log: (line: string) => void;
  readonly scale: number;
  readonly origin: Instant;
  /** Slack's channels that policy.yaml names: a workspace has them before anybody posts there. */
  readonly channels: readonly string[];
  /** Whether the mail server can be asked for a Message-ID. Without, silence after the dot becomes `unknown`. */
  readonly canBeAsked: boolean;
  readonly onMessage: (message: MailboxMessage) => Promise<void>;
  readonly onAnswer: NonNullable<MailboxOptions["onAnswer"]>;
  readonly onPost: (message: DeskMessage) => Promise<void>;
  /** Done while the domain's clock stands still, with a server and nothing else. */
  readonly prepare: (wired: Wired, call: Call) => Promise<void>;
  /** How the first worker's first life is spent: inside the schema's migration, where it ends at so manieth table. */
  readonly dieMigrating?: number;
  /** The fence taken out: sends, then marks. */
  readonly isNaive?: boolean;
}

export type Call = <T>(method: string, path: string, body?: unknown) => Promise<T>;

const START_MS = 4_000;

export async function openHouse(options: HouseOptions): Promise<House> {
  const { log } = options;
  const folder = mkdtempSync(join(tmpdir(), "waypost-chaos-"));
  mkdirSync(join(folder, "logs"), { recursive: true });
  const claim = await claimFolder(folder, { log, removeFolderAtEnd: process.env["WAYPOST_CHAOS_KEEP"] === undefined });
  const stops: (() => Promise<unknown>)[] = [];
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      for (const one of stops.toReversed()) await one().catch((error) => log(`while ending: ${String(error)}`));
      await claim.release();
    })();
    return stopped;
  };
  try {
    const [postgres, temporal] = await Promise.all([
      killablePostgres(folder, claim, log),
      killableTemporal(folder, claim, log),
    ]);
    stops.push(postgres.stop, temporal.stop);
    const mailbox = await startMailbox({ keep: 100_000, onMessage: options.onMessage, onAnswer: options.onAnswer });
    stops.push(mailbox.stop);
    const signingSecret = randomBytes(16).toString("hex");
    const slackToken = `xoxb-chaos-${randomBytes(8).toString("hex")}`;
    const desk = await startDesk({
      signingSecret,
      token: slackToken,
      keep: 100_000,
      channels: options.channels,
      onPost: options.onPost,
    });
    stops.push(desk.stop);
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    desk.setReceiver(`${url}/slack/events`);
    const source: Record<string, string> = {
      DATABASE_URL: postgres.url,
      TEMPORAL_ADDRESS: `127.0.0.1:${temporal.door.port}`,
      SMTP_URL: mailbox.smtpUrl,
      MAILBOX_URL: mailbox.httpUrl,
      SMTP_REPLY_TIMEOUT: "3s",
      MAIL_DOMAIN: "waypost.example",
      SLACK_BOT_TOKEN: slackToken,
      SLACK_SIGNING_SECRET: signingSecret,
      SLACK_API_URL: desk.apiUrl,
      PUBLIC_URL: url,
      HOST: "127.0.0.1",
      PORT: String(port),
      WAYPOST_REQUESTS_PER_SECOND: "10000",
      WAYPOST_LOG_LEVEL: "info",
    };
    // Asked, it can't tell: then nobody knows what came of a mail whose answer was lost.
    if (!options.canBeAsked) source["MAILBOX_URL"] = `http://127.0.0.1:${await freePort()}`;
    if (options.isNaive) source["WAYPOST_NAIVE"] = "1";
    const { scale, origin } = options;
    const still = {
      ...source,
      WAYPOST_CLOCK: clockVariable({ scale: 1.000_001, realOrigin: Date.now(), domainOrigin: origin }),
    };
    const context = { folder, claim, log };
    if (options.dieMigrating !== undefined) {
      const at = { ...still, WAYPOST_DIE_AT: `migration:${options.dieMigrating}` };
      const first = startProgram("migrating", "worker", () => at, context);
      for (let i = 0; i < 200 && first.diedAt().length === 0; i += 1) await sleep(50);
      await first.stop();
      if (first.diedAt().length === 0) throw new Error("the first worker did not die inside the migration");
      if (await hasTables(postgres.url)) throw new Error("the first worker died behind the migration, not inside it");
    }
    await migrate(postgres.url);
    const logger = createLogger("error", "chaos", { write: () => {} });
    const preparing = wire(readEnvironment(still, SERVER_NEEDS), "chaos", logger);
    const { token } = await createToken(preparing, { name: "test", scopes: [...SCOPES] }, "test");
    const first = startProgram("preparing", "server", () => still, context);
    const once = caller(url, token, 60_000);
    await once("GET", "/v1/runs");
    await options.prepare(preparing, once);
    await first.stop();
    await preparing.close();

    const beginsAt = Date.now() + START_MS;
    const clock = { scale, realOrigin: beginsAt, domainOrigin: origin };
    const moving = { ...source, WAYPOST_CLOCK: clockVariable(clock) };
    const wired = wire(readEnvironment(moving, SERVER_NEEDS), "chaos", logger);
    stops.push(wired.close);
    const programs = {
      server: startProgram("server", "server", () => moving, context),
      "worker-1": startProgram("worker-1", "worker", () => moving, context),
      "worker-2": startProgram("worker-2", "worker", () => moving, context),
    };
    for (const program of Object.values(programs)) stops.push(program.stop);
    await caller(url, token, 60_000)("GET", "/v1/runs");
    await removeSchedule(wired);
    return {
      folder,
      mailbox,
      desk,
      postgres,
      temporal,
      programs,
      wired,
      token,
      url,
      beginsAt,
      wrongClock: (hours) => ({
        WAYPOST_CLOCK: clockVariable({ ...clock, domainOrigin: origin + hours * 3_600_000 }),
      }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Calls the API, and again while nobody answers it or it says 503 or 429, for so long. */
export function caller(url: string, token: string, patienceMs: number): Call {
  return async (method, path, body) => {
    const until = performance.now() + patienceMs;
    for (;;) {
      let problem: string;
      try {
        const response = await fetch(`${url}${path}`, {
          method,
          headers: {
            authorization: `Bearer ${token}`,
            ...(body === undefined ? {} : { "content-type": "application/json" }),
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          signal: AbortSignal.timeout(20_000),
        });
        const text = await response.text();
        if (response.ok) return JSON.parse(text);
        problem = `${method} ${path}: ${response.status} ${text}`;
        if (response.status !== 503 && response.status !== 429 && response.status !== 500) throw new Refusal(problem);
      } catch (error) {
        if (error instanceof Refusal) throw error;
        problem = `${method} ${path}: ${error instanceof Error ? error.message : String(error)}`;
      }
      if (performance.now() > until) throw new Error(problem);
      await sleep(100);
    }
  };
}

class Refusal extends Error {}

async function hasTables(url: string): Promise<boolean> {
  const sql = connect(url, { max: 1, onnotice: () => {} });
  try {
    const [row] = await sql`select count(*)::int as n from pg_tables where schemaname = 'public'`;
    return row?.["n"] !== 0;
  } finally {
    await sql.end({ timeout: 2 });
  }
}

/** Stories know nothing of the daily sweep; the simulator measures no health. */
async function removeSchedule({ temporal }: Wired): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    try {
      await temporal.schedule.getHandle("waypost-sweep").delete();
      return;
    } catch {
      await sleep(50);
    }
  }
  throw new Error("the sweep's Schedule was not made");
}
