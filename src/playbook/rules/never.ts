import { parseCron } from "../../values/cron.js";
import type { Rule } from "../context.js";
import { allSteps } from "../read-playbook.js";
import { isAlwaysQuiet } from "../send-windows.js";

/** No trigger waits for a day that never comes, and no mail for a time that is always quiet (WP507). */
export const never: Rule = ({ draft, policy, calendars, report }) => {
  for (const trigger of draft.triggers) {
    if (trigger.kind !== "every") continue;
    const cron = parseCron(trigger.form.every.cron);
    if (cron === undefined || cron.anyDay) continue;
    if (cron.months.some((month) => cron.daysOfMonth.some((day) => day <= (LONGEST[month - 1] ?? 31)))) continue;
    const hint = "Such as 30 February. Write a day that every month has, or the first of the month: 0 9 1 * *.";
    report([...trigger.at, "every", "cron"], { code: "WP507", message: "This day never comes.", hint });
  }
  if (!policy || !calendars) return;
  const { quietHours } = policy.email;
  for (const step of allSteps(draft)) {
    if (step.kind !== "email") continue;
    const { send, category } = step.form.email;
    const keepsQuiet = Object.hasOwn(policy.categories, category) && policy.categories[category]?.keepsQuietHours;
    if (send === undefined || keepsQuiet !== true || !isAlwaysQuiet(send, quietHours, calendars)) continue;
    const hint = `Quiet hours are ${quietHours.from}-${quietHours.to} (policy.yaml): take another time, or a category without them.`;
    report([...step.at, "email", "send"], {
      code: "WP507",
      message: "This mail could never go: quiet hours hold then.",
      hint,
    });
  }
};

/** Days of each month, of February in a leap year. */
const LONGEST: readonly number[] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
