import type { Rule } from "../context.js";
import { stepsIn, type StepKind } from "../read-playbook.js";

/** After an exit there are only effects: nothing that waits, branches or ends, and mail only of category `service` (WP505). */
export const exitSteps: Rule = ({ draft, report }) => {
  for (const step of stepsIn(draft.exitSteps)) {
    if (!EFFECTS.has(step.kind)) {
      const hint = `After an exit a run may only do: ${[...EFFECTS].join(", ")}.`;
      report(
        [...step.at, step.kind],
        { code: "WP505", message: `"${step.kind}" can't stand in on_exit.`, hint },
        { at: "key" },
      );
    }
    if (step.kind === "email" && step.form.email.category !== "service") {
      const hint = "Write category: service, or leave the mail out.";
      report([...step.at, "email", "category"], {
        code: "WP505",
        message: "After an exit only mail of category service goes out.",
        hint,
      });
    }
    const form = step.kind === "task" ? step.form.task : step.kind === "play" ? step.form.play : undefined;
    if (form?.wait === "done") {
      const hint = "Leave out wait, within and otherwise.";
      report(
        [...step.at, step.kind, "wait"],
        { code: "WP505", message: "After an exit a run waits for nothing.", hint },
        { at: "key" },
      );
    }
  }
};

const EFFECTS: ReadonlySet<StepKind> = new Set([
  "email",
  "slack",
  "task",
  "milestone",
  "set",
  "risk",
  "opportunity",
  "health",
  "play",
]);
