import * as z from "zod";
import {
  BUILT_IN_FIELDS,
  type EventType,
  type Field,
  type FieldType,
  type Metric,
  type Milestone,
  type Model,
} from "../customers/model.js";
import type { Expression } from "../expression/expression.js";
import { parseDuration } from "../values/duration.js";
import { parsedText } from "./check-form.js";
import { type Environment, withEvents } from "./environment.js";
import { type Checks, type Read, readFile } from "./read-file.js";
import { eventName, expressionText, kebabName, snakeName } from "./schema.js";

const fieldType = z.enum(["string", "number", "boolean", "date", "datetime"]);

const derived = parsedText(
  "WP106",
  (text) => {
    const match = /^([a-z][a-z0-9_]*) ([+-]) ([a-z][a-z0-9_]*)$/.exec(text);
    return match
      ? { date: match[1] as string, sign: match[2] === "-" ? (-1 as const) : (1 as const), days: match[3] as string }
      : undefined;
  },
  "a derived date",
  "Write DATE_FIELD - NUMBER_FIELD or DATE_FIELD + NUMBER_FIELD, such as end_date - notice_days.",
);

const fields = z
  .record(
    snakeName,
    z.strictObject({ type: fieldType, values: z.array(z.string()).min(1).optional(), derived: derived.optional() }),
  )
  .default({});

const exactDuration = parsedText(
  "WP106",
  (text) => {
    const duration = parseDuration(text);
    return duration && duration.amount > 0 && ["h", "d", "w"].includes(duration.unit) ? duration : undefined;
  },
  "a window",
  "Write hours, days or weeks: 48h, 7d, 4w (1d = 24 h).",
);

const schema = z.strictObject({
  account: fields,
  contact: fields,
  contract: fields,
  roles: z
    .strictObject({
      contact: z.array(snakeName).default([]),
      staff: z.array(snakeName).default([]),
      pools: z.array(snakeName).default([]),
    })
    .prefault({}),
  metrics: z
    .record(
      snakeName,
      z.strictObject({
        from: snakeName,
        aggregate: z.enum(["sum", "count", "avg", "last", "max", "distinct"]),
        window: exactDuration.optional(),
        baseline: z.strictObject({ weeks: z.int().min(4).max(52), statistic: z.enum(["median", "mean"]) }).optional(),
        frozen_while: kebabName.optional(),
        of: z.enum(["account", "contact"]).default("account"),
        role: z.string().optional(),
        title: z.string().optional(),
      }),
    )
    .default({}),
  milestones: z
    .record(
      snakeName,
      z.strictObject({
        of: z.enum(["account", "contact"]).default("account"),
        on: eventName.optional(),
        where: expressionText.optional(),
        title: z.string().optional(),
      }),
    )
    .default({}),
  events: z
    .record(
      eventName,
      z.strictObject({
        subject: z.enum(["account", "contact", "contract"]),
        payload: z.record(snakeName, fieldType).default({}),
        system: z.boolean().default(false),
      }),
    )
    .default({}),
  outcomes: z
    .record(snakeName, z.strictObject({ kind: z.enum(["good", "neutral", "bad"]), title: z.string().optional() }))
    .default({}),
});

type Form = z.output<typeof schema>;
type Entity = "account" | "contact" | "contract";

/** `model.yaml`, built-in fields included. `source` undefined: the file is missing. */
export function readModel(source: string | undefined): Read<Model> {
  return readFile("model.yaml", source, schema, build);
}

