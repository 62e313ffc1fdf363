import type { HealthModel } from "../customers/health-model.js";
import { causeOf, type HealthStatus, nextStanding } from "../customers/hysteresis.js";
import {
  agedFacts,
  type HealthInputs,
  healthFacts,
  healthModelHash,
  measureHealth as measure,
} from "../customers/measure-health.js";
import { canonicalJson } from "../values/canonical-json.js";
import type { Model } from "../customers/model.js";
import type { StoredEvent } from "../ports/events.js";
import type { HealthPorts, HealthRow } from "../ports/health.js";
import type { HealthCause, HealthMeter } from "../ports/health-meter.js";
import type { Tx } from "../ports/transactions.js";
import type { Instant } from "../values/instant.js";

/** What is shown after a measurement. */
export interface ShownHealth {
  /** null: nothing fresh. */
  readonly score: number | null;
  readonly status: HealthStatus;
}

/** The port that a playbook's `health` step calls. */
export function healthMeter(ports: HealthPorts): HealthMeter {
  return { measure: (accountId, asOf, cause) => measureHealth(ports, accountId, asOf, cause) };
}

/**
 * Measures one account from its facts as of the instant, under its lock, and returns what is now shown. Writes score,
 * history and event only where they differ, so repeating it changes nothing; a daily evaluation counts once. Behind a
 * later evaluation, a daily one changes nothing, any other is made at that later instant. Without a published health
 * model: no score, `unknown`, nothing written.
 */
export async function measureHealth(
  ports: HealthPorts,
  accountId: string,
  asOf: Instant,
  cause: HealthCause,
): Promise<ShownHealth> {
  return ports.store.transaction(async (tx) => {
    await ports.store.lockAccounts(tx, [accountId]);
    return measureHealthWithin(tx, ports, accountId, asOf, cause);
  });
}

/** For the dispatcher: measures the account of an event that `evaluate.on` names, as of it; other events cost nothing. True if it was. */
export async function measureOnEvent(
  ports: HealthPorts,
  tx: Tx,
  { name, at, accountId }: Pick<StoredEvent, "name" | "at" | "accountId">,
): Promise<boolean> {
  const model = await ports.store.playbooks.configuration<HealthModel>(tx, "health");
  if (model?.evaluate.on.includes(name) !== true) return false;
  await measureHealthWithin(tx, ports, accountId, at, "event");
  return true;
}

/** As `measureHealth`, inside a transaction that holds the account's lock; an override that has expired is taken off. */
export async function measureHealthWithin(
  tx: Tx,
  ports: HealthPorts,
  accountId: string,
  asOf: Instant,
  evaluation: HealthCause | "override",
): Promise<ShownHealth> {
  const { store, health, clock } = ports;
  const healthModel = await store.playbooks.configuration<HealthModel>(tx, "health");
  const model = await store.playbooks.configuration<Model>(tx, "model");
  if (healthModel === undefined || model === undefined) return { score: null, status: "unknown" };
  const [account] = await store.customers.accounts(tx, [accountId]);
  if (account === undefined) throw new Error(`health: there is no account ${accountId}`);
  const before = await health.get(tx, accountId);
  const isDaily = evaluation === "daily";
  if (isDaily && before !== undefined && (before.at > asOf || (before.dailyAt ?? before.at - 1) >= asOf)) {
    return shown(before);
  }
  const at = Math.max(asOf, before?.at ?? asOf);
  const facts = await store.facts.within(tx).read({ accountId }, healthFacts(healthModel), at);
  const newest = await health.newest(tx, model, accountId, agedFacts(healthModel), at);
  const measurement = measure(healthModel, facts, newest, at);
  const modelHash = healthModelHash(healthModel);
  const isModelNew = before !== undefined && before.modelHash !== modelHash;
  const standing = nextStanding(before, measurement, healthModel, { isDaily, isModelNew });
  const override = await health.override(tx, accountId);
  const hasExpired = override !== undefined && override.until <= at;
  if (hasExpired) await health.clearOverride(tx, accountId);
  const isOverridden = override !== undefined && override.at <= at && !hasExpired;
  const row: HealthRow = {
    accountId,
    score: measurement.score,
    status: isOverridden ? override.status : standing.status,
    modelStatus: standing.status,
    coverage: measurement.coverage,
    profile: measurement.profile,
    inputs: measurement.inputs,
    modelHash,
    band: standing.band,
    outside: standing.outside,
    dailyAt: isDaily ? at : (before?.dailyAt ?? null),
    at,
  };
  if (before !== undefined && isSame(before, row)) return shown(row);
  const cause = causeOf({ isByOverride: evaluation === "override", hasExpired, isModelNew, isFirst: standing.isFirst });
  await health.save(tx, row, cause);
  const changed = changedFacts(before, row);
  if (changed.length === 0) return shown(row);
  const isStatusNew = before?.status !== row.status;
  const { status } = row;
  await store.events.append(
    tx,
    [
      {
        id: `health|${accountId}|${at}|${cause}|${isStatusNew ? `${before?.status ?? ""}|${status}` : `${row.score}|${row.coverage}`}`,
        name: isStatusNew ? "health.changed" : "facts.changed",
        at,
        accountId,
        payload: isStatusNew ? { ...(before ? { from: before.status } : {}), to: status, cause } : {},
        changed,
        source: "health",
      },
    ],
    clock.now(),
  );
  return shown(row);
}

function shown({ score, status }: HealthRow): ShownHealth {
  return { score, status };
}

/** Whether the rows say the same of the account; how old the data is may differ. */
function isSame(before: HealthRow, now: HealthRow): boolean {
  return (
    before.score === now.score &&
    before.status === now.status &&
    before.modelStatus === now.modelStatus &&
    before.coverage === now.coverage &&
    before.band === now.band &&
    before.outside === now.outside &&
    before.profile === now.profile &&
    before.modelHash === now.modelHash &&
    withoutAges(before.inputs) === withoutAges(now.inputs)
  );
}

function withoutAges({ version, measures }: HealthInputs): string {
  return canonicalJson({ version, measures });
}

function changedFacts(before: HealthRow | undefined, now: HealthRow): string[] {
  return [
    ...(before?.status === now.status ? [] : ["health.status"]),
    ...(before !== undefined && before.score === now.score
      ? []
      : ["health.score", "health.change_7d", "health.change_30d"]),
    ...(before?.coverage === now.coverage ? [] : ["health.coverage"]),
  ];
}
