import type { Address, Email } from "postal-mime";

/** A message as the mailbox took it. */
export interface MailboxMessage {
  /** 1, 2, 3 … in the order of arrival. */
  readonly number: number;
  /** With its angle brackets; a message without one gets `<none-N@mailbox>`. */
  readonly messageId: string;
  /** How often this Message-ID has arrived, this time included. */
  readonly arrival: number;
  /** Of the envelope. */
  readonly from: string;
  readonly to: readonly string[];
  /** Of the header: `Name <address>`. */
  readonly fromHeader: string;
  readonly toHeader: string;
  readonly subject: string;
  /** The Date header, epoch milliseconds; absent if it can't be read. */
  readonly date?: number;
  /** Content-Language. */
  readonly locale?: string;
  readonly template?: string;
  readonly category?: string;
  readonly deliveryId?: string;
  readonly replyTo?: string;
  /** The link of List-Unsubscribe, without its angle brackets. */
  readonly unsubscribeUrl?: string;
  readonly html?: string;
  readonly text?: string;
  readonly raw: string;
}

export interface MailboxStats {
  /** Accepted, repeated ones included. */
  readonly messages: number;
  /** Different Message-IDs. */
  readonly distinct: number;
  /** Arrivals beyond the first of a Message-ID. */
  readonly duplicated: number;
  /** How many are kept whole. */
  readonly kept: number;
  readonly refused: number;
  readonly dropped: number;
  /** First arrivals by template and locale; `-` where the header is missing. */
  readonly byTemplate: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** What the mailbox has taken: the last `keep` messages whole, all others as counts by Message-ID. */
export class MailboxMessages {
  #kept: MailboxMessage[] = [];
  #last = 0;
  #refused = 0;
  #dropped = 0;
  readonly #counts = new Map<string, number>();
  readonly #byTemplate = new Map<string, Map<string, number>>();

  constructor(private readonly keep: number) {}

  /** The message as it would be added now. */
  prepare(from: string, to: readonly string[], raw: Buffer, email: Email): MailboxMessage {
    const number = this.#last + 1;
    const messageId = email.messageId ?? `<none-${number}@mailbox>`;
    const header = (name: string) => email.headers.find((item) => item.key === name)?.value.trim();
    const date = Date.parse(email.date ?? "");
    const optional = {
      date: Number.isNaN(date) ? undefined : date,
      locale: header("content-language"),
      template: header("x-waypost-template"),
      category: header("x-waypost-category"),
      deliveryId: header("x-waypost-delivery"),
      replyTo: email.replyTo?.[0]?.address,
      unsubscribeUrl: /<([^>]*)>/.exec(header("list-unsubscribe") ?? "")?.[1],
      html: email.html,
      text: email.text,
    };
    return {
      number,
      messageId,
      arrival: this.count(messageId) + 1,
      from,
      to,
      fromHeader: addressText(email.from),
      toHeader: (email.to ?? []).map(addressText).join(", "),
      subject: email.subject ?? "",
      raw: raw.toString("utf8"),
      ...(Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)) as Defined<
        typeof optional
      >),
    };
  }

  /** Takes it in; number and arrival are as of now. */
  add(prepared: MailboxMessage): void {
    if (this.#counts.size >= MAX_COUNTED && !this.#counts.has(prepared.messageId)) {
      throw new Error(`the mailbox has counted ${MAX_COUNTED} Message-IDs and can't tell repeated ones from now on`);
    }
    this.#last += 1;
    const message = { ...prepared, number: this.#last, arrival: this.count(prepared.messageId) + 1 };
    this.#counts.set(message.messageId, message.arrival);
    this.#kept.push(message);
    if (this.#kept.length > this.keep) this.#kept.shift();
    if (message.arrival > 1) return;
    const locales = this.#byTemplate.get(message.template ?? "-") ?? new Map<string, number>();
    this.#byTemplate.set(message.template ?? "-", locales);
    locales.set(message.locale ?? "-", (locales.get(message.locale ?? "-") ?? 0) + 1);
  }

  refused(): void {
    this.#refused += 1;
  }

  dropped(): void {
    this.#dropped += 1;
  }

  kept(): readonly MailboxMessage[] {
    return [...this.#kept];
  }

  /** The last arrival with this Message-ID that is still kept. */
  find(messageId: string): MailboxMessage | undefined {
    return this.#kept.findLast((message) => message.messageId === messageId);
  }

  count(messageId: string): number {
    return this.#counts.get(messageId) ?? 0;
  }

  stats(): MailboxStats {
    return {
      messages: this.#last,
      distinct: this.#counts.size,
      duplicated: this.#last - this.#counts.size,
      kept: this.#kept.length,
      refused: this.#refused,
      dropped: this.#dropped,
      byTemplate: Object.fromEntries(
        [...this.#byTemplate].sort().map(([template, locales]) => [template, Object.fromEntries([...locales].sort())]),
      ),
    };
  }
}

/** About 150 MB of ids; far above any demo or test. */
const MAX_COUNTED = 1_000_000;

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function addressText(address: Address | undefined): string {
  const name = address?.name ?? "";
  return name === "" ? (address?.address ?? "") : `${name} <${address?.address ?? ""}>`;
}
