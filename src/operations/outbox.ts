import { randomUUID } from "node:crypto";
import type { Colleague } from "../customers/people.js";
import type { Policy } from "../engine/policy.js";
import type { SlackBody } from "../ports/composer.js";
import type { DeliveryRow } from "../ports/ledger.js";
import { StoreUnavailable, type Tx } from "../ports/transactions.js";
import type { Instant } from "../values/instant.js";
import { type Conversation, deliver, follow, isFinal, isStalled, type Standing } from "./deliver.js";
import { deliveryId } from "./delivery-id.js";
import type { DeskPorts } from "./perform-ports.js";
import { taskBody } from "./tasks/task-message.js";

/** Who a Slack message is for: one of ours, or a channel. */
export type SlackTarget = { readonly person: Pick<Colleague, "id"> } | { readonly channel: string };

/** A message of no run: it is kept with what it tells of, in one transaction, and posted afterwards, at most once, however often it fails. */
export interface Notice {
  /** The same key is the same message. */
  readonly key: string;
  readonly to: SlackTarget;
  /** What it belongs to; default: its key. */
  readonly about?: string;
  /** Absent: a task's own message, rendered when it is posted. */
  readonly body?: SlackBody;
  readonly accountId: string | null;
  readonly at: Instant;
}

/** Puts notices into the outbox; those that are there stay as they are. */
export async function putNotices(ports: Pick<DeskPorts, "ledger">, tx: Tx, notices: readonly Notice[]): Promise<void> {
  await ports.ledger.pin(
    tx,
    notices.map(({ key, about, to, body, accountId, at }) => ({
      key,
      id: deliveryId(key),
      channel: "slack",
      runId: null,
      effectKey: about ?? key,
      step: null,
      accountId,
      contactId: null,
      recipient: recipientOf(to),
      category: null,
      template: null,
      templateHash: null,
      locale: null,
      priority: 50,
      dueAt: at,
      createdAt: at,
      raw: body === undefined ? null : JSON.stringify(body),
    })),
  );
}

/** As the ledger keeps a target: `user:ID` for one of ours (whose Slack user is looked up when it is posted), else the channel. */
export function recipientOf(to: SlackTarget): string {
  return "person" in to ? `user:${to.person.id}` : to.channel;
}

/** Messages posted in one go; the next poke takes the rest. */
export const OUTBOX_BATCH = 50;
/** A claimed row that nobody touched for so long was left by a process that died. */
const IDLE_MS = 1_000;

/**
 * Posts what is in the outbox, the oldest first; how many are done. Any number of processes may do it at once; call it on every poke and after
 * each change. One that can't be posted for a fault is reported to `onFault` and keeps no other waiting; throws `StoreUnavailable`, and what
 * failed where there is no `onFault`.
 */
export async function postOutbox(ports: DeskPorts, limit = OUTBOX_BATCH): Promise<number> {
  const rows = await ports.store.read((tx) => ports.ledger.outbox(tx, limit, IDLE_MS));
  let posted = 0;
  for (const row of rows) {
    try {
      const standing = await postNotice(ports, row, ports.settings.slackReplyMs + ports.settings.slackenMs);
      if (standing.kind === "final") posted += 1;
    } catch (error) {
      if (error instanceof StoreUnavailable || ports.onFault === undefined) throw error;
      ports.onFault(`delivery ${row.key}`, error);
    }
  }
  return posted;
}

/** Posts one notice now, if it isn't another's. */
export async function postNotice(ports: DeskPorts, row: DeliveryRow, leftMs: number): Promise<Standing> {
  const body = row.raw === null ? await taskBody(ports, row.key) : (JSON.parse(row.raw) as SlackBody);
  if (!body) {
    // What is on the wire may have been seen (and its task closed by it): Slack knows.
    if (row.status === "wire") {
      const conversation = await conversationOf(ports, row, NOTHING_TO_SAY);
      const standing = await follow(ports, row, conversation, { leftMs, mayResend: false });
      if (standing.kind !== "claimed") return standing;
    }
    await ports.store.read((tx) => ports.ledger.drop(tx, row.key, "skipped", "its task is closed"));
    return { kind: "final", row };
  }
  const standing = await postSlack(ports, row, body, leftMs, async () => randomUUID());
  if (standing.kind === "final" && standing.row.status === "rejected" && ALARM.test(row.key))
    await alertOthers(ports, row, body);
  return standing;
}

/** Of a message that is only looked for. */
const NOTHING_TO_SAY: SlackBody = { text: "", blocks: [] };

/** That a run needs attention (`effects/park.ts`): somebody has to hear of it. */
const ALARM = /\|!park:[^|]*\|slack$/;

