import type { TimelineEntry } from "../../../src/engine/timeline.js";
import { memoryMailer } from "../../../src/adapters/memory/mailer.js";
import { memorySlackPoster } from "../../../src/adapters/memory/slack-poster.js";
import { steppedClock } from "../../../src/adapters/memory/clock.js";
import { postgresConcerns } from "../../../src/adapters/postgres/concerns.js";
import { openDatabase } from "../../../src/adapters/postgres/database.js";
import { postgresHolds } from "../../../src/adapters/postgres/holds.js";
import { postgresLedger } from "../../../src/adapters/postgres/ledger.js";
import { postgresMailGrounds } from "../../../src/adapters/postgres/mail-grounds.js";
import { postgresPeople } from "../../../src/adapters/postgres/people.js";
import { postgresStore } from "../../../src/adapters/postgres/store.js";
import { postgresSuppressions } from "../../../src/adapters/postgres/suppressions.js";
import { postgresTasks } from "../../../src/adapters/postgres/tasks.js";
import type { Model } from "../../../src/customers/model.js";
import { BUILT_IN_FIELDS } from "../../../src/customers/model.js";
import type { Command, CommandBody, Outcome } from "../../../src/engine/command.js";
import type { RunEvent } from "../../../src/engine/event.js";
import type { RunStatusWord } from "../../../src/engine/stretch.js";
import type { Plan } from "../../../src/engine/plan.js";
import type { Policy } from "../../../src/engine/policy.js";
import { LOCAL_SETTINGS, type PerformPorts } from "../../../src/operations/perform-ports.js";
import { storeWorld } from "../../../src/operations/perform.js";
import { sessionOf } from "../../../src/operations/scene.js";
import { type Composer, TextFault } from "../../../src/ports/composer.js";
import type { EntityRow, UserRow } from "../../../src/ports/customers.js";
import type { NewEvent } from "../../../src/ports/events.js";
import type { NewDelivery } from "../../../src/ports/ledger.js";
import type { RunRow } from "../../../src/ports/runs.js";
import type { Tx } from "../../../src/ports/transactions.js";
import { freshDatabase } from "../../support/database.js";

