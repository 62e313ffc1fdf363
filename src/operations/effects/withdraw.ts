import type { Command, Outcome } from "../../engine/command.js";
import type { Scene } from "../scene.js";

/** Takes back what of an e-mail is not on the wire; what is counts as sent. */
export async function performWithdraw(
  scene: Scene,
  command: Extract<Command, { kind: "email_withdraw" }>,
): Promise<Outcome> {
  const { ledger, store } = scene.ports;
  await store.transaction(async (tx) => {
    await store.lockAccounts(tx, [scene.run.accountId]);
    for (const row of await ledger.ofEffect(tx, scene.run.id, command.email)) {
      await ledger.drop(tx, row.key, command.reason === "stale" ? "skipped" : "withdrawn", command.reason);
    }
  });
  return { kind: "done", at: scene.at };
}
