import type { Rule } from "../context.js";
import { allSteps } from "../read-playbook.js";

/** A milestone is declared in model.yaml, and is one of the playbook's subject (WP210). */
export const milestones: Rule = ({ draft, model, known, report }) => {
  if (!model) return;
  for (const step of allSteps(draft)) {
    if (step.kind !== "milestone") continue;
    const { milestone } = step.form;
    const at = [...step.at, "milestone"];
    if (!known(at, "WP210", "milestone", milestone, Object.keys(model.milestones))) continue;
    if (model.milestones[milestone]?.of === "contact" && draft.head.subject === "account") {
      const message = `The milestone "${milestone}" is a contact's, and the subject of this playbook is an account.`;
      report(at, { code: "WP210", message, hint: "Take a milestone of: account." });
    }
  }
};
