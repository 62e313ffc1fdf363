import type { Model, Segments } from "../customers/model.js";
import type { HealthPorts } from "../ports/health.js";
import type { Instant } from "../values/instant.js";

/**
 * Accounts per transaction. Enough that planning a statement weighs little beside it; few enough that their locks, and those of a whole import batch
 * beside them (`ROWS_PER_BATCH_MAX`), fit Postgres' lock table (some 7,000 by default), and that nobody waits for them longer than a second or so.
 */
export const SWEEP_CHUNK_ACCOUNTS = 2_000;

export interface SegmentMoves {
  readonly entered: number;
  readonly left: number;
}

/**
 * Puts every account that existed at the instant into the segments it belongs to and out of the others, a chunk of
 * accounts per statement, telling `segment.entered` and `segment.left`. Repeating it changes nothing. Part of `sweepHealth`;
 * publishing has found the members of new and changed segments before, silently.
 */
export async function sweepSegments(ports: HealthPorts, asOf: Instant): Promise<SegmentMoves> {
  const { store, health, segments: members, clock } = ports;
  const moves = { entered: 0, left: 0 };
  for (let after: string | undefined = ""; after !== undefined; ) {
    const behind: string = after;
    after = await store.transaction(async (tx) => {
      const accounts = await health.accountsAfter(tx, behind, asOf, SWEEP_CHUNK_ACCOUNTS);
      await store.lockAccounts(tx, accounts);
      const model = await store.playbooks.configuration<Model>(tx, "model");
      const segments = await store.playbooks.configuration<Segments>(tx, "segments");
      if (model === undefined || segments === undefined) return undefined;
      const { entered, left } = await members.evaluateAll(tx, { model, segments, accounts }, asOf, clock.now());
      moves.entered += entered;
      moves.left += left;
      return accounts.length < SWEEP_CHUNK_ACCOUNTS ? undefined : accounts.at(-1);
    });
  }
  return moves;
}
