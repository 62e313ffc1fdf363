/** What the mailbox does instead of taking a message. */
export type Behaviour = {
  /** Only for this recipient; absent: for everyone. Never looked at for `login` and `sender`. */
  readonly to?: string;
  /** How often; absent: until `behave()`. */
  readonly times?: number;
} & (Reply | Drop | Delay);

/** Answers so at this point of the conversation: a whole line such as `550 5.1.1 No such user`; only 4xx and 5xx. `body`: after the dot. */
export interface Reply {
  readonly kind: "reply";
  readonly at: "login" | "sender" | "recipient" | "body";
  readonly reply: string;
}

/** Closes the connection without an answer: before DATA is agreed to (`recipient`), or after the dot (`body`), the message `kept` or not. */
export interface Drop {
  readonly kind: "drop";
  readonly at: "sender" | "recipient" | "body";
  readonly kept?: boolean;
}

/** Takes the message and answers the dot only after so many milliseconds. */
export interface Delay {
  readonly kind: "delay";
  readonly at: "body";
  readonly delayMs: number;
}

/** The behaviours asked for and not yet used up, in order. */
export class MailboxBehaviours {
  #list: { behaviour: Behaviour; left: number }[] = [];

  /** Throws for a reply that isn't a refusal, or more than 1 000 behaviours at once. */
  add(behaviour: Behaviour): void {
    if (behaviour.kind === "reply" && !/^[45]\d\d [^\r\n]+$/.test(behaviour.reply)) {
      throw new Error(`"${behaviour.reply}" is not a refusal: it must look like "550 5.1.1 No such user"`);
    }
    if (this.#list.length >= MAX_BEHAVIOURS) throw new Error(`more than ${MAX_BEHAVIOURS} behaviours at once`);
    this.#list.push({ behaviour, left: behaviour.times ?? Number.POSITIVE_INFINITY });
  }

  clear(): void {
    this.#list = [];
  }

  all(): readonly Behaviour[] {
    return this.#list.map(({ behaviour, left }) =>
      left === Number.POSITIVE_INFINITY ? behaviour : { ...behaviour, times: left },
    );
  }

  /** The first that applies here, used once. */
  take(at: Behaviour["at"], to: readonly string[]): Behaviour | undefined {
    const entry = this.#list.find(({ behaviour }) => behaviour.at === at && applies(behaviour, to));
    if (entry === undefined) return undefined;
    entry.left -= 1;
    if (entry.left <= 0) this.#list = this.#list.filter((other) => other !== entry);
    return entry.behaviour;
  }
}

const MAX_BEHAVIOURS = 1_000;

function applies(behaviour: Behaviour, to: readonly string[]): boolean {
  const wanted = behaviour.to?.toLowerCase();
  return wanted === undefined || to.some((address) => address.toLowerCase() === wanted);
}
