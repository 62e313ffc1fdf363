import type { Command } from "../engine/command.js";
import { instanceOf } from "../engine/flow.js";
import type { Plan } from "../engine/plan.js";
import type { Policy } from "../engine/policy.js";
import type { RunEvent } from "../engine/event.js";
import type { Directory } from "../customers/people.js";
import type { FactValue } from "../expression/expression.js";
import type { AccountCard, ContactCard } from "../ports/people.js";
import type { FactSubject } from "../ports/facts.js";
import type { RunRow } from "../ports/runs.js";
import type { Tx } from "../ports/transactions.js";
import type { Calendar } from "../values/calendar.js";
import type { Instant } from "../values/instant.js";
import { calendarNamed, customerCalendar, readCalendars } from "./calendars.js";
import { eventScopeOf } from "./event-scope.js";
import type { DeskPorts, PerformPorts } from "./perform-ports.js";

/**
 * Where the commands of one `perform` take place: the run, its plan, and what is current (people, policy, calendars), each read once and
 * only when asked for. What decides whether a message may go (suppressions, caps, holds) is not kept here: the claim reads it anew.
 */
export interface Scene {
  readonly ports: PerformPorts;
  readonly run: RunRow;
  readonly plan: Plan;
  /** Facts and effects of the store are of this instant; it moves on when a delivery took real time. */
  readonly at: Instant;
  /** Domain time for windows and `sent_at`: with `scale` 1 what the clock shows, if that is later. */
  now(): Instant;
  moveTo(at: Instant): void;
  /** Real milliseconds that this `perform` has left. */
  leftMs(): number;
  account(): Promise<AccountCard>;
  contacts(): Promise<readonly ContactCard[]>;
  directory(): Promise<Directory>;
  policy(): Promise<Policy>;
  /** The working calendar of the run's account. */
  customerCalendar(): Promise<Calendar>;
  calendar(name: string | null): Promise<Calendar>;
  subject(contactId?: string): FactSubject;
  facts(paths: readonly string[], contactId?: string): Promise<Record<string, FactValue>>;
  /** Events that the run must be told first: up to the run's instant, or another. Not those that it has in hand. */
  undelivered(tx: Tx, until?: Instant): Promise<readonly RunEvent[]>;
  /** The command that is begun now. */
  turnTo(command: Command): void;
  /** True if another call of the run has begun since, by which the run stands elsewhere and no longer at the command at hand. */
  isOvertaken(run: RunRow): boolean;
  /** What the run listens to among these fact paths. */
  hears(paths: readonly string[]): boolean;
}

/** At most so many events are handed to a run at once; the rest with its next call. */
export const EVENTS_AT_ONCE = 100;

/** `have`: ids of events that the run has in hand. `position`: where the run stands by the call that this is for; absent: it is no run's call. */
export function sceneOf(
  ports: PerformPorts,
  run: RunRow,
  plan: Plan,
  asOf: Instant,
  deadline: number,
  have: readonly string[] = [],
  position?: readonly string[],
): Scene {
  const { store } = ports;
  let at = asOf;
  let current: Command | undefined;
  const once = <T>(read: (tx: Tx) => Promise<T>): (() => Promise<T>) => {
    let known: Promise<T> | undefined;
    return () => {
      known ??= store.read(read);
      return known;
    };
  };
  // Faster than real time, what is current depends on whose clock is asked: the run's. What is dated later is not so yet.
  const today = ports.clock.scale === 1 ? undefined : asOf;
  const account = once(async (tx) => {
    const found = await ports.people.account(tx, run.accountId, today);
    if (!found) throw new Error(`run ${run.id}: its account ${run.accountId} is not there`);
    return found;
  });
  const calendars = once((tx) => readCalendars(ports.store, tx));
  const subject = (contactId?: string): FactSubject => {
    const person = contactId ?? run.contactId;
    return {
      accountId: run.accountId,
      runId: run.id,
      ...(person !== undefined && { contactId: person }),
      ...(run.contractId !== undefined && { contractId: run.contractId }),
    };
  };
  return {
    ports,
    run,
    plan,
    get at() {
      return at;
    },
    now: () => (ports.clock.scale === 1 ? Math.max(at, ports.clock.now()) : at),
    moveTo(instant) {
      at = Math.max(at, instant);
    },
    leftMs: () => Math.max(0, deadline - performance.now()),
    account,
    contacts: once((tx) => ports.people.contacts(tx, run.accountId, today)),
    directory: once((tx) => ports.people.directory(tx)),
    policy: once((tx) => readPolicy(ports, tx)),
    customerCalendar: async () => customerCalendar(await account(), await calendars()),
    calendar: async (name) => calendarNamed(name, await calendars()),
    subject,
    facts: (paths, contactId) =>
      paths.length === 0 ? Promise.resolve({}) : store.facts.read(subject(contactId), paths, at),
    async undelivered(tx, until = at) {
      const found = await store.events.undelivered(tx, eventScopeOf(run, plan), until, EVENTS_AT_ONCE + have.length);
      return found.filter(({ id }) => !have.includes(id)).slice(0, EVENTS_AT_ONCE);
    },
    turnTo(command) {
      current = command;
    },
    isOvertaken: (latest) =>
      position !== undefined &&
      current !== undefined &&
      latest.position.join("\n") !== position.join("\n") &&
      !latest.position.includes(instanceOf(current.key)),
    hears: (paths) => plan.listens.facts.some((fact) => paths.includes(fact)),
  };
}