/** Its owner has no Slack user, or their channel is gone: the channel for alarms is told instead. Idempotent. */
async function alertOthers(ports: DeskPorts, row: DeliveryRow, body: SlackBody): Promise<void> {
  const { store } = ports;
  const policy = await store.read((tx) => store.playbooks.configuration<Policy>(tx, "policy"));
  const channel = policy?.slack.alertsChannel;
  if (channel === undefined || channel === row.recipient) return;
  const { accountId, createdAt: at } = row;
  await store.transaction((tx) =>
    putNotices(ports, tx, [{ key: `${row.key}|alerts`, to: { channel }, body, accountId, at }]),
  );
}

/**
 * Brings a row of the ledger to Slack: claims it by `claim` (which may refuse: undefined), or follows it where it is on the wire. Nobody's Slack
 * user is a permanent refusal.
 */
export async function postSlack(
  ports: DeskPorts,
  row: DeliveryRow,
  body: SlackBody,
  leftMs: number,
  tokenFor: () => Promise<string>,
): Promise<Standing> {
  const { ledger, store, settings } = ports;
  if (isFinal(row)) return { kind: "final", row };
  const conversation = await conversationOf(ports, row, body);
  let token: string;
  if (row.status === "wire") {
    const standing = await follow(ports, row, conversation, { leftMs, mayResend: false });
    if (standing.kind !== "claimed") return standing;
    token = standing.token;
  } else {
    token = await tokenFor();
    const claimed = await store.read((tx) => ledger.claim(tx, row.key, token, settings.leaseMs, row.dueAt));
    if (claimed?.mayBeOut === true) {
      // As one that was on the wire for as long as it may be: Slack is asked before anything else.
      await store.read((tx) => ledger.wire(tx, row.key, token, 0));
      const wired = await store.read((tx) => ledger.read(tx, row.key));
      if (wired?.status !== "wire" || wired.token !== token) return { kind: "later", afterMs: 100 };
      const standing = await follow(ports, wired, conversation, { leftMs, mayResend: false });
      if (standing.kind !== "claimed") return standing;
      token = standing.token;
    } else if (!claimed) {
      const waitMs = await store.read((tx) => ledger.retryLeftMs(tx, row.key));
      return { kind: "later", afterMs: Math.max(waitMs, 100) };
    }
  }
  return deliver(ports, row.key, token, conversation, leftMs);
}

/** A history that can't be read just then (a limit, an outage) can be read later; a message that nobody may tell of is nobody's. */
const HISTORY_ASKED_MS = 15 * 60_000;

async function conversationOf(ports: DeskPorts, row: DeliveryRow, body: SlackBody): Promise<Conversation> {
  const { slack, settings } = ports;
  let channel: string | undefined;
  const target = async (): Promise<string | undefined> => {
    channel ??= await slackChannelOf(ports, row.recipient ?? "");
    return channel;
  };
  return {
    replyMs: settings.slackReplyMs,
    askForMs: HISTORY_ASKED_MS,
    async send(mayStart) {
      const to = await target();
      if (to === undefined) return { kind: "refused", permanent: true, reason: "no Slack user" };
      if (!(await mayStart())) return { kind: "refused", permanent: false, reason: "fence" };
      const result = await slack.post({ channel: to, text: body.text, blocks: body.blocks, deliveryId: row.id });
      switch (result.kind) {
        case "posted":
          return { kind: "accepted", details: { slackChannel: result.channel, slackTs: result.ts } };
        case "limited":
          saySlackStalls(ports, row, "rate limited");
          return { kind: "refused", permanent: false, reason: "rate limited", afterMs: result.retryAfterMs };
        case "refused":
          if (!result.permanent) saySlackStalls(ports, row, result.reason);
          return { kind: "refused", permanent: result.permanent, reason: result.reason };
        case "unknown":
          return result;
      }
    },
    async find() {
      const to = await target();
      if (to === undefined) return undefined;
      // Ten minutes of slack for clocks that differ.
      const since = (row.wireUntil ?? Date.now()) - settings.slackReplyMs - settings.slackenMs - 600_000;
      const found = await slack.find(to, row.id, since);
      return found ? { slackChannel: found.channel, slackTs: found.ts } : found;
    },
  };
}

/** Slack itself can't tell anybody: the log does. */
function saySlackStalls(ports: DeskPorts, row: DeliveryRow, reason: string): void {
  if (isStalled(row))
    ports.onFault?.(`Slack takes no messages: delivery ${row.key}, attempt ${row.attempts}`, new Error(reason));
}

/** The Slack user of one of ours, remembered once it was found by address; a channel as it is. */
export async function slackChannelOf(ports: DeskPorts, recipient: string): Promise<string | undefined> {
  if (!recipient.startsWith("user:")) return recipient;
  const { people, store, slack } = ports;
  const colleague = (await store.read((tx) => people.directory(tx))).colleagues.get(recipient.slice(5));
  if (!colleague) return undefined;
  if (colleague.slackUserId) return colleague.slackUserId;
  const found = await slack.userByEmail(colleague.email);
  if (found !== undefined) await store.read((tx) => people.keepSlackUser(tx, colleague.id, found));
  return found;
}
