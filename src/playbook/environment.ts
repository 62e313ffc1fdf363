import type { Field, FieldType, Model } from "../customers/model.js";
import type { Policy } from "../engine/policy.js";
import type { FactType } from "../expression/expression.js";
import type { ExpressionEnvironment } from "./check-expression.js";
import type { TextScope } from "./liquid.js";
import type { StepKind } from "./read-playbook.js";

/** What an expression may name in some place, with the values that a text fact is restricted to. */
export interface Environment extends ExpressionEnvironment {
  readonly always: readonly string[];
  /** Fact path → the only values it can have. */
  readonly values: Readonly<Record<string, readonly string[]>>;
}

/** What the expressions of a playbook may name beside `event.…`. `steps` are its steps with an id, by kind. */
export function playbookEnvironment(
  model: Model,
  playbook: {
    readonly subject: "account" | "contact";
    readonly inputs: Readonly<Record<string, { readonly type: FieldType; readonly default?: unknown }>>;
    readonly steps: readonly { readonly id: string; readonly kind: StepKind }[];
    /** Paths that couldn't be read: steps of no known kind, faulty inputs. They may have any type and any field. */
    readonly open?: readonly string[];
  },
): Environment {
  const base = accountEnvironment(model);
  const facts: Record<string, FactType> = { ...base.facts, ...RUN_FACTS };
  const values = { ...base.values };
  const always = [...base.always, ...Object.keys(RUN_FACTS)];
  if (playbook.subject === "contact") {
    addFields(facts, values, "contact", model.contact);
    addOfSubject(facts, model, "contact");
    facts["survey.my_nps"] = "number";
    always.push("contact.id", "contact.name", "contact.is_primary", "contact.is_active");
  }
  for (const [name, input] of Object.entries(playbook.inputs)) {
    facts[`run.inputs.${name}`] = factType(input.type);
    if (input.default !== undefined) always.push(`run.inputs.${name}`);
  }
  for (const { id, kind } of playbook.steps) {
    for (const [field, type] of Object.entries(STEP_FIELDS[kind])) facts[`steps.${id}.${field}`] = type;
  }
  return { facts, always, values, open: playbook.open ?? [] };
}

/** What holds for an account without any run: the expressions of segments and health profiles. */
export function accountEnvironment(model: Model): Environment {
  const facts: Record<string, FactType> = { now: "timestamp", ...BUILT_IN_FACTS };
  const values: Record<string, readonly string[]> = { "health.status": ["green", "yellow", "red", "unknown"] };
  addFields(facts, values, "account", model.account);
  addFields(facts, values, "contract", model.contract);
  addOfSubject(facts, model, "account");
  const always = ["now", "account.id", "account.name", "account.timezone", "account.is_test"];
  return { facts, always, values };
}

/**
 * The environment with `event.…` of an event, or of any of several: a field that they declare differently is left out. An unknown event
 * name (already told elsewhere) accepts any field.
 */
export function withEvents(environment: Environment, model: Model, names: readonly string[]): Environment {
  const facts: Record<string, FactType> = { ...environment.facts };
  const isUnknown = names.some((name) => !Object.hasOwn(model.events, name));
  const open = [...(environment.open ?? []), ...(isUnknown ? ["event"] : [])];
  const events = names.flatMap((name) => (Object.hasOwn(model.events, name) ? [model.events[name]] : []));
  const clashing = new Set<string>();
  for (const event of events) {
    for (const [field, type] of Object.entries(event?.payload ?? {})) {
      const path = `event.${field}`;
      if (facts[path] !== undefined && facts[path] !== factType(type)) clashing.add(path);
      facts[path] = factType(type);
    }
  }
  for (const path of clashing) delete facts[path];
  if (names.length > 0) Object.assign(facts, EVENT_FACTS);
  return { ...environment, facts, open, always: [...environment.always, ...Object.keys(EVENT_FACTS)] };
}

/** The type that an expression sees. */
export function factType(type: FieldType): FactType {
  if (type === "boolean") return "bool";
  return type === "date" || type === "datetime" ? "timestamp" : type;
}

/** `steps.ID.FIELD` by kind. Source: language.md, "Step kinds". What `steps` of the run's state holds comes from the engine. */
export const STEP_FIELDS: Readonly<Record<StepKind, Readonly<Record<string, FactType>>>> = {
  email: { sent_at: "timestamp", skipped: "string", bounced: "bool", replied: "bool" },
  slack: { clicked: "string" },
  task: { status: "string", outcome: "string", completed_by: "string", note: "string", timed_out: "bool" },
  wait: {},
  around: {},
  wait_for: { event: "string", timed_out: "bool" },
  choose: {},
  parallel: {},
  repeat: { count: "number" },
  milestone: {},
  set: {},
  risk: {},
  opportunity: {},
  health: { score: "number", status: "string" },
  play: { outcome: "string", timed_out: "bool" },
  end: {},
};

