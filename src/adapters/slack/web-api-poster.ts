import {
  WebAPIHTTPError,
  WebAPIPlatformError,
  WebAPIRateLimitedError,
  WebAPIRequestError,
  WebClient,
  type WebClientOptions,
} from "@slack/web-api";
import type { PostResult, SlackPoster } from "../../ports/slack-poster.js";

export interface SlackPosterOptions {
  /** Of the bot, `xoxb-…`. */
  readonly token: string;
  /** Base address ending in `/api/`; absent: Slack's own. */
  readonly apiUrl?: string;
  /** For one verb as a whole, real milliseconds; default 10,000. */
  readonly timeoutMs?: number;
}

/** `SlackPoster` on Slack's Web API, with what the receiver needs besides. */
export interface WebApiPoster extends SlackPoster {
  /** As the port says; with `threadTs` it looks among the replies of that message, which a channel's history leaves out. */
  find(
    channel: string,
    deliveryId: string,
    sinceMs: number,
    threadTs?: string,
  ): Promise<{ channel: string; ts: string } | null | undefined>;
  /** A Slack user's e-mail address; undefined if unknown or hidden. */
  emailOf(slackUserId: string): Promise<string | undefined>;
  /** The bot's own user and workspace, to check a token. */
  whoAmI(): Promise<{ userId: string; team: string }>;
}

/** Slack could not do it; `reason` is Slack's own code or the connection's. Never holds the token or a text. */
export class SlackFault extends Error {
  override readonly name = "SlackFault";
  constructor(
    readonly method: string,
    readonly reason: string,
    cause: unknown,
  ) {
    super(`Slack's ${method} failed: ${reason}`, { cause });
  }
}

/**
 * Posts through Slack's Web API, each request at most once: the SDK's own retries turned one post into three (channels.md),
 * so they are off, and each answer is classified for the ledger. User ids are written to in a direct message; `#name` is
 * posted to by name.
 */
