import type { PostResult, SlackPoster } from "../../ports/slack-poster.js";

const REFUSED: PostResult = { kind: "refused", permanent: true, reason: "Slack is not configured (SLACK_BOT_TOKEN)" };

/** What stands where no Slack app is configured: every message is refused for good, and the timeline says so. Tasks still open. */
export const NO_SLACK: SlackPoster = {
  post: async () => REFUSED,
  update: async () => REFUSED,
  find: async () => null,
  ephemeral: async () => {},
  openModal: async () => {},
  publishHome: async () => {},
  userByEmail: async () => undefined,
};
