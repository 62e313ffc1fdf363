import { evaluate, isTrue } from "../expression/evaluate.js";
import type { FactLookup, FactValue } from "../expression/expression.js";
import { addDuration } from "../values/add-duration.js";
import type { Calendar } from "../values/calendar.js";
import { escapeIdPart } from "../values/ids.js";
import { formatInstant, type Instant } from "../values/instant.js";
import { type RunEvent, SYSTEM_EVENTS } from "./event.js";
import type { Plan, Trigger } from "./plan.js";

/** Whether a trigger of the plan (`index` in `enroll.when`) waits for such an event, its `where` aside. */
export function namesEvent(
  trigger: Trigger,
  index: number,
  { playbook }: Pick<Plan, "playbook">,
  { name, payload }: Pick<RunEvent, "name" | "payload">,
): boolean {
  switch (trigger.kind) {
    case "event":
      return name === trigger.event;
    case "enters":
      return name === SYSTEM_EVENTS.segmentEntered && payload["segment"] === trigger.segment;
    case "leaves":
      return name === SYSTEM_EVENTS.segmentLeft && payload["segment"] === trigger.segment;
    case "health":
      // A first status, a model change, an override or its expiry enrol nobody: language.md, "Health triggers".
      return name === SYSTEM_EVENTS.healthChanged && payload["to"] === trigger.becomes && payload["cause"] === "data";
    case "before":
    case "every":
      return name === SYSTEM_EVENTS.triggerDue && payload["playbook"] === playbook && payload["trigger"] === index;
    case "manual":
      return false;
  }
}

export type EnrolRefusal = "unknown_playbook" | "no_subject" | "condition" | "no_key" | "again" | "inputs";

export interface RefusedEnrolment {
  readonly kind: "refused";
  readonly reason: EnrolRefusal;
  readonly message: string;
  /** It is more than anybody can have meant (`ENROLMENTS_PER_HOUR_MAX`): somebody should look at the playbooks. */
  readonly isTooOften?: true;
}

/** Whom a playbook would begin for, under which key and with which inputs. What has neither value nor default is not among them. */
export interface Applicant {
  readonly kind: "applicant";
  readonly subjectId: string;
  readonly key: string;
  readonly inputs: Readonly<Record<string, FactValue>>;
}

/** A run of the playbook for the same subject, live or over. */
export interface EarlierRun {
  readonly id: string;
  readonly key: string;
  readonly ordinal: number;
  readonly startedAt: Instant;
  /** Absent: it is live. */
  readonly endedAt?: Instant;
  readonly enrolledBy?: string;
}

export type EnrolDecision =
  | RefusedEnrolment
  /** The same cause has begun it already. */
  | { readonly kind: "known"; readonly run: string }
  /** The key's run is live: it hears `run.triggered_again`, of this instant and with this payload. */
  | {
      readonly kind: "tell";
      readonly run: string;
      readonly at: Instant;
      readonly payload: Readonly<Record<string, FactValue>>;
    }
  | { readonly kind: "begin"; readonly id: string; readonly ordinal: number };

/**
 * How often triggers and runs may make one subject begin one playbook in an hour of domain time: beyond that playbooks set each other off, by a way
 * that the checker can't see (WP502 tells the certain ones). The next trigger after the hour begins it again.
 */
export const ENROLMENTS_PER_HOUR_MAX = 100;

const HOUR_MS = 3_600_000;

/**
 * Whether somebody begins a playbook, as far as the facts tell: its subject, `if`, `key` and inputs. `given`: by a person or by `play`; absent: from
 * `enroll.with`. An input that is left absent takes its default. `lookup`: facts as of `at`, and the event's.
 */
export function applicantOf(
  plan: Plan,
  subject: { readonly accountId: string; readonly contactId?: string | undefined },
  at: Instant,
  lookup: FactLookup,
  given: Readonly<Record<string, FactValue>> | undefined,
): Applicant | RefusedEnrolment {
  const { playbook, enroll } = plan;
  const subjectId = plan.subject === "contact" ? subject.contactId : subject.accountId;
  if (subjectId === undefined) {
    return refused("no_subject", `playbook "${playbook}" is about a contact, and none was named`);
  }
  if (enroll.if !== undefined && !isTrue(enroll.if, lookup)) {
    return refused("condition", `"if" of playbook "${playbook}" does not hold for it at ${formatInstant(at)}`);
  }
  const key = enroll.key === undefined ? subjectId : evaluate(enroll.key, lookup);
  if (key === undefined || typeof key === "object") {
    return refused("no_key", `"key" of playbook "${playbook}" is absent at ${formatInstant(at)}`);
  }
  const unknown = Object.keys(given ?? {}).find((name) => !Object.hasOwn(plan.inputs, name));
  if (unknown !== undefined) return refused("inputs", `playbook "${playbook}" has no input "${unknown}"`);
  const inputs: Record<string, FactValue> = {};
  for (const [name, field] of Object.entries(plan.inputs)) {
    const from = enroll.with[name];
    const own = given !== undefined && Object.hasOwn(given, name) ? given[name] : undefined;
    const value = given !== undefined ? own : from === undefined ? undefined : evaluate(from, lookup);
    const taken = value ?? field.default;
    if (taken === undefined) continue;
    if (typeof taken !== field.type) {
      return refused("inputs", `input "${name}" of playbook "${playbook}" must be a ${field.type}`);
    }
    inputs[name] = taken;
  }
  return { kind: "applicant", subjectId, key: String(key), inputs };
}

