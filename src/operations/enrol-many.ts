import type { Plan } from "../engine/plan.js";
import { isLocal } from "../engine/scope.js";
import type { FactValue } from "../expression/expression.js";
import { references } from "../expression/references.js";
import type { NewEvent } from "../ports/events.js";
import type { FactSubject } from "../ports/facts.js";
import type { RunRow } from "../ports/runs.js";
import type { Ports, Store } from "../ports/store.js";
import type { Tx } from "../ports/transactions.js";
import type { Instant } from "../values/instant.js";
import { type EnrolOutcome, enrolInto } from "./enrol.js";
import type { ImportProblem, Place } from "./import-files.js";

/** Somebody who is to be enrolled. Who names a contact or a contract needs no account. */
export interface Enrollee {
  readonly accountId?: string | undefined;
  readonly contactId?: string | undefined;
  readonly contractId?: string | undefined;
  readonly inputs: Readonly<Record<string, FactValue>>;
}

export interface Campaign {
  readonly playbook: string;
  /** The same campaign enrols the same one once, however often it is run. */
  readonly id: string;
  readonly source: string;
}

/** What became of one; `already`: this campaign had enrolled it before. */
export type ManyOutcome = EnrolOutcome | { readonly kind: "already"; readonly run: string };

/** Enrolled in one transaction: their accounts are locked together. */
export const ENROL_BATCH_ROWS = 250;

/**
 * Enrols these in one transaction, by the rules of `enrol` and with a handful of statements for all; what became of each, in order.
 * Idempotent by the campaign's id. Workers begin the runs. `alongside`: last in the transaction, where anybody new was enrolled.
 * Throws RangeError beyond `ENROL_BATCH_ROWS`.
 */
export async function enrolBatch(
  ports: Ports,
  campaign: Campaign,
  rows: readonly Enrollee[],
  alongside?: (tx: Tx, enrolled: number) => Promise<void>,
): Promise<readonly ManyOutcome[]> {
  if (rows.length > ENROL_BATCH_ROWS) throw new RangeError(`more than ${ENROL_BATCH_ROWS} in one batch`);
  const { store, clock } = ports;
  const now = clock.now();
  return store.transaction(async (tx) => {
    const plan = (await store.playbooks.current(tx)).find(({ playbook }) => playbook === campaign.playbook);
    if (plan === undefined)
      return rows.map(() => refused("unknown_playbook", `no playbook "${campaign.playbook}" is published`));
    const whom = await whomOf(store, tx, rows);
    const accounts = [...new Set(whom.flatMap((one) => ("message" in one ? [] : one.accountId)))].sort();
    await store.lockAccounts(tx, accounts);
    const batch = await Batch.read(store, tx, plan, whom, accounts, now);
    const outcomes: ManyOutcome[] = [];
    for (const [index, one] of whom.entries()) {
      if ("message" in one) {
        outcomes.push(one);
        continue;
      }
      const before = batch.inserted.length;
      const outcome = await enrolInto(
        batch.store,
        tx,
        plan,
        {
          ...one,
          playbook: campaign.playbook,
          at: now,
          cause: `campaign/${campaign.id}`,
          inputs: rows[index]?.inputs ?? {},
          source: campaign.source,
        },
        now,
      );
      const isNew = batch.inserted.length > before;
      outcomes.push(outcome.kind === "enrolled" && !isNew ? { kind: "already", run: outcome.run } : outcome);
    }
    await batch.write(tx, now);
    if (batch.inserted.length > 0) await alongside?.(tx, batch.inserted.length);
    return outcomes;
  });
}

/** What a whole campaign did. */
export interface ManyReport {
  /** Rows read, or members of the segment. */
  readonly rows: number;
  readonly enrolled: number;
  /** By this campaign, earlier: when it is run again. */
  readonly already: number;
  /** Their run lives: it was told, with the new inputs. */
  readonly told: number;
  /** Left out by the playbook's own rules: `if` doesn't hold, or `again` doesn't let them. */
  readonly leftOut: { readonly condition: number; readonly again: number };
  /** Rows that can't be: nobody of this name, inputs that don't fit. */
  readonly bad: number;
  /** The first of them; `bad` counts all. */
  readonly problems: readonly (Partial<Place> & { readonly message: string })[];
}

