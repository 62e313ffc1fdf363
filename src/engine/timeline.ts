/** One line of a run's timeline: what happened, when, at which step, and from which facts. Append-only. */
import type { FactValue } from "../expression/expression.js";
import type { Instant } from "../values/instant.js";

export interface TimelineEntry {
  /** 1, 2, 3 … within a run: writing an entry twice is writing it once. */
  readonly seq: number;
  /** Domain time. */
  readonly at: Instant;
  readonly kind: TimelineKind;
  /** The step's id, or its path where it has none. */
  readonly step?: string;
  /** The instance's key where it differs from the path (inside `repeat`). */
  readonly key?: string;
  /** Short values for people and for comparison, e.g. `{ to: "contact-7", locale: "pl" }`. Ids only. */
  readonly detail?: Readonly<Record<string, FactValue>>;
  /** What the decision was made from. */
  readonly facts?: Readonly<Record<string, FactValue>>;
}

export type TimelineKind =
  | "run.started"
  | "run.held"
  | "run.released"
  | "run.triggered_again"
  | "run.parked"
  | "run.retried"
  | "run.skipped"
  | "run.exited"
  | "run.goal_met"
  | "run.stopped"
  | "run.ended"
  | "email.sent"
  | "email.deferred"
  | "email.skipped"
  | "email.rejected"
  | "email.unknown"
  | "email.replied"
  | "email.bounced"
  | "slack.posted"
  | "slack.clicked"
  | "task.opened"
  | "task.closed"
  | "task.tightened"
  | "wait.began"
  | "wait.moved"
  | "wait.over"
  | "wait_for.began"
  | "wait_for.met"
  | "wait_for.timed_out"
  | "around.armed"
  | "around.moved"
  | "around.skipped"
  | "around.due"
  | "branch.taken"
  | "step.skipped"
  | "step.failed"
  | "repeat.began"
  | "milestone.reached"
  | "field.set"
  | "risk.raised"
  | "opportunity.raised"
  | "health.measured"
  | "play.started"
  | "play.refused"
  | "play.ended"
  | "event.late"
  | "event.dropped"
  /** Written by the store, not by the machine: it was put back to an older copy, and lines may be missing. */
  | "store.put_back";
