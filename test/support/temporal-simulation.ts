import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@temporalio/client";
import { connectTemporal, temporalWorkflows } from "../../src/adapters/temporal/temporal-workflows.js";
import { createRunWorker } from "../../src/adapters/temporal/worker.js";
import type { PerformRequest, PerformResponse } from "../../src/engine/perform.js";
import type { RunState } from "../../src/engine/state.js";
import type { Driver } from "../../src/engine/walk.js";
import type { Scenario } from "../../src/simulation/records.js";
import { type SimulatedTimeline, simulate, type SimulationSetting } from "../../src/simulation/simulate.js";
import { DAY_MS, type Instant } from "../../src/values/instant.js";
import { workflowBundle } from "./workflow-bundle.js";

/** Simulations whose runs walk on a real Temporal server, by its real timers, a domain day in `dayMs`; the outside stays simulated. */
export interface TemporalSimulator {
  /** `began` is told of each run's workflow id. */
  simulate(
    setting: SimulationSetting,
    scenario: Scenario,
    dayMs: number,
    began?: (workflowId: string) => void,
  ): Promise<readonly SimulatedTimeline[]>;
  close(): Promise<void>;
}

/** One worker for all of them: any number of scenarios may walk at once. */
export async function temporalSimulator(address: string): Promise<TemporalSimulator> {
  const taskQueue = `simulation-${process.pid}-${Date.now()}`;
  const client = await connectTemporal({ address, namespace: "default" });
  const performs = new Map<string, (request: PerformRequest) => Promise<PerformResponse>>();
  const perform = async (request: PerformRequest): Promise<PerformResponse> => {
    const own = performs.get(request.run);
    if (own === undefined) throw new Error(`no simulation has run ${request.run}`);
    return own(request);
  };
  const { worker, close } = await createRunWorker(
    { perform, persist: () => Promise.reject(new Error("nothing is retried in a rehearsal")) },
    { address, namespace: "default", taskQueue, bundle: await workflowBundle() },
  );
  const done = worker.run();
  let count = 0;
  return {
    simulate: (setting, scenario, dayMs, began = () => {}) => {
      count += 1;
      const name = `${taskQueue}/${count}`;
      return new HostedSimulation(client, taskQueue, performs, name, scenario, dayMs, began).walkAll(setting);
    },
    async close() {
      worker.shutdown();
      await done;
      await close();
      await client.connection.close();
    },
  };
}

const POLL_MS = 4;
/** A run whose timer is due performs sooner than this, also on a busy machine. */
const QUIET_MS = 3_000;
const START_MS = 4_000;

class HostedSimulation {
  private readonly scale: number;
  /** The clock starts when the runs that begin at once have had time to. */
  private readonly realOrigin = Date.now() + START_MS;
  private readonly open = new Set<string>();
  private lastPerformAt = Date.now();

  constructor(
    private readonly client: Client,
    private readonly taskQueue: string,
    private readonly performs: Map<string, (request: PerformRequest) => Promise<PerformResponse>>,
    private readonly name: string,
    private readonly scenario: Scenario,
    dayMs: number,
    private readonly began: (workflowId: string) => void,
  ) {
    this.scale = DAY_MS / dayMs;
  }

  async walkAll(setting: SimulationSetting): Promise<readonly SimulatedTimeline[]> {
    const timelines = await simulate(setting, this.scenario, {
      walk: (plan, state, driver) => this.walk(plan, state, driver),
      reach: (next) => this.reach(next),
    });
    for (const id of this.open) {
      // It may have ended this very moment.
      await this.client.workflow
        .getHandle(id)
        .terminate("the scenario is over")
        .catch(() => {});
    }
    return timelines;
  }

  private now(): Instant {
    return Math.floor(this.scenario.at + (Date.now() - this.realOrigin) * this.scale);
  }

  private async reach(next: () => Instant | undefined): Promise<Instant | undefined> {
    for (;;) {
      const upcoming = next();
      const at = upcoming === undefined || upcoming > this.scenario.until ? undefined : upcoming;
      if (at !== undefined && at <= Math.max(this.now(), this.scenario.at)) return at;
      if ((at === undefined && this.open.size === 0) || this.isQuiet()) return undefined;
      await sleep(POLL_MS);
    }
  }

  /** The end of the scenario is behind, and runs that were late for it have caught up. */
  private isQuiet(): boolean {
    return this.now() > this.scenario.until && Date.now() - this.lastPerformAt > QUIET_MS;
  }

  /** Several simulations have runs of the same name: on the server each has its own. */
  private async walk(plan: RunPlan, state: RunState, driver: Driver): Promise<RunState> {
    const id = `${this.name}/${state.run.id}`;
    // What a call has handed over is not signalled too: a signal that comes while the run completes makes the server reject the
    // completion, and the whole workflow task is done again, meeting its own effects.
    const handed = new Set<string>();
    this.performs.set(id, async (request) => {
      this.lastPerformAt = Date.now();
      const response = await driver.perform({ ...request, run: state.run.id });
      for (const item of response.log) if (item.kind === "event") handed.add(item.event.id);
      return response;
    });
    this.open.add(id);
    const workflows = temporalWorkflows(this.client, this.taskQueue);
    await workflows.start({
      run: { ...state.run, id },
      plan,
      inputs: state.inputs,
      holds: state.holds,
      clock: { scale: this.scale, realOrigin: this.realOrigin, domainOrigin: this.scenario.at },
    });
    this.began(id);
    let outcome: string | undefined;
    const result = this.client.workflow
      .getHandle(id)
      .result()
      .then((value) => {
        outcome = value as string;
        this.open.delete(id);
      });
    // A run that the scenario's end cuts off is terminated.
    result.catch(() => {});
    while (outcome === undefined) {
      await Promise.race([result, driver.idle(undefined)]);
      for (let events = driver.arrived(); events.length > 0; events = driver.arrived())
        for (const event of events) if (!handed.has(event.id)) await workflows.signal(id, event);
    }
    return { ...state, phase: "ended", outcome };
  }
}

type RunPlan = Parameters<typeof import("../../src/engine/walk.js").walk>[0];
