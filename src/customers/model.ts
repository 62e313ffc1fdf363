/**
 * `model.yaml` and `segments.yaml` as they are compiled and stored (`configurations`, kinds `model` and `segments`):
 * plain JSON, durations and expressions already parsed. Meaning of each key: docs/language-files.md.
 */
import type { Expression } from "../expression/expression.js";
import type { Duration } from "../values/duration.js";

export interface Model {
  /** Built-in and declared fields by name, built-in ones included (see `BUILT_IN_FIELDS`). */
  readonly account: Readonly<Record<string, Field>>;
  readonly contact: Readonly<Record<string, Field>>;
  readonly contract: Readonly<Record<string, Field>>;
  readonly roles: {
    readonly contact: readonly string[];
    readonly staff: readonly string[];
    readonly pools: readonly string[];
  };
  readonly metrics: Readonly<Record<string, Metric>>;
  readonly milestones: Readonly<Record<string, Milestone>>;
  readonly events: Readonly<Record<string, EventType>>;
  readonly outcomes: Readonly<Record<string, { readonly kind: "good" | "neutral" | "bad"; readonly title: string }>>;
}

export type FieldType = "string" | "number" | "boolean" | "date" | "datetime";

export interface Field {
  readonly type: FieldType;
  readonly values?: readonly string[];
  /** `DATE - DAYS` or `DATE + DAYS`: computed, never imported; absent if either is. */
  readonly derived?: { readonly date: string; readonly sign: 1 | -1; readonly days: string };
}

export interface Metric {
  /** Name of the samples. */
  readonly from: string;
  readonly aggregate: "sum" | "count" | "avg" | "last" | "max" | "distinct";
  /** In h, d or w, exact; samples in (now − window, now]. Only `last` may have none. */
  readonly window?: Duration;
  readonly baseline?: { readonly weeks: number; readonly statistic: "median" | "mean" };
  /** While a run of this playbook lives for the account: the value as of that run's start. */
  readonly frozenWhile?: string;
  readonly of: "account" | "contact";
  /** Only samples of contacts with this role. */
  readonly role?: string;
  readonly title: string;
}

export interface Milestone {
  readonly of: "account" | "contact";
  readonly on?: string;
  readonly where?: Expression;
  readonly title: string;
}

export interface EventType {
  readonly subject: "account" | "contact" | "contract";
  readonly payload: Readonly<Record<string, FieldType>>;
  /** Only Waypost appends it. */
  readonly system: boolean;
}

/** `segments.yaml`. */
export type Segments = Readonly<Record<string, { readonly if: Expression; readonly title: string }>>;

/** What has fields. */
export type Entity = "account" | "contact" | "contract";

/** The fields every installation has. Source: docs/language-files.md, "Built-in fields". */
export const BUILT_IN_FIELDS: Readonly<Record<Entity, Readonly<Record<string, FieldType>>>> = {
  account: {
    id: "string",
    name: "string",
    timezone: "string",
    locale: "string",
    country: "string",
    calendar: "string",
    touch_model: "string",
    tier: "string",
    stage: "string",
    arr: "number",
    is_test: "boolean",
    csm: "string",
    csm_name: "string",
    manager: "string",
  },
  contact: {
    id: "string",
    name: "string",
    first_name: "string",
    email: "string",
    role: "string",
    locale: "string",
    timezone: "string",
    title: "string",
    is_primary: "boolean",
    is_active: "boolean",
  },
  contract: {
    id: "string",
    currency: "string",
    status: "string",
    start_date: "date",
    end_date: "date",
    renewal_date: "date",
    notice_date: "date",
    notice_days: "number",
    arr: "number",
    auto_renew: "boolean",
  },
};

/**
 * What a new one is when nobody says: a comparison with an absent fact would be false either way. It is called by its id, and an account lives in UTC.
 * An account's locale is the house's wherever one is needed, and stays absent as a fact.
 */
export function firstValues(entity: Entity, id: string): Readonly<Record<string, string | number | boolean>> {
  switch (entity) {
    case "account":
      return { name: id, timezone: "UTC", is_test: false };
    case "contact":
      return { name: id, is_active: true, is_primary: false };
    case "contract":
      return {};
  }
}