/** Problems that a report lists. */
export const ENROL_PROBLEMS_MAX = 1000;

/** One who is to be enrolled, with the row that says so; or why a row can't be read. */
export type EnrolleeRow = (Enrollee & { readonly place?: Place | undefined }) | ImportProblem;

/**
 * Enrols all of them, a batch at a time (`enrolBatch`). A fault ends it; what was enrolled stays, and the same campaign again goes on
 * with the others. `onProgress`: after each batch.
 */
export async function enrolMany(
  ports: Ports,
  campaign: Campaign,
  rows: AsyncIterable<EnrolleeRow>,
  options: {
    readonly alongside?: (tx: Tx, enrolled: number) => Promise<void>;
    readonly onProgress?: (soFar: ManyReport) => void;
  } = {},
): Promise<ManyReport> {
  const problems: ManyReport["problems"][number][] = [];
  const leftOut = { condition: 0, again: 0 };
  const counts = { rows: 0, enrolled: 0, already: 0, told: 0, bad: 0 };
  const isBad = (problem: ManyReport["problems"][number]): void => {
    counts.bad += 1;
    if (problems.length < ENROL_PROBLEMS_MAX) problems.push(problem);
  };
  let batch: Exclude<EnrolleeRow, ImportProblem>[] = [];
  const flush = async (): Promise<void> => {
    const outcomes = batch.length === 0 ? [] : await enrolBatch(ports, campaign, batch, options.alongside);
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.kind === "enrolled") counts.enrolled += 1;
      else if (outcome.kind === "already") counts.already += 1;
      else if (outcome.kind === "triggered_again") counts.told += 1;
      else if (outcome.reason === "condition" || outcome.reason === "again") leftOut[outcome.reason] += 1;
      else isBad({ ...batch[index]?.place, message: outcome.message });
    }
    batch = [];
    options.onProgress?.({ ...counts, leftOut, problems });
  };
  for await (const row of rows) {
    counts.rows += 1;
    if ("message" in row) isBad({ file: row.file, line: row.line, column: row.column, message: row.message });
    else batch.push(row);
    if (batch.length === ENROL_BATCH_ROWS) await flush();
  }
  await flush();
  // What a batch found comes later than what its rows did.
  problems.sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
  return { ...counts, leftOut, problems };
}

type Whom = { readonly accountId: string; readonly contactId?: string; readonly contractId?: string };

function refused(reason: "unknown_playbook" | "no_subject", message: string) {
  return { kind: "refused", reason, message } as const;
}

/** Each with its account, which a contact or contract may stand for; or why there is none. */
async function whomOf(store: Store, tx: Tx, rows: readonly Enrollee[]) {
  const places = await store.customers.locate(tx, {
    account: [],
    contact: rows.flatMap(({ contactId }) => contactId ?? []),
    contract: rows.flatMap(({ contractId }) => contractId ?? []),
  });
  return rows.map(({ accountId, contactId, contractId }): Whom | ReturnType<typeof refused> => {
    const contact = contactId === undefined ? undefined : places.contact.get(contactId);
    const contract = contractId === undefined ? undefined : places.contract.get(contractId);
    if (contactId !== undefined && contact === undefined)
      return refused("no_subject", `there is no contact "${contactId}"`);
    if (contractId !== undefined && contract === undefined)
      return refused("no_subject", `there is no contract "${contractId}"`);
    const account = accountId ?? contact?.accountId ?? contract?.accountId;
    if (account === undefined) return refused("no_subject", "neither an account nor a contact is named");
    if (contact !== undefined && contact.accountId !== account)
      return refused(
        "no_subject",
        `contact "${contactId}" belongs to account "${contact.accountId}", not "${account}"`,
      );
    if (contract !== undefined && contract.accountId !== account)
      return refused(
        "no_subject",
        `contract "${contractId}" belongs to account "${contract.accountId}", not "${account}"`,
      );
    return {
      accountId: account,
      ...(contactId === undefined ? {} : { contactId }),
      ...(contractId === undefined ? {} : { contractId }),
    };
  });
}

