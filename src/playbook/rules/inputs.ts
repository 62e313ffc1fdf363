import type { Rule } from "../context.js";

/**
 * `merge` and `enroll.with` name declared inputs (WP214), whose defaults have the declared type (WP103). What has no default is given by
 * `enroll.with` where something other than a person enrols (WP214).
 */
export const inputs: Rule = ({ draft, report }) => {
  const { inputs: declared, enroll } = draft.head;
  if (!declared) return;
  const names = Object.keys(declared);
  for (const [name, { type, default: value }] of Object.entries(declared)) {
    if (value === undefined || typeof value === type || draft.isMended(["inputs", name, "type"])) continue;
    const message = `The default of "${name}" is not a ${type}.`;
    report(["inputs", name, "default"], { code: "WP103", message, hint: "Change the default or the type." });
  }
  const byItself = draft.triggers.find(({ kind }) => kind !== "manual");
  for (const [name, { default: value }] of Object.entries(declared)) {
    const isGiven = Object.hasOwn(enroll?.with ?? {}, name) || draft.isMended(["enroll", "with"]);
    if (!byItself || !enroll || value !== undefined || isGiven || draft.isMended(["inputs", name])) continue;
    const message = `This trigger doesn't give the input "${name}", which has no default: it could enrol nobody.`;
    const hint = `Add with: { ${name}: … } to "enroll", or give the input a default.`;
    report([...byItself.at, byItself.kind], { code: "WP214", message, hint }, { at: "key" });
  }
  for (const key of ["merge", "with"] as const) {
    for (const name of Object.keys(enroll?.[key] ?? {})) {
      if (names.includes(name)) continue;
      const hint = names.length === 0 ? "Declare it at the top: inputs: { … }." : `Declared are: ${names.join(", ")}.`;
      report(["enroll", key, name], { code: "WP214", message: `There is no input "${name}".`, hint }, { at: "key" });
    }
  }
};
