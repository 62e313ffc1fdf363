/** A process that can't be mistaken for a later one with the same number. */
export interface ProcessIdentity {
  pid: number;
  /** When it started, in the system's own words: compared for equality, never read. */
  startedAt: string;
}

/** A process to be ended, and the signal it takes as "finish in order". */
export interface EndableProcess extends ProcessIdentity {
  name: string;
  stopSignal: NodeJS.Signals;
}

/** The identity of a live process; `undefined` if there is none, or only a zombie. */
export function identifyProcess(pid: number): ProcessIdentity | undefined;

/** Whether exactly this process (number and start time) is alive. */
export function isAlive(process: ProcessIdentity): boolean;

/**
 * Ends these processes: each its own signal, after `graceMs` SIGKILL. Returns the names of those that were alive.
 * Processes that are gone, or whose number belongs to another process by now, are left alone.
 */
export function endProcesses(processes: readonly EndableProcess[], graceMs: number): Promise<string[]>;
