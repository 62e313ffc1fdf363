import { holdsBack } from "../engine/holds-back.js";
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
