import { deliveryId } from "../operations/delivery-id.js";
import { taskMessageKey } from "../operations/tasks/task-keys.js";
import type { ApiEntry, ApiRun, ApiTask } from "./demo-api.js";
import type { Desk } from "./desk.js";
import type { Mailbox } from "./mailbox.js";

type Counts = Record<string, number>;

/** What a demo ends with, as `--json` prints it. */
export interface DemoSummary {
  ok: boolean;
  /** Messages that reached somebody more often than the timelines say. */
  duplicated: number;
  /** Messages that the timelines say were sent and nobody got. */
  lost: number;
  /** Playbook → outcome, or the status of what still runs → runs. */
  runs: Record<string, Counts>;
  emails: {
    sent: number;
    /** Template → locale → mails, as the mailbox has them. */
    byTemplate: Readonly<Record<string, Readonly<Record<string, number>>>>;
    deferred: Counts;
    skipped: Counts;
    refused: number;
    unsubscribed: number;
  };
  tasks: {
    opened: number;
    done: number;
    skipped: number;
    cancelled: number;
    open: number;
    overdue: number;
    escalated: number;
    covered: number;
    snoozed: number;
  };
  slack: {
    posts: number;
    nudges: number;
    tasks: number;
    others: number;
    /** Tasks whose message was still in the outbox in the end. */
    underWay: number;
    interactions: number;
    failed: number;
  };
  /** `from → to` → how often; and how the accounts stand in the end. */
  health: { changes: Counts; now: Counts };
  /** What is not as it should be, in sentences. */
  problems: string[];
}

/** What a message of the ledger was for: what joins mailbox and desk to the timelines. */
export interface LedgerMessage {
  readonly id: string;
  readonly channel: "email" | "slack";
  /** null: of no run (a task's own message, a reminder, a digest). */
  readonly run: string | null;
  readonly step: string;
  /** Of mails. */
  readonly contact: string | null;
  readonly status: string;
}

export interface ReportInput {
  readonly runs: readonly ApiRun[];
  readonly timelines: ReadonlyMap<string, readonly ApiEntry[]>;
  readonly tasks: readonly ApiTask[];
  readonly messages: readonly LedgerMessage[];
  readonly mailbox: Mailbox;
  readonly desk: Desk;
  /** Status before and after, of each change of an account's health. */
  readonly healthChanges: readonly { readonly from: string; readonly to: string }[];
  readonly healthNow: Readonly<Counts>;
}

/** Counts the whole, and holds what arrived against what the timelines say was sent. */
export function reportOf(given: ReportInput): DemoSummary {
  const repeats: string[] = [];
  const timelines = new Map([...given.timelines].map(([run, entries]) => [run, onceEach(run, entries, repeats)]));
  const input = { ...given, timelines };
  const { runs, tasks, mailbox, desk } = input;
  const summary: DemoSummary = {
    ok: false,
    duplicated: 0,
    lost: 0,
    runs: {},
    emails: {
      sent: 0,
      byTemplate: mailbox.stats().byTemplate,
      deferred: {},
      skipped: {},
      refused: mailbox.stats().refused,
      unsubscribed: 0,
    },
    tasks: {
      opened: tasks.length,
      done: 0,
      skipped: 0,
      cancelled: 0,
      open: 0,
      overdue: 0,
      escalated: 0,
      covered: 0,
      snoozed: 0,
    },
    slack: {
      posts: desk.stats().posts,
      nudges: 0,
      tasks: 0,
      others: 0,
      underWay: 0,
      interactions: desk.stats().interactions,
      failed: desk.stats().interactionsFailed,
    },
    health: { changes: {}, now: { ...input.healthNow } },
    problems: repeats,
  };
  for (const run of runs) {
    const row = (summary.runs[run.playbook] ??= {});
    add(
      row,
      run.outcome ??
        (run.status === "parked" ? "needs attention" : run.status === "held" ? "(held)" : "(still running)"),
    );
    if (run.status === "parked")
      summary.problems.push(`${run.id} needs attention at ${run.parked?.step}: ${run.parked?.reason}`);
  }
  for (const { from, to } of input.healthChanges) add(summary.health.changes, `${from} → ${to}`);
  countTasks(tasks, summary);
  countMails(input, summary);
  countPosts(input, summary);
  for (const entries of timelines.values()) {
    for (const { kind, detail } of entries) {
      if (kind === "email.deferred") add(summary.emails.deferred, String(detail["reason"] ?? "?"));
      if (kind === "email.skipped") add(summary.emails.skipped, String(detail["reason"] ?? "?"));
    }
  }
  return summary;
}

