import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { PerformRequest } from "../../src/engine/perform.js";
import { stretch } from "../../src/engine/stretch.js";
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
  let client: Awaited<ReturnType<typeof connectTemporal>>;
  let stop: () => Promise<void>;
  const taskQueue = `test-${process.pid}-${Date.now()}`;

  beforeAll(async () => {
    const address = inject("temporalAddress") ?? "";
    client = await connectTemporal({ address, namespace: "default" });
    const perform = async ({ run, state, offered, reached }: PerformRequest) => {
      const found = runs.get(run);
      if (found === undefined) throw new Error("no such run");
      return stretch(
        found.run.plan,
        state,
        offered,
        found.world.open(found.run, offered, (at) => at <= reached),
      );
    };
    const { worker, close } = await createRunWorker(
      { perform, persist: () => Promise.reject(new Error("nothing is retried in a rehearsal")) },
      { address, namespace: "default", taskQueue, bundle: await workflowBundle() },
    );
    const done = worker.run();
    stop = async () => {
      worker.shutdown();
      await done;
      await close();
      await client.connection.close();
    };
  });
  afterAll(() => stop());

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

    const customers = new SimulatedCustomers(model, {});
    customers.upsert(scenario.given, Number.MIN_SAFE_INTEGER);
    const world = new SimulatedWorld(
      customers,
      policy,
      [{ ...STANDARD_CALENDAR, name: "standard" }],
      model,
      [],
      () => ({ refused: "none" }),
    );
    const id = `run/p/a1/${taskQueue}/1`;
    const run: SimulatedRun = {
      id,
      plan,
      key: "a1",
      accountId: "a1",
      startedAt: scenario.at,
      confirmed: new Set(),
      timeline: [],
      answers: [],
    };
    world.runs.set(id, run);
    runs.set(id, { world, run });
    await temporalWorkflows(client, taskQueue).start({
      run: {
        id,
        playbook: "p",
        subject: "account",
        subjectId: "a1",
        accountId: "a1",
        key: "a1",
        startedAt: scenario.at,
      },
      plan,
      inputs: {},
      holds: [],
      clock: { scale: SCALE, realOrigin: Date.now(), domainOrigin: scenario.at },
    });
    expect(await client.workflow.getHandle(id).result()).toBe("done");
    expect(run.timeline).toEqual(expected?.entries);
    const history = await client.workflow.getHandle(id).fetchHistory();
    console.log("events", history.events?.length);
  });
});
