import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { DeliveryResult, DeliveryRow, DeliveryStatus, KeptMessage } from "../ports/ledger.js";
import type { Tx } from "../ports/transactions.js";
import type { DeskPorts } from "./perform-ports.js";

/** One message and the server it goes to, whichever channel. */
export interface Conversation {
  /** H: how long the server may take to answer once the message is on the wire. */
  readonly replyMs: number;
  /** What the ledger is to keep of it as soon as it is on the wire; absent: it has it already. */
  readonly kept?: KeptMessage;
  /**
   * Sends. `mayStart` must be asked right before the first byte that counts, and its `false` obeyed. A throw before it was asked is a
   * refusal that may be tried again; after it, silence.
   */
  send(mayStart: () => Promise<boolean>): Promise<Reply>;
  /** Whether the server has the message: what it knows of it; null: it doesn't; undefined: that can't be told. */
  find(): Promise<Accepted | null | undefined>;
  /** How long after its lease is over a server that can't tell just then is asked again; then nobody knows. Absent: not at all. */
  readonly askForMs?: number;
}

export interface Accepted {
  readonly serverMessageId?: string;
  readonly slackChannel?: string;
  readonly slackTs?: string;
}

export type Reply =
  | { readonly kind: "accepted"; readonly details: Accepted }
  /** Certainly not taken. `afterMs`: what the server asks for, else the usual back-off. */
  | {
      readonly kind: "refused";
      readonly permanent: boolean;
      readonly reason: string;
      readonly afterMs?: number;
      /** Does `settle`, and keeps what else has come of the refusal, in one transaction; nothing where `settle` says that the row is somebody else's by now. */
      readonly keep?: Keep;
    }
  | { readonly kind: "unknown"; readonly reason: string };

export type Keep = (tx: Tx, settle: () => Promise<DeliveryRow | undefined>) => Promise<DeliveryRow | undefined>;

/** How a delivery stands when `deliver` or `follow` comes back. */
export type Standing =
  | { readonly kind: "final"; readonly row: DeliveryRow }
  /** Real milliseconds after which to look again. */
  | { readonly kind: "later"; readonly afterMs: number }
  /** Nothing is on the wire and the row is free: decide again, then claim. */
  | { readonly kind: "free" };

/**
 * After so many attempts (with the usual back-off some ten minutes) that a server did not take a message, and after as many again, somebody is told. What is
 * refused for good, or unknown, has a way of its own.
 */
export function isStalled(row: DeliveryRow): boolean {
  return row.attempts > 0 && row.attempts % STALLED_ATTEMPTS === 0;
}

const STALLED_ATTEMPTS = 8;

const FINAL: readonly DeliveryStatus[] = ["sent", "rejected", "unknown", "resolved", "held", "skipped", "withdrawn"];
const POLL_MS = 100;
/** Slack shows a message in the history a little later than it answers: missing must be said twice. */
const ASK_AGAIN_MS = 1_000;
/** Between two looks of a server that couldn't tell. */
const ASK_LATER_MS = 5_000;

/** True if nothing more becomes of the row by itself. */
export function isFinal(row: DeliveryRow): boolean {
  return FINAL.includes(row.status);
}

/**
 * Steps 2 to 5 of the fence, for who has claimed the row under `token`: sends at most once, and writes what came of it. After `leftMs` it
 * comes back and leaves the conversation to end by itself (it still writes its result): SMTP may take ten minutes to answer.
 */
export async function deliver(
  ports: DeskPorts,
  key: string,
  token: string,
  conversation: Conversation,
  leftMs: number,
): Promise<Standing> {
  let isOver = false;
  const talking = converse(ports, key, token, conversation)
    .catch((error: unknown) => {
      // The row stays as it is: in `wire` it is asked about, in `claimed` it is stolen.
      ports.onFault?.(`delivery ${key}`, error);
      return undefined;
    })
    .finally(() => {
      isOver = true;
    });
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, leftMs, undefined);
  });
  const settled = await Promise.race([talking, timeUp]);
  clearTimeout(timer);
  if (settled !== undefined && isFinal(settled)) return { kind: "final", row: settled };
  const standing = await standingOf(ports, key);
  // Still connecting: whoever asks next may steal it, but not this call, whose time is up.
  return standing.kind === "free" && !isOver ? { kind: "later", afterMs: POLL_MS } : standing;
}

/** How the row stands without doing anything about it. */
async function standingOf(ports: DeskPorts, key: string): Promise<Standing> {
  return ports.store.read(async (tx): Promise<Standing> => {
    const row = await ports.ledger.read(tx, key);
    if (!row) throw new Error(`delivery ${key} is not in the ledger`);
    if (isFinal(row)) return { kind: "final", row };
    if (row.status === "wire")
      return { kind: "later", afterMs: Math.max(POLL_MS, await ports.ledger.wireLeftMs(tx, key)) };
    const afterMs = await ports.ledger.retryLeftMs(tx, key);
    if (afterMs > 0) return { kind: "later", afterMs };
    return { kind: "free" };
  });
}

