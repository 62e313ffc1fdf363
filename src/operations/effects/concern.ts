import type { Command, Outcome } from "../../engine/command.js";
import { TextFault } from "../../ports/composer.js";
import { type Effect, effectId, effectInClaim, type Scene } from "../scene.js";
import { filledText } from "../text-variables.js";

type ConcernCommand = Extract<Command, { kind: "risk" | "opportunity" }>;

/** Raises a risk or an opportunity, once. */
export async function performConcern(scene: Scene, command: ConcernCommand): Promise<Effect<Outcome>> {
  const { run, at, ports } = scene;
  let text: string | null = null;
  try {
    if (command.text !== undefined) text = await filledText(scene, command.text, command.scope, "plain");
  } catch (error) {
    if (!(error instanceof TextFault)) throw error;
    return { kind: "outcome", outcome: { kind: "failed", at, reason: error.message } };
  }
  return effectInClaim(scene, async (tx): Promise<Outcome> => {
    const base = { id: effectId(scene, command), accountId: run.accountId, runId: run.id, text, at };
    if (command.kind === "risk") {
      await ports.concerns.raiseRisk(tx, { ...base, risk: command.risk, severity: command.severity });
    } else {
      await ports.concerns.raiseOpportunity(tx, { ...base, opportunity: command.opportunity });
    }
    return { kind: "done", at };
  });
}
