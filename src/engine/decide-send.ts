import { addDuration } from "../values/add-duration.js";
import { type Calendar, openFrom, STANDARD_CALENDAR } from "../values/calendar.js";
import type { Duration } from "../values/duration.js";
import { hashFraction } from "../values/hash.js";
import type { Instant } from "../values/instant.js";
import { resolveTimeRule, type TimeRule } from "../values/time-rule.js";
import { msOfTime, type TimeOfDay } from "../values/time-of-day.js";
import { instantOfWallClock, wallClockOf } from "../values/zone.js";
import type { DeferReason, SkipReason } from "./command.js";
import type { Category, Policy } from "./policy.js";

export type SendDecision =
  | { readonly kind: "send"; readonly staleAt: Instant }
  /** Ask again at `until`: by what is known now, the first instant at which it may go. */
  | { readonly kind: "defer"; readonly until: Instant; readonly reason: DeferReason; readonly staleAt: Instant }
  | { readonly kind: "skip"; readonly reason: SkipReason };

/** All that decides about one mail to one person; nothing else does. */
export interface SendInput {
  readonly now: Instant;
  /** When the step was reached. */
  readonly since: Instant;
  readonly send: TimeRule;
  /** How long after `since` it may still go; in the recipient's zone and calendar. */
  readonly sendWithin: Duration;
  /** After the run's exit: only `service` goes out. */
  readonly isExiting: boolean;
  readonly category: MailCategory;
  readonly recipient: {
    readonly isActive: boolean;
    readonly hasAddress: boolean;
    readonly zone: string;
    readonly calendar: Calendar;
  };
  readonly isTestAccount: boolean;
  /** False where the installation's `EMAIL_ONLY_TO` doesn't list the address. */
  readonly isAddressAllowed: boolean;
  /** The address's suppressions, of whatever category. */
  readonly suppressions: readonly Suppression[];
  /** Kill switches that are on and concern this mail: all mail, or its playbook's. */
  readonly isKillSwitchOn: boolean;
  /** The run is held for its account (an operator, or a playbook that pauses this one). */
  readonly isHeld: boolean;
  /** When mails to this person that count were accepted or begun (also what is under way or unknown), over all playbooks. Any order. */
  readonly counted: readonly Instant[];
  /** How many of them may turn out not to have gone: under way, or of unknown fate. */
  readonly unsettled: number;
  /** Other mails that wait to go to this person, count, and are not stale. */
  readonly waiting: readonly WaitingMail[];
  readonly priority: number;
  /** Breaks a tie of priorities; also what the spread is drawn from. Stable: run, step, recipient. */
  readonly key: string;
  /** When the run was last released from a hold. */
  readonly releasedAt?: Instant;
  /** The latest mail that went to this person since then. */
  readonly lastSentAt?: Instant;
  readonly rules: SendRules;
}

/** What policy.yaml says about a category. */
export type MailCategory = Pick<Category, "canUnsubscribe" | "isCapped" | "keepsQuietHours"> & {
  readonly name: string;
};

/** The house rules for e-mail, from policy.yaml. */
export interface SendRules {
  readonly cap: { readonly messages: number; readonly perMs: number };
  /** `from` included, `to` not; may cross midnight; absent or empty (`from` = `to`): none. The recipient's zone. */
  readonly quietHours?: { readonly from: TimeOfDay; readonly to: TimeOfDay };
  readonly spreadMs: number;
  readonly spacingAfterReleaseMs: number;
}

export interface Suppression {
  /** `*`: all mail. */
  readonly category: string;
  readonly reason: "unsubscribed" | "bounced" | "complained" | "manual";
}

export interface WaitingMail {
  readonly key: string;
  readonly priority: number;
  /** When it is next asked about; absent: it has not been yet. */
  readonly until?: Instant;
}

/** How often a mail is looked at again that waits for something without a date: a hold, a kill switch, a mail of higher priority. */
export const RECHECK_MS = 60 * 60_000;

/** How late a mail `send: "09:30"` may go and still be at 09:30: room for a spread, a restart, a queue. */
export const TIME_OF_DAY_TOLERANCE_MS = 60 * 60_000;

