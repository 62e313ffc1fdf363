import type { Task } from "../../ports/tasks.js";
import type { Tx } from "../../ports/transactions.js";
import type { DeskPorts } from "../perform-ports.js";

/** The task with the patch, under the account's lock: nobody else can have changed it since it was read there. */
export async function changeTask(
  ports: Pick<DeskPorts, "tasks">,
  tx: Tx,
  task: Task,
  patch: Parameters<DeskPorts["tasks"]["change"]>[3],
): Promise<Task> {
  const changed = await ports.tasks.change(tx, task.id, task.revision, patch);
  if (!changed) throw new Error(`task ${task.id} changed under the account's lock`);
  return changed;
}
