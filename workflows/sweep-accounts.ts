import { proxyActivities } from "@temporalio/workflow";
import type { SweepActivities } from "../activities/index.js";

const { sweep } = proxyActivities<SweepActivities>({
  startToCloseTimeout: "1 hour",
  heartbeatTimeout: "5 minutes",
  retry: { initialInterval: "1 second", backoffCoefficient: 2, maximumInterval: "1 minute" },
});

/** Started by the Schedule `waypost-sweep`: pokes the daily evaluation of the portfolio. How many accounts were measured. */
export async function sweepAccounts(): Promise<number> {
  return sweep();
}
