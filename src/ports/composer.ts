import type { FactValue } from "../expression/expression.js";
import type { Instant } from "../values/instant.js";
import type { RawMessage } from "./mailer.js";

/**
 * Texts made ready for the wire: Liquid filled in, Markdown laid out, Slack blocks built. Pure in what it is given: the same draft gives
 * the same bytes, so that a retry sends what the first attempt would have. E-mail: `src/adapters/email/compose.ts`; Slack: `src/adapters/slack/messages.ts`.
 */
export interface Composer {
  /**
   * The paths that a Liquid source mentions (front matter included), e.g. `account.name`, `csm.booking_url`: what `variables` must bring.
   * Throws `TextFault` for a source that can't be read.
   */
  references(source: string): readonly string[];

  /** The raw message with its envelope; Message-ID is `<deliveryId@domain>`. Throws `TextFault` when a variable is missing or the template is broken. */
  mail(draft: MailDraft): Promise<RawMessage>;

  /** A Liquid text of a step (task title, nudge …) filled in, as plain text or Slack's markup. Throws `TextFault` as above. */
  text(source: string, variables: Variables, style: TextStyle): Promise<string>;

  /** A nudge of a `slack` step. */
  nudge(message: Nudge): SlackBody;

  /** A task as its assignee sees it; rendered anew after every change. */
  task(message: TaskCard): SlackBody;

  /** The morning's list for one assignee. */
  digest(message: Digest): SlackBody;
}

/**
 * Values by path, flat: `account.name` → `Acme`. Instants are epoch milliseconds; what is absent is left out. The `money` filter goes by
 * `contract.currency`, else by `company.currency`.
 */
export type Variables = Readonly<Record<string, FactValue>>;

/** In whose language and zone dates and numbers are written. */
export interface TextStyle {
  readonly locale: string;
  readonly timezone: string;
  readonly markup: "plain" | "mrkdwn";
}

export interface MailDraft {
  /** A uuid: in the Message-ID, in Reply-To (`reply+ID@…`) and in the return path. */
  readonly deliveryId: string;
  readonly template: { readonly name: string; readonly locale: string; readonly source: string };
  readonly variables: Variables;
  readonly timezone: string;
  readonly from: { readonly name: string; readonly address: string };
  readonly to: { readonly name: string; readonly address: string };
  readonly category: string;
  /** Absent for a category that can't be unsubscribed from: no header, no link. */
  readonly unsubscribeToken?: string;
  /** The Date header. */
  readonly at: Instant;
  readonly company: MailCompany;
}

/** Who we are, as the footer shows it: from `policy.yaml`. */
export interface MailCompany {
  readonly name: string;
  readonly postalAddress: string;
  readonly supportEmail: string;
  /** Category → locale → what a customer calls it. */
  readonly categoryTitles: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** What a Slack message shows and how it reads where blocks can't be shown. */
export interface SlackBody {
  readonly text: string;
  readonly blocks: readonly unknown[];
}

export interface Nudge {
  readonly deliveryId: string;
  readonly text: string;
  /** As the playbook names them: `open_account`, `snooze` … */
  readonly actions: readonly string[];
  readonly account: { readonly id: string; readonly name: string };
  readonly playbook: string;
  /** Its title, as people know it; absent: its name is shown. */
  readonly playbookTitle?: string | undefined;
  readonly run: string;
  readonly step: string;
}

export interface TaskCard {
  readonly id: string;
  readonly revision: number;
  readonly title: string;
  readonly text?: string;
  readonly status: "open" | "done" | "skipped" | "cancelled";
  readonly required: boolean;
  readonly due: Instant;
  /** The assignee's, for the dates. */
  readonly timezone: string;
  readonly locale: string;
  readonly assignee?: { readonly id: string; readonly name: string; readonly slackUserId?: string };
  /** The queue's name while nobody has it. */
  readonly queue?: string;
  /** Whose it is while a cover has it. */
  readonly coveredFor?: string;
  readonly snoozedUntil?: Instant;
  readonly snoozesLeft: number;
  readonly snoozeOptions: readonly string[];
  readonly ask?: "outcome" | "note";
  readonly outcomes: readonly string[];
  readonly outcome?: string;
  readonly note?: string;
  readonly closedBy?: string;
  readonly escalated: number;
  readonly account: {
    readonly id: string;
    readonly name: string;
    readonly arr?: number;
    readonly healthStatus?: string;
    readonly healthScore?: number;
    readonly healthChange7d?: number;
  };
  readonly playbook: string;
  /** Its title, as people know it; absent: its name is shown. */
  readonly playbookTitle?: string | undefined;
  readonly run: string;
  readonly step: string;
}

export interface Digest {
  readonly person: { readonly id: string; readonly name: string; readonly timezone: string; readonly locale: string };
  readonly at: Instant;
  readonly overdue: readonly DigestLine[];
  readonly today: readonly DigestLine[];
  /** How many more are open and due later. */
  readonly later: number;
}

export interface DigestLine {
  readonly task: string;
  readonly title: string;
  readonly account: string;
  readonly due: Instant;
}

/** A text that can't be made: a missing variable, a broken template. Permanent: trying again gives the same. The message names paths, never values. */
export class TextFault extends Error {
  override readonly name = "TextFault";
}
