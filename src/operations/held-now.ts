import type { Plan } from "../engine/plan.js";
import type { RunRow } from "../ports/runs.js";
import type { Tx } from "../ports/transactions.js";
import type { Scene } from "./scene.js";

/** Whether a counted hold of the account concerns the run now; what an operator holds, too. Read in the claim, so that a hold taken a moment ago counts. */
export async function isHeldNow(scene: Scene, tx: Tx): Promise<boolean> {
  const { store, holds } = scene.ports;
  const rows = (await holds.of(tx, scene.run.accountId)).filter(({ playbook }) => playbook === scene.run.playbook);
  if (rows.length === 0) return false;
  const live = await store.runs.live(tx, scene.run.accountId);
  for (const { holderRun } of rows) {
    if (holderRun === "") return true;
    const holder = live.find(({ id }) => id === holderRun);
    const plan = holder && (await store.playbooks.plan(tx, holder.hash));
    if (holder && plan && holdsBack(plan, holder, scene.plan, scene.run)) return true;
  }
  return false;
}

/**
 * Whether a run of the one playbook really holds a run of the other: where each pauses the other, the one with the lower priority is held; of
 * equals the one that began later.
 */
export function holdsBack(
  holder: Pick<Plan, "playbook" | "pauses">,
  holderRun: Pick<RunRow, "id" | "priority" | "startedAt">,
  held: Pick<Plan, "playbook" | "pauses">,
  heldRun: Pick<RunRow, "id" | "priority" | "startedAt">,
): boolean {
  if (!holder.pauses.includes(held.playbook)) return false;
  if (!held.pauses.includes(holder.playbook)) return true;
  if (holderRun.priority !== heldRun.priority) return holderRun.priority > heldRun.priority;
  if (holderRun.startedAt !== heldRun.startedAt) return holderRun.startedAt < heldRun.startedAt;
  return holderRun.id < heldRun.id;
}
