import type { Model } from "../../customers/model.js";
import type { Command, Outcome } from "../../engine/command.js";
import { SYSTEM_EVENTS } from "../../engine/event.js";
import { type Effect, effectId, effectInClaim, type Scene } from "../scene.js";

/** Dates the milestone, if it isn't dated, and tells who listens. */
export async function performMilestone(
  scene: Scene,
  command: Extract<Command, { kind: "milestone" }>,
): Promise<Effect<Outcome>> {
  const { store, clock } = scene.ports;
  const { run, at } = scene;
  return effectInClaim(scene, async (tx): Promise<Outcome> => {
    const model = await store.playbooks.configuration<Model>(tx, "model");
    const isPersonal = model?.milestones[command.milestone]?.of === "contact";
    if (isPersonal && run.contactId === undefined) {
      return {
        kind: "failed",
        at,
        reason: `milestone ${command.milestone} is a contact's, and the run is about an account`,
      };
    }
    const contactId = isPersonal ? (run.contactId ?? "") : "";
    const isFirst = await store.customers.reach(tx, {
      accountId: run.accountId,
      contactId,
      milestone: command.milestone,
      at,
      runId: run.id,
    });
    if (isFirst) {
      const event = {
        id: `${SYSTEM_EVENTS.milestoneReached}/${effectId(scene, command)}`,
        name: SYSTEM_EVENTS.milestoneReached,
        at,
        accountId: run.accountId,
        ...(isPersonal && { contactId }),
        payload: { milestone: command.milestone },
        changed: [`milestone.${command.milestone}`],
        source: "run",
      };
      await store.events.append(tx, [event], clock.now());
    }
    return { kind: "done", at };
  });
}
