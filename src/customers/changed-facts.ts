import type { Model } from "./model.js";
import { BUILT_IN_FIELDS } from "./model.js";

/** A change of one of these may make another contract the account's current one. */
const DECIDE_CURRENT_CONTRACT = new Set(["contract.id", "contract.status", "contract.end_date"]);

/**
 * All fact paths that a change touches, in order: `sample:NAME`, `tickets`, `survey` and `goals` become the facts made
 * of them, a field brings along what is derived from it. Empty in, empty out.
 */
export function changedFacts(model: Model | undefined, changed: readonly string[]): string[] {
  const paths = new Set<string>();
  for (const change of changed) for (const path of factsOf(model, change)) paths.add(path);
  return [...paths].sort();
}

function factsOf(model: Model | undefined, change: string): string[] {
  const metrics = Object.entries(model?.metrics ?? {});
  if (change.startsWith("sample:")) {
    return metrics.filter(([, metric]) => metric.from === change.slice(7)).map(([name]) => `usage.${name}`);
  }
  switch (change) {
    case "tickets":
      return ["open", "opened_7d", "opened_90d", "closed_90d", "weekly_mean_8w"].map((name) => `tickets.${name}`);
    case "survey":
      return ["nps", "nps_at", "nps_count", "csat", "my_nps"].map((name) => `survey.${name}`);
    case "goals":
      return ["goals.count", "goals.on_track_share"];
    case "account.csm":
      return ["account.csm", "account.csm_name", "account.manager"];
    case "contact.role":
      return [change, ...metrics.filter(([, metric]) => metric.role !== undefined).map(([name]) => `usage.${name}`)];
  }
  if (DECIDE_CURRENT_CONTRACT.has(change)) {
    return Object.keys(model?.contract ?? BUILT_IN_FIELDS.contract).map((name) => `contract.${name}`);
  }
  const [entity, field] = change.split(".") as ["account" | "contact" | "contract", string];
  const derived = Object.entries(model?.[entity] ?? {}).filter(
    ([, { derived: rule }]) => rule?.date === field || rule?.days === field,
  );
  // A day means another instant in another zone.
  if (change === "account.timezone") {
    const dates = (["account", "contract"] as const).flatMap((owner) =>
      Object.entries(model?.[owner] ?? {})
        .filter(([, { type }]) => type === "date")
        .map(([name]) => `${owner}.${name}`),
    );
    return [change, ...dates];
  }
  return [change, ...derived.map(([name]) => `${entity}.${name}`)];
}
