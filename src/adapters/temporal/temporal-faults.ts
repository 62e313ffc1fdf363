import { isGrpcServiceError } from "@temporalio/client";

/** Temporal can't be reached just now: answer 503, or wait and try again. */
export class TemporalUnavailable extends Error {
  override readonly name = "TemporalUnavailable";
}

/** The error as it is, or, where it says that the server can't be reached, a `TemporalUnavailable` around it. */
export function asTemporalFault(error: unknown): unknown {
  return isAway(error) ? new TemporalUnavailable("Temporal can't be reached", { cause: error }) : error;
}

/** Whether an update was refused unseen because the workflow task that it came with failed (FAILED_PRECONDITION): it may be asked again. */
export function isTaskFailure(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause)
    if (isGrpcServiceError(at) && at.code === 9 && /unexpected workflow task failure/.test(at.message)) return true;
  return false;
}

function isAway(error: unknown): boolean {
  if (isTaskFailure(error)) return true;
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (at.name === "TransportError" || /Failed to connect before the deadline|connect ECONNREFUSED/.test(at.message))
      return true;
    if (isGrpcServiceError(at) && AWAY.has(at.code)) return true;
  }
  return false;
}

/** DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE. Source: grpc's status codes. */
const AWAY = new Set<number>([4, 8, 14]);
