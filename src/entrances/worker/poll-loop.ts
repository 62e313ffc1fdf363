import { setTimeout as sleep } from "node:timers/promises";
import { isAway } from "../../ports/away.js";
import type { Logger } from "../logger.js";

export interface PollLoop {
  /** In the log. */
  readonly name: string;
  /** Real milliseconds between two looks when there was nothing to do. */
  readonly everyMs: number;
  /** One look; how much was done. More than 0: it looks again at once, or after `leastMs`. */
  readonly work: () => Promise<number>;
  /** Behind a look that found something the next begins so long after it began, real milliseconds: what comes meanwhile is done with fewer looks. Default 0. */
  readonly leastMs?: number;
  /** Ends a pause before its time. */
  readonly nudge?: Nudge;
}

/** Somebody waits for what a loop does: it looks at once, or once more after the look under way. */
export class Nudge {
  #isNudged = false;
  readonly #loops = new Set<() => void>();

  now(): void {
    this.#isNudged = true;
    for (const wake of this.#loops) wake();
  }

  /** After so many real milliseconds, with the next nudge, or when the signal aborts; at once if it was nudged since the last pause. */
  async pause(ms: number, signal: AbortSignal): Promise<void> {
    const early = new AbortController();
    const wake = () => early.abort();
    this.#loops.add(wake);
    if (!this.#isNudged)
      await sleep(ms, undefined, { signal: AbortSignal.any([signal, early.signal]) }).catch(() => {});
    this.#isNudged = false;
    this.#loops.delete(wake);
  }
}

const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 10_000;

/**
 * Looks until the signal aborts, then ends when the look under way has. Never throws: a look that fails is tried again with
 * growing pauses, with one line in the log when it begins to fail and one when it works again.
 */
export async function runPollLoop(loop: PollLoop, signal: AbortSignal, logger: Logger): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    let pauseMs = loop.everyMs;
    let hasFound = false;
    const beganAt = performance.now();
    try {
      const done = await loop.work();
      if (failures > 0) logger.info({ loop: loop.name, failures }, `${loop.name}: works again`);
      failures = 0;
      hasFound = done > 0;
      if (hasFound) pauseMs = Math.max(0, (loop.leastMs ?? 0) - (performance.now() - beganAt));
    } catch (error) {
      failures += 1;
      pauseMs = Math.min(BACKOFF_FIRST_MS * 2 ** (failures - 1), BACKOFF_MAX_MS);
      if (failures === 1) logFailure(logger, loop.name, error);
    }
    // Even a busy loop lets the rest of the process have its turn.
    if (loop.nudge !== undefined && !hasFound) await loop.nudge.pause(pauseMs, signal);
    else await sleep(pauseMs, undefined, { signal }).catch(() => {});
  }
}

/** What is away is a line; what is broken has its stack. */
function logFailure(logger: Logger, name: string, error: unknown): void {
  if (isAway(error)) logger.warn({ loop: name }, `${name}: ${error.message}; trying again until it works`);
  else logger.error({ loop: name, err: error }, `${name}: failed; trying again until it works`);
}
