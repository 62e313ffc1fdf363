import type { EventType, FieldType, Model } from "../customers/model.js";
import { SYSTEM_EVENTS } from "../engine/event.js";
import { eventField } from "../engine/scope.js";
import { isTrue } from "../expression/evaluate.js";
import type { FactValue } from "../expression/expression.js";
import type { CustomerBatch, Place } from "../ports/customers.js";
import type { KeptEvent, NewEvent, UnmatchedEvent } from "../ports/events.js";
import type { Ports, Store } from "../ports/store.js";
import type { Tx } from "../ports/transactions.js";
import { isCalendarDate } from "../values/calendar-date.js";
import { type Instant, parseInstant } from "../values/instant.js";
import { instantAt } from "../values/zone.js";
import { changedFacts } from "../customers/changed-facts.js";
import { conflictOf } from "./conflict.js";

/** An event as somebody outside tells it; `validateEvent` has found nothing wrong with it. */
export interface IncomingEvent {
  /** The sender's idempotency key. */
  readonly id: string;
  readonly name: string;
  readonly at: Instant;
  /** Nobody said when: `at` is when it came, and the same event may come again later. */
  readonly isAtDefault?: boolean;
  readonly account?: string | undefined;
  readonly contact?: string | undefined;
  /** Dates as `YYYY-MM-DD`, instants as ISO text. `contract_id` and `contact_id` say what it is about. */
  readonly payload: Readonly<Record<string, FactValue>>;
}

export interface AppendedEvent {
  readonly id: string;
  /**
   * `repeated`: the same event was known, nothing was done. `conflict`: the id belongs to another event, nothing was done.
   * `unmatched`: kept, until what it names is imported. `refused`: what it names contradicts itself.
   */
  readonly status: "accepted" | "repeated" | "conflict" | "unmatched" | "refused";
  readonly reason?: string;
}

/** Events in one call at most. */
export const EVENTS_PER_CALL_MAX = 1000;

/**
 * Keeps the events and what they change (milestones, survey answers, tickets, a contact who left) in one transaction;
 * what became of each, in order. Idempotent by id; an id that comes with another event is a conflict. Throws RangeError for more than `EVENTS_PER_CALL_MAX`.
 */
export async function appendEvents(
  ports: Ports,
  events: readonly IncomingEvent[],
  source: string,
): Promise<readonly AppendedEvent[]> {
  if (events.length > EVENTS_PER_CALL_MAX) throw new RangeError(`more than ${EVENTS_PER_CALL_MAX} events in one call`);
  const now = ports.clock.now();
  return ports.store.transaction((tx) => appendEventsWithin(ports.store, tx, events, source, now));
}

/** As `appendEvents`, inside the caller's transaction, which holds no account's lock yet or all that are concerned. */
export async function appendEventsWithin(
  store: Store,
  tx: Tx,
  events: readonly IncomingEvent[],
  source: string,
  now: Instant,
): Promise<readonly AppendedEvent[]> {
  const model = await store.playbooks.configuration<Model>(tx, "model");
  const named = events.map((event) => namesOf(model, event));
  const namedIds = {
    account: named.flatMap((names) => names.account ?? []),
    contact: named.flatMap((names) => names.contact ?? []),
    contract: named.flatMap((names) => names.contract ?? []),
  };
  const places = await store.customers.locate(tx, namedIds);
  const resolveIn = (known: typeof places) =>
    events.map((event, index) => resolve(model, { ...event, source }, named[index] as Names, known));
  let resolved = resolveIn(places);
  await store.lockAccounts(tx, accountsIn(resolved));
  if (resolved.some(({ kind }) => kind === "unmatched")) {
    await store.lockAccounts(tx, [ARRIVALS]);
    resolved = resolveIn(await store.customers.locate(tx, namedIds));
    await store.lockAccounts(tx, accountsIn(resolved));
  }
  const known = new Map(
    await store.events.kept(
      tx,
      events.map((event) => event.id),
    ),
  );
  // All in one insert at the end: a thousand events are a thousand rows, not a thousand round trips.
  const statuses: AppendedEvent[] = [];
  const matched: NewEvent[] = [];
  const unmatched: UnmatchedEvent[] = [];
  for (const [index, event] of events.entries()) {
    const target = resolved[index] as Resolved;
    const names = named[index] as Names;
    const before = known.get(event.id);
    if (before !== undefined) {
      statuses.push(isSame(before, event, names) ? { id: event.id, status: "repeated" } : conflictOf(event.id));
      continue;
    }
    if (target.kind !== "refused") known.set(event.id, { ...event, names });
    if (target.kind === "refused") {
      statuses.push({ id: event.id, status: "refused", reason: target.reason });
    } else if (target.kind === "unmatched") {
      unmatched.push(target.event);
      statuses.push({ id: event.id, status: "unmatched", reason: target.reason });
    } else {
      const effects = await applyEvent(store, tx, model, target.event);
      matched.push(effects.event, ...effects.more);
      statuses.push({ id: event.id, status: "accepted" });
    }
  }
  const added = new Set([
    ...(await store.events.append(tx, matched, now)),
    ...(await store.events.appendUnmatched(tx, unmatched, now)),
  ]);
  const isLost = ({ id, status }: AppendedEvent) => (status === "accepted" || status === "unmatched") && !added.has(id);
  const lost = statuses.filter(isLost);
  if (lost.length === 0) return statuses;
  // Somebody else was quicker with these ids.
  const theirs = await store.events.kept(
    tx,
    lost.map(({ id }) => id),
  );
  return statuses.map((status, index) => {
    if (!isLost(status)) return status;
    const other = theirs.get(status.id);
    const isTheirs = other !== undefined && isSame(other, events[index] as IncomingEvent, named[index] as Names);
    return isTheirs ? { id: status.id, status: "repeated" } : conflictOf(status.id);
  });
}

