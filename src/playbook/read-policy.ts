import * as z from "zod";
import type { Model } from "../customers/model.js";
import { type Category, LOCALES, type Locale, type Policy } from "../engine/policy.js";
import { isCurrency } from "../values/currency.js";
import { isTimeOfDay } from "../values/time-of-day.js";
import { isAlwaysQuiet } from "./send-windows.js";
import type { Calendar } from "../values/calendar.js";
import { byForm, parsedText } from "./check-form.js";
import { hours } from "./read-calendars.js";
import { type Checks, type Read, readFile } from "./read-file.js";
import { offset, person, sendRule, snakeName, span } from "./schema.js";

/** `"09:00"`. */
export const timeOfDay = parsedText(
  "WP106",
  (text) => (isTimeOfDay(text) ? text : undefined),
  "a time of day",
  'Write it in quotation marks: "09:00".',
);

const texts = byForm(
  (value) => typeof value === "string",
  z.string(),
  z.strictObject({ en: z.string(), ru: z.string().optional(), pl: z.string().optional() }),
);

const channel = z.string().regex(/^#[\p{L}\p{N}_-]{1,80}$/u, 'Write a channel in quotation marks: "#cs-alerts".');

const schema = z.strictObject({
  company: z.strictObject({
    name: z.string().min(1),
    domain: z.string().regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, "Write a domain, such as example.com."),
    support_email: z.email("Write an e-mail address."),
    postal_address: z.string().min(1),
    default_locale: z.enum(LOCALES).default("en"),
    currency: z.string().refine(isCurrency, "Write the currency's three capitals, such as EUR.").optional(),
  }),
  dates_at: timeOfDay.prefault("09:00"),
  email: z.strictObject({
    cap: z.strictObject({ messages: z.int().min(1).max(1_000), per: span }).prefault({ messages: 3, per: "7d" }),
    quiet_hours: hours.prefault("20:00-08:00"),
    send: sendRule.prefault("working hours"),
    send_within: span.prefault("3 bd"),
    spread: span.prefault("45m"),
    spacing_after_release: span.prefault("4h"),
    unknown: z.enum(["hold", "resend", "assume_sent"]).default("hold"),
    from: z.strictObject({ name: z.string().min(1), address: z.email("Write an e-mail address.") }),
  }),
  categories: z.record(
    snakeName,
    z.strictObject({
      title: texts,
      unsubscribe: z.boolean().default(true),
      capped: z.boolean().default(true),
      quiet_hours: z.boolean().default(true),
    }),
  ),
  tasks: z
    .strictObject({
      fallback: z.array(person("csm", "manager", "role", "pool")).prefault(["manager"]),
      remind: z.array(offset).default([]),
      snooze: z
        .strictObject({
          limit: z.int().min(0).max(50).default(2),
          options: z.array(span).min(1).max(10).prefault(["1 bd", "2 bd", "5 bd"]),
        })
        .prefault({}),
      digest_at: timeOfDay.prefault("08:30"),
      open_per_person: z.int().min(1).default(40),
    })
    .prefault({}),
  slack: z.strictObject({ unassigned_channel: channel, alerts_channel: channel }),
  retention: z
    .strictObject({
      events: span.prefault("25mo"),
      timeline: span.prefault("36mo"),
      samples: span.prefault("25mo"),
      deliveries: span.prefault("25mo"),
      message_bodies: span.prefault("90d"),
    })
    .prefault({}),
});

type Form = z.output<typeof schema>;

/** `policy.yaml`, defaults filled in. Without a model the names of roles and pools aren't checked, without calendars not its `send`. */
export function readPolicy(
  source: string | undefined,
  model: Model | undefined,
  calendars: readonly Calendar[] | undefined,
): Read<Policy> {
  return readFile("policy.yaml", source, schema, (form, checks) => build(form, model, calendars, checks));
}

function build(
  form: Form,
  model: Model | undefined,
  calendars: readonly Calendar[] | undefined,
  checks: Checks,
): Policy {
  const { company, email, tasks, slack, retention } = form;
  if (!Object.hasOwn(form.categories, "service")) {
    const hint = "Add: service: { title: …, unsubscribe: false, capped: false }";
    checks.report(["categories"], { code: "WP604", message: 'The category "service" is missing.', hint }, "key");
  }
  form.tasks.fallback.forEach((rule, index) => {
    const at = ["tasks", "fallback", index];
    if (model && rule.kind === "role") checks.known(at, "WP204", "staff role", rule.role, model.roles.staff);
    if (model && rule.kind === "pool") checks.known(at, "WP204", "pool", rule.pool, model.roles.pools);
  });
  const { from, to } = email.quiet_hours;
  if (from === to) {
    const message = "Quiet hours that end when they begin would be all day or none of it.";
    checks.report(["email", "quiet_hours"], { code: "WP604", message, hint: 'Write "20:00-08:00".' });
  }
  const keepsQuiet = Object.values(form.categories).some(({ quiet_hours: isQuiet }) => isQuiet);
  if (calendars && keepsQuiet && !checks.isMended(["email", "quiet_hours"])) {
    if (isAlwaysQuiet(email.send, email.quiet_hours, calendars)) {
      const hint = `Quiet hours are ${from}-${to}: change the one or the other.`;
      const message = "No mail could ever go: quiet hours hold then.";
      checks.report(["email", "send"], { code: "WP507", message, hint });
    }
  }
  return {
    company: {
      name: company.name,
      domain: company.domain,
      supportEmail: company.support_email,
      postalAddress: company.postal_address,
      defaultLocale: company.default_locale,
      ...(company.currency === undefined ? {} : { currency: company.currency }),
    },
    datesAt: form.dates_at,
    email: {
      cap: email.cap,
      quietHours: email.quiet_hours,
      send: email.send,
      sendWithin: email.send_within,
      spread: email.spread,
      spacingAfterRelease: email.spacing_after_release,
      unknown: email.unknown,
      from: email.from,
    },
    categories: Object.fromEntries(
      Object.entries(form.categories).map(([name, category]) => [name, categoryOf(category)]),
    ),
    tasks: {
      fallback: tasks.fallback,
      remind: tasks.remind,
      snooze: tasks.snooze,
      digestAt: tasks.digest_at,
      openPerPerson: tasks.open_per_person,
    },
    slack: { unassignedChannel: slack.unassigned_channel, alertsChannel: slack.alerts_channel },
    retention: {
      events: retention.events,
      timeline: retention.timeline,
      samples: retention.samples,
      deliveries: retention.deliveries,
      messageBodies: retention.message_bodies,
    },
  };
}

function categoryOf(form: Form["categories"][string]): Category {
  const title = typeof form.title === "string" ? { en: form.title } : form.title;
  const inEach = Object.fromEntries(LOCALES.map((locale) => [locale, title[locale as "en"] ?? title.en]));
  return {
    title: inEach as Record<Locale, string>,
    canUnsubscribe: form.unsubscribe,
    isCapped: form.capped,
    keepsQuietHours: form.quiet_hours,
  };
}
