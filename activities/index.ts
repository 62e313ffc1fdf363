import type { PerformRequest, PerformResponse } from "../src/engine/perform.js";

/** What runs call. */
export interface RunActivities {
  /** Does the commands as far as they go at once; the first try, as a local activity. */
  perform(request: PerformRequest): Promise<PerformResponse>;
  /** Does one delivery, and fails retryably until it is settled. */
  persist(request: PerformRequest): Promise<PerformResponse>;
}
