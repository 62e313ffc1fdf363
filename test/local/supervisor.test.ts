import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { identifyProcess } from "../../src/local/process-identity.mjs";
import { type ChildProgram, type SupervisedChild, superviseChild } from "../../src/local/supervisor.js";
import type { FolderClaim } from "../../src/local/watchdog.js";

let folder: string;
let child: SupervisedChild | undefined;
let lines: string[];
let registered: Set<number>;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "waypost-supervisor-test-"));
  lines = [];
  registered = new Set();
});
afterEach(async () => {
  await child?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("what it says goes to its log, and it ends in order with its own code", async () => {
  child = supervise("console.log('up'); process.on('SIGTERM', () => process.exit(7)); setInterval(() => {}, 1000)");
  await until(() => log() === "up\n");
  const pid = child.pid() as number;
  expect([...registered]).toEqual([pid]);
  expect(await child.stop()).toBe(7);
  expect(await child.stop()).toBe(7);
  expect(identifyProcess(pid)).toBe(undefined);
  expect([...registered]).toEqual([]);
  expect(child.restarts()).toBe(0);
  expect(lines).toEqual([]);
});

test("one that is killed is started again under a new number", async () => {
  child = supervise("console.log('up'); setInterval(() => {}, 1000)");
  await until(() => log() === "up\n");
  const first = child.pid() as number;
  process.kill(first, "SIGKILL");
  await until(() => log() === "up\nup\n");
  expect(child.restarts()).toBe(1);
  expect(child.pid()).not.toBe(first);
  expect([...registered]).toEqual([child.pid()]);
  expect(lines).toEqual(["program died (killed by SIGKILL); starting it again in 0.25 s"]);
});

test("one that is deaf to SIGTERM is killed after its grace", async () => {
  child = supervise("process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000)", {
    graceMs: 200,
  });
  await until(() => log() === "up\n");
  expect(await child.stop()).toBe(137);
});

test("one that can't live is tried with longer and longer pauses", async () => {
  child = supervise("process.exit(3)");
  await until(() => lines.length >= 3);
  expect(lines.slice(0, 3)).toEqual([
    "program died (exit code 3); starting it again in 0.25 s",
    "program died (exit code 3); starting it again in 0.5 s",
    "program died (exit code 3); starting it again in 1 s",
  ]);
});

test("stopping between two lives starts no third", async () => {
  const mark = join(folder, "lives");
  child = supervise(`require('fs').appendFileSync(${JSON.stringify(mark)}, 'x'); process.exit(3)`);
  await until(() => lines.length === 1);
  expect(await child.stop()).toBe(3);
  await sleep(400);
  expect(readFileSync(mark, "utf8")).toBe("x");
});

test("without restart its end is told once", async () => {
  const reasons: string[] = [];
  child = supervise("process.exit(0)", { restart: false, onGivenUp: (reason) => reasons.push(reason) });
  await until(() => reasons.length === 1);
  await sleep(100);
  expect(reasons).toEqual([`program ended (exit code 0); see ${folder}/logs/program.log`]);
  expect(child.restarts()).toBe(0);
});

function supervise(source: string, more: Partial<ChildProgram> = {}): SupervisedChild {
  const script = join(folder, "program.cjs");
  writeFileSync(script, source);
  const claim: FolderClaim = {
    folder,
    register: (_name, pid) => void registered.add(pid),
    forget: (pid) => void registered.delete(pid),
    release: async () => {},
  };
  const program = { name: "program", command: process.execPath, args: [script], ...more };
  return superviseChild(program, { claim, log: (line) => lines.push(line) });
}

const log = (): string => {
  const path = join(folder, "logs", "program.log");
  return existsSync(path) ? readFileSync(path, "utf8") : "";
};

async function until(isSo: () => boolean): Promise<void> {
  const end = performance.now() + 8_000;
  while (!isSo() && performance.now() < end) await sleep(20);
}