/** Tuesday 10:00 in Warsaw. */
export const T0 = Date.parse("2026-03-03T10:00:00+01:00");
export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** Everything that `perform` works on: real Postgres, mail and Slack in memory, a clock that stands. */
export async function openStage() {
  const fresh = await freshDatabase();
  const database = openDatabase(fresh.url, { poolMax: 5 });
  const store = postgresStore(database);
  const clock = steppedClock(T0);
  const mailer = memoryMailer();
  const slack = memorySlackPoster({ "bob@ours.example": "U-BOB" });
  const faults: string[] = [];
  const ports: PerformPorts = {
    store,
    clock,
    ledger: postgresLedger(),
    people: postgresPeople(),
    suppressions: postgresSuppressions(),
    mailGrounds: postgresMailGrounds,
    holds: postgresHolds(),
    tasks: postgresTasks(),
    concerns: postgresConcerns(),
    composer: plainComposer,
    mailer,
    slack,
    health: { measure: async () => ({ score: 61, status: "yellow" }) },
    settings: {
      ...LOCAL_SETTINGS,
      smtpReplyMs: 150,
      slackReplyMs: 150,
      slackenMs: 50,
      lastLookMs: 200,
      budgetMs: 2_000,
      backoffMs: () => 50,
    },
    onFault: (what, error) => faults.push(`${what}: ${String(error)}`),
  };
  const write = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => store.transaction(work);

  const stage = {
    url: fresh.url,
    ports,
    store,
    clock,
    mailer,
    slack,
    faults,
    database,
    write,
    async close(): Promise<void> {
      await database.close();
      await fresh.drop();
    },
    people: (users: UserRow[]) =>
      write((tx) => store.customers.upsert(tx, { users }, { at: T0 - 100 * DAY, source: "test" })),
    account: (id: string, fields: EntityRow["fields"], roles: EntityRow["roles"] = {}) =>
      write((tx) =>
        store.customers.upsert(
          tx,
          {
            accounts: [
              { id, fields: { name: id.toUpperCase(), timezone: "Europe/Warsaw", csm: "ann", ...fields }, roles },
            ],
          },
          { at: T0 - 100 * DAY, source: "test" },
        ),
      ),
    contact: (id: string, accountId: string, fields: EntityRow["fields"] = {}) =>
      write((tx) =>
        store.customers.upsert(
          tx,
          {
            contacts: [
              {
                id,
                accountId,
                fields: { name: id, email: `${id}@${accountId}.example`, role: "champion", is_active: true, ...fields },
              },
            ],
          },
          { at: T0 - 50 * DAY, source: "test" },
        ),
      ),
    publish: (plan: Plan) => write((tx) => store.playbooks.saveVersion(tx, { plan, source: "", at: T0, by: "test" })),
    run: async (row: Partial<RunRow> & Pick<RunRow, "id" | "accountId">, plan: Plan = PLAN): Promise<void> => {
      const full: RunRow = {
        playbook: plan.playbook,
        hash: plan.hash,
        subject: plan.subject,
        key: row.id,
        ordinal: 1,
        inputs: {},
        status: "running",
        position: [],
        startedAt: T0 - DAY,
        priority: plan.priority,
        turns: 0,
        ...row,
      };
      await write((tx) => store.runs.insert(tx, full));
    },
    event: (event: Partial<NewEvent> & Pick<NewEvent, "id" | "name" | "accountId">) =>
      write(async (tx) => {
        await store.lockAccounts(tx, [event.accountId]);
        await store.events.append(tx, [{ at: T0, source: "test", ...event }], T0);
      }),
    /** Tells the store what a run would (`confirm`, `entries`, `status`), then asks for the commands at the instant, one after the other. */
    perform: (
      run: string,
      commands: readonly Command[],
      more: { asOf?: number; confirm?: string[]; status?: RunStatusWord; entries?: TimelineEntry[] } = {},
    ): Promise<Performed> => performOn(ports, run, commands, more),
    /** The outcome of the one command; its own events are taken in first, as a run would. */
    async outcome(run: string, command: Command, asOf = T0): Promise<Outcome> {
      let confirm: string[] = [];
      for (let round = 0; round < 20; round++) {
        const answer = await stage.perform(run, [command], { asOf, confirm });
        const found = answer.outcomes[command.key];
        if (found) return found;
        confirm = answer.events.map(({ id }) => id);
        const { retry } = answer;
        if (retry) await new Promise((done) => setTimeout(done, retry.afterMs));
      }
      throw new Error(`no outcome of ${command.key}`);
    },
    eventsOf: async (name: string): Promise<Record<string, unknown>[]> =>
      (
        await database.client`select id, name, run_id, account_id, at, payload, changed from events where name = ${name} order by seq`
      ).map((row) => ({ ...row })),
  };
  await write(async (tx) => {
    await store.playbooks.saveConfiguration(tx, "policy", POLICY, T0);
    await store.playbooks.saveConfiguration(tx, "model", MODEL, T0);
    await store.playbooks.saveTemplates(tx, [
      {
        hash: "hash-en",
        name: "welcome",
        locale: "en",
        source: "Hello {{ contact.first_name }} of {{ account.name }}, {{ csm.name }}",
      },
      { hash: "hash-pl", name: "welcome", locale: "pl", source: "Cześć {{ contact.first_name }}" },
    ]);
  });
  await stage.publish(PLAN);
  await stage.people([
    {
      id: "ann",
      name: "Ann Lee",
      email: "ann@ours.example",
      slackUserId: "U-ANN",
      timezone: "Europe/Warsaw",
      managerId: "max",
    },
    { id: "bob", name: "Bob Ray", email: "bob@ours.example", timezone: "Europe/Warsaw" },
    { id: "max", name: "Max Kay", email: "max@ours.example", slackUserId: "U-MAX", timezone: "Europe/Warsaw" },
  ]);
  return stage;
}

export interface Performed {
  readonly events: readonly RunEvent[];
  readonly outcomes: Readonly<Record<string, Outcome>>;
  readonly retry?: { readonly key: string; readonly afterMs: number };
  readonly ended?: string;
}

