/** Slack's Web API, as far as effects need it. */
export interface SlackMessage {
  /** Channel or user id. */
  readonly channel: string;
  readonly text: string;
  /** Block Kit blocks, plain JSON. */
  readonly blocks?: readonly unknown[];
  readonly threadTs?: string;
  /** Travels as `metadata.event_payload.delivery_id`: how an unanswered post is found again. */
  readonly deliveryId: string;
}

export type PostResult =
  | { readonly kind: "posted"; readonly channel: string; readonly ts: string }
  /** Rate limited: certainly not posted. Real milliseconds. */
  | { readonly kind: "limited"; readonly retryAfterMs: number }
  /** Certainly not posted; `permanent`: channel_not_found, is_archived, account_inactive, invalid_blocks … */
  | { readonly kind: "refused"; readonly permanent: boolean; readonly reason: string }
  /** No answer, or a 5xx: look it up after `wire_until`. */
  | { readonly kind: "unknown"; readonly reason: string };

export interface SlackPoster {
  post(message: SlackMessage): Promise<PostResult>;
  /** Re-renders the whole message: idempotent. */
  update(channel: string, ts: string, message: Omit<SlackMessage, "channel" | "deliveryId">): Promise<PostResult>;
  /** The ts of the message with this delivery id in the channel, null if it is not there, undefined if that can't be told. */
  find(
    channel: string,
    deliveryId: string,
    sinceMs: number,
  ): Promise<{ channel: string; ts: string } | null | undefined>;
  ephemeral(channel: string, user: string, text: string): Promise<void>;
  openModal(triggerId: string, view: unknown): Promise<void>;
  publishHome(user: string, view: unknown): Promise<void>;
  /** The Slack user id of an address, undefined if there is none. */
  userByEmail(email: string): Promise<string | undefined>;
}
