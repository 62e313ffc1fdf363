import type { Rule } from "../context.js";
import { allSteps, conditionsIn } from "../read-playbook.js";
import { visibleSteps } from "../visible-steps.js";

/** `wait_for` a task or a reply names a step of that kind (WP213) that can have run by then (WP307). */
export const waitedSteps: Rule = ({ draft, known, report }) => {
  const visible = visibleSteps(draft);
  const ids = (kind: "task" | "email") =>
    [...allSteps(draft)].flatMap((step) => (step.kind === kind && step.id !== undefined ? [step.id] : []));
  const idsOf = { task: ids("task"), reply: ids("email") };
  for (const step of allSteps(draft)) {
    if (step.kind !== "wait_for" || !step.condition) continue;
    for (const { at, form } of conditionsIn(step.condition)) {
      for (const key of ["task", "reply"] as const) {
        const id = form[key];
        if (id === undefined || draft.lostIds.includes(id)) continue;
        const what = key === "task" ? "step of kind task called" : "step of kind email called";
        if (!known([...at, key], "WP213", what, id, idsOf[key])) continue;
        if (visible.get(step.path)?.has(id)) continue;
        const message = `The step "${id}" can't have run before this one.`;
        report([...at, key], { code: "WP307", message, hint: "Wait for a step that stands before it." });
      }
    }
  }
};
