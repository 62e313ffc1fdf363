import { postgresHealth } from "../../src/adapters/postgres/health.js";
import { postgresSegments } from "../../src/adapters/postgres/segments.js";
import type { HealthModel } from "../../src/customers/health-model.js";
import { metricValue } from "../../src/customers/metrics.js";
import type { Metric, Model, Segments } from "../../src/customers/model.js";
import { csat, nps } from "../../src/customers/surveys.js";
import type { FactValue } from "../../src/expression/expression.js";
import { publish } from "../../src/operations/publish.js";
import { upsertCustomers } from "../../src/operations/upsert-customers.js";
import type {
  CustomerBatch,
  EntityRow,
  FieldValue,
  SampleRow,
  SurveyAnswerRow,
  TicketRow,
} from "../../src/ports/customers.js";
import type { HealthPorts } from "../../src/ports/health.js";
import { shippedWorkspace } from "../support/workspace.js";
import { at, equals, fact, literal, openWorld, planOf } from "./world.js";

export const DAY = 86_400_000;
/** The first daily evaluation. */
export const FIRST = at("2026-06-01T03:00Z");

/** The portfolio's rows, and the runs that freeze metrics. */
export interface Portfolio {
  readonly batch: Required<
    Pick<
      CustomerBatch,
      "users" | "accounts" | "contacts" | "contracts" | "samples" | "tickets" | "surveyAnswers" | "goals"
    >
  >;
  readonly rescues: readonly { readonly account: string; readonly from: number; readonly to: number | null }[];
  readonly milestones: readonly { readonly account: string; readonly milestone: string; readonly at: number }[];
}

