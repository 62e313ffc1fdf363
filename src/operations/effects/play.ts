import type { Command, Outcome } from "../../engine/command.js";
import { enrol } from "../enrol.js";
import { type Effect, effectId, effectInClaim, type Scene } from "../scene.js";

/** Enrols the run's subject into another playbook; a live run of the same key is told instead, and counts as the one that plays. */
export async function performPlay(scene: Scene, command: Extract<Command, { kind: "play" }>): Promise<Effect<Outcome>> {
  const { run, at, ports } = scene;
  return effectInClaim(scene, async (tx): Promise<Outcome> => {
    const outcome = await enrol(
      ports.store,
      tx,
      {
        playbook: command.playbook,
        accountId: run.accountId,
        contactId: run.contactId,
        contractId: run.contractId,
        at,
        cause: effectId(scene, command),
        inputs: command.inputs,
        parent: { run: run.id, key: command.key },
        source: "run",
      },
      ports.clock.now(),
    );
    if (outcome.kind === "refused") return { kind: "played", at, run: null, refused: outcome.reason };
    return { kind: "played", at, run: outcome.run };
  });
}
