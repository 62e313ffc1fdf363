import type { Plan } from "../engine/plan.js";
import type { Policy } from "../engine/policy.js";
import type { RunEvent } from "../engine/event.js";
import type { Model } from "../customers/model.js";
import type { Directory } from "../customers/people.js";
import type { FactValue } from "../expression/expression.js";
import type { AccountCard, ContactCard, PeopleAround } from "../ports/people.js";
import type { FactSubject } from "../ports/facts.js";
import type { RunRow, Runs } from "../ports/runs.js";
import { StorePutBack } from "../ports/put-backs.js";
import { type Tx, WithCommit } from "../ports/transactions.js";
import type { Calendar } from "../values/calendar.js";
import type { Instant } from "../values/instant.js";
import { calendarNamed, calendarsIn, customerCalendar } from "./calendars.js";
import { eventScopeOf } from "./event-scope.js";
import type { Ports } from "../ports/store.js";
import type { DeskPorts, PerformPorts } from "./perform-ports.js";

/**
 * Where one command takes place: the run, its plan, and what is current (people, policy, calendars), each read once and
 * only when asked for. What decides whether a message may go (suppressions, caps, holds) is not kept here: the claim reads it anew.
 */
export interface Scene {
  readonly ports: PerformPorts;
  readonly run: RunRow;
  readonly plan: Plan;
  /** How many stretches were walked before this one; absent: it is none of the run's own. */
  readonly turns?: number;
  /** Facts and effects of the store are of this instant; it moves on when a delivery took real time. */
  readonly at: Instant;
  /** Domain time for windows and `sent_at`: with `scale` 1 what the clock shows, if that is later. */
  now(): Instant;
  moveTo(at: Instant): void;
  /** Real milliseconds that this stretch has left. */
  leftMs(): number;
  /**
   * Takes the account's lock for what is done once. Throws `Overtaken` where the call's time is up by then: somebody else does its work, and may have gone on from there.
   */
  lock(tx: Tx): Promise<void>;
  account(): Promise<AccountCard>;
  contacts(): Promise<readonly ContactCard[]>;
  /** Has this command take account and contacts as the stretch last saw them, if it did: its claim must find them at the same version. */
  assumePeople(): void;
  /** undefined: nothing was assumed. */
  assumedVersion(): string | undefined;
  /** From here on they are read anew. */
  forgetPeople(): void;
  directory(): Promise<Directory>;
  policy(): Promise<Policy>;
  /** The working calendar of the run's account. */
  customerCalendar(): Promise<Calendar>;
  calendar(name: string | null): Promise<Calendar>;
  subject(contactId?: string): FactSubject;
  /** Within a transaction, if one is given: the configuration must have been read before it (`policy`). */
  facts(paths: readonly string[], contactId?: string, tx?: Tx): Promise<Record<string, FactValue>>;
  /** Events that the run must be told first: up to the run's instant, or another. */
  undelivered(tx: Tx, until?: Instant): Promise<readonly RunEvent[]>;
  /** The run as the store has it now, with the events up to the instant that it must be told first. */
  look(tx: Tx, until: Instant): ReturnType<Runs["withUndelivered"]>;
  /** What the run listens to among these fact paths. */
  hears(paths: readonly string[]): boolean;
}

/** What the commands of one stretch share. */
export interface Session {
  readonly ports: PerformPorts;
  /** As the store had it when the stretch began. */
  run: RunRow;
  readonly plan: Plan;
  /** How many stretches were walked before this one: a call that has been overtaken begins nothing more. Absent: it is none of the run's own. */
  readonly turns?: number;
  /** When its time is up, by `performance.now()`. */
  readonly deadline: number;
  /** Account and contacts as the stretch last saw them; absent where what is current depends on the run's clock. */
  people?: PeopleAround;
  /** Ids of events that the stretch has in hand, and that are not confirmed yet. */
  readonly inHand: Set<string>;
  /** As published when the stretch first asked. */
  readonly policy: () => Promise<Policy>;
  readonly calendars: () => Promise<ReadonlyMap<string, Calendar>>;
  readonly model: () => Promise<Model | undefined>;
  readonly directory: () => Promise<Directory>;
}

export function sessionOf(
  ports: PerformPorts,
  run: RunRow,
  plan: Plan,
  how: { readonly turns?: number; readonly offered?: readonly RunEvent[]; readonly budgetMs?: number | undefined },
): Session {
  const { store } = ports;
  const published = once(store, (tx) => store.playbooks.configurations(tx));
  return {
    ports,
    run,
    plan,
    ...(how.turns === undefined ? {} : { turns: how.turns }),
    deadline: performance.now() + (how.budgetMs ?? ports.settings.budgetMs),
    inHand: new Set(how.offered?.map(({ id }) => id)),
    policy: async () => policyIn((await published()).policy as Policy | undefined),
    calendars: async () => calendarsIn((await published()).calendars as readonly Calendar[] | undefined),
    model: async () => (await published()).model as Model | undefined,
    directory: once(store, (tx) => ports.people.directory(tx)),
  };
}

function once<T>(store: Ports["store"], read: (tx: Tx) => Promise<T>): () => Promise<T> {
  let known: Promise<T> | undefined;
  return () => {
    known ??= store.read(read);
    return known;
  };
}

/** At most so many events are handed to a run at once; the rest with its next call. */
const EVENTS_AT_ONCE = 100;

