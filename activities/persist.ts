import { ApplicationFailure, Context } from "@temporalio/activity";
import { persistRequest } from "../src/operations/perform.js";
import type { PerformPorts } from "../src/operations/perform-ports.js";
import type { RunActivities } from "./index.js";

/**
 * One attempt may take so long, real milliseconds: longer than the ten minutes that a mail server has for its answer, shorter than the
 * activity's own time-out (`workflows/run-playbook.ts`).
 */
const ATTEMPT_MS = 13 * 60_000;

/** A cancellation comes with the answer to a heartbeat. */
const HEARTBEAT_MS = 2_000;

/** No busy loop where the ledger says "at once". */
const LEAST_DELAY_MS = 100;

/**
 * One delivery, tried until it is settled: the ledger says when again, and Temporal waits as long (`nextRetryDelay`). A cancelled attempt (something
 * arrived that may change what should be done; the worker shuts down) is left: what it has on the wire goes on by itself, and the
 * next attempt follows it by its row.
 */
export function persistActivity(ports: PerformPorts): RunActivities["persist"] {
  return async (request) => {
    const context = Context.current();
    const beating = setInterval(() => context.heartbeat(), HEARTBEAT_MS);
    try {
      const attempt = persistRequest(ports, request, { budgetMs: ATTEMPT_MS });
      // Left alone, it must not bring the process down.
      attempt.catch(() => {});
      const answer = await Promise.race([attempt, context.cancelled]);
      if (answer.kind !== "retry") return answer;
      throw ApplicationFailure.create({
        type: "NotSettled",
        message: `delivery ${request.command.key} is not settled yet`,
        nextRetryDelay: Math.max(LEAST_DELAY_MS, answer.afterMs),
      });
    } finally {
      clearInterval(beating);
    }
  };
}
