import { holdsBack } from "../engine/holds-back.js";
import type { Tx } from "../ports/transactions.js";
import type { Scene } from "./scene.js";

/** Whether a counted hold of the account concerns the run now; `holders` were read in the claim ('' is an operator), so that a hold taken a moment ago counts. */
export async function isHeldNow(scene: Scene, tx: Tx, holders: readonly string[]): Promise<boolean> {
  const { store } = scene.ports;
  if (holders.length === 0) return false;
  const live = await store.runs.live(tx, scene.run.accountId);
  for (const holderRun of holders) {
    if (holderRun === "") return true;
    const holder = live.find(({ id }) => id === holderRun);
    const plan = holder && (await store.playbooks.plan(tx, holder.hash));
    if (holder && plan && holdsBack(plan, holder, scene.plan, scene.run)) return true;
  }
  return false;
}
