/**
 * The form of playbook.yaml: which keys there are, and what each may hold. A step's own lists of steps stay unread here:
 * `read-playbook.ts` walks into them, so that a mistake in one step hides no other.
 */
import * as z from "zod";
import type { PersonRule } from "../engine/plan.js";
import { type Duration, parseDuration } from "../values/duration.js";
import { parseTimeRule } from "../values/time-rule.js";
import { byForm, isNothing, parsedText, refuse } from "./check-form.js";

// ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Names of steps, branches, fields, roles, outcomes. */
export const snakeName = z
  .string()
  .max(64)
  .regex(/^[a-z][a-z0-9_]*$/, "A name is lower-case letters, digits and _, beginning with a letter.");

/** Names of playbooks and templates. */
export const kebabName = z
  .string()
  .max(64)
  .regex(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/, "A name is lower-case words joined by -, such as churn-rescue.");

/** `area.past_participle`. */
export const eventName = z
  .string()
  .max(100)
  .regex(/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/, "An event is named area.past_participle, such as meeting.booked.");

/** The text of an expression; checked elsewhere, against the model. A bare number or `true` is one too. */
export const expressionText = byForm(
  (value) => typeof value === "boolean" || typeof value === "number",
  z.union([z.boolean(), z.number()]).transform(String),
  z.string(),
);

const DURATION_HINT = "Write a whole number and a unit: 15m, 48h, 7d, 2w, 3mo, 1y, or 5 bd for working days.";

function durationThat(isFine: (duration: Duration) => boolean, wants: string) {
  return z.unknown().transform((value, context): Duration => {
    const duration = typeof value === "string" ? parseDuration(value) : undefined;
    if (duration === undefined) {
      const shown = typeof value === "object" ? "This" : JSON.stringify(value);
      refuse(
        context,
        isNothing(value) ?? { code: "WP106", message: `${shown} is not a duration.`, hint: DURATION_HINT },
      );
      return z.NEVER;
    }
    if (!isFine(duration)) refuse(context, { code: "WP504", message: `${value} can't stand here.`, hint: wants });
    return duration;
  });
}

/** Any duration, also negative. */
export const offset = durationThat(() => true, "");
/** More than nothing. */
export const span = durationThat(({ amount }) => amount > 0, "The duration must be more than 0.");
/** Nothing or more. */
export const delay = durationThat(({ amount }) => amount >= 0, "The duration can't be negative.");

/** `send:` and `email.send`: a window, not a distance. */
export const sendRule = parsedText(
  "WP106",
  (text) => {
    const rule = parseTimeRule(text);
    return rule?.kind === "after" || rule?.kind === "date" ? undefined : rule;
  },
  "a time to send at",
  'Write now, working hours, "09:30", working hours 09:30, monday, or monday 09:30.',
);

/** `csm`, `manager`, `role:NAME`, `pool:NAME`, and where allowed `#channel`; whether the names exist is a rule's question. */
export function person(...kinds: PersonRule["kind"][]) {
  const forms = kinds.map(
    (kind) => ({ csm: "csm", manager: "manager", role: "role:NAME", pool: "pool:NAME", channel: '"#channel"' })[kind],
  );
  return parsedText(
    "WP204",
    (text) => {
      const rule = parsePerson(text);
      return rule && kinds.includes(rule.kind) ? rule : undefined;
    },
    "one of our people",
    `Write ${forms.join(", ")}.`,
  );
}

function parsePerson(text: string): PersonRule | undefined {
  if (text === "csm" || text === "manager") return { kind: text };
  const [, kind, name] = /^(role|pool):([a-z][a-z0-9_]*)$/.exec(text) ?? [];
  if (name !== undefined) return kind === "role" ? { kind: "role", role: name } : { kind: "pool", pool: name };
  return /^#[\p{L}\p{N}_-]{1,80}$/u.test(text) ? { kind: "channel", channel: text } : undefined;
}

// ── the head ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const outcomeName = snakeName;
const scalar = z.union([z.string(), z.number(), z.boolean()]);
/** Read by `read-playbook.ts`, step by step. */
const stepList = z.array(z.unknown());

const inputField = z.strictObject({ type: z.enum(["string", "number", "boolean"]), default: scalar.optional() });

