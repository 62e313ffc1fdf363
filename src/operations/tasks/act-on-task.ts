import { coverFor, mayAct } from "../../customers/people.js";
import type { Task } from "../../ports/tasks.js";
import type { Tx } from "../../ports/transactions.js";
import { addDuration } from "../../values/add-duration.js";
import { type Duration, formatDuration } from "../../values/duration.js";
import type { Instant } from "../../values/instant.js";
import { postOutbox, putNotices } from "../outbox.js";
import type { DeskPorts } from "../perform-ports.js";
import { readPolicy } from "../scene.js";
import { changeTask } from "./change-task.js";
import { closeTaskWithin } from "./close-task.js";
import { alarmPrefix, taskMessageKey } from "./task-keys.js";
import { showTask } from "./task-message.js";
import { workingTimeOf } from "./working-time.js";

/** What a person does with a task. */
export type TaskAction =
  | { readonly kind: "complete"; readonly outcome?: string; readonly note?: string }
  | { readonly kind: "skip"; readonly reason: string }
  /** One of `policy.tasks.snooze.options`. */
  | { readonly kind: "snooze"; readonly for: Duration }
  /** To themselves: takes it from the queue. */
  | { readonly kind: "reassign"; readonly to: string }
  | { readonly kind: "note"; readonly note: string };

export interface TaskRequest {
  readonly task: string;
  /** A colleague; an admin (operator at the command line, API) may do everything, whoever they are. */
  readonly actor: { readonly id: string; readonly isAdmin?: boolean };
  /** What the person saw; absent: as it is now. */
  readonly revision?: number;
  readonly action: TaskAction;
}

export type TaskAnswer =
  | { readonly kind: "done"; readonly task: Task }
  /** It has changed since: nothing was done; show it as it is. */
  | { readonly kind: "stale"; readonly task: Task }
  | { readonly kind: "refused"; readonly reason: TaskRefusal; readonly message: string };

export type TaskRefusal =
  | "not_found"
  | "not_yours"
  | "closed"
  | "outcome_needed"
  | "outcome_unknown"
  | "note_needed"
  | "snooze_limit"
  | "snooze_option"
  | "unknown_person";

/** Longest note or reason, in characters. */
export const NOTE_MAX = 3_000;

/**
 * Does what a person asks of a task, if they may and it is still as they saw it; tells its run when it closes, and brings its Slack messages up to
 * date. Its due date is never moved by this: fixed when it was opened, kept when it is handed on. `alongside` (the audit) happens in the same
 * transaction, last; not at all if nothing was done.
 */
export async function actOnTask(
  ports: DeskPorts,
  request: TaskRequest,
  alongside?: (tx: Tx, task: Task) => Promise<void>,
): Promise<TaskAnswer> {
  const { store, tasks } = ports;
  const known = await store.read((tx) => tasks.read(tx, request.task));
  if (!known) return refused("not_found", `there is no task ${request.task}`);
  const answer = await store.transaction(async (tx) => {
    await store.lockAccounts(tx, [known.accountId]);
    const answer = await actWithin(ports, tx, request, ports.clock.now());
    if (answer.kind === "done") await alongside?.(tx, answer.task);
    return answer;
  });
  if (answer.kind === "done") await showTask(ports, answer.task);
  if (answer.kind === "done" && request.action.kind === "reassign") await postOutbox(ports);
  return answer;
}

async function actWithin(
  ports: DeskPorts,
  tx: Tx,
  { task: id, actor, revision, action }: TaskRequest,
  now: Instant,
): Promise<TaskAnswer> {
  const task = await ports.tasks.read(tx, id);
  if (!task) return refused("not_found", `there is no task ${id}`);
  const directory = await ports.people.directory(tx);
  if (actor.isAdmin !== true && !mayAct(actor.id, task, directory, now)) {
    return refused("not_yours", "only its assignee, their cover and their manager may do that");
  }
  if (revision !== undefined && revision !== task.revision) return { kind: "stale", task };
  if (task.status !== "open") return refused("closed", `the task is ${task.status} already`);

  switch (action.kind) {
    case "complete": {
      const outcome = action.outcome ?? null;
      const note = action.note?.trim().slice(0, NOTE_MAX) || task.note;
      if (task.ask === "outcome" && outcome === null)
        return refused("outcome_needed", `choose one of: ${task.outcomes.join(", ")}`);
      if (outcome !== null && task.outcomes.length > 0 && !task.outcomes.includes(outcome)) {
        return refused("outcome_unknown", `"${outcome}" is none of: ${task.outcomes.join(", ")}`);
      }
      if (task.ask === "note" && !note) return refused("note_needed", "say in a note how it went");
      return done(
        await closeTaskWithin(ports, tx, task, { status: "done", outcome, note, closedBy: actor.id, closedAt: now }),
      );
    }
    case "skip": {
      const reason = action.reason.trim().slice(0, NOTE_MAX);
      if (reason === "") return refused("note_needed", "say why it is skipped");
      return done(
        await closeTaskWithin(ports, tx, task, {
          status: "skipped",
          outcome: null,
          note: reason,
          closedBy: actor.id,
          closedAt: now,
        }),
      );
    }
    case "snooze": {
      const { options } = (await readPolicy(ports, tx)).tasks.snooze;
      if (!options.some(({ amount, unit }) => amount === action.for.amount && unit === action.for.unit)) {
        return refused("snooze_option", `choose one of: ${options.map(formatDuration).join(", ")}`);
      }
      if (task.snoozes >= task.snoozeLimit)
        return refused("snooze_limit", `it was snoozed ${task.snoozes} times, which is the limit`);
      const { zone, calendar } = await workingTimeOf(ports, tx, task, directory);
      const until = addDuration(now, action.for, zone, calendar);
      const snoozed = await changeTask(ports, tx, task, { snoozedUntil: until, snoozes: task.snoozes + 1 });
      const alarm = { kind: "task_snooze", at: until, accountId: task.accountId, payload: { task: task.id } } as const;
      await ports.store.due.arm(tx, [{ id: `${alarmPrefix(task.id)}snooze`, ...alarm }]);
      return done(snoozed);
    }
    case "reassign": {
      const chosen = directory.colleagues.get(action.to);
      if (!chosen?.isActive) return refused("unknown_person", "there is no such active colleague");
      return done(await giveTo(ports, tx, task, chosen.id, coverFor(chosen, directory, now).id, now));
    }
    case "note": {
      const note = action.note.trim().slice(0, NOTE_MAX);
      if (note === "") return refused("note_needed", "the note is empty");
      return done(
        await changeTask(ports, tx, task, { note: (task.note ? `${task.note}\n${note}` : note).slice(-NOTE_MAX) }),
      );
    }
  }
}

/** Gives the task to `assigneeId` (who may be `ownerId`'s cover), and a message about it into the outbox. In the caller's transaction. */
export async function giveTo(
  ports: DeskPorts,
  tx: Tx,
  task: Task,
  ownerId: string,
  assigneeId: string,
  at: Instant,
): Promise<Task> {
  const given = await changeTask(ports, tx, task, {
    assigneeId,
    queue: null,
    coveredForId: assigneeId === ownerId ? null : ownerId,
  });
  const about = taskMessageKey(task.id);
  const notice = {
    key: `${about}@${given.revision}`,
    about,
    to: { person: { id: assigneeId } },
    accountId: task.accountId,
    at,
  };
  await putNotices(ports, tx, [notice]);
  return given;
}

function done(task: Task): TaskAnswer {
  return { kind: "done", task };
}

function refused(reason: TaskRefusal, message: string): TaskAnswer {
  return { kind: "refused", reason, message };
}
