import { LOCALES } from "../../engine/policy.js";
import { placeKey, type Rule, type RuleContext } from "../context.js";
import { mailScope, playbookEnvironment } from "../environment.js";
import { guardedFacts } from "../guarded-facts.js";
import type { VariableUse } from "../liquid.js";
import { suggestion } from "../nearest.js";
import { allSteps, type DraftStepOf } from "../read-playbook.js";
import { checkTemplate, diagnosticAt, type TemplateFile } from "../templates.js";
import { visibleSteps } from "../visible-steps.js";
import { isTooEarly, subjectOf, tooEarly } from "./expressions.js";

/** Every mail has its template (WP401) in every locale (WP402), whose variables exist and are there wherever it is used (WP405, 406, 410). */
export const templates: Rule = (context) => {
  const { draft, templates: files, report } = context;
  const names = new Set(files.map(({ name }) => name));
  const used = new Map<string, DraftStepOf<"email">[]>();
  for (const step of allSteps(draft)) {
    if (step.kind !== "email") continue;
    const { template } = step.form.email;
    const at = [...step.at, "email", "template"];
    if (!names.has(template)) {
      const hint = suggestion(template, names) ?? `Write templates/${template}.en.md.`;
      report(at, { code: "WP401", message: `There is no template "${template}".`, hint });
      continue;
    }
    if (!used.has(template)) {
      const missing = LOCALES.filter(
        (locale) => !files.some((file) => file.name === template && file.locale === locale),
      );
      for (const locale of missing) {
        const hint = `Write templates/${template}.${locale}.md.`;
        report(at, { code: "WP402", message: `The template "${template}" is missing in ${locale}.`, hint });
      }
    }
    used.set(template, [...(used.get(template) ?? []), step]);
  }
  const checkUse = useChecker(context);
  for (const file of files) {
    file.diagnostics.forEach(context.add);
    const steps = used.get(file.name);
    if (steps) checkUse?.(file, steps);
    else {
      const problem = {
        code: "WP411",
        severity: "warning" as const,
        message: `No step sends the template "${file.name}".`,
        hint: "Remove the file, or name it in an `email` step.",
      };
      context.add(diagnosticAt(file.file, file.source, 0, 3, problem));
    }
  }
  sameVariables(files, context.add);
};

/** What looks at one template where it is used; undefined without a model. */
function useChecker(
  context: RuleContext,
): ((file: TemplateFile, steps: readonly DraftStepOf<"email">[]) => void) | undefined {
  const { model, draft } = context;
  if (!model) return undefined;
  const environment = playbookEnvironment(model, subjectOf(draft));
  const visible = visibleSteps(draft);
  const guarded = guardedFacts(draft, (at) => context.expressions.get(placeKey(at)));
  return (file, steps) => {
    const told = new Set<string>();
    for (const step of steps) {
      const scope = mailScope(environment, model, guarded.get(step.path), context.policy);
      const isEarly = ({ path }: VariableUse) =>
        Object.hasOwn(scope.facts, path) && isTooEarly(path, visible.get(step.path), draft.lostIds);
      const early = file.uses.filter(isEarly);
      const found = checkTemplate({ ...file, uses: file.uses.filter((use) => !isEarly(use)) }, scope);
      found.push(
        ...early.map(({ path, offset, length }) =>
          diagnosticAt(file.file, file.source, offset, length, tooEarly(path)),
        ),
      );
      for (const diagnostic of found) {
        const key = JSON.stringify(diagnostic);
        if (!told.has(key)) context.add(diagnostic);
        told.add(key);
      }
    }
  };
}

/** Locales of one template that tell different things are worth a look: a figure may have been forgotten in one (WP407, a warning). */
function sameVariables(files: readonly TemplateFile[], add: Parameters<Rule>[0]["add"]): void {
  for (const file of files) {
    if (file.locale === "en") continue;
    const original = files.find(({ name, locale }) => name === file.name && locale === "en");
    if (!original || file.diagnostics.length > 0 || original.diagnostics.length > 0) continue;
    const own = new Set(file.uses.map(({ path }) => path));
    const missing = [...new Set(original.uses.map(({ path }) => path))].filter((path) => !own.has(path));
    if (missing.length === 0) continue;
    const message = `${missing.map((path) => `"${path}"`).join(", ")} stands in ${file.name}.en.md, but not here.`;
    const problem = { code: "WP407", severity: "warning" as const, message, hint: "Add it, or take it out of both." };
    add(diagnosticAt(file.file, file.source, 0, 3, problem));
  }
}
