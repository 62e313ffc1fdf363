import type { AccountTeam, Colleague, ContactPerson, Directory } from "../customers/people.js";
import type { Instant } from "../values/instant.js";
import type { Tx } from "./transactions.js";

/** An account as far as one must know it to reach its people. */
export interface AccountCard extends AccountTeam {
  readonly id: string;
  readonly name: string;
  readonly timezone: string;
  readonly locale: string | null;
  /** As imported; whose calendar holds then: docs/language-files.md, calendars.yaml. */
  readonly calendar: string | null;
  readonly country: string | null;
  readonly isTest: boolean;
}

export interface ContactCard extends ContactPerson {
  readonly accountId: string;
  readonly name: string;
  /** Never in logs, events, timelines or histories. */
  readonly email: string | null;
  readonly locale: string | null;
  readonly timezone: string | null;
}

/** An account and everyone at it. */
export interface PeopleAround {
  readonly account: AccountCard;
  readonly contacts: readonly ContactCard[];
  /** Another as soon as anything of it is: `MailFindings.peopleVersion`. */
  readonly version: string;
}

/** Who there is. A mail goes to today's champion: current values, or where domain time is not real time, those of the instant that is "today". */
export interface People {
  account(tx: Tx, id: string, asOf?: Instant): Promise<AccountCard | undefined>;
  /** All contacts of the account, those who left too. */
  contacts(tx: Tx, accountId: string, asOf?: Instant): Promise<ContactCard[]>;
  /** Both at once; undefined where there is no such account. */
  around(tx: Tx, accountId: string, asOf?: Instant): Promise<PeopleAround | undefined>;
  /** Everyone of ours, and every absence. A company's CS team: hundreds of rows at most. */
  directory(tx: Tx): Promise<Directory>;
  /** The colleague with this Slack user id, else with this e-mail address (any case). */
  colleagueBy(tx: Tx, by: { slackUserId: string } | { email: string }): Promise<Colleague | undefined>;
  /** Remembers the Slack user that an address was found to be. */
  keepSlackUser(tx: Tx, userId: string, slackUserId: string): Promise<void>;
}
