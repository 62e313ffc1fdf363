import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type EndableProcess, isAlive, type ProcessIdentity } from "../../src/local/process-identity.mjs";
import { randomFrom, seedOr } from "../hostile/random.js";
import { compileRoom } from "./compiled-room.js";

const SEED = seedOr(6);
const KILLS = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 3);

const room = { folder: "", remove: () => {} };
let folder: string;
const started: ChildProcess[] = [];

beforeAll(() => {
  Object.assign(room, compileRoom());
});
afterAll(() => room.remove());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "waypost-stack-test-"));
});
afterEach(async () => {
  for (const child of started.splice(0))
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
});

describe("a stack leaves nothing behind", () => {
  test("when its work returns", async () => {
    const { process, up, said } = await startOwner("return");
    expect(await exitOf(process)).toBe(0);
    expect(said()).toContain("ended in order");
    await expectNothingLeft(up);
  });

  test("when its work throws", async () => {
    const { process, up, said } = await startOwner("throw");
    expect(await exitOf(process)).toBe(1);
    expect(said()).toContain("thrown on purpose");
    await expectNothingLeft(up);
  });

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("on %s, and its work ends in order", async (signal) => {
    const { process, up, said } = await startOwner("hold");
    process.kill(signal);
    expect(await exitOf(process)).toBe(0);
    expect(said()).toContain(`${signal}: stopping`);
    expect(said()).toContain("ended in order");
    await expectNothingLeft(up);
  });

  test("on SIGINT while it starts", async () => {
    const child = spawn(process.execPath, ownerArguments("hold"), {
      stdio: ["ignore", "pipe", "pipe"],
      env: noServers(),
    });
    started.push(child);
    const said = collect(child);
    const state = join(folder, "processes.json");
    await until(() => existsSync(state) && readFileSync(state, "utf8").includes('"postgres"'));
    const { owner, processes } = JSON.parse(readFileSync(state, "utf8")) as Up;
    child.kill("SIGINT");
    expect(await exitOf(child)).toBe(1);
    expect(said()).toContain("stopped by SIGINT");
    expect([owner, ...processes].filter(isAlive)).toEqual([]);
    expect(existsSync(state)).toBe(false);
  });

  test("on a second SIGINT, when its work doesn't answer the first", async () => {
    const { process, up } = await startOwner("deaf");
    process.kill("SIGINT");
    await sleep(1_200);
    process.kill("SIGINT");
    expect(await exitOf(process)).toBe(130);
    await expectNothingLeft(up);
  });
});

describe("after kill -9", () => {
  test("of the owner the watchdog ends everything within 10 s", async () => {
    const { process, up } = await startOwner("hold");
    process.kill("SIGKILL");
    expect(await untilGone(up, 10_000)).toEqual([]);
    expect(existsSync(join(folder, "processes.json"))).toBe(false);
    await expectNothingLeft(up);
  });

  test("of the command that started the owner the owner is ended, and everything with it", async () => {
    const { process, up } = await startOwner("deaf", "launcher");
    process.kill("SIGKILL");
    expect(await untilGone(up, 10_000)).toEqual([]);
    await expectNothingLeft(up);
  });

  test("of the owner and the watchdog the next start ends what is left, and finds its data", async () => {
    const first = await startOwner("hold");
    globalThis.process.kill((first.up.watchdog as ProcessIdentity).pid, "SIGKILL");
    first.process.kill("SIGKILL");
    await exitOf(first.process);
    expect(first.up.processes.filter(isAlive).map(({ name }) => name)).toEqual(["postgres", "temporal", "sleeper"]);

    const second = await startOwner("return");
    expect(await exitOf(second.process)).toBe(0);
    expect(second.said()).toContain(
      `An earlier run (process ${first.up.owner.pid}) crashed; stopped what it left: postgres, temporal, sleeper.`,
    );
    await expectNothingLeft(first.up);
    await expectNothingLeft(second.up);
    expect(new URL(second.up.databaseUrl).password).toBe(new URL(first.up.databaseUrl).password);
  });

  test(`of the owner, ${KILLS} times on one folder (seed ${SEED}), also while it starts and with the watchdog: nothing lives on, nothing committed is lost`, {
    timeout: 60_000 + KILLS * 30_000,
  }, async () => {
    const random = randomFrom(SEED);
    const figures = { up: 0, starting: 0, both: 0, orphans: 0, refused: 0, seconds: 0 };
    const startedAt = performance.now();
    let committed = 0;
    let lost = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const way = kill === 0 ? "up" : random.pick(["up", "up", "starting", "both"] as const);
      figures[way] += 1;
      if (way === "starting") {
        const child = spawn(process.execPath, ownerArguments("hold"), { stdio: "ignore", env: noServers() });
        started.push(child);
        await sleep(random.below(2_500));
        child.kill("SIGKILL");
        await exitOf(child);
      } else {
        const { process: owner, up } = await startOwner("hold");
        const sql = postgres(up.databaseUrl, { max: 1, onnotice: () => {} });
        await sql`create table if not exists kept (n int primary key)`;
        const [row] = await sql`select count(*)::int as n from kept`;
        lost += committed - (row?.["n"] as number);
        await sql`insert into kept values (${kill})`;
        committed = (row?.["n"] as number) + 1;
        await sql.end();
        if (kill % 3 === 0 && (await isRefused(up))) figures.refused += 1;
        if (way === "both") globalThis.process.kill((up.watchdog as ProcessIdentity).pid, "SIGKILL");
        owner.kill("SIGKILL");
        await exitOf(owner);
      }
      // Without its watchdog it is for the next start to end what is left; which may come at any time.
      if (way === "both" || random.chance(0.3)) await sleep(random.below(500));
      else {
        await until(() => livingIn(folder).length === 0);
        figures.orphans += livingIn(folder).length;
      }
    }
    const last = await startOwner("hold");
    const sql = postgres(last.up.databaseUrl, { max: 1 });
    const [row] = await sql`select count(*)::int as n from kept`;
    lost += committed - (row?.["n"] as number);
    await sql.end();
    last.process.kill("SIGKILL");
    await until(() => livingIn(folder).length === 0);
    figures.orphans += livingIn(folder).length;
    figures.seconds = Math.round((performance.now() - startedAt) / 1_000);
    console.log(
      `kill -9, seed ${SEED}: ${KILLS + 1} kills (${figures.starting} while starting, ${figures.both} with the watchdog), ${committed} rows committed, ${lost} lost, ` +
        `${figures.orphans} processes that lived on, ${figures.refused} second starts refused; ${figures.seconds} s`,
    );
    expect({ lost, orphans: figures.orphans }).toEqual({ lost: 0, orphans: 0 });
  });

  test("of a supervised child it is started again", async () => {
    const { process, up, said } = await startOwner("hold");
    globalThis.process.kill(up.sleeper, "SIGKILL");
    await until(() => said().includes("sleeper died (killed by SIGKILL); starting it again in 0.25 s"));
    process.kill("SIGTERM");
    expect(await exitOf(process)).toBe(0);
    await expectNothingLeft(up);
  });
});

