/**
 * What the machine asks for, and what it may be answered. Commands are a pure function of the state: one that was not
 * begun is simply asked for again. Every command has a key that survives continue-as-new; the same key is the same effect.
 */
import type { Expression, FactValue } from "../expression/expression.js";
import type { Duration } from "../values/duration.js";
import type { Instant } from "../values/instant.js";
import type { TimeRule } from "../values/time-rule.js";
import type { PersonRule, RecipientRule } from "./plan.js";

interface CommandBase {
  /** `PATH` with the iteration path (`#N` behind each enclosing repeat) and, where a step asks for several things, `:WHAT`. */
  readonly key: string;
  /** The step's path in the plan, and its id where it has one. */
  readonly path: string;
  readonly step?: string;
  /**
   * True: asked for ahead of its turn, on the assumption that every command before it in the list ends plainly
   * (see `isPlain`). It must not be begun otherwise.
   */
  readonly speculative?: boolean;
}

export type Command = CommandBase & CommandBody;

export type CommandBody =
  /** Facts as of the call's instant, for a decision. */
  | { readonly kind: "read"; readonly facts: readonly string[] }
  /** When a rule falls due, counted from `from`, in the account's zone and the plan's calendar. */
  | {
      readonly kind: "resolve";
      readonly rule: TimeRule;
      readonly from: Instant;
      /** A firing timer is resolved once more: plain only if the answer is still this. */
      readonly expected?: Instant;
    }
  /** A date fact (or a date expression) plus an offset; absent → `{ kind: "resolved" }` without `at`. */
  | {
      readonly kind: "resolve_date";
      readonly date: Expression;
      readonly offset?: Duration;
      readonly expected?: Instant;
    }
  | {
      readonly kind: "email";
      readonly to: RecipientRule;
      readonly from: PersonRule;
      readonly template: string;
      /** Locale → source hash. */
      readonly locales: Readonly<Record<string, string>>;
      readonly category: string;
      readonly send: TimeRule;
      readonly sendWithin?: Duration;
      readonly priority: number;
      /** When the step was reached: `sendWithin` counts from here. */
      readonly since: Instant;
      /** True after the run's exit: only category `service` goes out. */
      readonly exiting: boolean;
      /** Values for the template that only the machine knows: `steps.…`, `run.…`. */
      readonly scope: Readonly<Record<string, FactValue>>;
    }
  /** Takes back what of this e-mail was not yet sent (stale, withdrawn, exit). */
  | { readonly kind: "email_withdraw"; readonly email: string; readonly reason: SkipReason }
  | {
      readonly kind: "slack";
      readonly to: PersonRule;
      readonly text: string;
      readonly actions: readonly string[];
      readonly scope: Readonly<Record<string, FactValue>>;
    }
  | {
      readonly kind: "task";
      readonly title: string;
      readonly text?: string;
      readonly for: PersonRule;
      readonly due: Duration;
      readonly required: boolean;
      readonly escalate: readonly { readonly after: Duration; readonly to: PersonRule }[];
      readonly remind: readonly Duration[];
      readonly snoozeLimit: number;
      readonly ask?: "outcome" | "note";
      readonly outcomes: readonly string[];
      readonly scope: Readonly<Record<string, FactValue>>;
    }
  /** A shorter `due` for an open task; never a later one. */
  | { readonly kind: "task_tighten"; readonly task: string; readonly due: Duration }
  /** Cancels an open task whose branch was withdrawn. */
  | { readonly kind: "task_withdraw"; readonly task: string }
  | { readonly kind: "milestone"; readonly milestone: string }
  | { readonly kind: "set"; readonly field: string; readonly value: FactValue | null }
  | {
      readonly kind: "risk";
      readonly risk: string;
      readonly severity: string;
      readonly text?: string;
      readonly scope: Readonly<Record<string, FactValue>>;
    }
  | {
      readonly kind: "opportunity";
      readonly opportunity: string;
      readonly text?: string;
      readonly scope: Readonly<Record<string, FactValue>>;
    }
  | { readonly kind: "health" }
  | { readonly kind: "play"; readonly playbook: string; readonly inputs: Readonly<Record<string, FactValue>> }
  /** First command of every run whose playbook pauses others: takes the counted holds. Released by `close`. */
  | { readonly kind: "hold"; readonly playbooks: readonly string[] }
  /** The run was parked: its owner is told (Slack to the CSM, else the maintainer). */
  | { readonly kind: "park"; readonly reason: string }
  /** What an exit does to what is open: before `on_exit.steps`. */
  | {
      readonly kind: "leave";
      readonly outcome: string;
      readonly openTasks: "cancel" | "keep";
      readonly deferredEmail: "cancel" | "keep";
    }
  /** Last command of every run: holds released, status and outcome written; the run may not complete before it succeeded. */
  | { readonly kind: "close"; readonly outcome: string };