/** The policy as last published. Throws before the first publication: nothing can run then. */
export async function readPolicy(ports: Pick<DeskPorts, "store">, tx: Tx): Promise<Policy> {
  const policy = await ports.store.playbooks.configuration<Policy>(tx, "policy");
  if (!policy) throw new Error("no policy is published");
  return policy;
}

/** What a command came to: its outcome; events that the run must hear first; or a delivery that must be tried again. */
export type Effect<O> =
  | { readonly kind: "outcome"; readonly outcome: O }
  | { readonly kind: "events"; readonly events: readonly RunEvent[] }
  /** Real milliseconds from now. */
  | { readonly kind: "retry"; readonly afterMs: number };

/**
 * Does `work` in the transaction of a claim: the account locked, and nothing begun if the run must hear of something first. What `work` writes
 * happens whole or not at all. `work` is given the run as the store has it now. Throws `RunHasEnded`, and `CallIsOvertaken`.
 */
export async function inClaim<T>(
  scene: Scene,
  work: (tx: Tx, run: RunRow) => Promise<T>,
): Promise<{ kind: "events"; events: readonly RunEvent[] } | { kind: "done"; value: T }> {
  const { store } = scene.ports;
  return store.transaction(async (tx) => {
    await store.lockAccounts(tx, [scene.run.accountId]);
    // A call that was given up (frozen, cancelled, timed out) still runs beside what came after it: the events that ended the run are confirmed by
    // then, and would not stop it.
    const run = (await store.runs.get(tx, scene.run.id)) ?? scene.run;
    if (run.status === "ended") throw new RunHasEnded(run);
    if (scene.isOvertaken(run)) throw new CallIsOvertaken(run);
    // In real time also what happened after the effect was due: it is late, and goes to people as they are now.
    const events = await scene.undelivered(tx, scene.now());
    return events.length > 0 ? { kind: "events", events } : { kind: "done", value: await work(tx, run) };
  });
}

/** Nothing more is begun for a run whose end is in the store. */
export class RunHasEnded extends Error {
  readonly outcome: string;

  constructor(run: RunRow) {
    super(`run ${run.id} has ended`);
    this.name = "RunHasEnded";
    this.outcome = run.outcome ?? "";
  }
}

/** A call that was given up begins nothing more for a branch that the run has left since. */
export class CallIsOvertaken extends Error {
  constructor(run: RunRow) {
    super(`run ${run.id} has gone on in a later call`);
    this.name = "CallIsOvertaken";
  }
}

/** `inClaim` for an effect that is the transaction itself. */
export async function effectInClaim<O>(scene: Scene, work: (tx: Tx) => Promise<O>): Promise<Effect<O>> {
  const claimed = await inClaim(scene, work);
  return claimed.kind === "events" ? claimed : { kind: "outcome", outcome: claimed.value };
}

/** The key of an effect: the run's id and the command's key; it survives continue-as-new. */
export function effectId(scene: Scene, command: { readonly key: string }): string {
  return `${scene.run.id}|${command.key}`;
}
