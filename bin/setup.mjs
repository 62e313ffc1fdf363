// npm run demo | test | bench | chaos | build | check [-- ARGUMENTS]
// Does all the set-up that the command needs on a fresh clone, then the command. Node built-ins only: it runs before
// anything is installed. Progress goes to stderr, so that `--json` on stdout stays clean.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const LEAST_NODE = [20, 19];
const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

const COMMANDS = {
  demo: async (args) => {
    await install();
    await build();
    return run(process.execPath, ["dist/src/entrances/cli/main.js", "demo", ...args]);
  },
  test: async (args) => {
    await install();
    await build();
    return vitest(args);
  },
  bench: async (args) => {
    await install();
    await build();
    return run(process.execPath, ["dist/bench/main.js", ...args]);
  },
  build: async () => {
    await install();
    await build({ isForced: true });
    return 0;
  },
  chaos: async (args) => {
    await install();
    await build();
    await buildChaos();
    return run(process.execPath, ["dist-chaos/chaos/main.js", ...args]);
  },
  check: async (args) => {
    await install();
    await must("Checking types", process.execPath, [
      "node_modules/typescript/bin/tsc",
      "--noEmit",
      "-p",
      "tsconfig.json",
    ]);
    await must("Checking format", process.execPath, ["node_modules/@biomejs/biome/bin/biome", "format", "."]);
    await build();
    return vitest(args);
  },
};

/** Signals that arrive while a child runs go on to it; it decides, we wait. */
let running;
let stopSignal;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    stopSignal = signal;
    // Ctrl-C in a terminal reaches the child by itself; a second copy would mean "at once" to it.
    if (running && !(signal === "SIGINT" && process.stdin.isTTY)) running.kill(signal);
  });
}

// npm killed with -9 leaves us an orphan: end in order then. (When we are killed, the child's watchdog does the same.)
const { isOrphan } = watchParents();
setInterval(() => {
  if (stopSignal === undefined && isOrphan()) {
    stopSignal = "SIGTERM";
    running?.kill("SIGTERM");
  }
}, 1_000).unref();

class StepFailed extends Error {}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (fault) {
  if (!(fault instanceof StepFailed)) throw fault;
  say(fault.message);
  process.exitCode = stopSignal ? 130 : 1;
}

async function main([name, ...args]) {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < LEAST_NODE[0] || (major === LEAST_NODE[0] && minor < LEAST_NODE[1])) {
    say(
      `Waypost needs Node ${LEAST_NODE.join(".")} or later; this is ${process.version}. Install one from https://nodejs.org or with nvm.`,
    );
    return 2;
  }
  const command = Object.hasOwn(COMMANDS, name ?? "") ? COMMANDS[name] : undefined;
  if (!command) {
    say(`Usage: npm run ${Object.keys(COMMANDS).join("|")} [-- ARGUMENTS]`);
    return 2;
  }
  return command(args);
}

/** Dependencies, when there are none or the lock file asks for others than npm installed. */
async function install() {
  await installPackages();
  // In a fresh clone it is there; the set-up's own tests run without.
  if (existsSync("bin/patch-driver.mjs") && existsSync("node_modules/postgres"))
    (await import("./patch-driver.mjs")).patchDriver();
}

async function installPackages() {
  if (isInstalled()) return;
  await alone(async () => {
    if (isInstalled()) return;
    const npm = process.env.npm_execpath;
    // Not `npm ci`: it refuses a lock file without the entries of other platforms' optional packages, which npm itself
    // leaves out where a registry mirror lacks them. With --no-save the lock file is obeyed and stays as it is.
    // Install scripts, which newer npm blocks by default, are not needed by anything we use.
    const words = ["install", "--no-save", "--no-audit", "--no-fund", "--include=dev", "--include=optional"];
    const [command, args] = npm?.endsWith(".js") ? [process.execPath, [npm, ...words]] : ["npm", words];
    await must("Installing dependencies (npm install, usually under a minute)", command, args);
  });
}

/** By time, as npm does; a newer lock file may still say the same (`npm install` writes it last, git gives it a new time). */
function isInstalled() {
  const hidden = "node_modules/.package-lock.json";
  const installedAt = mtime(hidden);
  if (installedAt === undefined) return false;
  if (installedAt >= mtime("package-lock.json")) return true;
  const installed = JSON.parse(readFileSync(hidden, "utf8")).packages;
  const wanted = Object.entries(JSON.parse(readFileSync("package-lock.json", "utf8")).packages);
  const isSame = wanted.every(([path, { version, optional }]) => {
    if (path === "" || (optional && installed[path] === undefined)) return true;
    return installed[path]?.version === version;
  });
  if (isSame) utimesSync(hidden, new Date(), new Date());
  return isSame;
}

/** `dist/`, when a source differs from those it was built from. Built aside and swapped in whole. */
async function build({ isForced = false } = {}) {
  const stamp = "dist/.built";
  const fingerprint = fingerprintOfSources();
  const isCurrent = () => existsSync(stamp) && readFileSync(stamp, "utf8") === fingerprint;
  if (!isForced && isCurrent()) return;
  await alone(async () => {
    if (!isForced && isCurrent()) return;
    rmSync("dist.new", { recursive: true, force: true });
    const tsc = ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", "--outDir", "dist.new"];
    try {
      await must("Compiling", process.execPath, tsc);
    } catch (fault) {
      rmSync("dist.new", { recursive: true, force: true });
      throw fault;
    }
    for (const folder of sourceFolders()) copyAssets(folder, join("dist.new", folder));
    rmSync("dist.old", { recursive: true, force: true });
    if (existsSync("dist")) renameSync("dist", "dist.old");
    renameSync("dist.new", "dist");
    rmSync("dist.old", { recursive: true, force: true });
    if (existsSync("dist/workflows/index.js")) {
      await must("Bundling workflows", process.execPath, ["bin/bundle-workflows.mjs"]);
    }
    writeFileSync(stamp, fingerprint);
  });
}

