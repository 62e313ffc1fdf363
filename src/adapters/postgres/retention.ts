import { type SQL, sql } from "drizzle-orm";
import type { Removed, Retention } from "../../ports/retention.js";
import { inside, instantParam } from "./database.js";

/** Removal on Postgres: one set-based statement for each kind. */
export function postgresRetention(): Retention {
  return {
    async remove(tx, before, limit): Promise<Removed> {
      const count = async (statement: SQL): Promise<number> => (await inside(tx).execute(statement)).length;
      return {
        messageBodies: await count(sql`
          update deliveries set raw = null where key in (
            select key from deliveries d where d.raw is not null and d.created_at < ${instantParam(before.messageBodies)} and ${FINAL} and ${OF_NO_LIVE_RUN}
            limit ${limit})
          returning 1`),
        deliveries: await count(sql`
          delete from deliveries where key in (
            select key from deliveries d where d.created_at < ${instantParam(before.deliveries)} and ${FINAL} and ${OF_NO_LIVE_RUN}
            limit ${limit})
          returning 1`),
        timeline: await count(sql`
          delete from timeline t using (
            select l.run_id, l.seq from timeline l join runs r on r.id = l.run_id
            where r.status = 'ended' and r.ended_at < ${instantParam(before.timeline)} limit ${limit}) old
          where t.run_id = old.run_id and t.seq = old.seq
          returning 1`),
        events: await count(sql`
          with old as (
            delete from events where id in (
              select e.id from events e where e.at < ${instantParam(before.events)} and e.status <> 'pending'
                and not exists (select from runs r where r.status <> 'ended' and (r.id = e.run_id
                  or (e.run_id is null and r.account_id = e.account_id and r.started_at <= e.at)))
              limit ${limit})
            returning id),
          told as (delete from run_events where event_id in (select id from old))
          select 1 from old`),
        samples: await count(sql`
          delete from samples where source_id in (
            select source_id from samples where at < ${instantParam(before.samples)} limit ${limit})
          returning 1`),
      };
    },
  };
}

const FINAL = sql`d.status in ('sent', 'rejected', 'unknown', 'resolved', 'held', 'skipped', 'withdrawn')`;
const OF_NO_LIVE_RUN = sql`not exists (select from runs r where r.id = d.run_id and r.status <> 'ended')`;
