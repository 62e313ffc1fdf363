import { and, asc, eq, gt, gte, inArray, isNull, lte, ne, notInArray, or, type SQL, sql } from "drizzle-orm";
import type { PgUpdateSetSource } from "drizzle-orm/pg-core";
import type { DeliveryRow, DeliveryStatus, Ledger } from "../../ports/ledger.js";
import type { Tx } from "../../ports/transactions.js";
import { inside, msOf, rowsOf } from "./database.js";
import { deliveries } from "./schema.js";

/** Nothing of these was on the wire. */
const UNSENT = ["pending", "claimed", "retry"] as const;
/** What a person may have got. */
const SENT = ["wire", "sent", "unknown", "resolved", "held"] as const;
/** Begun, and perhaps delivered. */
const COUNTED = ["claimed", "wire", "sent", "unknown", "held", "resolved"] as const;

/**
 * The ledger on Postgres. Every change is one UPDATE with key, token and status in its WHERE, and leases go by `clock_timestamp()`: `now()` stands
 * still within a transaction, and the processes' own clocks differ.
 */
export function postgresLedger(): Ledger {
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
    async read(tx, key) {
      return (await select(tx, eq(deliveries.key, key)))[0];
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
        .where(and(eq(deliveries.channel, "slack"), isNull(deliveries.runId), isReady))
        .orderBy(asc(deliveries.createdAt), asc(deliveries.key))
        .limit(limit);
    },
    async ofEffect(tx, runId, effectKey) {
      return select(
        tx,
        and(
          runId === null ? isNull(deliveries.runId) : eq(deliveries.runId, runId),
          eq(deliveries.effectKey, effectKey),
        ),
      );
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
    async sentOf(tx, runId) {
      return select(tx, and(eq(deliveries.runId, runId), inArray(deliveries.status, [...SENT])));
    },
    async openOf(tx, runId) {
      return select(tx, and(eq(deliveries.runId, runId), inArray(deliveries.status, [...UNSENT])));
    },
    async claim(tx, key, token, leaseMs, at) {
      const isFree = or(
        inArray(deliveries.status, ["pending", "claimed"]),
        and(
          eq(deliveries.status, "retry"),
          or(sql`${deliveries.notBefore} is null`, sql`${deliveries.notBefore} <= clock_timestamp()`),
        ),
      );
      const [row] = await inside(tx)
        .update(deliveries)
        .set({
          status: "claimed",
          token,
          leaseUntil: fromNow(leaseMs),
          wireUntil: null,
          notBefore: null,
          attempts: sql`${deliveries.attempts} + 1`,
          sentAt: at,
        })
        .where(and(eq(deliveries.key, key), isFree))
        .returning();
      return row;
    },
    keepRaw(tx, key, token, kept) {
      const isBare = and(isMine(token, "claimed"), sql`${deliveries.raw} is null`);
      return change(tx, key, isBare, { raw: kept.raw, messageId: kept.messageId });
    },
    wire(tx, key, token, wireMs) {
      const isLeased = and(isMine(token, "claimed"), sql`${deliveries.leaseUntil} > clock_timestamp()`);
      return change(tx, key, isLeased, { status: "wire", wireUntil: fromNow(wireMs) });
    },
    unwire(tx, key, token) {
      return change(tx, key, isMine(token, "wire"), { status: "claimed", wireUntil: null });
    },
    settle(tx, key, token, result) {
      switch (result.status) {
        case "sent":
          return change(tx, key, isMine(token, "wire"), {
            status: "sent",
            // A run's nudge may be asked to come again.
            raw: sql`case when ${deliveries.channel} = 'slack' and ${deliveries.runId} is not null then ${deliveries.raw} end`,
            reason: null,
            serverMessageId: result.serverMessageId ?? null,
            slackChannel: result.slackChannel ?? null,
            slackTs: result.slackTs ?? null,
          });
        case "unknown":
          return change(tx, key, isMine(token, "wire"), { status: "unknown", reason: result.reason });
        case "rejected":
          return change(tx, key, isMine(token, "wire", "claimed"), {
            status: "rejected",
            raw: null,
            reason: result.reason,
            sentAt: null,
          });
        case "retry":
          return change(tx, key, isMine(token, "wire", "claimed"), {
            status: "retry",
            reason: result.reason,
            notBefore: fromNow(result.afterMs),
            sentAt: null,
          });
      }
    },
    takeOver(tx, key, oldToken, newToken, leaseMs) {
      const isOver = and(isMine(oldToken, "wire"), sql`${deliveries.wireUntil} <= clock_timestamp()`);
      return change(tx, key, isOver, {
        status: "claimed",
        token: newToken,
        leaseUntil: fromNow(leaseMs),
        wireUntil: null,
      });
    },
    stayOnWire(tx, key, token, ms) {
      return change(tx, key, isMine(token, "wire"), { wireUntil: fromNow(ms) });
    },
    resolve(tx, key, status, reason) {
      return change(tx, key, inArray(deliveries.status, ["unknown", "held"]), { status, reason });
    },
    reopen(tx, key, reason) {
      return change(tx, key, eq(deliveries.status, "held"), { status: "retry", reason, notBefore: null, sentAt: null });
    },
    wireLeftMs: (tx, key) => leftMs(tx, key, "wire", sql`${deliveries.wireUntil}`),
    retryLeftMs: (tx, key) => leftMs(tx, key, "retry", sql`${deliveries.notBefore}`),
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
    async lastSent(tx, contactId, since, exceptKey) {
      const [row] = await inside(tx)
        .select({ at: sql<number | null>`max(${msOf(sql`${deliveries.sentAt}`)})` })
        .from(deliveries)
        .where(
          and(
            isOther(contactId, [], exceptKey),
            inArray(deliveries.status, [...COUNTED]),
            gte(deliveries.sentAt, since),
          ),
        );
      return row?.at ?? undefined;
    },
    async counted(tx, contactId, since, exemptCategories, exceptKey) {
      const rows = await inside(tx)
        .select({ at: deliveries.sentAt })
        .from(deliveries)
        .where(
          and(
            isOther(contactId, exemptCategories, exceptKey),
            inArray(deliveries.status, [...COUNTED]),
            gt(deliveries.sentAt, since),
          ),
        )
        .orderBy(asc(deliveries.sentAt));
      return rows.flatMap(({ at }) => at ?? []);
    },
    async waiting(tx, contactId, at, exemptCategories, exceptKey) {
      const rows = await inside(tx)
        .select({ key: deliveries.key, priority: deliveries.priority, until: deliveries.deferredUntil })
        .from(deliveries)
        .where(
          and(
            isOther(contactId, exemptCategories, exceptKey),
            inArray(deliveries.status, ["pending", "retry"]),
            lte(deliveries.dueAt, at),
            or(sql`${deliveries.staleAt} is null`, gte(deliveries.staleAt, at)),
          ),
        )
        .orderBy(asc(deliveries.key));
      return rows.map(({ key, priority, until }) => ({ key, priority, ...(until !== null && { until }) }));
    },
  };
}

type Patch = PgUpdateSetSource<typeof deliveries>;

function isMine(token: string, ...statuses: DeliveryStatus[]): SQL | undefined {
  return and(eq(deliveries.token, token), inArray(deliveries.status, statuses));
}

function isOther(contactId: string, exemptCategories: readonly string[], exceptKey: string): SQL | undefined {
  return and(
    eq(deliveries.channel, "email"),
    eq(deliveries.contactId, contactId),
    ne(deliveries.key, exceptKey),
    exemptCategories.length === 0 ? undefined : notInArray(deliveries.category, [...exemptCategories]),
  );
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
