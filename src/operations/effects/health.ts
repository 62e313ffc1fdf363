import type { Outcome } from "../../engine/command.js";
import { type Effect, inClaim, type Scene } from "../scene.js";

/** The score, measured now. The meter writes in a transaction of its own; measuring the same instant again changes nothing. */
export async function performHealth(scene: Scene): Promise<Effect<Outcome>> {
  const claimed = await inClaim(scene, async () => undefined);
  if (claimed.kind === "events") return claimed;
  const { score, status } = await scene.ports.health.measure(scene.run.accountId, scene.at, "step");
  return { kind: "outcome", outcome: { kind: "measured", at: scene.at, score, status } };
}
