import type { Clock } from "../../ports/clock.js";
import type { Instant } from "../../values/instant.js";
import { Problem } from "./problem.js";

/** When something is done: now, or what a scripted person says, which only counts where domain time is not real time. */
export function domainAt(clock: Clock, given: Instant | undefined): Instant {
  if (given === undefined) return clock.now();
  if (clock.scale !== 1) return given;
  throw new Problem("bad-request", "here it is always now", {
    errors: [{ path: "at", message: "may only be given with a time scale above 1" }],
  });
}

/** The clock of one deed that a scripted person dates. */
export function clockAt(clock: Clock, at: Instant): Clock {
  return { ...clock, now: () => at };
}
