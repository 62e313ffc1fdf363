import type { Suppression } from "../engine/decide-send.js";
import type { Instant } from "../values/instant.js";
import type { DeliveryRow } from "./ledger.js";
import type { Tx } from "./transactions.js";

/** One mail that is about to be decided about. */
export interface MailQuestion {
  readonly runId: string;
  readonly effectKey: string;
  readonly accountId: string;
  readonly playbook: string;
  readonly contactId: string;
  /** Any case; null: there is none. */
  readonly email: string | null;
  /** The mail's own row: it doesn't count against itself. */
  readonly key: string;
  readonly at: Instant;
  /** Mails that count against the cap are those begun later than this. */
  readonly cappedSince: Instant;
  /** Categories that don't count. */
  readonly exempt: readonly string[];
  /** When the run was released from a hold: the latest mail since then is asked for. */
  readonly releasedAt?: Instant | undefined;
  /** Key of the task that stands for the mail where there was nobody to write to. */
  readonly taskKey: string;
}

/** What decides about a mail and may change at any moment. */
export interface MailFindings {
  /** What the ledger has of the effect, by key. */
  readonly rows: readonly Pick<DeliveryRow, "key">[];
  /** `PeopleAround.version` as it is now. */
  readonly peopleVersion: string;
  /** Kill switches that are on. */
  readonly switches: readonly string[];
  /** Of the address, whatever the category, as they stood at the instant. */
  readonly suppressions: readonly Suppression[];
  /** Runs that hold the playbook for the account, the longest first; '' is an operator. */
  readonly holders: readonly string[];
  /** The latest counted or uncounted mail that went to the contact, at or after `releasedAt`. */
  readonly lastSentAt?: Instant;
  /** When counted mails to the contact were begun, oldest first: accepted, under way or unknown. */
  readonly counted: readonly Instant[];
  /** How many of them may turn out not to have gone: under way, or of unknown fate. */
  readonly unsettled: number;
  /** Other counted mails that wait for the contact at the instant, by key. */
  readonly waiting: readonly { readonly key: string; readonly priority: number; readonly until?: Instant }[];
  /** There is a task in the mail's place. */
  readonly hasTask: boolean;
}

/** Read as one, in the claim: with the account's lock held, and asked without waiting for it if the transaction asked for that first. */
export interface MailGrounds {
  read(tx: Tx, question: MailQuestion): Promise<MailFindings>;
}
