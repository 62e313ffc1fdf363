import { setTimeout as sleep } from "node:timers/promises";
import type { DeskMessage } from "../src/local/desk-workspace.js";
import type { MailboxMessage } from "../src/local/mailbox-messages.js";
import type { Wired } from "../src/entrances/wire.js";
import type { Instant } from "../src/values/instant.js";
import { formatInstant } from "../src/values/instant.js";
import { Feed } from "../test/equivalence/feed.js";
import type { Call } from "./house.js";
import type { Load } from "./load.js";
import type { Random } from "./random.js";

/** Customers, our own people and systems of record, as the stories have them, while everything breaks around them. */
export class People {
  readonly #feed: Feed;
  /** Every event that was answered 202 (or 200: had it already), by id. */
  readonly accepted = new Map<string, Posted>();
  /** Live events of which one run must come, by id; when they were answered, real time. */
  readonly pings = new Map<string, { readonly n: string; readonly account: string; readonly answeredAt: number }>();
  /** When a live event was first posted, answered or not; real time, by id. */
  readonly posted = new Map<string, number>();

  /** When whose task it was had done it, by the domain's clock: an answer that says an earlier instant came late. */
  readonly reactedAt = new Map<string, Instant>();
  /** Tasks that somebody is still at: so often. */
  readonly underWay = new Map<string, number>();
  #now: () => Instant = () => 0;

  constructor(private readonly load: Load) {
    this.#feed = new Feed(load.scenarios);
  }

  /** Everything that is known beforehand; the domain's clock stands still. */
  async prepare(wired: Wired, call: Call): Promise<void> {
    await this.#feed.give({ wired, call: this.#noting(call) }, this.load.origin - 400 * 86_400_000);
    await call("POST", "/v1/customers", {
      at: formatInstant(this.load.origin - 400 * 86_400_000),
      accounts: this.load.live.map((id) => ({
        id,
        fields: { name: id, timezone: "Europe/Warsaw", csm: "u1", is_test: false },
      })),
      contacts: this.load.live.map((id) => ({
        id: `${id}-c`,
        accountId: id,
        fields: { name: "Pat", email: `pat@${id}.example`, role: "champion", locale: "en", is_primary: true },
      })),
    });
  }

  /** All that the stories tell, ahead of its time, at once. */
  async tell(): Promise<void> {
    await this.#feed.tell();
    this.#check("telling");
  }

  /** @param hasty for who reacts to a message, whose server waits for them; @param patient for who begins something by hand */
  meet(wired: Wired, hasty: Call, patient: Call): void {
    const call: Call = (method, path, body) => (path === "/v1/enrolments" ? patient : hasty)(method, path, body);
    this.#feed.meet({ wired, call: this.#noting(call) });
    this.#now = wired.clock.now;
  }

  enrol(signal: AbortSignal): Promise<void> {
    return this.#feed.enrol(signal);
  }

  /** For the mailbox. A reaction that can't be brought in is a mail that isn't taken: its server says 451 and is asked again. */
  async onMessage(message: MailboxMessage): Promise<void> {
    const before = this.#feed.problems.length;
    const reacted = this.#feed.onMessage(message).then(() => {
      if (this.#feed.problems.length > before) throw new Error("the reaction was not taken");
    });
    reacted.catch(() => {});
    await Promise.race([
      reacted,
      sleep(REACTION_MS).then(() => {
        throw new Error("the reaction took too long");
      }),
    ]);
  }

  /** For the desk: the message is there already, so that the reaction comes, if later. */
  async onPost(message: DeskMessage): Promise<void> {
    const task = /"task\\*":\\*"([^"\\]+)/.exec(JSON.stringify(message.blocks))?.[1];
    if (task !== undefined) this.underWay.set(task, (this.underWay.get(task) ?? 0) + 1);
    const reacting = (async () => {
      for (let attempt = 0; attempt < 100; attempt += 1) {
        const before = this.#feed.problems.length;
        try {
          await this.#feed.onPost(message);
          if (this.#feed.problems.length === before) break;
        } catch {
          // Postgres is away: the task can't be looked at.
        }
        await sleep(300);
      }
      if (task === undefined) return;
      this.underWay.set(task, (this.underWay.get(task) ?? 0) - 1);
      if (!this.reactedAt.has(task)) this.reactedAt.set(task, this.#now());
    })();
    await Promise.race([reacting, sleep(REACTION_MS)]);
  }

  /** A live event now and again, of which exactly one run must come, posted until it is answered. */
  async ping(call: Call, random: Random, everyMs: number, signal: AbortSignal, now: () => Instant): Promise<void> {
    const under: Promise<unknown>[] = [];
    for (let n = 0; !signal.aborted; n += 1) {
      const id = `ping-${n}`;
      const account = random.pick(this.load.live);
      this.posted.set(id, Date.now());
      const body = { id, name: "ping", account, at: formatInstant(now()), payload: { n: String(n) } };
      under.push(
        call("POST", "/v1/events", body).then(
          () => {
            this.pings.set(id, { n: String(n), account, answeredAt: Date.now() });
            this.accepted.set(id, { id, body });
          },
          () => {},
        ),
      );
      await sleep(everyMs, undefined, { signal }).catch(() => {});
    }
    await Promise.all(under);
  }

  /** The same events once more: in the order given, all at once. Whoever answers must say that it had them. */
  async again(call: Call, events: readonly Posted[], together: boolean): Promise<void> {
    const post = (one: Posted) => call("POST", "/v1/events", one.body).catch(() => {});
    if (together) await Promise.all(events.map(post));
    else for (const one of events) await post(one);
  }

  problems(): readonly string[] {
    return this.#feed.problems;
  }

  #check(what: string): void {
    if (this.#feed.problems.length > 0) throw new Error(`${what}: ${this.#feed.problems.slice(0, 3).join("; ")}`);
  }

  #noting(call: Call): Call {
    return async <T>(method: string, path: string, body?: unknown): Promise<T> => {
      const answer = await call<T>(method, path, body);
      const { id } = (body ?? {}) as { id?: string };
      if (path === "/v1/events" && id !== undefined) this.accepted.set(id, { id, body });
      return answer;
    };
  }
}

export interface Posted {
  readonly id: string;
  readonly body: unknown;
}

/** A mail server must answer before its message counts as silent (3 s here). */
const REACTION_MS = 2_000;
