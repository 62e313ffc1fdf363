import type { Command, Outcome } from "../../engine/command.js";
import { evaluate } from "../../expression/evaluate.js";
import { references } from "../../expression/references.js";
import { personFor } from "../../customers/people.js";
import { addDuration } from "../../values/add-duration.js";
import type { Calendar } from "../../values/calendar.js";
import { resolveTimeRule } from "../../values/time-rule.js";
import type { Scene } from "../scene.js";

/** Facts as of the run's instant. */
export async function performRead(scene: Scene, command: Extract<Command, { kind: "read" }>): Promise<Outcome> {
  return { kind: "read", at: scene.at, facts: await scene.facts(command.facts) };
}

/** When a wait is over: by the account's zone, and whose calendar the plan says. */
export async function performResolve(scene: Scene, command: Extract<Command, { kind: "resolve" }>): Promise<Outcome> {
  const { zone, calendar } = await workingTime(scene);
  return { kind: "resolved", at: resolveTimeRule(command.rule, command.from, zone, calendar) };
}

/** The date as it is known now, and the offset from it; without `at` if there is none. A day without a time means `policy.dates_at`. */
export async function performResolveDate(
  scene: Scene,
  command: Extract<Command, { kind: "resolve_date" }>,
): Promise<Outcome> {
  const { zone, calendar } = await workingTime(scene);
  const { date: expression, offset } = command;
  if (expression.op === "fact") {
    const found = await scene.ports.store.facts.readDate(scene.subject(), expression.path, scene.at);
    if (!found) return { kind: "resolved" };
    if ("date" in found) {
      const time = (await scene.policy()).datesAt;
      const rule = { kind: "date", date: found.date, time, ...(offset && { offset }) } as const;
      return { kind: "resolved", at: resolveTimeRule(rule, scene.at, found.zone, calendar) };
    }
    return { kind: "resolved", at: offset ? addDuration(found.at, offset, zone, calendar) : found.at };
  }
  const facts = await scene.facts(references(expression).filter((path) => path !== "now"));
  const value = evaluate(expression, (path) => (path === "now" ? scene.at : facts[path]));
  if (typeof value !== "number") return { kind: "resolved" };
  return { kind: "resolved", at: offset ? addDuration(value, offset, zone, calendar) : value };
}

/** The zone is the account's, and the CSM's with their calendar. Who has no CSM waits by the customer's. */
async function workingTime(scene: Scene): Promise<{ zone: string; calendar: Calendar }> {
  const account = await scene.account();
  if (scene.plan.calendar === "csm") {
    const csm = personFor({ kind: "csm" }, account, await scene.directory());
    if (csm) return { zone: csm.timezone, calendar: await scene.calendar(csm.calendar) };
  }
  const isNamed = scene.plan.calendar !== "csm" && scene.plan.calendar !== "customer";
  const calendar = isNamed ? await scene.calendar(scene.plan.calendar) : await scene.customerCalendar();
  return { zone: account.timezone, calendar };
}
