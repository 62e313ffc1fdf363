import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Model } from "../src/customers/model.js";
import type { Plan } from "../src/engine/plan.js";
import type { Policy } from "../src/engine/policy.js";
import type { Workspace } from "../src/ports/playbooks.js";
import { workspaceOf } from "../src/operations/publish-files.js";
import { compileWorkspace } from "../src/playbook/workspace.js";
import type { Scenario } from "../src/simulation/records.js";
import { simulate, type SimulationSetting } from "../src/simulation/simulate.js";
import { STANDARD_CALENDAR } from "../src/values/calendar.js";
import { DAY_MS, type Instant, parseInstant } from "../src/values/instant.js";
import { parseTimeRule, type TimeRule } from "../src/values/time-rule.js";
import { isolated } from "../test/equivalence/isolate.js";
import { ownCase, RANDOM_HASHES, RANDOM_MODEL, RANDOM_TEMPLATES } from "../test/equivalence/random-cases.js";
import { email, end, fact, planFrom, policy as plainPolicy, slack, wait } from "../test/engine/plans.js";
import { begun, SHIPPED_SCENARIOS } from "../test/scenarios/shipped.js";
import { ROOT } from "./program.js";

export type LoadKind = "generated" | "shipped";

/** What is walked while the faults strike, and what the simulator says becomes of it. */
export interface Load {
  readonly kind: LoadKind;
  readonly workspace: Workspace;
  readonly scenarios: readonly Scenario[];
  readonly origin: Instant;
  readonly until: Instant;
  readonly expected: ReadonlyMap<string, ExpectedRun>;
  /** Accounts that live events are posted about, one run for each event. */
  readonly live: readonly string[];
}

export interface ExpectedRun {
  readonly scenario: Scenario;
  readonly lines: readonly ExpectedLine[];
}

export interface ExpectedLine {
  readonly at: Instant;
  /** `KIND STEP OUTCOME`, what there is of it. */
  readonly text: string;
}

/** Days in which nearly every generated story is over. */
const GENERATED_DAYS = 90;
const LIVE_ACCOUNTS = 10;

/** Stories for about so many runs; a pure function of seed, kind and number. */
export async function loadOf(kind: LoadKind, seed: number, runs: number): Promise<Load> {
  const base = kind === "generated" ? generated(seed, runs) : shipped(runs);
  const expected = new Map<string, ExpectedRun>();
  for (const scenario of base.scenarios) {
    for (const { run, entries } of await simulate(base.setting, scenario)) {
      const upTo = entries.filter(({ at }) => at <= scenario.until);
      const lines = upTo.map(lineOf);
      expected.set(run, { scenario, lines });
    }
  }
  // The domain runs on for years while the last deliveries settle: what is judged must still be there.
  const { policy: published } = base.workspace.configurations as unknown as { policy: Policy };
  const policy = { ...published, retention: mapValues(published.retention, { amount: 100, unit: "y" }) };
  const configurations = { ...base.workspace.configurations, policy };
  const live = Array.from({ length: LIVE_ACCOUNTS }, (_, i) => `live-${i}`);
  return { kind, ...base, workspace: { ...base.workspace, configurations }, expected, live };
}

/** What is compared of a line of a timeline: what happened, at which step, and how a run ended. */
export function lineOf({
  at,
  kind,
  step,
  detail,
}: {
  readonly at: Instant;
  readonly kind: string;
  readonly step?: string | null;
  readonly detail?: Readonly<Record<string, unknown>> | null;
}): ExpectedLine {
  const outcome = kind.startsWith("run.") ? detail?.["outcome"] : undefined;
  return { at, text: [kind, step, outcome].filter((one) => one !== undefined && one !== null).join(" ") };
}

function mapValues<T extends object, V>(of: T, value: V): { [K in keyof T]: V } {
  return Object.fromEntries(Object.keys(of).map((key) => [key, value])) as { [K in keyof T]: V };
}

interface Base {
  readonly workspace: Workspace;
  readonly setting: SimulationSetting;
  readonly scenarios: readonly Scenario[];
  readonly origin: Instant;
  readonly until: Instant;
}

/** Between a live run's first messages and its last, of domain time. */
export const PING_PAUSE_MS = 6 * 3_600_000;
/** What a live run tells, if nothing refused its messages. */
export const PING_LINES = [
  "run.started",
  "email.sent hello",
  "slack.posted told",
  "wait.began pause",
  "wait.over pause",
  "email.sent bye",
  "run.ended",
] as const;

