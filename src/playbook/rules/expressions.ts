import { references } from "../../expression/references.js";
import { checkText, placeOf } from "../check-text.js";
import { placeKey, type Rule, type RuleContext } from "../context.js";
import { type Environment, enrollEnvironment, playbookEnvironment, withEvents } from "../environment.js";
import { type ExpressionSite, expressionSites } from "../expression-sites.js";
import { allSteps, type Draft } from "../read-playbook.js";

/** Every expression reads only declared facts, is of the right type (WP301–306, WP308), and asks only after steps that can have run (WP307). */
export const expressions: Rule = (context) => {
  const { draft, model, playbooks } = context;
  if (!model) return;
  const run = playbookEnvironment(model, subjectOf(draft));
  const enroll = enrollEnvironment(run);
  let problemCount = 0;
  let length = 0;
  for (const site of expressionSites(draft, model, playbooks)) {
    if (draft.isMended(site.at)) continue;
    length += site.text.length;
    if (problemCount >= MAX_PROBLEMS || length > MAX_LENGTH) {
      const message =
        length > MAX_LENGTH
          ? `The playbook's expressions are longer than ${MAX_LENGTH} characters in all.`
          : `More than ${MAX_PROBLEMS} faults in expressions: this one and others are not checked yet.`;
      context.report(site.at, { code: "WP306", message, hint: "Mend the others first, or split the playbook." });
      return;
    }
    const base = site.scope === "run" ? run : enroll;
    const environment = site.events && site.events.length > 0 ? withEvents(base, model, site.events) : base;
    problemCount += check(site, environment, context);
  }
};

/** Checking costs up to some 0.1 s for the worst expression: these bound a whole playbook. Shipped ones have some 3,000 characters. */
const MAX_LENGTH = 40_000;
const MAX_PROBLEMS = 100;

/** What the environment needs to know of the playbook. */
export function subjectOf(draft: Draft): Parameters<typeof playbookEnvironment>[1] {
  const steps = [...allSteps(draft)].flatMap(({ id, kind }) => (id === undefined ? [] : [{ id, kind }]));
  const { subject, inputs } = draft.head;
  const faulty = Object.keys(inputs ?? {}).filter((name) => isFaulty(draft, name));
  const open = [
    ...draft.lostIds.map((id) => `steps.${id}`),
    ...faulty.map((name) => `run.inputs.${name}`),
    ...(inputs === undefined ? ["run.inputs"] : []),
  ];
  const sound = Object.fromEntries(Object.entries(inputs ?? {}).filter(([name]) => !faulty.includes(name)));
  return { subject: subject ?? "account", inputs: sound, steps, open };
}

function isFaulty(draft: Draft, input: string): boolean {
  return draft.isMended(["inputs", input, "type"]) || draft.isMended(["inputs", input, "default"]);
}

function check(site: ExpressionSite, environment: Environment, context: RuleContext): number {
  const { expression, problems } = checkText(site.text, environment, site.expected);
  for (const { problem, offset, length } of problems) {
    const hint = unknownHere(site, site.text.slice(offset, offset + length), environment, context) ?? problem.hint;
    context.report(site.at, { ...problem, ...(hint === undefined ? {} : { hint }) }, { offset, length });
  }
  if (!expression) return problems.length;
  const early = references(expression).filter((path) => isTooEarly(path, site.visible, context.draft.lostIds));
  for (const path of early) context.report(site.at, tooEarly(path), placeOf(site.text, path));
  if (early.length === 0) context.expressions.set(placeKey(site.at), expression);
  return early.length;
}

/** Whether the path reads a step that can't have run by then. */
export function isTooEarly(
  path: string,
  visible: ReadonlySet<string> | undefined,
  lostIds: readonly string[],
): boolean {
  const [group, id = ""] = path.split(".");
  return group === "steps" && visible !== undefined && !visible.has(id) && !lostIds.includes(id);
}

export function tooEarly(path: string): { code: string; message: string; hint: string } {
  const id = path.split(".")[1];
  const hint = "Ask after a step that stands before this one, or beside it in a parallel branch.";
  return {
    code: "WP307",
    message: `The step "${id}" can't have run before this one, so ${path} is never there.`,
    hint,
  };
}

/** Names that exist, only not here. */
function unknownHere(
  site: ExpressionSite,
  word: string,
  environment: Environment,
  { draft }: RuleContext,
): string | undefined {
  if (Object.hasOwn(environment.facts, word)) return undefined;
  const group = word.split(".")[0];
  if (group === "contact" && draft.head.subject === "account") {
    return "The subject is an account; contact.… is there where the playbook says subject: contact.";
  }
  if (group === "event" && !site.events?.length) return "event.… is there only in `where` and in `enroll.with`.";
  if (site.scope === "enroll" && (group === "run" || group === "steps" || group === "tasks")) {
    return "There is no run yet when a playbook enrols.";
  }
  return undefined;
}