export function createSlackPoster(options: SlackPosterOptions): WebApiPoster {
  const timeoutMs = options.timeoutMs ?? 10_000;
  const client = webClient(options, timeoutMs);
  // Opening the conversation and posting share the verb's time: the ledger's lease counts on it.
  const openingMs = Math.ceil(timeoutMs * 0.3);
  const opening = webClient(options, openingMs);
  const posting = webClient(options, timeoutMs - openingMs);
  /** User id → its direct message; name → channel id. They never change. */
  const channelIds = new Map<string, string>();

  async function directMessage(user: string): Promise<string> {
    const known = channelIds.get(user);
    if (known !== undefined) return known;
    const answer = await opening.conversations.open({ users: user });
    const id = answer.channel?.id;
    if (id === undefined) throw new SlackFault("conversations.open", "no_channel_in_answer", answer.error);
    return remember(user, id);
  }

  async function channelNamed(name: string): Promise<string | undefined> {
    const known = channelIds.get(name);
    if (known !== undefined) return known;
    let cursor: string | undefined;
    for (let page = 0; page < CHANNEL_PAGES_MAX; page++) {
      const answer = await client.conversations.list({
        limit: 1_000,
        exclude_archived: true,
        types: "public_channel,private_channel",
        ...(cursor ? { cursor } : {}),
      });
      const found = answer.channels?.find((channel) => `#${channel.name}` === name)?.id;
      if (found !== undefined) return remember(name, found);
      cursor = answer.response_metadata?.next_cursor;
      if (!cursor) return undefined;
    }
    return undefined;
  }

  function remember(key: string, id: string): string {
    if (channelIds.size >= REMEMBERED_CHANNELS_MAX) channelIds.clear();
    channelIds.set(key, id);
    return id;
  }

  return {
    async post(message) {
      const began = { monotonic: performance.now(), wall: Date.now() };
      let channel = message.channel;
      if (isUserId(channel)) {
        try {
          channel = await directMessage(channel);
        } catch (error) {
          return beforePosting(resultOf(error));
        }
        // The process may have been frozen in between: the ledger took its last look before this verb, and the post must
        // not come later than that allows (channels.md, "The fence", 4).
        const passed = Math.max(performance.now() - began.monotonic, Date.now() - began.wall);
        if (passed > openingMs + OPENING_SLACK_MS)
          return { kind: "refused", permanent: false, reason: "opening the conversation took too long" };
      }
      try {
        const answer = await posting.chat.postMessage({
          channel,
          text: message.text,
          ...(message.blocks ? { blocks: message.blocks as never } : {}),
          ...(message.threadTs ? { thread_ts: message.threadTs } : {}),
          parse: "none",
          link_names: false,
          unfurl_links: false,
          unfurl_media: false,
          metadata: { event_type: DELIVERY_EVENT_TYPE, event_payload: { delivery_id: message.deliveryId } },
        });
        return postedResult(answer);
      } catch (error) {
        return resultOf(error);
      }
    },

    async update(channel, ts, message) {
      try {
        const answer = await client.chat.update({
          channel,
          ts,
          text: message.text,
          ...(message.blocks ? { blocks: message.blocks as never } : {}),
          parse: "none",
          link_names: false,
        });
        return postedResult(answer);
      } catch (error) {
        return resultOf(error);
      }
    },

    async find(channel, deliveryId, sinceMs, threadTs) {
      try {
        let id: string | undefined = channel;
        if (isUserId(channel)) id = await directMessage(channel);
        else if (channel.startsWith("#")) id = await channelNamed(channel);
        if (id === undefined) return undefined;
        let cursor: string | undefined;
        for (let page = 0; page < HISTORY_PAGES_MAX; page++) {
          const where = {
            channel: id,
            oldest: (sinceMs / 1_000).toFixed(6),
            inclusive: true,
            include_all_metadata: true,
            limit: HISTORY_PAGE,
            ...(cursor ? { cursor } : {}),
          };
          const answer = threadTs
            ? await client.conversations.replies({ ...where, ts: threadTs })
            : await client.conversations.history(where);
          const found = (answer.messages as readonly HistoryMessage[] | undefined)?.find(
            (message) => message.metadata?.event_payload?.delivery_id === deliveryId,
          );
          if (found?.ts !== undefined) return { channel: id, ts: found.ts };
          cursor = answer.response_metadata?.next_cursor;
          if (!answer.has_more || !cursor) return null;
        }
        return undefined;
      } catch (error) {
        // A channel that is gone has no message; posting again is refused there, and that is the answer.
        return codeOf(error) === "channel_not_found" ? null : undefined;
      }
    },

    async ephemeral(channel, user, text) {
      await faulted("chat.postEphemeral", () => client.chat.postEphemeral({ channel, user, text, parse: "none" }));
    },

    async openModal(triggerId, view) {
      await faulted("views.open", () => client.views.open({ trigger_id: triggerId, view: view as never }));
    },

    async publishHome(user, view) {
      await faulted("views.publish", () => client.views.publish({ user_id: user, view: view as never }));
    },

    async userByEmail(email) {
      try {
        return (await client.users.lookupByEmail({ email })).user?.id;
      } catch (error) {
        if (codeOf(error) === "users_not_found") return undefined;
        throw faultOf("users.lookupByEmail", error);
      }
    },

    async emailOf(slackUserId) {
      try {
        return (await client.users.info({ user: slackUserId })).user?.profile?.email;
      } catch (error) {
        if (codeOf(error) === "user_not_found") return undefined;
        throw faultOf("users.info", error);
      }
    },

    async whoAmI() {
      const answer = await faulted("auth.test", () => client.auth.test());
      return { userId: answer.user_id ?? "", team: answer.team ?? "" };
    },
  };
}

/** How a message of ours is told from others in a channel's history. */
export const DELIVERY_EVENT_TYPE = "waypost_delivery";

/** `find` looks through so many messages at most; beyond, it can't tell. */
const HISTORY_PAGE = 200;
const HISTORY_PAGES_MAX = 25;
const CHANNEL_PAGES_MAX = 20;
const REMEMBERED_CHANNELS_MAX = 10_000;
/** What timers and a busy process may add to the time-out of opening a conversation. */
const OPENING_SLACK_MS = 500;
/** Where Slack says "later" without saying when. */
const DEFAULT_RETRY_AFTER_MS = 30_000;

interface HistoryMessage {
  readonly ts?: string;
  readonly metadata?: { readonly event_payload?: { readonly delivery_id?: unknown } };
}

function isUserId(channel: string): boolean {
  return /^[UW][A-Z0-9]{2,}$/.test(channel);
}

function postedResult(answer: { channel?: string; ts?: string }): PostResult {
  if (answer.channel === undefined || answer.ts === undefined)
    return { kind: "unknown", reason: "the answer names no message" };
  return { kind: "posted", channel: answer.channel, ts: answer.ts };
}

