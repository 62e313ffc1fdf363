import type { RunEvent } from "../engine/event.js";
import type { PerformResponse } from "../engine/perform.js";
import type { SubjectKind } from "../engine/plan.js";
import type { TimelineEntry } from "../engine/timeline.js";
import type { FactValue } from "../expression/expression.js";
import type { Instant } from "../values/instant.js";
import type { EventScope } from "./events.js";
import type { DeliveryRow } from "./ledger.js";
import type { Tx } from "./transactions.js";

export type RunStatus = "starting" | "running" | "held" | "parked" | "exiting" | "ended";

/** Whom a playbook began for so often that it can't be meant: `count` times within the hour that ends at `at`. */
export interface OftenBegun {
  readonly playbook: string;
  readonly accountId: string;
  readonly contactId?: string;
  readonly count: number;
  readonly at: Instant;
}

/** What the store knows of a run. */
export interface RunRow {
  /** `run/PLAYBOOK/SUBJECT/KEY/N`, also the workflow id. */
  readonly id: string;
  readonly playbook: string;
  /** Of the plan it is pinned to. */
  readonly hash: string;
  readonly subject: SubjectKind;
  readonly accountId: string;
  readonly contactId?: string;
  readonly contractId?: string;
  readonly key: string;
  readonly ordinal: number;
  readonly inputs: Readonly<Record<string, FactValue>>;
  readonly status: RunStatus;
  readonly outcome?: string;
  readonly position: readonly string[];
  readonly startedAt: Instant;
  readonly endedAt?: Instant;
  readonly enrolledBy?: string;
  readonly parent?: { readonly run: string; readonly key: string };
  readonly parked?: { readonly key: string; readonly reason: string; readonly at: Instant };
  readonly priority: number;
  readonly releasedAt?: Instant;
  /** How many stretches were walked and written. */
  readonly turns: number;
}

/** Whose runs: the subject of a playbook. */
export interface RunSubject {
  readonly accountId: string;
  readonly contactId?: string | undefined;
}

