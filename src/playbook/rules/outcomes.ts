import type { Rule } from "../context.js";
import { allSteps } from "../read-playbook.js";

/** How a run may end is declared in model.yaml (WP212). */
export const outcomes: Rule = ({ draft, model, known }) => {
  if (!model) return;
  const names = Object.keys(model.outcomes);
  draft.head.exit?.forEach(
    ({ outcome }, index) => void known(["exit", index, "outcome"], "WP212", "outcome", outcome, names),
  );
  if (draft.head.goal) known(["goal", "outcome"], "WP212", "outcome", draft.head.goal.outcome, names);
  for (const step of allSteps(draft)) {
    if (step.kind === "end") known([...step.at, "end"], "WP212", "outcome", step.form.end, names);
  }
};
