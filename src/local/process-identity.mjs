// Plain JavaScript, as the watchdog process runs it without a build step (types: process-identity.d.mts).
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** After SIGKILL the kernel needs a moment to take a process away. */
const AFTER_KILL_MS = 2_000;
const POLL_MS = 25;

export function identifyProcess(pid) {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const startedAt = process.platform === "linux" ? startOnLinux(pid) : startByPs(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

export function isAlive(identity) {
  return identifyProcess(identity.pid)?.startedAt === identity.startedAt;
}

export async function endProcesses(processes, graceMs) {
  const live = processes.filter(isAlive);
  for (const each of live) send(each, each.stopSignal);
  await untilGone(live, graceMs);
  for (const each of live) if (isAlive(each)) send(each, "SIGKILL");
  await untilGone(live, AFTER_KILL_MS);
  return live.map((each) => each.name);
}

async function untilGone(processes, limitMs) {
  const end = performance.now() + limitMs;
  while (processes.some(isAlive) && performance.now() < end) await sleep(POLL_MS);
}

function send(identity, signal) {
  try {
    process.kill(identity.pid, signal);
  } catch {
    // gone between the look and the signal
  }
}

/** proc(5): field 3 is the state, field 22 the start time in clock ticks since boot; the name in field 2 may hold anything but ends at the last ")". */
function startOnLinux(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    return `${bootId()}:${fields[19]}`;
  } catch {
    return undefined;
  }
}

let knownBootId;
function bootId() {
  if (knownBootId === undefined) {
    try {
      knownBootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    } catch {
      knownBootId = "linux";
    }
  }
  return knownBootId;
}

function startByPs(pid) {
  try {
    const line = execFileSync("ps", ["-o", "state=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
    if (line === "" || line.startsWith("Z")) return undefined;
    return line.replace(/^\S+\s+/, "");
  } catch {
    return undefined;
  }
}
