/** What a field of an account, contact or contract is worth: pure rules, the same over Postgres and in the rehearsal. */
import type { FactValue } from "../expression/expression.js";
import { addDays, isCalendarDate } from "../values/calendar-date.js";
import { parseInstant } from "../values/instant.js";
import { instantAt } from "../values/zone.js";
import { BUILT_IN_FIELDS, type Entity, type Field, type Model } from "./model.js";

/** The field as the model declares it, else as it is built in; undefined: nobody knows it. */
export function fieldOf(model: Model | undefined, entity: Entity, name: string): Field | undefined {
  const declared = model?.[entity];
  if (declared && Object.hasOwn(declared, name)) return declared[name];
  const builtIn = BUILT_IN_FIELDS[entity];
  return Object.hasOwn(builtIn, name) ? { type: builtIn[name] as Field["type"] } : undefined;
}

/** The field's value as stored, `stored` giving those that were imported; a derived date is counted from its parts, and absent if either is. */
export function storedValue(name: string, field: Field | undefined, stored: (name: string) => unknown): unknown {
  if (field?.derived === undefined) return stored(name) ?? undefined;
  const date = stored(field.derived.date);
  const days = stored(field.derived.days);
  if (typeof date !== "string" || typeof days !== "number" || !isCalendarDate(date.slice(0, 10))) return undefined;
  return addDays(date.slice(0, 10), field.derived.sign * Math.trunc(days));
}

/** The stored value as expressions see it, a date as its midnight in `zone`; a value that its type doesn't allow is absent. */
export function fieldFact(stored: unknown, field: Field | undefined, zone: string): FactValue | undefined {
  if (stored === undefined || stored === null) return undefined;
  switch (field?.type) {
    case "date":
    case "datetime":
      if (typeof stored !== "string") return undefined;
      return isCalendarDate(stored) ? instantAt(stored, "00:00", zone) : parseInstant(stored);
    case "number":
      return typeof stored === "number" ? stored : undefined;
    case "boolean":
      return typeof stored === "boolean" ? stored : undefined;
    case "string":
      return typeof stored === "string" ? stored : undefined;
    default:
      return typeof stored === "object" ? undefined : (stored as FactValue);
  }
}

/**
 * The account's current contract, out of the ids of its contracts: the active one with the latest end, then by id; undefined if none is active.
 * Source: docs/language-files.md, "Built-in fields".
 */
export function currentContract(
  ids: Iterable<string>,
  stored: (id: string, name: "status" | "end_date") => unknown,
): string | undefined {
  const endOf = (id: string) => String(stored(id, "end_date") ?? "");
  return [...ids]
    .filter((id) => stored(id, "status") === "active")
    .sort((a, b) => (endOf(a) < endOf(b) ? 1 : endOf(a) > endOf(b) ? -1 : a < b ? -1 : 1))[0];
}

/** True for what has fields. */
export function isEntity(text: string): text is Entity {
  return text === "account" || text === "contact" || text === "contract";
}
