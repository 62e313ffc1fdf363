import { recordedWorkflows } from "../../src/adapters/memory/workflows.js";
import { steppedClock } from "../../src/adapters/memory/clock.js";
import { openDatabase } from "../../src/adapters/postgres/database.js";
import { postgresStore } from "../../src/adapters/postgres/store.js";
import { BUILT_IN_FIELDS, type Field, type Model, type Segments } from "../../src/customers/model.js";
import type { Enroll, Plan } from "../../src/engine/plan.js";
import type { Expression } from "../../src/expression/expression.js";
import { dispatchBatch } from "../../src/operations/dispatch-events.js";
import { pollDue } from "../../src/operations/poll-due.js";
import { publish } from "../../src/operations/publish.js";
import type { Workspace } from "../../src/ports/playbooks.js";
import type { DispatchPorts } from "../../src/ports/store.js";
import { parseInstant } from "../../src/values/instant.js";
import { sha256Hex } from "../../src/values/sha256.js";
import { freshDatabase } from "../support/database.js";

/** The instant that an ISO text names. */
export function at(text: string): number {
  const instant = parseInstant(text);
  if (instant === undefined) throw new Error(`not an instant: ${text}`);
  return instant;
}

/** A database of its own, a clock that stands at `start`, workflows that only record. */
export async function openWorld(start: string) {
  const fresh = await freshDatabase();
  const database = openDatabase(fresh.url, { poolMax: 12 });
  const store = postgresStore(database);
  const clock = steppedClock(at(start));
  const workflows = recordedWorkflows();
  const ports: DispatchPorts = { store, clock, workflows, clockSetting: { scale: 1, realOrigin: 0, domainOrigin: 0 } };
  return {
    ...ports,
    ports,
    clock,
    workflows,
    database,
    url: fresh.url,
    publish: (workspace: Workspace, by = "ops") => publish(ports, workspace, by),
    /** Dispatches and polls until nothing is left to do now. */
    async settle() {
      for (;;) {
        const done = (await dispatchBatch(ports, 1000)) + (await pollDue(ports, {}, 1000));
        if (done === 0) return;
      }
    },
    runs: () => store.read((tx) => store.runs.list(tx, { limit: 500 })),
    async rows<Row>(query: string): Promise<Row[]> {
      return (await database.client.unsafe(query)) as unknown as Row[];
    },
    async close() {
      await database.close();
      await fresh.drop();
    },
  };
}

export type World = Awaited<ReturnType<typeof openWorld>>;

export const fact = (path: string): Expression => ({ op: "fact", path });
export const literal = (value: string | number | boolean): Expression => ({ op: "literal", value });
export const equals = (path: string, value: string | number | boolean): Expression => ({
  op: "==",
  left: fact(path),
  right: literal(value),
});

/** A plan that only ends, with what a test says of it. Its hash depends on its content. */
export function planOf(playbook: string, enroll: Partial<Enroll>, more: Partial<Plan> = {}): Plan {
  const plan: Plan = {
    format: 1,
    playbook,
    title: playbook,
    maintainer: "ops@example.com",
    hash: "",
    subject: "account",
    inputs: {},
    enroll: { when: [{ kind: "manual" }], again: { kind: "per_key" }, merge: {}, with: {}, ...enroll },
    exits: [],
    onExit: { openTasks: "cancel", deferredEmail: "cancel", steps: [] },
    pauses: [],
    priority: 50,
    calendar: "customer",
    steps: [{ kind: "end", path: "end-1", outcome: "won" }],
    listens: { events: [], facts: [] },
    templates: {},
    ...more,
  };
  return { ...plan, hash: sha256Hex(JSON.stringify(plan)) };
}

const builtIn = (entity: "account" | "contact" | "contract"): Record<string, Field> =>
  Object.fromEntries(Object.entries(BUILT_IN_FIELDS[entity]).map(([name, type]) => [name, { type }]));

const metric = { aggregate: "sum", of: "account", title: "" } as const;

/** A small model with one of everything. */
export const MODEL: Model = {
  account: {
    ...builtIn("account"),
    stage: { type: "string", values: ["onboarding", "adoption", "churned"] },
    qbr_date: { type: "date" },
    seats: { type: "number" },
  },
  contact: builtIn("contact"),
  contract: {
    ...builtIn("contract"),
    notice_date: { type: "date", derived: { date: "end_date", sign: -1, days: "notice_days" } },
  },
  roles: { contact: ["champion"], staff: [], pools: [] },
  metrics: {
    actions_7d: { ...metric, from: "actions", window: { amount: 7, unit: "d" } },
    actions_last: { ...metric, from: "actions", aggregate: "last" },
    actions_avg_7d: { ...metric, from: "actions", aggregate: "avg", window: { amount: 7, unit: "d" } },
    baseline: {
      ...metric,
      from: "actions",
      window: { amount: 7, unit: "d" },
      baseline: { weeks: 8, statistic: "median" },
      frozenWhile: "rescue",
    },
    users_7d: { ...metric, from: "actions", aggregate: "distinct", window: { amount: 7, unit: "d" } },
    champion_7d: { ...metric, from: "actions", window: { amount: 7, unit: "d" }, role: "champion" },
    my_7d: { ...metric, from: "actions", window: { amount: 7, unit: "d" }, of: "contact" },
  },
  milestones: {
    kickoff: { of: "account", on: "meeting.held", where: equals("event.kind", "kickoff"), title: "Kickoff" },
    logged_in: { of: "contact", on: "user.logged_in", title: "First login" },
  },
  events: {
    "contract.signed": { subject: "contract", payload: { contract_id: "string", arr: "number" }, system: false },
    "contract.renewed": {
      subject: "contract",
      payload: { contract_id: "string", new_end_date: "date" },
      system: false,
    },
    "contact.left": { subject: "contact", payload: { contact_id: "string" }, system: false },
    "meeting.held": { subject: "account", payload: { kind: "string", starts_at: "datetime" }, system: false },
    "meeting.booked": { subject: "account", payload: { kind: "string" }, system: false },
    "user.logged_in": { subject: "contact", payload: { device: "string" }, system: false },
    "signal.raised": { subject: "account", payload: { severity: "string" }, system: false },
    "survey.answered": { subject: "contact", payload: { kind: "string", score: "number" }, system: false },
    "ticket.opened": { subject: "account", payload: { ticket_id: "string", priority: "string" }, system: false },
    "ticket.closed": { subject: "account", payload: { ticket_id: "string" }, system: false },
    "health.changed": { subject: "account", payload: { from: "string", to: "string", cause: "string" }, system: true },
  },
  outcomes: { won: { kind: "good", title: "Won" } },
};

/** A workspace of these plans and segments over the small model. */
export function workspaceOf(plans: readonly Plan[], segments: Segments = {}): Workspace {
  return {
    playbooks: plans.map((plan) => ({ plan, source: `playbook: ${plan.playbook}\n` })),
    templates: [],
    configurations: { model: MODEL, segments, health: {}, calendars: [], policy: { datesAt: "09:00" } },
  };
}
