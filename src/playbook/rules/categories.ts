import type { Rule } from "../context.js";
import { allSteps } from "../read-playbook.js";

/** A mail's category is declared in policy.yaml (WP205). */
export const categories: Rule = ({ draft, policy, known }) => {
  if (!policy) return;
  for (const step of allSteps(draft)) {
    if (step.kind !== "email") continue;
    known(
      [...step.at, "email", "category"],
      "WP205",
      "category",
      step.form.email.category,
      Object.keys(policy.categories),
    );
  }
};
