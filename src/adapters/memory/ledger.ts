import { type DeliveryRow, type DeliveryStatus, type Ledger, pendingRow } from "../../ports/ledger.js";
import type { Instant } from "../../values/instant.js";

/** Nothing of these was on the wire. */
const UNSENT: readonly DeliveryStatus[] = ["pending", "claimed", "retry"];
const OPEN: readonly DeliveryStatus[] = [...UNSENT, "wire", "unknown"];

/** A ledger in memory, by the clock it is given (real milliseconds): the same contract as the one on Postgres. */
export function memoryLedger(now: () => number): Ledger & { rows: ReadonlyMap<string, DeliveryRow> } {
  const rows = new Map<string, DeliveryRow>();

  /** Writes the change if the row is as expected. */
  const change = (key: string, isExpected: (row: DeliveryRow) => boolean, patch: Partial<DeliveryRow>): boolean => {
    const row = rows.get(key);
    if (!row || !isExpected(row)) return false;
    rows.set(key, { ...row, ...patch });
    return true;
  };
  const changed = (...how: Parameters<typeof change>) => (change(...how) ? rows.get(how[0]) : undefined);
  const isMine =
    (token: string, ...statuses: DeliveryStatus[]) =>
    (row: DeliveryRow): boolean =>
      row.token === token && statuses.includes(row.status);

  return {
    rows,
    async pin(_tx, fresh) {
      for (const row of fresh) if (!rows.has(row.key)) rows.set(row.key, pendingRow(row));
      return fresh.flatMap(({ key }) => rows.get(key) ?? []);
    },
    async pinClaimed(_tx, row, token, leaseMs, at) {
      if (rows.has(row.key)) return undefined;
      rows.set(row.key, {
        ...pendingRow(row),
        status: "claimed",
        token,
        leaseUntil: now() + leaseMs,
        attempts: 1,
        sentAt: at,
      });
      return rows.get(row.key);
    },
    async read(_tx, key) {
      return rows.get(key);
    },
    async readById(_tx, id) {
      return [...rows.values()].find((row) => row.id === id);
    },
    async outbox(_tx, limit, idleMs) {
      const isReady = (row: DeliveryRow): boolean =>
        row.status === "pending" ||
        (row.status === "claimed" && (row.leaseUntil ?? 0) + idleMs <= now()) ||
        (row.status === "retry" && (row.notBefore ?? 0) <= now()) ||
        (row.status === "wire" && (row.wireUntil ?? 0) <= now());
      return [...rows.values()]
        .filter((row) => row.channel === "slack" && row.runId === null && isReady(row))
        .sort((a, b) => a.createdAt - b.createdAt || (a.key < b.key ? -1 : 1))
        .slice(0, limit);
    },
    async ofEffect(_tx, runId, effectKey) {
      return byKey([...rows.values()].filter((row) => row.runId === runId && row.effectKey === effectKey));
    },
    async deferredRuns(_tx, reason, after, limit) {
      const runs = new Map<string, string>();
      for (const { channel, status, reason: given, runId, accountId } of rows.values()) {
        const isWaiting = channel === "email" && status === "pending" && given === reason;
        if (isWaiting && runId !== null && accountId !== null && runId > after) runs.set(runId, accountId);
      }
      const sorted = [...runs].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, limit);
      return sorted.map(([runId, accountId]) => ({ runId, accountId }));
    },
    async openOf(_tx, runId) {
      return byKey([...rows.values()].filter((row) => row.runId === runId && OPEN.includes(row.status)));
    },
    async claim(_tx, key, token, leaseMs, at) {
      const isFree = (row: DeliveryRow): boolean =>
        row.status === "pending" ||
        row.status === "claimed" ||
        (row.status === "retry" && (row.notBefore ?? 0) <= now());
      const attempts = (rows.get(key)?.attempts ?? 0) + 1;
      const patch = {
        status: "claimed",
        token,
        leaseUntil: now() + leaseMs,
        wireUntil: null,
        notBefore: null,
        attempts,
        sentAt: at,
      } as const;
      return change(key, isFree, patch) ? rows.get(key) : undefined;
    },
    async wire(_tx, key, token, wireMs, kept) {
      const isLeased = (row: DeliveryRow): boolean => isMine(token, "claimed")(row) && (row.leaseUntil ?? 0) > now();
      return change(key, isLeased, { status: "wire", wireUntil: now() + wireMs, ...kept });
    },
    async unwire(_tx, key, token) {
      return change(key, isMine(token, "wire"), { status: "claimed", wireUntil: null });
    },
    async settle(_tx, key, token, result) {
      const from: DeliveryStatus[] =
        result.status === "sent" || result.status === "unknown" ? ["wire"] : ["wire", "claimed"];
      switch (result.status) {
        case "sent":
          return changed(key, isMine(token, ...from), {
            status: "sent",
            raw:
              rows.get(key)?.channel === "slack" && rows.get(key)?.runId !== null ? (rows.get(key)?.raw ?? null) : null,
            reason: null,
            serverMessageId: result.serverMessageId ?? null,
            slackChannel: result.slackChannel ?? null,
            slackTs: result.slackTs ?? null,
          });
        case "rejected":
          return changed(key, isMine(token, ...from), {
            status: "rejected",
            raw: null,
            reason: result.reason,
            sentAt: null,
          });
        case "retry":
          return changed(key, isMine(token, ...from), {
            status: "retry",
            reason: result.reason,
            notBefore: now() + result.afterMs,
            sentAt: null,
          });
        case "unknown":
          return changed(key, isMine(token, ...from), { status: "unknown", reason: result.reason });
      }
    },
    async takeOver(_tx, key, oldToken, newToken, leaseMs) {
      const isOver = (row: DeliveryRow): boolean => isMine(oldToken, "wire")(row) && (row.wireUntil ?? 0) <= now();
      return change(key, isOver, { status: "claimed", token: newToken, leaseUntil: now() + leaseMs, wireUntil: null });
    },
    async stayOnWire(_tx, key, token, ms) {
      return change(key, isMine(token, "wire"), { wireUntil: now() + ms });
    },
    async resolve(_tx, key, status, reason) {
      return change(key, (row) => row.status === "unknown" || row.status === "held", { status, reason });
    },
    async reopen(_tx, key, reason) {
      return change(key, (row) => row.status === "held", { status: "retry", reason, notBefore: null, sentAt: null });
    },
    async wireLeftMs(_tx, key) {
      const row = rows.get(key);
      return row?.status === "wire" ? Math.max(0, (row.wireUntil ?? 0) - now()) : 0;
    },
    async retryLeftMs(_tx, key) {
      const row = rows.get(key);
      return row?.status === "retry" ? Math.max(0, (row.notBefore ?? 0) - now()) : 0;
    },
    async defer(_tx, key, until, staleAt, reason) {
      return change(key, (row) => UNSENT.includes(row.status), {
        status: "pending",
        token: null,
        deferredUntil: until,
        staleAt,
        reason,
        sentAt: null,
      });
    },
    async drop(_tx, key, status, reason) {
      return change(key, (row) => UNSENT.includes(row.status), {
        status,
        token: null,
        reason,
        raw: null,
        sentAt: null,
      });
    },
  };
}

function byKey(rows: DeliveryRow[]): DeliveryRow[] {
  return rows.sort((a, b) => (a.key < b.key ? -1 : 1));
}
