import type { Rule } from "../context.js";
import { allSteps, type Draft, type DraftStep } from "../read-playbook.js";

/** Nothing goes on for ever: `repeat` has `times`, and no playbook always starts itself again, by whatever detour (WP502). */
export const endless: Rule = ({ draft, folder, playbooks, report }) => {
  for (const step of allSteps(draft)) {
    if (step.kind !== "repeat" || step.form.repeat.times !== undefined) continue;
    const hint = "Add times: 12, the most that makes sense.";
    report(
      [...step.at, "repeat"],
      { code: "WP502", message: "This repetition could go on for ever.", hint },
      { at: "key" },
    );
  }
  for (const { step, playbook } of certainPlays(draft)) {
    const detour = wayBack(playbook, folder, playbooks, new Set());
    if (!detour) continue;
    const way = [folder, ...detour].join(" → ");
    const hint = "Give one of these steps an `if`.";
    report([...step.at, "play", "playbook"], {
      code: "WP502",
      message: `Every run would start another run: ${way}.`,
      hint,
    });
  }
};

/** The playbooks that every run starts, since nothing stands between it and the step. */
function certainPlays(draft: Draft): { step: DraftStep; playbook: string }[] {
  const found: { step: DraftStep; playbook: string }[] = [];
  const walk = (steps: readonly DraftStep[]): void => {
    for (const step of steps) {
      if (step.form.if !== undefined) continue;
      if (step.kind === "play") found.push({ step, playbook: step.form.play.playbook });
      if (step.kind === "end") return;
      if (step.kind === "parallel" || step.kind === "repeat") {
        for (const body of step.bodies) if (body.name !== "on_error") walk(body.steps);
      }
    }
  };
  walk(draft.steps);
  return found;
}

/** The playbooks from one to the other along certain plays, both included, or undefined. */
function wayBack(
  from: string,
  to: string,
  playbooks: ReadonlyMap<string, Draft>,
  seen: Set<string>,
): string[] | undefined {
  if (from === to) return [to];
  const draft = playbooks.get(from);
  if (!draft || seen.has(from)) return undefined;
  seen.add(from);
  for (const { playbook } of certainPlays(draft)) {
    const rest = wayBack(playbook, to, playbooks, seen);
    if (rest) return [from, ...rest];
  }
  return undefined;
}