/** Whether the event that is kept under the id is this one. Who names the account by a contact alone doesn't contradict it. */
function isSame(kept: KeptEvent, event: IncomingEvent, names: Names): boolean {
  return (
    kept.name === event.name &&
    (event.isAtDefault === true || kept.at === event.at) &&
    (names.account === undefined || kept.names.account === undefined || kept.names.account === names.account) &&
    kept.names.contact === names.contact &&
    kept.names.contract === names.contract &&
    Object.keys(kept.payload).length === Object.keys(event.payload).length &&
    Object.entries(event.payload).every(([field, value]) => isSameValue(kept.payload[field], value))
  );
}

/** A day that was turned into an instant was turned in the account's zone, which may be another by now: within a zone's reach it is the day. */
function isSameValue(kept: FactValue | undefined, value: FactValue): boolean {
  if (typeof kept !== "number" || typeof value !== "string") return JSON.stringify(kept) === JSON.stringify(value);
  if (!isCalendarDate(value)) return parseInstant(value) === kept;
  return Math.abs(kept - instantAt(value, "00:00", "UTC")) <= ZONE_REACH_MS;
}

/** The farthest that a zone's midnight is from UTC's. */
const ZONE_REACH_MS = 14 * 3_600_000;

/**
 * Matches kept events that name what has just arrived; the number that found their place. The caller holds the locks of
 * the accounts concerned.
 */
export async function matchEvents(
  store: Store,
  tx: Tx,
  arrived: { account: readonly string[]; contact: readonly string[]; contract: readonly string[] },
  now: Instant,
): Promise<number> {
  if (arrived.account.length + arrived.contact.length + arrived.contract.length === 0) return 0;
  await store.lockAccounts(tx, [ARRIVALS]);
  const waiting = await store.events.unmatchedNaming(tx, arrived);
  if (waiting.length === 0) return 0;
  const model = await store.playbooks.configuration<Model>(tx, "model");
  const places = await store.customers.locate(tx, {
    account: waiting.flatMap((event) => event.names.account ?? []),
    contact: waiting.flatMap((event) => event.names.contact ?? []),
    contract: waiting.flatMap((event) => event.names.contract ?? []),
  });
  let matched = 0;
  for (const event of waiting) {
    const target = resolve(model, event, event.names, places);
    if (target.kind !== "matched") continue;
    const effects = await applyEvent(store, tx, model, target.event);
    if (!(await store.events.match(tx, effects.event))) continue;
    await store.events.append(tx, effects.more, now);
    matched += 1;
  }
  return matched;
}

/**
 * Taken like an account's lock by who keeps an event for somebody unknown and by who matches such events to arrivals. Without it each could look
 * before the other has written, and the event would wait for an arrival that has been.
 */
const ARRIVALS = "*arrivals*";

type Names = UnmatchedEvent["names"];

type Resolved =
  | { readonly kind: "matched"; readonly event: NewEvent }
  | { readonly kind: "unmatched"; readonly event: UnmatchedEvent; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: string };

function accountsIn(resolved: readonly Resolved[]): string[] {
  return resolved.flatMap((event) => (event.kind === "matched" ? event.event.accountId : []));
}

