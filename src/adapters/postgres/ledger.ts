import { and, asc, eq, inArray, isNull, or, type SQL, sql } from "drizzle-orm";
import type { PgUpdateSetSource } from "drizzle-orm/pg-core";
import {
  type ClaimedDelivery,
  type DeliveryResult,
  type DeliveryRow,
  type DeliveryStatus,
  type Ledger,
  pendingRow,
} from "../../ports/ledger.js";
import type { Tx } from "../../ports/transactions.js";
import { inside, rowsOf } from "./database.js";
import { deliveries } from "./schema.js";
import { SeenCounts } from "../../ports/put-backs.js";
import { ALL_HELD } from "./put-backs.js";
import { ask, isoOf, jsonRow, msText, type Parameter } from "./statement.js";

/** Nothing of these was on the wire. */
const UNSENT = ["pending", "claimed", "retry"] as const;
const OPEN = [...UNSENT, "wire", "unknown"] as const;
/** What a person may have got. */
export const SENT = ["wire", "sent", "unknown", "resolved", "held"] as const;
/** Begun, and perhaps delivered. */
export const COUNTED = ["claimed", "wire", "sent", "unknown", "held", "resolved"] as const;
/** Of those, what may turn out not to have been delivered. */
export const UNSETTLED = ["claimed", "wire", "unknown", "held"] as const;

/**
 * The ledger on Postgres. Every change is one UPDATE with key, token and status in its WHERE, and leases go by `clock_timestamp()`: `now()` stands
 * still within a transaction, and the processes' own clocks differ.
 */
