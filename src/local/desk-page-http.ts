import type { IncomingMessage, ServerResponse } from "node:http";
import type { DeskBehaviour, DeskBehaviours } from "./desk-behaviours.js";
import type { DeskInteractions } from "./desk-interactions.js";
import { deskPage } from "./desk-pages.js";
import { readBody } from "./desk-request.js";
import type { DeskWorkspace } from "./desk-workspace.js";

export interface DeskPageParts {
  readonly workspace: DeskWorkspace;
  readonly behaviours: DeskBehaviours;
  readonly interactions: DeskInteractions;
}

/**
 * The page, its forms, and JSON for whoever counts: `GET /posts?after=N&limit=`, `GET /deliveries` (how often each id came),
 * `GET /deliveries/ID`, `GET /stats`, `GET|POST|DELETE /behaviours`.
 */
export async function answerPage(
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
  parts: DeskPageParts,
): Promise<void> {
  const { workspace, behaviours, interactions } = parts;
  const path = url.pathname;
  if (!isOwn(request)) return json(response, 403, { error: "the desk answers its own page only" });
  if (request.method === "POST" && path === "/press") return form(request, response, parts, press);
  if (request.method === "POST" && path === "/submit") return form(request, response, parts, submit);
  if (request.method === "POST" && path === "/close") return form(request, response, parts, close);
  if (request.method === "POST" && path === "/command") return form(request, response, parts, command);
  if (path === "/behaviours") {
    if (request.method === "POST") behaviours.add(JSON.parse(await readBody(request)) as DeskBehaviour);
    else if (request.method === "DELETE") behaviours.clear();
    return json(response, 200, { behaviours: behaviours.all() });
  }
  if (request.method !== "GET" && request.method !== "HEAD") return json(response, 405, { error: "GET only" });
  if (path === "/stats") return json(response, 200, workspace.stats());
  if (path === "/posts") {
    const after = Number(url.searchParams.get("after") ?? 0);
    const limit = Math.min(Number(url.searchParams.get("limit") ?? LISTED_MAX), LISTED_MAX);
    const found = workspace.messages().filter((message) => message.number > after);
    return json(response, 200, { posts: found.slice(0, limit), more: found.length > limit });
  }
  if (path === "/deliveries") return json(response, 200, { deliveries: Object.fromEntries(workspace.counts()) });
  if (path.startsWith("/deliveries/")) {
    const id = decodeURIComponent(path.slice("/deliveries/".length));
    const count = workspace.count(id);
    if (count === 0) return json(response, 404, { error: "nothing with this delivery id was posted" });
    return json(response, 200, { deliveryId: id, count, post: workspace.ofDelivery(id) ?? null });
  }
  if (path !== "/") return json(response, 404, { error: "no such page" });
  const user = url.searchParams.get("user") ?? "";
  if (url.searchParams.get("channel") === "home" && workspace.userById(user) !== undefined) {
    // As in Slack: looking at the tab is what makes the app draw it.
    if (!url.searchParams.has("drawn")) await interactions.openHome(user).catch(() => undefined);
  }
  const page = deskPage(workspace, url.searchParams);
  response.writeHead(200, {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy":
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; form-action 'self'",
  });
  response.end(page);
}

/** How many messages one answer of `/posts` holds at most. */
const LISTED_MAX = 500;

type Act = (fields: URLSearchParams, parts: DeskPageParts) => Promise<string | undefined>;

async function form(request: IncomingMessage, response: ServerResponse, parts: DeskPageParts, act: Act): Promise<void> {
  const fields = new URLSearchParams(await readBody(request));
  let notice: string | undefined;
  try {
    notice = await act(fields, parts);
  } catch (error) {
    notice = error instanceof Error ? error.message : "That did not work.";
  }
  const back = new URLSearchParams({ user: fields.get("user") ?? "", channel: fields.get("channel") ?? "" });
  if (fields.get("channel") === "home") back.set("drawn", "1");
  if (notice !== undefined) back.set("notice", notice);
  response.writeHead(303, { location: `/?${back.toString()}` });
  response.end();
}

const press: Act = async (fields, { interactions }) => {
  const isHome = fields.get("channel") === "home";
  const value = fields.get("value");
  const answer = await interactions.press({
    user: fields.get("user") ?? "",
    ...(isHome ? {} : { channel: fields.get("channel") ?? "", ts: fields.get("ts") ?? "" }),
    actionId: fields.get("action") ?? "",
    ...(value === null ? {} : { value }),
  });
  return trouble(answer);
};

const submit: Act = async (fields, { interactions }) => {
  const filled: Record<string, string> = {};
  for (const [name, value] of fields) if (name.startsWith("field:")) filled[name.slice("field:".length)] = value;
  return trouble(await interactions.submit(fields.get("user") ?? "", filled));
};

const close: Act = async (fields, { workspace }) => {
  workspace.modals.delete(fields.get("user") ?? "");
  return undefined;
};

const command: Act = async (fields, { interactions }) => {
  const [, name, text] = /^(\/\S+)\s*(.*)$/s.exec((fields.get("text") ?? "").trim()) ?? [];
  if (name === undefined) return "Only slash commands work here, for example: /waypost tasks";
  const channel = fields.get("channel") ?? "";
  const user = fields.get("user") ?? "";
  return trouble(await interactions.command(user, name, text ?? "", channel === "home" ? user : channel));
};

function trouble(answer: { status: number }): string | undefined {
  if (answer.status === 200) return undefined;
  return answer.status === 0 ? "The app did not answer." : `The app answered ${answer.status}.`;
}

/** Another site's page in the same browser may not press our buttons. */
function isOwn(request: IncomingMessage): boolean {
  const host = request.headers.host ?? "";
  if (!/^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(host)) return false;
  const origin = request.headers.origin;
  return request.method !== "POST" || origin === undefined || origin === `http://${host}`;
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" });
  response.end(JSON.stringify(value));
}
