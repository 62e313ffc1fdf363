import type { PersonRule } from "../engine/plan.js";
import type { Duration } from "../values/duration.js";
import type { Instant } from "../values/instant.js";
import type { Tx } from "./transactions.js";

export type TaskStatus = "open" | "done" | "skipped" | "cancelled";

/** A piece of work for one of ours. */
export interface Task {
  readonly id: string;
  /** Run id and command key: opening it twice is opening it once. */
  readonly effectKey: string;
  readonly runId: string;
  readonly step: string;
  readonly key: string;
  readonly accountId: string;
  readonly title: string;
  readonly text: string | null;
  /** null: in the queue. */
  readonly assigneeId: string | null;
  readonly queue: string | null;
  /** Whose task it is while a cover has it. */
  readonly coveredForId: string | null;
  readonly for: PersonRule;
  readonly required: boolean;
  readonly status: TaskStatus;
  readonly openedAt: Instant;
  readonly dueAt: Instant;
  readonly snoozedUntil: Instant | null;
  readonly snoozes: number;
  readonly snoozeLimit: number;
  readonly ask: "outcome" | "note" | null;
  readonly outcomes: readonly string[];
  readonly escalate: readonly EscalationRung[];
  /** Rungs of the ladder that were reached. */
  readonly escalated: number;
  readonly outcome: string | null;
  readonly note: string | null;
  readonly closedBy: string | null;
  readonly closedAt: Instant | null;
  /** Raised by every change. */
  readonly revision: number;
}

export interface EscalationRung {
  /** From due. */
  readonly after: Duration;
  readonly to: PersonRule;
}

/** What of a task may change. */
export type TaskPatch = Partial<
  Pick<
    Task,
    | "assigneeId"
    | "queue"
    | "coveredForId"
    | "status"
    | "dueAt"
    | "snoozedUntil"
    | "snoozes"
    | "escalated"
    | "outcome"
    | "note"
    | "closedBy"
    | "closedAt"
  >
>;

export interface TaskFilter {
  readonly assigneeId?: string | undefined;
  readonly coveredForId?: string | undefined;
  readonly accountId?: string | undefined;
  readonly runId?: string | undefined;
  readonly queue?: string | undefined;
  readonly status?: readonly TaskStatus[] | undefined;
  /** Default and maximum: `TASKS_PAGE_MAX`. */
  readonly limit?: number | undefined;
  /** Behind this task in the order of the list. */
  readonly after?: { readonly dueAt: Instant; readonly id: string } | undefined;
}

export interface Tasks {
  /** False if the effect's task is there already. */
  open(tx: Tx, task: Task): Promise<boolean>;
  read(tx: Tx, id: string): Promise<Task | undefined>;
  ofEffect(tx: Tx, effectKey: string): Promise<Task | undefined>;
  /** Compare-and-set on the revision, which it raises. undefined: the task has changed meanwhile. */
  change(tx: Tx, id: string, revision: number, patch: TaskPatch): Promise<Task | undefined>;
  /** The earliest due first. */
  list(tx: Tx, filter: TaskFilter): Promise<Task[]>;
}

/** The longest page of a list of tasks. */
export const TASKS_PAGE_MAX = 500;