export function postgresLedger(seen: SeenCounts = new SeenCounts()): Ledger {
  /** What a claim's statement answers, unless the count that it got was given out before: then the database was put back, and nobody has claimed. */
  const counted = async <Answer extends Claimed>(
    tx: Tx,
    statement: string,
    parameters: readonly Parameter[],
  ): Promise<Answer | undefined> => {
    if (!seen.isReady) return undefined;
    const before = seen.beforeClaim();
    const [found] = await ask<Answer>(tx, statement, parameters);
    if (found === undefined) return undefined;
    seen.claimed(found.claims, before);
    return found;
  };
  const asClaimed = (row: DeliveryRow, { mayBeOut }: Claimed): ClaimedDelivery =>
    mayBeOut ? { ...row, mayBeOut: true } : row;

  /** True if the one row was as expected and was changed. */
  const change = async (tx: Tx, key: string, isExpected: SQL | undefined, patch: Patch): Promise<boolean> => {
    const changed = await inside(tx)
      .update(deliveries)
      .set(patch)
      .where(and(eq(deliveries.key, key), isExpected))
      .returning({ key: deliveries.key });
    return changed.length > 0;
  };

  return {
    async pin(tx, rows) {
      if (rows.length === 0) return [];
      const inserted = await inside(tx)
        .insert(deliveries)
        .values([...rows])
        .onConflictDoNothing()
        .returning();
      const keys = rows.map(({ key }) => key);
      const all = inserted.length === rows.length ? inserted : await select(tx, inArray(deliveries.key, keys));
      const found = new Map(all.map((row) => [row.key, row]));
      return keys.flatMap((key) => found.get(key) ?? []);
    },
    async pinClaimed(tx, row, token, leaseMs, at) {
      const found = await counted<Claimed & { leaseUntil: string }>(tx, PIN_CLAIMED, [
        row.key,
        row.id,
        row.channel,
        row.runId,
        row.effectKey,
        row.step,
        row.accountId,
        row.contactId,
        row.recipient,
        row.category,
        row.template,
        row.templateHash,
        row.locale,
        row.priority,
        isoOf(row.dueAt),
        isoOf(row.createdAt),
        row.raw ?? null,
        token,
        leaseMs,
        isoOf(at),
      ]);
      if (found === undefined) return undefined;
      const leaseUntil = Number(found.leaseUntil);
      return asClaimed({ ...pendingRow(row), status: "claimed", token, leaseUntil, attempts: 1, sentAt: at }, found);
    },
    async read(tx, key) {
      return (await ask<Found>(tx, READ, [key]))[0]?.row;
    },
    async readById(tx, id) {
      return (await select(tx, eq(deliveries.id, id)))[0];
    },
    async outbox(tx, limit, idleMs) {
      const isReady = or(
        eq(deliveries.status, "pending"),
        and(
          eq(deliveries.status, "claimed"),
          sql`${deliveries.leaseUntil} + ${idleMs} * interval '1 millisecond' <= clock_timestamp()`,
        ),
        and(eq(deliveries.status, "retry"), sql`${deliveries.notBefore} <= clock_timestamp()`),
        and(eq(deliveries.status, "wire"), sql`${deliveries.wireUntil} <= clock_timestamp()`),
      );
      return inside(tx)
        .select()
        .from(deliveries)
        .where(and(eq(deliveries.channel, "slack"), isNull(deliveries.runId), isReady, IS_FREE))
        .orderBy(asc(deliveries.createdAt), asc(deliveries.key))
        .limit(limit);
    },
    async ofEffect(tx, runId, effectKey) {
      const found =
        runId === null ? ask<Found>(tx, OF_NO_RUN, [effectKey]) : ask<Found>(tx, OF_RUN, [runId, effectKey]);
      return (await found).map(({ row }) => row);
    },
    async deferredRuns(tx, reason, after, limit) {
      // Bytes as the order: the same as the ids' own in the code that pages.
      return rowsOf(
        tx,
        sql`select distinct ${deliveries.runId} collate "C" as "runId", ${deliveries.accountId} as "accountId" from ${deliveries}
          where ${deliveries.channel} = 'email' and ${deliveries.status} = 'pending' and ${deliveries.reason} = ${reason}
            and ${deliveries.runId} collate "C" > ${after} and ${deliveries.accountId} is not null
          order by 1 limit ${limit}`,
      );
    },
    async openOf(tx, runId) {
      return (await ask<Found>(tx, OPEN_OF, [runId])).map(({ row }) => row);
    },
    async claim(tx, key, token, leaseMs, at) {
      const found = await counted<Claimed & Found>(tx, CLAIM, [key, token, leaseMs, isoOf(at)]);
      return found && asClaimed(found.row, found);
    },
    async wire(tx, key, token, wireMs, kept) {
      const { raw = null, messageId = null } = kept ?? {};
      const [wired] = await ask<{ claims: number }>(tx, WIRE, [key, token, wireMs, raw, messageId]);
      // A statement by itself: it is committed.
      if (wired !== undefined) seen.committed(wired.claims);
      return wired !== undefined;
    },
    unwire(tx, key, token) {
      return change(tx, key, isMine(token, "wire"), { status: "claimed", wireUntil: null });
    },
    async settle(tx, key, token, result) {
      return (await ask<Found>(tx, ...settling(key, token, result)))[0]?.row;
    },
    takeOver(tx, key, oldToken, newToken, leaseMs) {
      const isOver = and(isMine(oldToken, "wire"), sql`${deliveries.wireUntil} <= clock_timestamp()`);
      return change(tx, key, isOver, {
        status: "claimed",
        token: newToken,
        leaseUntil: fromNow(leaseMs),
        wireUntil: null,
        askedAt: NOW,
      });
    },
    stayOnWire(tx, key, token, ms) {
      return change(tx, key, isMine(token, "wire"), { wireUntil: fromNow(ms) });
    },
    resolve(tx, key, status, reason) {
      return change(tx, key, inArray(deliveries.status, ["unknown", "held"]), { status, reason });
    },
    reopen(tx, key, reason) {
      return change(tx, key, eq(deliveries.status, "held"), {
        status: "retry",
        reason,
        notBefore: null,
        sentAt: null,
        askedAt: NOW,
      });
    },
    wireLeftMs: (tx, key) => leftMs(tx, key, "wire", sql`${deliveries.wireUntil}`),
    async retryLeftMs(tx, key) {
      const [found] = await ask<{ left: number }>(tx, RETRY_LEFT, [key]);
      return Math.max(0, Math.ceil(found?.left ?? 0));
    },
    defer(tx, key, until, staleAt, reason) {
      return change(tx, key, inArray(deliveries.status, [...UNSENT]), {
        status: "pending",
        token: null,
        deferredUntil: until,
        staleAt,
        reason,
        sentAt: null,
      });
    },
    drop(tx, key, status, reason) {
      return change(tx, key, inArray(deliveries.status, [...UNSENT]), {
        status,
        token: null,
        reason,
        raw: null,
        sentAt: null,
      });
    },
  };
}

interface Found {
  readonly row: DeliveryRow;
}

interface Claimed {
  readonly claims: number;
  readonly mayBeOut: boolean;
}

const ROW = `${jsonRow(deliveries, "d")} as row`;
const FROM_NOW = (ms: string) => `clock_timestamp() + ${ms}::double precision * interval '1 millisecond'`;

const READ = `select ${ROW} from deliveries d where d.key = $1`;
const OF_RUN = `select ${ROW} from deliveries d where d.run_id = $1 and d.effect_key = $2 order by d.key`;
const OPEN_OF = `select ${ROW} from deliveries d where d.run_id = $1 and d.status in (${OPEN.map((status) => `'${status}'`).join(", ")}) order by d.key`;
const OF_NO_RUN = `select ${ROW} from deliveries d where d.run_id is null and d.effect_key = $1 order by d.key`;

/** Everything is held, but for the message that says so. */
const IS_FREE_SQL = (key: string) => `(not ${ALL_HELD} or ${key} like 'put\\_back/%')`;
const IS_FREE = sql.raw(IS_FREE_SQL(`"deliveries"."key"`));
const NOW = sql`clock_timestamp()`;