/** One run for each event: a mail, a nudge, a mail (no task: each that stays open is in every morning's digest, of hundreds a minute). What is posted while a fault strikes must come of it exactly once. */
const PING: Plan = planFrom(
  [
    email("hello", { category: "service", send: parseTimeRule("now") as TimeRule }),
    slack("told", { text: "Told" }),
    wait("pause", "6h"),
    email("bye", { category: "service", send: parseTimeRule("now") as TimeRule }),
    end("done"),
  ],
  {
    playbook: "ping",
    hash: "ping",
    templates: RANDOM_HASHES,
    enroll: {
      when: [{ kind: "event", event: "ping" }],
      key: fact("event.n"),
      again: { kind: "always" },
      merge: {},
      with: {},
    },
  },
);
const PING_EVENT = { subject: "account", system: false, payload: { n: "string" } } as const;

function generated(seed: number, runs: number): Base {
  const model: Model = { ...RANDOM_MODEL, events: { ...RANDOM_MODEL.events, ping: PING_EVENT } };
  const cases = Array.from({ length: runs }, (_, i) => {
    const { plan, scenario } = ownCase(seed * 1_000 + i);
    return { plan, scenario: { ...scenario, until: scenario.at + GENERATED_DAYS * DAY_MS } };
  });
  const plans = [...cases.map(({ plan }) => plan), PING];
  const calendars = [{ ...STANDARD_CALENDAR, name: "standard" }];
  const scenarios = cases.map(({ scenario }) => scenario);
  const origin = scenarios[0]?.at ?? GENERATED_BEGIN;
  return {
    workspace: {
      playbooks: plans.map((plan) => ({ plan, source: "" })),
      templates: RANDOM_TEMPLATES,
      configurations: { model, segments: {}, calendars, policy: plainPolicy } as unknown as Workspace["configurations"],
    },
    setting: { plans, model, segments: {}, calendars, policy: plainPolicy },
    scenarios,
    origin,
    until: origin + GENERATED_DAYS * DAY_MS,
  };
}

const GENERATED_BEGIN = parseInstant("2026-03-02T08:00:00Z") as Instant;
const SHIPPED_END = parseInstant("2027-02-15T00:00:00Z") as Instant;

/** The stories of the shipped playbooks, told as often as it takes, each time of other customers. */
function shipped(runs: number): Base {
  const files = shippedFiles();
  const compiled = compileWorkspace(files);
  const { plans, model, segments, calendars, policy: ownPolicy } = compiled;
  if (!model || !segments || !calendars || !ownPolicy) throw new Error("the shipped playbooks don't compile");
  const { configurations, ...rest } = workspaceOf(compiled, files);
  // The simulator measures no health.
  const { health: _, ...others } = configurations as Record<string, unknown>;
  const withPing = { ...model, events: { ...model.events, ping: PING_EVENT } } as Model;
  const origin = Math.min(...SHIPPED_SCENARIOS.map(({ scenario }) => scenario.at));
  const copies = Math.max(1, Math.round(runs / SHIPPED_SCENARIOS.length));
  const scenarios = Array.from({ length: copies }, (_, copy) =>
    SHIPPED_SCENARIOS.slice(0, copies === 1 ? runs : undefined).map(({ scenario }, i) => ({
      ...begun(isolated(scenario, `s${copy}-${i + 1}`)),
      at: origin,
      until: Math.min(scenario.until, SHIPPED_END),
    })),
  ).flat();
  return {
    workspace: {
      ...rest,
      playbooks: [...rest.playbooks, { plan: PING, source: "" }],
      templates: [...rest.templates, ...RANDOM_TEMPLATES],
      configurations: { ...others, model: withPing } as unknown as Workspace["configurations"],
    },
    setting: { plans: [...plans, PING], model: withPing, segments, calendars, policy: ownPolicy },
    scenarios,
    origin,
    until: SHIPPED_END,
  };
}

function shippedFiles(): Record<string, string> {
  const folder = join(ROOT, "playbooks");
  const files: Record<string, string> = {};
  for (const path of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (/\.(ya?ml|md)$/.test(path)) files[path] = readFileSync(join(folder, path), "utf8");
  }
  return files;
}
