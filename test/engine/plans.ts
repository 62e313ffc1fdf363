import { simulate, type SimulationSetting } from "../../src/simulation/simulate.js";
import type { Scenario } from "../../src/simulation/records.js";
import type { Plan, Step } from "../../src/engine/plan.js";
import type { Policy } from "../../src/engine/policy.js";
import { parseInstant, formatInstant } from "../../src/values/instant.js";
import type { Condition } from "../../src/engine/plan.js";
import { bodiesOf } from "../../src/engine/plan-index.js";
import { isLocal } from "../../src/engine/scope.js";
import type { ComparisonOperator, Expression } from "../../src/expression/expression.js";
import { references } from "../../src/expression/references.js";
import { type Duration, parseDuration } from "../../src/values/duration.js";
import { parseTimeRule, type TimeRule } from "../../src/values/time-rule.js";
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
  tasks: {
    fallback: [{ kind: "manager" }],
    remind: [],
    snooze: { limit: 2, options: [] },
    digestAt: "08:30",
    openPerPerson: 40,
  },
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
      users: [
        { id: "u1", name: "Ann", email: "ann@w.example", timezone: "Europe/Warsaw", managerId: "u2" },
        { id: "u2", name: "Bob", email: "bob@w.example" },
      ],
      accounts: [{ id: "a1", fields: { name: "Acme", timezone: "Europe/Warsaw", csm: "u1", is_test: false } }],
      contacts: [
        {
          id: "c1",
          accountId: "a1",
          fields: { email: "c@acme.example", role: "champion", locale: "pl", is_primary: true },
        },
      ],
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
      .map(
        ([name, value]) =>
          `${name}=${typeof value === "number" && value > 1e12 ? formatInstant(value) : String(value)}`,
      )
      .join(" ");
    return [formatInstant(entry.at), entry.kind, entry.step, detail]
      .filter((part) => part !== undefined && part !== "")
      .join(" ");
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

export const slack = (id: string, more: Partial<Extract<Step, { kind: "slack" }>> = {}): Step => ({
  kind: "slack",
  id,
  path: id,
  to: { kind: "csm" },
  text: "x",
  actions: [],
  ...more,
});

export const task = (id: string, more: Partial<Extract<Step, { kind: "task" }>> = {}): Step => ({
  kind: "task",
  id,
  path: id,
  title: "x",
  for: { kind: "csm" },
  due: span("1 bd"),
  dueIf: [],
  required: false,
  escalate: [],
  remind: [],
  snoozeLimit: 2,
  outcomes: [],
  ...more,
});

export const wait = (id: string, rule: string, more: Partial<Extract<Step, { kind: "wait" }>> = {}): Step => ({
  kind: "wait",
  id,
  path: id,
  until: { kind: "rule", rule: parseTimeRule(rule) as TimeRule },
  onMissing: "fail",
  onPast: "skip",
  ...more,
});

export const waitUntil = (
  id: string,
  date: string,
  more: Partial<Extract<Step, { kind: "wait" }>> = {},
  offset?: string,
): Step =>
  wait(id, "now", {
    until: { kind: "date", date: fact(date), ...(offset === undefined ? {} : { offset: span(offset) }) },
    ...more,
  });

export const waitFor = (
  id: string,
  condition: Condition,
  within: string,
  otherwise: readonly Step[] = [],
  more: Partial<Extract<Step, { kind: "wait_for" }>> = {},
): Step => ({ kind: "wait_for", id, path: id, for: condition, within: span(within), otherwise, ...more });

export const around = (
  id: string,
  anchor: string,
  blocks: readonly (readonly [string, Step])[],
  more: Partial<Extract<Step, { kind: "around" }>> = {},
): Step => ({
  kind: "around",
  id,
  path: id,
  anchor,
  blocks: blocks.map(([offset, step]) => ({ at: span(offset), step })),
  onMissing: "fail",
  onPast: "skip",
  ...more,
});

export const choose = (
  id: string,
  branches: readonly (readonly [Expression, readonly Step[]])[],
  otherwise: readonly Step[] = [],
): Step => ({
  kind: "choose",
  id,
  path: id,
  branches: branches.map(([condition, steps]) => ({ if: condition, steps })),
  else: otherwise,
});

export const parallel = (
  id: string,
  branches: Readonly<Record<string, readonly Step[]>>,
  join: "all" | "any" = "all",
): Step => ({
  kind: "parallel",
  id,
  path: id,
  branches: Object.entries(branches).map(([name, steps]) => ({ name, steps })),
  join,
});

