import type { Rule } from "../context.js";
import { allSteps } from "../read-playbook.js";

/** The playbook is called as its folder (WP215), and `play` and `pauses` name others that exist (WP206), with inputs they declare (WP214). */
export const playbooks: Rule = ({ draft, folder, names, playbooks: others, known, report }) => {
  const name = draft.head.playbook;
  if (name !== undefined && name !== folder) {
    const message = `The playbook "${name}" stands in the folder "${folder}".`;
    report(["playbook"], { code: "WP215", message, hint: "Give both the same name." });
  }
  draft.head.pauses?.forEach((paused, index) => {
    const isKnown = known(["pauses", index], "WP206", "playbook", paused, names);
    if (isKnown && paused === folder) {
      report(["pauses", index], { code: "WP206", message: "A playbook can't pause itself.", hint: "Remove it." });
    }
  });
  for (const step of allSteps(draft)) {
    if (step.kind !== "play") continue;
    const { playbook, with: given } = step.form.play;
    const at = [...step.at, "play"];
    if (!known([...at, "playbook"], "WP206", "playbook", playbook, names)) continue;
    const other = others.get(playbook);
    const target = other?.head;
    const inputs = target?.inputs;
    if (!other || !target || !inputs) continue;
    for (const input of Object.keys(given)) {
      if (Object.hasOwn(inputs, input)) continue;
      const known = Object.keys(inputs);
      const hint = known.length === 0 ? "It has no inputs." : `Its inputs are: ${known.join(", ")}.`;
      report(
        [...at, "with", input],
        { code: "WP214", message: `${playbook} has no input "${input}".`, hint },
        { at: "key" },
      );
    }
    const missing = Object.entries(inputs).filter(
      ([input, { default: value }]) =>
        value === undefined && !Object.hasOwn(given, input) && !other.isMended(["inputs", input, "default"]),
    );
    for (const [input] of missing) {
      const message = `${playbook} needs the input "${input}", which has no default.`;
      report([...at, "with"], { code: "WP214", message, hint: `Add with: { ${input}: … }.` }, { at: "key" });
    }
    if (target.subject === "contact" && draft.head.subject === "account") {
      const message = `${playbook} is about a contact, and this playbook about an account: it wouldn't know which contact.`;
      report([...at, "playbook"], { code: "WP206", message, hint: "Only a playbook about a contact can start it." });
    }
  }
};
