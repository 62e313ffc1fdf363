import type { Home } from "../../../src/ports/desk-home.js";
import type { NudgeClick, TaskAct, TaskActions, TaskActResult } from "../../../src/entrances/slack/task-actions.js";
import type { TaskCard } from "../../../src/ports/composer.js";
import type { KeptSlackRequest, SlackRequestLog } from "../../../src/ports/slack-request-log.js";
import { CARD, HOME } from "../../adapters/slack/samples.js";

/** One task of Alice's; her manager Mia may act on it, Bob may not. What was asked is kept. */
export class FakeActions implements TaskActions {
  card: TaskCard = CARD;
  readonly acts: TaskAct[] = [];
  readonly clicks: NudgeClick[] = [];
  readonly links: [string, string][] = [];
  /** Stored links, before any look-up by address. */
  readonly bySlackId = new Map<string, string>([["UALICE", "csm-1"]]);
  next: TaskActResult | undefined;
  fault: Error | undefined;
  delayMs = 0;
  homeValue: Home = HOME;

  async colleagueBySlackId(id: string): Promise<string | undefined> {
    return this.bySlackId.get(id);
  }
  async colleagueByEmail(email: string): Promise<string | undefined> {
    return { "mia@vendor.example": "mgr-1", "bob@vendor.example": "csm-2" }[email];
  }
  async linkSlackUser(colleagueId: string, slackUserId: string): Promise<void> {
    this.links.push([colleagueId, slackUserId]);
    this.bySlackId.set(slackUserId, colleagueId);
  }
  async colleagues() {
    return [
      { id: "csm-1", name: "Alice Kowalska" },
      { id: "csm-2", name: "Bob Marsh" },
    ];
  }
  async look(taskId: string, colleagueId: string) {
    if (taskId !== this.card.id) return undefined;
    return { card: this.card, mayAct: colleagueId !== "csm-2" };
  }
  async act(act: TaskAct): Promise<TaskActResult> {
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    if (this.fault) throw this.fault;
    this.acts.push(act);
    if (this.next) return this.next;
    const revision = this.card.revision + 1;
    this.card =
      act.verb === "complete" || act.verb === "skip"
        ? { ...this.card, revision, status: act.verb === "complete" ? "done" : "skipped", closedBy: act.by }
        : { ...this.card, revision };
    return { kind: "done", card: this.card };
  }
  async nudgeClicked(click: NudgeClick) {
    this.clicks.push(click);
    return click.action === "snooze" ? { text: "Tomorrow then." } : {};
  }
  async home(): Promise<Home> {
    return this.homeValue;
  }
}

/** `SlackRequestLog` in memory. */
export function memoryRequestLog(): SlackRequestLog & {
  readonly rows: (KeptSlackRequest & { handledAt?: number })[];
  away: boolean;
} {
  const rows: (KeptSlackRequest & { handledAt?: number })[] = [];
  return {
    rows,
    away: false,
    async keep(request) {
      if (this.away) throw new Error("away");
      if (rows.some((row) => row.id === request.id)) return false;
      rows.push(request);
      return true;
    },
    async handled(id, at) {
      const index = rows.findIndex((row) => row.id === id);
      const row = rows[index];
      if (row && row.handledAt === undefined) rows[index] = { ...row, handledAt: at };
    },
    async unhandled(since, until, limit) {
      return rows
        .filter((row) => row.handledAt === undefined && row.receivedAt >= since && row.receivedAt < until)
        .slice(0, limit)
        .map(({ handledAt: _none, ...row }) => row);
    },
    async forget(before) {
      const old = rows.filter((row) => row.receivedAt < before);
      for (const row of old) rows.splice(rows.indexOf(row), 1);
      return old.length;
    },
  };
}