export const repeat = (id: string, every: string, times: number, steps: readonly Step[], until?: Expression): Step => ({
  kind: "repeat",
  id,
  path: id,
  every: span(every),
  times,
  steps,
  ...(until === undefined ? {} : { until }),
});

export const milestone = (id: string, more: Partial<Extract<Step, { kind: "milestone" }>> = {}): Step => ({
  kind: "milestone",
  id,
  path: id,
  milestone: "first_value",
  ...more,
});

export const end = (outcome: string, more: { if?: Expression } = {}): Step => ({
  kind: "end",
  path: "end",
  outcome,
  ...more,
});

export const on = (name: string, more: { where?: Expression; since?: "start" | "wait" } = {}): Condition => ({
  kind: "event",
  event: name,
  since: "start",
  ...more,
});

export const whenever = (condition: Expression): Condition => ({ kind: "if", if: condition });

export const fact = (path: string): Expression => ({ op: "fact", path });

export const has = (path: string): Expression => ({ op: "has", path });

export const is = (path: string, value: boolean | number | string, op: ComparisonOperator = "=="): Expression => ({
  op,
  left: fact(path),
  right: { op: "literal", value },
});

export function span(text: string): Duration {
  const duration = parseDuration(text);
  if (duration === undefined) throw new Error(`no duration: ${text}`);
  return duration;
}

/**
 * The plan with every path made as the compiler makes them (ids from the root down, joined by `/`), and `listens`
 * filled in from what its waits, exits and goal mention.
 */
export function planFrom(steps: readonly Step[], more: Partial<Plan> = {}): Plan {
  const plan = planOf(pathed(steps, ""), {
    ...more,
    ...(more.onExit === undefined ? {} : { onExit: { ...more.onExit, steps: pathed(more.onExit.steps, "on_exit/") } }),
  });
  const events = new Set(more.listens?.events);
  const facts = new Set(more.listens?.facts);
  const mention = (expression: Expression | undefined): void => {
    for (const path of expression === undefined ? [] : references(expression)) if (!isLocal(path)) facts.add(path);
  };
  const condition = (one: Condition): void => {
    if (one.kind === "event") events.add(one.event);
    if (one.kind === "if") mention(one.if);
    if (one.kind === "any" || one.kind === "all") one.of.forEach(condition);
  };
  for (const exit of [...plan.exits, ...(plan.goal === undefined ? [] : [plan.goal])]) {
    if (exit.when !== undefined) events.add(exit.when.event);
    mention(exit.if);
  }
  const visit = (list: readonly Step[]): void => {
    for (const step of list) {
      if (step.kind === "wait_for") condition(step.for);
      if (step.kind === "wait" && step.until.kind === "date") mention(step.until.date);
      if (step.kind === "around") facts.add(step.anchor);
      if (step.kind === "play" && step.wait !== undefined) events.add("run.ended");
      for (const [, body] of bodiesOf(step)) visit(body);
    }
  };
  visit([...plan.steps, ...plan.onExit.steps]);
  for (const path of ["account.calendar", "account.country", "account.timezone"]) facts.add(path);
  return { ...plan, listens: { events: [...events].sort(), facts: [...facts].sort() } };
}

function pathed(steps: readonly Step[], prefix: string): Step[] {
  return steps.map((step, i) => {
    const path = `${prefix}${step.id ?? `${step.kind}-${i + 1}`}`;
    const body = (list: readonly Step[], name: string): Step[] => pathed(list, `${path}/${name}/`);
    const own: Step = {
      ...step,
      path,
      ...(Array.isArray(step.onError) ? { onError: body(step.onError, "on_error") } : {}),
    };
    switch (own.kind) {
      case "wait_for":
        return { ...own, otherwise: body(own.otherwise, "otherwise") };
      case "task":
      case "play":
        return own.wait === undefined
          ? own
          : { ...own, wait: { ...own.wait, otherwise: body(own.wait.otherwise, "otherwise") } };
      case "choose":
        return {
          ...own,
          branches: own.branches.map((one, n) => ({ ...one, steps: body(one.steps, String(n + 1)) })),
          else: body(own.else, "else"),
        };
      case "parallel":
        return { ...own, branches: own.branches.map((one) => ({ ...one, steps: body(one.steps, one.name) })) };
      case "repeat":
        return { ...own, steps: body(own.steps, "steps") };
      case "around":
        return {
          ...own,
          blocks: own.blocks.map((one) => ({ ...one, step: pathed([one.step], `${path}/`)[0] as Step })),
        };
      default:
        return own;
    }
  });
}
