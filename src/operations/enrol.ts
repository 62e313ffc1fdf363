import type { RunEvent } from "../engine/event.js";
import { SYSTEM_EVENTS } from "../engine/event.js";
import { holdsBack, type RankedRun } from "../engine/holds-back.js";
import type { Plan } from "../engine/plan.js";
import { isLocal } from "../engine/scope.js";
import { evaluate, isTrue } from "../expression/evaluate.js";
import type { Expression, FactLookup, FactValue } from "../expression/expression.js";
import { references } from "../expression/references.js";
import { INTERNAL_EVENTS } from "../ports/events.js";
import type { FactSubject } from "../ports/facts.js";
import type { RunRow } from "../ports/runs.js";
import type { Store } from "../ports/store.js";
import type { Tx } from "../ports/transactions.js";
import { addDuration } from "../values/add-duration.js";
import { escapeIdPart } from "../values/ids.js";
import { formatInstant, type Instant } from "../values/instant.js";
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
  | {
      readonly kind: "refused";
      readonly reason: EnrolRefusal;
      readonly message: string;
      /** It is more than anybody can have meant (`ENROLMENTS_PER_HOUR_MAX`): somebody should look at the playbooks. */
      readonly isTooOften?: true;
    };

/**
 * How often triggers and runs may make one subject begin one playbook in an hour of domain time: beyond that playbooks set each other off, by a way
 * that the checker can't see (WP502 tells the certain ones). The next trigger after the hour begins it again.
 */
export const ENROLMENTS_PER_HOUR_MAX = 100;

export type EnrolRefusal = "unknown_playbook" | "no_subject" | "condition" | "no_key" | "again" | "inputs";

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
  if (isPersonal && contactId === undefined) {
    return refused("no_subject", `playbook "${plan.playbook}" is about a contact, and none was named`);
  }
  await store.lockAccounts(tx, [accountId]);
  if ((await store.customers.accounts(tx, [accountId])).length === 0) {
    return refused("no_subject", `there is no account "${accountId}"`);
  }
  const subject: FactSubject = {
    accountId,
    ...(isPersonal && contactId !== undefined ? { contactId } : {}),
    ...(contractId === undefined ? {} : { contractId }),
  };

  const { enroll } = plan;
  const withValues = request.inputs === undefined ? enroll.with : {};
  const lookup = await lookupOf(store, tx, subject, request, [enroll.if, enroll.key, ...Object.values(withValues)]);
  if (enroll.if !== undefined && !isTrue(enroll.if, lookup)) {
    return refused("condition", `"if" of playbook "${plan.playbook}" does not hold for it at ${formatInstant(at)}`);
  }
  const subjectId = isPersonal ? (contactId as string) : accountId;
  const keyValue = enroll.key === undefined ? subjectId : evaluate(enroll.key, lookup);
  if (keyValue === undefined || typeof keyValue === "object") {
    return refused("no_key", `"key" of playbook "${plan.playbook}" is absent at ${formatInstant(at)}`);
  }
  const key = String(keyValue);
  const inputs = inputsOf(plan, request.inputs, lookup);
  if (typeof inputs === "string") return refused("inputs", inputs);

  const earlier = await store.runs.ofSubject(tx, plan.playbook, isPersonal ? { accountId, contactId } : { accountId });
  const ofKey = earlier.filter((run) => run.key === key);
  const repeated = ofKey.find((run) => run.enrolledBy === cause);
  if (repeated !== undefined) return { kind: "enrolled", run: repeated.id };
  const live = ofKey.find((run) => run.status !== "ended");
  if (live !== undefined) {
    await tellAgain(store, tx, live, request, inputs, now);
    return { kind: "triggered_again", run: live.id };
  }
  const refusal = await refusalByAgain(store, tx, plan, earlier, ofKey, request);
  if (refusal !== undefined) return refused("again", refusal);
  const isByItself = request.source === "trigger" || request.source === "run";
  const lately = isByItself ? earlier.filter((run) => run.startedAt > at - HOUR_MS && run.startedAt <= at).length : 0;
  if (lately >= ENROLMENTS_PER_HOUR_MAX) {
    const message = `playbook "${plan.playbook}" has begun ${lately} times for ${subjectId} within an hour: do playbooks set each other off?`;
    return { kind: "refused", reason: "again", message, isTooOften: true };
  }
  const missing = Object.keys(plan.inputs).find((name) => inputs[name] === undefined);
  if (missing !== undefined) {
    return refused("inputs", `playbook "${plan.playbook}" needs the input "${missing}", which has no default`);
  }

  const ordinal = Math.max(0, ...ofKey.map((run) => run.ordinal)) + 1;
  const id = `run/${[plan.playbook, subjectId, key].map(escapeIdPart).join("/")}/${ordinal}`;
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