const eventMatch = z.strictObject({ event: eventName, where: expressionText.optional() });

const HEALTH = ["red", "yellow", "green", "unknown"] as const;

const cron = parsedText(
  "WP106",
  (text) => (isCron(text) ? text : undefined),
  "a cron rule",
  'Write five fields, such as "0 9 1 */3 *": minute, hour, day, month, weekday.',
);

/** Five fields of numbers, ranges, lists and steps within their bounds. */
export function isCron(text: string): boolean {
  const bounds = [
    [0, 59],
    [0, 23],
    [1, 31],
    [1, 12],
    [0, 7],
  ] as const;
  const fields = text.trim().split(/ +/);
  return (
    fields.length === 5 &&
    fields.every((field, index) => field.split(",").every((part) => isCronPart(part, bounds[index] ?? [0, 0])))
  );
}

function isCronPart(part: string, [low, high]: readonly [number, number]): boolean {
  const match = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part);
  if (!match) return false;
  const [from, to, step] = [match[1], match[2], match[3]].map((text) =>
    text === undefined ? undefined : Number(text),
  );
  const isInside = (value: number | undefined) => value === undefined || (value >= low && value <= high);
  return isInside(from) && isInside(to) && (to === undefined || (from ?? low) <= to) && step !== 0;
}

/** A trigger has one of these keys; the key decides which. */
export const TRIGGERS = {
  event: eventMatch,
  before: z.strictObject({ before: expressionText, by: span }),
  enters: z.strictObject({ enters: z.string() }),
  leaves: z.strictObject({ leaves: z.string() }),
  health: z.strictObject({ health: z.strictObject({ becomes: z.enum(HEALTH) }) }),
  every: z.strictObject({ every: z.strictObject({ cron }) }),
  manual: z.strictObject({ manual: z.strictObject({}).nullable() }),
};

const again = byForm(
  (value) => typeof value === "string",
  z.enum(["never", "per_key", "always"]),
  z.strictObject({ after: span }),
);

export const enroll = z.strictObject({
  when: z.array(z.unknown()).min(1),
  if: expressionText.optional(),
  key: expressionText.optional(),
  again: again.default("per_key"),
  merge: z.record(snakeName, z.enum(["max", "min", "first", "last"])).default({}),
  with: z.record(snakeName, expressionText).default({}),
});

const exit = z.strictObject({
  when: eventMatch.optional(),
  if: expressionText.optional(),
  outcome: outcomeName,
});

/** Every key at the top of a playbook, each read by itself. */
export const HEAD = {
  playbook: kebabName,
  title: z.string().min(1).max(200),
  maintainer: z.email("Write an e-mail address, such as cs-ops@example.com."),
  subject: z.enum(["account", "contact"]),
  inputs: z.record(snakeName, inputField).default({}),
  enroll,
  exit: z.array(exit).max(50).default([]),
  on_exit: z
    .strictObject({
      open_tasks: z.enum(["cancel", "keep"]).default("cancel"),
      deferred_email: z.enum(["cancel", "keep"]).default("cancel"),
      steps: stepList.default([]),
    })
    .prefault({}),
  goal: exit.optional(),
  pauses: z.array(kebabName).max(50).default([]),
  priority: z.int().min(0).max(100).default(50),
  calendar: z.string().default("customer"),
  steps: stepList.min(1),
};

// ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Slack takes no longer section; mail has no such bound, tasks are shown in Slack too. */
export const MAX_TEXT_LENGTH = 3_000;
/** Slack's header. */
export const MAX_TITLE_LENGTH = 150;
const MAX_TIMES = 1_000;

const text = z.string().min(1).max(MAX_TEXT_LENGTH);
const onDate = z.enum(["skip", "run", "fail"]);

const common = {
  id: snakeName.optional(),
  name: z.string().min(1).max(200).optional(),
  if: expressionText.optional(),
  on_error: byForm((value) => typeof value === "string", z.enum(["fail", "continue"]), stepList).optional(),
  note: z.string().max(2_000).optional(),
};

const waiting = { wait: z.literal("done").optional(), within: span.optional(), otherwise: stepList.optional() };

