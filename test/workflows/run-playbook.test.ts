import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { PerformRequest } from "../../src/engine/perform.js";
import { type StretchWorld, stretch } from "../../src/engine/stretch.js";
import { createRunWorker } from "../../src/adapters/temporal/worker.js";
import { connectTemporal, temporalWorkflows } from "../../src/adapters/temporal/temporal-workflows.js";
import { simulate } from "../../src/simulation/simulate.js";
import { workflowBundle } from "../support/workflow-bundle.js";
import { model, planOf, policy, scenarioOf, settingOf } from "../engine/plans.js";
import { SimulatedCustomers } from "../../src/simulation/customers.js";
import { type SimulatedRun, SimulatedWorld } from "../../src/simulation/world.js";
import type { Plan, Step } from "../../src/engine/plan.js";
import { STANDARD_CALENDAR } from "../../src/values/calendar.js";

/** A day in 250 ms: fast, and yet a wait of a working day is a real timer of Temporal's. */
const SCALE = (24 * 3600 * 1000) / 250;

describe("a run on Temporal", () => {
  const runs = new Map<string, { world: SimulatedWorld; run: SimulatedRun }>();
  /** Runs whose next command must be tried again. */
  const refused = new Set<string>();
  const persisting = { calls: 0, release: () => {} };
  let client: Awaited<ReturnType<typeof connectTemporal>>;
  let stop: () => Promise<void>;
  const taskQueue = `test-${process.pid}-${Date.now()}`;

  beforeAll(async () => {
    const address = inject("temporalAddress") ?? "";
    client = await connectTemporal({ address, namespace: "default" });
    const perform = async ({ run, state, offered, reached }: PerformRequest) => {
      const found = runs.get(run);
      if (found === undefined) throw new Error("no such run");
      const world = found.world.open(found.run, offered, (at) => at <= reached);
      const retried: StretchWorld = {
        perform: async (command, asOf, status) =>
          command.kind === "milestone" && refused.delete(run)
            ? { kind: "retry", afterMs: 100 }
            : world.perform(command, asOf, status),
        write: (told) => world.write(told),
        hasReached: (at) => world.hasReached(at),
        mayGoOn: () => world.mayGoOn(),
      };
      return stretch(found.run.plan, state, offered, retried);
    };
    // As a worker that was killed: it is never heard of again, not even that it was told to stop.
    const persist = () =>
      new Promise<never>((_, reject) => {
        persisting.calls += 1;
        persisting.release = () => reject(new Error("the test is over"));
      });
    const { worker, close } = await createRunWorker(
      { perform, persist },
      { address, namespace: "default", taskQueue, bundle: await workflowBundle() },
    );
    const done = worker.run();
    stop = async () => {
      persisting.release();
      worker.shutdown();
      await done;
      await close();
      await client.connection.close();
    };
  });
  afterAll(() => stop());

  async function begin(plan: Plan, name: string) {
    const scenario = scenarioOf();
    const customers = new SimulatedCustomers(model, {});
    customers.upsert(scenario.given, Number.MIN_SAFE_INTEGER);
    const calendars = [{ ...STANDARD_CALENDAR, name: "standard" }];
    const world = new SimulatedWorld(customers, policy, calendars, model, [], () => ({ refused: "none" }));
    const id = `run/p/a1/${taskQueue}/${name}`;
    const own = { id, key: "a1", accountId: "a1", startedAt: scenario.at };
    const made = { ordinal: 1, enrolledBy: "x", confirmed: new Set<string>(), timeline: [], answers: [] };
    const run: SimulatedRun = { ...own, plan, ...made };
    world.runs.set(id, run);
    runs.set(id, { world, run });
    const start = () =>
      temporalWorkflows(client, taskQueue).start({
        run: { ...own, playbook: "p", subject: "account", subjectId: "a1" },
        plan,
        inputs: {},
        holds: [],
        clock: { scale: SCALE, realOrigin: Date.now(), domainOrigin: scenario.at },
      });
    return { id, run, start };
  }

  test("a worker that dies with a delivery in hand, after something arrived for the run, doesn't end the run", async () => {
    const plan: Plan = planOf([
      { kind: "milestone", id: "m", path: "m", milestone: "first_value" },
      { kind: "end", path: "end-2", outcome: "done" },
    ] satisfies Step[]);
    const { id, start } = await begin(plan, "2");
    refused.add(id);
    await start();
    const handle = client.workflow.getHandle(id);
    while (persisting.calls === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    // The delivery is called off, and nobody is there to answer: its heartbeats stay out.
    await handle.signal("event", { id: "e1", name: "x", at: scenarioOf().at, payload: {} });
    expect(await handle.result()).toBe("done");
    expect(persisting.calls).toBe(1);
  }, 40_000);

  test("walks as the simulator does", async () => {
    const plan: Plan = planOf([
      {
        kind: "wait",
        id: "pause",
        path: "pause",
        until: { kind: "rule", rule: { kind: "after", duration: { amount: 2, unit: "bd" } } },
        onMissing: "fail",
        onPast: "skip",
      },
      { kind: "milestone", id: "m", path: "m", milestone: "first_value" },
      { kind: "end", path: "end-3", outcome: "done" },
    ] satisfies Step[]);
    const scenario = scenarioOf();
    const [expected] = await simulate(settingOf(plan), scenario);

    const { id, run, start } = await begin(plan, "1");
    await start();
    expect(await client.workflow.getHandle(id).result()).toBe("done");
    expect(run.timeline).toEqual(expected?.entries);
    const history = await client.workflow.getHandle(id).fetchHistory();
    console.log("events", history.events?.length);
  });
});
