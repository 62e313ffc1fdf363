/**
 * Every table of Waypost. Instants are `timestamptz` in the database and epoch milliseconds in code. Ids are text:
 * the customer's own for what is imported, ours (readable or uuid) for the rest.
 */
import { sql } from "drizzle-orm";
import {
  bigint,
  bigserial,
  boolean,
  customType,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgSequence,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
} from "drizzle-orm/pg-core";

/** Epoch milliseconds in code, `timestamptz(3)` in the database. */
export const instant = customType<{ data: number; driverData: string }>({
  dataType: () => "timestamp (3) with time zone",
  toDriver: (value) => new Date(value).toISOString(),
  fromDriver: (value) => Date.parse(value as string),
});

// ── people and customers ─────────────────────────────────────────────────────────────────────────────────────────────

/** Our own people: CSMs, managers, account executives. */
export const users = pgTable("users", {
  id: text().primaryKey(),
  name: text().notNull(),
  email: text().notNull(),
  title: text(),
  slackUserId: text("slack_user_id"),
  timezone: text().notNull().default("UTC"),
  locale: text().notNull().default("en"),
  calendar: text().notNull().default("standard"),
  managerId: text("manager_id"),
  bookingUrl: text("booking_url"),
  /** Names of the pools that the person works for. */
  pools: text().array().notNull().default(sql`'{}'`),
  isActive: boolean("is_active").notNull().default(true),
});

export const absences = pgTable("absences", {
  id: text().primaryKey(),
  userId: text("user_id").notNull(),
  fromAt: instant("from_at").notNull(),
  toAt: instant("to_at").notNull(),
  coverId: text("cover_id"),
});

/** Current values; `fieldChanges` has every version, and is what facts are read from. */
export const accounts = pgTable("accounts", {
  id: text().primaryKey(),
  name: text().notNull(),
  csmId: text("csm_id"),
  /** Role name → user id, e.g. `{ "account_executive": "u-7" }`. */
  roles: jsonb().$type<Record<string, string>>().notNull().default({}),
  timezone: text().notNull().default("UTC"),
  locale: text().notNull().default("en"),
  calendar: text().notNull().default("standard"),
  isTest: boolean("is_test").notNull().default(false),
  /** All built-in and declared fields by name, as facts show them. */
  fields: jsonb().$type<Record<string, unknown>>().notNull().default({}),
  createdAt: instant("created_at").notNull(),
});

export const contacts = pgTable(
  "contacts",
  {
    id: text().primaryKey(),
    accountId: text("account_id").notNull(),
    email: text(),
    name: text().notNull(),
    firstName: text("first_name"),
    role: text(),
    locale: text(),
    timezone: text(),
    isPrimary: boolean("is_primary").notNull().default(false),
    isActive: boolean("is_active").notNull().default(true),
    fields: jsonb().$type<Record<string, unknown>>().notNull().default({}),
    createdAt: instant("created_at").notNull(),
  },
  (table) => [index("contacts_account").on(table.accountId)],
);

export const contracts = pgTable(
  "contracts",
  {
    id: text().primaryKey(),
    accountId: text("account_id").notNull(),
    fields: jsonb().$type<Record<string, unknown>>().notNull().default({}),
    createdAt: instant("created_at").notNull(),
  },
  (table) => [index("contracts_account").on(table.accountId)],
);

/** Every version of every field, append-only: facts as of an instant are read from here. */
export const fieldChanges = pgTable(
  "field_changes",
  {
    seq: bigserial({ mode: "number" }).primaryKey(),
    entity: text().$type<"account" | "contact" | "contract">().notNull(),
    entityId: text("entity_id").notNull(),
    accountId: text("account_id").notNull(),
    field: text().notNull(),
    /** null: cleared. Dates are `YYYY-MM-DD`, instants ISO text. */
    value: jsonb().$type<unknown>(),
    at: instant().notNull(),
    source: text().notNull(),
  },
  (table) => [
    index("field_changes_read").on(table.entity, table.entityId, table.field, table.at, table.seq),
    index("field_changes_account").on(table.accountId),
  ],
);

