import {
  applicantOf,
  decideEnrol,
  type EnrolDecision,
  type EnrolRefusal,
  type RefusedEnrolment,
} from "../engine/decide-enrol.js";
import type { RunEvent } from "../engine/event.js";
import { SYSTEM_EVENTS } from "../engine/event.js";
import { holdsBack, type RankedRun } from "../engine/holds-back.js";
import type { Plan } from "../engine/plan.js";
import { eventField, isLocal } from "../engine/scope.js";
import type { Expression, FactLookup, FactValue } from "../expression/expression.js";
import { references } from "../expression/references.js";
import { INTERNAL_EVENTS } from "../ports/events.js";
import type { FactSubject } from "../ports/facts.js";
import type { RunRow } from "../ports/runs.js";
import type { Store } from "../ports/store.js";
import type { Tx } from "../ports/transactions.js";
import { STANDARD_CALENDAR } from "../values/calendar.js";
import type { Instant } from "../values/instant.js";
import { calendarNamed, readCalendars } from "./calendars.js";

export interface EnrolRequest {
  readonly playbook: string;
  readonly accountId: string;
  /** Compulsory where the playbook's subject is a contact. */
  readonly contactId?: string | undefined;
  /** The contract that `contract.…` means in the run; absent: the account's current one. */
  readonly contractId?: string | undefined;
  /** Start of the run (domain time). */
  readonly at: Instant;
  /**
   * What brought it about, once and for all: the enrolling event's id, a command's key, a request's id. The same cause
   * enrols the same key once, however often it is asked.
   */
  readonly cause: string;
  /** For `event.…` in `if`, `key` and `with`. */
  readonly event?: RunEvent | undefined;
  /** Given by a person or by `play`; absent: from `enroll.with`. What is not named takes its default. */
  readonly inputs?: Readonly<Record<string, FactValue>> | undefined;
  /** The run and command key that asked for it and may wait for its end. */
  readonly parent?: { readonly run: string; readonly key: string } | undefined;
  /** Who brought it: `trigger`, `run`, `cli`, `http`. */
  readonly source: string;
}

export type EnrolOutcome =
  | { readonly kind: "enrolled"; readonly run: string }
  /** The key's run is live: it was told, with the new inputs. */
  | { readonly kind: "triggered_again"; readonly run: string }
  | RefusedEnrolment;

/**
 * Makes a run of the playbook's current version, or tells the live one with the same key. Everything happens in the
 * caller's transaction, the start of the workflow too: an event asks the dispatcher for it. Idempotent by `cause`.
 */
export async function enrol(store: Store, tx: Tx, request: EnrolRequest, now: Instant): Promise<EnrolOutcome> {
  const plan = (await store.playbooks.current(tx)).find((candidate) => candidate.playbook === request.playbook);
  if (plan === undefined) return refused("unknown_playbook", `no playbook "${request.playbook}" is published`);
  return enrolInto(store, tx, plan, request, now);
}

