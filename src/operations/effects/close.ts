import type { Command, Outcome } from "../../engine/command.js";
import { SYSTEM_EVENTS } from "../../engine/event.js";
import type { NewEvent } from "../../ports/events.js";
import type { Scene } from "../scene.js";
import { releaseHolds } from "./hold.js";

/** Ends the run in the store: holds released, outcome written, and `run.ended` told to the run that played it and to whoever listens. Idempotent. */
export async function performClose(scene: Scene, command: Extract<Command, { kind: "close" }>): Promise<Outcome> {
  const { store, clock } = scene.ports;
  const { run, at } = scene;
  await store.transaction(async (tx) => {
    await store.lockAccounts(tx, [run.accountId]);
    await releaseHolds(scene, tx);
    await store.runs.end(tx, run.id, command.outcome, at);
    const ended: NewEvent = {
      id: `${SYSTEM_EVENTS.runEnded}/${run.id}`,
      name: SYSTEM_EVENTS.runEnded,
      at,
      accountId: run.accountId,
      ...(run.contactId !== undefined && { contactId: run.contactId }),
      payload: { run: run.id, playbook: run.playbook, outcome: command.outcome },
      source: "run",
    };
    const events = [ended];
    const parent = run.parent && (await store.runs.get(tx, run.parent.run));
    if (parent && parent.status !== "ended") {
      const { contactId: _, ...rest } = ended;
      events.push({
        ...rest,
        id: `${ended.id}/${parent.id}`,
        at: Math.max(at, parent.startedAt),
        accountId: parent.accountId,
        runId: parent.id,
      });
    }
    await store.events.append(tx, events, clock.now());
  });
  return { kind: "done", at };
}
