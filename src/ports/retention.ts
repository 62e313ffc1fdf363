import type { Instant } from "../values/instant.js";
import type { Tx } from "./transactions.js";

/** Before which instants what is kept is no longer needed. Source: `retention` of policy.yaml. */
export interface Cutoffs {
  readonly events: Instant;
  readonly timeline: Instant;
  readonly samples: Instant;
  readonly deliveries: Instant;
  readonly messageBodies: Instant;
}

export type Removed = { readonly [Kind in keyof Cutoffs]: number };

export interface Retention {
  /**
   * Removes what is older, at most `limit` rows of each kind; how many. Kept whatever its age: what belongs to a run that lives, events that a living
   * run may still have to hear, events nobody has handed on, and messages that are not final.
   */
  remove(tx: Tx, before: Cutoffs, limit: number): Promise<Removed>;
}
