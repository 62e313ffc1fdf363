import type { Rule } from "../context.js";
import { allSteps, conditionsIn } from "../read-playbook.js";

/** Events are declared in model.yaml (WP207). */
export const events: Rule = ({ draft, model, known }) => {
  if (!model) return;
  const names = Object.keys(model.events);
  const event = (at: (string | number)[], name: string | undefined) => {
    if (name !== undefined) known([...at, "event"], "WP207", "event", name, names);
  };
  for (const trigger of draft.triggers) if (trigger.kind === "event") event([...trigger.at], trigger.form.event);
  draft.head.exit?.forEach(({ when }, index) => void event(["exit", index, "when"], when?.event));
  event(["goal", "when"], draft.head.goal?.when?.event);
  for (const step of allSteps(draft)) {
    if (step.kind !== "wait_for" || !step.condition) continue;
    for (const { at, form } of conditionsIn(step.condition)) event([...at], form.event);
  }
};