/** Nobody gets the same mail of the same step at the same instant twice: a line that is there again tells of nothing new. */
function onceEach(run: string, entries: readonly ApiEntry[], repeats: string[]): ApiEntry[] {
  const seen = new Set<string>();
  return entries.filter(({ at, kind, step, key, detail }) => {
    const line = JSON.stringify([at, kind, step, key, detail]);
    if (kind === "email.sent" && seen.has(line))
      repeats.push(`the timeline of ${run} says "${step}" was sent at ${at} twice`);
    const isNew = !seen.has(line);
    seen.add(line);
    return isNew;
  });
}

function countTasks(tasks: readonly ApiTask[], { tasks: counts }: DemoSummary): void {
  for (const task of tasks) {
    if (task.status === "done") counts.done += 1;
    else if (task.status === "skipped") counts.skipped += 1;
    else if (task.status === "cancelled") counts.cancelled += 1;
    else counts.open += 1;
    if (task.closedAt !== null && task.status !== "cancelled" && task.closedAt > task.dueAt) counts.overdue += 1;
    if (task.escalated > 0) counts.escalated += 1;
    if (task.coveredFor !== null) counts.covered += 1;
    if (task.snoozes > 0) counts.snoozed += 1;
  }
}

/** Run, step and person: so often by the timelines, so often in the mailbox. */
function countMails({ timelines, messages, mailbox }: ReportInput, summary: DemoSummary): void {
  const expected: Counts = {};
  for (const [run, entries] of timelines) {
    for (const { kind, step, detail } of entries) {
      if (kind === "email.sent") add(expected, `${run} ${step} ${String(detail["to"])}`);
      // Whether these arrived is not known: they may be there or not.
      if (kind === "email.unknown") expected[`? ${run} ${step} ${String(detail["to"])}`] = 1;
    }
  }
  const arrivals = new Map<string, number>();
  for (const message of mailbox.messages()) {
    const id = message.deliveryId ?? message.messageId;
    arrivals.set(id, Math.max(arrivals.get(id) ?? 0, mailbox.count(message.messageId)));
  }
  const places = new Map(
    messages
      .filter((one) => one.channel === "email")
      .map((mail) => [mail.id, `${mail.run} ${mail.step} ${mail.contact}`]),
  );
  const got: Counts = {};
  for (const [id, count] of arrivals) {
    summary.emails.sent += 1;
    if (count > 1) tell(summary, "duplicated", count - 1, `mail ${id} arrived ${count} times`);
    const place = places.get(id);
    if (place === undefined) tell(summary, "duplicated", 1, `mail ${id} is in the mailbox and not in the ledger`);
    else add(got, place);
  }
  for (const place of new Set([...Object.keys(expected), ...Object.keys(got)])) {
    if (place.startsWith("? ")) continue;
    const [wanted, there] = [expected[place] ?? 0, got[place] ?? 0];
    if (there < wanted)
      tell(summary, "lost", wanted - there, `${place}: ${wanted} by the timeline, ${there} in the mailbox`);
    if (there > wanted && expected[`? ${place}`] === undefined)
      tell(summary, "duplicated", there - wanted, `${place}: ${there} in the mailbox, ${wanted} by the timeline`);
  }
}