/** A stretch by hand: what a run would tell is written, then the commands are asked for, up to the first without an outcome. */
export async function performOn(
  ports: PerformPorts,
  run: string,
  commands: readonly Command[],
  {
    asOf = T0,
    confirm = [],
    status = commands.length > 0 && commands.every(({ kind }) => kind === "leave" || kind === "close")
      ? "exiting"
      : "running",
    entries = [],
  }: { asOf?: number; confirm?: string[]; status?: RunStatusWord; entries?: TimelineEntry[] } = {},
): Promise<Performed> {
  const { store } = ports;
  const { row, plan } = await store.read(async (tx) => {
    const row = await store.runs.get(tx, run);
    const plan = row && (await store.playbooks.plan(tx, row.hash));
    if (!plan) throw new Error(`no run ${run}`);
    return { row, plan };
  });
  await confirmed(store, row, confirm);
  const world = storeWorld(sessionOf(ports, row, plan, { turns: row.turns }), {
    turns: row.turns,
    reached: asOf,
    durable: 0,
    turnUntil: 0,
  });
  const hasToTell = commands.length === 0 || entries.length > 0 || status !== row.status;
  if (row.status !== "ended" && hasToTell) {
    const told = { asOf, entries, status, position: [], taken: [] };
    const isEnding = commands.length > 0 && commands.every(({ kind }) => kind === "close");
    const events = await world.write(
      isEnding ? { ...told, isSure: true } : { ...told, response: { log: [], isResting: true } },
    );
    if (events !== "later" && events.length > 0) return { events, outcomes: {} };
  }
  const outcomes: Record<string, Outcome> = {};
  const turns = row.turns + (hasToTell ? 1 : 0);
  const after = storeWorld(sessionOf(ports, row, plan, { turns }), { turns, reached: asOf, durable: 0, turnUntil: 0 });
  for (const command of commands) {
    const answer = await after.perform(command, asOf, status);
    if (answer.kind === "events") return { events: answer.events, outcomes };
    if (answer.kind === "retry") return { events: [], outcomes, retry: { key: command.key, afterMs: answer.afterMs } };
    if (answer.kind === "ended") return { events: [], outcomes, ended: answer.outcome };
    if (answer.kind === "later") throw new Error("not yet its turn");
    outcomes[command.key] = answer.outcome;
  }
  return { events: [], outcomes };
}

/** The run has taken these events in, and nothing else has changed. */
export async function confirmed(
  store: Pick<PerformPorts["store"], "transaction" | "runs">,
  { id, status, position }: RunRow,
  confirm: readonly string[],
): Promise<void> {
  if (status === "starting") throw new Error(`run ${id} has not begun`);
  await store.transaction((tx) => store.runs.record(tx, id, { status, position, entries: [], confirm }));
}

export type Stage = Awaited<ReturnType<typeof openStage>>;

export function command(key: string, body: CommandBody): Command {
  return { key, path: key, step: key, ...body };
}

type EmailBody = Extract<CommandBody, { kind: "email" }>;

export function email(key: string, more: Partial<EmailBody> = {}): Command {
  return command(key, {
    kind: "email",
    to: { kind: "role", role: "champion" },
    from: { kind: "csm" },
    template: "welcome",
    locales: { en: "hash-en", pl: "hash-pl" },
    category: "onboarding",
    send: { kind: "working_hours" },
    priority: 50,
    since: T0,
    exiting: false,
    scope: {},
    ...more,
  });
}

/** A mail's row before it is in the ledger. */
export function newMail(key: string, more: Partial<NewDelivery> = {}): NewDelivery {
  return {
    key,
    id: key,
    channel: "email",
    runId: "run-1",
    effectKey: key,
    step: key,
    accountId: "a-1",
    contactId: "c-1",
    recipient: null,
    category: "onboarding",
    template: "welcome",
    templateHash: "h",
    locale: "en",
    priority: 50,
    dueAt: T0,
    createdAt: T0,
    ...more,
  };
}

type TaskBody = Extract<CommandBody, { kind: "task" }>;

export function task(key: string, more: Partial<TaskBody> = {}): Command {
  return command(key, {
    kind: "task",
    title: "Call {{ account.name }}",
    for: { kind: "csm" },
    due: { amount: 1, unit: "bd" },
    required: true,
    escalate: [{ after: { amount: 1, unit: "bd" }, to: { kind: "manager" } }],
    remind: [{ amount: 0, unit: "bd" }],
    snoozeLimit: 2,
    outcomes: [],
    scope: {},
    ...more,
  });
}

