import { sql } from "drizzle-orm";
import { afterAll, expect, test } from "vitest";
import { inside, rowsOf } from "../../../src/adapters/postgres/database.js";
import { knownZones, portfolioFacts } from "../../../src/adapters/postgres/portfolio-facts.js";
import { BUILT_IN_FIELDS } from "../../../src/customers/model.js";
import { sweepHealth } from "../../../src/operations/sweep-health.js";
import { randomNumbers } from "../../expression/random-expressions.js";
import {
  DAY,
  FIRST,
  type PortfolioWorld,
  portfolioModel,
  portfolioWorld,
  randomPortfolio,
} from "../../operations/health-portfolio.js";
import { shippedWorkspace } from "../../support/workspace.js";

const SEED = Number(process.env.WAYPOST_SEED ?? 20_260_602);
const { health, segments } = shippedWorkspace();
if (!health || !segments) throw new Error("the shipped workspace is incomplete");
const model = portfolioModel();
let world: PortfolioWorld;

afterAll(() => world?.close());

/** Every fact that an account has without a run. */
const PATHS = [
  "now",
  ...Object.keys(model.account).map((name) => `account.${name}`),
  ...Object.keys(BUILT_IN_FIELDS.contract).map((name) => `contract.${name}`),
  ...Object.entries(model.metrics).flatMap(([name, { of }]) => (of === "account" ? [`usage.${name}`] : [])),
  ...["open", "opened_7d", "opened_90d", "closed_90d", "weekly_mean_8w"].map((name) => `tickets.${name}`),
  ...["nps", "nps_at", "nps_count", "csat"].map((name) => `survey.${name}`),
  ...["score", "status", "coverage", "change_7d", "change_30d"].map((name) => `health.${name}`),
  ...Object.entries(model.milestones).flatMap(([name, { of }]) => (of === "account" ? [`milestone.${name}`] : [])),
  ...["count", "on_track_share"].map((name) => `goals.${name}`),
];

test(`every fact of 200 random accounts is what FactReader reads (seed ${SEED})`, async () => {
  const portfolio = randomPortfolio(randomNumbers(SEED), 200);
  world = await portfolioWorld(portfolio, model, health, segments);
  await sweepHealth(world.ports, FIRST - 7 * DAY);
  await sweepHealth(world.ports, FIRST);
  const accounts = [...new Set(portfolio.batch.accounts.map(({ id }) => id))];
  for (const asOf of [FIRST, FIRST + 3 * DAY + 12_345]) {
    const read = await world.store.facts.readMany(
      accounts.map((accountId) => ({ accountId })),
      PATHS,
      asOf,
    );
    const rows = await world.store.read(async (tx) => {
      const zones = await knownZones(tx);
      const facts = portfolioFacts({ model, accounts, asOf, paths: PATHS, newest: PATHS, zones });
      const columns = PATHS.map(
        (path, index) => sql`${sql.raw(facts.fact(path).sql)} as ${sql.identifier(`c${index}`)}`,
      );
      return rowsOf<Record<string, unknown>>(
        tx,
        sql`with facts as (${facts.query}) select account_id, ${sql.join(columns, sql`, `)} from facts`,
      );
    });
    const byAccount = new Map(rows.map((row) => [row["account_id"], row]));
    const inSql = accounts.map((id) => {
      const row = byAccount.get(id);
      return Object.fromEntries(
        PATHS.flatMap((path, index) => (row?.[`c${index}`] == null ? [] : [[path, row[`c${index}`]]])),
      );
    });
    expect(inSql).toEqual(read);
    const seen = new Set(inSql.flatMap((facts) => Object.keys(facts)));
    const NEVER = [
      "account.locale",
      "account.country",
      "account.calendar",
      "account.industry",
      "account.success_criteria",
      "account.hours_saved_per_action",
    ];
    expect(PATHS.filter((path) => !seen.has(path) && !NEVER.includes(path)).length).toBeLessThan(25);
  }
}, 120_000);

test("a day begins at its first midnight, in UTC where the zone is unknown; what is no date is absent", async () => {
  const zoned = [
    ["America/Havana", "2026-11-01", "2026-11-01T04:00:00.000Z"],
    ["America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00.000Z"],
    ["Nowhere/Else", "2026-06-01", "2026-06-01T00:00:00.000Z"],
    ["Asia/Tokyo", "2026-06-01", "2026-05-31T15:00:00.000Z"],
    ["UTC", "2026-02-31", null],
    ["UTC", "tomorrow", null],
    ["UTC", "2026-06-01T10:00:00+02:00", "2026-06-01T08:00:00.000Z"],
  ] as const;
  const result = await world.store.transaction(async (tx) => {
    for (const [index, [zone, date]] of zoned.entries()) {
      for (const [field, value] of [
        ["timezone", zone],
        ["qbr_date", date],
      ] as const) {
        await inside(tx).execute(sql`insert into field_changes (entity, entity_id, account_id, field, value, at, source)
          values ('account', ${`z${index}`}, ${`z${index}`}, ${field}, to_jsonb(${value}::text), '2020-01-01', 'test')`);
      }
    }
    const facts = portfolioFacts({
      model,
      accounts: zoned.map((_, index) => `z${index}`),
      asOf: FIRST,
      paths: ["account.qbr_date"],
      zones: await knownZones(tx),
    });
    return rowsOf<{ at: number | null }>(
      tx,
      sql`with facts as (${facts.query}) select ${sql.raw(facts.fact("account.qbr_date").sql)} as at from facts order by account_id`,
    );
  });
  expect(result.map(({ at }) => (at === null ? null : new Date(at).toISOString()))).toEqual(
    zoned.map(([, , expected]) => expected),
  );
});

test("what no account has is a fault", () => {
  for (const path of [
    "contact.name",
    "usage.my_logins_7d",
    "usage.gone",
    "account.gone",
    "tickets.gone",
    "survey.my_nps",
    "health.gone",
    "milestone.activated",
    "goals.gone",
    "run.id",
  ]) {
    expect(() => portfolioFacts({ model, accounts: [], asOf: 0, paths: [path], zones: [] })).toThrow(path);
  }
  expect(() => portfolioFacts({ model, accounts: [], asOf: 0, paths: [], zones: [] }).fact("now")).toThrow(
    "not asked for",
  );
});