/** Whom an event names: an account's event needs its account, a contact's the contact, a contract's the contract. */
function namesOf(model: Model | undefined, event: IncomingEvent): Names {
  const type = typeOf(model, event.name);
  const idIn = (field: string) => {
    const value = eventField({ ...event, payload: event.payload }, field);
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const contact = event.contact ?? (type?.subject === "contact" ? idIn("contact_id") : undefined);
  const contract = type?.subject === "contract" ? idIn("contract_id") : undefined;
  return {
    ...(event.account === undefined ? {} : { account: event.account }),
    ...(contact === undefined ? {} : { contact }),
    ...(contract === undefined ? {} : { contract }),
  };
}

function resolve(
  model: Model | undefined,
  event: { id: string; name: string; at: Instant; payload: Readonly<Record<string, FactValue>>; source: string },
  names: Names,
  places: Record<"account" | "contact" | "contract", ReadonlyMap<string, Place>>,
): Resolved {
  const { id, name, at, payload, source } = event;
  const found: Place[] = [];
  for (const kind of ["account", "contact", "contract"] as const) {
    const named = names[kind];
    if (named === undefined) continue;
    const place = places[kind].get(named);
    if (place === undefined) {
      const reason = `${kind} "${named}" is not known yet; the event is kept until it is imported`;
      return { kind: "unmatched", event: { id, name, at, payload, source, names }, reason };
    }
    found.push(place);
  }
  const [place] = found;
  if (place === undefined) return { kind: "refused", reason: "it names no account, contact or contract" };
  if (found.some((other) => other.accountId !== place.accountId)) {
    return { kind: "refused", reason: "the account, contact and contract it names don't belong together" };
  }
  return {
    kind: "matched",
    event: {
      id,
      name,
      at,
      accountId: place.accountId,
      contactId: names.contact,
      contractId: names.contract,
      payload: convertPayload(typeOf(model, name), payload, place.timezone),
      source,
    },
  };
}

function typeOf(model: Model | undefined, name: string): EventType | undefined {
  return model && Object.hasOwn(model.events, name) ? model.events[name] : undefined;
}

/** Dates and instants become epoch milliseconds, as expressions read them; a day is its start in the account's zone. */
function convertPayload(
  type: EventType | undefined,
  payload: Readonly<Record<string, FactValue>>,
  zone: string,
): Record<string, FactValue> {
  return Object.fromEntries(
    Object.entries(payload).map(([field, value]) => {
      const declared: FieldType | undefined =
        type && Object.hasOwn(type.payload, field) ? type.payload[field] : undefined;
      if ((declared !== "date" && declared !== "datetime") || typeof value !== "string") return [field, value];
      return [field, (isCalendarDate(value) ? instantAt(value, "00:00", zone) : parseInstant(value)) ?? value];
    }),
  );
}

/** What an event changes besides being kept, written now; the event with the facts that changed, and further events. */
async function applyEvent(
  store: Store,
  tx: Tx,
  model: Model | undefined,
  event: NewEvent,
): Promise<{ event: NewEvent; more: NewEvent[] }> {
  const batch = rowsIn(event);
  const changed = [...(event.changed ?? [])];
  if (batch !== undefined) {
    const result = await store.customers.upsert(tx, batch, { at: event.at, source: `event:${event.name}` });
    changed.push(
      ...changedFacts(
        model,
        result.accounts.flatMap((account) => account.changed),
      ),
    );
  }
  const more: NewEvent[] = [];
  for (const [milestone, { on, where, of }] of Object.entries(model?.milestones ?? {})) {
    if (on !== event.name) continue;
    const runEvent = { id: event.id, name: event.name, at: event.at, payload: event.payload ?? {} };
    const holds = where === undefined || isTrue(where, (path) => eventField(runEvent, path.replace(/^event\./, "")));
    const contactId = of === "contact" ? event.contactId : "";
    if (!holds || contactId === undefined) continue;
    const isFirst = await store.customers.reach(tx, { accountId: event.accountId, contactId, milestone, at: event.at });
    if (!isFirst) continue;
    more.push({
      id: `${SYSTEM_EVENTS.milestoneReached}/${milestone}/${event.id}`,
      name: SYSTEM_EVENTS.milestoneReached,
      at: event.at,
      accountId: event.accountId,
      contactId: of === "contact" ? event.contactId : undefined,
      payload: { milestone },
      changed: [`milestone.${milestone}`],
      source: event.source,
    });
  }
  return { event: { ...event, changed }, more };
}

/** Rows that a well-known event stands for. */
function rowsIn({ id, name, at, accountId, contactId, payload = {} }: NewEvent): CustomerBatch | undefined {
  const text = (field: string) => (typeof payload[field] === "string" ? (payload[field] as string) : undefined);
  switch (name) {
    case "survey.answered": {
      const survey = text("kind");
      const { score } = payload;
      if (survey === undefined || typeof score !== "number") return undefined;
      return { surveyAnswers: [{ id, accountId, contactId, survey, score, comment: text("comment"), at }] };
    }
    case "ticket.opened": {
      const ticket = text("ticket_id");
      return ticket === undefined
        ? undefined
        : { tickets: [{ id: ticket, accountId, openedAt: at, priority: text("priority") }] };
    }
    case "ticket.closed": {
      const ticket = text("ticket_id");
      return ticket === undefined ? undefined : { tickets: [{ id: ticket, accountId, closedAt: at }] };
    }
    case "contact.left":
      return contactId === undefined ? undefined : { contacts: [{ id: contactId, fields: { is_active: false }, at }] };
    default:
      return undefined;
  }
}
