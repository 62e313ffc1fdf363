import type { Instant } from "../values/instant.js";
import type { Plan } from "./plan.js";

/** What of a run decides who holds whom. */
export interface RankedRun {
  readonly id: string;
  readonly priority: number;
  readonly startedAt: Instant;
}

/**
 * Whether a run of the one playbook really holds a run of the other: where each pauses the other, the one with the lower priority is held; of
 * equals the one that began later.
 */
export function holdsBack(
  holder: Pick<Plan, "playbook" | "pauses">,
  holderRun: RankedRun,
  held: Pick<Plan, "playbook" | "pauses">,
  heldRun: RankedRun,
): boolean {
  if (!holder.pauses.includes(held.playbook)) return false;
  if (!held.pauses.includes(holder.playbook)) return true;
  if (holderRun.priority !== heldRun.priority) return holderRun.priority > heldRun.priority;
  if (holderRun.startedAt !== heldRun.startedAt) return holderRun.startedAt < heldRun.startedAt;
  return holderRun.id < heldRun.id;
}
