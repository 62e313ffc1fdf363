import { BUILT_IN_FIELDS, type Field, type Model } from "../customers/model.js";
import { nearest } from "../playbook/nearest.js";
import type { FieldValue } from "../ports/customers.js";
import { isZone } from "../values/zone.js";
import { valueProblem } from "./validate-event.js";

/**
 * Why a value can't be imported into a field of an account, contact or contract, in a sentence for who sent it;
 * undefined if it can. null clears a field, except those of `MUST_BE_THERE`. Before the first publication only built-in fields are known.
 */
export function fieldProblem(
  model: Model | undefined,
  entity: "account" | "contact" | "contract",
  name: string,
  value: FieldValue,
): string | undefined {
  const fields: Readonly<Record<string, Field | undefined>> = { ...builtIn(entity), ...model?.[entity] };
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (field === undefined) {
    const like = nearest(name, Object.keys(fields));
    return `no field "${name}" of ${entity}s is declared${like === undefined ? "" : `; did you mean "${like}"?`}`;
  }
  if (field.derived !== undefined || name === "csm_name") return `"${name}" is computed and can't be imported`;
  if (isEmpty(value) && MUST_BE_THERE[entity].includes(name))
    return `"${name}" can't be empty: give it, or leave ${name} out and what is known stays`;
  if (value === null) return undefined;
  const problem = valueProblem(field.type, value);
  if (problem !== undefined) return `"${name}" ${problem}`;
  if (field.values !== undefined && !field.values.includes(value as string)) {
    return `"${name}" must be one of ${field.values.join(", ")}`;
  }
  if (name === "timezone" && !isZone(value as string))
    return `"${String(value)}" is no time zone, such as "Europe/Warsaw"`;
  if (name === "locale" && !isLocale(value as string)) return `"${String(value)}" is no locale, such as "en" or "pl"`;
  return undefined;
}

/**
 * What texts and working hours rely on and nobody can make up: an empty cell is a mistake. The others that are always there have a
 * default, and an empty cell means that: `is_test` no, `is_active` yes, `is_primary` no, an account's `locale` the house's.
 */
const MUST_BE_THERE: Readonly<Record<"account" | "contact" | "contract", readonly string[]>> = {
  account: ["name", "timezone"],
  contact: ["name"],
  contract: [],
};

function isEmpty(value: FieldValue): boolean {
  return value === null || (typeof value === "string" && value.trim() === "");
}

/** Whether the text is made like a locale (BCP 47); whether mails are written in it is another question: they fall back. */
export function isLocale(text: string): boolean {
  try {
    return Intl.getCanonicalLocales(text).length === 1;
  } catch {
    return false;
  }
}

function builtIn(entity: "account" | "contact" | "contract"): Record<string, Field> {
  return Object.fromEntries(Object.entries(BUILT_IN_FIELDS[entity]).map(([name, type]) => [name, { type }]));
}
