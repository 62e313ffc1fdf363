
import { simulate, type SimulationSetting } from "../../src/simulation/simulate.js";
import type { Scenario } from "../../src/simulation/records.js";
import type { Plan, Step } from "../../src/engine/plan.js";
import type { Policy } from "../../src/engine/policy.js";
import { parseInstant, formatInstant } from "../../src/values/instant.js";
import { STANDARD_CALENDAR } from "../../src/values/calendar.js";
import type { Model } from "../../src/customers/model.js";

const at = (text: string): number => parseInstant(text) as number;

export const model: Model = {
  account: {},
  contact: {},
  contract: {},
  roles: { contact: ["champion"], staff: [], pools: [] },
  metrics: {},
  milestones: { first_value: { of: "account", title: "First value" } },
  events: {},
  outcomes: {},
};

export const policy: Policy = {
  company: { name: "W", domain: "w.example", supportEmail: "s@w.example", postalAddress: "x", defaultLocale: "en" },
  datesAt: "09:00",
  email: {
    cap: { messages: 3, per: { amount: 7, unit: "d" } },
    quietHours: { from: "20:00", to: "08:00" },
    send: { kind: "working_hours" },
    sendWithin: { amount: 3, unit: "bd" },
    spread: { amount: 0, unit: "m" },
    spacingAfterRelease: { amount: 4, unit: "h" },
    unknown: "hold",
    from: { name: "W", address: "cs@w.example" },
  },
  categories: {
    service: { title: { en: "S", ru: "S", pl: "S" }, canUnsubscribe: false, isCapped: false, keepsQuietHours: false },
    onboarding: { title: { en: "O", ru: "O", pl: "O" }, canUnsubscribe: true, isCapped: true, keepsQuietHours: true },
  },
  tasks: { fallback: [{ kind: "manager" }], remind: [], snooze: { limit: 2, options: [] }, digestAt: "08:30", openPerPerson: 40 },
  slack: { unassignedChannel: "#u", alertsChannel: "#a" },
  retention: {
    events: { amount: 25, unit: "mo" },
    timeline: { amount: 36, unit: "mo" },
    samples: { amount: 25, unit: "mo" },
    deliveries: { amount: 25, unit: "mo" },
    messageBodies: { amount: 90, unit: "d" },
  },
};

export function planOf(steps: Step[], more: Partial<Plan> = {}): Plan {
  return {
    format: 1,
    playbook: "p",
    title: "P",
    maintainer: "m@w.example",
    hash: "h",
    subject: "account",
    inputs: {},
    enroll: { when: [{ kind: "manual" }], again: { kind: "per_key" }, merge: {}, with: {} },
    exits: [],
    onExit: { openTasks: "cancel", deferredEmail: "cancel", steps: [] },
    pauses: [],
    priority: 50,
    calendar: "customer",
    steps,
    listens: { events: [], facts: [] },
    templates: { t: { en: "e", pl: "p" } },
    ...more,
  };
}

export function settingOf(...plans: Plan[]): SimulationSetting {
  return { plans, model, segments: {}, calendars: [{ ...STANDARD_CALENDAR, name: "standard" }], policy };
}

export function scenarioOf(more: Partial<Scenario> = {}): Scenario {
  return {
    name: "s",
    at: at("2026-03-02T10:00:00+01:00"),
    until: at("2026-12-31T00:00:00Z"),
    given: {
      users: [{ id: "u1", name: "Ann", email: "ann@w.example", timezone: "Europe/Warsaw", managerId: "u2" }, { id: "u2", name: "Bob", email: "bob@w.example" }],
      accounts: [{ id: "a1", fields: { name: "Acme", timezone: "Europe/Warsaw", csm: "u1", is_test: false } }],
      contacts: [{ id: "c1", accountId: "a1", fields: { email: "c@acme.example", role: "champion", locale: "pl", is_primary: true } }],
    },
    script: [],
    reactions: [],
    enrolments: [{ at: at("2026-03-02T10:00:00+01:00"), playbook: "p", accountId: "a1" }],
    ...more,
  };
}

export async function lines(plan: Plan, scenario: Scenario = scenarioOf()): Promise<string[]> {
  const [run] = await simulate(settingOf(plan), scenario);
  return (run?.entries ?? []).map((entry) => {
    const detail = Object.entries(entry.detail ?? {})
      .map(([name, value]) => `${name}=${typeof value === "number" && value > 1e12 ? formatInstant(value) : String(value)}`)
      .join(" ");
    return [formatInstant(entry.at), entry.kind, entry.step, detail].filter((part) => part !== undefined && part !== "").join(" ");
  });
}

export const email = (id: string, more: Partial<Extract<Step, { kind: "email" }>> = {}): Step => ({
  kind: "email",
  id,
  path: id,
  to: { kind: "role", role: "champion" },
  from: { kind: "csm" },
  template: "t",
  category: "onboarding",
  send: { kind: "working_hours" },
  ...more,
});

