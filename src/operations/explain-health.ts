import {
  explainHealth as explain,
  type HealthExplanation,
  healthExplanationText,
} from "../customers/explain-health.js";
import type { HealthModel } from "../customers/health-model.js";
import type { HealthPorts } from "../ports/health.js";

/** The explanation, and the same for people to read. */
export interface ExplainedAccount {
  readonly explanation: HealthExplanation;
  readonly text: string;
}

/** Why the account's health is what is shown now; undefined where it has never been measured, or nothing is published. */
export async function explainHealth(ports: HealthPorts, accountId: string): Promise<ExplainedAccount | undefined> {
  const { store, health, clock } = ports;
  return store.read(async (tx) => {
    const now = clock.now();
    const model = await store.playbooks.configuration<HealthModel>(tx, "health");
    const row = await health.get(tx, accountId);
    if (model === undefined || row === undefined) return undefined;
    const override = await health.override(tx, accountId);
    const facts = await store.facts.within(tx).read({ accountId }, ["health.change_7d", "health.change_30d"], now);
    const change = (path: string) => (typeof facts[path] === "number" ? facts[path] : undefined);
    const explanation = explain(model, row, override !== undefined && override.until > now ? override : undefined, {
      "7d": change("health.change_7d"),
      "30d": change("health.change_30d"),
    });
    return { explanation, text: healthExplanationText(explanation) };
  });
}
