import type { Command, Outcome } from "../../engine/command.js";
import { isOfFarewell } from "../../engine/plan-index.js";
import { closeTaskWithin, isOpenFor } from "../tasks/close-task.js";
import { heldMailOf } from "../tasks/held-mail.js";
import { showTask } from "../tasks/task-message.js";
import type { Scene } from "../scene.js";
import { markLeaving } from "./settle-open.js";
import { withdrawMails } from "./withdraw.js";

/**
 * What an exit does to what is open: tasks cancelled and mail that is not on the wire taken back, as the playbook says. Not what its own farewell has begun:
 * where a worker died behind it, in one stretch with it, the run leaves once more. Nor the question whether a mail arrived, which stays open until somebody knows.
 */
export async function performLeave(scene: Scene, command: Extract<Command, { kind: "leave" }>): Promise<Outcome> {
  const { ports, plan, run, at } = scene;
  const { store, tasks } = ports;
  const cancelled = await store.transaction(async (tx) => {
    await markLeaving(scene, tx);
    if (command.deferredEmail === "cancel")
      await withdrawMails(scene, tx, ({ step, effectKey }) => isOfFarewell(plan, step ?? effectKey));
    if (command.openTasks === "keep") return [];
    const status = ports.clock.scale === 1 ? (["open"] as const) : undefined;
    const open = (await tasks.list(tx, { runId: run.id, status })).filter(
      (task) => isOpenFor(ports, task, at) && !isOfFarewell(plan, task.step) && heldMailOf(task) === undefined,
    );
    const closed = [];
    for (const task of open) {
      const patch = {
        status: "cancelled",
        outcome: null,
        note: `the run ended: ${command.outcome}`,
        closedBy: null,
        closedAt: at,
      } as const;
      closed.push(await closeTaskWithin(ports, tx, task, patch));
    }
    return closed;
  });
  for (const task of cancelled) await showTask(ports, task);
  return { kind: "done", at };
}