/** It fell due before the database was found put back, and nobody has asked since then whether it is out. */
const MAY_BE_OUT = `exists (select 1 from put_backs p where p.noticed_at >= d.due_at and (d.asked_at is null or d.asked_at < p.found_at)
    and d.key not like 'put\\_back/%')`;
const AS_CLAIMED = `nextval('delivery_claims')::double precision as claims, ${MAY_BE_OUT} as "mayBeOut"`;

const PIN_CLAIMED = `insert into deliveries as d (key, id, channel, run_id, effect_key, step, account_id, contact_id, recipient, category,
    template, template_hash, locale, priority, due_at, created_at, raw, status, token, lease_until, attempts, sent_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::int, $15::timestamptz, $16::timestamptz, $17,
    'claimed', $18, ${FROM_NOW("$19")}, 1, $20::timestamptz)
  on conflict do nothing returning ${msText("d.lease_until")} as "leaseUntil", ${AS_CLAIMED}`;

const CLAIM = `update deliveries d set status = 'claimed', token = $2, lease_until = ${FROM_NOW("$3")}, wire_until = null, not_before = null,
    attempts = d.attempts + 1, sent_at = $4::timestamptz
  where d.key = $1 and (d.status in ('pending', 'claimed')
    or (d.status = 'retry' and (d.not_before is null or d.not_before <= clock_timestamp())))
    and ${IS_FREE_SQL("d.key")}
  returning ${ROW}, ${AS_CLAIMED}`;

const WIRE = `update deliveries set status = 'wire', wire_until = ${FROM_NOW("$3")},
    raw = coalesce($4::text, raw), message_id = coalesce($5::text, message_id)
  where key = $1 and token = $2 and status = 'claimed' and lease_until > clock_timestamp() and ${IS_FREE_SQL("key")}
  returning (select last_value from delivery_claims)::double precision as claims`;

/** How long a message waits for the next look while everything is held, real milliseconds. */
const HELD_LOOK_MS = 15_000;
const RETRY_LEFT = `select greatest(
  (select extract(epoch from d.not_before - clock_timestamp())::double precision * 1000 from deliveries d where d.key = $1 and d.status = 'retry'),
  case when ${IS_FREE_SQL("$1::text")} then 0 else ${HELD_LOOK_MS} end) as left`;

const SENT_ROW = `update deliveries d set status = 'sent', reason = null, server_message_id = $3, slack_channel = $4, slack_ts = $5,
    -- A run's nudge may be asked to come again.
    raw = case when d.channel = 'slack' and d.run_id is not null then d.raw end
  where d.key = $1 and d.token = $2 and d.status = 'wire' returning ${ROW}`;
const UNKNOWN_ROW = `update deliveries d set status = 'unknown', reason = $3
  where d.key = $1 and d.token = $2 and d.status = 'wire' returning ${ROW}`;
const REJECTED_ROW = `update deliveries d set status = 'rejected', raw = null, reason = $3, sent_at = null
  where d.key = $1 and d.token = $2 and d.status in ('wire', 'claimed') returning ${ROW}`;
// The column has milliseconds: rounded up, what may be tried at once could not be for half a one.
const RETRY_ROW = `update deliveries d set status = 'retry', reason = $3, not_before = date_trunc('milliseconds', ${FROM_NOW("$4")}), sent_at = null
  where d.key = $1 and d.token = $2 and d.status in ('wire', 'claimed') returning ${ROW}`;

function settling(key: string, token: string, result: DeliveryResult): [text: string, parameters: Parameter[]] {
  switch (result.status) {
    case "sent": {
      const { serverMessageId = null, slackChannel = null, slackTs = null } = result;
      return [SENT_ROW, [key, token, serverMessageId, slackChannel, slackTs]];
    }
    case "unknown":
      return [UNKNOWN_ROW, [key, token, result.reason]];
    case "rejected":
      return [REJECTED_ROW, [key, token, result.reason]];
    case "retry":
      return [RETRY_ROW, [key, token, result.reason, result.afterMs]];
  }
}

type Patch = PgUpdateSetSource<typeof deliveries>;

function isMine(token: string, ...statuses: DeliveryStatus[]): SQL | undefined {
  return and(eq(deliveries.token, token), inArray(deliveries.status, statuses));
}

function fromNow(ms: number): SQL {
  return sql`clock_timestamp() + ${ms} * interval '1 millisecond'`;
}

async function leftMs(tx: Tx, key: string, status: DeliveryStatus, until: SQL): Promise<number> {
  const [row] = await inside(tx)
    .select({ left: sql<number>`extract(epoch from ${until} - clock_timestamp())::double precision * 1000` })
    .from(deliveries)
    .where(and(eq(deliveries.key, key), eq(deliveries.status, status)));
  return Math.max(0, Math.ceil(row?.left ?? 0));
}

async function select(tx: Tx, where: SQL | undefined): Promise<DeliveryRow[]> {
  return inside(tx).select().from(deliveries).where(where).orderBy(asc(deliveries.key));
}
