import type { Duration } from "../../values/duration.js";
import type { Rule } from "../context.js";
import { allSteps } from "../read-playbook.js";
import type { YamlPath } from "../read-yaml.js";

/** What people choose from stands in a list once (WP216), and each rung of an escalation comes after the one before it (WP504). */
export const lists: Rule = ({ draft, report }) => {
  const once = (names: readonly string[], what: string, at: YamlPath) => {
    names.forEach((name, index) => {
      if (names.indexOf(name) === index || draft.isMended([...at, index])) return;
      report([...at, index], { code: "WP216", message: `The ${what} "${name}" stands twice.`, hint: "Remove one." });
    });
  };
  for (const step of allSteps(draft)) {
    if (step.kind === "slack") once(step.form.slack.actions, "action", [...step.at, "slack", "actions"]);
    if (step.kind !== "task") continue;
    const at = [...step.at, "task"];
    const { outcomes, escalate } = step.form.task;
    once(outcomes, "outcome", [...at, "outcomes"]);
    escalate.forEach(({ after }, index) => {
      const before = escalate[index - 1]?.after;
      const isMended = [index, index - 1].some((each) => draft.isMended([...at, "escalate", each, "after"]));
      if (before === undefined || isMended || !isSurelyNotLater(after, before)) return;
      const message = "This comes no later than the rung before it.";
      const hint = "Each `after` counts from the due date: let them ascend.";
      report([...at, "escalate", index, "after"], { code: "WP504", message, hint });
    });
  }
};

/** Whether the one comes no later than the other, whatever calendar counts the working days. */
function isSurelyNotLater(one: Duration, other: Duration): boolean {
  if (one.unit === other.unit) return one.amount <= other.amount;
  return daysOf(one).most <= daysOf(other).least;
}

/** How many days a duration is at least and at most; working days may have weekends and any holidays between them. */
function daysOf({ amount, unit }: Duration): { least: number; most: number } {
  const [least, most] = DAYS[unit];
  return { least: amount * least, most: amount === 0 ? 0 : amount * most };
}

const DAYS: Readonly<Record<Duration["unit"], readonly [number, number]>> = {
  s: [1 / 86_400, 1 / 86_400],
  m: [1 / 1_440, 1 / 1_440],
  h: [1 / 24, 1 / 24],
  d: [1, 1],
  w: [7, 7],
  mo: [28, 31],
  y: [365, 366],
  bd: [1, Number.POSITIVE_INFINITY],
};
