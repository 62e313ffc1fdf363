import type { Rule } from "../context.js";
import { allSteps, type StepKind } from "../read-playbook.js";

/** Effects and waits have an id (WP202), no two steps the same one (WP201), and none a word that paths are made of (WP107). */
export const stepIds: Rule = ({ draft, report }) => {
  const first = new Map<string, number>();
  for (const step of allSteps(draft)) {
    const { id, kind, at } = step;
    if (id === undefined) {
      if (!MAY_BE_NAMELESS.has(kind) && !draft.isMended([...at, "id"])) {
        const hint = `Add id: such as id: ${kind}_1. It is the key by which an effect is done once, and by which reports and tests name it.`;
        report(
          [...at, kind],
          { code: "WP202", message: `This step of kind "${kind}" has no id.`, hint },
          { at: "key" },
        );
      }
      continue;
    }
    const line = draft.yaml.problem([...at, "id"], { code: "", message: "" }).line;
    const before = first.get(id);
    if (before === undefined) first.set(id, line);
    else
      report([...at, "id"], {
        code: "WP201",
        message: `Another step is called "${id}" already.`,
        hint: `It stands on line ${before}; give each its own id.`,
      });
    if (RESERVED.has(id))
      report([...at, "id"], { code: "WP107", message: `A step can't be called "${id}".`, hint: "Take another name." });
  }
  for (const step of allSteps(draft)) {
    if (step.kind !== "parallel") continue;
    for (const { name, at } of step.bodies) {
      if (name !== "on_error" || at.at(-2) !== "parallel") continue;
      report(
        at,
        { code: "WP107", message: 'A branch can\'t be called "on_error".', hint: "Take another name." },
        { at: "key" },
      );
    }
  }
};

const MAY_BE_NAMELESS: ReadonlySet<StepKind> = new Set(["choose", "parallel", "repeat", "end"]);
const RESERVED = new Set(["on_exit", "on_error", "otherwise", "steps", "else"]);
