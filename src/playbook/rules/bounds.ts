import type { Rule } from "../context.js";
import { allSteps } from "../read-playbook.js";

/** Every wait for somebody or something ends by itself: `within` is compulsory (WP503); without a wait it means nothing (WP109). */
export const bounds: Rule = ({ draft, report }) => {
  for (const step of allSteps(draft)) {
    if (step.kind === "wait_for" && step.form.wait_for.within === undefined) {
      const hint = "Add within: 5 bd, and otherwise: [ … ] for what happens then.";
      report(
        [...step.at, "wait_for"],
        { code: "WP503", message: "This wait has no bound: it could wait for ever.", hint },
        { at: "key" },
      );
    }
    const form = step.kind === "task" ? step.form.task : step.kind === "play" ? step.form.play : undefined;
    if (!form) continue;
    const at = [...step.at, step.kind];
    if (form.wait === "done" && form.within === undefined) {
      const hint = "Add within: 10 bd, and otherwise: [ … ] for what happens then.";
      report(
        [...at, "wait"],
        { code: "WP503", message: '"wait: done" has no bound: it could wait for ever.', hint },
        { at: "key" },
      );
    }
    if (form.wait === "done") continue;
    for (const key of ["within", "otherwise"] as const) {
      if (form[key] === undefined) continue;
      report(
        [...at, key],
        { code: "WP109", message: `"${key}" needs a wait: this step doesn't wait.`, hint: "Add wait: done." },
        { at: "key" },
      );
    }
  }
};
