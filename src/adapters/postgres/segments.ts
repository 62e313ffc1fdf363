import { sql } from "drizzle-orm";
import { segmentFacts } from "../../customers/segments.js";
import type { SegmentStore } from "../../ports/health.js";
import { instantParam, rowsOf } from "./database.js";
import { knownZones, portfolioFacts } from "./portfolio-facts.js";

/** Who is in which segment, decided by Postgres with the expressions' own meaning (`toSql`). */
export const postgresSegments: SegmentStore = {
  async evaluateAll(tx, { model, segments, accounts }, asOf, receivedAt) {
    const names = Object.keys(segments).sort();
    if (names.length === 0) return { entered: 0, left: 0 };
    const zones = await knownZones(tx);
    const facts = portfolioFacts({ model, accounts, asOf, paths: segmentFacts(segments), zones });
    const conditions = names.map((name) => sql`(${name}::text, ${facts.expression(segments[name]?.if as never)})`);
    const now = instantParam(asOf);
    const told = (kind: "entered" | "left") =>
      sql`insert into events (id, name, account_id, at, received_at, payload, changed, source)
          select 'segment|' || segment || '|' || account_id || '|' || ${String(asOf)}::text || '|' || ${kind}::text, ${`segment.${kind}`}::text,
            account_id, ${now}, ${instantParam(receivedAt)}, jsonb_build_object('segment', segment), array['segment.' || segment], 'segments'
          from ${sql.identifier(kind)} on conflict (id) do nothing`;
    const [counts] = await rowsOf<{ entered: number; left: number }>(
      tx,
      sql`with facts as materialized (${facts.query}),
        judged as materialized (select facts.account_id, s.segment, s.is_member from facts
          cross join lateral (values ${sql.join(conditions, sql`, `)}) as s(segment, is_member)),
        entered as (
          insert into segment_members (segment, account_id, since) select segment, account_id, ${now} from judged where is_member
          on conflict do nothing returning segment, account_id),
        "left" as (
          delete from segment_members m using judged j where m.segment = j.segment and m.account_id = j.account_id and not j.is_member returning m.segment, m.account_id),
        told_entered as (${told("entered")}),
        told_left as (${told("left")})
        select (select count(*)::int from entered) as entered, (select count(*)::int from "left") as "left"`,
    );
    return counts ?? { entered: 0, left: 0 };
  },
};
