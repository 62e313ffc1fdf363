import type { DueKind } from "./due.js";
import type { Instant } from "../values/instant.js";
import type { Tx } from "./transactions.js";

/** What happens at one instant, in the order in which it does. */
export const RANKS = ["event", "sweep", "due", "run"] as const;

export type Rank = (typeof RANKS)[number];

/** Nothing that a run could notice comes of these: they wait for nobody, and nobody for them. */
export const OUT_OF_ORDER: readonly DueKind[] = ["digest", "retention"];

/** Where something stands in the order of domain time. */
export interface Turn {
  readonly rank: Rank;
  readonly at: Instant;
  /** Absent: everybody's (the sweep, a trigger on a schedule). */
  readonly accountId?: string | undefined;
  /** Of rank `run`: which. Runs that wake at one instant go in the order of their ids. */
  readonly runId?: string;
}

/**
 * What has to happen first: an event to hand on, a due item, a run, a Slack message that somebody is yet to see, the sweep. `told`, before all
 * others: the run whose turn is asked for has been told of something earlier than that.
 */
export interface Blocker {
  readonly kind: Rank | "message" | "told";
  readonly id: string;
  readonly at: Instant;
}

/** What of the past is not done yet, as the store knows it. */
export interface OrderStore {
  /** The first thing that comes before the turn, the sweep aside; ids in `except` are passed over. */
  before(tx: Tx, turn: Turn, except: readonly string[]): Promise<Blocker | undefined>;
  /** How far the daily evaluation has got, without a lock; `isDone` false: it is under way. */
  swept(tx: Tx, sweep: string): Promise<{ readonly at: Instant; readonly isDone: boolean } | undefined>;
  /** The run is somewhere between its wakings: nothing later of its account goes before it. */
  wakes(tx: Tx, runId: string, at: Instant): Promise<void>;
  /** These runs have been told of something at the instant: they are awake from there on. */
  stir(tx: Tx, runIds: readonly string[], at: Instant): Promise<void>;
  /** The run has nothing to do before the instant; null: until it is told of something. */
  rests(tx: Tx, runId: string, until: Instant | null): Promise<void>;
}

/**
 * Domain time as an order: what comes earlier is done earlier, whoever was late. Kept by the demo (`ClockSetting.ordered`), where a
 * worker that is away for a second is away for days; in real time nothing waits for anything (`docs/architecture.md`, "Time").
 */
export interface LogicalOrder {
  readonly store: OrderStore;
  /** The daily evaluation that is next: nothing that is later has its turn; undefined where there is none. */
  horizon(): Promise<Instant | undefined>;
  /** What has to happen first; undefined: it is its turn. */
  first(turn: Turn): Promise<Blocker | undefined>;
  /** Whether everything that comes before the turn is done, and a run whose turn it is has been told of nothing earlier. */
  isTurn(turn: Turn): Promise<boolean>;
  /** Waits for it, at most so many real milliseconds; false: it isn't yet. Also true when the run has to hear of something earlier first. */
  untilTurn(turn: Turn, waitMs: number): Promise<boolean>;
  /** Something was done: who waits may look again. Absent: of all accounts. */
  moved(accountId?: string): void;
}
