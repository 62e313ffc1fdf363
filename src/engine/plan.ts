/**
 * The plan: what a playbook compiles to, and all that the machine knows of it. Plain JSON, no YAML positions, no text
 * still to be parsed. Written by `src/playbook/compile.ts`, read by `advance`. It enters a run's history once, by value.
 */
import type { Expression, FactValue } from "../expression/expression.js";
import type { Duration } from "../values/duration.js";
import type { TimeRule } from "../values/time-rule.js";

export interface Plan {
  readonly format: 1;
  /** The playbook's name, e.g. `onboarding-high-touch`. */
  readonly playbook: string;
  readonly title: string;
  /** E-mail address of who is told when a run needs attention and its account has no CSM. */
  readonly maintainer: string;
  /** SHA-256 (hex) of the canonical content: this plan, its templates, segments and its view of the model. */
  readonly hash: string;
  readonly subject: SubjectKind;
  readonly inputs: Readonly<Record<string, InputField>>;
  readonly enroll: Enroll;
  readonly exits: readonly Exit[];
  readonly onExit: OnExit;
  readonly goal?: Exit;
  /** Playbooks whose runs for the same account hold while a run of this one is live. */
  readonly pauses: readonly string[];
  /** 0..100; who wins a person's e-mail allowance. Default 50. */
  readonly priority: number;
  /** `customer`, `csm` or a calendar's name: whose working days `bd` counts in waits. */
  readonly calendar: string;
  readonly steps: readonly Step[];
  /** What a run of this plan must be told of. System events about the run itself always reach it. */
  readonly listens: Listens;
  /** Template name → locale → SHA-256 of its source; the sources live in the store. */
  readonly templates: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export type SubjectKind = "account" | "contact";

export interface InputField {
  readonly type: "string" | "number" | "boolean";
  readonly default?: FactValue;
}

export interface Listens {
  /** Event names that a wait, an exit or a goal mentions. */
  readonly events: readonly string[];
  /** Fact paths (outside `steps`, `run`, `event`, `now`) that an exit, a goal, a wait's `if` or an anchor mentions. */
  readonly facts: readonly string[];
}

export type Trigger =
  | { readonly kind: "event"; readonly event: string; readonly where?: Expression }
  | { readonly kind: "before"; readonly date: Expression; readonly by: Duration }
  | { readonly kind: "enters" | "leaves"; readonly segment: string }
  | { readonly kind: "health"; readonly becomes: "red" | "yellow" | "green" | "unknown" }
  | { readonly kind: "every"; readonly cron: string }
  | { readonly kind: "manual" };

export interface Enroll {
  readonly when: readonly Trigger[];
  readonly if?: Expression;
  /** At most one live run per value; absent: the subject's id. */
  readonly key?: Expression;
  readonly again: Again;
  /** Input name → how a further trigger changes the live run's value. `max` and `min` order low < medium < high < critical. */
  readonly merge: Readonly<Record<string, MergeRule>>;
  /** Input name → its value from the trigger (`event.…`, facts); inputs not named take their default. */
  readonly with: Readonly<Record<string, Expression>>;
}

export type Again =
  | { readonly kind: "never" }
  | { readonly kind: "per_key" }
  | { readonly kind: "always" }
  | { readonly kind: "after"; readonly duration: Duration };

export type MergeRule = "max" | "min" | "first" | "last";

export interface EventMatch {
  readonly event: string;
  readonly where?: Expression;
}

export interface Exit {
  readonly when?: EventMatch;
  readonly if?: Expression;
  readonly outcome: string;
}

export interface OnExit {
  readonly openTasks: "cancel" | "keep";
  readonly deferredEmail: "cancel" | "keep";
  readonly steps: readonly Step[];
}

export type OnError = "fail" | "continue" | readonly Step[];

interface StepBase {
  /** Unique in the plan: the ids (or `kind-N` where there is none) from the root, joined by `/`. */
  readonly path: string;
  /** The author's id: `steps.ID.…` in expressions. Effects and waits always have one. */
  readonly id?: string;
  readonly name?: string;
  readonly if?: Expression;
  readonly onError?: OnError;
  /** `steps.…` and `run.…` paths that the step's templates mention: they travel with its command. */
  readonly scope?: readonly string[];
}

export type Step =
  | EmailStep
  | SlackStep
  | TaskStep
  | WaitStep
  | AroundStep
  | WaitForStep
  | ChooseStep
  | ParallelStep
  | RepeatStep
  | MilestoneStep
  | SetStep
  | RiskStep
  | OpportunityStep
  | HealthStep
  | PlayStep
  | EndStep;

export type StepKind = Step["kind"];

/** Contacts of the run's account: the primary one of a role, the run's own subject, or everyone of a role. */
export type RecipientRule =
  | { readonly kind: "role"; readonly role: string }
  | { readonly kind: "subject" }
  | { readonly kind: "each"; readonly role: string };

/** Who of our own people: resolved at the effect, with cover and fallback. */
export type PersonRule =
  | { readonly kind: "csm" }
  | { readonly kind: "manager" }
  | { readonly kind: "role"; readonly role: string }
  | { readonly kind: "pool"; readonly pool: string }
  | { readonly kind: "channel"; readonly channel: string };

export interface EmailStep extends StepBase {
  readonly kind: "email";
  readonly to: RecipientRule;
  /** Whose address it comes from; `csm` is their cover's while they are away. */
  readonly from: PersonRule;
  readonly template: string;
  readonly category: string;
  /** When it may go, in the recipient's zone and calendar. */
  readonly send: TimeRule;
  /** How long a deferred mail may wait; then it is skipped as stale. Default: policy (3 bd). */
  readonly sendWithin?: Duration;
}

export interface SlackStep extends StepBase {
  readonly kind: "slack";
  readonly to: PersonRule;
  /** Liquid source, at most 3,000 characters. */
  readonly text: string;
  readonly actions: readonly string[];
}

export interface TaskStep extends StepBase {
  readonly kind: "task";
  /** Liquid sources. */
  readonly title: string;
  readonly text?: string;
  readonly for: PersonRule;
  /** From opening, in the assignee's zone and calendar. */
  readonly due: Duration;
  /** The first that holds replaces `due`; looked at again when a trigger is merged, and then only tightens. */
  readonly dueIf: readonly { readonly if: Expression; readonly due: Duration }[];
  readonly required: boolean;
  readonly escalate: readonly { readonly after: Duration; readonly to: PersonRule }[];
  /** Offsets from due (negative: before). */
  readonly remind: readonly Duration[];
  readonly snoozeLimit: number;
  readonly ask?: "outcome" | "note";
  readonly outcomes: readonly string[];
  /** Present: the run waits until the task is closed, at most `within`. */
  readonly wait?: { readonly within: Duration; readonly otherwise: readonly Step[] };
}

export type OnDate = "skip" | "run" | "fail";

export interface WaitStep extends StepBase {
  readonly kind: "wait";
  readonly until:
    | { readonly kind: "rule"; readonly rule: TimeRule }
    | { readonly kind: "date"; readonly date: Expression; readonly offset?: Duration };
  readonly onMissing: OnDate;
  readonly onPast: OnDate;
}

export interface AroundStep extends StepBase {
  readonly kind: "around";
  /** A fact path of a date or instant, so that a change of it re-arms. */
  readonly anchor: string;
  /** In file order; each runs at most once. */
  readonly blocks: readonly { readonly at: Duration; readonly step: Step }[];
  readonly onMissing: OnDate;
  readonly onPast: OnDate;
}

export type Condition =
  | {
      readonly kind: "event";
      readonly event: string;
      readonly where?: Expression;
      /** `start`: of the run, or of the innermost iteration; `wait`: from the wait's own beginning. */
      readonly since: "start" | "wait";
    }
  | { readonly kind: "if"; readonly if: Expression }
  | { readonly kind: "task"; readonly step: string }
  | { readonly kind: "reply"; readonly step: string }
  | { readonly kind: "any" | "all"; readonly of: readonly Condition[] };

export interface WaitForStep extends StepBase {
  readonly kind: "wait_for";
  readonly for: Condition;
  readonly within: Duration;
  readonly otherwise: readonly Step[];
}

export interface ChooseStep extends StepBase {
  readonly kind: "choose";
  readonly branches: readonly { readonly if: Expression; readonly steps: readonly Step[] }[];
  readonly else: readonly Step[];
}

export interface ParallelStep extends StepBase {
  readonly kind: "parallel";
  readonly branches: readonly { readonly name: string; readonly steps: readonly Step[] }[];
  readonly join: "all" | "any";
}

export interface RepeatStep extends StepBase {
  readonly kind: "repeat";
  readonly every: Duration;
  /** Checked after each iteration; absent: only `times` ends it. */
  readonly until?: Expression;
  readonly times: number;
  readonly steps: readonly Step[];
}

export interface MilestoneStep extends StepBase {
  readonly kind: "milestone";
  readonly milestone: string;
}

export interface SetStep extends StepBase {
  readonly kind: "set";
  /** A declared field, e.g. `account.stage`. */
  readonly field: string;
  readonly value: Expression;
}

export interface RiskStep extends StepBase {
  readonly kind: "risk";
  readonly risk: string;
  readonly severity: "low" | "medium" | "high" | "critical";
  /** Liquid source. */
  readonly text?: string;
}

export interface OpportunityStep extends StepBase {
  readonly kind: "opportunity";
  readonly opportunity: string;
  readonly text?: string;
}

export interface HealthStep extends StepBase {
  readonly kind: "health";
}

export interface PlayStep extends StepBase {
  readonly kind: "play";
  readonly playbook: string;
  readonly with: Readonly<Record<string, Expression>>;
  readonly wait?: { readonly within: Duration; readonly otherwise: readonly Step[] };
}

export interface EndStep extends StepBase {
  readonly kind: "end";
  readonly outcome: string;
}