/** Raw metric samples: product usage and the like. `sourceId` makes an import repeatable. */
export const samples = pgTable(
  "samples",
  {
    sourceId: text("source_id").primaryKey(),
    accountId: text("account_id").notNull(),
    contactId: text("contact_id"),
    sample: text().notNull(),
    at: instant().notNull(),
    value: doublePrecision().notNull(),
    /** For distinct counts: who did it. */
    actor: text(),
  },
  (table) => [index("samples_read").on(table.accountId, table.sample, table.at)],
);

export const tickets = pgTable(
  "tickets",
  {
    id: text().primaryKey(),
    accountId: text("account_id").notNull(),
    openedAt: instant("opened_at").notNull(),
    closedAt: instant("closed_at"),
    priority: text(),
    satisfaction: doublePrecision(),
  },
  (table) => [index("tickets_account").on(table.accountId, table.openedAt)],
);

export const surveyAnswers = pgTable(
  "survey_answers",
  {
    id: text().primaryKey(),
    accountId: text("account_id").notNull(),
    contactId: text("contact_id"),
    /** nps | csat | ces | csm_view */
    survey: text().notNull(),
    score: doublePrecision().notNull(),
    comment: text(),
    at: instant().notNull(),
  },
  (table) => [index("survey_answers_account").on(table.accountId, table.survey, table.at)],
);

/** The customer's own goals, versioned by `at`. */
export const goals = pgTable(
  "goals",
  {
    id: text().notNull(),
    accountId: text("account_id").notNull(),
    title: text().notNull(),
    status: text().notNull(),
    at: instant().notNull(),
  },
  (table) => [primaryKey({ columns: [table.id, table.at] })],
);

export const milestones = pgTable(
  "milestones",
  {
    accountId: text("account_id").notNull(),
    /** '' for a milestone of the account. */
    contactId: text("contact_id").notNull().default(""),
    milestone: text().notNull(),
    at: instant().notNull(),
    runId: text("run_id"),
  },
  (table) => [primaryKey({ columns: [table.accountId, table.contactId, table.milestone] })],
);

export const risks = pgTable("risks", {
  /** The effect's key: raising it twice is raising it once. */
  id: text().primaryKey(),
  accountId: text("account_id").notNull(),
  runId: text("run_id").notNull(),
  risk: text().notNull(),
  severity: text().notNull(),
  text: text(),
  at: instant().notNull(),
});

export const opportunities = pgTable("opportunities", {
  id: text().primaryKey(),
  accountId: text("account_id").notNull(),
  runId: text("run_id").notNull(),
  opportunity: text().notNull(),
  text: text(),
  at: instant().notNull(),
});

// ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The outbox, and the record of all that came in. */
export const events = pgTable(
  "events",
  {
    seq: bigserial({ mode: "number" }).notNull(),
    /** The idempotency key. */
    id: text().primaryKey(),
    name: text().notNull(),
    /** null while the account is unknown (`status` unmatched). */
    accountId: text("account_id"),
    contactId: text("contact_id"),
    contractId: text("contract_id"),
    /** Set on events that are for one run only. */
    runId: text("run_id"),
    at: instant().notNull(),
    receivedAt: instant("received_at").notNull(),
    payload: jsonb().$type<Record<string, unknown>>().notNull().default({}),
    /** Fact paths that changed with it. */
    changed: text().array().notNull().default(sql`'{}'`),
    status: text().$type<"pending" | "dispatched" | "unmatched">().notNull().default("pending"),
    /** What it named before it was matched: external account or contact id. */
    unmatched: jsonb().$type<Record<string, string>>(),
    source: text().notNull(),
  },
  (table) => [
    uniqueIndex("events_seq").on(table.seq),
    index("events_pending").on(table.accountId, table.at).where(sql`status = 'pending'`),
    // Tens of thousands of runs may wait to be begun at once: neither they nor anybody else's events are looked for among them all.
    index("events_pending_others")
      .on(table.accountId, table.at)
      .where(sql`status = 'pending' and name <> 'run.enrolled'`),
    index("events_pending_starts")
      .on(sql`split_part(run_id, '/', 2)`, table.source, table.at, table.seq)
      .where(sql`status = 'pending' and name = 'run.enrolled'`),
    index("events_unmatched").on(table.seq).where(sql`status = 'unmatched'`),
    index("events_account").on(table.accountId, table.at),
  ],
);

