import type { RuleContext, Rule } from "../context.js";
import { allSteps, conditionsIn, type DraftStep } from "../read-playbook.js";

/** Keys that exclude or need each other (WP109). */
export const stepForms: Rule = (context) => {
  const { draft, report } = context;
  const { exit, goal } = draft.head;
  for (const [form, at] of [
    ...(exit ?? []).map((each, index) => [each, ["exit", index]] as const),
    [goal, ["goal"]] as const,
  ]) {
    if (!form || (form.if === undefined) !== (form.when === undefined)) continue;
    const message = form.if === undefined ? 'It needs an "if" or a "when".' : 'It can\'t have both "if" and "when".';
    report(at, { code: "WP109", message, hint: "Write if: CONDITION, or when: { event: NAME, where: CONDITION }." });
  }
  for (const step of allSteps(draft)) ofStep(step, context);
};

function ofStep(step: DraftStep, { draft, report }: RuleContext): void {
  const { at } = step;
  switch (step.kind) {
    case "email": {
      const form = step.form.email;
      if ((form.to === undefined) !== (form.each === undefined)) return;
      const message = form.to === undefined ? '"to" is missing.' : '"to" and "each" exclude each other.';
      const hint =
        "Write to: ROLE for the primary contact of a role, to: contact for the subject, or each: ROLE for everyone.";
      report([...at, "email"], { code: "WP109", message, hint }, { at: "key" });
      return;
    }
    case "task": {
      const form = step.form.task;
      if (form.ask === "outcome" && form.outcomes.length < 2 && !draft.isMended([...at, "task", "outcomes"])) {
        const hint = "Add outcomes: [done_well, not_needed], two at least.";
        report([...at, "task", "ask"], {
          code: "WP109",
          message: "Asking for an outcome needs outcomes to choose from.",
          hint,
        });
      }
      if (form.ask !== "outcome" && form.outcomes.length > 0 && !draft.isMended([...at, "task", "ask"])) {
        report(
          [...at, "task", "outcomes"],
          { code: "WP109", message: "Outcomes that nobody is asked for.", hint: "Add ask: outcome." },
          { at: "key" },
        );
      }
      return;
    }
    case "around": {
      const anchor = step.form.around;
      if (/^(account|contact|contract|milestone)\.[a-z][a-z0-9_]*$/.test(anchor)) return;
      const hint = "Name one date, such as contract.end_date, so that a change of it moves the steps.";
      report([...at, "around"], { code: "WP109", message: `"${anchor}" is no date field.`, hint });
      return;
    }
    case "wait_for":
      for (const { at: place, form } of step.condition ? conditionsIn(step.condition) : []) {
        const given = (["event", "if", "task", "reply", "any", "all"] as const).filter(
          (key) => form[key] !== undefined,
        );
        if (given.length !== 1) {
          const message =
            given.length === 0
              ? "It doesn't say what to wait for."
              : `It waits for one thing, not for ${given.join(" and ")}.`;
          const hint = "Give it one of: event, if, task, reply, any, all. Several go into any: [ … ] or all: [ … ].";
          report(place, { code: "WP109", message, hint }, { at: "key" });
        }
        for (const key of ["where", "since"] as const) {
          if (form[key] === undefined || form.event !== undefined) continue;
          report(
            [...place, key],
            { code: "WP109", message: `"${key}" belongs to an event.`, hint: "Add event: NAME, or remove it." },
            { at: "key" },
          );
        }
      }
      return;
    case "choose": {
      const branches = step.form.choose;
      const last = branches.findLastIndex((_, index) => !draft.isMended([...at, "choose", index]));
      branches.forEach((branch, index) => {
        const isLast = index === last;
        const isElse = branch.else !== undefined && branch.if === undefined && branch.steps === undefined;
        const isBranch = branch.else === undefined && branch.if !== undefined && branch.steps !== undefined;
        if (isLast ? isElse : isBranch) return;
        const message = isLast ? 'The last branch must be "else".' : 'A branch is an "if" and its "steps".';
        const hint = isLast
          ? "Add - else: [ … ]; with nothing to do, else: []."
          : "Write - if: CONDITION, below it steps: [ … ]; `else` comes last, alone.";
        report([...at, "choose", index], { code: "WP109", message, hint });
      });
      return;
    }
    case "parallel":
      if (Object.keys(step.form.parallel).length < 2) {
        report(
          [...at, "parallel"],
          {
            code: "WP109",
            message: "Parallel needs two branches at least.",
            hint: "Put the steps of a single one into the list itself.",
          },
          { at: "key" },
        );
      }
      return;
    default:
      return;
  }
}
