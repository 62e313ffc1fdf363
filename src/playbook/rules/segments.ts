import type { Rule } from "../context.js";

/** `enters` and `leaves` name a segment of segments.yaml, and enrol accounts only, as `health` does (WP208). */
export const segments: Rule = ({ draft, segments: names, known, report }) => {
  for (const trigger of draft.triggers) {
    if (trigger.kind === "health" && draft.head.subject === "contact") {
      const message = "Health is an account's, and the subject of this playbook is a contact.";
      report([...trigger.at, "health"], {
        code: "WP208",
        message,
        hint: "Enrol contacts on an event, such as contact.added.",
      });
    }
    if (trigger.kind !== "enters" && trigger.kind !== "leaves") continue;
    const text = trigger.kind === "enters" ? trigger.form.enters : trigger.form.leaves;
    const at = [...trigger.at, trigger.kind];
    if (!text.startsWith("segment.")) {
      report(at, { code: "WP208", message: `"${text}" is no segment.`, hint: `Write ${trigger.kind}: segment.NAME.` });
    } else if (names) {
      known(
        at,
        "WP208",
        "segment",
        text,
        names.map((name) => `segment.${name}`),
      );
    }
    if (draft.head.subject === "contact") {
      const message = "A segment holds accounts, and the subject of this playbook is a contact.";
      report(at, { code: "WP208", message, hint: "Enrol contacts on an event, such as contact.added." });
    }
  }
};
