import { eq, sql } from "drizzle-orm";
import { type Blocker, type OrderStore, OUT_OF_ORDER, RANKS, type Rank, type Turn } from "../../ports/order.js";
import { inside, instantParam, msOf, rowsOf, textArray } from "./database.js";
import { runs, sweeps } from "./schema.js";

/** What of the past is not done yet: read from the tables in which it waits. */
export const postgresOrder: OrderStore = {
  async before(tx, turn, except) {
    const { accountId, at } = turn;
    const ofAccount = accountId === undefined ? sql`true` : sql`account_id = ${accountId}`;
    const passed = except.length === 0 ? sql`true` : sql`id <> all(${textArray(except)})`;
    const upTo = (rank: Rank) => instantParam(isBefore(rank, turn) ? at : at - 1);
    const runsBefore =
      turn.rank === "run"
        ? sql`(wakes_at < ${instantParam(at)} or (wakes_at = ${instantParam(at)} and id collate "C" < ${turn.runId ?? ""})) and id <> ${turn.runId ?? ""}`
        : sql`wakes_at < ${instantParam(at)}`;
    const [row] = await rowsOf<Blocker>(
      tx,
      sql`select kind, id, ${msOf(sql`at`)} as at from (
            (select 'event' as kind, id, at from events
             where status = 'pending' and ${accountId === undefined ? sql`account_id is not null` : ofAccount} and at <= ${upTo("event")} and ${passed}
             order by at limit 1)
            union all
            (select 'due', id, at from due
             where done_at is null and kind <> all(${textArray(OUT_OF_ORDER)}) and (${ofAccount} or account_id is null) and at <= ${upTo("due")} and ${passed}
             order by at limit 1)
            union all
            (select 'run', id, wakes_at from runs where status <> 'ended' and ${ofAccount} and ${runsBefore} and ${passed}
             order by wakes_at limit 1)
            union all
            (select 'message', key as id, created_at from deliveries
             where status in ('pending','claimed','wire','retry') and channel = 'slack' and run_id is null
               and ${accountId === undefined ? sql`account_id is not null` : ofAccount}
               and created_at < ${instantParam(at)} and ${except.length === 0 ? sql`true` : sql`key <> all(${textArray(except)})`}
             order by created_at limit 1)
            union all
            (select 'told', id, wakes_at from runs where id = ${turn.runId ?? ""} and wakes_at < ${instantParam(at)})
          ) as undone order by (kind <> 'told'), at limit 1`,
    );
    return row;
  },

  async swept(tx, sweep) {
    const [row] = await inside(tx).select().from(sweeps).where(eq(sweeps.sweep, sweep));
    return row && { at: row.at, isDone: row.afterAccount === null };
  },

  async wakes(tx, runId, at) {
    await rowsOf(
      tx,
      sql`update runs set wakes_at = ${instantParam(at)} where id = ${runId} and status <> 'ended' and wakes_at is distinct from ${instantParam(at)}`,
    );
  },

  async stir(tx, runIds, at) {
    if (runIds.length === 0) return;
    await rowsOf(
      tx,
      sql`update runs set wakes_at = ${instantParam(at)}
          where id = any(${textArray(runIds)}) and status <> 'ended' and (wakes_at is null or wakes_at > ${instantParam(at)})`,
    );
  },

  async rests(tx, runId, until) {
    await inside(tx).update(runs).set({ wakesAt: until }).where(eq(runs.id, runId));
  },
};

/** Whether what has this rank comes before the turn where both are of one instant. */
function isBefore(rank: Rank, turn: Turn): boolean {
  return RANKS.indexOf(rank) < RANKS.indexOf(turn.rank);
}
