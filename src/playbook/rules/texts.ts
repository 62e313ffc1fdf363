import { placeKey, type Rule } from "../context.js";
import { playbookEnvironment, textScope } from "../environment.js";
import { guardedFacts } from "../guarded-facts.js";
import { checkUses, readLiquid, type VariableUse } from "../liquid.js";
import { allSteps, type DraftStep } from "../read-playbook.js";
import type { YamlPath } from "../read-yaml.js";
import { visibleSteps } from "../visible-steps.js";
import { isTooEarly, subjectOf, tooEarly } from "./expressions.js";

/** The placeholders in titles and texts of steps name variables that exist and are there (WP404–406, WP408–410). */
export const texts: Rule = (context) => {
  const { draft, model, report } = context;
  if (!model) return;
  const environment = playbookEnvironment(model, subjectOf(draft));
  const visible = visibleSteps(draft);
  const guarded = guardedFacts(draft, (at) => context.expressions.get(placeKey(at)));
  for (const step of allSteps(draft)) {
    const scope = textScope(environment, guarded.get(step.path), context.policy);
    for (const [inside, text] of textsOf(step)) {
      const at = [...step.at, ...inside];
      const { uses, problems } = readLiquid(text);
      const isEarly = ({ path }: VariableUse) =>
        Object.hasOwn(scope.facts, path) && isTooEarly(path, visible.get(step.path), draft.lostIds);
      const found = [
        ...problems,
        ...checkUses(
          uses.filter((use) => !isEarly(use)),
          scope,
        ),
      ];
      for (const { problem, offset, length } of found) report(at, problem, { offset, length });
      for (const { path, offset, length } of uses.filter(isEarly)) report(at, tooEarly(path), { offset, length });
    }
  }
};

function textsOf(step: DraftStep): [YamlPath, string][] {
  const found: [YamlPath, string | undefined][] = [];
  if (step.kind === "slack") found.push([["slack", "text"], step.form.slack.text]);
  if (step.kind === "task")
    found.push([["task", "title"], step.form.task.title], [["task", "text"], step.form.task.text]);
  if (step.kind === "risk") found.push([["risk", "text"], step.form.risk.text]);
  if (step.kind === "opportunity") found.push([["opportunity", "text"], step.form.opportunity.text]);
  return found.flatMap(([at, text]) => (text === undefined ? [] : [[at, text] as [YamlPath, string]]));
}
