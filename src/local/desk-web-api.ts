import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { DeskBehaviour, DeskBehaviours } from "./desk-behaviours.js";
import { blockProblems, viewProblems } from "./desk-limits.js";
import { readBody } from "./desk-request.js";
import type { DeskMessage, DeskUser, DeskWorkspace, Json } from "./desk-workspace.js";

export interface DeskWebApi {
  readonly workspace: DeskWorkspace;
  readonly behaviours: DeskBehaviours;
  /** Awaited before a post is answered. A throw is answered with 500, the message stays. */
  readonly onPost: (message: DeskMessage) => void | Promise<void>;
  /** Refused tokens get `invalid_auth`. */
  readonly token: string | undefined;
}

/** Answers one call of Slack's Web API, `/api/METHOD`. */
export async function answerWebApi(
  method: string,
  request: IncomingMessage,
  response: ServerResponse,
  api: DeskWebApi,
): Promise<void> {
  const args = argumentsOf(await readBody(request), request.headers["content-type"] ?? "");
  const { workspace } = api;
  const behaviour = api.behaviours.take(method, typeof args.channel === "string" ? args.channel : undefined);
  if (behaviour !== undefined && behaviour.kind !== "delay") workspace.tally("troubled");
  if (behaviour && !wasAccepted(behaviour)) return misbehave(behaviour, request, response);
  const expected = api.token === undefined ? undefined : `Bearer ${api.token}`;
  if (expected !== undefined && request.headers.authorization !== expected && args.token !== api.token)
    return answer(response, { ok: false, error: "invalid_auth" });
  const work = METHODS[method];
  const result = work === undefined ? { ok: false, error: "unknown_method" } : await work(args, api);
  if (behaviour?.kind === "delay") await sleep(behaviour.delayMs);
  else if (behaviour) return misbehave(behaviour, request, response);
  answer(response, result);
}

function wasAccepted(behaviour: DeskBehaviour): boolean {
  return behaviour.kind === "delay" || ("accepted" in behaviour && behaviour.accepted === true);
}

function misbehave(behaviour: DeskBehaviour, request: IncomingMessage, response: ServerResponse): void {
  switch (behaviour.kind) {
    case "limit":
      response.writeHead(429, { "retry-after": String(behaviour.retryAfterSeconds) });
      return void response.end(JSON.stringify({ ok: false, error: "ratelimited" }));
    case "limit_without_header":
      response.writeHead(429);
      return void response.end(JSON.stringify({ ok: false, error: "ratelimited" }));
    case "error":
      return answer(response, { ok: false, error: behaviour.error });
    case "status":
      response.writeHead(behaviour.status, { "content-type": "text/html" });
      return void response.end("<html>Something is wrong here</html>");
    case "garbage":
      response.writeHead(200, { "content-type": "text/html" });
      return void response.end("<html>Sign in to the hotel's network</html>");
    case "drop":
      return void request.socket.destroy();
    case "delay":
      return;
  }
}

type Method = (args: Json, api: DeskWebApi) => Json | Promise<Json>;

