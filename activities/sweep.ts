import { Context } from "@temporalio/activity";
import type { SweepActivities } from "./index.js";

/** Far below the heartbeat time-out of `workflows/sweep-accounts.ts`. */
const HEARTBEAT_MS = 10_000;

/** The portfolio's daily evaluation as far as it is due. `sweep` keeps how far it got, so a repeated one goes on there. */
export function sweepActivity(sweep: () => Promise<number>): SweepActivities["sweep"] {
  return async () => {
    const context = Context.current();
    const beating = setInterval(() => context.heartbeat(), HEARTBEAT_MS);
    try {
      return await sweep();
    } finally {
      clearInterval(beating);
    }
  };
}
