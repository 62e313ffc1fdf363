import { performRequest } from "../src/operations/perform.js";
import type { PerformPorts } from "../src/operations/perform-ports.js";
import type { RunActivities } from "./index.js";

/** The commands of a run as far as they go at once: `performRequest` within the budget of a local activity. */
export function performActivity(ports: PerformPorts): RunActivities["perform"] {
  return (request) => performRequest(ports, request);
}