/** Events a run has taken in (it confirms them with its next `perform`). */
export const runEvents = pgTable(
  "run_events",
  { runId: text("run_id").notNull(), eventId: text("event_id").notNull() },
  (table) => [primaryKey({ columns: [table.runId, table.eventId] })],
);

/** What belongs to no run and falls due on domain time: `before:`, `every:`, reminders, ladders, digests, expiries. */
export const due = pgTable(
  "due",
  {
    /** Stable: arming the same thing again moves it. */
    id: text().primaryKey(),
    /** before | every | task_remind | task_escalate | task_snooze | digest | absence | override_expiry */
    kind: text().notNull(),
    at: instant().notNull(),
    accountId: text("account_id"),
    payload: jsonb().$type<Record<string, unknown>>().notNull().default({}),
    doneAt: instant("done_at"),
  },
  (table) => [
    index("due_open").on(table.at).where(sql`done_at is null`),
    // Ids are looked for by prefix, which the key's own index serves only where the database sorts by bytes.
    index("due_account").on(table.accountId),
  ],
);

// ── playbooks and runs ───────────────────────────────────────────────────────────────────────────────────────────────

export const playbookVersions = pgTable(
  "playbook_versions",
  {
    hash: text().primaryKey(),
    playbook: text().notNull(),
    /** 1, 2, 3 … per playbook. */
    number: integer().notNull(),
    plan: jsonb().$type<unknown>().notNull(),
    source: text().notNull(),
    isCurrent: boolean("is_current").notNull(),
    publishedAt: instant("published_at").notNull(),
    publishedBy: text("published_by").notNull(),
  },
  (table) => [
    uniqueIndex("playbook_versions_number").on(table.playbook, table.number),
    uniqueIndex("playbook_versions_current").on(table.playbook).where(sql`is_current`),
  ],
);

/** Template sources by content hash: never changed, never deleted while a run may use them. */
export const templates = pgTable("templates", {
  hash: text().primaryKey(),
  name: text().notNull(),
  locale: text().notNull(),
  source: text().notNull(),
});

/** model, health, segments, calendars, policy as last published. */
export const configurations = pgTable("configurations", {
  kind: text().primaryKey(),
  hash: text().notNull(),
  content: jsonb().$type<unknown>().notNull(),
  publishedAt: instant("published_at").notNull(),
});

/** What happened in a run's latest stretches: the answer of a call whose workflow task was lost is given again. Gone once Temporal has it for good. */
export const stretches = pgTable(
  "stretches",
  {
    runId: text("run_id").notNull(),
    turn: integer().notNull(),
    answer: jsonb().notNull(),
  },
  (table) => [primaryKey({ columns: [table.runId, table.turn] })],
);

export const runs = pgTable(
  "runs",
  {
    /** `run/PLAYBOOK/SUBJECT/KEY/N`, also the workflow id. */
    id: text().primaryKey(),
    playbook: text().notNull(),
    hash: text().notNull(),
    subject: text().$type<"account" | "contact">().notNull(),
    accountId: text("account_id").notNull(),
    contactId: text("contact_id"),
    contractId: text("contract_id"),
    key: text().notNull(),
    ordinal: integer().notNull(),
    inputs: jsonb().$type<Record<string, unknown>>().notNull().default({}),
    status: text().$type<"starting" | "running" | "held" | "parked" | "exiting" | "ended">().notNull(),
    outcome: text(),
    /** Instance keys of the positions, as of the last `perform`. */
    position: text().array().notNull().default(sql`'{}'`),
    startedAt: instant("started_at").notNull(),
    endedAt: instant("ended_at"),
    /** The event that enrolled it: it never matches a wait of the run. */
    enrolledBy: text("enrolled_by"),
    parentRun: text("parent_run"),
    parentKey: text("parent_key"),
    parked: jsonb().$type<{ key: string; reason: string; at: number }>(),
    priority: integer().notNull().default(50),
    /** When the run was last released from a hold: sends due earlier are spaced. */
    releasedAt: instant("released_at"),
    /** How many stretches were walked and written. */
    turns: integer().notNull().default(0),
    /** Where domain time is an order (`ClockSetting.ordered`): when it acts next; null: when it is told of something. */
    wakesAt: instant("wakes_at"),
  },
  (table) => [
    // A key is the subject's own: `key: event.kind` of two accounts are two keys.
    uniqueIndex("runs_live_key")
      .on(table.playbook, table.accountId, sql`coalesce(${table.contactId}, '')`, table.key)
      .where(sql`status <> 'ended'`),
    uniqueIndex("runs_ordinal").on(
      table.playbook,
      table.accountId,
      sql`coalesce(${table.contactId}, '')`,
      table.key,
      table.ordinal,
    ),
    index("runs_list").on(table.startedAt, table.id),
    index("runs_account_live").on(table.accountId).where(sql`status <> 'ended'`),
  ],
);

