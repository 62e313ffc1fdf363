import type { Instant } from "../values/instant.js";
import type { Tx } from "./transactions.js";

export type DueKind =
  | "before"
  | "every"
  | "task_remind"
  | "task_escalate"
  | "task_snooze"
  | "digest"
  | "absence"
  | "override_expiry"
  | "mail_again"
  | "nudge_snooze"
  | "retention"
  /** What somebody outside has announced that they will do then: nobody here takes it, and what is later waits for it (`ports/order.ts`). */
  | "announced";

/** Something that falls due on domain time and belongs to no run. */
export interface DueItem {
  /** Stable: arming the same thing again moves it. */
  readonly id: string;
  readonly kind: DueKind;
  readonly at: Instant;
  readonly accountId?: string | undefined;
  readonly payload: Readonly<Record<string, unknown>>;
}

export interface DueItems {
  /** Arms, or moves, the items; one that was done is armed again. */
  arm(tx: Tx, items: readonly DueItem[]): Promise<void>;
  /** Takes back what has not been done. Unknown ids are fine. */
  disarm(tx: Tx, ids: readonly string[]): Promise<void>;
  /** Open and done items whose id begins so. */
  withPrefix(
    tx: Tx,
    prefix: string,
    accountIds?: readonly string[],
  ): Promise<readonly (DueItem & { isDone: boolean })[]>;
  /** The longest due open item up to `now` that nobody else has, that is not `announced` and not in `except`, locked until the transaction ends. */
  take(tx: Tx, now: Instant, except: readonly string[]): Promise<DueItem | undefined>;
  done(tx: Tx, id: string, at: Instant): Promise<void>;
}
