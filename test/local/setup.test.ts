import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";

/** A clone in small: the real setup.mjs, and stand-ins for npm, the compiler and the program it starts. */
let clone: string;

const COMPILER = `
const out = process.argv[process.argv.indexOf("--outDir") + 1];
const { mkdirSync, copyFileSync } = require("node:fs");
mkdirSync(out + "/src/entrances/cli", { recursive: true });
copyFileSync("src/entrances/cli/main.ts", out + "/src/entrances/cli/main.js");
console.log("compiler's own words");
`;
const NPM = `
const { mkdirSync, writeFileSync, readFileSync } = require("node:fs");
mkdirSync("node_modules", { recursive: true });
writeFileSync("node_modules/.package-lock.json", readFileSync("package-lock.json"));
console.log("npm " + process.argv.slice(2).join(" "));
`;

beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), "waypost-setup-test-"));
  cpSync("bin", join(clone, "bin"), { recursive: true });
  write("package.json", '{ "type": "module" }');
  write("package-lock.json", lockOf("1.0.0"));
  write("node_modules/package.json", '{ "type": "commonjs" }');
  write("node_modules/typescript/bin/tsc", COMPILER);
  write("src/entrances/cli/main.ts", "console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 5;");
  write("src/adapters/postgres/migrations/0001.sql", "SELECT 1;");
  write("tools/package.json", '{ "type": "commonjs" }');
  write("tools/npm.js", NPM);
});
afterEach(() => rmSync(clone, { recursive: true, force: true }));

test("a fresh clone: installs, builds, runs; stdout and exit code are the program's own", async () => {
  const { code, stdout, stderr } = await run("demo", "--json", "--seed", "7");
  expect(code).toBe(5);
  expect(stdout).toBe('["demo","--json","--seed","7"]\n');
  expect(stderr.replace(/\d+\.\d s/g, "N s")).toBe(
    `waypost: Installing dependencies (npm install, usually under a minute) …
npm install --no-save --no-audit --no-fund --include=dev --include=optional
waypost: Installing dependencies (npm install, usually under a minute): done (N s)
waypost: Compiling …
compiler's own words
waypost: Compiling: done (N s)
`,
  );
  expect(existsSync(join(clone, "dist/src/adapters/postgres/migrations/0001.sql"))).toBe(true);
  expect(existsSync(join(clone, "dist/src/entrances/cli/main.ts"))).toBe(false);
});

test("nothing is done twice; a changed source is built again, a changed lock file installed again", async () => {
  await run("demo");
  expect((await run("demo")).stderr).toBe("");

  write("src/entrances/cli/main.ts", 'console.log("changed");');
  const rebuilt = await run("demo");
  expect(rebuilt.stdout).toBe("changed\n");
  expect(rebuilt.stderr).not.toContain("Installing");

  write("package-lock.json", lockOf("1.0.0"));
  utimesSync(join(clone, "package-lock.json"), new Date(), new Date(Date.now() + 60_000));
  expect((await run("demo")).stderr).not.toContain("Installing");

  write("package-lock.json", lockOf("1.0.1"));
  utimesSync(join(clone, "package-lock.json"), new Date(), new Date(Date.now() + 120_000));
  expect((await run("demo")).stderr).toContain("Installing dependencies");
});

test("a build that fails ends it with 1, keeps the last good dist and leaves no lock", async () => {
  await run("demo");
  write("src/entrances/cli/main.ts", 'console.log("changed");');
  write("node_modules/typescript/bin/tsc", 'console.error("main.ts(1,1): error"); process.exit(2);');
  const { code, stdout, stderr } = await run("demo");
  expect(code).toBe(1);
  expect(stdout).toBe("");
  expect(stderr).toMatch(
    /main\.ts\(1,1\): error\nwaypost: Compiling failed with exit code 2 after \d+\.\d s: see above\n$/,
  );
  expect(readFileSync(join(clone, "dist/src/entrances/cli/main.js"), "utf8")).toContain("process.exitCode = 5");
  expect(existsSync(join(clone, ".waypost/setup.lock"))).toBe(false);
});

