import { createHmac } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { BOT, shownMessage } from "./desk-web-api.js";
import type { DeskMessage, DeskUser, DeskView, DeskWorkspace, Json } from "./desk-workspace.js";

/** What a person does with a message, with the modal that is open for them, or with their Home tab. */
export interface Press {
  /** Slack user id. */
  readonly user: string;
  /** The message by its delivery, or by channel and ts; neither: the user's Home tab. */
  readonly deliveryId?: string;
  readonly channel?: string;
  readonly ts?: string;
  /** Of a button, select or menu that is really there. */
  readonly actionId: string;
  /** Of a select or menu: the option's value. Of buttons with the same action id (Home): the button's value. */
  readonly value?: string;
  /** Where the click opens a modal: what is filled in, by block id; it is then submitted. */
  readonly viewSubmit?: Readonly<Record<string, string>>;
  /** Domain instant (epoch ms) of the act; travels as `waypost_at`, which a receiver heeds only at `timeScale` above 1. */
  readonly at?: number;
}

export interface PressResult extends Answer {
  /** The modal that the click opened. */
  readonly modal?: DeskView;
  readonly submission?: Submission;
  /** What only this user was told meanwhile. */
  readonly ephemerals: readonly string[];
}

export interface Submission extends Answer {
  /** By block id: why the modal stayed open. */
  readonly errors?: Readonly<Record<string, string>>;
}

/** The receiver's answer; status 0 if there was none. Slack gives it 3 s, the desk longer: `late` tells. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly late: boolean;
}

export interface DeskReceiver {
  readonly url: string;
  readonly signingSecret: string;
  readonly timeoutMs: number;
}

/** Slack's signature over a request's body, for the headers. Source: docs.slack.dev, "Verifying requests from Slack". */
export function signSlackRequest(signingSecret: string, body: string, timestampSeconds: number): string {
  return `v0=${createHmac("sha256", signingSecret).update(`v0:${timestampSeconds}:${body}`).digest("hex")}`;
}

/** The signed interactions that a workspace sends. */
export class DeskInteractions {
  constructor(
    readonly workspace: DeskWorkspace,
    readonly receiver: () => DeskReceiver,
    readonly baseUrl: () => string,
  ) {}

