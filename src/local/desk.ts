import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type DeskBehaviour, DeskBehaviours } from "./desk-behaviours.js";
import { type Answer, DeskInteractions, type Press, type PressResult } from "./desk-interactions.js";
import { answerPage } from "./desk-page-http.js";
import { readBody } from "./desk-request.js";
import { answerWebApi } from "./desk-web-api.js";
import {
  type DeskEphemeral,
  type DeskMessage,
  type DeskStats,
  type DeskUser,
  type DeskView,
  DeskWorkspace,
} from "./desk-workspace.js";

export interface DeskOptions {
  /** 0 or absent: a free one. Always on 127.0.0.1. */
  readonly port?: number;
  /** What interactions are signed with: the receiver's `SLACK_SIGNING_SECRET`. */
  readonly signingSecret: string;
  /** Where they go: `http://…/slack/events`. May be told later with `setReceiver`. */
  readonly receiverUrl?: string;
  /** Refuse other bot tokens; absent: any will do. */
  readonly token?: string;
  /** Who there is; absent: whoever is looked up exists. */
  readonly users?: readonly DeskUser[];
  /** Channels that are there from the beginning (`#name`); others come into being when somebody first names them. */
  readonly channels?: readonly string[];
  /** Messages kept whole; older ones only stay counted. Default 10 000. */
  readonly keep?: number;
  /** How long an interaction may take; default 30 s (Slack itself shows an error after 3: `stats().interactionsLate`). */
  readonly answerTimeoutMs?: number;
  /**
   * Awaited before `chat.postMessage` is answered: scripted people press their button first. The message is there by then
   * and may be pressed by its `ts`. A throw is answered with 500, and the message stays.
   */
  readonly onPost?: (message: DeskMessage) => void | Promise<void>;
}

export interface Desk {
  /** For `createSlackPoster({ apiUrl })`. */
  readonly apiUrl: string;
  /** The page; also the base of `/posts?after=N`, `/deliveries`, `/deliveries/ID`, `/stats`, `/behaviours`. */
  readonly url: string;
  setReceiver(url: string): void;
  /** What is kept, oldest first. */
  posts(): readonly DeskMessage[];
  /** How often a delivery id was posted, kept whole or not. */
  count(deliveryId: string): number;
  stats(): DeskStats;
  ephemerals(): readonly DeskEphemeral[];
  home(user: string): DeskView | undefined;
  modal(user: string): DeskView | undefined;
  /** Slack user id of an address, as `users.lookupByEmail` gives it. */
  userByEmail(email: string): DeskUser | undefined;
  /** Presses a real button as a person would: a signed interaction to the receiver. Throws if there is no such button. */
  press(press: Press): Promise<PressResult>;
  /** Submits the modal that is open for the user. */
  submit(user: string, filled: Readonly<Record<string, string>>): Promise<Answer>;
  command(user: string, command: string, text: string): Promise<Answer>;
  openHome(user: string): Promise<Answer>;
  /** From now on the Web API misbehaves so; the first behaviour that applies wins, and is used up after `times`. */
  misbehave(behaviour: DeskBehaviour): void;
  behave(): void;
  /** Closes the server and all connections. */
  stop(): Promise<void>;
}

/**
 * A Slack of one's own on loopback: its Web API, its signatures, and a page that shows messages and whose buttons really post
 * back. For the demo and for tests, never for production.
 */
export async function startDesk(options: DeskOptions): Promise<Desk> {
  const workspace = new DeskWorkspace({
    keep: options.keep ?? DEFAULT_KEEP,
    ...(options.users ? { users: options.users } : {}),
  });
  for (const name of options.channels ?? []) workspace.channel(name);
  const behaviours = new DeskBehaviours();
  let receiverUrl = options.receiverUrl;
  let url = "";
  const interactions = new DeskInteractions(
    workspace,
    () => {
      if (receiverUrl === undefined) throw new Error("the desk was not told where the receiver is");
      const timeoutMs = options.answerTimeoutMs ?? 30_000;
      return { url: receiverUrl, signingSecret: options.signingSecret, timeoutMs };
    },
    () => url,
  );
  const api = { workspace, behaviours, onPost: options.onPost ?? (() => {}), token: options.token };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = new URL(request.url ?? "/", url);
    if (asked.pathname.startsWith("/api/"))
      return answerWebApi(asked.pathname.slice("/api/".length), request, response, api);
    if (asked.pathname.startsWith("/response/")) {
      const [, , channel = "", user = ""] = asked.pathname.split("/");
      const said = JSON.parse(await readBody(request)) as { text?: string };
      if (said.text) workspace.ephemeral(channel, user, said.text);
      return void response.end("ok");
    }
    return answerPage(asked, request, response, { workspace, behaviours, interactions });
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) return void response.destroy();
      response.writeHead(500, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: error instanceof Error ? error.message : "fault" }));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    apiUrl: `${url}/api/`,
    url,
    setReceiver: (next) => {
      receiverUrl = next;
    },
    posts: () => workspace.messages(),
    count: (deliveryId) => workspace.count(deliveryId),
    stats: () => workspace.stats(),
    ephemerals: () => workspace.ephemerals,
    home: (user) => workspace.homes.get(user),
    modal: (user) => workspace.modals.get(user),
    userByEmail: (email) => workspace.userByEmail(email),
    press: (press) => interactions.press(press),
    submit: (user, filled) => interactions.submit(user, filled),
    command: (user, command, text) => interactions.command(user, command, text),
    openHome: (user) => interactions.openHome(user),
    misbehave: (behaviour) => behaviours.add(behaviour),
    behave: () => behaviours.clear(),
    stop: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const DEFAULT_KEEP = 10_000;
