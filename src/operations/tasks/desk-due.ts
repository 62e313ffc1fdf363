import { absenceOf, assigneeFor, coverFor, type Directory } from "../../customers/people.js";
import type { DueItem } from "../../ports/due.js";
import type { Task } from "../../ports/tasks.js";
import type { Tx } from "../../ports/transactions.js";
import type { Instant } from "../../values/instant.js";
import { localDate, localParts } from "../../values/zone.js";
import { postSnoozed } from "../click-nudge.js";
import { deliveryId } from "../delivery-id.js";
import { sendMailAgain } from "../effects/email.js";
import { postOutbox, putNotices, type SlackTarget } from "../outbox.js";
import type { DeskPorts, PerformPorts } from "../perform-ports.js";
import type { DueHandlers } from "../poll-due.js";
import { readPolicy, sceneOf, sessionOf } from "../scene.js";
import { changeTask } from "./change-task.js";
import { giveTo } from "./act-on-task.js";
import { digestIsDue } from "./digest.js";
import { mailAgainId } from "./held-mail.js";
import { showTask } from "./task-message.js";

/** Handlers for `pollDue`, and what is to be done once it is through. */
export interface DeskDue {
  readonly handlers: DueHandlers;
  /** Brings the messages of tasks that changed up to date, and posts what was put into the outbox. Never throws for a Slack that is down. */
  finish(): Promise<void>;
}

/** Reminders, ladders, ends of snoozes, absences, digests, and mails that a person has sent again: `const due = deskDue(ports); await pollDue(ports, due.handlers, n); await due.finish()`. */
export function deskDue(ports: PerformPorts): DeskDue {
  const changed = new Set<string>();
  const again = new Set<string>();
  return {
    handlers: {
      task_remind: (_, tx, item) => onTask(tx, item, (task, directory) => remind(ports, tx, item, task, directory)),
      task_escalate: (_, tx, item) => onTask(tx, item, (task, directory) => escalate(ports, tx, item, task, directory)),
      task_snooze: (_, tx, item) => onTask(tx, item, (task, directory) => wake(ports, tx, item, task, directory)),
      absence: async (_, tx, item) => {
        for (const task of await handOver(ports, tx, String(item.payload.user), item.at)) changed.add(task);
        return "done";
      },
      digest: (_, tx, item) => digestIsDue(ports, tx, item),
      nudge_snooze: (_, tx, item) => postSnoozed(ports, tx, item),
      mail_again: async (_, tx, item) => {
        // Sent below, outside the transaction; due once more in case this process doesn't come to it.
        await ports.store.due.arm(tx, [{ ...item, at: ports.clock.now() + AGAIN_MS * ports.clock.scale }]);
        again.add(String(item.payload.key));
        return "kept";
      },
    },
    async finish() {
      const seen = [...changed];
      changed.clear();
      for (const id of seen) {
        const task = await ports.store.read((tx) => ports.tasks.read(tx, id));
        if (task) await showTask(ports, task);
      }
      await postOutbox(ports);
      for (const key of [...again]) {
        again.delete(key);
        await sendAgain(ports, key);
      }
    },
  };

  /** Only an open task reminds; a snoozed one does when it wakes. */
  async function onTask(
    tx: Tx,
    item: DueItem,
    work: (task: Task, directory: Directory) => Promise<void>,
  ): Promise<"done" | "kept"> {
    if (item.accountId !== undefined) await ports.store.lockAccounts(tx, [item.accountId]);
    const task = await ports.tasks.read(tx, String(item.payload.task));
    if (task?.status !== "open") return "done";
    if (item.kind !== "task_snooze" && task.snoozedUntil !== null && task.snoozedUntil > item.at) {
      await ports.store.due.arm(tx, [{ ...item, at: task.snoozedUntil }]);
      return "kept";
    }
    await work(task, await ports.people.directory(tx));
    changed.add(task.id);
    return "done";
  }
}

/** Real time in which a process has sent a mail again, or another one tries. */
const AGAIN_MS = 60_000;

/** Brings a mail that a person has sent again to its end, or arms the next attempt. Never throws: it stays due. */
async function sendAgain(ports: PerformPorts, key: string): Promise<void> {
  const { store, ledger, clock } = ports;
  try {
    const found = await store.read(async (tx) => {
      const row = await ledger.read(tx, key);
      const run = row?.runId ? await store.runs.get(tx, row.runId) : undefined;
      const plan = run && (await store.playbooks.plan(tx, run.hash));
      return (
        row &&
        run &&
        plan && { row, scene: sceneOf(sessionOf(ports, run, plan, { budgetMs: AGAIN_MS / 2 }), clock.now()) }
      );
    });
    const next = found && (await sendMailAgain(found.scene, found.row));
    const id = mailAgainId(key);
    await store.transaction(async (tx) => {
      if (!found || !next) return store.due.disarm(tx, [id]);
      const at = "until" in next ? next.until : clock.now() + next.afterMs * clock.scale;
      await store.due.arm(tx, [{ id, kind: "mail_again", at, accountId: found.scene.run.accountId, payload: { key } }]);
    });
  } catch (error) {
    ports.onFault?.(`delivery ${key}`, error);
  }
}

