import type { Instant } from "../values/instant.js";
import type { Tx } from "./transactions.js";

/**
 * A value as it is imported: dates as `YYYY-MM-DD`, instants as ISO text. In every row: undefined (or not there) leaves
 * what is known, null clears it.
 */
export type FieldValue = string | number | boolean | null;

export interface UserRow {
  readonly id: string;
  readonly name?: string | undefined;
  readonly email?: string | undefined;
  readonly title?: string | null | undefined;
  readonly slackUserId?: string | null | undefined;
  readonly timezone?: string | null | undefined;
  readonly locale?: string | null | undefined;
  readonly calendar?: string | null | undefined;
  readonly managerId?: string | null | undefined;
  readonly bookingUrl?: string | null | undefined;
  readonly pools?: readonly string[] | null | undefined;
  readonly isActive?: boolean | undefined;
}

export interface AbsenceRow {
  readonly id: string;
  readonly userId: string;
  readonly fromAt: Instant;
  readonly toAt: Instant;
  readonly coverId?: string | null | undefined;
}

/** An account, contact or contract: every field, built in or declared, under its fact's name without the `account.`. */
export interface EntityRow {
  readonly id: string;
  /** Compulsory for a contact or contract that is new. */
  readonly accountId?: string | undefined;
  readonly fields: Readonly<Record<string, FieldValue | undefined>>;
  /** Accounts only: staff role → user id. */
  readonly roles?: Readonly<Record<string, string | null | undefined>> | undefined;
  /** Since when it has been so; absent: the batch's instant. */
  readonly at?: Instant | undefined;
}

export interface SampleRow {
  /** Of the source: importing it again changes nothing. */
  readonly id: string;
  readonly accountId: string;
  readonly name: string;
  readonly at: Instant;
  readonly value: number;
  /** A contact's id. */
  readonly user?: string | undefined;
}

export interface TicketRow {
  readonly id: string;
  readonly accountId: string;
  /** Compulsory for a ticket that is new. */
  readonly openedAt?: Instant | undefined;
  readonly closedAt?: Instant | null | undefined;
  readonly priority?: string | null | undefined;
  readonly satisfaction?: number | null | undefined;
}

export interface SurveyAnswerRow {
  readonly id: string;
  readonly accountId: string;
  readonly contactId?: string | undefined;
  /** nps | csat | ces | csm_view */
  readonly survey: string;
  readonly score: number;
  readonly comment?: string | undefined;
  readonly at: Instant;
}

export interface GoalRow {
  readonly id: string;
  readonly accountId: string;
  readonly title: string;
  readonly status: string;
  readonly at: Instant;
}

/** Rows in any mixture; users and accounts first, so that a batch may bring an account and its contacts. */
export interface CustomerBatch {
  readonly users?: readonly UserRow[];
  readonly absences?: readonly AbsenceRow[];
  readonly accounts?: readonly EntityRow[];
  readonly contacts?: readonly EntityRow[];
  readonly contracts?: readonly EntityRow[];
  readonly samples?: readonly SampleRow[];
  readonly tickets?: readonly TicketRow[];
  readonly surveyAnswers?: readonly SurveyAnswerRow[];
  readonly goals?: readonly GoalRow[];
}

export type CustomerKind = keyof CustomerBatch;

/** A count for each kind, all zero. */
export function noRows(): Record<CustomerKind, number> {
  return {
    users: 0,
    absences: 0,
    accounts: 0,
    contacts: 0,
    contracts: 0,
    samples: 0,
    tickets: 0,
    surveyAnswers: 0,
    goals: 0,
  };
}

export interface UpsertReport {
  /** Rows that were new or changed something. */
  readonly changed: Readonly<Record<CustomerKind, number>>;
  readonly refused: readonly RefusedRow[];
  /** Rows that were taken and say something that leads nowhere (a CSM nobody knows), in the same form. */
  readonly warnings?: readonly RefusedRow[];
}

/** A row that was not taken, by its index in the batch, with a sentence for who sent it. */
export interface RefusedRow {
  readonly kind: CustomerKind;
  readonly index: number;
  readonly reason: string;
  /** The first field that is wrong, where it is one. */
  readonly field?: string;
}

/** What an upsert changed of one account. */
export interface AccountChange {
  readonly accountId: string;
  /** The latest instant of the changes. */
  readonly at: Instant;
  /** `account.stage`, `contract.end_date`, `sample:NAME`, `tickets`, `survey`, `goals`: not yet spread over facts. */
  readonly changed: readonly string[];
}

export interface UpsertResult extends UpsertReport {
  readonly accounts: readonly AccountChange[];
  /** Ids that were not known before. */
  readonly arrived: {
    readonly account: readonly string[];
    readonly contact: readonly string[];
    readonly contract: readonly string[];
  };
  readonly absences: readonly AbsenceRow[];
}

/** Where an id leads. */
export interface Place {
  readonly accountId: string;
  readonly timezone: string;
  /** Since when it is known: before that it has no facts. */
  readonly since: Instant;
}

export interface Customers {
  /** The accounts that these rows belong to (those that are known): what to lock before `upsert`. */
  accountsOf(tx: Tx, batch: CustomerBatch): Promise<readonly string[]>;
  /**
   * Writes the batch. A version of a field is kept only where it differs from what was so at its instant, or is dated later than `now`; a row that
   * is not there deletes nothing. Appends no events: `upsertCustomers` does.
   */
  upsert(tx: Tx, batch: CustomerBatch, options: { at: Instant; source: string; now?: Instant }): Promise<UpsertResult>;
  /** Where accounts, contacts and contracts of these ids are; unknown ones are left out. */
  locate(
    tx: Tx,
    ids: { account: readonly string[]; contact: readonly string[]; contract: readonly string[] },
  ): Promise<Record<"account" | "contact" | "contract", ReadonlyMap<string, Place>>>;
  /** Those of the ids that are colleagues of ours. */
  colleagues(tx: Tx, ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** Every account's id, with its zone and calendar, in order of id; or of these only. */
  accounts(tx: Tx, ids?: readonly string[]): Promise<readonly { id: string; timezone: string; calendar: string }[]>;
  /** Ids of the accounts' contacts (active ones) and contracts. */
  belongings(
    tx: Tx,
    accountIds: readonly string[],
  ): Promise<ReadonlyMap<string, { contacts: readonly string[]; contracts: readonly string[] }>>;
  /** Dates a milestone once; false if it was dated (`contactId` '' for the account's). */
  reach(
    tx: Tx,
    milestone: { accountId: string; contactId: string; milestone: string; at: Instant; runId?: string },
  ): Promise<boolean>;
  /** Who is in each segment. */
  segmentMembers(tx: Tx, accountIds?: readonly string[]): Promise<ReadonlyMap<string, ReadonlySet<string>>>;
  setSegmentMember(tx: Tx, segment: string, accountId: string, isMember: boolean, at: Instant): Promise<void>;
  /** Drops segments that are no longer declared. */
  keepSegments(tx: Tx, segments: readonly string[]): Promise<void>;
}