const METHODS: Readonly<Record<string, Method>> = {
  "api.test": () => ({ ok: true }),

  "auth.test": () => ({ ok: true, url: "https://desk.example/", team: "Desk", user: "waypost", ...BOT }),

  "chat.postMessage": async (args, { workspace, onPost }) => {
    const channel = typeof args.channel === "string" ? workspace.channel(args.channel) : undefined;
    if (channel === undefined) return { ok: false, error: "channel_not_found" };
    const blocks = (args.blocks ?? []) as Json[];
    const problems = blockProblems(blocks, "message");
    if (problems.length > 0) return invalidBlocks(problems);
    const text = String(args.text ?? "");
    if (text === "" && blocks.length === 0) return { ok: false, error: "no_text" };
    if (text.length > 40_000) return { ok: false, error: "msg_too_long" };
    const threadTs = typeof args.thread_ts === "string" ? args.thread_ts : undefined;
    if (threadTs !== undefined && workspace.find(channel.id, threadTs) === undefined)
      return { ok: false, error: "thread_not_found" };
    const message = workspace.post(channel, {
      text,
      blocks,
      ...(threadTs === undefined ? {} : { threadTs }),
      ...(isObject(args.metadata) ? { metadata: args.metadata } : {}),
    });
    await onPost(message);
    return { ok: true, channel: channel.id, ts: message.ts, message: shownMessage(message) };
  },

  "chat.update": (args, { workspace }) => {
    const message = workspace.find(String(args.channel), String(args.ts));
    if (message === undefined) return { ok: false, error: "message_not_found" };
    const blocks = (args.blocks ?? []) as Json[];
    const problems = blockProblems(blocks, "message");
    if (problems.length > 0) return invalidBlocks(problems);
    const text = String(args.text ?? "");
    if (text.length > 4_000) return { ok: false, error: "msg_too_long" };
    message.text = text;
    message.blocks = blocks;
    message.edits += 1;
    workspace.tally("updates");
    return { ok: true, channel: message.channel, ts: message.ts, text };
  },

  "chat.postEphemeral": (args, { workspace }) => {
    const channel = workspace.channel(String(args.channel));
    if (channel === undefined) return { ok: false, error: "channel_not_found" };
    if (workspace.userById(String(args.user)) === undefined) return { ok: false, error: "user_not_in_channel" };
    workspace.ephemeral(channel.id, String(args.user), String(args.text ?? ""), (args.blocks ?? []) as Json[]);
    return { ok: true, message_ts: "0.000001" };
  },

  "conversations.open": (args, { workspace }) => {
    const channel = workspace.channel(String(args.users));
    if (channel?.user === undefined) return { ok: false, error: "user_not_found" };
    return { ok: true, channel: { id: channel.id } };
  },

  "conversations.list": (_args, { workspace }) => ({
    ok: true,
    channels: [...workspace.channels.values()]
      .filter((channel) => channel.user === undefined)
      .map((channel) => ({ id: channel.id, name: channel.name.slice(1), is_channel: true, is_archived: false })),
    response_metadata: { next_cursor: "" },
  }),

  "conversations.info": (args, { workspace }) => {
    const channel = workspace.channel(String(args.channel));
    if (channel === undefined) return { ok: false, error: "channel_not_found" };
    return {
      ok: true,
      channel: { id: channel.id, name: channel.name.replace(/^#/, ""), is_im: channel.user !== undefined },
    };
  },

  "conversations.history": (args, { workspace }) =>
    history(args, workspace, (message) => message.threadTs === undefined || message.threadTs === message.ts),

  "conversations.replies": (args, { workspace }) => {
    if (workspace.find(String(args.channel), String(args.ts)) === undefined)
      return { ok: false, error: "thread_not_found" };
    return history(args, workspace, (message) => message.ts === args.ts || message.threadTs === args.ts);
  },

  "users.lookupByEmail": (args, { workspace }) => {
    const user = workspace.userByEmail(String(args.email));
    return user === undefined ? { ok: false, error: "users_not_found" } : { ok: true, user: shownUser(user) };
  },

  "users.info": (args, { workspace }) => {
    const user = workspace.userById(String(args.user));
    return user === undefined ? { ok: false, error: "user_not_found" } : { ok: true, user: shownUser(user) };
  },

  "views.open": (args, { workspace }) => {
    const problems = viewProblems(args.view);
    if (problems.length > 0) return invalidBlocks(problems);
    const trigger = workspace.useTrigger(String(args.trigger_id));
    if (typeof trigger === "string") return { ok: false, error: trigger };
    const view = { id: workspace.nextId("V"), user: trigger.user, view: args.view as Json };
    workspace.modals.set(trigger.user, view);
    return { ok: true, view: { ...view.view, id: view.id } };
  },

  "views.publish": (args, { workspace }) => {
    const problems = viewProblems(args.view);
    if (problems.length > 0) return invalidBlocks(problems);
    if (workspace.userById(String(args.user_id)) === undefined) return { ok: false, error: "user_not_found" };
    const view = { id: workspace.nextId("V"), user: String(args.user_id), view: args.view as Json };
    workspace.homes.set(view.user, view);
    return { ok: true, view: { ...view.view, id: view.id } };
  },
};

/** The app's own identity in the desk's workspace. */
export const BOT = { user_id: "UWAYPOST", bot_id: "BWAYPOST", team_id: "TDESK" } as const;

function history(args: Json, workspace: DeskWorkspace, shows: (message: DeskMessage) => boolean): Json {
  const channel = workspace.channel(String(args.channel));
  if (channel === undefined) return { ok: false, error: "channel_not_found" };
  const oldest = Number(args.oldest ?? 0);
  const limit = Math.min(Number(args.limit ?? 100), 999);
  const from = Number(args.cursor ?? 0);
  const withMetadata = args.include_all_metadata === true || args.include_all_metadata === "true";
  const found = workspace
    .messages()
    .filter((message) => message.channel === channel.id && shows(message) && Number(message.ts) >= oldest)
    .reverse();
  const page = found.slice(from, from + limit);
  const hasMore = from + limit < found.length;
  return {
    ok: true,
    messages: page.map((message) => {
      const { metadata, ...shown } = shownMessage(message);
      return withMetadata ? { ...shown, metadata } : shown;
    }),
    has_more: hasMore,
    response_metadata: { next_cursor: hasMore ? String(from + limit) : "" },
  };
}

/** As interactions and histories show a message. */
export function shownMessage(message: DeskMessage): Json {
  return {
    type: "message",
    user: BOT.user_id,
    bot_id: BOT.bot_id,
    ts: message.ts,
    text: message.text,
    blocks: message.blocks,
    ...(message.threadTs === undefined ? {} : { thread_ts: message.threadTs }),
    ...(message.metadata === undefined ? {} : { metadata: message.metadata }),
  };
}

function shownUser(user: DeskUser): Json {
  return {
    id: user.id,
    team_id: BOT.team_id,
    name: user.name,
    real_name: user.name,
    is_bot: false,
    profile: { email: user.email, real_name: user.name },
  };
}

function invalidBlocks(problems: readonly string[]): Json {
  return {
    ok: false,
    error: "invalid_blocks",
    response_metadata: { messages: problems.map((text) => `[ERROR] ${text}`) },
  };
}

/** Form fields or JSON; what is JSON inside a field is read. */
function argumentsOf(body: string, contentType: string): Json {
  if (contentType.startsWith("application/json")) return JSON.parse(body) as Json;
  const args: Json = {};
  for (const [name, value] of new URLSearchParams(body)) args[name] = JSON_FIELDS.has(name) ? JSON.parse(value) : value;
  return args;
}

const JSON_FIELDS = new Set(["blocks", "metadata", "view"]);

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null;
}

function answer(response: ServerResponse, result: Json): void {
  if (response.destroyed) return;
  response.writeHead(200, { "content-type": "application/json; charset=utf-8" });
  response.end(JSON.stringify(result));
}