  /** @throws Error where a person could not do that: no such message, button or option */
  async press(press: Press): Promise<PressResult> {
    const user = this.#user(press.user);
    const ephemeralsBefore = this.workspace.ephemerals.at(-1)?.number ?? 0;
    const target = this.#target(press);
    const blocks = target.kind === "message" ? target.message.blocks : ((target.view.view.blocks ?? []) as Json[]);
    const { element, blockId } = findElement(blocks, press.actionId, press.value);
    const triggerId = this.workspace.newTrigger(user.id);
    const modalBefore = this.workspace.modals.get(user.id);
    const payload = {
      type: "block_actions",
      ...this.#common(user, press.at),
      ...(target.kind === "message" ? this.#ofMessage(target.message, user) : ofView(target.view)),
      trigger_id: triggerId,
      actions: [actionOf(element, blockId, press.value)],
    };
    const answer = await this.#sendPayload(payload);
    const modal = this.workspace.modals.get(user.id);
    const opened = modal !== undefined && modal !== modalBefore ? modal : undefined;
    const submission = press.viewSubmit && opened ? await this.submit(user.id, press.viewSubmit, press.at) : undefined;
    const ephemerals = this.workspace.ephemerals
      .filter((told) => told.number > ephemeralsBefore && told.user === user.id)
      .map((told) => told.text);
    return { ...answer, ephemerals, ...(opened ? { modal: opened } : {}), ...(submission ? { submission } : {}) };
  }

  /** Submits the modal that is open for the user; one the receiver accepts is closed. */
  async submit(userId: string, filled: Readonly<Record<string, string>>, at?: number): Promise<Submission> {
    const user = this.#user(userId);
    const modal = this.workspace.modals.get(user.id);
    if (modal === undefined) throw new Error(`no modal is open for ${user.id}`);
    const values = valuesOf((modal.view.blocks ?? []) as Json[], filled);
    if ("missing" in values) {
      this.workspace.modals.set(user.id, { ...modal, errors: { [values.missing]: "Please fill this in." } });
      return { status: 200, body: "", late: false, errors: { [values.missing]: "Please fill this in." } };
    }
    const payload = {
      type: "view_submission",
      ...this.#common(user, at),
      trigger_id: this.workspace.newTrigger(user.id),
      view: { ...modal.view, id: modal.id, team_id: BOT.team_id, hash: modal.id, state: { values: values.state } },
      response_urls: [],
    };
    const answer = await this.#sendPayload(payload);
    const said = readObject(answer.body);
    if (answer.status === 200 && said?.response_action === "errors") {
      const errors = said.errors as Record<string, string>;
      this.workspace.modals.set(user.id, { ...modal, errors });
      return { ...answer, errors };
    }
    if (answer.status === 200 && said?.response_action === "update")
      this.workspace.modals.set(user.id, { ...modal, view: said.view as Json });
    else if (answer.status === 200 && this.workspace.modals.get(user.id)?.id === modal.id)
      this.workspace.modals.delete(user.id);
    return answer;
  }

  /** A slash command; what the receiver says is shown to the user alone. */
  async command(userId: string, command: string, text: string, channelId?: string): Promise<Answer> {
    const user = this.#user(userId);
    const channel = channelId === undefined ? this.workspace.channel(user.id) : this.workspace.channel(channelId);
    if (channel === undefined) throw new Error(`no channel ${channelId}`);
    const answer = await this.send(
      new URLSearchParams({
        team_id: BOT.team_id,
        channel_id: channel.id,
        channel_name: channel.name,
        user_id: user.id,
        user_name: user.name,
        command,
        text,
        api_app_id: APP_ID,
        response_url: this.#responseUrl(channel.id, user.id),
        trigger_id: this.workspace.newTrigger(user.id),
      }).toString(),
      FORM,
    );
    const said = readObject(answer.body);
    const shown = String(said?.text ?? answer.body);
    if (answer.status === 200 && shown !== "")
      this.workspace.ephemeral(channel.id, user.id, shown, (said?.blocks ?? []) as Json[]);
    return answer;
  }

  /** The user looks at the app's Home tab; Slack's answer comes before the tab is drawn, so it is waited for, 2 s at most. */
  async openHome(userId: string): Promise<Answer> {
    const user = this.#user(userId);
    const channel = this.workspace.channel(user.id);
    const now = Date.now();
    const before = this.workspace.homes.get(user.id);
    const answer = await this.send(
      JSON.stringify({
        type: "event_callback",
        team_id: BOT.team_id,
        api_app_id: APP_ID,
        event: {
          type: "app_home_opened",
          user: user.id,
          channel: channel?.id,
          tab: "home",
          event_ts: String(now / 1_000),
        },
        event_id: this.workspace.nextId("Ev"),
        event_time: Math.floor(now / 1_000),
        authorizations: [{ team_id: BOT.team_id, user_id: BOT.user_id, is_bot: true }],
      }),
      "application/json",
    );
    for (let waited = 0; answer.status === 200 && waited < HOME_DRAWN_MS; waited += 20) {
      if (this.workspace.homes.get(user.id) !== before) break;
      await sleep(20);
    }
    return answer;
  }

  /** Signs and sends a body as it is. */
  async send(body: string, contentType: string): Promise<Answer> {
    const { url, signingSecret, timeoutMs } = this.receiver();
    const timestamp = Math.floor(Date.now() / 1_000);
    const began = performance.now();
    this.workspace.tally("interactions");
    let answer: { status: number; body: string };
    try {
      const response = await fetch(url, {
        method: "POST",
        body,
        headers: {
          "content-type": contentType,
          "x-slack-request-timestamp": String(timestamp),
          "x-slack-signature": signSlackRequest(signingSecret, body, timestamp),
        },
        signal: AbortSignal.timeout(timeoutMs),
      });
      answer = { status: response.status, body: await response.text() };
    } catch {
      answer = { status: 0, body: "" };
    }
    const late = performance.now() - began > SLACK_ACK_MS;
    if (late) this.workspace.tally("interactionsLate");
    if (answer.status !== 200) this.workspace.tally("interactionsFailed");
    return { ...answer, late };
  }

  #sendPayload(payload: Json): Promise<Answer> {
    return this.send(new URLSearchParams({ payload: JSON.stringify(payload) }).toString(), FORM);
  }

