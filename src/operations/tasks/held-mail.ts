import type { Task } from "../../ports/tasks.js";
import type { Tx } from "../../ports/transactions.js";
import type { DeskPorts } from "../perform-ports.js";

/** What a person answers who was asked whether a mail arrived. */
export const HELD_MAIL_OUTCOMES = ["it_arrived", "send_again"] as const;

/** The effect key of the task about a mail that nobody knows the fate of; `attempt` is the ledger's count: silence may fall more than once. */
export function heldMailTask(deliveryKey: string, attempt: number): string {
  return `${deliveryKey}|unknown|${attempt}`;
}

/** The key of the delivery that the task asks about; undefined: any other task. */
export function heldMailOf({ effectKey }: Pick<Task, "effectKey">): string | undefined {
  return /^(.*\|email)\|unknown\|\d+$/s.exec(effectKey)?.[1];
}

/** The id of the due item that sends the mail again. */
export function mailAgainId(deliveryKey: string): string {
  return `mail_again|${deliveryKey}`;
}

/**
 * Settles the mail as the person said who closed the task about it: `it_arrived` → taken as sent, `send_again` → a worker sends it (`desk-due.ts`).
 * Skipped or cancelled: it stays held. Nothing for any other task. In the caller's transaction, which holds the account's lock.
 */
export async function settleHeldMail(
  ports: Pick<DeskPorts, "ledger" | "store" | "clock">,
  tx: Tx,
  task: Task,
): Promise<void> {
  const { status, outcome, accountId } = task;
  const key = heldMailOf(task);
  if (key === undefined || status !== "done") return;
  if (outcome === "it_arrived") await ports.ledger.resolve(tx, key, "resolved", "a person says it arrived");
  if (outcome === "send_again" && (await ports.ledger.reopen(tx, key, "a person has it sent again"))) {
    const item = {
      id: mailAgainId(key),
      kind: "mail_again",
      at: ports.clock.now(),
      accountId,
      payload: { key },
    } as const;
    await ports.store.due.arm(tx, [item]);
  }
}
