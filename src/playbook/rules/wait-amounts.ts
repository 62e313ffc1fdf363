import { parseTimeRule } from "../../values/time-rule.js";
import type { Rule } from "../context.js";
import { allSteps } from "../read-playbook.js";

/** A wait goes forward (WP504), and what to do about a missing or past date belongs to a date (WP109). */
export const waitAmounts: Rule = ({ draft, report }) => {
  for (const step of allSteps(draft)) {
    if (step.kind !== "wait") continue;
    const { wait } = step.form;
    const at = [...step.at, "wait"];
    if (!("until" in wait)) {
      if (wait.kind === "after" && wait.duration.amount <= 0) {
        report(at, { code: "WP504", message: "A wait must be longer than nothing.", hint: "Such as 2d or 5 bd." });
      }
      continue;
    }
    const rule = parseTimeRule(wait.until);
    if (!rule) continue;
    if (rule.kind === "after" || rule.kind === "now") {
      report([...at, "until"], {
        code: "WP106",
        message: `"${wait.until}" is no point in time.`,
        hint: `Write wait: ${wait.until}.`,
      });
    }
    for (const key of ["offset", "on_missing", "on_past"] as const) {
      if (wait[key] === undefined) continue;
      report(
        [...at, key],
        { code: "WP109", message: `"${key}" belongs to a date.`, hint: "Remove it, or write until: FACT." },
        { at: "key" },
      );
    }
  }
};
