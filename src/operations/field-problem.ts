import { BUILT_IN_FIELDS, type Field, type Model } from "../customers/model.js";
import { builtInValueProblem } from "../customers/field-value.js";
import { nearest } from "../playbook/nearest.js";
import type { FieldValue } from "../ports/customers.js";
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
  if (value === null) return builtInValueProblem(entity, name, value);
  const problem = valueProblem(field.type, value);
  if (problem !== undefined) return `"${name}" ${problem}`;
  if (field.values !== undefined && !field.values.includes(value as string)) {
    return `"${name}" must be one of ${field.values.join(", ")}`;
  }
  return builtInValueProblem(entity, name, value);
}

function builtIn(entity: "account" | "contact" | "contract"): Record<string, Field> {
  return Object.fromEntries(Object.entries(BUILT_IN_FIELDS[entity]).map(([name, type]) => [name, { type }]));
}
