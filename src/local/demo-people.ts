import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../ports/clock.js";
import { formatInstant, type Instant, parseInstant } from "../values/instant.js";
import { type ApiTask, answered, type DemoApi } from "./demo-api.js";
import { durationMs, type MailReaction, onWeekday, type PeopleScript, type TaskBehaviour } from "./demo-script.js";
import type { Desk } from "./desk.js";
import type { DeskMessage, Json } from "./desk-workspace.js";
import type { MailboxMessage } from "./mailbox-messages.js";

/** Someone at a customer, by address. */
export interface ScriptedContact {
  readonly id: string;
  readonly account: string;
  readonly persona: string;
}

export interface DemoPeopleOptions {
  readonly script: PeopleScript;
  readonly api: DemoApi;
  readonly clock: Clock;
  /** Lower-case address → who that is. */
  readonly contacts: ReadonlyMap<string, ScriptedContact>;
  /** Account → persona. */
  readonly personas: ReadonlyMap<string, string>;
  /** Slack user id → our colleague's id. */
  readonly colleagues: ReadonlyMap<string, string>;
  /** Queue → the Slack user who takes its tasks. */
  readonly queues: ReadonlyMap<string, string>;
  readonly signal: AbortSignal;
  readonly onProblem: (problem: string) => void;
  /** What they will only do when its time has come: nothing later of the account goes before it. */
  readonly diary: Diary;
}

/** What people have put off, for the order of domain time (`src/ports/order.ts`). */
export interface Diary {
  announce(id: string, account: string, at: Instant): Promise<void>;
  /** All of the account that comes before the instant is done. */
  untilTurn(account: string, at: Instant): Promise<void>;
  done(id: string): Promise<void>;
}

/** Counts of what the scripted people did. */
export interface PeopleTally {
  pressed: number;
  refused: number;
  events: number;
  unsubscribed: number;
}

/**
 * The people of the portfolio: they press buttons on the desk and react to mails, both before the call that told them is
 * answered, so that no delay of a machine is a delay of a person.
 */
export class DemoPeople {
  readonly tally: PeopleTally = { pressed: 0, refused: 0, events: 0, unsubscribed: 0 };
  readonly #rounds = new Map<string, string[]>();
  /** Task and colleague: acted or about to. */
  readonly #acted = new Set<string>();
  readonly #waiting = new Set<Promise<void>>();
  /** By Slack user: the end of what they are doing. Nobody has two forms open. */
  readonly #hands = new Map<string, Promise<void>>();
  desk: Desk | undefined;

  constructor(readonly options: DemoPeopleOptions) {}

