import { ApplicationFailure, Context } from "@temporalio/activity";
import { NotYetItsTurn } from "../src/engine/stretch.js";
import { performRequest } from "../src/operations/perform.js";
import type { PerformPorts } from "../src/operations/perform-ports.js";
import { StorePutBack } from "../src/ports/put-backs.js";
import type { RunActivities } from "./index.js";

/** How long a normal activity may wait for its turn, real milliseconds, within its time-out; a local one only as long as its call's time allows. */
const TURN_MS = 5_000;

/** Before it asks again for its turn. */
const AGAIN_MS = 50;

/** Between two looks of a run that is ahead of a store that was put back, while a person is waited for. */
const HELD_MS = 5_000;

/** A stretch of a run: `performRequest` within the budget of a local activity. */
export function performActivity(ports: PerformPorts): RunActivities["perform"] {
  return async (request) => {
    try {
      return await performRequest(ports, request, Context.current().info.isLocal ? {} : { turnMs: TURN_MS });
    } catch (error) {
      // No fault: no back-off.
      const { name: type, message } = error as Error;
      if (error instanceof StorePutBack)
        throw ApplicationFailure.create({ type: "StorePutBack", message, nextRetryDelay: HELD_MS });
      if (!(error instanceof NotYetItsTurn)) throw error;
      throw ApplicationFailure.create({ type, message, nextRetryDelay: AGAIN_MS });
    }
  };
}
