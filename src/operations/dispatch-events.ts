import { namesEvent } from "../engine/decide-enrol.js";
import type { RunEvent } from "../engine/event.js";
import type { Listens, Plan } from "../engine/plan.js";
import { isTrue } from "../expression/evaluate.js";
import { isAway } from "../ports/away.js";
import { INTERNAL_EVENTS, type StoredEvent } from "../ports/events.js";
import type { RunRow } from "../ports/runs.js";
import type { DispatchPorts, DispatchTurns } from "../ports/store.js";
import { StoreUnavailable, type Tx } from "../ports/transactions.js";
import { OtherRunThere } from "../ports/workflows.js";
import type { Instant } from "../values/instant.js";
import { eventScopeOf } from "./event-scope.js";
import { armBefore } from "./arm-triggers.js";
import { inParallel } from "./in-parallel.js";
import { makeRoom } from "./make-room.js";
import { enrolInto, lookupOf } from "./enrol.js";
import { updateSegments } from "./update-segments.js";

/** Accounts that one batch looks at. */
const ACCOUNTS_PER_BATCH = 64;

/** Events that one account may have before the others get their turn. */
const EVENTS_PER_ACCOUNT = 50;

/** Runs that are begun at once: Temporal's server, not the way to it, is then what takes the time. */
const STARTS_AT_ONCE = 32;

/**
 * Hands pending events on: enrols, starts workflows, signals live runs that listen; how many were done, at most about
 * `limit` events and as many starts. Any number of dispatchers may run at once: an account's events go in the order of (at, seq), one dispatcher at
 * a time. A crash at any moment leaves events pending, and doing them again changes nothing. An account whose event fails
 * is reported to `onFault` and waits; throws `StoreUnavailable`, and what failed where there is no `onFault`.
 */
export async function dispatchBatch(ports: DispatchPorts, limit: number): Promise<number> {
  const now = Math.min(ports.clock.now(), (await ports.order?.horizon()) ?? Number.POSITIVE_INFINITY);
  const done = await dispatchByAccount(ports, limit, now);
  // Where domain time is an order each start has its place in it.
  return ports.order === undefined ? done + (await beginWaiting(ports, limit, now)) : done;
}

async function dispatchByAccount(ports: DispatchPorts, limit: number, now: Instant): Promise<number> {
  const { store } = ports;
  const besidesStarts = ports.order === undefined;
  const look = ports.turns?.look() ?? 0;
  const accounts = await store.read((tx) =>
    store.events.accountsPending(tx, now, ACCOUNTS_PER_BATCH, { besidesStarts }),
  );
  let done = 0;
  for (const accountId of rotated(accounts)) {
    if (done >= limit) break;
    if (ports.turns?.take(accountId, look) === false) continue;
    try {
      await store.events.whileDispatching(accountId, now, async (first) => {
        let event = first;
        for (let ofAccount = 0; event !== undefined && ofAccount < EVENTS_PER_ACCOUNT && done < limit; ofAccount += 1) {
          // What is later than something that is not done yet has its turn after that.
          if (ports.order && !(await ports.order.isTurn({ rank: "event", at: event.at, accountId }))) break;
          event = await dispatchEvent(ports, event, now);
          done += 1;
          ports.order?.moved(accountId);
        }
      });
    } catch (error) {
      if (error instanceof StoreUnavailable || ports.onFault === undefined) throw error;
      ports.onFault(accountId, error);
    } finally {
      ports.turns?.leave(accountId);
    }
  }
  return done;
}

/**
 * Begins runs that wait for nothing else, many at once, with a handful of statements for all. One dispatcher of a process does: the others are there for
 * everybody's events meanwhile.
 */
async function beginWaiting(ports: DispatchPorts, limit: number, now: Instant): Promise<number> {
  const { store, turns } = ports;
  if (turns?.takeStarts() === false) return 0;
  let fault: unknown;
  try {
    const done = await store.events.whileStarting(now, limit, async (starts) => {
      const found = await store.read((tx) =>
        store.runs.getMany(
          tx,
          starts.map(({ event }) => event.runId as string),
        ),
      );
      const runs = new Map(found.map((run) => [run.id, run]));
      const begun: string[] = [];
      await inParallel(starts, STARTS_AT_ONCE, async ({ event, isBelated }) => {
        // What is away is away for all of them.
        if (isAway(fault)) return;
        try {
          await startRun(ports, event, runs.get(event.runId as string), isBelated);
          begun.push(event.id);
        } catch (error) {
          fault ??= error;
          if (!(error instanceof StoreUnavailable)) ports.onFault?.(event.accountId, error);
        }
      });
      return begun;
    });
    if (fault instanceof StoreUnavailable || (fault !== undefined && ports.onFault === undefined)) throw fault;
    return done;
  } finally {
    turns?.leaveStarts();
  }
}

/**
 * Which accounts the dispatchers of one process have had since when: they read the same list, and what one of them had since then the others needn't
 * ask for. Only the lock keeps two from dispatching for an account; this keeps them from asking for it in vain.
 */