/** The row as what came of it left it; undefined: it is not settled, or somebody else's. */
async function converse(
  ports: DeskPorts,
  key: string,
  token: string,
  conversation: Conversation,
): Promise<DeliveryRow | undefined> {
  const { ledger, store, settings } = ports;
  let isOnWire = false;
  const mayStart = async (): Promise<boolean> => {
    const wireMs = settings.lastLookMs + conversation.replyMs + settings.slackenMs;
    // Taken before the row is asked: a freeze anywhere behind this line is seen below.
    const before = { monotonic: performance.now(), wall: Date.now() };
    isOnWire = await store.read((tx) => ledger.wire(tx, key, token, wireMs, conversation.kept));
    if (!isOnWire) return false;
    // The last look: nothing may come between it and the first byte but this return.
    const gone = Math.max(performance.now() - before.monotonic, Date.now() - before.wall);
    if (gone <= settings.lastLookMs) return true;
    isOnWire = !(await store.read((tx) => ledger.unwire(tx, key, token)));
    return false;
  };

  let reply: Reply;
  try {
    reply = await conversation.send(mayStart);
  } catch (error) {
    const reason = error instanceof Error ? error.name : "fault";
    ports.onFault?.(`delivery ${key}`, error);
    reply = isOnWire ? { kind: "unknown", reason } : { kind: "refused", permanent: false, reason };
  }
  const result = await resultOf(ports, key, reply);
  if (result === undefined) return undefined;
  const keep = reply.kind === "refused" ? reply.keep : undefined;
  return keep === undefined
    ? store.read((tx) => ledger.settle(tx, key, token, result))
    : store.transaction((tx) => keep(tx, () => ledger.settle(tx, key, token, result)));
}

/** undefined: no answer; the row stays in `wire` until someone may ask. */
async function resultOf(ports: DeskPorts, key: string, reply: Reply): Promise<DeliveryResult | undefined> {
  switch (reply.kind) {
    case "accepted":
      return { status: "sent", ...reply.details };
    case "unknown":
      return undefined;
    case "refused": {
      if (reply.permanent) return { status: "rejected", reason: reply.reason };
      // Our own fence said no: nobody need wait.
      if (reply.reason === "fence") return { status: "retry", reason: "fence", afterMs: 0 };
      const row = await ports.store.read((tx) => ports.ledger.read(tx, key));
      return {
        status: "retry",
        reason: reply.reason,
        afterMs: reply.afterMs ?? ports.settings.backoffMs(row?.attempts ?? 1),
      };
    }
  }
}

/**
 * Step 6, for a row that may be someone's: waits (at most `leftMs`) while it is on the wire, takes a *yes* of the server at any time, its *no*
 * only when the wire is over, and then either has a new token (`claimed`) or leaves the row `unknown`.
 *
 * @param mayResend what becomes of a message that the server can't be asked about: sent again, or `unknown`.
 */
export async function follow(
  ports: DeskPorts,
  row: DeliveryRow,
  conversation: Pick<Conversation, "find" | "askForMs">,
  options: { readonly leftMs: number; readonly mayResend: boolean },
): Promise<Standing | { readonly kind: "claimed"; readonly token: string }> {
  const { ledger, store, settings } = ports;
  const deadline = performance.now() + options.leftMs;
  const oldToken = row.token ?? "";
  const settle = async (result: DeliveryResult): Promise<Standing> => {
    await store.read((tx) => ledger.settle(tx, row.key, oldToken, result));
    return standingOf(ports, row.key);
  };

  for (;;) {
    const standing = await standingOf(ports, row.key);
    const current = await store.read((tx) => ledger.read(tx, row.key));
    if (current?.status !== "wire" || current.token !== oldToken) return standing;
    const leftMs = await store.read((tx) => ledger.wireLeftMs(tx, row.key));
    const found = await conversation.find();
    if (found) return settle({ status: "sent", ...found });
    if (leftMs === 0) {
      if (found === null) {
        await sleep(Math.min(ASK_AGAIN_MS, settings.slackenMs));
        const again = await conversation.find();
        if (again) return settle({ status: "sent", ...again });
      }
      // The lease is of the claim: it doesn't move while the row stays. A clock that is wrong asks longer or shorter, never unsafely.
      const { askForMs } = conversation;
      if (found === undefined && askForMs !== undefined && Date.now() - (current.leaseUntil ?? 0) < askForMs) {
        await store.read((tx) => ledger.stayOnWire(tx, row.key, oldToken, ASK_LATER_MS));
        return { kind: "later", afterMs: ASK_LATER_MS };
      }
      if (found === undefined && !options.mayResend) return settle({ status: "unknown", reason: "no answer" });
      const token = randomUUID();
      const isMine = await store.read((tx) => ledger.takeOver(tx, row.key, oldToken, token, settings.leaseMs));
      return isMine ? { kind: "claimed", token } : standingOf(ports, row.key);
    }
    const pause = Math.min(leftMs, POLL_MS * 5);
    if (performance.now() + pause > deadline) return { kind: "later", afterMs: leftMs };
    await sleep(pause);
  }
}