test("a second start on a folder in use is refused, and doesn't disturb the first", async () => {
  const first = await startOwner("hold");
  const second = spawn(process.execPath, ownerArguments("return"), { stdio: ["ignore", "pipe", "pipe"] });
  const said = collect(second);
  expect(await exitOf(second)).toBe(1);
  expect(said()).toContain(
    `${folder} is in use by another Waypost (process ${first.up.owner.pid}). Stop that one first, or give this one a folder of its own.`,
  );
  expect(first.up.processes.every(isAlive)).toBe(true);
  first.process.kill("SIGTERM");
  expect(await exitOf(first.process)).toBe(0);
  await expectNothingLeft(first.up);
});

/** A second start on the folder of one that is up says so, and ends. */
async function isRefused(up: Up): Promise<boolean> {
  const second = spawn(process.execPath, ownerArguments("return"), { stdio: ["ignore", "pipe", "pipe"] });
  const said = collect(second);
  expect(await exitOf(second)).toBe(1);
  expect(said()).toContain(`${folder} is in use by another Waypost (process ${up.owner.pid}).`);
  return true;
}

/** Processes that were told of the folder or work in it, whoever knows of them. Where there is no /proc, none is seen. */
function livingIn(where: string): number[] {
  if (!existsSync("/proc/self/cmdline")) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(where) ||
          readlinkSync(`/proc/${pid}/cwd`).startsWith(where)
        );
      } catch {
        // It has ended meanwhile.
        return false;
      }
    })
    .map(Number);
}

/** What owner.mjs says when its stack is up. */
interface Up {
  databaseUrl: string;
  temporalAddress: string;
  sleeper: number;
  owner: ProcessIdentity;
  watchdog: ProcessIdentity;
  processes: EndableProcess[];
}

function ownerArguments(mode: string): string[] {
  return [join("test", "local", "owner.mjs"), room.folder, folder, mode];
}

async function startOwner(
  mode: string,
  through?: "launcher",
): Promise<{ process: ChildProcess; up: Up; said: () => string }> {
  const launcher = through ? [join("test", "local", "launcher.mjs")] : [];
  const child = spawn(process.execPath, [...launcher, ...ownerArguments(mode)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: noServers(),
  });
  started.push(child);
  const said = collect(child);
  const upLine = () =>
    said()
      .split("\n")
      .find((line) => line.startsWith("{") && line.endsWith("}"));
  await until(() => upLine() !== undefined || child.exitCode !== null, 60_000);
  const line = upLine();
  if (line === undefined) throw new Error(`the stack did not come up: ${said()}`);
  return { process: child, up: JSON.parse(line) as Up, said };
}

/** A server from outside would leave nothing to be left behind. */
function noServers(): NodeJS.ProcessEnv {
  const { DATABASE_URL: _, TEMPORAL_ADDRESS: __, ...environment } = process.env;
  return environment;
}

function collect(child: ChildProcess): () => string {
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  return () => text;
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode;
}

const allOf = (up: Up): ProcessIdentity[] => [up.owner, up.watchdog, ...up.processes];

async function untilGone(up: Up, limitMs: number): Promise<ProcessIdentity[]> {
  await until(() => !allOf(up).some(isAlive), limitMs);
  return allOf(up).filter(isAlive);
}

async function expectNothingLeft(up: Up): Promise<void> {
  expect(allOf(up).filter(isAlive)).toEqual([]);
  expect(await isListening(Number(new URL(up.databaseUrl).port))).toBe(false);
  expect(await isListening(Number(up.temporalAddress.split(":")[1]))).toBe(false);
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Gives up silently at the limit: the expectation that follows says what is missing. */
async function until(isSo: () => boolean, limitMs = 10_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!isSo() && performance.now() < end) await sleep(20);
}
