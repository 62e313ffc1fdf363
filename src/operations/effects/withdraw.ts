import type { Command, Outcome } from "../../engine/command.js";
import { closeTaskWithin, isOpenFor } from "../tasks/close-task.js";
import { mailAgainId } from "../tasks/held-mail.js";
import { showTask } from "../tasks/task-message.js";
import type { DeliveryRow } from "../../ports/ledger.js";
import type { Tx } from "../../ports/transactions.js";
import type { Scene } from "../scene.js";

/**
 * Takes back the run's mail that is not on the wire, but for what a person has sent again: that goes though the run has ended; and for what `isSpared`. In the caller's
 * transaction, under the account's lock.
 */
export async function withdrawMails(
  { ports, run }: Scene,
  tx: Tx,
  isSpared: (mail: DeliveryRow) => boolean = () => false,
): Promise<void> {
  const { ledger, store } = ports;
  for (const mail of await ledger.openOf(tx, run.id)) {
    const { key, channel } = mail;
    if (channel !== "email" || isSpared(mail)) continue;
    const again = await store.due.withPrefix(tx, mailAgainId(key), [run.accountId]);
    if (again.every(({ isDone }) => isDone)) await ledger.drop(tx, key, "withdrawn", "the run has ended");
  }
}

/** Takes back what of an e-mail is not on the wire; what is counts as sent. */
export async function performWithdraw(
  scene: Scene,
  command: Extract<Command, { kind: "email_withdraw" }>,
): Promise<Outcome> {
  const { ledger, store } = scene.ports;
  await store.transaction(async (tx) => {
    await scene.lock(tx);
    for (const row of await ledger.ofEffect(tx, scene.run.id, command.email)) {
      await ledger.drop(tx, row.key, command.reason === "stale" ? "skipped" : "withdrawn", command.reason);
    }
  });
  return { kind: "done", at: scene.at };
}

/** Cancels an open task whose branch was withdrawn; one that was closed meanwhile stays as it is. */
export async function performTaskWithdraw(
  scene: Scene,
  command: Extract<Command, { kind: "task_withdraw" }>,
): Promise<Outcome> {
  const { ports, run, at } = scene;
  const cancelled = await ports.store.transaction(async (tx) => {
    await scene.lock(tx);
    const task = await ports.tasks.read(tx, command.task);
    if (task === undefined || !isOpenFor(ports, task, at)) return undefined;
    const patch = {
      status: "cancelled",
      outcome: null,
      note: "no longer needed",
      closedBy: null,
      closedAt: at,
    } as const;
    return closeTaskWithin(ports, tx, task, patch);
  });
  if (cancelled) await showTask(ports, cancelled);
  return { kind: "done", at };
}
