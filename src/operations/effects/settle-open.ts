import { randomUUID } from "node:crypto";
import type { DeliveryRow } from "../../ports/ledger.js";
import type { SlackBody } from "../../ports/composer.js";
import type { Tx } from "../../ports/transactions.js";
import { postSlack } from "../outbox.js";
import type { Scene } from "../scene.js";
import { followMail } from "./email.js";

/** Real milliseconds until a row that changed hands is looked at again. */
export const AGAIN_MS = 100;
/** What Slack had refused for now and nobody has asked for since belongs to a branch that was withdrawn: nobody wants it any more. Wider than any clock is wrong. */
const GIVEN_UP_MS = 24 * 3_600_000;

/**
 * Brings to an end what a run that is about to end has begun to send, as nobody comes back to it later: mail on the wire is followed to what came of it, and what Slack
 * did not take yet is posted. Real milliseconds after which to look again; undefined: nothing is open but mail that is to be taken back.
 */
export async function settleOpen(scene: Scene): Promise<number | undefined> {
  const { ledger, store } = scene.ports;
  const open = await store.read((tx) => ledger.openOf(tx, scene.run.id));
  if (open.length > 0) await store.transaction((tx) => markLeaving(scene, tx));
  const waits: number[] = [];
  for (const row of open) {
    const afterMs = await (row.channel === "email" ? followMail(scene, row) : postAtLast(scene, row));
    if (afterMs !== undefined) waits.push(afterMs);
  }
  return waits.length === 0 ? undefined : Math.min(...waits);
}

/** From here on nothing but the farewell goes out, also for calls that were given up and don't know of it. */
export async function markLeaving({ ports, run, lock }: Scene, tx: Tx): Promise<void> {
  await lock(tx);
  await ports.store.runs.record(tx, run.id, { status: "exiting", position: run.position, entries: [], confirm: [] });
}

/** What nobody has claimed yet, the run may have thought better of. */
async function postAtLast(scene: Scene, row: DeliveryRow): Promise<number | undefined> {
  if (row.status === "pending" || row.raw === null) return undefined;
  const { ledger, store } = scene.ports;
  if (row.status === "retry" && Date.now() - (row.notBefore ?? 0) > GIVEN_UP_MS) {
    await store.read((tx) => ledger.drop(tx, row.key, "withdrawn", "given up long ago"));
    return undefined;
  }
  const body = JSON.parse(row.raw) as SlackBody;
  const standing = await postSlack(scene.ports, row, body, scene.leftMs(), async () => randomUUID());
  if (standing.kind === "final") return undefined;
  return standing.kind === "later" ? standing.afterMs : AGAIN_MS;
}