export interface RunFilter {
  readonly playbook?: string | undefined;
  readonly accountId?: string | undefined;
  readonly status?: readonly RunStatus[] | undefined;
  readonly outcome?: string | undefined;
  /** Behind this run in the order of the list: the last id of the page before. */
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

/** What a `perform` tells of a run. */
export interface RunProgress {
  readonly status: RunStatus;
  readonly position: readonly string[];
  readonly entries: readonly TimelineEntry[];
  readonly confirm: readonly string[];
  /** The answer of the stretch behind `turns` others, to be kept; those up to `durable` are forgotten. */
  readonly stretch?: { readonly turns: number; readonly durable: number; readonly answer: PerformResponse };
  /** Nothing is written where the run must hear something first, as of the instant (`Events.undelivered`). */
  readonly unless?: {
    readonly scope: EventScope;
    readonly asOf: Instant;
    readonly limit: number;
    readonly inHand: readonly string[];
  };
}

/** `overtaken`: its stretch is there already, and nothing was written. `events`: it must hear these first, and nothing was written. */
export type Recorded =
  | { readonly kind: "recorded" }
  | { readonly kind: "overtaken" }
  | { readonly kind: "events"; readonly events: readonly RunEvent[] };

/** A message that went out, or may have. */
export type UntoldMessage = Pick<
  DeliveryRow,
  "channel" | "effectKey" | "step" | "locale" | "contactId" | "recipient" | "status" | "sentAt"
>;

export interface Runs {
  get(tx: Tx, id: string): Promise<RunRow | undefined>;
  /** Those of the ids that are there. */
  getMany(tx: Tx, ids: readonly string[]): Promise<readonly RunRow[]>;
  /** As `get`, with the events that it must hear (`Events.undelivered`): what every claim looks at first, in one look. */
  withUndelivered(
    tx: Tx,
    scope: EventScope,
    asOf: Instant,
    limit: number,
    inHand: readonly string[],
  ): Promise<{ readonly run: RunRow | undefined; readonly events: readonly RunEvent[] }>;
  /** Live runs of the account (not ended), oldest first. */
  live(tx: Tx, accountId: string): Promise<readonly RunRow[]>;
  /** All runs ever of the playbook for the subject, oldest first. */
  ofSubject(tx: Tx, playbook: string, subject: RunSubject): Promise<readonly RunRow[]>;
  /** All runs ever of the playbook for these accounts and their contacts, oldest first. */
  ofAccounts(tx: Tx, playbook: string, accountIds: readonly string[]): Promise<readonly RunRow[]>;
  /** Those of the accounts for which something holds new runs of the playbook back. */
  heldAccounts(tx: Tx, playbook: string, accountIds: readonly string[]): Promise<ReadonlySet<string>>;
  /** As `insert`, many in one statement: the ids of those that were written. */
  insertMany(tx: Tx, runs: readonly RunRow[]): Promise<ReadonlySet<string>>;
  /** False, and nothing written, if a run with its key is live. */
  insert(tx: Tx, run: RunRow): Promise<boolean>;
  /**
   * Writes the run as it is given, whatever the store had of it, and forgets its kept answers: where the store was put back to an older copy. False, and
   * nothing written, if another run with its key is live.
   */
  restore(tx: Tx, run: RunRow): Promise<boolean>;
  /** The answer of the stretch that came behind so many others; undefined if it was not walked yet, or is no longer kept. */
  stretch(tx: Tx, runId: string, turns: number): Promise<PerformResponse | undefined>;
  /** Writes what a `perform` brings along: timeline lines (each once by `seq`), confirmed events, status, position; in one statement, so whole or not at all. */
  record(tx: Tx, runId: string, progress: RunProgress): Promise<Recorded>;
  /** The run's messages, by key, of which no line of its timeline tells; and its last line's `seq` (0: there is none). */
  untold(tx: Tx, runId: string): Promise<{ readonly lastSeq: number; readonly messages: readonly UntoldMessage[] }>;
  /** The run needs attention, or (undefined) no longer does. */
  park(tx: Tx, runId: string, parked: { key: string; reason: string; at: Instant } | undefined): Promise<void>;
  /** The run is over: its key is free again. Idempotent: the first outcome stays. */
  end(tx: Tx, runId: string, outcome: string, at: Instant): Promise<void>;
  /** When it was last released from a hold. */
  released(tx: Tx, runId: string, at: Instant): Promise<void>;
  /** Names of the holds a new run of the playbook starts under: `playbook:NAME` or `operator`, with the holder's playbook. */
  holds(tx: Tx, accountId: string, playbook: string): Promise<readonly { name: string; holderPlaybook: string }[]>;
  /** The live run that began first; undefined if none lives. */
  oldestLive(tx: Tx): Promise<RunRow | undefined>;
  /** Playbooks that began at least `least` times within an hour for one subject, since then: the subject, the most in an hour, and when that was. By playbook, then subject. */
  oftenBegun(tx: Tx, since: Instant, least: number): Promise<readonly OftenBegun[]>;
  /** Runs that were enrolled before the instant and have not begun, the longest waiting first: how many, and at most `limit` of them. */
  notBegun(
    tx: Tx,
    enrolledBefore: Instant,
    limit: number,
  ): Promise<{ readonly count: number; readonly runs: readonly RunRow[] }>;
  /** Newest start first. Default 50, at most `RUNS_PAGE_MAX`. */
  list(tx: Tx, filter: RunFilter): Promise<readonly RunRow[]>;
  /** The run's lines in order, from behind `afterSeq`. */
  timeline(tx: Tx, runId: string, afterSeq?: number): Promise<readonly TimelineEntry[]>;
}

/** The longest page of a list of runs. */
export const RUNS_PAGE_MAX = 500;
