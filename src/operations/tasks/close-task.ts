import { SYSTEM_EVENTS } from "../../engine/event.js";
import type { Task, TaskPatch } from "../../ports/tasks.js";
import type { Tx } from "../../ports/transactions.js";
import type { Instant } from "../../values/instant.js";
import type { DeskPorts } from "../perform-ports.js";
import { settleHeldMail } from "./held-mail.js";
import { alarmPrefix } from "./task-keys.js";

/**
 * Whether the task is open at the instant for a run that takes it back. Faster than real time, what somebody does is told ahead of its instant: until
 * then it has not been done. In real time what a person has done stays done, however late the run is.
 */
export function isOpenFor({ clock }: Pick<DeskPorts, "clock">, task: Task, at: Instant): boolean {
  return task.status === "open" || (clock.scale !== 1 && task.closedAt !== null && task.closedAt > at);
}

/**
 * Closes an open task, disarms its alarms and tells its run (`task.closed`), in the caller's transaction, which holds the account's lock.
 * The task as it is then.
 */
export async function closeTaskWithin(
  ports: Pick<DeskPorts, "tasks" | "store" | "clock" | "ledger">,
  tx: Tx,
  task: Task,
  patch: Required<Pick<TaskPatch, "status" | "outcome" | "note" | "closedBy" | "closedAt">>,
): Promise<Task> {
  const closed = await ports.tasks.change(tx, task.id, task.revision, { ...patch, snoozedUntil: null });
  if (!closed) throw new Error(`task ${task.id} changed under the account's lock`);
  const armed = await ports.store.due.withPrefix(tx, alarmPrefix(task.id), [task.accountId]);
  await ports.store.due.disarm(
    tx,
    armed.map(({ id }) => id),
  );
  await settleHeldMail(ports, tx, closed);
  const now = ports.clock.now();
  const event = {
    id: `${SYSTEM_EVENTS.taskClosed}/${task.id}/${closed.revision}`,
    name: SYSTEM_EVENTS.taskClosed,
    at: closed.closedAt ?? now,
    accountId: closed.accountId,
    runId: closed.runId,
    payload: {
      task: closed.id,
      run: closed.runId,
      key: closed.key,
      step: closed.step,
      status: closed.status,
      outcome: closed.outcome ?? "",
      completed_by: closed.closedBy ?? "",
      note: closed.note ?? "",
    },
    changed: ["tasks.required_open", "tasks.open"],
    source: "task",
  };
  await ports.store.events.append(tx, [event], now);
  return closed;
}
