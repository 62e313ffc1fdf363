import type { Instant } from "../values/instant.js";

/** A request of Slack's as it came in. */
export interface KeptSlackRequest {
  /** SHA-256 of the signature, or `envelope:ID` of Socket Mode. */
  readonly id: string;
  /** block_actions | view_submission | command | event | … */
  readonly kind: string;
  readonly payload: unknown;
  /** Real time. */
  readonly receivedAt: Instant;
}

/**
 * Slack's interactive requests are not sent again: each is kept before it is acknowledged, and kept once, so that a repeated
 * one is known. Throws `StoreUnavailable` when the store can't be reached.
 */
export interface SlackRequestLog {
  /** False, and nothing written, if a request with its id was kept before. */
  keep(request: KeptSlackRequest): Promise<boolean>;
  /** It was acted on. Idempotent. */
  handled(id: string, at: Instant): Promise<void>;
  /** Received from `since` until before `until` and not acted on, oldest first. */
  unhandled(since: Instant, until: Instant, limit: number): Promise<readonly KeptSlackRequest[]>;
  /** Removes what was received before `before`; returns how many. Keep more than the 5 minutes in which a signature counts. */
  forget(before: Instant): Promise<number>;
}