/** Nudges by the timelines against the desk, tasks by their own message; nothing may be there twice. */
function countPosts({ timelines, messages, tasks, desk }: ReportInput, summary: DemoSummary): void {
  const { slack } = summary;
  summary.duplicated += desk.stats().duplicated;
  if (desk.stats().duplicated > 0) summary.problems.push(`${desk.stats().duplicated} Slack messages were posted twice`);
  const expected: Counts = {};
  for (const [run, entries] of timelines)
    for (const { kind, step } of entries) if (kind === "slack.posted") add(expected, `${run} ${step}`);
  const got: Counts = {};
  for (const { id, channel, run, step } of messages)
    if (channel === "slack" && run !== null && desk.count(id) > 0) add(got, `${run} ${step}`);
  for (const place of new Set([...Object.keys(expected), ...Object.keys(got)])) {
    const [wanted, there] = [expected[place] ?? 0, got[place] ?? 0];
    slack.nudges += there;
    if (there < wanted)
      tell(summary, "lost", wanted - there, `${place}: ${wanted} nudges by the timeline, ${there} on the desk`);
    if (there > wanted)
      tell(summary, "duplicated", there - wanted, `${place}: ${there} nudges on the desk, ${wanted} by the timeline`);
  }
  const ledger = new Map(messages.map((message) => [message.id, message.status]));
  for (const task of tasks) {
    const id = deliveryId(taskMessageKey(task.id));
    const status = ledger.get(id);
    if (desk.count(id) > 0) slack.tasks += 1;
    else if (status === "sent") tell(summary, "lost", 1, `task ${task.id} (${task.step}) is not on the desk`);
    else if (status === undefined) tell(summary, "lost", 1, `task ${task.id} (${task.step}) has no message`);
    // What was closed before anybody could see it needs none any more; the rest was on its way when the worker stopped.
    else if (status !== "skipped") slack.underWay += 1;
  }
  slack.others = slack.posts - slack.nudges - slack.tasks;
}

function tell(summary: DemoSummary, what: "duplicated" | "lost", count: number, problem: string): void {
  summary[what] += count;
  summary.problems.push(`${what}: ${problem}`);
}

function add(counts: Counts, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

/** The summary for people. */
export function summaryText(summary: DemoSummary): string {
  const counts = (map: Readonly<Counts>) =>
    Object.entries(map)
      .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
      .map(([name, count]) => `${name} ${count}`)
      .join(", ") || "none";
  const { emails, tasks, slack, health } = summary;
  const templates = Object.entries(emails.byTemplate).map(
    ([template, locales]) => `    ${template.padEnd(40)} ${counts(locales)}`,
  );
  return [
    "Runs",
    ...Object.entries(summary.runs).map(([playbook, outcomes]) => `  ${playbook.padEnd(24)} ${counts(outcomes)}`),
    `E-mails  ${emails.sent} sent, ${emails.refused} refused by the server`,
    ...templates,
    `  deferred  ${counts(emails.deferred)}`,
    `  skipped   ${counts(emails.skipped)}`,
    `Tasks    ${tasks.opened} opened: ${tasks.done} done, ${tasks.skipped} skipped, ${tasks.cancelled} cancelled, ${tasks.open} open; ${tasks.overdue} closed late, ${tasks.escalated} escalated, ${tasks.covered} covered, ${tasks.snoozed} snoozed`,
    `Slack    ${slack.posts} posts: ${slack.nudges} nudges, ${slack.tasks} tasks, ${slack.others} reminders, escalations and digests; ${slack.interactions} interactions, ${slack.failed} failed`,
    `Health   ${counts(health.changes)}; now ${counts(health.now)}`,
    `Duplicated ${summary.duplicated}, lost ${summary.lost}`,
    ...summary.problems.slice(0, 20).map((problem) => `  ! ${problem}`),
    ...(summary.problems.length > 20 ? [`  ! and ${summary.problems.length - 20} more`] : []),
  ].join("\n");
}
