import type { Suppression } from "../engine/decide-send.js";
import type { Instant } from "../values/instant.js";
import type { Tx } from "./transactions.js";

/** Who must not be written to, and the opaque links by which they say so. Addresses are compared in lower case. */
export interface Suppressions {
  /** All of the address, whatever the category; with `asOf`, those that were there by then. */
  of(tx: Tx, email: string, asOf?: Instant): Promise<Suppression[]>;
  /** Idempotent; the first instant stays. */
  add(tx: Tx, email: string, suppression: Suppression & { at: Instant; deliveryKey?: string }): Promise<void>;
  /** Lifts one, e.g. after a customer asked for mail again. */
  remove(tx: Tx, email: string, suppression: Suppression): Promise<void>;
  /** Keeps an unsubscribe link; the token is the caller's and stands for ever. */
  keepLink(tx: Tx, link: UnsubscribeLink): Promise<void>;
  link(tx: Tx, token: string): Promise<UnsubscribeLink | undefined>;
}

export interface UnsubscribeLink {
  readonly token: string;
  readonly contactId: string;
  readonly category: string;
  readonly deliveryKey: string;
}