/** Random customers: some rich, some silent, some with data at the edges of windows; deterministic by `random`. */
export function randomPortfolio(random: () => number, accounts: number): Portfolio {
  const int = (below: number) => Math.floor(random() * below);
  const pick = <T>(list: readonly T[]): T => list[int(list.length)] as T;
  const chance = (share: number) => random() < share;
  // Often exactly on an edge: of a window, of an evaluation.
  const moment = (daysBack: number) =>
    chance(0.15) ? FIRST + int(4) * DAY - int(daysBack) * DAY : FIRST + 4 * DAY - int((daysBack + 4) * 86_400) * 1000;
  const batch = {
    users: [],
    accounts: [],
    contacts: [],
    contracts: [],
    samples: [],
    tickets: [],
    surveyAnswers: [],
    goals: [],
  } as unknown as {
    -readonly [K in keyof Portfolio["batch"]]: Portfolio["batch"][K][number][];
  };
  batch.users.push(
    { id: "boss", name: "Boss", email: "b@x.example" },
    { id: "ada", name: "Ada", email: "a@x.example", managerId: "boss" },
  );
  const rescues: { account: string; from: number; to: number | null }[] = [];
  const milestones: { account: string; milestone: string; at: number }[] = [];
  const past = FIRST - 400 * DAY;
  for (let index = 0; index < accounts; index++) {
    const id = `a-${String(index).padStart(4, "0")}`;
    const maybe = (value: FieldValue, share = 0.7) => (chance(share) ? value : undefined);
    batch.accounts.push({
      id,
      at: chance(0.95) ? past : FIRST + DAY,
      fields: {
        name: `Account ${index}`,
        timezone: pick(["UTC", "Europe/Warsaw", "America/Havana", "Asia/Tokyo", "America/Sao_Paulo"]),
        touch_model: pick(["high", "low", "pooled"]),
        tier: maybe(pick(["enterprise", "growth", "starter"])),
        stage: maybe(pick(["onboarding", "adoption", "retention", "renewal", "churned"]), 0.95),
        csm: maybe("ada", 0.5),
        seats: maybe(int(30)),
        csm_view: maybe(pick(["good", "monitor", "at_risk"])),
        payment_status: maybe(pick(["ok", "failed"])),
        arr: maybe(int(100_000) / 4),
        qbr_date: maybe(pick(["2026-06-02", "2026-06-03", "2026-11-01", "2025-12-31"]), 0.5),
        is_test: chance(0.05),
        maintenance: maybe(chance(0.2), 0.3),
      },
    });
    for (let change = int(3); change > 0; change--) {
      const field = pick(["csm_view", "stage", "payment_status", "seats", "touch_model"] as const);
      const values = {
        csm_view: ["good", "monitor", "at_risk", null],
        stage: ["adoption", "retention", null],
        payment_status: ["ok", "failed"],
        seats: [5, 0, null],
        touch_model: ["high", "low"],
      };
      const when = moment(120);
      if (when > past + DAY)
        batch.accounts.push({
          id,
          at: Math.max(when, FIRST + DAY - 300 * DAY),
          fields: { [field]: pick<FieldValue>(values[field]) },
        } as EntityRow);
    }
    const people = Array.from({ length: int(4) }, (_, person) => `${id}-p${person}`);
    for (const person of people) {
      batch.contacts.push({
        id: person,
        accountId: id,
        at: past,
        fields: { name: person, role: pick(["champion", "end_user"]) },
      });
      if (chance(0.2))
        batch.contacts.push({
          id: person,
          accountId: id,
          at: FIRST - int(40) * DAY,
          fields: { role: pick(["champion", "admin"]) },
        });
    }
    for (let contract = int(3); contract > 0; contract--) {
      batch.contracts.push({
        id: `${id}-k${contract}`,
        accountId: id,
        at: past,
        fields: {
          status: pick(["active", "active", "draft"]),
          end_date: pick(["2026-12-31", "2027-03-01", "2026-06-05"]),
          notice_days: maybe(int(90)),
          arr: int(50_000),
        },
      });
    }
    const isSilent = chance(0.15);
    for (const name of ["key_actions", "logins", "touches"]) {
      for (let count = isSilent || chance(0.15) ? 0 : int(25); count > 0; count--) {
        const user = chance(0.7) && people.length > 0 ? pick(people) : undefined;
        const row: SampleRow = {
          id: `s-${batch.samples.length}`,
          accountId: id,
          name,
          at: moment(90),
          value: int(40) / 4,
        };
        batch.samples.push(user === undefined ? row : { ...row, user });
      }
    }
    for (let count = int(8); count > 0; count--) {
      const openedAt = moment(70);
      const row: TicketRow = { id: `t-${batch.tickets.length}`, accountId: id, openedAt };
      batch.tickets.push(chance(0.5) ? { ...row, closedAt: openedAt + int(20) * DAY + 1 } : row);
    }
    for (let count = int(5); count > 0; count--) {
      const row: SurveyAnswerRow = {
        id: `q-${batch.surveyAnswers.length}`,
        accountId: id,
        survey: pick(["nps", "nps", "csat"]),
        score: int(11),
        at: moment(200),
      };
      batch.surveyAnswers.push(chance(0.7) && people.length > 0 ? { ...row, contactId: pick(people) } : row);
    }
    for (let goal = int(3); goal > 0; goal--) {
      for (let version = 1 + int(2); version > 0; version--) {
        batch.goals.push({
          id: `${id}-g${goal}`,
          accountId: id,
          title: "Goal",
          status: pick(["on_track", "achieved", "at_risk", "dropped"]),
          at: moment(150),
        });
      }
    }
    if (chance(0.15)) rescues.push({ account: id, from: moment(40), to: chance(0.5) ? null : FIRST + int(4) * DAY });
    if (chance(0.4)) milestones.push({ account: id, milestone: pick(["first_value", "kickoff_held"]), at: moment(60) });
  }
  // As they come in: a version says what is new against the one before it.
  for (const rows of [batch.accounts, batch.contacts, batch.goals]) rows.sort((a, b) => (a.at ?? 0) - (b.at ?? 0));
  return { batch, rescues, milestones };
}

