import type { Command, Outcome } from "../../engine/command.js";
import { isFinal } from "../deliver.js";
import { closeTaskWithin, isOpenFor } from "../tasks/close-task.js";
import { mailAgainId } from "../tasks/held-mail.js";
import { showTask } from "../tasks/task-message.js";
import type { DeliveryRow } from "../../ports/ledger.js";
import type { Tx } from "../../ports/transactions.js";
import type { Effect, Scene } from "../scene.js";
import { followMail } from "./email.js";

/**
 * Takes back the run's mail that is not on the wire, but for what a person has sent again: that goes though the run has ended; and for what `isSpared`. What it is too
 * late for: on the wire, or of unknown fate. In the caller's transaction, under the account's lock.
 */
export async function withdrawMails(
  scene: Scene,
  tx: Tx,
  isSpared: (mail: DeliveryRow) => boolean = () => false,
): Promise<DeliveryRow[]> {
  const open = await scene.ports.ledger.openOf(tx, scene.run.id);
  const mails = open.filter((mail) => mail.channel === "email" && !isSpared(mail));
  return takeBack(scene, tx, mails, "withdrawn", "the run has ended");
}

async function takeBack(
  { ports, run }: Scene,
  tx: Tx,
  mails: readonly DeliveryRow[],
  status: "skipped" | "withdrawn",
  reason: string,
): Promise<DeliveryRow[]> {
  const { ledger, store } = ports;
  const late: DeliveryRow[] = [];
  for (const { key } of mails) {
    const again = await store.due.withPrefix(tx, mailAgainId(key), [run.accountId]);
    if (again.some(({ isDone }) => !isDone) || (await ledger.drop(tx, key, status, reason))) continue;
    const now = await ledger.read(tx, key);
    if (now?.status === "wire" || now?.status === "unknown") late.push(now);
  }
  return late;
}

/** Takes back what of an e-mail is not on the wire, and follows what is: nobody else comes back to it. */
export async function performWithdraw(
  scene: Scene,
  { email, reason }: Extract<Command, { kind: "email_withdraw" }>,
): Promise<Effect<Outcome>> {
  const { ledger, store } = scene.ports;
  const takeBackNow = () =>
    store.transaction(async (tx) => {
      await scene.lock(tx);
      const mails = (await ledger.ofEffect(tx, scene.run.id, email)).filter(
        (row) => row.status === "unknown" || !isFinal(row),
      );
      return takeBack(scene, tx, mails, reason === "stale" ? "skipped" : "withdrawn", reason);
    });
  const late = await takeBackNow();
  const waits: number[] = [];
  for (const row of late) {
    const afterMs = await followMail(scene, row);
    if (afterMs !== undefined) waits.push(afterMs);
  }
  if (waits.length > 0) return { kind: "retry", afterMs: Math.min(...waits) };
  // What the mail server has not taken in the end.
  if (late.length > 0) await takeBackNow();
  return { kind: "outcome", outcome: { kind: "done", at: scene.at } };
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
