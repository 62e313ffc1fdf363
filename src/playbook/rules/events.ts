import type { Rule } from "../context.js";
import { allSteps, conditionsIn } from "../read-playbook.js";

/** Events are declared in model.yaml, and one that enrols a contact is about a contact (WP207). */
export const events: Rule = ({ draft, model, known, report }) => {
  if (!model) return;
  const names = Object.keys(model.events);
  const event = (at: (string | number)[], name: string | undefined) => {
    if (name !== undefined) known([...at, "event"], "WP207", "event", name, names);
  };
  for (const trigger of draft.triggers) {
    if (trigger.kind !== "event") continue;
    const name = trigger.form.event;
    event([...trigger.at], name);
    const about = Object.hasOwn(model.events, name) ? model.events[name]?.subject : undefined;
    if (draft.head.subject !== "contact" || about === undefined || about === "contact") continue;
    const message = `The event "${name}" is about an ${about === "account" ? about : "account's contract"}: it wouldn't say which contact to enrol.`;
    report([...trigger.at, "event"], { code: "WP207", message, hint: "Take an event whose subject is a contact." });
  }
  draft.head.exit?.forEach(({ when }, index) => void event(["exit", index, "when"], when?.event));
  event(["goal", "when"], draft.head.goal?.when?.event);
  for (const step of allSteps(draft)) {
    if (step.kind !== "wait_for" || !step.condition) continue;
    for (const { at, form } of conditionsIn(step.condition)) event([...at], form.event);
  }
};