export class Turns implements DispatchTurns {
  #count = 0;
  #isStarting = false;
  readonly #had = new Map<string, number>();

  /** To be called before the list is read. */
  look(): number {
    return this.#count;
  }

  /** False: another has it, or has had it since that look. */
  take(accountId: string, look: number): boolean {
    if ((this.#had.get(accountId) ?? 0) > look) return false;
    this.#had.set(accountId, Number.POSITIVE_INFINITY);
    return true;
  }

  takeStarts(): boolean {
    if (this.#isStarting) return false;
    this.#isStarting = true;
    return true;
  }

  leaveStarts(): void {
    this.#isStarting = false;
  }

  leave(accountId: string): void {
    this.#count += 1;
    this.#had.delete(accountId);
    this.#had.set(accountId, this.#count);
    // The oldest ends: whoever looked so long ago asks once in vain.
    const [oldest] = this.#had.keys();
    if (
      this.#had.size > TURNS_REMEMBERED_MAX &&
      oldest !== undefined &&
      this.#had.get(oldest) !== Number.POSITIVE_INFINITY
    )
      this.#had.delete(oldest);
  }
}

const TURNS_REMEMBERED_MAX = 1_000;

/** From anywhere on, and round: several dispatchers that read the same list don't queue for the same locks. */
function rotated(accounts: readonly string[]): string[] {
  const from = Math.floor(Math.random() * accounts.length);
  return [...accounts.slice(from), ...accounts.slice(0, from)];
}

/** Does one event, and gives the account's next: what it appended has its place in the order, too. */
async function dispatchEvent(ports: DispatchPorts, event: StoredEvent, now: Instant): Promise<StoredEvent | undefined> {
  const { store } = ports;
  if (event.name === INTERNAL_EVENTS.enrolled) {
    const run = await store.read((tx) => store.runs.get(tx, event.runId as string));
    await startRun(ports, event, run, true);
  }
  const { listeners, next } = await store.transaction(async (tx) => {
    const locked = store.lockAccounts(tx, [event.accountId]);
    const isReadByRuns = event.name !== INTERNAL_EVENTS.enrolled;
    if (isReadByRuns) await locked;
    if (isReadByRuns && event.runId === undefined) await reactTo(ports, tx, event);
    const listeners = isReadByRuns ? await listenersOf(ports, tx, event) : [];
    await ports.order?.store.stir(
      tx,
      listeners.map(({ id }) => id),
      event.at,
    );
    const [pending] = await Promise.all([
      store.events.pending(tx, event.accountId, now, 2),
      locked,
      listeners.length === 0 ? store.events.markDispatched(tx, event.id) : undefined,
    ]);
    return { listeners, next: pending.find((other) => other.id !== event.id) };
  });
  if (listeners.length > 0) {
    // A run that is gone, or not yet started, finds the event with its next `perform`.
    for (const run of listeners) await ports.workflows.signal(run.id, runEventOf(event));
    await store.read((tx) => store.events.markDispatched(tx, event.id));
  }
  return next;
}

/** Begins the run that the event is about. `isBelated`: it may have missed something. Repeating it changes nothing. */
async function startRun(
  ports: DispatchPorts,
  event: StoredEvent,
  run: RunRow | undefined,
  isBelated: boolean,
): Promise<void> {
  const { store, workflows, clockSetting } = ports;
  const plan = run && (await store.read((tx) => store.playbooks.plan(tx, run.hash)));
  if (run === undefined || plan === undefined) throw new Error(`run ${event.runId} or its plan is not in the store`);
  if (run.status === "ended") return;
  const start = {
    run: {
      id: run.id,
      playbook: run.playbook,
      subject: run.subject,
      subjectId: run.contactId ?? run.accountId,
      accountId: run.accountId,
      key: run.key,
      startedAt: run.startedAt,
    },
    plan,
    inputs: run.inputs,
    holds: (event.payload.holds ?? []) as readonly string[],
    clock: clockSetting,
    row: {
      ...(run.contractId === undefined ? {} : { contractId: run.contractId }),
      ...(run.enrolledBy === undefined ? {} : { enrolledBy: run.enrolledBy }),
      ...(run.parent === undefined ? {} : { parent: run.parent }),
    },
  };
  let ended: string | undefined;
  try {
    ended = await workflows.start(start);
  } catch (error) {
    const isPutBack =
      error instanceof OtherRunThere && (await store.read(async (tx) => ports.putBacks?.latest(tx))) !== undefined;
    if (!isPutBack) throw error;
    const theirs = await makeRoom(ports, run, error.begun);
    if (theirs !== undefined) await tellWhatWasBefore(ports, theirs, plan);
    return;
  }
  if (ended !== undefined) {
    // The run has walked to its end, and the store was put back to a copy from before it began: what began it begins it no second time.
    const now = ports.clock.now();
    await store.transaction(async (tx) => {
      await store.lockAccounts(tx, [run.accountId]);
      await store.runs.end(tx, run.id, ended, now);
    });
    return;
  }
  if (isBelated) await tellWhatWasBefore(ports, run, plan);
}

/**
 * A run that begins belatedly is told of what has been handed on since its beginning, when there was nobody to tell: it would find out with
 * its next `perform`, but may have no reason for one. What it is told again it drops.
 */
async function tellWhatWasBefore(ports: DispatchPorts, run: RunRow, plan: Plan): Promise<void> {
  const { store, clock, workflows } = ports;
  const scope = eventScopeOf(run, plan);
  const missed = await store.read(async (tx) => {
    const waiting = await store.events.undelivered(tx, scope, clock.now());
    const statuses = await store.events.known(
      tx,
      waiting.map(({ id }) => id),
    );
    return waiting.filter(({ id }) => statuses.get(id) === "dispatched");
  });
  for (const event of missed) await workflows.signal(run.id, event);
}

/** What an event brings about before runs are told of it. Repeating it changes nothing. */
async function reactTo(ports: DispatchPorts, tx: Tx, event: StoredEvent): Promise<void> {
  const { store, clock, react } = ports;
  const now = clock.now();
  await react?.(tx, event);
  const plans = await store.playbooks.current(tx);
  if (event.changed !== undefined && event.changed.length > 0) {
    // A belated change must not put memberships and dates back to what they were.
    const asOf = Math.max(event.at, (await store.events.latestDispatched(tx, event.accountId)) ?? event.at);
    await updateSegments(store, tx, [event.accountId], asOf, event.id, now, {
      changed: event.changed,
      since: event.at,
    });
    await armBefore(store, tx, plans, [event.accountId], asOf, event.changed);
  }
  for (const plan of plans) await enrolByTrigger(ports, tx, plan, event, now);
}

async function enrolByTrigger(
  { store, onFault }: DispatchPorts,
  tx: Tx,
  plan: Plan,
  event: StoredEvent,
  now: Instant,
): Promise<void> {
  const candidates = plan.enroll.when.filter((trigger, index) => namesEvent(trigger, index, plan, event));
  if (candidates.length === 0) return;
  const { accountId, contractId } = event;
  const contactIds =
    plan.subject === "account"
      ? [undefined]
      : event.contactId !== undefined
        ? [event.contactId]
        : ((await store.customers.belongings(tx, [accountId])).get(accountId)?.contacts ?? []);
  const runEvent = runEventOf(event);
  const known = await store.customers.locate(tx, {
    account: [accountId],
    contact: contactIds.flatMap((id) => id ?? []),
    contract: contractId === undefined ? [] : [contractId],
  });
  for (const contactId of contactIds) {
    // An event that waited for its account is older than every fact of it: the run begins with the facts.
    const at = Math.max(
      event.at,
      known.account.get(accountId)?.since ?? event.at,
      known.contact.get(contactId ?? "")?.since ?? event.at,
      known.contract.get(contractId ?? "")?.since ?? event.at,
    );
    const subject = {
      accountId,
      ...(contactId === undefined ? {} : { contactId }),
      ...(contractId === undefined ? {} : { contractId }),
    };
    const wheres = candidates.map((trigger) => (trigger.kind === "event" ? trigger.where : undefined));
    const lookup = await lookupOf(store, tx, subject, { at, event: runEvent, inputs: undefined }, wheres);
    if (!wheres.some((where) => where === undefined || isTrue(where, lookup))) continue;
    // A refusal is the ordinary case: most customers don't match a playbook's `if`.
    const outcome = await enrolInto(
      store,
      tx,
      plan,
      {
        playbook: plan.playbook,
        accountId,
        contactId,
        contractId,
        at,
        cause: event.id,
        event: runEvent,
        source: "trigger",
      },
      now,
    );
    if (outcome.kind === "refused" && outcome.isTooOften) onFault?.(accountId, new Error(outcome.message));
  }
}

/** Live runs that the event is for: the same rule as `Events.undelivered`. */
async function listenersOf({ store }: DispatchPorts, tx: Tx, event: StoredEvent): Promise<RunRow[]> {
  const listeners: RunRow[] = [];
  for (const run of await store.runs.live(tx, event.accountId)) {
    if (run.startedAt > event.at || run.enrolledBy === event.id) continue;
    if (event.runId !== undefined) {
      if (event.runId === run.id) listeners.push(run);
      continue;
    }
    if (isOther(run.contactId, event.contactId) || isOther(run.contractId, event.contractId)) continue;
    const plan = await store.playbooks.plan(tx, run.hash);
    if (plan !== undefined && isListenedTo(plan.listens, event)) listeners.push(run);
  }
  return listeners;
}

function isOther(ofRun: string | undefined, ofEvent: string | undefined): boolean {
  return ofRun !== undefined && ofEvent !== undefined && ofRun !== ofEvent;
}

function isListenedTo(listens: Listens, event: RunEvent): boolean {
  return listens.events.includes(event.name) || (event.changed ?? []).some((path) => listens.facts.includes(path));
}

function runEventOf({ id, name, at, payload, changed }: StoredEvent): RunEvent {
  return { id, name, at, payload, ...(changed === undefined ? {} : { changed }) };
}