/** What a failed call says about the message. */
function resultOf(error: unknown): Exclude<PostResult, { kind: "posted" }> {
  if (error instanceof SlackFault) return { kind: "unknown", reason: error.reason };
  if (error instanceof WebAPIRateLimitedError) return { kind: "limited", retryAfterMs: error.retryAfter * 1_000 };
  if (error instanceof WebAPIPlatformError) return platformResult(error);
  if (error instanceof WebAPIHTTPError) {
    if (error.statusCode >= 500 || error.statusCode === 408)
      return { kind: "unknown", reason: `HTTP ${error.statusCode}` };
    return { kind: "refused", permanent: false, reason: `HTTP ${error.statusCode}` };
  }
  const code = connectionCode(error);
  if (code !== undefined && NEVER_CONNECTED.has(code)) return { kind: "refused", permanent: false, reason: code };
  return { kind: "unknown", reason: code ?? "no answer" };
}

function platformResult(error: WebAPIPlatformError): Exclude<PostResult, { kind: "posted" }> {
  const code = codeOf(error);
  // Not Slack's own words (a proxy's page, half an answer): nobody knows what happened behind it.
  if (code === undefined) return { kind: "unknown", reason: "not an answer of Slack's" };
  if (LIMITED.has(code)) {
    const seconds = error.data.response_metadata?.retryAfter;
    return { kind: "limited", retryAfterMs: seconds === undefined ? DEFAULT_RETRY_AFTER_MS : seconds * 1_000 };
  }
  if (UNSURE.has(code)) return { kind: "unknown", reason: code };
  return { kind: "refused", permanent: !OURS_OR_PASSING.has(code), reason: code };
}

/** No message was on its way yet: what is unknown of the opening is certain of the post. */
function beforePosting(result: Exclude<PostResult, { kind: "posted" }>): PostResult {
  return result.kind === "unknown" ? { kind: "refused", permanent: false, reason: result.reason } : result;
}

/** "It's possible some aspect of the operation succeeded": Slack's reference of chat.postMessage on the first two. */
const UNSURE = new Set(["internal_error", "fatal_error", "service_unavailable"]);

const LIMITED = new Set(["ratelimited", "rate_limited", "message_limit_exceeded"]);

/** Not the message's fault: it may go once a person has mended the app's set-up, or once Slack has recovered. */
const OURS_OR_PASSING = new Set([
  "invalid_auth",
  "not_authed",
  "token_expired",
  "token_revoked",
  "missing_scope",
  "no_permission",
  "ekm_access_denied",
  "access_denied",
  "accesslimited",
  "org_login_required",
  "team_added_to_org",
  "request_timeout",
]);

const NEVER_CONNECTED = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** Slack's own error code; undefined where it isn't one. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof WebAPIPlatformError)) return undefined;
  const code: unknown = error.data.error;
  return typeof code === "string" && /^[a-z][a-z0-9_-]{1,80}$/.test(code) ? code : undefined;
}

/** `fetch` hides the socket's code in the cause. */
function connectionCode(error: unknown): string | undefined {
  let inner: unknown = error instanceof WebAPIRequestError ? error.original : error;
  for (let depth = 0; depth < 5 && inner instanceof Error; depth++) {
    const code = (inner as { code?: unknown }).code;
    if (typeof code === "string") return code;
    if (inner.name === "TimeoutError") return "timeout";
    const errors = (inner as { errors?: unknown }).errors;
    inner = inner.cause ?? (Array.isArray(errors) ? errors[0] : undefined);
  }
  return undefined;
}

async function faulted<T>(method: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw faultOf(method, error);
  }
}

function faultOf(method: string, error: unknown): SlackFault {
  if (error instanceof SlackFault) return error;
  const result = resultOf(error);
  return new SlackFault(method, result.kind === "limited" ? "ratelimited" : result.reason, error);
}

function webClient(options: SlackPosterOptions, timeout: number): WebClient {
  return new WebClient(options.token, {
    ...(options.apiUrl === undefined ? {} : { slackApiUrl: options.apiUrl }),
    timeout,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    allowAbsoluteUrls: false,
    // A request that waits in a queue goes out later than the ledger allowed.
    maxRequestConcurrency: Number.POSITIVE_INFINITY,
    logger: silent,
    fetch: fetchWithRetryAfter,
  });
}

/** The SDK takes a 429 without Retry-After for a failure of its own; what Slack means is clear all the same. */
const fetchWithRetryAfter: typeof fetch = async (input, init) => {
  const response = await fetch(input, init);
  if (response.status !== 429 || /^\d+$/.test(response.headers.get("retry-after") ?? "")) return response;
  const headers = new Headers(response.headers);
  headers.set("retry-after", String(DEFAULT_RETRY_AFTER_MS / 1_000));
  return new Response(response.body, { status: 429, headers });
};

/** The SDK logs requests' contents; what matters is in our results. */
const silent = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  setLevel: () => {},
  getLevel: () => "error",
  setName: () => {},
} as unknown as NonNullable<WebClientOptions["logger"]>;
