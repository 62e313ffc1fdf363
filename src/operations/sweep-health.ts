import type { HealthModel } from "../customers/health-model.js";
import type { Model, Segments } from "../customers/model.js";
import type { FactValue } from "../expression/expression.js";
import type { NewEvent } from "../ports/events.js";
import type { LogicalOrder } from "../ports/order.js";
import type { AccountSpan, HealthPorts, ListenedFact } from "../ports/health.js";
import type { Tx } from "../ports/transactions.js";
import { DAY_MS, type Instant } from "../values/instant.js";
import { msOfTime } from "../values/time-of-day.js";

/** A sweep that was down for longer begins this many days back. */
export const CATCH_UP_DAYS_MAX = 400;

/**
 * Accounts per transaction. Enough that planning a statement weighs little beside it; few enough that their locks, and those of a whole import batch
 * beside them (`ROWS_PER_BATCH_MAX`), fit Postgres' lock table (some 7,000 by default), and that nobody waits for them longer than a second or so.
 */
const SWEEP_CHUNK_ACCOUNTS = 2_000;

/** The name under which the sweep's progress is kept. */
export const SWEEP = "health";

export interface SweepReport {
  readonly accounts: number;
  /** Health rows written: those in which anything differs. */
  readonly written: number;
  /** `health.changed` events. */
  readonly changed: number;
  /** Segments entered and left. */
  readonly moved: number;
  /** `facts.changed` events for live runs that listen to facts that time alone changes. */
  readonly told: number;
}

/**
 * The daily evaluation of every account that existed at the instant: health, then segments, then the facts that changed by
 * time alone. A chunk of accounts is one transaction and a handful of statements. Repeating it changes nothing.
 */
export async function sweepHealth(ports: HealthPorts, asOf: Instant): Promise<SweepReport> {
  let report = NOTHING;
  let after: string | undefined = "";
  while (after !== undefined) {
    const behind: string = after;
    const chunk = await ports.store.transaction((tx) => sweepChunk(tx, ports, asOf, behind));
    report = sum(report, chunk.report);
    after = chunk.last;
  }
  return report;
}

/**
 * Every daily instant (`evaluate.daily_at`, UTC) up to `now` that has not been swept, oldest first, at most
 * `CATCH_UP_DAYS_MAX`; the very first time, only the latest. Several workers may call it at once and share the chunks;
 * a killed one is carried on from its last chunk. One report per instant that this call has worked on. With an `order`
 * it stops before an instant whose turn it isn't yet, and is to be called again.
 */
export async function sweepDue(
  ports: HealthPorts,
  now: Instant,
  order?: LogicalOrder,
): Promise<readonly (SweepReport & { readonly at: Instant })[]> {
  const reports: (SweepReport & { at: Instant })[] = [];
  for (;;) {
    const due = await ports.store.read((tx) => nextInstant(tx, ports, now, order !== undefined));
    if (due === undefined) return reports;
    const { at } = due;
    if (order !== undefined && !(await order.isTurn({ rank: "sweep", at }))) return reports;
    const done = await ports.store.transaction(async (tx) => {
      // Read again: the row is locked now, and another worker may have gone on meanwhile.
      const next = await nextInstant(tx, ports, now, order !== undefined);
      if (next?.at !== at) return undefined;
      const chunk = await sweepChunk(tx, ports, at, next.after);
      await ports.health.setSweepCursor(tx, SWEEP, { at, after: chunk.last ?? null });
      return chunk.report;
    });
    order?.moved();
    if (done === undefined) continue;
    const last = reports.at(-1);
    if (last?.at === at) reports[reports.length - 1] = { ...sum(last, done), at };
    else reports.push({ ...done, at });
  }
}

/** The instant that is to be swept, and behind whom; undefined if all up to `now` are done, or nothing is published. Locks the sweep's row. */
async function nextInstant(
  tx: Tx,
  ports: HealthPorts,
  now: Instant,
  mustNotSkip: boolean,
): Promise<{ readonly at: Instant; readonly after: string } | undefined> {
  const model = await ports.store.playbooks.configuration<HealthModel>(tx, "health");
  if (model === undefined) return undefined;
  const cursor = await ports.health.sweepCursor(tx, SWEEP);
  if (cursor !== undefined && cursor.after !== null) return { at: cursor.at, after: cursor.after };
  const ofDay = msOfTime(model.evaluate.dailyAt);
  const latest = Math.floor((now - ofDay) / DAY_MS) * DAY_MS + ofDay;
  if (cursor === undefined) return { at: latest, after: "" };
  const next = Math.floor((cursor.at - ofDay) / DAY_MS + 1) * DAY_MS + ofDay;
  if (next > latest) return undefined;
  // Where domain time is an order, everybody waits for the next one, however far the clock is ahead.
  const at = mustNotSkip ? next : Math.max(next, latest - (CATCH_UP_DAYS_MAX - 1) * DAY_MS);
  return { at, after: "" };
}

