import { createHash } from "node:crypto";

export interface DeskUser {
  readonly id: string;
  readonly name: string;
  readonly email: string;
}

export interface DeskChannel {
  readonly id: string;
  /** With `#`; of a direct message, the user's name. */
  readonly name: string;
  /** Whose direct message it is. */
  readonly user?: string;
}

/** Plain JSON of Block Kit; the desk looks into it as it comes. */
export type Json = Record<string, unknown>;

export interface DeskMessage {
  /** 1, 2, 3 … over all channels: what `/posts?after=` counts by. */
  readonly number: number;
  readonly ts: string;
  readonly channel: string;
  readonly channelName: string;
  /** Whose direct message it is in. */
  readonly user?: string;
  readonly threadTs?: string;
  readonly deliveryId?: string;
  /** How often the delivery id has been posted, this one included: 2 is a doubled post. */
  readonly arrival: number;
  /** Real time. */
  readonly postedAt: number;
  readonly metadata?: Json;
  text: string;
  blocks: readonly Json[];
  edits: number;
}

export interface DeskView {
  readonly id: string;
  readonly user: string;
  readonly view: Json;
  /** By block id, after a refused submission. */
  readonly errors?: Readonly<Record<string, string>>;
}

export interface DeskEphemeral {
  readonly number: number;
  readonly channel: string;
  readonly user: string;
  readonly text: string;
  readonly blocks: readonly Json[];
}

export interface DeskStats {
  /** Accepted posts, doubled ones included. */
  readonly posts: number;
  /** Delivery ids posted more than once. */
  readonly duplicated: number;
  readonly updates: number;
  readonly ephemerals: number;
  /** Calls answered with an error, a limit, a status or nothing. */
  readonly troubled: number;
  /** Clicks, submissions, commands sent to the receiver. */
  readonly interactions: number;
  /** Of these, refused or not answered within Slack's 3 s. */
  readonly interactionsFailed: number;
  readonly interactionsLate: number;
  /** Messages kept whole. */
  readonly kept: number;
}

export interface DeskWorkspaceOptions {
  /** Absent: whoever is looked up exists. */
  readonly users?: readonly DeskUser[];
  /** Messages kept whole; older ones only stay counted. */
  readonly keep: number;
}

/** What the workspace holds. No clock but real time, no network. */
export class DeskWorkspace {
  readonly users = new Map<string, DeskUser>();
  readonly channels = new Map<string, DeskChannel>();
  /** By user: the Home tab as last published. */
  readonly homes = new Map<string, DeskView>();
  /** By user: the modal that is open. */
  readonly modals = new Map<string, DeskView>();
  readonly ephemerals: DeskEphemeral[] = [];
  readonly #closed: boolean;
  readonly #keep: number;
  readonly #triggers = new Map<string, { user: string; expires: number }>();
  readonly #byDelivery = new Map<string, number>();
  #messages: DeskMessage[] = [];
  #lastTs = 0;
  #lastId = 0;
  #posts = 0;
  #duplicated = 0;
  #ephemeralCount = 0;
  #counts = { updates: 0, troubled: 0, interactions: 0, interactionsFailed: 0, interactionsLate: 0 };

  constructor(options: DeskWorkspaceOptions) {
    this.#closed = options.users !== undefined;
    this.#keep = options.keep;
    for (const user of options.users ?? []) this.users.set(user.id, user);
  }

  messages(): readonly DeskMessage[] {
    return this.#messages;
  }

  count(deliveryId: string): number {
    return this.#byDelivery.get(deliveryId) ?? 0;
  }

  counts(): ReadonlyMap<string, number> {
    return this.#byDelivery;
  }

  stats(): DeskStats {
    return {
      posts: this.#posts,
      duplicated: this.#duplicated,
      ephemerals: this.#ephemeralCount,
      kept: this.#messages.length,
      ...this.#counts,
    };
  }

  tally(what: "updates" | "troubled" | "interactions" | "interactionsFailed" | "interactionsLate"): void {
    this.#counts[what] += 1;
  }

