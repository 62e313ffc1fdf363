import type { SlackBody, TaskCard } from "../../ports/composer.js";
import type { FactValue } from "../../expression/expression.js";
import type { Task } from "../../ports/tasks.js";
import { formatDuration } from "../../values/duration.js";
import type { DeskPorts } from "../perform-ports.js";
import { readPolicy } from "../scene.js";
import { taskMessageKey, taskOfMessage } from "./task-keys.js";

/** What the message behind a ledger key of a task shows now; undefined if it was closed before it was ever posted, or isn't there. */
export async function taskBody(ports: DeskPorts, ledgerKey: string): Promise<SlackBody | undefined> {
  const id = taskOfMessage(ledgerKey);
  const task = id === undefined ? undefined : await ports.store.read((tx) => ports.tasks.read(tx, id));
  if (!task || task.status !== "open") return undefined;
  return ports.composer.task(await taskCard(ports, task));
}

/** Re-renders the task's messages (one for each assignee it has had) after a change. Never throws: the next change renders them again, and a click on a stale one does too. */
export async function showTask(ports: DeskPorts, task: Task): Promise<void> {
  try {
    const rows = await ports.store.read((tx) => ports.ledger.ofEffect(tx, null, taskMessageKey(task.id)));
    const posted = rows.flatMap(({ slackChannel: channel, slackTs: ts }) => (channel && ts ? [{ channel, ts }] : []));
    if (posted.length === 0) return;
    const body = ports.composer.task(await taskCard(ports, task));
    for (const { channel, ts } of posted) await ports.slack.update(channel, ts, body);
  } catch (error) {
    ports.onFault?.(`message of task ${task.id}`, error);
  }
}

/** The task with what its assignee wants to see beside it. */
export async function taskCard(ports: DeskPorts, task: Task): Promise<TaskCard> {
  const { store, people, clock } = ports;
  const { account, directory, policy, run, plan } = await store.read(async (tx) => {
    const run = await store.runs.get(tx, task.runId);
    return {
      account: await people.account(tx, task.accountId),
      directory: await people.directory(tx),
      policy: await readPolicy(ports, tx),
      run,
      plan: run && (await store.playbooks.plan(tx, run.hash)),
    };
  });
  const facts = await store.facts.read({ accountId: task.accountId }, CARD_FACTS, clock.now());
  const assignee = directory.colleagues.get(task.assigneeId ?? "");
  const coveredFor = directory.colleagues.get(task.coveredForId ?? "")?.name;
  const closedBy =
    task.closedBy === null ? undefined : (directory.colleagues.get(task.closedBy)?.name ?? task.closedBy);
  return {
    id: task.id,
    revision: task.revision,
    title: task.title,
    status: task.status,
    required: task.required,
    due: task.dueAt,
    timezone: assignee?.timezone ?? account?.timezone ?? "UTC",
    locale: assignee?.locale ?? policy.company.defaultLocale,
    snoozesLeft: Math.max(0, task.snoozeLimit - task.snoozes),
    snoozeOptions: policy.tasks.snooze.options.map(formatDuration),
    outcomes: task.outcomes,
    escalated: task.escalated,
    account: {
      id: task.accountId,
      name: account?.name ?? task.accountId,
      ...numberOf("arr", facts["account.arr"]),
      ...numberOf("healthScore", facts["health.score"]),
      ...numberOf("healthChange7d", facts["health.change_7d"]),
      ...(typeof facts["health.status"] === "string" && { healthStatus: facts["health.status"] }),
    },
    playbook: run?.playbook ?? "",
    playbookTitle: plan?.title,
    run: task.runId,
    step: task.step,
    ...(task.text !== null && { text: task.text }),
    ...(assignee && {
      assignee: {
        id: assignee.id,
        name: assignee.name,
        ...(assignee.slackUserId && { slackUserId: assignee.slackUserId }),
      },
    }),
    ...(task.queue !== null && { queue: task.queue }),
    ...(coveredFor !== undefined && { coveredFor }),
    ...(task.snoozedUntil !== null && { snoozedUntil: task.snoozedUntil }),
    ...(task.ask !== null && { ask: task.ask }),
    ...(task.outcome !== null && { outcome: task.outcome }),
    ...(task.note !== null && { note: task.note }),
    ...(closedBy !== undefined && { closedBy }),
  };
}

const CARD_FACTS = ["account.arr", "health.score", "health.status", "health.change_7d"];

function numberOf<K extends string>(name: K, value: FactValue | undefined): { [key in K]?: number } {
  return typeof value === "number" ? ({ [name]: value } as { [key in K]: number }) : {};
}