const HOUR_MS = 3_600_000;

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

/** `event.FIELD`: besides its payload every event has `name`, `at` and `id`. */
export function eventField(event: RunEvent, field: string): FactValue | undefined {
  if (field === "name") return event.name;
  if (field === "at" || field === "occurred_at") return event.at;
  if (field === "id") return event.id;
  return own(event.payload, field);
}

function own(record: Readonly<Record<string, FactValue>> | undefined, name: string): FactValue | undefined {
  return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;
}

function refused(reason: EnrolRefusal, message: string): EnrolOutcome {
  return { kind: "refused", reason, message };
}

/** Inputs with their defaults; a sentence if one doesn't fit. An input that a trigger leaves absent takes its default. */
function inputsOf(
  plan: Plan,
  given: Readonly<Record<string, FactValue>> | undefined,
  lookup: FactLookup,
): Record<string, FactValue> | string {
  const inputs: Record<string, FactValue> = {};
  for (const name of Object.keys(given ?? {})) {
    if (!Object.hasOwn(plan.inputs, name)) return `playbook "${plan.playbook}" has no input "${name}"`;
  }
  for (const [name, field] of Object.entries(plan.inputs)) {
    const from = plan.enroll.with[name];
    const value = given === undefined ? (from === undefined ? undefined : evaluate(from, lookup)) : own(given, name);
    const taken = value ?? field.default;
    if (taken === undefined) continue;
    if (typeof taken !== field.type) return `input "${name}" of playbook "${plan.playbook}" must be a ${field.type}`;
    inputs[name] = taken;
  }
  return inputs;
}

async function tellAgain(
  store: Store,
  tx: Tx,
  live: RunRow,
  request: EnrolRequest,
  inputs: Readonly<Record<string, FactValue>>,
  now: Instant,
): Promise<void> {
  await store.events.append(
    tx,
    [
      {
        id: `${SYSTEM_EVENTS.triggeredAgain}/${live.id}/${request.cause}`,
        name: SYSTEM_EVENTS.triggeredAgain,
        // A trigger that is older than the run still has to reach it.
        at: Math.max(request.at, live.startedAt),
        accountId: live.accountId,
        contactId: live.contactId,
        runId: live.id,
        payload: Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`input.${name}`, value])),
        source: request.source,
      },
    ],
    now,
  );
}

/** Why the playbook's `again` doesn't let it begin once more, or undefined. */
async function refusalByAgain(
  store: Store,
  tx: Tx,
  plan: Plan,
  ofSubject: readonly RunRow[],
  ofKey: readonly RunRow[],
  { accountId, at }: EnrolRequest,
): Promise<string | undefined> {
  const { again } = plan.enroll;
  switch (again.kind) {
    case "always": {
      // Told belatedly: it was for a run that was live then and is over now. Two of one key at one instant there never are.
      const then = ofKey.find((run) => run.startedAt <= at && (run.endedAt ?? at) > at);
      return then === undefined ? undefined : `run ${then.id} was live at ${formatInstant(at)}`;
    }
    case "never":
      return ofSubject.length === 0
        ? undefined
        : `it has been through playbook "${plan.playbook}", which runs once (again: never)`;
    case "per_key":
      return ofKey.length === 0
        ? undefined
        : `playbook "${plan.playbook}" has run for key "${ofKey.at(-1)?.key}" (again: per_key)`;
    case "after": {
      const ended = Math.max(...ofKey.map((run) => run.endedAt ?? Number.NEGATIVE_INFINITY));
      if (!Number.isFinite(ended)) return undefined;
      const [account] = await store.customers.accounts(tx, [accountId]);
      const calendar = calendarNamed(account?.calendar ?? null, await readCalendars(store, tx));
      const free = addDuration(ended, again.duration, account?.timezone ?? "UTC", calendar);
      return at >= free
        ? undefined
        : `playbook "${plan.playbook}" may not run for it again before ${formatInstant(free)}`;
    }
  }
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
