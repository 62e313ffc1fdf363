import type { Home } from "../../ports/desk-home.js";
import type { Assignable } from "../../adapters/slack/modals.js";
import type { TaskCard } from "../../ports/composer.js";
import type { Instant } from "../../values/instant.js";

/** What the Slack entrance asks of the operations. The operations decide who may do what; the entrance only shows the answer. */
export interface TaskActions {
  /** Our colleague's id behind a Slack user id that was stored; undefined: none. Inactive colleagues don't count. */
  colleagueBySlackId(slackUserId: string): Promise<string | undefined>;
  /** By e-mail address, in any case. */
  colleagueByEmail(email: string): Promise<string | undefined>;
  /** From now on the Slack user is known by id. */
  linkSlackUser(colleagueId: string, slackUserId: string): Promise<void>;
  /** Who a task may be given to, by name. */
  colleagues(): Promise<readonly Assignable[]>;
  /** The task as it is now, and whether this colleague may act on it (assignee, cover, manager). */
  look(taskId: string, colleagueId: string): Promise<{ card: TaskCard; mayAct: boolean } | undefined>;
  act(act: TaskAct): Promise<TaskActResult>;
  /** A button of a nudge was pressed: the event `slack.clicked`. The text, if any, is shown to who pressed it. */
  nudgeClicked(click: NudgeClick): Promise<{ text?: string }>;
  /** What the colleague's Home tab and `/waypost tasks` list. */
  home(colleagueId: string): Promise<Home>;
}

export type TaskAct = {
  readonly task: string;
  /** As the pressed message showed it; another one is `stale`. */
  readonly revision: number;
  /** The colleague who acts. */
  readonly by: string;
  /** Domain instant given by a scripted person (`timeScale` above 1); absent: the domain's now. */
  readonly at?: Instant;
  /** The message that was pressed: a delivery whose post was never answered is found by it. */
  readonly posted?: { readonly channel: string; readonly ts: string };
} & (
  | { readonly verb: "complete"; readonly outcome?: string; readonly note?: string }
  /** A preset of the policy: `2 bd`. */
  | { readonly verb: "snooze"; readonly for: string }
  | { readonly verb: "reassign"; readonly to: string }
  | { readonly verb: "skip"; readonly reason: string }
  | { readonly verb: "note"; readonly note: string }
);

/** `card`: the task as it is after (or instead of) the act. `refused.reason`: a sentence for who pressed. */
export type TaskActResult =
  | { readonly kind: "done"; readonly card: TaskCard }
  | { readonly kind: "stale"; readonly card: TaskCard }
  | { readonly kind: "refused"; readonly reason: string; readonly card?: TaskCard }
  | { readonly kind: "unknown" };

export interface NudgeClick {
  readonly deliveryId: string;
  readonly action: string;
  /** undefined: somebody in the channel who isn't one of ours. */
  readonly by: string | undefined;
  readonly at?: Instant;
  readonly posted?: { readonly channel: string; readonly ts: string };
}
