import { randomUUID } from "node:crypto";
import type { Model } from "../customers/model.js";
import { SYSTEM_EVENTS } from "../engine/event.js";
import type {
  AbsenceRow,
  AccountChange,
  CustomerBatch,
  CustomerKind,
  EntityRow,
  RefusedRow,
  UpsertReport,
  UserRow,
} from "../ports/customers.js";
import type { DueItem } from "../ports/due.js";
import type { Ports, Store } from "../ports/store.js";
import type { Tx } from "../ports/transactions.js";
import type { Instant } from "../values/instant.js";
import { matchEvents } from "./append-events.js";
import { readCalendars } from "./calendars.js";
import { changedFacts } from "../customers/changed-facts.js";
import { fieldProblem } from "./field-problem.js";
import { isLocale } from "../values/locale.js";
import { isZone } from "../values/zone.js";

export interface UpsertOptions {
  /** Since when it is so (domain time), for rows that don't say; default: now. */
  readonly at?: Instant | undefined;
  /** `import`, `http`, … */
  readonly source: string;
  /** In the same transaction, last, where anything changed: for the audit. */
  readonly alongside?: (tx: Tx, changed: UpsertReport["changed"]) => Promise<void>;
}

export interface UpsertOutcome extends UpsertReport {
  readonly warnings: readonly RefusedRow[];
  /** Events that were waiting for what has arrived. */
  readonly matchedEvents: number;
}

/** Rows in one batch at most: their accounts are locked together, and Postgres' lock table is not endless. */
export const ROWS_PER_BATCH_MAX = 5000;

/**
 * Writes a batch of customers' data in one transaction: good rows in, bad ones refused with their index and a reason.
 * A row or column that is not there leaves what is known, null clears (a name and an account's zone can't be cleared). What names a
 * colleague or calendar that nobody knows is taken, with a warning: it may come later. Each account that really changed gets one
 * `facts.changed`; events that waited for an arrival are matched. Idempotent. Throws RangeError beyond `ROWS_PER_BATCH_MAX`.
 */
export async function upsertCustomers(
  ports: Ports,
  batch: CustomerBatch,
  options: UpsertOptions,
): Promise<UpsertOutcome> {
  const rows = Object.values(batch).reduce((sum, list) => sum + (list?.length ?? 0), 0);
  if (rows > ROWS_PER_BATCH_MAX) throw new RangeError(`more than ${ROWS_PER_BATCH_MAX} rows in one batch`);
  const { store, clock } = ports;
  const now = clock.now();
  const at = options.at ?? now;
  return store.transaction(async (tx) => {
    const model = await store.playbooks.configuration<Model>(tx, "model");
    const { good, refused, indexOf } = withoutBadRows(model, batch);
    await store.lockAccounts(tx, await store.customers.accountsOf(tx, good));
    const result = await store.customers.upsert(tx, good, { at, source: options.source, now });
    await appendFactsChanged(store, tx, model, result.accounts, options.source, now);
    await armAbsences(store, tx, result.absences, now);
    const matchedEvents = await matchEvents(store, tx, result.arrived, now);
    const isRefused = new Set(result.refused.map(({ kind, index }) => `${kind}/${index}`));
    const warnings = (await leadingNowhere(store, tx, good)).filter(
      ({ kind, index }) => !isRefused.has(`${kind}/${index}`),
    );
    if (Object.values(result.changed).some((count) => count > 0)) await options.alongside?.(tx, result.changed);
    return {
      changed: result.changed,
      refused: [...refused, ...result.refused.map((row) => ({ ...row, index: indexOf(row.kind, row.index) }))].sort(
        (a, b) => (a.kind < b.kind ? -1 : a.kind > b.kind ? 1 : a.index - b.index),
      ),
      warnings: warnings.map((row) => ({ ...row, index: indexOf(row.kind, row.index) })),
      matchedEvents,
    };
  });
}

/** One `facts.changed` for each account, at the latest of its changes. The caller holds the accounts' locks. */
export async function appendFactsChanged(
  store: Store,
  tx: Tx,
  model: Model | undefined,
  changes: readonly AccountChange[],
  source: string,
  now: Instant,
): Promise<void> {
  await store.events.append(
    tx,
    changes.map(({ accountId, at, changed }) => ({
      id: `${SYSTEM_EVENTS.factsChanged}/${randomUUID()}`,
      name: SYSTEM_EVENTS.factsChanged,
      at,
      accountId,
      changed: changedFacts(model, changed),
      source,
    })),
    now,
  );
}

type EntityKind = "accounts" | "contacts" | "contracts";
const ENTITIES = { accounts: "account", contacts: "contact", contracts: "contract" } as const;