  /** For the desk: a message was posted. */
  async onPost(message: DeskMessage): Promise<void> {
    const task = taskIn(message.blocks);
    if (task === undefined) return;
    await this.#see(task, message).catch((error: unknown) => {
      if (!String(error).includes("to press here")) this.#problem(`task ${task}`, error);
    });
  }

  /** For the mailbox: a mail has come. */
  async onMessage(message: MailboxMessage): Promise<void> {
    // The first time only: who gets a mail twice reacts once.
    if (message.arrival > 1) return;
    const { contacts, script } = this.options;
    for (const address of message.to) {
      const contact = contacts.get(address.toLowerCase());
      if (contact === undefined) continue;
      const reactions = script.mail(message.template ?? "", contact.persona);
      for (const [index, reaction] of reactions.entries())
        await this.#react(message, contact, reaction, index).catch((error: unknown) =>
          this.#problem(`a reaction to ${message.template}`, error),
        );
    }
  }

  /** Presses that wait for their time are dropped; those under way end. */
  async end(): Promise<void> {
    await Promise.allSettled([...this.#waiting]);
  }

  async #react(mail: MailboxMessage, contact: ScriptedContact, reaction: MailReaction, index: number): Promise<void> {
    const { api } = this.options;
    if (reaction.kind === "unsubscribe") return this.#unsubscribe(mail);
    const sentAt = mail.date ?? this.options.clock.now();
    const at = onWeekday(sentAt + reaction.afterMs);
    const id = `people/${mail.deliveryId ?? mail.messageId}/${index}`.slice(0, 200);
    const named = reaction.kind === "reply" ? "email.replied" : reaction.name;
    const about = named.startsWith("email.") ? { delivery: mail.deliveryId ?? "" } : { contact_id: contact.id };
    const payload =
      reaction.kind === "reply"
        ? about
        : {
            ...about,
            ...Object.fromEntries(
              Object.entries(reaction.payload).map(([name, value]) => [name, valueOf(value, sentAt)]),
            ),
          };
    await api.call("POST", "/v1/events", {
      id,
      name: named,
      at: formatInstant(at),
      account: contact.account,
      contact: contact.id,
      payload,
    });
    this.tally.events += 1;
  }

  /** As a person does: looks at the page, then presses its button. */
  async #unsubscribe(mail: MailboxMessage): Promise<void> {
    const url = mail.unsubscribeUrl;
    if (url === undefined) return;
    const at = (mail.date ?? this.options.clock.now()) + UNSUBSCRIBES_AFTER_MS;
    const { signal } = this.options;
    await answered(url, {}, signal);
    const body = new URLSearchParams({ "List-Unsubscribe": "One-Click", at: formatInstant(at) }).toString();
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    await answered(url, { method: "POST", headers, body }, signal);
    this.tally.unsubscribed += 1;
  }

  async #see(id: string, message: DeskMessage): Promise<void> {
    const { api, script, personas, colleagues, queues } = this.options;
    const task = await api.call<ApiTask>("GET", `/v1/tasks/${encodeURIComponent(id)}`);
    if (task.status !== "open") return;
    const user = message.user ?? queues.get(task.queue ?? "") ?? queues.get("*");
    const by = user === undefined ? undefined : colleagues.get(user);
    if (user === undefined || by === undefined || this.#acted.has(`${id} ${user}`)) return;
    // An escalation shows the task to a manager too; whose it is acts.
    if (task.assignee !== null && task.assignee !== by) return;
    this.#acted.add(`${id} ${user}`);
    const persona = personas.get(task.account) ?? "";
    const behaviour = script.task({ step: task.step, persona, round: this.#roundOf(task), by });
    if (behaviour.do === "nothing") return;
    const at = onWeekday((parseInstant(task.openedAt) ?? this.options.clock.now()) + behaviour.afterMs);
    const where = { user, channel: message.channel, ts: message.ts };
    if (behaviour.snooze !== undefined) {
      await this.#press(where, "task:snooze", { value: behaviour.snooze, at: at - behaviour.afterMs + 3_600_000 });
      return this.#later(where, task, behaviour, at);
    }
    if (behaviour.isLate) return this.#later(where, task, behaviour, at);
    await this.#act(where, task, behaviour, at);
  }

  /** When its time has come: what is due before has happened by then, and what is due after waits. */
  async #later(where: Where, task: ApiTask, behaviour: TaskBehaviour, at: Instant): Promise<void> {
    const { clock, signal, diary } = this.options;
    const id = `announced/${task.id}/${where.user}`;
    await diary.announce(id, task.account, at);
    const waiting = (async () => {
      try {
        await sleep(clock.realMsUntil(at), undefined, { signal });
        await diary.untilTurn(task.account, at);
        await this.#act(where, task, behaviour, at);
      } finally {
        await diary.done(id);
      }
    })().catch((error: unknown) => {
      // Its buttons go when it was closed in the meantime.
      if (!signal.aborted && !String(error).includes("to press here")) this.#problem(`task ${task.id}`, error);
    });
    this.#waiting.add(waiting);
    void waiting.finally(() => this.#waiting.delete(waiting));
  }

  /** What they do is done: an answer that was long in coming may yet come to nothing, and then they do it again. */
  async #act(where: Where, task: ApiTask, behaviour: TaskBehaviour, at: Instant): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const began = performance.now();
      await this.#doOnce(where, task, behaviour, at);
      if (performance.now() - began < SLOW_ANSWER_MS || attempt === ATTEMPTS_MAX || (await this.#isDone(task))) return;
    }
  }

  async #isDone({ id, assignee }: ApiTask): Promise<boolean> {
    for (let look = 1; look <= ATTEMPTS_MAX; look++) {
      const now = await this.options.api.call<ApiTask>("GET", `/v1/tasks/${encodeURIComponent(id)}`);
      if (now.status !== "open" || now.assignee !== assignee) return true;
      await sleep(500);
    }
    return false;
  }

  async #doOnce(where: Where, task: ApiTask, behaviour: TaskBehaviour, at: Instant): Promise<void> {
    switch (behaviour.do) {
      case "complete": {
        if (task.ask === null) return this.#press(where, "task:complete", { at });
        const note = behaviour.note ?? "Done.";
        const outcome =
          behaviour.outcome !== undefined && task.outcomes.includes(behaviour.outcome)
            ? behaviour.outcome
            : (task.outcomes[0] ?? "");
        return this.#press(where, "task:complete", {
          at,
          viewSubmit: task.ask === "outcome" ? { outcome, note } : { note },
        });
      }
      case "skip":
        return this.#press(where, "task:more", {
          at,
          value: "skip",
          viewSubmit: { reason: behaviour.reason ?? "Not needed." },
        });
      case "reassign":
        return this.#press(where, "task:reassign", { at, viewSubmit: { person: behaviour.to ?? "" } });
      case "nothing":
        return;
    }
  }

  /** One press after the other for each person. */
  #press(where: Where, actionId: string, how: Press): Promise<void> {
    const before = this.#hands.get(where.user) ?? Promise.resolve();
    const mine = before.then(() => this.#pressNow(where, actionId, how));
    this.#hands.set(
      where.user,
      mine.catch(() => {}),
    );
    return mine;
  }

  async #pressNow(where: Where, actionId: string, how: Press): Promise<void> {
    const { desk } = this;
    if (desk === undefined) return;
    const until = performance.now() + PATIENCE_MS;
    for (let attempt = 1; ; attempt++) {
      const result = await desk.press({ ...where, actionId, ...how });
      const wrong = result.ephemerals[0] ?? Object.values(result.submission?.errors ?? {})[0];
      const isAnswered = result.status === 200 && (how.viewSubmit === undefined || result.submission?.status === 200);
      if (isAnswered && wrong === undefined) {
        this.tally.pressed += 1;
        return;
      }
      // The server or the store may just be starting again, or the message has just been drawn anew; a person presses once more.
      const isAway = !isAnswered || wrong?.includes("press again") === true;
      const mayChange = wrong?.includes("had changed") === true && attempt < ATTEMPTS_MAX;
      if (((isAway && performance.now() < until) || mayChange) && !this.options.signal.aborted) {
        await sleep(Math.min(1_000, 300 * attempt));
        continue;
      }
      this.tally.refused += 1;
      this.options.onProblem(
        `${actionId}: ${wrong ?? `answered ${result.status}/${result.submission?.status ?? "no modal"}`}`,
      );
      return;
    }
  }

  #roundOf(task: ApiTask): number {
    const key = `${task.run} ${task.step}`;
    const known = this.#rounds.get(key) ?? [];
    if (!known.includes(task.id)) known.push(task.id);
    this.#rounds.set(key, known);
    return known.indexOf(task.id) + 1;
  }

  #problem(what: string, error: unknown): void {
    if (!this.options.signal.aborted)
      this.options.onProblem(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** How long people try a button while nobody answers, real milliseconds. */
const PATIENCE_MS = 60_000;
const ATTEMPTS_MAX = 5;
/** The receiver answers by then even where the deed goes on. */
const SLOW_ANSWER_MS = 1_500;

/** How long people look at a mail before they have had enough of them. */
const UNSUBSCRIBES_AFTER_MS = 60_000;

interface Press {
  readonly at: Instant;
  readonly value?: string;
  readonly viewSubmit?: Record<string, string>;
}

interface Where {
  readonly user: string;
  readonly channel: string;
  readonly ts: string;
}

/** The task that a message's buttons are about. */
function taskIn(blocks: readonly Json[]): string | undefined {
  for (const block of blocks) {
    if (block["type"] !== "actions") continue;
    for (const element of (block["elements"] ?? []) as Json[]) {
      if (element["action_id"] !== "task:complete") continue;
      for (const text of [element["value"], block["block_id"]]) {
        const found = typeof text === "string" ? /"task":"([^"]+)"/.exec(text)?.[1] : undefined;
        if (found !== undefined) return found;
      }
    }
  }
  return undefined;
}

function valueOf(value: string, from: Instant): string {
  return value.startsWith("+") ? formatInstant(from + durationMs(value.slice(1), "people.yaml")) : value;
}
