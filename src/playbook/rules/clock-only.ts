import { references } from "../../expression/references.js";
import { readsOnlyTheClock } from "../check-text.js";
import { placeKey, type Rule } from "../context.js";
import { allSteps, conditionsIn } from "../read-playbook.js";
import type { YamlPath } from "../read-yaml.js";

/** A condition that only asks the clock is looked at when something else happens, not when its time comes (WP506, a warning); `before` needs a date (WP109). */
export const clockOnly: Rule = ({ draft, expressions, report }) => {
  const check = (at: YamlPath) => {
    const expression = expressions.get(placeKey(at));
    if (!expression || !readsOnlyTheClock(expression)) return;
    const hint = "Use a `wait`, `within`, or a step `around` a date for what depends on time.";
    const message = "This depends on nothing but the time, and time alone makes nobody look at it again.";
    report(at, { code: "WP506", severity: "warning", message, hint });
  };
  for (const trigger of draft.triggers) {
    const at = [...trigger.at, "before"];
    const date = trigger.kind === "before" ? expressions.get(placeKey(at)) : undefined;
    if (!date || references(date).some((path) => path !== "now")) continue;
    const hint = "Name a date of the account or its contract, such as contract.end_date.";
    report(at, { code: "WP109", message: "This is no date that somebody's data could have.", hint });
  }
  draft.head.exit?.forEach((_, index) => void check(["exit", index, "if"]));
  check(["goal", "if"]);
  for (const step of allSteps(draft)) {
    if (step.kind !== "wait_for" || !step.condition) continue;
    for (const { at } of conditionsIn(step.condition)) check([...at, "if"]);
  }
};
