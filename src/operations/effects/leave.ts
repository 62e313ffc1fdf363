import type { Command, Outcome } from "../../engine/command.js";
import { closeTaskWithin, isOpenFor } from "../tasks/close-task.js";
import { showTask } from "../tasks/task-message.js";
import type { Scene } from "../scene.js";

/** What an exit does to what is open: tasks cancelled and mail that is not on the wire taken back, as the playbook says. */
export async function performLeave(scene: Scene, command: Extract<Command, { kind: "leave" }>): Promise<Outcome> {
  const { ports, run, at } = scene;
  const { store, ledger, tasks } = ports;
  const cancelled = await store.transaction(async (tx) => {
    await store.lockAccounts(tx, [run.accountId]);
    // From here on nothing but the farewell goes out, also for calls that were given up and don't know of it.
    await store.runs.record(tx, run.id, { status: "exiting", position: run.position, entries: [], confirm: [] });
    if (command.deferredEmail === "cancel") {
      for (const row of await ledger.openOf(tx, run.id)) {
        if (row.channel === "email") await ledger.drop(tx, row.key, "withdrawn", "the run has ended");
      }
    }
    if (command.openTasks === "keep") return [];
    const status = ports.clock.scale === 1 ? (["open"] as const) : undefined;
    const open = (await tasks.list(tx, { runId: run.id, status })).filter((task) => isOpenFor(ports, task, at));
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
