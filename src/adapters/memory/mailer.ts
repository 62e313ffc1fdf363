import type { Mailer, MailResult, RawMessage } from "../../ports/mailer.js";

/** What the next message meets instead of a friendly server. `lost`: taken, but no answer comes; `gone`: lost on the way, and no answer. */
export type MailTrouble =
  | { readonly kind: "refused"; readonly permanent?: boolean; readonly suppress?: boolean; readonly ours?: boolean }
  | { readonly kind: "lost" | "gone" }
  | { readonly kind: "wait"; readonly until: Promise<void> };

/** A mail server in memory that can be asked what it has, and told to make trouble (in order, one per message). */
export function memoryMailer(): Mailer & {
  readonly inbox: RawMessage[];
  trouble(...next: MailTrouble[]): void;
  isAskable: boolean;
} {
  const inbox: RawMessage[] = [];
  const troubles: MailTrouble[] = [];
  return {
    inbox,
    isAskable: true,
    trouble: (...next) => void troubles.push(...next),
    async send(message, beforeBody): Promise<MailResult> {
      const trouble = troubles.shift();
      if (trouble?.kind === "refused") {
        const { permanent = false, suppress = false, ours = false } = trouble;
        return { kind: "refused", permanent, suppress, ours, reason: permanent ? "550 refused" : "451 try later" };
      }
      if (trouble?.kind === "wait") await trouble.until;
      if (!(await beforeBody())) {
        return { kind: "refused", permanent: false, suppress: false, ours: false, reason: "fence" };
      }
      if (trouble?.kind === "gone") return { kind: "unknown", reason: "no answer" };
      inbox.push(message);
      if (trouble?.kind === "lost") return { kind: "unknown", reason: "no answer" };
      return { kind: "accepted", serverMessageId: message.messageId };
    },
    async find(messageId) {
      return this.isAskable ? inbox.some((message) => message.messageId === messageId) : undefined;
    },
  };
}
