import type { Rule } from "../context.js";
import { allSteps, type DraftStep } from "../read-playbook.js";

/** No step stands where no run ever comes: behind an `end`, or behind a `choose` whose every branch ends (WP501). */
export const unreachable: Rule = ({ draft, report }) => {
  const lists = [
    draft.steps,
    draft.exitSteps,
    ...[...allSteps(draft)].flatMap(({ bodies }) => bodies.map(({ steps }) => steps)),
  ];
  const around = new Set(
    [...allSteps(draft)].flatMap((step) =>
      step.kind === "around" ? step.bodies.filter(({ name }) => name === "steps").map(({ steps }) => steps) : [],
    ),
  );
  for (const steps of lists) {
    // Steps around a date come when their day comes, not one behind the other.
    if (around.has(steps)) continue;
    const last = steps.findIndex(alwaysEnds);
    const next = last < 0 ? undefined : steps[last + 1];
    if (!next) continue;
    const why =
      steps[last]?.kind === "end"
        ? "the step before it ends the run"
        : "every way through the step before it ends the run";
    report(next.at, {
      code: "WP501",
      message: `No run ever comes here: ${why}.`,
      hint: "Remove what follows, or let the end depend on an `if`.",
    });
  }
};

/** Whether a run that reaches the step ends in it, whatever happens. */
function alwaysEnds(step: DraftStep): boolean {
  if (step.form.if !== undefined) return false;
  const bodies = step.bodies.filter(({ name }) => name !== "on_error").map(({ steps }) => steps.some(alwaysEnds));
  switch (step.kind) {
    case "end":
      return true;
    case "choose":
      return bodies.length > 0 && bodies.every((ends) => ends);
    case "parallel":
      return step.form.join === "any" ? bodies.length > 0 && bodies.every((ends) => ends) : bodies.some((ends) => ends);
    case "repeat":
      return bodies.some((ends) => ends);
    default:
      return false;
  }
}
