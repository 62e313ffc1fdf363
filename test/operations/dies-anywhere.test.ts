import { afterAll, beforeAll, expect, test } from "vitest";
import type { Plan } from "../../src/engine/plan.js";
import type { TimelineEntry } from "../../src/engine/timeline.js";
import type { PerformPorts } from "../../src/operations/perform-ports.js";
import type { Scenario } from "../../src/simulation/records.js";
import { simulate } from "../../src/simulation/simulate.js";
import { STANDARD_CALENDAR } from "../../src/values/calendar.js";
import { linesOf } from "../engine/rehearse.js";
import { policy } from "../engine/plans.js";
import { ownCase, RANDOM_MODEL, RANDOM_TEMPLATES } from "../equivalence/random-cases.js";
import { randomFrom } from "../support/random-plans.js";
import { openStage, type Stage } from "./support/stage.js";
import { storyOnStore, WorkerDied } from "./support/story-on-store.js";

const CASES = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 25);
const FIRST = Number(process.env["WAYPOST_SEED"] ?? 1);
/** How often a worker dies behind one of its commits, looks or conversations; and how often a call meets a mail server that refuses, or loses the mail or the answer. */
const DEATHS = Number(process.env["WAYPOST_DEATHS"] ?? 0.1);
const TROUBLES = 0.1;

const calendars = [{ ...STANDARD_CALENDAR, name: "standard" }];

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
  const { playbooks } = stage.store;
  await stage.write(async (tx) => {
    for (const [name, value] of Object.entries({ model: RANDOM_MODEL, policy, calendars }))
      await playbooks.saveConfiguration(tx, name as "model", value as never, 0);
    await playbooks.saveTemplates(tx, RANDOM_TEMPLATES);
  });
});
afterAll(() => stage.close());

/** A worker that may die behind whatever it has asked of the store, the mail server or Slack: from then on nothing of it goes on. */
function mortal(ports: PerformPorts, dies: () => boolean): PerformPorts {
  let isDead = false;
  const behind = async <T>(work: () => Promise<T>): Promise<T> => {
    if (isDead) throw new WorkerDied();
    const result = await work();
    isDead ||= dies();
    if (isDead) throw new WorkerDied();
    return result;
  };
  const mortally = <T extends object>(of: T): T =>
    new Proxy(of, {
      get(_, name) {
        const value: unknown = Reflect.get(of, name);
        return typeof value === "function" ? (...given: unknown[]) => behind(() => value.apply(of, given)) : value;
      },
    });
  const { store, mailer, slack } = ports;
  return {
    ...ports,
    store: {
      ...store,
      transaction: (work) => behind(() => store.transaction(work)),
      read: (work) => behind(() => store.read(work)),
    },
    mailer: mortally(mailer),
    slack: mortally(slack),
  };
}

/** The case under names of its own, and its lines as they are rehearsed. */
async function rehearsed(seed: number): Promise<{ plan: Plan; scenario: Scenario; lines: string[] }> {
  const { plan, scenario } = ownCase(seed);
  const [run] = await simulate({ plans: [plan], model: RANDOM_MODEL, segments: {}, calendars, policy }, scenario);
  return { plan, scenario, lines: saidOf(run?.entries ?? []) };
}

/** The lines, with their details by name: Postgres has an order of its own. */
function saidOf(timeline: readonly TimelineEntry[]): string[] {
  return linesOf(
    timeline.map((entry) => ({ ...entry, detail: Object.fromEntries(Object.entries(entry.detail ?? {}).sort()) })),
  );
}

test(`wherever their workers die, ${CASES} random plans tell on the real store what the rehearsal says, and nothing goes twice`, {
  timeout: 3_600_000,
}, async () => {
  const differing: string[] = [];
  let deaths = 0;
  for (let seed = FIRST; seed < FIRST + CASES; seed++) {
    const { plan, scenario, lines } = await rehearsed(seed);
    const next = randomFrom(seed + 3_000_000);
    const dies = (): boolean => {
      const isOver = next() < DEATHS;
      if (isOver) deaths += 1;
      return isOver;
    };
    await stage.publish(plan);
    const timeline = await storyOnStore(stage, plan, scenario, (ports) => {
      if (next() < TROUBLES)
        stage.mailer.trouble({ kind: (["refused", "lost", "gone"] as const)[Math.floor(next() * 3)] ?? "lost" });
      return mortal(ports, dies);
    });
    const told = saidOf(timeline);
    const i = [...lines, ...told].findIndex((_, at) => lines[at] !== told[at]);
    if (i >= 0) differing.push(`seed ${seed}, line ${i + 1}: rehearsed "${lines[i]}", was "${told[i]}"`);
  }
  const mails = stage.mailer.inbox.map(({ messageId }) => messageId);
  const posts = stage.slack.messages.map(({ deliveryId }) => deliveryId);
  console.log(`${CASES} plans, ${deaths} deaths, ${mails.length} mails, ${posts.length} posts`);
  for (const line of differing) console.log(line);
  expect(deaths).toBeGreaterThanOrEqual(CASES * DEATHS);
  expect(differing).toEqual([]);
  expect([new Set(mails).size, new Set(posts).size]).toEqual([mails.length, posts.length]);
});