/** The batch without rows whose fields don't fit the model, and where each of its rows was. */
function withoutBadRows(model: Model | undefined, batch: CustomerBatch) {
  const refused: RefusedRow[] = [];
  const kept: Partial<Record<CustomerKind, number[]>> = {};
  const good: { -readonly [Kind in EntityKind]?: readonly EntityRow[] } = {};
  for (const kind of Object.keys(ENTITIES) as EntityKind[]) {
    const indices: number[] = [];
    good[kind] = (batch[kind] ?? []).filter((row, index) => {
      const problems = Object.entries(row.fields).flatMap(([field, value]) => {
        const reason = value === undefined ? undefined : fieldProblem(model, ENTITIES[kind], field, value);
        return reason === undefined ? [] : [{ field, reason }];
      });
      const [first] = problems;
      if (first === undefined) indices.push(index);
      else refused.push({ kind, index, reason: problems.map(({ reason }) => reason).join("; "), field: first.field });
      return first === undefined;
    });
    kept[kind] = indices;
  }
  const places: number[] = [];
  const users = (batch.users ?? []).filter((row, index) => {
    const problem = userProblem(row);
    if (problem === undefined) places.push(index);
    else refused.push({ kind: "users", index, ...problem });
    return problem === undefined;
  });
  kept.users = places;
  return {
    good: { ...batch, ...good, ...(batch.users === undefined ? {} : { users }) },
    refused,
    indexOf: (kind: CustomerKind, index: number) => kept[kind]?.[index] ?? index,
  };
}

function userProblem({ timezone, locale }: UserRow): { field: string; reason: string } | undefined {
  if (typeof timezone === "string" && !isZone(timezone))
    return { field: "timezone", reason: `"${timezone}" is no time zone, such as "Europe/Warsaw"` };
  if (typeof locale === "string" && !isLocale(locale))
    return { field: "locale", reason: `"${locale}" is no locale, such as "en" or "pl"` };
  return undefined;
}

/** What the rows name and nobody knows, now that they are in: colleagues and calendars. */
async function leadingNowhere(store: Store, tx: Tx, batch: CustomerBatch): Promise<RefusedRow[]> {
  const named: { kind: CustomerKind; index: number; field: string; id: string }[] = [];
  const calendars: typeof named = [];
  const countries: typeof named = [];
  const note = (list: typeof named, kind: CustomerKind, index: number, field: string, id: unknown): void => {
    if (typeof id === "string" && id !== "") list.push({ kind, index, field, id });
  };
  for (const [index, { fields, roles }] of (batch.accounts ?? []).entries()) {
    note(named, "accounts", index, "csm", fields["csm"]);
    for (const [role, id] of Object.entries(roles ?? {})) note(named, "accounts", index, `role:${role}`, id);
    note(calendars, "accounts", index, "calendar", fields["calendar"]);
    if (!fields["calendar"]) note(countries, "accounts", index, "country", fields["country"]);
  }
  for (const [index, { managerId, calendar }] of (batch.users ?? []).entries()) {
    note(named, "users", index, "manager", managerId);
    note(calendars, "users", index, "calendar", calendar);
  }
  for (const [index, { coverId }] of (batch.absences ?? []).entries()) note(named, "absences", index, "cover", coverId);
  if (named.length + calendars.length + countries.length === 0) return [];
  const known = await store.customers.colleagues(tx, [...new Set(named.map(({ id }) => id))]);
  const declared = calendars.length === 0 ? new Map() : await readCalendars(store, tx);
  const warning = ({ kind, index, field }: (typeof named)[number], reason: string) => ({ kind, index, field, reason });
  return [
    ...named
      .filter(({ id }) => !known.has(id))
      .map((one) =>
        warning(
          one,
          `${one.field} "${one.id}" is no colleague that is known; until users bring them, it counts as nobody`,
        ),
      ),
    ...calendars
      .filter(({ id }) => !declared.has(id))
      .map((one) => warning(one, `no calendar "${one.id}" is in calendars.yaml; working days go by "standard"`)),
    ...countries
      .filter(({ id }) => !/^[A-Za-z]{2}$/.test(id))
      .map((one) =>
        warning(one, `country "${one.id}" is no code of two letters, such as "PL"; working days go by "standard"`),
      ),
  ];
}

/** Both ends of an absence hand tasks over; a moved absence moves them, one that is past hands over at once. */
async function armAbsences(store: Store, tx: Tx, absences: readonly AbsenceRow[], now: Instant): Promise<void> {
  const items = absences.flatMap((absence): DueItem[] =>
    (["start", "end"] as const).map((edge) => ({
      id: `absence/${absence.id}/${edge}`,
      kind: "absence",
      at: edge === "start" ? absence.fromAt : absence.toAt,
      payload: { absence: absence.id, user: absence.userId, edge },
    })),
  );
  // An absence that was over before it was imported hands nothing over.
  await store.due.arm(
    tx,
    items.filter((item) => absences.some((absence) => item.payload.absence === absence.id && absence.toAt > now)),
  );
}