  #user(id: string): DeskUser {
    const user = this.workspace.userById(id);
    if (user === undefined) throw new Error(`the desk has no user ${id}`);
    return user;
  }

  #target(press: Press): { kind: "message"; message: DeskMessage } | { kind: "home"; view: DeskView } {
    if (press.deliveryId === undefined && press.ts === undefined) {
      const view = this.workspace.homes.get(press.user);
      if (view === undefined) throw new Error(`${press.user} has no Home tab yet`);
      return { kind: "home", view };
    }
    const message =
      press.deliveryId !== undefined
        ? this.workspace.ofDelivery(press.deliveryId)
        : this.workspace
            .messages()
            .find((one) => one.ts === press.ts && (press.channel === undefined || one.channel === press.channel));
    if (message === undefined) throw new Error(`the desk has no message ${press.deliveryId ?? press.ts}`);
    return { kind: "message", message };
  }

  #common(user: DeskUser, at: number | undefined): Json {
    return {
      user: { id: user.id, username: user.name, name: user.name, team_id: BOT.team_id },
      api_app_id: APP_ID,
      team: { id: BOT.team_id, domain: "desk" },
      enterprise: null,
      is_enterprise_install: false,
      ...(at === undefined ? {} : { waypost_at: at }),
    };
  }

  #ofMessage(message: DeskMessage, user: DeskUser): Json {
    return {
      container: { type: "message", message_ts: message.ts, channel_id: message.channel, is_ephemeral: false },
      channel: {
        id: message.channel,
        name: message.user === undefined ? message.channelName.slice(1) : "directmessage",
      },
      message: shownMessage(message),
      state: { values: {} },
      response_url: this.#responseUrl(message.channel, user.id),
    };
  }

  #responseUrl(channel: string, user: string): string {
    return `${this.baseUrl()}/response/${channel}/${user}`;
  }
}

const FORM = "application/x-www-form-urlencoded";
const APP_ID = "AWAYPOST";
const HOME_DRAWN_MS = 2_000;
/** Slack shows the user an error after it. */
const SLACK_ACK_MS = 3_000;

function ofView(view: DeskView): Json {
  return {
    container: { type: "view", view_id: view.id },
    view: { ...view.view, id: view.id, team_id: BOT.team_id, hash: view.id, state: { values: {} } },
  };
}

/** Everything in the blocks that can be pressed. */
export function elementsOf(blocks: readonly Json[]): { element: Json; blockId: string }[] {
  return blocks.flatMap((block, index) => {
    const elements = [
      ...((block.elements as Json[] | undefined) ?? []),
      ...(block.accessory ? [block.accessory as Json] : []),
    ];
    return elements
      .filter((element) => typeof element.action_id === "string")
      .map((element) => ({ element, blockId: blockIdOf(block, index) }));
  });
}

/** Slack names blocks that have no id. */
export function blockIdOf(block: Json, index: number): string {
  return typeof block.block_id === "string" ? block.block_id : `desk-${index}`;
}

function findElement(
  blocks: readonly Json[],
  actionId: string,
  value: string | undefined,
): { element: Json; blockId: string } {
  const all = elementsOf(blocks);
  const named = all.filter(({ element }) => element.action_id === actionId);
  const found =
    named.length > 1 && value !== undefined ? named.find(({ element }) => element.value === value) : named[0];
  if (found !== undefined) return found;
  const there = all.map(({ element }) => String(element.action_id)).join(", ") || "nothing";
  throw new Error(`there is no ${actionId} to press here, only ${there}`);
}

function actionOf(element: Json, blockId: string, value: string | undefined): Json {
  const action = {
    type: element.type,
    action_id: element.action_id,
    block_id: blockId,
    action_ts: String(Date.now() / 1_000),
  };
  if (element.type === "button") return { ...action, text: element.text, value: element.value };
  return { ...action, selected_option: optionOf(element, value) };
}

function optionOf(element: Json, value: string | undefined): Json {
  const groups = (element.option_groups as { options: Json[] }[] | undefined) ?? [];
  const options = [...((element.options as Json[] | undefined) ?? []), ...groups.flatMap((group) => group.options)];
  const found = options.find((option) => option.value === value);
  if (found !== undefined) return found;
  const there = options.map((option) => String(option.value)).join(", ");
  throw new Error(`${String(element.action_id)} has no option ${value}, only ${there}`);
}

/** Slack doesn't send a modal whose inputs are empty, except optional ones. */
function valuesOf(
  blocks: readonly Json[],
  filled: Readonly<Record<string, string>>,
): { state: Json } | { missing: string } {
  const state: Record<string, Json> = {};
  for (const [index, block] of blocks.entries()) {
    if (block.type !== "input") continue;
    const blockId = blockIdOf(block, index);
    const element = block.element as Json;
    const value = filled[blockId] ?? "";
    if (value === "" && block.optional !== true) return { missing: blockId };
    const given =
      element.type === "plain_text_input"
        ? { type: element.type, value: value === "" ? null : value }
        : { type: element.type, selected_option: value === "" ? null : optionOf(element, value) };
    state[blockId] = { [String(element.action_id)]: given };
  }
  return { state };
}

function readObject(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}
