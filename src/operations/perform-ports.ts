import type { Composer } from "../ports/composer.js";
import type { Concerns } from "../ports/concerns.js";
import type { HealthMeter } from "../ports/health-meter.js";
import type { Holds } from "../ports/holds.js";
import type { Ledger } from "../ports/ledger.js";
import type { MailGrounds } from "../ports/mail-grounds.js";
import type { Mailer } from "../ports/mailer.js";
import type { LogicalOrder } from "../ports/order.js";
import type { People } from "../ports/people.js";
import type { PutBacks } from "../ports/put-backs.js";
import type { SlackPoster } from "../ports/slack-poster.js";
import type { Ports } from "../ports/store.js";
import type { Suppressions } from "../ports/suppressions.js";
import type { Workflows } from "../ports/workflows.js";
import type { Tasks } from "../ports/tasks.js";

/** What tasks and Slack messages outside runs need. */
export interface DeskPorts extends Ports {
  readonly ledger: Ledger;
  readonly people: People;
  readonly tasks: Tasks;
  readonly composer: Composer;
  readonly slack: SlackPoster;
  readonly settings: DeliverySettings;
  /** Told of a fault that was got over (a message that could not be re-rendered …): ids, no addresses. */
  readonly onFault?: (what: string, error: unknown) => void;
}

/** What the commands of runs need. */
export interface PerformPorts extends DeskPorts {
  readonly suppressions: Suppressions;
  readonly mailGrounds: MailGrounds;
  readonly holds: Holds;
  readonly concerns: Concerns;
  readonly mailer: Mailer;
  readonly health: HealthMeter;
  /** Where domain time is an order (`ClockSetting.ordered`). */
  readonly order?: LogicalOrder | undefined;
  /** Absent: a store that is behind a run is a fault. */
  readonly putBacks?: PutBacks;
  /** What Temporal knows of runs that the store has forgotten. */
  readonly workflows?: Pick<Workflows, "begun">;
  /** Told once, when the database is found to have been put back. */
  readonly onPutBack?: (reason: string) => void;
}

/** Real time, in milliseconds. Why each: channels.md, "The fence". */
export interface DeliverySettings {
  /** How long a claim may take to get on the wire: connecting, TLS, up to DATA. */
  readonly leaseMs: number;
  /** W: the longest gap between the row's `wire` and the first byte. */
  readonly lastLookMs: number;
  /** H for SMTP: how long the server may take to answer after the final dot. */
  readonly smtpReplyMs: number;
  /** H for Slack: the request's time-out. */
  readonly slackReplyMs: number;
  /** S: how late an accept, or a look-up, may be. */
  readonly slackenMs: number;
  /** How long one `performRequest` takes at most before it hands back what it has. */
  readonly budgetMs: number;
  /** Back-off after the n-th attempt (1, 2, 3 …). */
  readonly backoffMs: (attempt: number) => number;
  /** Only these addresses, or addresses at these domains (`@example.com`), are written to; absent: all. `EMAIL_ONLY_TO`. */
  readonly emailOnlyTo?: readonly string[];
}

/** RFC 5321, 4.5.3.2.6, gives the answer after the final dot ten minutes. */
export const PRODUCTION_SETTINGS: DeliverySettings = {
  leaseMs: 60_000,
  lastLookMs: 400,
  smtpReplyMs: 600_000,
  slackReplyMs: 10_000,
  slackenMs: 3_000,
  budgetMs: 3_500,
  // 5 s, 10 s, 20 s … to a quarter of an hour: a greylisting server wants minutes, a restarted one seconds.
  backoffMs: (attempt) => Math.min(5_000 * 2 ** Math.min(attempt - 1, 10), 900_000),
};

/** Demo, everyday tests and chaos: mailboxes that can be asked by Message-ID. */
export const LOCAL_SETTINGS: DeliverySettings = {
  ...PRODUCTION_SETTINGS,
  leaseMs: 10_000,
  smtpReplyMs: 5_000,
  backoffMs: (attempt) => Math.min(500 * 2 ** Math.min(attempt - 1, 10), 10_000),
};
