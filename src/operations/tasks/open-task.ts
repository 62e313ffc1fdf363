import type { Assignment } from "../../customers/people.js";
import type { DueItem } from "../../ports/due.js";
import type { Task } from "../../ports/tasks.js";
import type { Tx } from "../../ports/transactions.js";
import { addDuration } from "../../values/add-duration.js";
import type { Calendar } from "../../values/calendar.js";
import type { Duration } from "../../values/duration.js";
import type { Instant } from "../../values/instant.js";
import { deliveryId } from "../delivery-id.js";
import { putNotices } from "../outbox.js";
import type { DeskPorts } from "../perform-ports.js";
import { alarmPrefix, taskMessageKey } from "./task-keys.js";

/** A task to open, its texts filled in and its assignee found. */
export interface TaskToOpen
  extends Pick<
    Task,
    | "effectKey"
    | "runId"
    | "step"
    | "key"
    | "accountId"
    | "title"
    | "text"
    | "for"
    | "required"
    | "escalate"
    | "snoozeLimit"
    | "ask"
    | "outcomes"
  > {
  readonly assignee: Assignment;
  /** The assignee's, or for a queue the account's. */
  readonly zone: string;
  readonly calendar: Calendar;
  readonly due: Duration;
  /** From due, negative before. */
  readonly remind: readonly Duration[];
  /** When the run opened it: what facts go by. */
  readonly at: Instant;
  /** What `due` is counted from: a task that was opened late is due later. */
  readonly now: Instant;
  /** Whether the run listens to `tasks.…`. */
  readonly tellsRun: boolean;
  /** Where a task shows that has no assignee. */
  readonly unassignedChannel: string;
}

/**
 * Opens the task, arms its reminders and its ladder and puts its Slack message into the outbox: all in the caller's transaction, which holds the
 * account's lock. Opening the same effect's task again returns the one that is there, as it is.
 */
export async function openTask(ports: DeskPorts, tx: Tx, order: TaskToOpen): Promise<Task> {
  const { assignee, zone, calendar } = order;
  const id = deliveryId(order.effectKey);
  const task: Task = {
    id,
    effectKey: order.effectKey,
    runId: order.runId,
    step: order.step,
    key: order.key,
    accountId: order.accountId,
    title: order.title,
    text: order.text,
    assigneeId: assignee.kind === "person" ? assignee.person.id : null,
    queue: assignee.kind === "queue" ? assignee.queue : null,
    coveredForId: assignee.kind === "person" ? (assignee.coveredFor?.id ?? null) : null,
    for: order.for,
    required: order.required,
    status: "open",
    openedAt: order.at,
    dueAt: addDuration(order.now, order.due, zone, calendar),
    snoozedUntil: null,
    snoozes: 0,
    snoozeLimit: order.snoozeLimit,
    ask: order.ask,
    outcomes: order.outcomes,
    escalate: order.escalate,
    escalated: 0,
    outcome: null,
    note: null,
    closedBy: null,
    closedAt: null,
    revision: 1,
  };
  if (!(await ports.tasks.open(tx, task))) {
    const known = await ports.tasks.ofEffect(tx, order.effectKey);
    if (!known) throw new Error(`task ${id}: its effect has another id`);
    return known;
  }
  await ports.store.due.arm(tx, taskAlarms(task, order.remind, zone, calendar));
  const to = task.assigneeId === null ? { channel: order.unassignedChannel } : { person: { id: task.assigneeId } };
  await putNotices(ports, tx, [{ key: taskMessageKey(id), to, accountId: task.accountId, at: order.at }]);
  if (order.tellsRun) {
    const event = {
      id: `${order.effectKey}|opened`,
      name: "facts.changed",
      at: order.at,
      accountId: task.accountId,
      runId: task.runId,
      changed: ["tasks.open", "tasks.required_open"],
      source: "run",
    };
    await ports.store.events.append(tx, [event], ports.clock.now());
  }
  return task;
}

/** Reminders and rungs of the ladder, from due, in the zone and calendar that the due date was made in. */
export function taskAlarms(
  task: Pick<Task, "id" | "accountId" | "dueAt" | "escalate" | "escalated">,
  remind: readonly Duration[],
  zone: string,
  calendar: Calendar,
): DueItem[] {
  const at = (offset: Duration): Instant => addDuration(task.dueAt, offset, zone, calendar);
  return [
    ...remind.map(
      (offset, index): DueItem => ({
        id: `${alarmPrefix(task.id)}remind|${index}`,
        kind: "task_remind",
        at: at(offset),
        accountId: task.accountId,
        payload: { task: task.id, index, offset },
      }),
    ),
    ...task.escalate.slice(task.escalated).map(
      ({ after }, index): DueItem => ({
        id: `${alarmPrefix(task.id)}escalate|${task.escalated + index}`,
        kind: "task_escalate",
        at: at(after),
        accountId: task.accountId,
        payload: { task: task.id, rung: task.escalated + index },
      }),
    ),
  ];
}
