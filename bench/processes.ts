import { readdirSync, readFileSync } from "node:fs";

/** What the kernel has counted for processes so far. Linux only: it is read from /proc. */
export interface Usage {
  /** User and system, seconds. */
  readonly cpuSeconds: number;
  /** Resident, MiB. */
  readonly residentMiB: number;
}

/** Clock ticks a second in /proc: 100 on every Linux that Node runs on. Source: `getconf CLK_TCK`. */
const TICKS = 100;

/** What this process has used; with `children` also those below it that live, and those that it has waited for. 0 for one that is gone. */
export function usageOf(pid: number, options: { readonly children?: boolean } = {}): Usage {
  const fields = statOf(pid);
  if (fields === undefined) return { cpuSeconds: 0, residentMiB: 0 };
  // Numbers of the fields: proc(5), counted from behind the name (state is 0).
  const [user, system, userOfDead, systemOfDead] = [11, 12, 13, 14].map((index) => Number(fields[index]));
  let cpuSeconds = ((user ?? 0) + (system ?? 0)) / TICKS;
  let residentMiB = residentOf(pid);
  if (options.children === true) {
    cpuSeconds += ((userOfDead ?? 0) + (systemOfDead ?? 0)) / TICKS;
    for (const child of childrenOf(pid)) {
      const usage = usageOf(child, options);
      cpuSeconds += usage.cpuSeconds;
      residentMiB += usage.residentMiB;
    }
  }
  return { cpuSeconds, residentMiB };
}

/** The largest that the process has been, MiB; 0 for one that is gone. */
export function peakMiB(pid: number): number {
  return memoryLine(pid, "VmHWM");
}

function residentOf(pid: number): number {
  return memoryLine(pid, "VmRSS");
}

function memoryLine(pid: number, name: string): number {
  try {
    const [, kib] = new RegExp(`${name}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return Number(kib ?? 0) / 1024;
  } catch {
    return 0;
  }
}

function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((other) => Number(statOf(other)?.[1]) === pid);
}
