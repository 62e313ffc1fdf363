import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const SETUP = fileURLToPath(new URL("../../bin/setup.mjs", import.meta.url));

/** Ends with its own processes when it is told to; what it says last is the verdict. */
function chaos(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [SETUP, "chaos", ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk) => (stdout += chunk));
    child.stderr.on("data", (chunk) => (stderr += chunk));
    child.once("close", (code) => resolve({ code: code ?? 1, stdout, stderr }));
  });
}

test("every named point is in the build, at one place, and so is every line that the naive variant changes", async () => {
  const { POINTS, NAIVE } = (await import(new URL("../../chaos/hook/points.mjs", import.meta.url).href)) as {
    POINTS: Record<string, Edit>;
    NAIVE: readonly Edit[];
  };
  const places = [...Object.values(POINTS), ...NAIVE].map(({ file, find }) => ({
    find,
    times: readFileSync(fileURLToPath(new URL(`../../dist${file}`, import.meta.url)), "utf8").split(find).length - 1,
  }));
  expect(places.length).toBeGreaterThanOrEqual(20);
  expect(places.filter(({ times }) => times !== 1)).toEqual([]);
});

interface Edit {
  readonly file: string;
  readonly find: string;
}

test("60 faults of a fixed seed: nothing doubled, nothing lost, no promise broken", async () => {
  const { stdout, stderr } = await chaos("--seed", "7", "--faults", "60", "--runs", "30", "--seconds", "24", "--json");
  const last = stdout.trim().split("\n").at(-1) ?? "";
  expect(last, stderr).toMatch(/^\{/);
  const { broken, ...figures } = JSON.parse(last);
  console.log(JSON.stringify(figures));
  expect(broken, stderr).toEqual([]);
  expect([figures.doubled, figures.lost]).toEqual([0, 0]);
  // What was asked of mail server and Slack and never came to pass is not counted; a slow machine meets less.
  expect(figures.faults).toBeGreaterThanOrEqual(40);
  expect(figures.ofProcesses).toBeGreaterThanOrEqual(5);
  expect(figures.deliveries).toBeGreaterThanOrEqual(100);
}, 300_000);

test("worker, server, Postgres and Temporal killed once each: what was accepted is done, and no step of it is missing", async () => {
  const { stdout, stderr } = await chaos("--seed", "1", "--kills", "1", "--json");
  const last = stdout.trim().split("\n").at(-1) ?? "";
  expect(last, stderr).toMatch(/^\{/);
  const { broken, recovery, ...figures } = JSON.parse(last);
  console.log(JSON.stringify({ ...figures, recovery }));
  expect(broken, stderr).toEqual([]);
  expect([figures.doubled, figures.lost, figures.stepsMissing]).toEqual([0, 0, 0]);
  expect(figures.byKind).toEqual({
    "die migration": 1,
    "kill postgres": 1,
    "kill server": 1,
    "kill temporal": 1,
    "kill worker": 1,
  });
  expect(recovery.all.waitedFor).toBeGreaterThanOrEqual(4);
  expect(figures.pings).toBeGreaterThanOrEqual(20);
}, 300_000);