test("two commands on a fresh clone set it up one after the other", async () => {
  const both = await Promise.all([run("demo", "one"), run("demo", "two")]);
  expect(both.map(({ stdout }) => stdout)).toEqual(['["demo","one"]\n', '["demo","two"]\n']);
  expect(both.filter(({ stderr }) => stderr.includes("Installing")).length).toBe(1);
  expect(both.filter(({ stderr }) => stderr.includes("Compiling: done")).length).toBe(1);
});

test("a signal goes on to the program, whose exit code decides", async () => {
  write(
    "src/entrances/cli/main.ts",
    'process.on("SIGTERM", () => process.exit(9)); setInterval(() => {}, 1000); console.log("up");',
  );
  const child = start("demo");
  const said = collect(child);
  await until(() => said.stdout === "up\n");
  child.kill("SIGTERM");
  const [code] = await once(child, "exit");
  expect(code).toBe(9);
});

test("kill -9 of the command in front of it ends the program too", async () => {
  write("src/entrances/cli/main.ts", "console.log(process.pid); setInterval(() => {}, 1000);");
  // As npm does it: a program, a shell, setup.mjs.
  const script =
    'require("node:child_process").spawn("sh", ["-c", "node bin/setup.mjs demo; true"], { stdio: "inherit" })';
  const npm = spawn(process.execPath, ["-e", script], {
    cwd: clone,
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = collect(npm);
  await until(() => /^\d+\n$/.test(said.stdout));
  npm.kill("SIGKILL");
  await until(() => !isRunning(Number(said.stdout)));
  expect(isRunning(Number(said.stdout))).toBe(false);
});

test.each([[["nonsense"]], [[]]])("used wrongly (%j) it says how, and ends with 2", async (words) => {
  const { code, stderr } = await run(...words);
  expect(code).toBe(2);
  expect(stderr).toBe("waypost: Usage: npm run demo|test|bench|build|chaos|check [-- ARGUMENTS]\n");
});

test("an old Node is told what is needed", async () => {
  write("old-node.mjs", 'Object.defineProperty(process, "versions", { value: { node: "20.11.1" } });');
  const { code, stderr } = await run("demo", "--import-old-node");
  expect(code).toBe(2);
  expect(stderr).toMatch(
    /^waypost: Waypost needs Node 20\.19 or later; this is v[\d.]+\. Install one from https:\/\/nodejs\.org or with nvm\.\n$/,
  );
});

test("the waypost command says how to build when nothing is built", async () => {
  const child = spawn(process.execPath, ["bin/waypost.mjs", "runs"], { cwd: clone, stdio: ["ignore", "pipe", "pipe"] });
  const said = collect(child);
  expect((await once(child, "close"))[0]).toBe(3);
  expect(said.stderr).toBe("waypost: not built yet. Run: npm run build\n");
});

function lockOf(version: string): string {
  return JSON.stringify({ packages: { "": {}, "node_modules/thing": { version } } });
}

function write(path: string, text: string): void {
  mkdirSync(dirname(join(clone, path)), { recursive: true });
  writeFileSync(join(clone, path), text);
}

function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, npm_execpath: join(clone, "tools/npm.js") };
}

function start(...words: string[]): ChildProcess {
  const old = words.includes("--import-old-node") ? ["--import", join(clone, "old-node.mjs")] : [];
  return spawn(process.execPath, [...old, "bin/setup.mjs", ...words], {
    cwd: clone,
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function run(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = start(...words);
  const said = collect(child);
  const [code] = (await once(child, "close")) as [number];
  return { code, ...said };
}

function collect(child: ChildProcess): { stdout: string; stderr: string } {
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.on("data", (chunk: Buffer) => {
      said[name] += chunk.toString();
    });
  }
  return said;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(isSo: () => boolean): Promise<void> {
  const end = performance.now() + 8_000;
  while (!isSo() && performance.now() < end) await sleep(20);
}
