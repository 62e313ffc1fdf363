import type { Expression } from "../../expression/expression.js";
import { builtInValueProblem } from "../../customers/field-value.js";
import type { Entity } from "../../customers/model.js";
import { placeKey, type Rule } from "../context.js";
import { allSteps } from "../read-playbook.js";

/** `set` names a field that is declared and may be changed (WP211), and gives it a value that it can have (WP308). */
export const setFields: Rule = ({ draft, model, expressions, known, report }) => {
  if (!model) return;
  const groups = {
    account: model.account,
    contact: draft.head.subject === "account" ? {} : model.contact,
    contract: model.contract,
  };
  const fields = Object.entries(groups).flatMap(([group, all]) =>
    Object.entries(all).map(([name, field]) => [`${group}.${name}`, field] as const),
  );
  for (const step of allSteps(draft)) {
    if (step.kind !== "set") continue;
    const { field } = step.form.set;
    const at = [...step.at, "set", "field"];
    if (
      !known(
        at,
        "WP211",
        "field",
        field,
        fields.map(([path]) => path),
      )
    )
      continue;
    const isDerived = fields.some(([path, { derived }]) => path === field && derived !== undefined);
    if (isDerived) {
      report(at, { code: "WP211", message: `${field} is derived from other fields.`, hint: "Set those instead." });
    } else if (FIXED.has(field)) {
      report(at, {
        code: "WP211",
        message: `${field} says who it is, and can't be set.`,
        hint: "Set a field of your own.",
      });
    }
    const allowed = fields.find(([path]) => path === field)?.[1].values;
    const value = [...step.at, "set", "value"];
    const [entity, name] = field.split(".") as [Entity, string];
    for (const text of isDerived ? [] : textsGiven(expressions.get(placeKey(value)))) {
      const problem = builtInValueProblem(entity, name, text);
      if (problem === undefined) continue;
      report(value, {
        code: "WP308",
        message: `${field} can't be set so: ${problem}.`,
        hint: "The value is an expression: a text has quotation marks inside.",
      });
    }
    for (const text of allowed ? textsGiven(expressions.get(placeKey(value))) : []) {
      known(value, "WP308", `value of ${field} called`, text, allowed ?? []);
    }
  }
};

/** The texts that the expression may come out as, as far as they are written down. */
function textsGiven(expression: Expression | undefined): string[] {
  if (expression?.op === "if") return [...textsGiven(expression.then), ...textsGiven(expression.else)];
  return expression?.op === "literal" && typeof expression.value === "string" ? [expression.value] : [];
}

/** What other rows and systems go by. */
const FIXED = new Set([
  "account.id",
  "contact.id",
  "contract.id",
  "account.is_test",
  "contact.email",
  "account.csm_name",
]);
