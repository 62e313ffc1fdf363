import type { Rule } from "../context.js";

/** `calendar` is `customer`, `csm` or one of calendars.yaml (WP209). */
export const calendars: Rule = ({ draft, calendars: declared, known }) => {
  const { calendar } = draft.head;
  if (calendar === undefined || !declared) return;
  known(["calendar"], "WP209", "calendar", calendar, ["customer", "csm", ...declared.map(({ name }) => name)]);
};
