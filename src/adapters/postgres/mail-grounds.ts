import type { MailFindings, MailGrounds } from "../../ports/mail-grounds.js";
import { COUNTED, UNSETTLED } from "./ledger.js";
import { peopleVersion } from "./people.js";
import { ask, isoOf, msText } from "./statement.js";

/** What decides about a mail, in one statement. */
export const postgresMailGrounds: MailGrounds = {
  async read(tx, question) {
    const {
      runId,
      effectKey,
      accountId,
      playbook,
      contactId,
      email,
      key,
      at,
      cappedSince,
      exempt,
      releasedAt,
      taskKey,
    } = question;
    const [found] = await ask<Found>(tx, GROUNDS, [
      contactId,
      email?.toLowerCase() ?? null,
      isoOf(at),
      accountId,
      playbook,
      isoOf(cappedSince),
      exempt,
      key,
      releasedAt === undefined ? null : isoOf(releasedAt),
      taskKey,
      runId,
      effectKey,
    ]);
    const { lastSentAt, waiting, ...rest } = found as Found;
    return {
      ...rest,
      waiting: waiting.map(({ until, ...mail }) => ({ ...mail, ...(until !== null && { until }) })),
      ...(lastSentAt !== null && { lastSentAt: Number(lastSentAt) }),
    };
  },
};

type Found = Omit<MailFindings, "lastSentAt" | "waiting"> & {
  readonly lastSentAt: string | null;
  readonly waiting: readonly { readonly key: string; readonly priority: number; readonly until: number | null }[];
};

const COUNTS = "d.category <> all($7::text[])";
const among = (statuses: readonly string[]) => `d.status in (${statuses.map((status) => `'${status}'`).join(", ")})`;
const IS_RECENT = "d.sent_at > $6::timestamptz";

// The person's other mails are looked through once: it is also what lets Postgres keep its plan, which takes longer to make than to follow.
const GROUNDS = `select others.*,
  (select coalesce(json_agg(s.name order by s.name), '[]') from switches s) as switches,
  (select coalesce(json_agg(json_build_object('category', s.category, 'reason', s.reason)), '[]')
   from suppressions s where s.email = $2 and s.at <= $3::timestamptz) as suppressions,
  (select coalesce(json_agg(h.holder_run order by h.since, h.holder_run), '[]')
   from holds h where h.account_id = $4 and h.playbook = $5) as holders,
  exists (select 1 from tasks t where t.effect_key = $10) as "hasTask",
  (select coalesce(json_agg(json_build_object('key', d.key) order by d.key), '[]')
   from deliveries d where d.run_id = $11 and d.effect_key = $12) as rows,
  ${peopleVersion("$4")} as "peopleVersion"
  from (select
    ${msText(`max(d.sent_at) filter (where ${among(COUNTED)} and d.sent_at >= $9::timestamptz)`)} as "lastSentAt",
    coalesce(json_agg(${msText("d.sent_at")} order by d.sent_at)
      filter (where ${COUNTS} and ${among(COUNTED)} and ${IS_RECENT}), '[]') as counted,
    (count(*) filter (where ${COUNTS} and ${among(UNSETTLED)} and ${IS_RECENT}))::int as unsettled,
    coalesce(json_agg(json_build_object('key', d.key, 'priority', d.priority, 'until', ${msText("d.deferred_until")}) order by d.key)
      filter (where ${COUNTS} and d.status in ('pending', 'retry') and d.due_at <= $3::timestamptz
        and (d.stale_at is null or d.stale_at >= $3::timestamptz)), '[]') as waiting
    from deliveries d where d.channel = 'email' and d.contact_id = $1 and d.key <> $8) others`;