/** `dist-chaos/`: what makes faults, and the part of the sources that it needs, apart from what is shipped. */
async function buildChaos() {
  const fingerprint = fingerprintOfSources([...sourceFolders(), "chaos", "test"]);
  const stamp = "dist-chaos/.built";
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === fingerprint) return;
  await alone(async () => {
    rmSync("dist-chaos", { recursive: true, force: true });
    await must("Compiling chaos", process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.chaos.json"]);
    copyAssets("src", "dist-chaos/src");
    writeFileSync(stamp, fingerprint);
  });
}

async function vitest(args) {
  const startedAtMs = performance.now();
  const code = await run(process.execPath, ["node_modules/vitest/vitest.mjs", "run", ...args]);
  say(`Tests ${code === 0 ? "passed" : "failed"} (${seconds(startedAtMs)})`);
  return code;
}

function sourceFolders() {
  return ["src", "workflows", "activities", "examples", "bench"].filter((folder) => existsSync(folder));
}

/** Names, sizes and times: a file that was deleted or put back counts as well as one that changed. */
function fingerprintOfSources(folders = sourceFolders()) {
  const hash = createHash("sha256");
  for (const folder of folders) {
    for (const path of filesBelow(folder)) {
      const { size, mtimeMs } = statSync(path);
      hash.update(`${path}\0${size}\0${mtimeMs}\n`);
    }
  }
  for (const file of ["tsconfig.json", "tsconfig.build.json", "package-lock.json", "bin/bundle-workflows.mjs"]) {
    hash.update(`${file}\0${mtime(file)}\n`);
  }
  return hash.digest("hex");
}

function copyAssets(from, to) {
  for (const path of filesBelow(from)) {
    if (/(?<!\.d)\.[cm]?tsx?$/.test(path) || /\.d\.[cm]?ts$/.test(path) || /README\.md$/.test(path)) continue;
    const target = join(to, path.slice(from.length + 1));
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(path, target);
  }
}

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** One set-up at a time in this clone: `npm test` and `npm run demo` may be started together. */
async function alone(body) {
  mkdirSync(".waypost", { recursive: true });
  const lock = ".waypost/setup.lock";
  for (let waits = 0; ; waits += 1) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      break;
    } catch (fault) {
      if (fault.code !== "EEXIST") throw fault;
    }
    if (!isLive(readHolder(lock))) rmSync(lock, { force: true });
    else if (waits === 0) say("Another command is setting up this folder; waiting for it");
    if (stopSignal) throw new StepFailed(`Stopped by ${stopSignal}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  try {
    return await body();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** An empty lock is one that is being written. */
function readHolder(lock) {
  try {
    const text = readFileSync(lock, "utf8");
    return text === "" ? process.pid : Number(text);
  } catch {
    return undefined;
  }
}

function isLive(pid) {
  if (pid === undefined) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (fault) {
    return fault.code === "EPERM";
  }
}

async function must(what, command, args) {
  say(`${what} …`);
  const startedAtMs = performance.now();
  // Its stdout is progress to us: it goes to stderr.
  const code = await run(command, args, ["ignore", 2, 2]);
  if (stopSignal) throw new StepFailed(`Stopped by ${stopSignal}`);
  if (code !== 0)
    throw new StepFailed(`${what} failed with exit code ${code} after ${seconds(startedAtMs)}: see above`);
  say(`${what}: done (${seconds(startedAtMs)})`);
}

function run(command, args, stdio = "inherit") {
  if (stopSignal) throw new StepFailed(`Stopped by ${stopSignal}`);
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio, env: { ...process.env, WAYPOST_LAUNCHER_PID: String(process.pid) } });
    running = child;
    child.once("error", (fault) => {
      say(`${command} did not start: ${fault.message}`);
      resolve(127);
    });
    child.once("exit", (code, signal) => {
      running = undefined;
      resolve(code ?? 128 + ({ SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }[signal] ?? 0));
    });
  });
}

/** npm starts us through a shell, which outlives it: then the shell's parent is looked at as well as ours. */
function watchParents() {
  const parent = process.ppid;
  const { ppid: grandparent, args } = ps(parent);
  const isShellOfNpm = /^\S*sh\b.* -c /.test(args) && args.includes("setup.mjs");
  return { isOrphan: () => process.ppid !== parent || (isShellOfNpm && ps(parent).ppid !== grandparent) };
}

function ps(pid) {
  if (process.platform === "linux") {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      return { ppid: Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]), args };
    } catch {
      return { ppid: undefined, args: "" };
    }
  }
  const line = spawnSync("ps", ["-ww", "-o", "ppid=,args=", "-p", String(pid)], { encoding: "utf8" }).stdout ?? "";
  const [, ppid, args] = /^\s*(\d+)\s+(.*)/.exec(line) ?? [];
  return { ppid: ppid && Number(ppid), args: args ?? "" };
}

function mtime(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}

function seconds(startedAtMs) {
  return `${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`;
}

function say(line) {
  console.error(`waypost: ${line}`);
}
