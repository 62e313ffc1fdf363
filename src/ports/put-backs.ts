import type { Instant } from "../values/instant.js";
import { StoreUnavailable, type Tx } from "./transactions.js";

/** What the store has counted. Neither goes back, unless the database is put back to an older copy. */
export interface Counts {
  /** Deliveries claimed. */
  readonly claims: number;
  /** Events taken in. */
  readonly events: number;
}

/** The database was found to be an older copy of itself. */
export interface PutBack {
  readonly id: string;
  /** Domain time: what fell due until then may have gone out without the store knowing. */
  readonly noticedAt: Instant;
  /** Domain time of the last event that it knows from before; null: it knows none. */
  readonly knownUntil: Instant | null;
  /** What showed it, in a sentence. */
  readonly shownBy: string;
  /** The store knows again which runs live. */
  readonly isSettled: boolean;
}

/** How the store notices that it was put back, and what it remembers of that. */
export interface PutBacks {
  counts(tx: Tx): Promise<Counts>;
  /** Brings the counts to more than these: what they were before is noticed no longer. At once, whatever becomes of the transaction. */
  raise(tx: Tx, counts: Counts): Promise<void>;
  /** The last one, and whether all sends are still held for it; undefined: there was none. */
  latest(tx: Tx): Promise<{ readonly putBack: PutBack; readonly isHeld: boolean } | undefined>;
  add(tx: Tx, putBack: Omit<PutBack, "isSettled">): Promise<void>;
  /** The store knows again which runs live. */
  settled(tx: Tx, id: string): Promise<void>;
  /** When the last event was taken in of those received before the instant; undefined: there is none. */
  lastReceived(tx: Tx, before: Instant): Promise<Instant | undefined>;
}

/** Where the counts are kept that must outlive both the processes and the database: Temporal. */
export interface CountsNote {
  /** undefined: nothing was noted yet. */
  read(): Promise<Counts | undefined>;
  /** Notes at least these; false: there is nothing yet that could keep them. */
  write(counts: Counts): Promise<boolean>;
}

/** The database is an older copy of itself: nothing is begun until a person has released what is held. To be tried again, like a store that is away. */
export class StorePutBack extends StoreUnavailable {}

/**
 * The highest counts that a process knows to be durable. What it merely read might yet be lost with a server that is killed, and must not look
 * like a database that was put back: it counts once a later look finds it, or something was committed behind it.
 */
export class SeenCounts {
  #sure: Counts = { claims: 0, events: 0 };
  #read: { readonly counts: Counts; readonly atMs: number } | undefined;
  #isPutBack = false;
  #isReady = true;

  /** Nothing is claimed before `ready`: what was counted before this process began is not known yet. */
  waitForNote(): void {
    this.#isReady = false;
  }

  ready(): void {
    this.#isReady = true;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get sure(): Counts {
    return this.#sure;
  }

  /** Before a claim; give what it answers to `claimed`. Throws `StorePutBack` where the store is known to be behind. */
  beforeClaim(): number {
    if (this.#isPutBack) throw new StorePutBack("the database was put back to an older copy: nothing is sent");
    return this.#sure.claims;
  }

  /** With the claim's answer: the count that it got. Throws `StorePutBack`: nobody has claimed, whether or not the row stays so. */
  claimed(claims: number, before: number): void {
    if (claims > before) return;
    this.#isPutBack = true;
    throw new StorePutBack(`the database was put back to an older copy: claim ${claims} comes after ${before}`);
  }

  /** A statement that read this count was committed. */
  committed(claims: number): void {
    this.#sure = { ...this.#sure, claims: Math.max(this.#sure.claims, claims) };
  }

  /** What a look found that was begun when `sure` was `before`; true: the store is behind. `nowMs`: any clock that goes on. */
  looked(found: Counts, before: Counts, nowMs: number): boolean {
    this.#isPutBack = found.claims < before.claims || found.events < before.events;
    if (this.#isPutBack) {
      this.#read = undefined;
      return true;
    }
    if (this.#read === undefined) this.#read = { counts: found, atMs: nowMs };
    else if (nowMs - this.#read.atMs >= SURE_AFTER_MS) {
      this.#sure = highest(this.#sure, this.#read.counts);
      this.#read = { counts: found, atMs: nowMs };
    }
    return false;
  }

  /** What was noted elsewhere. */
  remember(counts: Counts): void {
    this.#sure = highest(this.#sure, counts);
  }
}

/** The higher of each. */
export function highest(a: Counts, b: Counts): Counts {
  return { claims: Math.max(a.claims, b.claims), events: Math.max(a.events, b.events) };
}

/** Postgres writes its log out several times a second, also what nobody has committed. */
const SURE_AFTER_MS = 2_000;