/** Each round moves the instant on for one reason; quiet hours, windows and caps meet within a few. */
const ROUNDS_MAX = 64;

/**
 * Whether a mail goes now, waits, or is left out for good, and why. Reasons to leave out come first (they are final), then to wait.
 * A mail that waits past `staleAt` is skipped. Rules: language.md, "Caps", "Recipients", "Pauses"; docs/language-files.md, policy.yaml.
 */
export function decideSend(input: SendInput): SendDecision {
  const skip = skipReason(input);
  if (skip) return { kind: "skip", reason: skip };

  const { zone, calendar } = input.recipient;
  const staleAt = addDuration(input.since, input.sendWithin, zone, calendar);
  const first = firstHindrance(input, input.now);
  if (!first) return input.now > staleAt ? { kind: "skip", reason: "stale" } : { kind: "send", staleAt };
  if (input.now >= staleAt) return { kind: "skip", reason: "stale" };

  // What is said is the reason that holds now; when is the first instant at which nothing that can be foreseen stands in the way.
  let until = first.until;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const next = firstHindrance(input, until);
    if (!next || next.isOpenEnded) break;
    until = next.until;
  }
  return { kind: "defer", until, reason: first.reason, staleAt };
}

/** The house rules as they hold at an instant. They are rolling spans: a day is 24 h wherever the person is, a month as long as the one that begins then. */
export function sendRulesOf({ email }: Policy, now: Instant): SendRules {
  const lengthMs = (duration: Duration): number => addDuration(now, duration, "UTC", STANDARD_CALENDAR) - now;
  return {
    cap: { messages: email.cap.messages, perMs: lengthMs(email.cap.per) },
    quietHours: email.quietHours,
    spreadMs: lengthMs(email.spread),
    spacingAfterReleaseMs: lengthMs(email.spacingAfterRelease),
  };
}

/** A category by its name; one that the policy no longer knows is treated with the most care. */
export function mailCategoryOf(name: string, policy: Policy): MailCategory {
  const { canUnsubscribe = true, isCapped = true, keepsQuietHours = true } = policy.categories[name] ?? {};
  return { name, canUnsubscribe, isCapped, keepsQuietHours };
}

function skipReason(input: SendInput): SkipReason | undefined {
  const isService = input.category.name === "service";
  if (input.isExiting && !isService) return "not_service_after_exit";
  if (input.isTestAccount) return "test_account";
  if (!input.recipient.isActive) return "contact_gone";
  if (!input.recipient.hasAddress) return "no_address";
  const concerning = input.suppressions.filter(({ category }) => category === "*" || category === input.category.name);
  // A dead address or a complaint stops everything; an opt-out only what one can opt out from.
  if (input.suppressions.some(({ reason }) => reason === "bounced")) return "bounced_before";
  if (input.suppressions.some(({ reason }) => reason === "complained")) return "suppressed";
  if (concerning.some(({ reason }) => reason === "manual")) return "suppressed";
  if (input.category.canUnsubscribe && concerning.some(({ reason }) => reason === "unsubscribed"))
    return "unsubscribed";
  return input.isAddressAllowed ? undefined : "only_to";
}

interface Hindrance {
  readonly reason: DeferReason;
  readonly until: Instant;
  /** It may be over earlier or later: `until` is only when to look again. */
  readonly isOpenEnded?: boolean;
}

/** What stands in the way at `at`, and until when; undefined: nothing. */
function firstHindrance(input: SendInput, at: Instant): Hindrance | undefined {
  if (input.isKillSwitchOn) return { reason: "kill_switch", until: at + RECHECK_MS, isOpenEnded: true };
  if (input.isHeld) return { reason: "held", until: at + RECHECK_MS, isOpenEnded: true };
  return (
    windowHindrance(input, at) ?? quietHindrance(input, at) ?? spacingHindrance(input, at) ?? capHindrance(input, at)
  );
}

