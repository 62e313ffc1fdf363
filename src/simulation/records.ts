/**
 * What a scenario gives and scripts: customers as they would be imported, dated events, and how people behave. The same
 * scenario can be walked here and, through HTTP, by the real system. Field names are those of docs/language-files.md.
 */
import type { FactValue } from "../expression/expression.js";
import type { Duration } from "../values/duration.js";
import type { Instant } from "../values/instant.js";

export type GivenValue = string | number | boolean | null;

export interface GivenEntity {
  readonly id: string;
  readonly accountId?: string;
  /** Dates `YYYY-MM-DD`, instants ISO text; null clears. */
  readonly fields: Readonly<Record<string, GivenValue>>;
  readonly roles?: Readonly<Record<string, string>>;
  /** Since when; absent: since ever. */
  readonly at?: Instant;
}

export interface GivenUser {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly timezone?: string;
  readonly locale?: string;
  readonly calendar?: string;
  readonly managerId?: string;
  readonly slackUserId?: string;
  readonly pools?: readonly string[];
}

export interface Given {
  readonly users?: readonly GivenUser[];
  readonly absences?: readonly { id: string; userId: string; fromAt: Instant; toAt: Instant; coverId?: string }[];
  readonly accounts?: readonly GivenEntity[];
  readonly contacts?: readonly GivenEntity[];
  readonly contracts?: readonly GivenEntity[];
  readonly samples?: readonly {
    id: string;
    accountId: string;
    name: string;
    at: Instant;
    value: number;
    user?: string;
  }[];
  readonly tickets?: readonly {
    id: string;
    accountId: string;
    openedAt: Instant;
    closedAt?: Instant;
    priority?: string;
  }[];
  readonly surveyAnswers?: readonly {
    id: string;
    accountId: string;
    contactId?: string;
    survey: string;
    score: number;
    at: Instant;
  }[];
}

/** One dated thing from outside. */
export type Scripted =
  | {
      readonly kind: "event";
      readonly at: Instant;
      readonly id: string;
      readonly name: string;
      readonly accountId: string;
      readonly contactId?: string;
      readonly contractId?: string;
      readonly payload: Readonly<Record<string, FactValue>>;
    }
  | { readonly kind: "upsert"; readonly at: Instant; readonly id: string; readonly rows: Given };

/** What people do about what reaches them, by step id: so long after it, in UTC. */
export interface Reaction {
  /** Step id; `*` for any. */
  readonly step: string;
  readonly to: "email" | "task";
  readonly after: Duration;
  readonly do:
    | { readonly kind: "reply" }
    | { readonly kind: "bounce" }
    | { readonly kind: "unsubscribe" }
    | { readonly kind: "event"; readonly name: string; readonly payload: Readonly<Record<string, FactValue>> }
    | { readonly kind: "complete"; readonly outcome?: string; readonly note?: string }
    | { readonly kind: "skip"; readonly reason: string };
}

export interface Scenario {
  readonly name: string;
  /** The simulation begins here. */
  readonly at: Instant;
  /** And ends here, whatever still waits. */
  readonly until: Instant;
  readonly given: Given;
  readonly script: readonly Scripted[];
  readonly reactions: readonly Reaction[];
  /** Manual enrolments: playbook and subject. */
  readonly enrolments?: readonly {
    readonly at: Instant;
    readonly playbook: string;
    readonly accountId: string;
    readonly contactId?: string;
    readonly inputs?: Readonly<Record<string, FactValue>>;
  }[];
}