async function sweepChunk(
  tx: Tx,
  ports: HealthPorts,
  asOf: Instant,
  after: string,
): Promise<{ readonly report: SweepReport; readonly last: string | undefined }> {
  const { store, health, clock } = ports;
  const accounts = await health.lockSpan(tx, after, asOf, SWEEP_CHUNK_ACCOUNTS);
  if (accounts === undefined) return { report: NOTHING, last: undefined };
  const published = await store.playbooks.configurations(tx);
  const model = published.model as Model | undefined;
  const healthModel = published.health as HealthModel | undefined;
  const segments = published.segments as Segments | undefined;
  if (model === undefined) return { report: NOTHING, last: undefined };
  const receivedAt = clock.now();
  const { written, changed } =
    healthModel === undefined
      ? { written: 0, changed: 0 }
      : await health.measureAll(tx, { model, health: healthModel, accounts }, asOf, receivedAt);
  const { entered, left } = await ports.segments.evaluateAll(
    tx,
    { model, segments: segments ?? {}, accounts },
    asOf,
    receivedAt,
  );
  const told = await tellSweptFacts(tx, ports, model, accounts, asOf);
  await health.confirmSpan(tx, accounts);
  return {
    report: { accounts: accounts.count, written, changed, moved: entered + left, told },
    last: accounts.count < SWEEP_CHUNK_ACCOUNTS ? undefined : accounts.last,
  };
}

/**
 * Tells live runs of the facts they listen to whose value differs from the last sweep's; one event per account, or person.
 * What is listened to for the first time is told too: it may have changed since the run looked.
 */
async function tellSweptFacts(
  tx: Tx,
  ports: HealthPorts,
  model: Model,
  accounts: AccountSpan,
  asOf: Instant,
): Promise<number> {
  const { store, health, clock } = ports;
  const [listening, known] = await Promise.all([health.listened(tx, accounts), health.sweptFacts(tx, accounts)]);
  const listened = listening.map((fact) => ofWhom(model, fact));
  if (listened.length === 0 && known.length === 0) return 0;
  const paths = [...new Set(listened.map(({ path }) => path))];
  const subjects = [...new Map(listened.map((fact) => [keyOf(fact, ""), fact])).values()];
  const values = await store.facts.within(tx).readMany(
    subjects.map(({ accountId, contactId }) => ({ accountId, ...(contactId === "" ? {} : { contactId }) })),
    paths,
    asOf,
  );
  const valueOf = new Map<string, FactValue | null>();
  subjects.forEach((subject, index) => {
    for (const path of paths) valueOf.set(keyOf(subject, path), values[index]?.[path] ?? null);
  });
  const before = new Map(known.map((fact) => [keyOf(fact, fact.path), JSON.stringify(fact.value ?? null)]));
  const now = new Map(listened.map((fact) => [keyOf(fact, fact.path), fact]));
  const different = [...now].flatMap(([key, fact]) => {
    const value = valueOf.get(key) ?? null;
    return before.get(key) === JSON.stringify(value) ? [] : [{ ...fact, value }];
  });
  await health.setSweptFacts(tx, different);
  await health.dropSweptFacts(
    tx,
    known.filter((fact) => !now.has(keyOf(fact, fact.path))),
  );
  const events = new Map<string, NewEvent & { changed: string[] }>();
  for (const { accountId, contactId, path } of different) {
    const id = `swept|${accountId}|${contactId}|${asOf}`;
    const event = events.get(id) ?? {
      id,
      name: "facts.changed",
      at: asOf,
      accountId,
      ...(contactId === "" ? {} : { contactId }),
      changed: [],
      source: "sweep",
    };
    event.changed.push(path);
    events.set(id, event);
  }
  await store.events.append(tx, [...events.values()], clock.now());
  return events.size;
}

/** A run about a person listens to facts of that person and to facts of the account. */
function ofWhom(model: Model, fact: ListenedFact): ListenedFact {
  const metric = fact.path.startsWith("usage.") ? fact.path.slice("usage.".length) : undefined;
  const isPersonal =
    fact.path === "survey.my_nps" ||
    (metric !== undefined && Object.hasOwn(model.metrics, metric) && model.metrics[metric]?.of === "contact");
  return isPersonal ? fact : { ...fact, contactId: "" };
}

function keyOf({ accountId, contactId }: ListenedFact, path: string): string {
  return `${accountId}\n${contactId}\n${path}`;
}

const NOTHING: SweepReport = { accounts: 0, written: 0, changed: 0, moved: 0, told: 0 };

function sum(a: SweepReport, b: SweepReport): SweepReport {
  return {
    accounts: a.accounts + b.accounts,
    written: a.written + b.written,
    changed: a.changed + b.changed,
    moved: a.moved + b.moved,
    told: a.told + b.told,
  };
}