export const timeline = pgTable(
  "timeline",
  {
    runId: text("run_id").notNull(),
    seq: integer().notNull(),
    at: instant().notNull(),
    kind: text().notNull(),
    step: text(),
    key: text(),
    detail: jsonb().$type<Record<string, unknown>>(),
    facts: jsonb().$type<Record<string, unknown>>(),
  },
  (table) => [primaryKey({ columns: [table.runId, table.seq] })],
);

/** Counted holds: a live run of `holderRun`'s playbook pauses `playbook` for the account; '' as holderRun: an operator's. */
export const holds = pgTable(
  "holds",
  {
    accountId: text("account_id").notNull(),
    playbook: text().notNull(),
    holderRun: text("holder_run").notNull(),
    holderPlaybook: text("holder_playbook").notNull(),
    since: instant().notNull(),
  },
  (table) => [primaryKey({ columns: [table.accountId, table.playbook, table.holderRun] })],
);

/** Kill switches: `all_email`, or `playbook:NAME`. A row is on. */
export const switches = pgTable("switches", {
  name: text().primaryKey(),
  by: text().notNull(),
  reason: text(),
  at: instant().notNull(),
});

// ── effects ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export const tasks = pgTable(
  "tasks",
  {
    id: text().primaryKey(),
    /** Run id and command key: opening it twice is opening it once. */
    effectKey: text("effect_key").notNull(),
    runId: text("run_id").notNull(),
    step: text().notNull(),
    key: text().notNull(),
    accountId: text("account_id").notNull(),
    title: text().notNull(),
    text: text(),
    /** null: in the queue. */
    assigneeId: text("assignee_id"),
    /** The pool's name, or `unassigned`; null while it has an assignee. */
    queue: text(),
    /** Whose task it is while a cover has it. */
    coveredForId: text("covered_for_id"),
    for: jsonb().$type<unknown>().notNull(),
    required: boolean().notNull(),
    status: text().$type<"open" | "done" | "skipped" | "cancelled">().notNull().default("open"),
    openedAt: instant("opened_at").notNull(),
    dueAt: instant("due_at").notNull(),
    snoozedUntil: instant("snoozed_until"),
    snoozes: integer().notNull().default(0),
    snoozeLimit: integer("snooze_limit").notNull(),
    ask: text().$type<"outcome" | "note">(),
    outcomes: text().array().notNull().default(sql`'{}'`),
    escalate: jsonb().$type<unknown[]>().notNull().default([]),
    escalated: integer().notNull().default(0),
    outcome: text(),
    note: text(),
    closedBy: text("closed_by"),
    closedAt: instant("closed_at"),
    /** Raised by every change; a Slack button carries it. */
    revision: integer().notNull().default(1),
  },
  (table) => [
    uniqueIndex("tasks_effect").on(table.effectKey),
    index("tasks_assignee").on(table.assigneeId).where(sql`status = 'open'`),
    index("tasks_run").on(table.runId),
  ],
);

/**
 * The ledger of e-mail and Slack: one row per message. States and transitions: channels.md, "The fence". Leases are real
 * time (the database's clock); `dueAt`, `deferredUntil` and `sentAt` are domain time.
 */