  userById(id: string): DeskUser | undefined {
    const found = this.users.get(id);
    if (found !== undefined || this.#closed || !/^U[A-Z0-9]+$/.test(id)) return found;
    return this.#meet({ id, name: id, email: `${id.toLowerCase()}@desk.example` });
  }

  /** In an open workspace, somebody new with an id made of the address: the same one after a restart. */
  userByEmail(email: string): DeskUser | undefined {
    const wanted = email.toLowerCase();
    for (const user of this.users.values()) if (user.email.toLowerCase() === wanted) return user;
    if (this.#closed) return undefined;
    const local = wanted.split("@")[0] ?? wanted;
    const name = local.replace(/[._-]+/g, " ").replace(/\b\w/g, (letter) => letter.toUpperCase());
    return this.#meet({ id: `U${shortHash(wanted)}`, name, email: wanted });
  }

  #meet(user: DeskUser): DeskUser {
    this.users.set(user.id, user);
    return user;
  }

  /** A channel by id or `#name`, or the direct message of a user id. Channels named for the first time come into being. */
  channel(asked: string): DeskChannel | undefined {
    const known = this.channels.get(asked);
    if (known !== undefined) return known;
    if (asked.startsWith("#")) return this.#open({ id: `C${shortHash(asked)}`, name: asked });
    if (!/^[UW]/.test(asked)) return undefined;
    const user = this.userById(asked);
    return user && this.#open({ id: `D${shortHash(user.id)}`, name: user.name, user: user.id });
  }

  #open(channel: DeskChannel): DeskChannel {
    const known = this.channels.get(channel.id);
    if (known !== undefined) return known;
    this.channels.set(channel.id, channel);
    return channel;
  }

  /** Makes the message, without anybody seeing it yet. */
  post(
    channel: DeskChannel,
    message: { text: string; blocks: readonly Json[]; threadTs?: string; metadata?: Json },
  ): DeskMessage {
    const payload = message.metadata?.event_payload as { delivery_id?: unknown } | undefined;
    const deliveryId = typeof payload?.delivery_id === "string" ? payload.delivery_id : undefined;
    const arrival = deliveryId === undefined ? 1 : this.count(deliveryId) + 1;
    if (deliveryId !== undefined) this.#byDelivery.set(deliveryId, arrival);
    if (arrival === 2) this.#duplicated += 1;
    this.#posts += 1;
    const posted: DeskMessage = {
      number: this.#posts,
      ts: this.#nextTs(),
      channel: channel.id,
      channelName: channel.name,
      ...(channel.user === undefined ? {} : { user: channel.user }),
      ...(message.threadTs === undefined ? {} : { threadTs: message.threadTs }),
      ...(deliveryId === undefined ? {} : { deliveryId }),
      ...(message.metadata === undefined ? {} : { metadata: message.metadata }),
      arrival,
      postedAt: Date.now(),
      text: message.text,
      blocks: message.blocks,
      edits: 0,
    };
    this.#messages.push(posted);
    if (this.#messages.length > this.#keep) this.#messages = this.#messages.slice(-this.#keep);
    return posted;
  }

  find(channel: string, ts: string): DeskMessage | undefined {
    return this.#messages.find((message) => message.channel === channel && message.ts === ts);
  }

  /** The newest with the delivery id. */
  ofDelivery(deliveryId: string): DeskMessage | undefined {
    return this.#messages.findLast((message) => message.deliveryId === deliveryId);
  }

  ephemeral(channel: string, user: string, text: string, blocks: readonly Json[] = []): void {
    this.#ephemeralCount += 1;
    this.ephemerals.push({ number: this.#ephemeralCount, channel, user, text, blocks });
    if (this.ephemerals.length > EPHEMERALS_MAX) this.ephemerals.shift();
  }

  /** A trigger lives 3 s and works once, as Slack's do. */
  newTrigger(user: string): string {
    const id = `${this.nextId("")}.${Date.now()}.trigger`;
    for (const [old, { expires }] of this.#triggers) if (expires < Date.now()) this.#triggers.delete(old);
    this.#triggers.set(id, { user, expires: Date.now() + TRIGGER_MS });
    return id;
  }

  useTrigger(id: string): { user: string } | "invalid_trigger_id" | "expired_trigger_id" {
    const trigger = this.#triggers.get(id);
    if (trigger === undefined) return "invalid_trigger_id";
    this.#triggers.delete(id);
    return trigger.expires < Date.now() ? "expired_trigger_id" : trigger;
  }

  nextId(prefix: string): string {
    this.#lastId += 1;
    return `${prefix}${String(this.#lastId).padStart(8, "0")}`;
  }

  /** Seconds and six digits, each later than the one before. */
  #nextTs(): string {
    this.#lastTs = Math.max(this.#lastTs + 1, Date.now() * 1_000);
    const text = String(this.#lastTs);
    return `${text.slice(0, -6)}.${text.slice(-6)}`;
  }
}

const EPHEMERALS_MAX = 1_000;
const TRIGGER_MS = 3_000;

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 10).toUpperCase();
}