/** What a wait waits for; `any` and `all` are read by `read-playbook.ts`. */
export const condition = z.strictObject({
  event: eventName.optional(),
  where: expressionText.optional(),
  since: z.enum(["start", "wait"]).optional(),
  if: expressionText.optional(),
  task: z.string().optional(),
  reply: z.string().optional(),
  any: z.array(z.unknown()).min(1).max(20).optional(),
  all: z.array(z.unknown()).min(1).max(20).optional(),
});

const wait = byForm(
  (value) => typeof value !== "object" || value === null,
  parsedText(
    "WP106",
    (rule) => {
      const parsed = parseTimeRule(rule);
      return parsed?.kind === "now" ? undefined : parsed;
    },
    "something to wait for",
    'Write a duration (48h, 5 bd), working hours, "09:30", monday, or { until: account.qbr_date }.',
  ),
  z.strictObject({
    until: z.string(),
    offset: offset.optional(),
    on_missing: onDate.optional(),
    on_past: onDate.optional(),
  }),
);

const branch = z.strictObject({ if: expressionText.optional(), steps: stepList.optional(), else: stepList.optional() });

/** One schema for each kind of step: the whole step, with what all steps may carry. */
export const STEPS = {
  email: step({
    email: z.strictObject({
      to: z.string().optional(),
      each: z.string().optional(),
      from: person("csm", "manager", "role").optional(),
      template: kebabName,
      category: z.string(),
      send: sendRule.optional(),
      send_within: span.optional(),
    }),
  }),
  slack: step({
    slack: z.strictObject({
      to: person("csm", "manager", "role", "pool", "channel"),
      text,
      actions: z.array(snakeName).max(5).default([]),
    }),
  }),
  task: step({
    task: z.strictObject({
      title: z.string().min(1).max(MAX_TITLE_LENGTH),
      text: text.optional(),
      for: person("csm", "manager", "role", "pool"),
      due: delay,
      due_if: z
        .array(z.strictObject({ if: expressionText, due: delay }))
        .max(10)
        .default([]),
      required: z.boolean().default(false),
      escalate: z
        .array(z.strictObject({ after: delay, to: person("csm", "manager", "role", "pool") }))
        .max(10)
        .default([]),
      remind: z.array(offset).max(10).optional(),
      snooze: z.strictObject({ limit: z.int().min(0).max(50) }).optional(),
      ask: z.enum(["outcome", "note"]).optional(),
      outcomes: z.array(snakeName).max(20).default([]),
      ...waiting,
    }),
  }),
  wait: step({ wait }),
  around: step({
    around: z.string(),
    steps: stepList.min(1),
    on_missing: onDate.optional(),
    on_past: onDate.optional(),
  }),
  wait_for: step({ wait_for: condition.extend({ within: span.optional(), otherwise: stepList.optional() }) }),
  choose: step({ choose: z.array(branch).min(1).max(50) }),
  parallel: step({ parallel: z.record(snakeName, stepList), join: z.enum(["all", "any"]).optional() }),
  repeat: step({
    repeat: z.strictObject({
      every: span,
      until: expressionText.optional(),
      times: z.int().min(1).max(MAX_TIMES).optional(),
      steps: stepList.min(1),
    }),
  }),
  milestone: step({ milestone: z.string() }),
  set: step({ set: z.strictObject({ field: z.string(), value: expressionText }) }),
  risk: step({
    risk: z.strictObject({
      kind: snakeName,
      severity: z.enum(["low", "medium", "high", "critical"]),
      text: text.optional(),
    }),
  }),
  opportunity: step({ opportunity: z.strictObject({ kind: snakeName, text: text.optional() }) }),
  health: step({ health: z.strictObject({}).nullable() }),
  play: step({
    play: z.strictObject({
      playbook: z.string(),
      with: z.record(snakeName, expressionText).default({}),
      ...waiting,
    }),
  }),
  end: step({ end: outcomeName }),
};

function step<S extends z.ZodRawShape>(shape: S) {
  // `at` is only for blocks around a date; `read-playbook.ts` asks for it there and refuses it elsewhere.
  return z.strictObject({ ...common, at: offset.optional(), ...shape });
}

/** The kinds of step, in the order of the docs. */
export const STEP_KINDS = Object.keys(STEPS) as (keyof typeof STEPS)[];

/** The keys that every step may carry. */
export const COMMON_KEYS = Object.keys(common);
