import type { Command, Outcome } from "../../engine/command.js";
import { SYSTEM_EVENTS } from "../../engine/event.js";
import { holdsBack } from "../../engine/holds-back.js";
import type { NewEvent } from "../../ports/events.js";
import type { Tx } from "../../ports/transactions.js";
import type { Scene } from "../scene.js";

/** Takes the counted holds of the run, and tells each live run for which this playbook's hold is the first. */
export async function performHold(scene: Scene, command: Extract<Command, { kind: "hold" }>): Promise<Outcome> {
  const { store, holds, clock } = scene.ports;
  const { run, at } = scene;
  await store.transaction(async (tx) => {
    await scene.lock(tx);
    const before = await holds.of(tx, run.accountId);
    const events: NewEvent[] = [];
    for (const playbook of command.playbooks) {
      const isFirst = !before.some((hold) => hold.playbook === playbook && hold.holderPlaybook === run.playbook);
      const isNew = await holds.take(tx, {
        accountId: run.accountId,
        playbook,
        holderRun: run.id,
        holderPlaybook: run.playbook,
        since: at,
      });
      if (isNew && isFirst) events.push(...(await tellRuns(scene, tx, playbook, SYSTEM_EVENTS.held)));
    }
    await store.events.append(tx, events, clock.now());
  });
  return { kind: "done", at };
}

/** Ends the run's holds, and tells each live run for which it was this playbook's last. In the caller's transaction, under the account's lock. */
export async function releaseHolds(scene: Scene, tx: Tx): Promise<void> {
  const { store, holds, clock } = scene.ports;
  const released = await holds.release(tx, scene.run.id);
  if (released.length === 0) return;
  const left = await holds.of(tx, scene.run.accountId);
  const events: NewEvent[] = [];
  for (const { playbook } of released) {
    if (left.some((hold) => hold.playbook === playbook && hold.holderPlaybook === scene.run.playbook)) continue;
    for (const event of await tellRuns(scene, tx, playbook, SYSTEM_EVENTS.released)) {
      events.push(event);
      if (event.runId !== undefined) await store.runs.released(tx, event.runId, scene.at);
    }
  }
  await store.events.append(tx, events, clock.now());
}

async function tellRuns(scene: Scene, tx: Tx, playbook: string, name: string): Promise<NewEvent[]> {
  const { store } = scene.ports;
  const { run, at } = scene;
  const events: NewEvent[] = [];
  for (const other of await store.runs.live(tx, run.accountId)) {
    if (other.playbook !== playbook || other.id === run.id) continue;
    const plan = await store.playbooks.plan(tx, other.hash);
    if (!plan || !holdsBack(scene.plan, run, plan, other)) continue;
    events.push({
      id: `${name}/${run.id}/${other.id}`,
      name,
      // A run can't hear of what was before it began.
      at: Math.max(at, other.startedAt),
      accountId: run.accountId,
      runId: other.id,
      payload: { hold: `playbook:${run.playbook}`, ...(run.parent?.run === other.id && { played: run.id }) },
      source: "run",
    });
  }
  return events;
}
