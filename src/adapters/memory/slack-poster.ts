import type { PostResult, SlackMessage, SlackPoster } from "../../ports/slack-poster.js";

/** A message as the memory has it: posted, and re-rendered in place. */
export interface PostedMessage extends SlackMessage {
  readonly ts: string;
}

/** A Slack workspace in memory. `trouble` gives the next posts their results; `lost`: posted, but the answer is `unknown`. */
export function memorySlackPoster(users: Readonly<Record<string, string>> = {}): SlackPoster & {
  readonly messages: PostedMessage[];
  readonly ephemerals: { channel: string; user: string; text: string }[];
  trouble(...next: (PostResult | "lost")[]): void;
} {
  const messages: PostedMessage[] = [];
  const ephemerals: { channel: string; user: string; text: string }[] = [];
  const troubles: (PostResult | "lost")[] = [];
  let posts = 0;
  return {
    messages,
    ephemerals,
    trouble: (...next) => void troubles.push(...next),
    async post(message) {
      const trouble = troubles.shift();
      if (trouble && trouble !== "lost") return trouble;
      posts += 1;
      const ts = `${1_700_000_000 + posts}.000100`;
      messages.push({ ...message, ts });
      return trouble === "lost"
        ? { kind: "unknown", reason: "no answer" }
        : { kind: "posted", channel: message.channel, ts };
    },
    async update(channel, ts, body) {
      const index = messages.findIndex((message) => message.channel === channel && message.ts === ts);
      const found = messages[index];
      if (!found) return { kind: "refused", permanent: true, reason: "message_not_found" };
      messages[index] = { ...found, ...body };
      return { kind: "posted", channel, ts };
    },
    async find(channel, deliveryId) {
      const found = messages.find((message) => message.channel === channel && message.deliveryId === deliveryId);
      return found ? { channel, ts: found.ts } : null;
    },
    async ephemeral(channel, user, text) {
      ephemerals.push({ channel, user, text });
    },
    async openModal() {},
    async publishHome() {},
    async userByEmail(email) {
      return users[email];
    },
  };
}
