import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createSlackMessages } from "../../../src/adapters/slack/messages.js";
import { createSlackPoster, type WebApiPoster } from "../../../src/adapters/slack/web-api-poster.js";
import {
  createSlackEntrance,
  type SlackEntrance,
  type SlackEntranceOptions,
} from "../../../src/entrances/slack/receiver.js";
import { type Desk, type DeskOptions, startDesk } from "../../../src/local/desk.js";
import type { TaskCard } from "../../../src/ports/composer.js";
import { FakeActions, memoryRequestLog } from "./fake-actions.js";

export const SECRET = "signing-secret";
export const USERS = [
  { id: "UALICE", name: "Alice Kowalska", email: "alice@vendor.example" },
  { id: "UBOB", name: "Bob Marsh", email: "bob@vendor.example" },
  { id: "UMIA", name: "Mia Chen", email: "mia@vendor.example" },
  { id: "UGUEST", name: "Guest", email: "guest@elsewhere.example" },
];

export interface Setting {
  readonly desk: Desk;
  readonly poster: WebApiPoster;
  readonly actions: FakeActions;
  readonly log: ReturnType<typeof memoryRequestLog>;
  readonly entrance: SlackEntrance;
  readonly receiverUrl: string;
  readonly faults: string[];
  /** Posts the task's message to Alice. */
  postTask(card?: TaskCard): Promise<{ channel: string; ts: string; deliveryId: string }>;
  stop(): Promise<void>;
}

/** Desk, poster and receiver on loopback; behind them actions that only remember. */
export async function startSetting(
  options: Partial<SlackEntranceOptions> = {},
  deskOptions: Partial<DeskOptions> = {},
): Promise<Setting> {
  const desk = await startDesk({ signingSecret: SECRET, users: USERS, ...deskOptions });
  const poster = createSlackPoster({ token: "xoxb-test", apiUrl: desk.apiUrl, timeoutMs: 10_000 });
  const messages = createSlackMessages();
  const actions = new FakeActions();
  const log = memoryRequestLog();
  const faults: string[] = [];
  const entrance = createSlackEntrance({
    token: "xoxb-test",
    signingSecret: SECRET,
    apiUrl: desk.apiUrl,
    actions,
    poster,
    messages,
    log,
    onFault: (what, error) => faults.push(`${what}: ${error instanceof Error ? error.message : JSON.stringify(error)}`),
    ...options,
  });
  const server = createServer(entrance.requestListener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const receiverUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}${entrance.path}`;
  desk.setReceiver(receiverUrl);
  let deliveries = 0;
  return {
    desk,
    poster,
    actions,
    log,
    entrance,
    receiverUrl,
    faults,
    async postTask(card = actions.card) {
      deliveries += 1;
      const deliveryId = `delivery-${deliveries}`;
      const result = await poster.post({ channel: "UALICE", deliveryId, ...messages.task(card) });
      if (result.kind !== "posted") throw new Error(`not posted: ${JSON.stringify(result)}`);
      return { channel: result.channel, ts: result.ts, deliveryId };
    },
    async stop() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await entrance.stop();
      await desk.stop();
    },
  };
}