export const deliveries = pgTable(
  "deliveries",
  {
    /** RUN|COMMAND KEY|RECIPIENT|CHANNEL; also for digests and reminders, which have no run. */
    key: text().primaryKey(),
    /** uuidv5 of the key: in the Message-ID and in Slack's metadata. */
    id: text().notNull(),
    channel: text().$type<"email" | "slack">().notNull(),
    runId: text("run_id"),
    effectKey: text("effect_key").notNull(),
    step: text(),
    accountId: text("account_id"),
    contactId: text("contact_id"),
    /** Slack user or channel id; never an e-mail address. */
    recipient: text(),
    category: text(),
    template: text(),
    templateHash: text("template_hash"),
    locale: text(),
    messageId: text("message_id"),
    priority: integer().notNull().default(50),
    status: text()
      .$type<
        | "pending"
        | "claimed"
        | "wire"
        | "sent"
        | "rejected"
        | "retry"
        | "unknown"
        | "resolved"
        | "held"
        | "skipped"
        | "withdrawn"
      >()
      .notNull()
      .default("pending"),
    token: text(),
    leaseUntil: instant("lease_until"),
    wireUntil: instant("wire_until"),
    notBefore: instant("not_before"),
    attempts: integer().notNull().default(0),
    /** Why it was skipped, rejected, deferred or is unknown; no addresses, no secrets. */
    reason: text(),
    /** The raw message, from when it is on the wire: byte for byte the same on every later attempt; cleared when the row is final. */
    raw: text(),
    dueAt: instant("due_at").notNull(),
    deferredUntil: instant("deferred_until"),
    staleAt: instant("stale_at"),
    sentAt: instant("sent_at"),
    serverMessageId: text("server_message_id"),
    slackChannel: text("slack_channel"),
    slackTs: text("slack_ts"),
    createdAt: instant("created_at").notNull(),
    /** Real time: when the server was last asked for it and didn't have it, or a person had it sent again. */
    askedAt: instant("asked_at"),
  },
  (table) => [
    index("deliveries_effect").on(table.runId, table.effectKey),
    index("deliveries_person").on(table.contactId, table.sentAt),
    index("deliveries_open")
      .on(table.status)
      .where(sql`status in ('pending','claimed','wire','retry','unknown','held')`),
    uniqueIndex("deliveries_id").on(table.id),
  ],
);

/** Raised by every claim. Where it is lower than it was, the database was put back to an older copy. */
export const deliveryClaims = pgSequence("delivery_claims");

/** Each time that the database was found put back to an older copy. The switch `all_sends` is on until a person has looked. */
export const putBacks = pgTable("put_backs", {
  id: text().primaryKey(),
  /** Domain time: what fell due until then may have gone out without this database knowing. */
  noticedAt: instant("noticed_at").notNull(),
  /** The same in real time, by the database's clock. */
  foundAt: instant("found_at").notNull().default(sql`clock_timestamp()`),
  /** Domain time of the last thing that this database knows from before; null: it knows nothing. */
  knownUntil: instant("known_until"),
  /** What showed it, in a sentence. */
  shownBy: text("shown_by").notNull(),
  /** After its release: the store knows again which runs live. */
  isSettled: boolean("is_settled").notNull().default(false),
});

/** Who must not be written to. `category` `*` is all. Kept apart by reason: an opt-out is not a bounce. */
export const suppressions = pgTable(
  "suppressions",
  {
    /** Lower-case e-mail address. */
    email: text().notNull(),
    category: text().notNull(),
    reason: text().$type<"unsubscribed" | "bounced" | "complained" | "manual">().notNull(),
    at: instant().notNull(),
    deliveryKey: text("delivery_key"),
  },
  (table) => [primaryKey({ columns: [table.email, table.category, table.reason] })],
);

/** Opaque tokens behind the unsubscribe links. */
export const unsubscribeLinks = pgTable("unsubscribe_links", {
  token: text().primaryKey(),
  contactId: text("contact_id").notNull(),
  category: text().notNull(),
  deliveryKey: text("delivery_key").notNull(),
});

