/**
 * `policy.yaml` as it is compiled and stored (`configurations`, kind `policy`), defaults filled in. Current for every run.
 * Meaning of each key: docs/language-files.md.
 */
import type { Duration } from "../values/duration.js";
import type { TimeOfDay } from "../values/time-of-day.js";
import type { TimeRule } from "../values/time-rule.js";
import type { PersonRule } from "./plan.js";

export interface Policy {
  readonly company: {
    readonly name: string;
    readonly domain: string;
    readonly supportEmail: string;
    readonly postalAddress: string;
    readonly defaultLocale: Locale;
    /** ISO 4217: what `money` goes by where a contract names no currency. */
    readonly currency?: string;
  };
  /** What a date without a time means, in the account's zone. */
  readonly datesAt: TimeOfDay;
  readonly email: {
    readonly cap: { readonly messages: number; readonly per: Duration };
    /** The recipient's wall clock; `to` may be the earlier: over midnight. `from` included, `to` not. */
    readonly quietHours: { readonly from: TimeOfDay; readonly to: TimeOfDay };
    readonly send: TimeRule;
    readonly sendWithin: Duration;
    readonly spread: Duration;
    readonly spacingAfterRelease: Duration;
    readonly unknown: "hold" | "resend" | "assume_sent";
    readonly from: { readonly name: string; readonly address: string };
  };
  /** `service` is always among them. */
  readonly categories: Readonly<Record<string, Category>>;
  readonly tasks: {
    readonly fallback: readonly PersonRule[];
    readonly remind: readonly Duration[];
    readonly snooze: { readonly limit: number; readonly options: readonly Duration[] };
    readonly digestAt: TimeOfDay;
    readonly openPerPerson: number;
  };
  readonly slack: { readonly unassignedChannel: string; readonly alertsChannel: string };
  readonly retention: {
    readonly events: Duration;
    readonly timeline: Duration;
    readonly samples: Duration;
    readonly deliveries: Duration;
    readonly messageBodies: Duration;
  };
}

/** The locales that templates are written in. */
export const LOCALES = ["en", "ru", "pl"] as const;

export type Locale = (typeof LOCALES)[number];

export interface Category {
  readonly title: Readonly<Record<Locale, string>>;
  readonly canUnsubscribe: boolean;
  readonly isCapped: boolean;
  readonly keepsQuietHours: boolean;
}
