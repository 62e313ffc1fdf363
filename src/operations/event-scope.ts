import type { Plan } from "../engine/plan.js";
import type { EventScope } from "../ports/events.js";
import type { RunRow } from "../ports/runs.js";

/** What an event must fit to be the run's: one rule for who asks (`perform`) and who tells (the dispatcher). */
export function eventScopeOf(run: RunRow, plan: Plan): EventScope {
  return {
    runId: run.id,
    accountId: run.accountId,
    startedAt: run.startedAt,
    listens: plan.listens,
    ...(run.contactId !== undefined && { contactId: run.contactId }),
    ...(run.contractId !== undefined && { contractId: run.contractId }),
    ...(run.enrolledBy !== undefined && { enrolledBy: run.enrolledBy }),
  };
}