export function sceneOf(session: Session, asOf: Instant): Scene {
  const { ports, run, plan, turns } = session;
  const { store } = ports;
  let at = asOf;
  // Faster than real time, what is current depends on whose clock is asked: the run's. What is dated later is not so yet.
  const today = ports.clock.scale === 1 ? undefined : asOf;
  const readPeople = () =>
    once(store, async (tx) => {
      const found = await ports.people.around(tx, run.accountId, today);
      if (!found) throw new Error(`run ${run.id}: its account ${run.accountId} is not there`);
      if (today === undefined) session.people = found;
      return found;
    });
  let people = readPeople();
  let assumed: PeopleAround | undefined;
  const account = async () => (await people()).account;
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
    ...(turns === undefined ? {} : { turns }),
    get at() {
      return at;
    },
    now: () => (ports.clock.scale === 1 ? Math.max(at, ports.clock.now()) : at),
    moveTo(instant) {
      at = Math.max(at, instant);
    },
    leftMs: () => Math.max(0, session.deadline - performance.now()),
    async lock(tx) {
      await store.lockAccounts(tx, [run.accountId]);
      if (performance.now() > session.deadline) throw new Overtaken(run.id);
    },
    account,
    assumePeople() {
      const known = session.people;
      if (known === undefined) return;
      assumed = known;
      people = async () => known;
    },
    assumedVersion: () => assumed?.version,
    forgetPeople() {
      assumed = undefined;
      people = readPeople();
    },
    contacts: async () => (await people()).contacts,
    directory: session.directory,
    policy: session.policy,
    customerCalendar: async () => customerCalendar(await account(), await session.calendars()),
    calendar: async (name) => calendarNamed(name, await session.calendars()),
    subject,
    facts: async (paths, contactId, tx) => {
      if (paths.length === 0) return {};
      const facts = store.facts.under(await session.model());
      return (tx === undefined ? facts : facts.within(tx)).read(subject(contactId), paths, at);
    },
    undelivered: (tx, until = at) => undelivered(session, tx, until),
    look: (tx, until) => {
      const { scope, asOf, limit, inHand } = undeliveredOf(session, until);
      return store.runs.withUndelivered(tx, scope, asOf, limit, inHand);
    },
    hears: (paths) => plan.listens.facts.some((fact) => paths.includes(fact)),
  };
}

/** Events up to the instant that the run must be told first, and that the stretch doesn't have in hand. */
export function undelivered(
  session: Session,
  tx: Tx,
  until: Instant,
  most = EVENTS_AT_ONCE,
): Promise<readonly RunEvent[]> {
  const { scope, asOf, limit, inHand } = undeliveredOf(session, until, most);
  return session.ports.store.events.undelivered(tx, scope, asOf, limit, inHand);
}

/** The same as a question. */
export function undeliveredOf({ run, plan, inHand }: Session, asOf: Instant, limit = EVENTS_AT_ONCE) {
  return { scope: eventScopeOf(run, plan), asOf, limit, inHand: [...inHand] };
}

/** The policy as last published. Throws before the first publication: nothing can run then. */
export async function readPolicy(ports: Pick<DeskPorts, "store">, tx: Tx): Promise<Policy> {
  return policyIn(await ports.store.playbooks.configuration<Policy>(tx, "policy"));
}

function policyIn(policy: Policy | undefined): Policy {
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
 * happens whole or not at all. `work` is given the run as the store has it now, and what `beside` found. Throws `RunHasEnded`, and `Overtaken`.
 *
 * @param beside a look of the claim's own, taken under the same lock: it travels with the others, and must write nothing
 * @param instead what makes the claim needless, as that look has shown: nothing is begun then, whatever the run must hear
 */
export async function inClaim<T, Found = undefined>(
  scene: Scene,
  work: (tx: Tx, run: RunRow, found: Found) => Promise<T | WithCommit<T>>,
  beside?: (tx: Tx) => Promise<Found>,
  instead?: (found: Found) => T | undefined,
): Promise<InClaim<T>> {
  const { store } = scene.ports;
  const done = (value: T): InClaim<T> => ({ kind: "done", value });
  return store.transaction<InClaim<T>>(async (tx) => {
    const [, look, found] = await Promise.all([
      // A transaction does its statements in the order in which they were asked: the looks see what was written until the lock was had.
      store.lockAccounts(tx, [scene.run.accountId]),
      // A call that was given up (frozen, cancelled, timed out) still runs beside what came after it: the events that ended the run are confirmed by
      // then, and would not stop it.
      // The events: in real time also what happened after the effect was due. It is late, and goes to people as they are now.
      scene.look(tx, scene.now()),
      beside?.(tx),
    ]);
    const needless = instead?.(found as Found);
    if (needless !== undefined) return done(needless);
    const { run = scene.run, events } = look;
    if (run.status === "ended") throw new RunHasEnded(run);
    // The database was put back since the call began: the next one finds out.
    if (scene.turns !== undefined && (look.run?.turns ?? -1) < scene.turns)
      throw new StorePutBack(`the store is behind run ${run.id}`);
    if (scene.turns !== undefined && run.turns > scene.turns) throw new Overtaken(run.id);
    if (events.length > 0) return { kind: "events", events };
    const made = await work(tx, run, found as Found);
    return made instanceof WithCommit ? made.map(done) : done(made);
  });
}

type InClaim<T> = { kind: "events"; events: readonly RunEvent[] } | { kind: "done"; value: T };

/** Nothing more is begun for a run whose end is in the store. */
export class RunHasEnded extends Error {
  readonly outcome: string;

  constructor(run: RunRow) {
    super(`run ${run.id} has ended`);
    this.name = "RunHasEnded";
    this.outcome = run.outcome ?? "";
  }
}

/** The run has walked on without this call: another did its stretch, and nothing more is begun here. */
export class Overtaken extends Error {
  constructor(run: string) {
    super(`run ${run} has walked on without this call`);
    this.name = "Overtaken";
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
