/** A message that is ready for the wire: the bytes are the same on every attempt. */
export interface RawMessage {
  readonly messageId: string;
  readonly envelope: { readonly from: string; readonly to: string };
  readonly raw: string;
}

/**
 * What became of a message. `accepted`: the server took it over. `refused`: it certainly did not; `permanent` after a 5xx,
 * `suppress` only for an address that does not exist (5.1.1, 5.1.10 at RCPT), `ours` when the fault is on our side
 * (login, sender, policy). `unknown`: the body was on the wire and no answer came.
 */
export type MailResult =
  | { readonly kind: "accepted"; readonly serverMessageId?: string }
  | {
      readonly kind: "refused";
      readonly permanent: boolean;
      readonly suppress: boolean;
      readonly ours: boolean;
      readonly reason: string;
    }
  | { readonly kind: "unknown"; readonly reason: string };

export interface Mailer {
  /**
   * Sends one message. `beforeBody` is called after the server has agreed to DATA and before the first byte of the body;
   * false (or a throw) means: do not send, and the result is `refused` with reason `fence`.
   */
  send(message: RawMessage, beforeBody: () => Promise<boolean>): Promise<MailResult>;
  /** Whether the mailbox has the message, where that can be asked (demo, tests); undefined: can't tell. */
  find?(messageId: string): Promise<boolean | undefined>;
  /** Lets go of connections that wait for the next message. Idempotent; a message under way goes on. */
  close?(): void;
}