export type CommandKind = Command["kind"];

export type SkipReason =
  | "no_contact"
  | "no_address"
  | "suppressed"
  | "unsubscribed"
  | "bounced_before"
  | "contact_gone"
  | "test_account"
  | "stale"
  | "withdrawn"
  | "not_service_after_exit"
  | "only_to";

export type DeferReason = "outside_window" | "capped" | "quiet" | "held" | "kill_switch" | "spacing" | "spread";

/** What became of one recipient of an e-mail. Ids only; the address stays in the store. */
export interface Delivery {
  readonly contact: string;
  readonly result: "sent" | "deferred" | "skipped" | "rejected" | "unknown";
  readonly at: Instant;
  readonly locale?: string;
  readonly reason?: string;
  readonly until?: Instant;
}

export type Outcome =
  /** Facts as of `at`; what is absent is left out. */
  | { readonly kind: "read"; readonly at: Instant; readonly facts: Readonly<Record<string, FactValue>> }
  | { readonly kind: "resolved"; readonly at?: Instant }
  /** Every recipient is dealt with: sent or skipped. */
  | { readonly kind: "emailed"; readonly at: Instant; readonly deliveries: readonly Delivery[] }
  /** At least one recipient waits until `until`; past `staleAt` they are to be skipped. */
  | {
      readonly kind: "deferred";
      readonly at: Instant;
      readonly until: Instant;
      readonly staleAt: Instant;
      readonly reason: DeferReason;
      readonly deliveries: readonly Delivery[];
    }
  | { readonly kind: "posted"; readonly at: Instant; readonly to: string }
  | {
      readonly kind: "task_opened";
      readonly at: Instant;
      readonly task: string;
      readonly assignee: string | null;
      readonly due: Instant;
    }
  | { readonly kind: "played"; readonly at: Instant; readonly run: string | null; readonly refused?: string }
  | { readonly kind: "measured"; readonly at: Instant; readonly score: number | null; readonly status: string }
  /** Any other effect, done. */
  | { readonly kind: "done"; readonly at: Instant }
  /** A definite, permanent refusal: `on_error` decides. `reason` is for people, without secrets or addresses. */
  | { readonly kind: "failed"; readonly at: Instant; readonly reason: string };

/**
 * True if the outcome is the one that commands asked for ahead assumed: then the next in the list may begin.
 * An e-mail is plain when every recipient got it; a timer that fires when its instant stands. A read is: behind one only what leaves no trace is
 * asked for ahead.
 */
export function isPlain(command: Command, outcome: Outcome): boolean {
  switch (outcome.kind) {
    case "failed":
    case "deferred":
    case "measured":
      return false;
    case "emailed":
      return outcome.deliveries.length > 0 && outcome.deliveries.every((delivery) => delivery.result === "sent");
    case "resolved": {
      if (command.kind !== "resolve" && command.kind !== "resolve_date") return false;
      return command.expected === undefined || outcome.at === command.expected;
    }
    case "played":
      return outcome.run !== null;
    case "read":
    case "posted":
    case "task_opened":
    case "done":
      return true;
  }
}
