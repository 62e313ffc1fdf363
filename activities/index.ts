import type { Answer, PerformRequest, PerformResponse, PersistRequest } from "../src/engine/perform.js";
import type { PerformPorts } from "../src/operations/perform-ports.js";
import { performActivity } from "./perform.js";
import { persistActivity } from "./persist.js";
import { sweepActivity } from "./sweep.js";

/** What runs call. */
export interface RunActivities {
  /** Walks a stretch; as a local activity, so that the state it is given enters no history. */
  perform(request: PerformRequest): Promise<PerformResponse>;
  /** Does one delivery, and fails retryably until it is settled. */
  persist(request: PersistRequest): Promise<Answer>;
}

/** What the daily sweep calls. */
export interface SweepActivities {
  /** How many accounts were measured; 0: nothing was due. */
  sweep(): Promise<number>;
}

/**
 * Everything that workflows call, on these ports.
 *
 * @param sweep does what is due of the daily evaluation; how many accounts were measured
 */
export function createActivities(
  ports: PerformPorts,
  sweep: () => Promise<number>,
): RunActivities & SweepActivities & Record<string, unknown> {
  return {
    perform: performActivity(ports),
    persist: persistActivity(ports),
    sweep: sweepActivity(sweep),
  };
}
