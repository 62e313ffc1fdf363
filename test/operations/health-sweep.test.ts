import { afterAll, describe, expect, test } from "vitest";
import type { HealthModel } from "../../src/customers/health-model.js";
import { measureHealth as measurePure } from "../../src/customers/measure-health.js";
import { measureHealth } from "../../src/operations/measure-health.js";
import { updateSegments } from "../../src/operations/update-segments.js";
import { sweepHealth } from "../../src/operations/sweep-health.js";
import { randomNumbers } from "../expression/random-expressions.js";
import { shippedWorkspace } from "../support/workspace.js";
import {
  DAY,
  FIRST,
  factsInMemory,
  keptHealth,
  type PortfolioWorld,
  portfolioModel,
  portfolioWorld,
  randomPortfolio,
  strangeHealth,
} from "./health-portfolio.js";

const SEED = Number(process.env.WAYPOST_SEED ?? 20_260_601);
const ACCOUNTS = Number(process.env.WAYPOST_ACCOUNTS ?? 80);
const DAYS = 5;
const STATUSES = ["green", "yellow", "red", "unknown"];

const { health: shipped, segments } = shippedWorkspace();
if (!shipped || !segments) throw new Error("the shipped workspace is incomplete");
const model = portfolioModel();
const worlds: PortfolioWorld[] = [];

afterAll(async () => {
  for (const world of worlds) await world.close();
});

describe.each<[string, HealthModel]>([
  ["the shipped model", shipped],
  ["a model of everything else", strangeHealth(shipped)],
])("%s", (_name, health) => {
  test(`the sweep and one account at a time agree on ${ACCOUNTS} random accounts × ${DAYS} days (seed ${SEED})`, async () => {
    const portfolio = randomPortfolio(randomNumbers(SEED), ACCOUNTS);
    const [one, all] = [
      await portfolioWorld(portfolio, model, health, segments),
      await portfolioWorld(portfolio, model, health, segments),
    ];
    worlds.push(one, all);
    // Published on the way, so that the change of the model is compared too.
    const other = { ...health, version: 99, status: { red: 0, yellow: 55, green: 70 } } as const;
    for (let day = 0; day < DAYS; day++) {
      const asOf = FIRST + day * DAY;
      for (const world of [one, all]) world.clock.moveTo(asOf);
      if (day === 3) for (const world of [one, all]) await world.publishHealth(other);
      const ids = await existingAt(one, asOf);
      for (const id of ids) await measureHealth(one.ports, id, asOf, "daily");
      await one.store.transaction((tx) => updateSegments(one.store, tx, ids, asOf, `sweep/${asOf}`, asOf));
      const report = await sweepHealth(all.ports, asOf);
      expect(report.accounts).toBe(ids.length);
      expect(await keptHealth(all)).toEqual(await keptHealth(one));
    }
    const kept = await keptHealth(all);
    const count = (status: string) => kept.health.filter((row) => row.status === status).length;
    console.log(
      `${kept.health.length} accounts: ${STATUSES.map((status) => `${status} ${count(status)}`).join(", ")}; ` +
        `${kept.history.length} lines of history, ${kept.events.length} changes, ${kept.segments.length} members, ${kept.moves.length} moves`,
    );
    expect(STATUSES.filter((status) => count(status) === 0)).toEqual([]);

    // Again at the same instant: nothing.
    const again = await sweepHealth(all.ports, FIRST + (DAYS - 1) * DAY);
    expect(again).toMatchObject({ written: 0, changed: 0, moved: 0 });
    expect(await keptHealth(all)).toEqual(kept);
  }, 180_000);
});

test(`what Postgres measures is what the pure rules measure (seed ${SEED})`, async () => {
  const portfolio = randomPortfolio(randomNumbers(SEED), ACCOUNTS);
  const world = await portfolioWorld(portfolio, model, shipped, segments);
  worlds.push(world);
  await sweepHealth(world.ports, FIRST);
  const rows = await world.rows<{
    account_id: string;
    score: number | null;
    coverage: number;
    inputs: unknown;
    profile: string;
  }>("select * from health order by account_id");
  expect(rows.length).toBeGreaterThan(0.9 * ACCOUNTS);
  for (const row of rows) {
    const { facts, newest } = factsInMemory(portfolio, model, row.account_id, FIRST);
    expect({
      account: row.account_id,
      score: row.score,
      coverage: row.coverage,
      inputs: row.inputs,
      profile: row.profile,
    }).toEqual({
      account: row.account_id,
      ...measurePure(shipped, facts, newest, FIRST),
    });
  }
}, 120_000);

async function existingAt(world: PortfolioWorld, asOf: number): Promise<string[]> {
  const rows = await world.rows<{ id: string }>(
    `select id from accounts where created_at <= '${new Date(asOf).toISOString()}' order by id`,
  );
  return rows.map(({ id }) => id);
}