/**
 * What becomes of an applicant, as far as the runs before tell: the key's live run is told, else `again`, the limit and the inputs decide. Who
 * rehearses and who really enrols decide by this alone.
 */
export function decideEnrol(
  plan: Plan,
  { subjectId, key, inputs }: Applicant,
  asked: {
    readonly at: Instant;
    /** The same cause enrols the same key once. */
    readonly cause: string;
    /** A trigger or a run asks, no person: `ENROLMENTS_PER_HOUR_MAX` holds. */
    readonly isByItself: boolean;
    /** The customer's, for `again: { after: … }`. */
    readonly zone: string;
    readonly calendar: Calendar;
  },
  /** All of the subject's, of whatever key; in any order. */
  earlier: readonly EarlierRun[],
): EnrolDecision {
  const { at, cause } = asked;
  const ofKey = earlier.filter((run) => run.key === key);
  const known = ofKey.find((run) => run.enrolledBy === cause);
  if (known !== undefined) return { kind: "known", run: known.id };
  const live = ofKey.find((run) => run.endedAt === undefined);
  if (live !== undefined) {
    const payload = Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`input.${name}`, value]));
    // A trigger that is older than the run still has to reach it.
    return { kind: "tell", run: live.id, at: Math.max(at, live.startedAt), payload };
  }
  const refusal = refusalByAgain(plan, key, asked, earlier, ofKey);
  if (refusal !== undefined) return refused("again", refusal);
  const lately = earlier.filter((run) => run.startedAt > at - HOUR_MS && run.startedAt <= at).length;
  if (asked.isByItself && lately >= ENROLMENTS_PER_HOUR_MAX) {
    const message = `playbook "${plan.playbook}" has begun ${lately} times for ${subjectId} within an hour: do playbooks set each other off?`;
    return { ...refused("again", message), isTooOften: true };
  }
  const missing = Object.keys(plan.inputs).find((name) => inputs[name] === undefined);
  if (missing !== undefined) {
    return refused("inputs", `playbook "${plan.playbook}" needs the input "${missing}", which has no default`);
  }
  const ordinal = Math.max(0, ...ofKey.map((run) => run.ordinal)) + 1;
  const id = `run/${[plan.playbook, subjectId, key].map(escapeIdPart).join("/")}/${ordinal}`;
  return { kind: "begin", id, ordinal };
}

/** Why the playbook's `again` doesn't let it begin once more, or undefined. None of the key's runs is live. */
function refusalByAgain(
  { playbook, enroll: { again } }: Plan,
  key: string,
  { at, zone, calendar }: { readonly at: Instant; readonly zone: string; readonly calendar: Calendar },
  ofSubject: readonly EarlierRun[],
  ofKey: readonly EarlierRun[],
): string | undefined {
  switch (again.kind) {
    case "always": {
      // Told belatedly: it was for a run that was live then and is over now. Two of one key at one instant there never are.
      const then = ofKey.find((run) => run.startedAt <= at && (run.endedAt ?? at) > at);
      return then === undefined ? undefined : `run ${then.id} was live at ${formatInstant(at)}`;
    }
    case "never":
      return ofSubject.length === 0
        ? undefined
        : `it has been through playbook "${playbook}", which runs once (again: never)`;
    case "per_key":
      return ofKey.length === 0 ? undefined : `playbook "${playbook}" has run for key "${key}" (again: per_key)`;
    case "after": {
      const ended = Math.max(...ofKey.map((run) => run.endedAt ?? Number.NEGATIVE_INFINITY));
      if (!Number.isFinite(ended)) return undefined;
      const free = addDuration(ended, again.duration, zone, calendar);
      return at >= free ? undefined : `playbook "${playbook}" may not run for it again before ${formatInstant(free)}`;
    }
  }
}

function refused(reason: EnrolRefusal, message: string): RefusedEnrolment {
  return { kind: "refused", reason, message };
}
