import { assigneeFor } from "../../customers/people.js";
import type { Command, Outcome } from "../../engine/command.js";
import { TextFault } from "../../ports/composer.js";
import { addDuration } from "../../values/add-duration.js";
import type { DeliveryRow } from "../../ports/ledger.js";
import { postNotice } from "../outbox.js";
import { type Effect, effectId, effectInClaim, type Scene } from "../scene.js";
import { openTask, taskAlarms } from "../tasks/open-task.js";
import { taskMessageKey } from "../tasks/task-keys.js";
import { showTask } from "../tasks/task-message.js";
import { filledText } from "../text-variables.js";

type TaskCommand = Extract<Command, { kind: "task" }>;

/** Opens the task for whom the rule leads to now (cover and fallback included), due in their working time. Its Slack message follows on its own. */
export async function performTask(scene: Scene, command: TaskCommand): Promise<Effect<Outcome>> {
  const { ports } = scene;
  const account = await scene.account();
  const policy = await scene.policy();
  const assignee = assigneeFor(command.for, account, await scene.directory(), scene.now(), policy.tasks.fallback);
  const person = assignee.kind === "person" ? assignee.person : undefined;
  const calendar = person ? await scene.calendar(person.calendar) : await scene.customerCalendar();
  const zone = person?.timezone ?? account.timezone;

  let title: string;
  let text: string | null;
  try {
    title = await filledText(scene, command.title, command.scope, "plain", person);
    text = command.text === undefined ? null : await filledText(scene, command.text, command.scope, "mrkdwn", person);
  } catch (error) {
    if (!(error instanceof TextFault)) throw error;
    return { kind: "outcome", outcome: { kind: "failed", at: scene.at, reason: error.message } };
  }

  const opened = await effectInClaim(scene, (tx) =>
    openTask(ports, tx, {
      effectKey: effectId(scene, command),
      runId: scene.run.id,
      step: command.step ?? command.path,
      key: command.key,
      accountId: account.id,
      title,
      text,
      for: command.for,
      assignee,
      zone,
      calendar,
      due: command.due,
      remind: command.remind,
      escalate: command.escalate,
      required: command.required,
      snoozeLimit: command.snoozeLimit,
      ask: command.ask ?? null,
      outcomes: command.outcomes,
      at: scene.at,
      now: scene.now(),
      tellsRun: scene.hears(["tasks.open", "tasks.required_open"]),
      unassignedChannel: policy.slack.unassignedChannel,
    }),
  );
  if (opened.kind !== "outcome") return opened;
  const task = opened.outcome;
  const isOnItsWay = await postTaskMessage(scene, task.id);
  // In played time days would pass meanwhile: whoever answers the message at once would be late.
  if (isOnItsWay && scene.ports.clock.scale !== 1) return { kind: "retry", afterMs: ON_ITS_WAY_MS };
  const outcome: Outcome = {
    kind: "task_opened",
    at: task.openedAt,
    task: task.id,
    assignee: task.assigneeId,
    due: task.dueAt,
  };
  return { kind: "outcome", outcome };
}

/** Real milliseconds until a message that is on its way is looked at again. */
const ON_ITS_WAY_MS = 100;

/** Posts it now if Slack answers in time; else the outbox does. The task is open either way. True: it has been claimed, and Slack has not answered yet. */
async function postTaskMessage(scene: Scene, taskId: string): Promise<boolean> {
  const { ports } = scene;
  const read = () => ports.store.read((tx) => ports.ledger.read(tx, taskMessageKey(taskId)));
  const row = await read();
  if (row?.status !== "pending") return isOnItsWay(row);
  try {
    await postNotice(ports, row, Math.min(scene.leftMs(), ports.settings.slackReplyMs));
  } catch (error) {
    ports.onFault?.(`message of task ${taskId}`, error);
  }
  return isOnItsWay(await read());
}

function isOnItsWay(row: DeliveryRow | undefined): boolean {
  return row?.status === "claimed" || row?.status === "wire";
}

/** Makes an open task due sooner; `task_opened` with the new instant if it did, `done` if it was due by then or is closed. */
export async function performTighten(
  scene: Scene,
  command: Extract<Command, { kind: "task_tighten" }>,
): Promise<Effect<Outcome>> {
  const { ports } = scene;
  const account = await scene.account();
  const directory = await scene.directory();
  const customers = await scene.customerCalendar();
  const before = await ports.store.read((tx) => ports.tasks.read(tx, command.task));
  const person = directory.colleagues.get(before?.assigneeId ?? "");
  const calendar = person ? await scene.calendar(person.calendar) : customers;
  const zone = person?.timezone ?? account.timezone;
  const dueAt = addDuration(scene.now(), command.due, zone, calendar);
  const tightened = await effectInClaim(scene, async (tx) => {
    const task = await ports.tasks.read(tx, command.task);
    if (task?.status !== "open" || task.dueAt <= dueAt) return undefined;
    const changed = await ports.tasks.change(tx, task.id, task.revision, { dueAt });
    if (!changed) throw new Error(`task ${task.id} changed under the account's lock`);
    const armed = await ports.store.due.withPrefix(tx, `task:${task.id}|remind|`, [task.accountId]);
    const remind = armed
      .filter(({ isDone }) => !isDone)
      .map(({ payload }) => payload.offset as { amount: number; unit: "bd" });
    await ports.store.due.disarm(
      tx,
      armed.map(({ id }) => id),
    );
    await ports.store.due.arm(tx, taskAlarms(changed, remind, zone, calendar));
    return changed;
  });
  if (tightened.kind !== "outcome") return tightened;
  const task = tightened.outcome;
  if (!task) return { kind: "outcome", outcome: { kind: "done", at: scene.at } };
  await showTask(ports, task);
  return {
    kind: "outcome",
    outcome: { kind: "task_opened", at: scene.at, task: task.id, assignee: task.assigneeId, due: task.dueAt },
  };
}
