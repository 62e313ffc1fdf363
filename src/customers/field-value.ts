import { isLocale } from "../values/locale.js";
import { isZone } from "../values/zone.js";
import type { Entity } from "./model.js";

/**
 * What is wrong with the value of a built-in field beyond its type, in a sentence that names the field; undefined if nothing is, and for
 * fields of one's own. null and an empty text clear a field. The same for imports, for `set`, and for what is written in a playbook.
 */
export function builtInValueProblem(
  entity: Entity,
  name: string,
  value: string | number | boolean | null,
): string | undefined {
  const isEmpty = value === null || (typeof value === "string" && value.trim() === "");
  if (isEmpty && MUST_BE_THERE[entity].includes(name)) {
    return `"${name}" can't be empty: give it, or leave ${name} out and what is known stays`;
  }
  if (typeof value !== "string") return undefined;
  if (name === "timezone" && !isZone(value)) return `"${value}" is no time zone, such as "Europe/Warsaw"`;
  if (name === "locale" && !isLocale(value)) return `"${value}" is no locale, such as "en" or "pl"`;
  return undefined;
}

/**
 * What texts and working hours rely on and nobody can make up: an empty cell is a mistake. The others that are always there have a
 * default, and an empty cell means that: `is_test` no, `is_active` yes, `is_primary` no, an account's `locale` the house's.
 */
const MUST_BE_THERE: Readonly<Record<Entity, readonly string[]>> = {
  account: ["name", "timezone"],
  contact: ["name"],
  contract: [],
};
