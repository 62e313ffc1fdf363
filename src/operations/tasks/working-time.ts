import type { Directory } from "../../customers/people.js";
import type { Task } from "../../ports/tasks.js";
import type { Tx } from "../../ports/transactions.js";
import type { Calendar } from "../../values/calendar.js";
import type { DeskPorts } from "../perform-ports.js";
import { calendarNamed, customerCalendar, readCalendars } from "../calendars.js";

/** Whose hours a task goes by: its assignee's, or, while it is in a queue, the account's. */
export async function workingTimeOf(
  ports: Pick<DeskPorts, "store" | "people">,
  tx: Tx,
  task: Pick<Task, "assigneeId" | "accountId">,
  directory: Directory,
): Promise<{ zone: string; calendar: Calendar }> {
  const calendars = await readCalendars(ports.store, tx);
  const assignee = directory.colleagues.get(task.assigneeId ?? "");
  if (assignee) return { zone: assignee.timezone, calendar: calendarNamed(assignee.calendar, calendars) };
  const account = await ports.people.account(tx, task.accountId);
  return {
    zone: account?.timezone ?? "UTC",
    calendar: customerCalendar(account ?? { calendar: null, country: null }, calendars),
  };
}
