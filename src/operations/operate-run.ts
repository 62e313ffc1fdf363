import type { Audit } from "../ports/audit.js";
import type { Ports } from "../ports/store.js";
import type { OperatorVerb, Workflows } from "../ports/workflows.js";

export interface OperatePorts extends Ports {
  readonly workflows: Workflows;
  readonly audit: Audit;
}

export type Operated =
  | { readonly kind: "done" }
  | { readonly kind: "unknown" }
  /** The run itself says why. */
  | { readonly kind: "refused"; readonly reason: string };

/**
 * A person pauses, resumes, retries, skips the failed step of, or stops a run. The run decides whether it can; what it takes on is
 * in the audit (a crash in between leaves it to the run's timeline, which names the person too). Throws what the store or Temporal throws when they are away: then nothing is known to have happened, and asking again is safe
 * (a verb that was taken on is refused the second time).
 */
export async function operateRun(ports: OperatePorts, run: string, verb: OperatorVerb, by: string): Promise<Operated> {
  const { store, clock, audit } = ports;
  const row = await store.read((tx) => store.runs.get(tx, run));
  if (row === undefined) return { kind: "unknown" };
  if (row.status === "ended") return { kind: "refused", reason: "the run has ended" };
  const at = clock.now();
  const answer = await ports.workflows.operate(run, verb, by, at);
  if (!answer.ok) return { kind: "refused", reason: answer.reason };
  await store.transaction((tx) => audit.record(tx, { at, actor: by, action: `run.${verb}`, subject: run }));
  return { kind: "done" };
}
