import type { WriteStream } from "node:tty";
import { innermostSteps } from "../engine/innermost-steps.js";
import { formatInstant, type Instant } from "../values/instant.js";
import type { ApiRun } from "./demo-api.js";
import type { DeskStats } from "./desk-workspace.js";
import type { MailboxStats } from "./mailbox-messages.js";

export interface Moment {
  readonly at: Instant;
  readonly runs: readonly ApiRun[];
  readonly tasks: { readonly open: number; readonly done: number; readonly escalated: number };
  /** How many accounts have each status. */
  readonly health: readonly (readonly [string, number])[];
  readonly mails: MailboxStats;
  readonly posts: DeskStats;
  readonly restarts: number;
}

/** Steps of a playbook that are listed; the rest is summed up. */
const STEPS_SHOWN = 6;

/** What goes on, as a table that renews itself in a terminal, or as a line every few seconds elsewhere. */
export class DemoTable {
  readonly everyMs: number;
  #lines = 0;

  constructor(readonly out: NodeJS.WriteStream | WriteStream) {
    this.everyMs = out.isTTY ? 1_000 : 5_000;
  }

  show(moment: Moment): void {
    if (!this.out.isTTY) {
      this.out.write(`${lineOf(moment)}\n`);
      return;
    }
    const lines = tableOf(moment).map((line) => line.slice(0, Math.max(20, (this.out.columns ?? 120) - 1)));
    const up = this.#lines > 0 ? `\u001b[${this.#lines}A` : "";
    this.out.write(`${up}${lines.map((line) => `\u001b[2K${line}\n`).join("")}\u001b[J`);
    this.#lines = lines.length;
  }
}

export function lineOf({ at, runs, tasks, mails, posts, restarts }: Moment): string {
  const live = runs.filter((run) => run.status !== "ended").length;
  const parked = runs.filter((run) => run.status === "parked").length;
  return `${day(at)}  ${runs.length} runs, ${live} live${parked > 0 ? `, ${parked} need attention` : ""}  ${mails.distinct} mails  ${tasks.open} tasks open, ${tasks.done} done  ${posts.posts} Slack posts, ${posts.interactions} clicks${restarts > 0 ? `  worker restarted ${restarts}×` : ""}`;
}

export function tableOf(moment: Moment): string[] {
  const byPlaybook = new Map<string, ApiRun[]>();
  for (const run of moment.runs) byPlaybook.set(run.playbook, [...(byPlaybook.get(run.playbook) ?? []), run]);
  const lines = [lineOf(moment), ""];
  for (const [playbook, runs] of [...byPlaybook].sort()) {
    const live = runs.filter((run) => run.status !== "ended");
    const outcomes = counted(runs.flatMap((run) => run.outcome ?? []));
    const steps = counted(live.flatMap((run) => innermostSteps(run.position)));
    lines.push(`${playbook.padEnd(22)} ${String(live.length).padStart(3)} live   ended: ${joined(outcomes, 8) || "–"}`);
    lines.push(`${"".padEnd(22)}     at: ${joined(steps, STEPS_SHOWN) || "–"}`);
  }
  const { open, done, escalated } = moment.tasks;
  lines.push("", `${"Tasks".padEnd(22)} ${String(open).padStart(3)} open   ${done} done, ${escalated} escalated`);
  lines.push(`${"Health".padEnd(22)}          ${joined(moment.health, 4) || "not measured yet"}`);
  return lines;
}

function counted(names: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

function joined(counts: readonly (readonly [string, number])[], most: number): string {
  const rest = counts.slice(most).reduce((sum, [, count]) => sum + count, 0);
  return [...counts.slice(0, most).map(([name, count]) => `${name} ${count}`), ...(rest > 0 ? [`… ${rest}`] : [])].join(
    ", ",
  );
}

function day(at: Instant): string {
  return formatInstant(at).slice(0, 10);
}