/** A database of its own with the portfolio in it, published, and no event pending. */
export async function portfolioWorld(portfolio: Portfolio, model: Model, health: HealthModel, segments: Segments) {
  const world = await openWorld("2026-05-31T12:00Z");
  const ports: HealthPorts = {
    store: world.store,
    clock: world.clock,
    health: postgresHealth,
    segments: postgresSegments,
  };
  const plan = planOf("churn-rescue", {});
  const publishHealth = (next: HealthModel, nextSegments: Segments = segments) =>
    publish(
      ports,
      {
        playbooks: [{ plan, source: "" }],
        templates: [],
        configurations: { model, health: next, segments: nextSegments, calendars: [], policy: { datesAt: "09:00" } },
      },
      "ops",
    );
  await publishHealth(health, {});
  for (const kind of [
    "users",
    "accounts",
    "contacts",
    "contracts",
    "samples",
    "tickets",
    "surveyAnswers",
    "goals",
  ] as const) {
    for (let from = 0; from < portfolio.batch[kind].length; from += 4_000) {
      const { refused } = await upsertCustomers(
        ports,
        { [kind]: portfolio.batch[kind].slice(from, from + 4_000) },
        { at: FIRST - 400 * DAY, source: "test" },
      );
      if (refused.length > 0) throw new Error(JSON.stringify(refused.slice(0, 3)));
    }
  }
  // The upsert takes one instant for new accounts: the rows', as an import brings them day by day.
  await world.database.client.unsafe(
    "update accounts a set created_at = (select min(at) from field_changes where entity = 'account' and entity_id = a.id)",
  );
  for (const { account, from, to } of portfolio.rescues) {
    await world.database
      .client`insert into runs (id, playbook, hash, subject, account_id, key, ordinal, status, started_at, ended_at)
      values (${`run/${account}/${from}`}, 'churn-rescue', ${plan.hash}, 'account', ${account}, ${account}, 1, ${to === null ? "running" : "ended"},
        ${new Date(from).toISOString()}, ${to === null ? null : new Date(to).toISOString()})`;
  }
  for (const row of portfolio.milestones) {
    await world.database
      .client`insert into milestones (account_id, contact_id, milestone, at) values (${row.account}, '', ${row.milestone}, ${new Date(row.at).toISOString()})`;
  }
  // Only now, so that who is in a segment before the first day is simply in it.
  await publishHealth(health);
  await world.database.client.unsafe("delete from events");
  return { ...world, ports, publishHealth };
}

export type PortfolioWorld = Awaited<ReturnType<typeof portfolioWorld>>;

/** Everything that health keeps, for comparison: rows by key, instants as text. */
export async function keptHealth(world: PortfolioWorld) {
  return {
    health: await world.rows<Record<string, unknown>>("select * from health order by account_id"),
    history: await world.rows("select * from health_history order by account_id, at"),
    events: await world.rows(
      "select name, account_id, at, payload, changed from events where name = 'health.changed' order by account_id, at, name",
    ),
    segments: await world.rows("select segment, account_id, since from segment_members order by 1, 2"),
    moves: await world.rows(
      "select name, account_id, at, payload, changed from events where name like 'segment.%' order by account_id, at, name, payload ->> 'segment'",
    ),
  };
}

/** The shipped model, with metrics and fields besides that it has none of. */
export function portfolioModel(): Model {
  const { model } = shippedWorkspace();
  if (model === undefined) throw new Error("the shipped workspace has no model");
  const metric = (more: Partial<Metric>): Metric => ({
    from: "key_actions",
    aggregate: "sum",
    of: "account",
    title: "",
    window: { amount: 7, unit: "d" },
    ...more,
  });
  const { window: _window, ...endless } = metric({ aggregate: "last" });
  return {
    ...model,
    metrics: {
      ...model.metrics,
      avg_2w: metric({ aggregate: "avg", window: { amount: 2, unit: "w" } }),
      max_36h: metric({ aggregate: "max", window: { amount: 36, unit: "h" } }),
      last_ever: endless,
      mean_base: metric({ aggregate: "count", baseline: { weeks: 5, statistic: "mean" } }),
      avg_base: metric({ aggregate: "avg", baseline: { weeks: 6, statistic: "median" } }),
      champion_days: metric({
        from: "logins",
        aggregate: "distinct",
        window: { amount: 30, unit: "d" },
        role: "champion",
      }),
    },
  };
}