/** Slack requests taken in: stored before the ack; a repeated one is refused. */
export const slackRequests = pgTable("slack_requests", {
  /** SHA-256 of the signature. */
  id: text().primaryKey(),
  receivedAt: instant("received_at").notNull(),
  kind: text().notNull(),
  payload: jsonb().$type<unknown>(),
  handledAt: instant("handled_at"),
});

// ── health and segments ──────────────────────────────────────────────────────────────────────────────────────────────

export const health = pgTable("health", {
  accountId: text("account_id").primaryKey(),
  /** null: nothing fresh. */
  score: doublePrecision(),
  /** green | yellow | red | unknown: after hysteresis and override. */
  status: text().notNull(),
  /** The status the model alone would show (after hysteresis, before an override). */
  modelStatus: text("model_status").notNull(),
  coverage: doublePrecision().notNull(),
  /** Per measure: raw value, age, score, weight: the explanation. */
  inputs: jsonb().$type<unknown>().notNull(),
  modelHash: text("model_hash").notNull(),
  profile: text().notNull(),
  /** The band that the hysteresis holds the account in; null: never known under this model. `modelStatus` is it, or `unknown`. */
  band: text(),
  /** Scheduled daily evaluations in a row outside `band`. */
  outside: integer().notNull().default(0),
  /** The last scheduled evaluation that wrote this row: it counts once. */
  dailyAt: instant("daily_at"),
  /** Since when all of this has been so: what doesn't change is not written again. */
  at: instant().notNull(),
});

export const healthHistory = pgTable(
  "health_history",
  {
    accountId: text("account_id").notNull(),
    at: instant().notNull(),
    score: doublePrecision(),
    status: text().notNull(),
    cause: text().notNull(),
  },
  (table) => [primaryKey({ columns: [table.accountId, table.at] })],
);

export const healthOverrides = pgTable("health_overrides", {
  accountId: text("account_id").primaryKey(),
  status: text().notNull(),
  reason: text().notNull(),
  author: text().notNull(),
  at: instant().notNull(),
  until: instant().notNull(),
});

export const segmentMembers = pgTable(
  "segment_members",
  { segment: text().notNull(), accountId: text("account_id").notNull(), since: instant().notNull() },
  (table) => [primaryKey({ columns: [table.segment, table.accountId] })],
);

/** How far the daily sweep has got: the instant under way, and the last account done (null: all). */
export const sweeps = pgTable("sweeps", {
  sweep: text().primaryKey(),
  at: instant().notNull(),
  afterAccount: text("after_account"),
});

/** Values of time-dependent facts that live runs listen to, as of the last sweep. */
export const sweptFacts = pgTable(
  "swept_facts",
  {
    accountId: text("account_id").notNull(),
    /** '' for a fact of the account. */
    contactId: text("contact_id").notNull().default(""),
    path: text().notNull(),
    /** null: absent. */
    value: jsonb().$type<unknown>(),
  },
  (table) => [primaryKey({ columns: [table.accountId, table.contactId, table.path] })],
);

// ── access ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** API tokens: 256 random bits, shown once, kept as SHA-256. */
export const tokens = pgTable("tokens", {
  hash: text().primaryKey(),
  name: text().notNull(),
  scopes: text().array().notNull(),
  createdAt: instant("created_at").notNull(),
  expiresAt: instant("expires_at"),
  revokedAt: instant("revoked_at"),
});

export const audit = pgTable("audit", {
  /** Given by the head, without gaps. */
  seq: bigserial({ mode: "number" }).primaryKey(),
  at: instant().notNull(),
  actor: text().notNull(),
  action: text().notNull(),
  subject: text().notNull(),
  detail: jsonb().$type<Record<string, unknown>>(),
  /** Hash of the row before, and of this one; null in rows from before they were chained. A trigger refuses UPDATE, DELETE and TRUNCATE. */
  previous: text(),
  hash: text(),
});

/** One row: the last of `audit`, and the lock of who appends. */
export const auditHead = pgTable("audit_head", {
  id: integer().primaryKey().default(1),
  seq: bigint({ mode: "number" }).notNull(),
  hash: text().notNull(),
  /** Rows up to this one are from before rows were chained. */
  unchained: bigint({ mode: "number" }).notNull(),
});