export const PLAN: Plan = {
  format: 1,
  playbook: "onboarding",
  title: "Onboarding",
  maintainer: "max@ours.example",
  hash: "plan-1",
  subject: "account",
  inputs: {},
  enroll: { when: [{ kind: "manual" }], again: { kind: "always" }, merge: {}, with: {} },
  exits: [],
  onExit: { openTasks: "cancel", deferredEmail: "cancel", steps: [] },
  pauses: [],
  priority: 50,
  calendar: "customer",
  steps: [],
  listens: { events: ["meeting.booked"], facts: ["account.stage", "tasks.required_open"] },
  templates: {},
};

const category = (title: string) => ({
  title: { en: title, ru: title, pl: title },
  canUnsubscribe: true,
  isCapped: true,
  keepsQuietHours: true,
});

export const POLICY: Policy = {
  company: {
    name: "Ours",
    domain: "ours.example",
    supportEmail: "help@ours.example",
    postalAddress: "Street 1",
    defaultLocale: "en",
  },
  datesAt: "09:00",
  email: {
    cap: { messages: 3, per: { amount: 7, unit: "d" } },
    quietHours: { from: "20:00", to: "08:00" },
    send: { kind: "working_hours" },
    sendWithin: { amount: 3, unit: "bd" },
    spread: { amount: 0, unit: "m" },
    spacingAfterRelease: { amount: 4, unit: "h" },
    unknown: "hold",
    from: { name: "Ours", address: "success@ours.example" },
  },
  categories: {
    onboarding: category("Getting started"),
    service: { ...category("Service"), canUnsubscribe: false, isCapped: false, keepsQuietHours: false },
  },
  tasks: {
    fallback: [{ kind: "manager" }],
    remind: [{ amount: 0, unit: "bd" }],
    snooze: { limit: 2, options: [{ amount: 1, unit: "bd" }] },
    digestAt: "08:30",
    openPerPerson: 40,
  },
  slack: { unassignedChannel: "#unassigned", alertsChannel: "#alerts" },
  retention: {
    events: { amount: 25, unit: "mo" },
    timeline: { amount: 36, unit: "mo" },
    samples: { amount: 25, unit: "mo" },
    deliveries: { amount: 25, unit: "mo" },
    messageBodies: { amount: 90, unit: "d" },
  },
};

const fieldsOf = (entity: "account" | "contact" | "contract") =>
  Object.fromEntries(Object.entries(BUILT_IN_FIELDS[entity]).map(([name, type]) => [name, { type }]));

const MODEL: Model = {
  account: { ...fieldsOf("account"), qbr_date: { type: "date" } },
  contact: fieldsOf("contact"),
  contract: fieldsOf("contract"),
  roles: { contact: ["champion", "admin"], staff: ["sales"], pools: ["desk"] },
  metrics: {},
  milestones: { first_value: { of: "account", title: "First value" }, logged_in: { of: "contact", title: "Login" } },
  events: {},
  outcomes: {},
};

const MENTION = /\{\{\s*([a-z_.0-9]+)\s*\}\}/g;

/** Fills in `{{ path }}` and nothing else. */
const plainComposer: Composer = {
  references: (source) => [...source.matchAll(MENTION)].map((match) => match[1] ?? ""),
  async mail(draft) {
    const body = fill(draft.template.source, draft.variables);
    const messageId = `<${draft.deliveryId}@ours.example>`;
    return {
      messageId,
      envelope: { from: draft.from.address, to: draft.to.address },
      raw: `From: ${draft.from.name}\nX-Unsubscribe: ${draft.unsubscribeToken !== undefined}\n\n${body}`,
    };
  },
  text: async (source, variables) => fill(source, variables),
  nudge: ({ text, actions }) => ({ text, blocks: [...actions] }),
  task: (card) => ({
    text: `${card.status}: ${card.title}`,
    blocks: [{ revision: card.revision, assignee: card.assignee?.id ?? card.queue }],
  }),
  digest: ({ overdue, today, later }) => ({
    text: `overdue ${overdue.map(({ title }) => title).join(", ")}; today ${today.map(({ title }) => title).join(", ")}; later ${later}`,
    blocks: [],
  }),
};

function fill(source: string, variables: Readonly<Record<string, unknown>>): string {
  return source.replace(MENTION, (_, path: string) => {
    const value = variables[path];
    if (value === undefined) throw new TextFault(`"${path}" is missing`);
    return String(value);
  });
}
