import type { PersonRule } from "../../engine/plan.js";
import type { Rule } from "../context.js";
import { allSteps } from "../read-playbook.js";
import type { YamlPath } from "../read-yaml.js";

/** Roles of contacts (WP203), and our own roles and pools (WP204), are declared in model.yaml. */
export const people: Rule = ({ draft, model, known, report }) => {
  if (!model) return;
  const person = (rule: PersonRule | undefined, at: YamlPath) => {
    if (rule?.kind === "role") known(at, "WP204", "staff role", rule.role, model.roles.staff);
    if (rule?.kind === "pool") known(at, "WP204", "pool", rule.pool, model.roles.pools);
  };
  for (const step of allSteps(draft)) {
    const { at } = step;
    if (step.kind === "email") {
      const { to, each, from } = step.form.email;
      if (to === "contact" && draft.head.subject === "account") {
        const hint = `Write the role of a contact: ${model.roles.contact.join(", ")}.`;
        report([...at, "email", "to"], {
          code: "WP203",
          message: '"contact" is the subject, and the subject of this playbook is an account.',
          hint,
        });
      }
      if (to !== undefined && to !== "contact")
        known([...at, "email", "to"], "WP203", "contact role", to, model.roles.contact);
      if (each !== undefined) known([...at, "email", "each"], "WP203", "contact role", each, model.roles.contact);
      person(from, [...at, "email", "from"]);
    }
    if (step.kind === "slack") person(step.form.slack.to, [...at, "slack", "to"]);
    if (step.kind === "task") {
      person(step.form.task.for, [...at, "task", "for"]);
      step.form.task.escalate.forEach(({ to }, index) => void person(to, [...at, "task", "escalate", index, "to"]));
    }
  }
};