async function remind(ports: DeskPorts, tx: Tx, item: DueItem, task: Task, directory: Directory): Promise<void> {
  const isDue = task.dueAt <= item.at;
  await tell(ports, tx, task, directory, {
    key: item.id,
    to: await holderOf(ports, tx, task),
    text: (time) => `${isDue ? "Due now" : `Due ${time(task.dueAt)}`}: ${task.title}`,
    at: item.at,
  });
}

/** Tells the rung's person; the task stays whose it is. */
async function escalate(ports: DeskPorts, tx: Tx, item: DueItem, task: Task, directory: Directory): Promise<void> {
  const rung = Number(item.payload.rung);
  const rule = task.escalate[rung]?.to;
  if (!rule || task.escalated > rung) return;
  const policy = await readPolicy(ports, tx);
  const account = await ports.people.account(tx, task.accountId);
  const team = account ?? { csmId: null, roles: {} };
  let to: SlackTarget = { channel: policy.slack.unassignedChannel };
  if (rule.kind === "channel") to = { channel: rule.channel };
  else {
    const found = assigneeFor(rule, team, directory, item.at, policy.tasks.fallback);
    if (found.kind === "person") to = { person: found.person };
  }
  const holder = directory.colleagues.get(task.assigneeId ?? "")?.name ?? `the queue ${task.queue ?? ""}`;
  await changeTask(ports, tx, task, { escalated: rung + 1 });
  await tell(ports, tx, task, directory, {
    key: item.id,
    to,
    text: (time) =>
      `Overdue since ${time(task.dueAt)}: ${task.title} (${account?.name ?? task.accountId}), with ${holder}`,
    at: item.at,
  });
}

async function wake(ports: DeskPorts, tx: Tx, item: DueItem, task: Task, directory: Directory): Promise<void> {
  if (task.snoozedUntil === null || task.snoozedUntil > item.at) return;
  const awake = await changeTask(ports, tx, task, { snoozedUntil: null });
  await tell(ports, tx, awake, directory, {
    key: `${item.id}|${awake.snoozes}`,
    to: await holderOf(ports, tx, awake),
    text: () => `Snoozed until now: ${awake.title}`,
    at: item.at,
  });
}

/**
 * At either end of someone's absence: what they have, and what others have for them, goes to who is there now. Who leaves keeps what is due
 * only after their return. The ids of the tasks that changed hands.
 */
async function handOver(ports: DeskPorts, tx: Tx, userId: string, at: Instant): Promise<string[]> {
  const { tasks, people, store } = ports;
  const directory = await people.directory(tx);
  const theirs = async (): Promise<Task[]> => {
    const own = await tasks.list(tx, { assigneeId: userId, status: ["open"] });
    const covered = await tasks.list(tx, { coveredForId: userId, status: ["open"] });
    return [...new Map([...own, ...covered].map((task) => [task.id, task])).values()];
  };
  await store.lockAccounts(
    tx,
    (await theirs()).map(({ accountId }) => accountId),
  );
  const moved: string[] = [];
  for (const task of await theirs()) {
    const owner = directory.colleagues.get(task.coveredForId ?? task.assigneeId ?? "");
    if (!owner) continue;
    const away = absenceOf(owner.id, directory.absences, at);
    if (away && task.coveredForId === null && task.dueAt >= away.toAt) continue;
    const holder = coverFor(owner, directory, at);
    if (holder.id === task.assigneeId) continue;
    await giveTo(ports, tx, task, owner.id, holder.id, at);
    moved.push(task.id);
  }
  return moved;
}

async function holderOf(ports: DeskPorts, tx: Tx, task: Task): Promise<SlackTarget> {
  if (task.assigneeId !== null) return { person: { id: task.assigneeId } };
  return { channel: (await readPolicy(ports, tx)).slack.unassignedChannel };
}

async function tell(
  ports: DeskPorts,
  tx: Tx,
  task: Task,
  directory: Directory,
  message: { key: string; to: SlackTarget; text: (time: (at: Instant) => string) => string; at: Instant },
): Promise<void> {
  const account = await ports.people.account(tx, task.accountId);
  const run = await ports.store.runs.get(tx, task.runId);
  const reader = "person" in message.to ? directory.colleagues.get(message.to.person.id) : undefined;
  const body = ports.composer.nudge({
    deliveryId: deliveryId(message.key),
    text: message.text((at) => wallTime(at, reader?.timezone ?? account?.timezone ?? "UTC")),
    actions: ["open_account"],
    account: { id: task.accountId, name: account?.name ?? task.accountId },
    playbook: run?.playbook ?? "",
    playbookTitle: (run && (await ports.store.playbooks.plan(tx, run.hash)))?.title,
    run: task.runId,
    step: task.step,
  });
  await putNotices(ports, tx, [{ key: message.key, to: message.to, body, accountId: task.accountId, at: message.at }]);
}

/** An instant as the reader's wall clock shows it, `2026-03-04 10:00`: the same on every machine. */
function wallTime(at: Instant, zone: string): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const { h, mi } = localParts(at, zone);
  return `${localDate(at, zone)} ${two(h)}:${two(mi)}`;
}