/** As `enrol`, into this plan. */
export async function enrolInto(
  store: Store,
  tx: Tx,
  plan: Plan,
  request: EnrolRequest,
  now: Instant,
): Promise<EnrolOutcome> {
  const { accountId, contactId, contractId, at, cause } = request;
  const isPersonal = plan.subject === "contact";
  await store.lockAccounts(tx, [accountId]);
  const [account] = await store.customers.accounts(tx, [accountId]);
  if (account === undefined) return refused("no_subject", `there is no account "${accountId}"`);
  const subject: FactSubject = {
    accountId,
    ...(isPersonal && contactId !== undefined ? { contactId } : {}),
    ...(contractId === undefined ? {} : { contractId }),
  };

  const { enroll } = plan;
  const withValues = request.inputs === undefined ? enroll.with : {};
  const lookup = await lookupOf(store, tx, subject, request, [enroll.if, enroll.key, ...Object.values(withValues)]);
  const applicant = applicantOf(plan, subject, at, lookup, request.inputs);
  if (applicant.kind === "refused") return applicant;

  const earlier = await store.runs.ofSubject(tx, plan.playbook, isPersonal ? { accountId, contactId } : { accountId });
  const isCounted = enroll.again.kind === "after" && earlier.length > 0;
  const calendar = isCounted ? calendarNamed(account.calendar, await readCalendars(store, tx)) : STANDARD_CALENDAR;
  const isByItself = request.source === "trigger" || request.source === "run";
  const asked = { at, cause, isByItself, zone: account.timezone, calendar };
  const decision = decideEnrol(plan, applicant, asked, earlier);
  if (decision.kind === "refused") return decision;
  if (decision.kind === "known") return { kind: "enrolled", run: decision.run };
  if (decision.kind === "tell") {
    await tellAgain(store, tx, decision, subject, request, now);
    return { kind: "triggered_again", run: decision.run };
  }

  const { id, ordinal } = decision;
  const { key, inputs } = applicant;
  const holds = await holdsFor(store, tx, plan, { id, accountId, priority: plan.priority, startedAt: at });
  const isInserted = await store.runs.insert(tx, {
    id,
    playbook: plan.playbook,
    hash: plan.hash,
    subject: plan.subject,
    accountId,
    ...(isPersonal && contactId !== undefined ? { contactId } : {}),
    ...(contractId === undefined ? {} : { contractId }),
    key,
    ordinal,
    inputs,
    status: holds.length > 0 ? "held" : "starting",
    position: [],
    startedAt: at,
    enrolledBy: cause,
    ...(request.parent === undefined ? {} : { parent: request.parent }),
    priority: plan.priority,
    turns: 0,
  });
  // The account's lock keeps others out; this would be a lock that was not taken.
  if (!isInserted) throw new Error(`run ${id} could not be enrolled although its key is free`);
  await store.events.append(
    tx,
    [
      {
        id: `${INTERNAL_EVENTS.enrolled}/${id}`,
        name: INTERNAL_EVENTS.enrolled,
        at,
        accountId,
        runId: id,
        payload: { holds },
        source: request.source,
      },
    ],
    now,
  );
  return { kind: "enrolled", run: id };
}

/** The lookup for expressions about a subject and an event, with the facts they mention read as of the request's instant. */
export async function lookupOf(
  store: Store,
  tx: Tx,
  subject: FactSubject,
  { at, event, inputs }: Pick<EnrolRequest, "at" | "event" | "inputs">,
  expressions: readonly (Expression | undefined)[],
): Promise<FactLookup> {
  const paths = expressions.flatMap((expression) => (expression === undefined ? [] : references(expression)));
  const outside = [...new Set(paths.filter((path) => !isLocal(path)))];
  const facts = outside.length === 0 ? {} : await store.facts.within(tx).read(subject, outside, at);
  return (path) => {
    if (path === "now") return at;
    if (path.startsWith("event.")) return event === undefined ? undefined : eventField(event, path.slice(6));
    if (path.startsWith("run.inputs.")) return own(inputs, path.slice(11));
    return own(facts, path);
  };
}

function own(record: Readonly<Record<string, FactValue>> | undefined, name: string): FactValue | undefined {
  return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;
}

function refused(reason: EnrolRefusal, message: string): EnrolOutcome {
  return { kind: "refused", reason, message };
}

async function tellAgain(
  store: Store,
  tx: Tx,
  told: Extract<EnrolDecision, { kind: "tell" }>,
  { accountId, contactId }: FactSubject,
  request: EnrolRequest,
  now: Instant,
): Promise<void> {
  await store.events.append(
    tx,
    [
      {
        id: `${SYSTEM_EVENTS.triggeredAgain}/${told.run}/${request.cause}`,
        name: SYSTEM_EVENTS.triggeredAgain,
        at: told.at,
        accountId,
        contactId,
        runId: told.run,
        payload: told.payload,
        source: request.source,
      },
    ],
    now,
  );
}

/** Names of the holds that a new run begins under: `holdsBack` decides, as when a holder begins. */
async function holdsFor(
  store: Store,
  tx: Tx,
  plan: Plan,
  run: RankedRun & Pick<RunRow, "accountId">,
): Promise<string[]> {
  const existing = await store.runs.holds(tx, run.accountId, plan.playbook);
  if (existing.length === 0) return [];
  const live = await store.runs.live(tx, run.accountId);
  const names: string[] = [];
  for (const { name, holderPlaybook } of existing) {
    const holders = live.filter(({ playbook }) => playbook === holderPlaybook);
    let isHeld = name === "operator";
    for (const holder of isHeld ? [] : holders) {
      const theirs = await store.playbooks.plan(tx, holder.hash);
      isHeld ||= theirs !== undefined && holdsBack(theirs, holder, plan, run);
    }
    if (isHeld) names.push(name);
  }
  return names;
}
