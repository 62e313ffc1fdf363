import { performRequest } from "../src/operations/perform.js";
import type { PerformPorts } from "../src/operations/perform-ports.js";
import type { RunActivities } from "./index.js";

/** A stretch of a run: `performRequest` within the budget of a local activity. */
export function performActivity(ports: PerformPorts): RunActivities["perform"] {
  return (request) => performRequest(ports, request);
}