/** A health model of everything that the shipped one doesn't use. */
export function strangeHealth(base: HealthModel): HealthModel {
  const linear = (from: number, to: number) => ({ kind: "linear" as const, from, to });
  const bands = {
    kind: "bands" as const,
    bands: [{ under: 0.5, points: 10 }, { under: 3, points: 60 }, { points: 90 }],
  };
  const day = 86_400_000;
  return {
    ...base,
    version: 9,
    minCoverage: 0.4,
    hysteresis: { points: 8, evaluations: 2 },
    measures: {
      a_avg: { title: "", value: "usage.avg_2w", dividedBy: "usage.avg_base", scale: bands, freshMs: 5 * day },
      b_max: { title: "", value: "usage.max_36h", scale: linear(0, 10) },
      c_last: { title: "", value: "usage.last_ever", scale: linear(10, 0), freshMs: 30 * day },
      d_mean: { title: "", value: "usage.mean_base", scale: bands },
      e_champion: { title: "", value: "usage.champion_days", dividedBy: "account.seats", scale: bands },
      f_csat: { title: "", value: "survey.csat", freshMs: 60 * day, scale: linear(0, 1) },
      g_count: { title: "", value: "survey.nps_count", scale: linear(0, 5) },
      h_goals: { title: "", value: "goals.count", freshMs: 100 * day, scale: bands },
      i_tickets: {
        title: "",
        value: "tickets.closed_90d",
        freshMs: 20 * day,
        scale: linear(0, 4),
        stages: ["adoption", "onboarding"],
      },
      j_manager: { title: "", value: "account.manager", scale: { kind: "values", values: { boss: 70 } } },
      k_contract: {
        title: "",
        value: "contract.arr",
        dividedBy: "account.arr",
        freshMs: 390 * day,
        scale: linear(0, 1),
      },
      l_status: { title: "", value: "contract.status", scale: { kind: "values", values: { active: 100 } } },
    },
    profiles: [
      {
        name: "due",
        if: { op: "<", left: fact("contract.notice_date"), right: fact("now") },
        weights: { k_contract: 3, l_status: 0.1, f_csat: 0.2, b_max: 0.7 },
      },
      {
        name: "valued",
        if: { op: "has", path: "milestone.first_value" },
        weights: { a_avg: 1.1, b_max: 2.3, h_goals: 0.3, j_manager: 1 },
      },
      { name: "test", if: equals("account.is_test", true), weights: { e_champion: 1, g_count: 2 } },
      {
        name: "qbr",
        if: { op: ">", left: fact("account.qbr_date"), right: literal(FIRST) },
        weights: { c_last: 1, d_mean: 1, f_csat: 1, i_tickets: 1 },
      },
      {
        name: "others",
        weights: {
          a_avg: 1,
          b_max: 1,
          c_last: 1,
          d_mean: 1,
          e_champion: 1,
          g_count: 1,
          h_goals: 1,
          i_tickets: 1,
          j_manager: 1,
          k_contract: 1,
          l_status: 1,
        },
      },
    ],
  };
}