function build(form: Form, checks: Checks): Model {
  const metrics: Record<string, Metric> = {};
  for (const [name, metric] of Object.entries(form.metrics)) {
    const at = ["metrics", name];
    if (!metric.window && metric.aggregate !== "last" && !checks.isMended([...at, "aggregate"])) {
      checks.report([...at, "window"], {
        code: "WP102",
        message: `"window" is missing: only "last" can do without.`,
        hint: "Add window: 7d.",
      });
    }
    if (metric.baseline && !metric.window) {
      checks.report([...at, "baseline"], {
        code: "WP109",
        message: "A baseline needs a window to repeat.",
        hint: "Add window: 7d.",
      });
    }
    if (metric.role !== undefined)
      checks.known([...at, "role"], "WP203", "contact role", metric.role, form.roles.contact);
    const { frozen_while: frozenWhile, window, baseline, role, title, ...rest } = metric;
    metrics[name] = { ...rest, title: title ?? name, ...defined({ frozenWhile, window, baseline, role }) };
  }
  const model: Model = {
    account: entity("account", form, checks),
    contact: entity("contact", form, checks),
    contract: entity("contract", form, checks),
    roles: form.roles,
    metrics,
    milestones: {},
    events: form.events as Record<string, EventType>,
    outcomes: mapped(form.outcomes, ({ kind, title }, name) => ({ kind, title: title ?? name })),
  };
  return { ...model, milestones: milestones(form, model, checks) };
}

function entity(group: Entity, form: Form, checks: Checks): Record<string, Field> {
  const builtIn = BUILT_IN_FIELDS[group];
  const all: Record<string, Field> = mapped(builtIn, (type: FieldType) => ({ type }));
  for (const [name, field] of Object.entries(form[group])) {
    const at = [group, name];
    const own = Object.hasOwn(builtIn, name) ? builtIn[name] : undefined;
    if (own !== undefined && own !== field.type) {
      const message = `${group}.${name} is built in, and its type is ${own}.`;
      checks.report([...at, "type"], { code: "WP602", message, hint: `Write type: ${own}, or take another name.` });
    }
    if (field.values && field.type !== "string" && !checks.isMended([...at, "type"])) {
      checks.report([...at, "values"], {
        code: "WP602",
        message: `Only a field of type string can have "values".`,
        hint: "Remove it.",
      });
    }
    const { type, values, derived: rule } = field;
    all[name] = { type, ...defined({ values, derived: rule }) };
  }
  for (const [name, { type, derived: rule }] of Object.entries(all)) {
    const isMended = (field: string) => checks.isMended([group, field, "type"]);
    if (!rule || [name, rule.date, rule.days].some(isMended)) continue;
    const source = Object.hasOwn(all, rule.date) ? all[rule.date] : undefined;
    const days = Object.hasOwn(all, rule.days) ? all[rule.days] : undefined;
    const isDate = (field: Field | undefined) => field !== undefined && factIsDate(field.type) && !field.derived;
    if (isDate(source) && days?.type === "number" && factIsDate(type)) continue;
    const message = `${group}.${name} can't be derived so: it needs an imported date and a number of days of the same ${group}.`;
    checks.report([group, name, "derived"], { code: "WP602", message, hint: "Such as end_date - notice_days." });
  }
  return all;
}

function factIsDate(type: FieldType): boolean {
  return type === "date" || type === "datetime";
}

function milestones(form: Form, model: Model, checks: Checks): Record<string, Milestone> {
  return mapped(form.milestones, ({ of, on, where, title }, name) => {
    const at = ["milestones", name];
    if (on !== undefined) checks.known([...at, "on"], "WP207", "event", on, Object.keys(form.events));
    if (where !== undefined && on === undefined) {
      checks.report(
        [...at, "where"],
        { code: "WP109", message: '"where" needs an event: "on" is missing.', hint: "Add on: EVENT." },
        "key",
      );
    }
    let checked: Expression | undefined;
    if (where !== undefined && on !== undefined) {
      checked = checks.expression([...at, "where"], where, withEvents(NOTHING, model, [on]));
    }
    return { of, title: title ?? name, ...defined({ on, where: checked }) };
  });
}

const NOTHING: Environment = { facts: {}, always: [], values: {} };

function mapped<A, B>(record: Readonly<Record<string, A>>, change: (value: A, name: string) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value, name)]));
}

/** The entries that have a value. */
function defined<T extends object>(entries: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
