import type { Band } from "../customers/hysteresis.js";
import type { HealthPorts } from "../ports/health.js";
import type { Tx } from "../ports/transactions.js";
import type { Instant } from "../values/instant.js";
import { measureHealthWithin, type ShownHealth } from "./measure-health.js";

/** A CSM's word over the model's. */
export interface OverrideHealth {
  readonly accountId: string;
  readonly status: Band;
  readonly reason: string;
  /** A colleague's id. */
  readonly author: string;
  /** From then on the model's word counts again. */
  readonly until: Instant;
}

export type OverrideOutcome =
  | { readonly ok: true; readonly health: ShownHealth }
  | { readonly ok: false; readonly problem: "no_account" | "no_reason" | "until_is_past" | "not_overridden" };

/**
 * Shows this status instead of the model's until it expires, over every recomputation; a second one replaces the first.
 * Tells `health.changed` with cause `override` where what is shown changes. Arms the due item `override_expiry`.
 * `alongside` (the audit) happens in the same transaction, last; not at all if nothing was done.
 */
export async function overrideHealth(
  ports: HealthPorts,
  override: OverrideHealth,
  alongside?: (tx: Tx) => Promise<void>,
): Promise<OverrideOutcome> {
  const { store, health, clock } = ports;
  const { accountId, reason, until } = override;
  return store.transaction(async (tx) => {
    await store.lockAccounts(tx, [accountId]);
    const [account] = await store.customers.accounts(tx, [accountId]);
    if (account === undefined) return { ok: false, problem: "no_account" };
    if (reason.trim() === "") return { ok: false, problem: "no_reason" };
    // The evaluation below is made then: never behind one that has been.
    const at = Math.max(clock.now(), (await health.get(tx, accountId))?.at ?? 0);
    if (until <= at) return { ok: false, problem: "until_is_past" };
    await health.setOverride(tx, { ...override, at });
    await store.due.arm(tx, [{ id: expiryId(accountId), kind: "override_expiry", at: until, accountId, payload: {} }]);
    const shown = await measureHealthWithin(tx, ports, accountId, at, "override");
    await alongside?.(tx);
    return { ok: true, health: shown };
  });
}

/** Gives the word back to the model before the override expires: `health.changed` with cause `override`. */
export async function removeHealthOverride(
  ports: HealthPorts,
  accountId: string,
  alongside?: (tx: Tx) => Promise<void>,
): Promise<OverrideOutcome> {
  const { store, health, clock } = ports;
  return store.transaction(async (tx) => {
    await store.lockAccounts(tx, [accountId]);
    if ((await health.override(tx, accountId)) === undefined) return { ok: false, problem: "not_overridden" };
    await health.clearOverride(tx, accountId);
    await store.due.disarm(tx, [expiryId(accountId)]);
    const shown = await measureHealthWithin(tx, ports, accountId, clock.now(), "override");
    await alongside?.(tx);
    return { ok: true, health: shown };
  });
}

/**
 * For the due item `override_expiry`: the model's word counts again, and `health.changed` says so with cause `expiry`. Nothing
 * happens where the override has been removed, prolonged or taken off by an evaluation since.
 */
export async function expireHealthOverride(ports: HealthPorts, accountId: string, at: Instant): Promise<void> {
  const { store, health } = ports;
  await store.transaction(async (tx) => {
    await store.lockAccounts(tx, [accountId]);
    const override = await health.override(tx, accountId);
    if (override === undefined || override.until > at) return;
    await measureHealthWithin(tx, ports, accountId, at, "event");
  });
}

function expiryId(accountId: string): string {
  return `override_expiry/${accountId}`;
}