/** A store that has read what `enrolInto` asks of each, and writes at the end: hundreds of enrolments, a handful of statements. */
class Batch {
  readonly inserted: RunRow[] = [];
  readonly #appended: NewEvent[] = [];

  private constructor(
    readonly real: Store,
    readonly accounts: ReadonlyMap<string, Awaited<ReturnType<Store["customers"]["accounts"]>>[number]>,
    readonly earlier: ReadonlyMap<string, readonly RunRow[]>,
    readonly held: ReadonlySet<string>,
    readonly facts: ReadonlyMap<string, Readonly<Record<string, FactValue>>>,
  ) {}

  static async read(
    store: Store,
    tx: Tx,
    plan: Plan,
    whom: readonly (Whom | { readonly message: string })[],
    accounts: readonly string[],
    at: Instant,
  ): Promise<Batch> {
    if (accounts.length === 0) return new Batch(store, new Map(), new Map(), new Set(), new Map());
    const known = await store.customers.accounts(tx, accounts);
    const runs = await store.runs.ofAccounts(tx, plan.playbook, accounts);
    const earlier = new Map<string, RunRow[]>();
    for (const run of runs) earlier.set(run.accountId, [...(earlier.get(run.accountId) ?? []), run]);
    const ids = new Set(known.map(({ id }) => id));
    // As `enrolInto` makes them.
    const subjects = whom.flatMap((one): FactSubject[] => {
      if ("message" in one || !ids.has(one.accountId)) return [];
      const { contactId, ...rest } = one;
      return [plan.subject === "contact" && contactId !== undefined ? { ...rest, contactId } : rest];
    });
    const { enroll } = plan;
    const paths = [enroll.if, enroll.key]
      .flatMap((expression) => (expression === undefined ? [] : references(expression)))
      .filter((path) => !isLocal(path));
    const facts = paths.length === 0 ? [] : await store.facts.within(tx).readMany(subjects, [...new Set(paths)], at);
    return new Batch(
      store,
      new Map(known.map((account) => [account.id, account])),
      earlier,
      await store.runs.heldAccounts(tx, plan.playbook, accounts),
      new Map(subjects.map((subject, index) => [keyOf(subject), facts[index] ?? {}])),
    );
  }

  get store(): Store {
    const { real } = this;
    return {
      ...real,
      transaction: (work) => real.transaction(work),
      read: (work) => real.read(work),
      // All are locked already.
      lockAccounts: async () => {},
      customers: {
        ...real.customers,
        accounts: async (_tx, ids) => (ids ?? []).flatMap((id) => this.accounts.get(id) ?? []),
      },
      runs: {
        ...real.runs,
        ofSubject: async (_tx, _playbook, { accountId, contactId }) =>
          [...(this.earlier.get(accountId) ?? []), ...this.inserted].filter(
            (run) => run.accountId === accountId && run.contactId === contactId,
          ),
        holds: async (tx, accountId, playbook) =>
          this.held.has(accountId) ? real.runs.holds(tx, accountId, playbook) : [],
        insert: async (_tx, run) => {
          this.inserted.push(run);
          return true;
        },
      },
      events: {
        ...real.events,
        append: async (_tx, events) => {
          this.#appended.push(...events);
          return new Set(events.map(({ id }) => id));
        },
      },
      facts: {
        ...real.facts,
        within: () => ({ ...real.facts, read: async (subject) => ({ ...this.facts.get(keyOf(subject)) }) }),
      },
    };
  }

  async write(tx: Tx, now: Instant): Promise<void> {
    const written = await this.real.runs.insertMany(tx, this.inserted);
    const missing = this.inserted.find(({ id }) => !written.has(id));
    // The accounts' locks keep others out; this would be a lock that was not taken.
    if (missing !== undefined) throw new Error(`run ${missing.id} could not be enrolled although its key is free`);
    await this.real.events.append(tx, this.#appended, now);
  }
}

function keyOf({ accountId, contactId, contractId }: FactSubject): string {
  return JSON.stringify([accountId, contactId ?? null, contractId ?? null]);
}