const RUN_FACTS: Readonly<Record<string, FactType>> = {
  "run.id": "string",
  "run.started_at": "timestamp",
  "run.key": "string",
  "tasks.open": "number",
  "tasks.required_open": "number",
};

const EVENT_FACTS: Readonly<Record<string, FactType>> = {
  "event.name": "string",
  "event.at": "timestamp",
  "event.id": "string",
};

/** Source: docs/language-files.md, "Built-in facts". */
const BUILT_IN_FACTS: Readonly<Record<string, FactType>> = {
  "tickets.open": "number",
  "tickets.opened_7d": "number",
  "tickets.opened_90d": "number",
  "tickets.closed_90d": "number",
  "tickets.weekly_mean_8w": "number",
  "survey.nps": "number",
  "survey.nps_at": "timestamp",
  "survey.nps_count": "number",
  "survey.csat": "number",
  "health.score": "number",
  "health.coverage": "number",
  "health.change_7d": "number",
  "health.change_30d": "number",
  "health.status": "string",
  "goals.count": "number",
  "goals.on_track_share": "number",
};

function addFields(
  facts: Record<string, FactType>,
  values: Record<string, readonly string[]>,
  group: string,
  fields: Readonly<Record<string, Field>>,
): void {
  for (const [name, field] of Object.entries(fields)) {
    facts[`${group}.${name}`] = factType(field.type);
    if (field.values) values[`${group}.${name}`] = field.values;
  }
}

function addOfSubject(facts: Record<string, FactType>, model: Model, subject: "account" | "contact"): void {
  for (const [name, metric] of Object.entries(model.metrics))
    if (metric.of === subject) facts[`usage.${name}`] = "number";
  for (const [name, { of }] of Object.entries(model.milestones))
    if (of === subject) facts[`milestone.${name}`] = "timestamp";
}

/** The environment of `enroll`: there is no run yet. */
export function enrollEnvironment(environment: Environment): Environment {
  const isThere = (path: string) => !/^(run|steps|tasks)\./.test(path);
  const facts = Object.fromEntries(Object.entries(environment.facts).filter(([path]) => isThere(path)));
  return { ...environment, facts, always: environment.always.filter(isThere) };
}

/** What a step's own texts (task titles, nudges) may name. `guarded`: facts that are there at this step. */
export function textScope(
  environment: Environment,
  guarded: ReadonlySet<string> = new Set(),
  policy?: Policy,
): TextScope {
  const facts = { ...environment.facts, ...PEOPLE_VARIABLES };
  const hasCurrency = policy === undefined || policy.company.currency !== undefined;
  return {
    facts,
    always: new Set([
      ...environment.always,
      ...guarded,
      ...ALWAYS_IN_TEXTS,
      ...(hasCurrency ? ["company.currency"] : []),
    ]),
    open: environment.open ?? [],
    hasCurrency,
  };
}

/** What a mail's template may name: also its recipient, whatever the playbook's subject, and links. Without a policy nothing is said about currencies. */
export function mailScope(
  environment: Environment,
  model: Model,
  guarded?: ReadonlySet<string>,
  policy?: Policy,
): TextScope {
  const scope = textScope(environment, guarded, policy);
  const facts: Record<string, FactType> = { ...scope.facts, ...LINK_VARIABLES };
  addFields(facts, {}, "contact", model.contact);
  addOfSubject(facts, model, "contact");
  const recipient = ["contact.id", "contact.name", "contact.email", "contact.is_primary", "contact.is_active"];
  return { ...scope, facts, always: new Set([...scope.always, ...recipient, ...Object.keys(LINK_VARIABLES)]) };
}

/** Source: docs/language-files.md, "In templates and texts also". */
const PEOPLE_VARIABLES: Readonly<Record<string, FactType>> = {
  "csm.name": "string",
  "csm.first_name": "string",
  "csm.email": "string",
  "csm.title": "string",
  "csm.booking_url": "string",
  "manager.name": "string",
  "manager.email": "string",
  "company.name": "string",
  "company.domain": "string",
  "company.support_email": "string",
  "company.postal_address": "string",
  "company.currency": "string",
};

const LINK_VARIABLES: Readonly<Record<string, FactType>> = { "links.unsubscribe": "string", "links.booking": "string" };

/** An account without a locale has the house's, one without a CSM is spoken for by the sender of last resort (policy `email.from`): these are always there. */
const ALWAYS_IN_TEXTS = [
  "account.locale",
  "csm.name",
  "csm.first_name",
  "csm.email",
  "company.name",
  "company.domain",
  "company.support_email",
  "company.postal_address",
];