function windowHindrance({ send, since, recipient, key, rules }: SendInput, at: Instant): Hindrance | undefined {
  const { zone, calendar } = recipient;
  switch (send.kind) {
    case "now":
      return undefined;
    case "after":
    case "date": {
      const due = resolveTimeRule(send, since, zone, calendar);
      return due > at ? { reason: "outside_window", until: due } : undefined;
    }
    case "working_hours": {
      const spreadMs = Math.floor(hashFraction(key) * rules.spreadMs);
      const opening = openFrom(at, zone, calendar);
      if (opening > at) return { reason: "outside_window", until: spreadFrom(opening, spreadMs, zone, calendar) };
      // It waited for the first opening after it fell due: not everybody at once.
      const awaited = openFrom(since, zone, calendar);
      const turn = awaited > since ? spreadFrom(awaited, spreadMs, zone, calendar) : since;
      return turn > at ? { reason: "spread", until: turn } : undefined;
    }
    case "time_of_day":
    case "working_hours_at":
    case "weekday": {
      if (send.kind === "weekday" && send.time === undefined) {
        const day = resolveTimeRule(send, at, zone, calendar);
        return day > at ? { reason: "outside_window", until: day } : undefined;
      }
      const next = resolveTimeRule(send, Math.max(since, at - TIME_OF_DAY_TOLERANCE_MS), zone, calendar);
      return next > at ? { reason: "outside_window", until: next } : undefined;
    }
  }
}

/** Some time after opening; at opening itself where the day is shorter than that. */
function spreadFrom(opening: Instant, spreadMs: number, zone: string, calendar: Calendar): Instant {
  const turn = opening + spreadMs;
  return openFrom(turn, zone, calendar) === turn ? turn : opening;
}

function quietHindrance({ category, recipient, rules }: SendInput, at: Instant): Hindrance | undefined {
  if (!category.keepsQuietHours || !rules.quietHours) return undefined;
  const from = msOfTime(rules.quietHours.from);
  const to = msOfTime(rules.quietHours.to);
  const { day, msOfDay } = wallClockOf(at, recipient.zone);
  const isQuiet = from <= to ? msOfDay >= from && msOfDay < to : msOfDay >= from || msOfDay < to;
  if (!isQuiet) return undefined;
  const endDay = from > to && msOfDay >= from ? day + 1 : day;
  const until = instantOfWallClock({ day: endDay, msOfDay: to }, recipient.zone);
  // A clock that is put back over the end shows the quiet hour twice.
  return { reason: "quiet", until: until > at ? until : at + RECHECK_MS };
}

/** What fell due while the run was held doesn't go in a burst when it is released. */
function spacingHindrance(
  { category, since, releasedAt, lastSentAt, rules }: SendInput,
  at: Instant,
): Hindrance | undefined {
  if (!category.isCapped || releasedAt === undefined || lastSentAt === undefined) return undefined;
  if (since > releasedAt || lastSentAt < releasedAt) return undefined;
  const until = lastSentAt + rules.spacingAfterReleaseMs;
  return until > at ? { reason: "spacing", until } : undefined;
}

function capHindrance(input: SendInput, at: Instant): Hindrance | undefined {
  if (!input.category.isCapped) return undefined;
  const { messages, perMs } = input.rules.cap;
  const inWindow = input.counted.filter((sentAt) => sentAt > at - perMs).sort((a, b) => a - b);
  if (inWindow.length >= messages) {
    // Enough of the oldest must have left the window for one place to be free.
    const until = (inWindow[inWindow.length - messages] ?? at) + perMs;
    // The place of one that the server refuses is free at once: whoever is first among those that wait has it, not who comes by.
    return inWindow.length - input.unsettled < messages
      ? { reason: "capped", until: Math.min(until, at + RECHECK_MS), isOpenEnded: true }
      : { reason: "capped", until };
  }
  const ahead = input.waiting.filter((mail) => goesBefore(mail, input));
  if (inWindow.length + ahead.length < messages) return undefined;
  const nextTurns = ahead.map(({ until }) => until ?? at).filter((until) => until > at);
  return { reason: "capped", until: Math.max(Math.min(...nextTurns, at + RECHECK_MS), at + 60_000), isOpenEnded: true };
}

function goesBefore(mail: WaitingMail, input: SendInput): boolean {
  if (mail.key === input.key) return false;
  return mail.priority === input.priority ? mail.key < input.key : mail.priority > input.priority;
}
