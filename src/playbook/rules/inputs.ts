import type { Rule } from "../context.js";

/** `merge` and `enroll.with` name declared inputs (WP214), whose defaults have the declared type (WP103). */
export const inputs: Rule = ({ draft, report }) => {
  const { inputs: declared, enroll } = draft.head;
  if (!declared) return;
  const names = Object.keys(declared);
  for (const [name, { type, default: value }] of Object.entries(declared)) {
    if (value === undefined || typeof value === type || draft.isMended(["inputs", name, "type"])) continue;
    const message = `The default of "${name}" is not a ${type}.`;
    report(["inputs", name, "default"], { code: "WP103", message, hint: "Change the default or the type." });
  }
  for (const key of ["merge", "with"] as const) {
    for (const name of Object.keys(enroll?.[key] ?? {})) {
      if (names.includes(name)) continue;
      const hint = names.length === 0 ? "Declare it at the top: inputs: { … }." : `Declared are: ${names.join(", ")}.`;
      report(["enroll", key, name], { code: "WP214", message: `There is no input "${name}".`, hint }, { at: "key" });
    }
  }
};