/** Facts and ages of one account straight from the rows, with the pure rules only. Fields, usage, tickets, surveys and goals. */
export function factsInMemory(portfolio: Portfolio, model: Model, account: string, asOf: number) {
  const { batch } = portfolio;
  const facts: Record<string, FactValue> = {};
  const newest: Record<string, number> = {};
  const put = (path: string, value: FactValue | undefined, changedAt?: number) => {
    if (value === undefined) return;
    facts[path] = value;
    if (changedAt !== undefined && Number.isFinite(changedAt)) newest[path] = changedAt;
  };
  for (const [field, { value, since }] of versionsOf(batch.accounts, account, asOf)) {
    newest[`account.${field}`] = since;
    if (value !== null) facts[`account.${field}`] = value;
  }
  const roleOf = (user: string) => versionsOf(batch.contacts, user, asOf).get("role")?.value as string | undefined;
  for (const [name, metric] of Object.entries(model.metrics)) {
    const spans = portfolio.rescues.filter(
      (run) =>
        metric.frozenWhile !== undefined &&
        run.account === account &&
        run.from <= asOf &&
        (run.to === null || run.to > asOf),
    );
    const readAt = spans.reduce((min, { from }) => Math.min(min, from), asOf);
    const samples = batch.samples.filter((sample) => sample.accountId === account && sample.name === metric.from);
    put(`usage.${name}`, metricValue(metric, samples, readAt, { roleOf }));
    const latest = Math.max(...samples.filter((sample) => sample.at <= asOf).map((sample) => sample.at));
    if (Number.isFinite(latest)) newest[`usage.${name}`] = latest;
  }
  const tickets = batch.tickets
    .map(({ accountId, openedAt = 0, closedAt }) => ({ accountId, openedAt, closedAt }))
    .filter((ticket) => ticket.accountId === account && ticket.openedAt <= asOf);
  const openedSince = (from: number, to: number) =>
    tickets.filter(({ openedAt }) => openedAt > asOf - from * DAY && openedAt <= asOf - to * DAY).length;
  const touched = tickets.flatMap(({ openedAt, closedAt }) =>
    closedAt != null && closedAt <= asOf ? [openedAt, closedAt] : [openedAt],
  );
  put(
    "tickets.open",
    tickets.filter(({ closedAt }) => closedAt == null || closedAt > asOf).length,
    Math.max(...touched),
  );
  put("tickets.opened_7d", openedSince(7, 0), Math.max(...touched));
  put("tickets.weekly_mean_8w", openedSince(63, 7) / 8);
  const answers = (survey: string) =>
    batch.surveyAnswers.filter((answer) => answer.accountId === account && answer.survey === survey);
  const score = nps(answers("nps"), asOf);
  put("survey.nps", score?.nps, score?.at);
  put("survey.csat", csat(answers("csat"), asOf));
  const goals = new Map<string, { status: string; at: number }>();
  const known = batch.goals.filter((goal) => goal.accountId === account && goal.at <= asOf);
  for (const goal of known) if (goals.get(goal.id)?.status !== goal.status) goals.set(goal.id, goal);
  const counted = [...goals.values()].filter(({ status }) => status !== "dropped");
  if (goals.size > 0) newest["goals.on_track_share"] = Math.max(...[...goals.values()].map((goal) => goal.at));
  if (counted.length > 0) {
    put(
      "goals.on_track_share",
      counted.filter(({ status }) => status === "on_track" || status === "achieved").length / counted.length,
    );
  }
  return { facts, newest };
}

/** Field → its value as of the instant and since when; a version that says nothing new is none. */
function versionsOf(
  rows: readonly EntityRow[],
  id: string,
  asOf: number,
): Map<string, { value: FieldValue; since: number }> {
  const now = new Map<string, { value: FieldValue; since: number }>();
  const own = rows.filter((row) => row.id === id && (row.at ?? 0) <= asOf).sort((a, b) => (a.at ?? 0) - (b.at ?? 0));
  for (const row of own) {
    for (const [field, value] of Object.entries(row.fields)) {
      if (value === undefined || (now.get(field)?.value ?? null) === value) continue;
      now.set(field, { value, since: row.at ?? 0 });
    }
  }
  return now;
}
