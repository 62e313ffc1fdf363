import { setTimeout as sleep } from "node:timers/promises";
import { ApplicationFailure, Context } from "@temporalio/activity";
import type { Client, WorkflowHandleWithStartDetails } from "@temporalio/client";
import type { History } from "@temporalio/common/lib/proto-utils.js";
import type { WorkflowBundleWithSourceMap } from "@temporalio/worker";
import { connectTemporal, temporalWorkflows } from "../../src/adapters/temporal/temporal-workflows.js";
import { createRunWorker } from "../../src/adapters/temporal/worker.js";
import type { Command } from "../../src/engine/command.js";
import type { RunEvent } from "../../src/engine/event.js";
import type { Answer } from "../../src/engine/perform.js";
import type { Plan } from "../../src/engine/plan.js";
import type { RunState } from "../../src/engine/state.js";
import { statusOf, stretch } from "../../src/engine/stretch.js";
import type { OperatorVerb } from "../../src/ports/workflows.js";
import { SimulatedCustomers } from "../../src/simulation/customers.js";
import { type SimulatedRun, SimulatedWorld } from "../../src/simulation/world.js";
import { STANDARD_CALENDAR } from "../../src/values/calendar.js";
import { DAY_MS, type Instant } from "../../src/values/instant.js";
import { model, policy, scenarioOf } from "../engine/plans.js";

/** How a run is staged: its plan, and what the world answers where it should not answer as the simulator does. */
export interface Staging {
  readonly plan: Plan;
  /** A domain day in so many real milliseconds; default 200. Endless patience: `Number.POSITIVE_INFINITY` is scale 1. */
  readonly dayMs?: number;
  readonly holds?: readonly string[];
  /** Where domain time is an order: the world is told when the run rests. */
  readonly isOrdered?: boolean;
  /** Instead of the simulator's answer; `times`: the how many-th asking this is, from 1. */
  readonly answer?: (command: Command, times: number) => Answer | undefined;
  /** The how many-th call of `perform` (from 1) that fails: the store is away. */
  readonly isAway?: (call: number) => boolean;
  /** Nothing is kept here of what the run has told, so that memory shows the run's own. */
  readonly isForgetful?: boolean;
  /** How a delivery goes that must be tried again; default: done at the second attempt. */
  readonly persist?: (command: Command, attempt: number) => Promise<Answer>;
}

/** A run on a real Temporal server whose outside is in memory. */
export interface StagedRun {
  readonly id: string;
  /** Signals an event of now. */
  tell(name: string, payload?: RunEvent["payload"]): Promise<void>;
  operate(verb: OperatorVerb): Promise<void>;
  cancel(): Promise<void>;
  terminate(): Promise<void>;
  state(): Promise<RunState | undefined>;
  /** Until a state of it is so; 30 s at most. */
  until(what: string, holds: (state: RunState) => boolean): Promise<RunState>;
  /** Until a normal activity of it is at work. */
  untilInActivity(): Promise<void>;
  /** Its outcome, once it has ended. */
  ended(): Promise<string>;
  lines(): readonly string[];
  /** How many events it has taken in and written. */
  taken(): number;
  /** Each execution's history, first to last. */
  histories(): Promise<readonly History[]>;
}

export interface Stage {
  readonly client: Client;
  run(name: string, staging: Staging): Promise<StagedRun>;
  /** Ends the worker, in order, and starts one of another build. */
  rebuild(bundle: WorkflowBundleWithSourceMap): Promise<void>;
  close(): Promise<void>;
}

/** A worker of the given build on its own task queue. */
export async function openStage(address: string, bundle: WorkflowBundleWithSourceMap): Promise<Stage> {
  const client = await connectTemporal({ address, namespace: "default" });
  const taskQueue = `stage-${process.pid}-${Date.now()}`;
  const staged = new Map<
    string,
    { readonly world: SimulatedWorld; readonly run: SimulatedRun; readonly how: Staging }
  >();
  const taken = new Map<string, number>();
  const calls = new Map<string, number>();
  const count = (what: string): number => {
    const times = (calls.get(what) ?? 0) + 1;
    calls.set(what, times);
    return times;
  };
  const found = (id: string) => {
    const one = staged.get(id);
    if (one === undefined) throw new Error(`no such run: ${id}`);
    return one;
  };

  const activities: Parameters<typeof createRunWorker>[0] = {
    perform: async ({ run: id, state, offered, reached }) => {
      const { world, run, how } = found(id);
      if (how.isAway?.(count(`call ${id}`)) === true) throw new Error("the store is away");
      const kept = run.answers[state.turns];
      if (kept !== undefined) return kept;
      if (how.isForgetful === true) {
        run.timeline.length = 0;
        run.confirmed.clear();
        delete run.answers[state.turns - 10];
      }
      const open = world.open(run, offered, (at) => at <= reached);
      return stretch(run.plan, state, offered, {
        ...open,
        perform: async (command, asOf, status) =>
          how.answer?.(command, count(`${id} ${command.key}`)) ?? open.perform(command, asOf, status),
        write: async (told) => {
          const events = await open.write(told);
          if (events.length === 0 && told.response !== undefined)
            taken.set(id, (taken.get(id) ?? 0) + told.taken.length);
          return events;
        },
      });
    },
    persist: async ({ run: id, command, asOf }) => {
      const { how } = found(id);
      const context = Context.current();
      const beating = setInterval(() => context.heartbeat(), 200);
      try {
        if (how.persist !== undefined)
          return await Promise.race([how.persist(command, context.info.attempt), context.cancelled]);
        if (context.info.attempt === 1)
          throw ApplicationFailure.create({ message: "not settled yet", nextRetryDelay: "50 milliseconds" });
        return { kind: "outcome", outcome: { kind: "posted", at: asOf, to: "u1" } };
      } finally {
        clearInterval(beating);
      }
    },
  };
  const start = async (build: WorkflowBundleWithSourceMap) => {
    const { worker, close } = await createRunWorker(activities, {
      address,
      namespace: "default",
      taskQueue,
      bundle: build,
      graceMs: 2_000,
    });
    const done = worker.run();
    return async () => {
      worker.shutdown();
      await done;
      await close();
    };
  };
  let stop = await start(bundle);
  let told = 0;

  return {
    client,
    async run(name, how) {
      const scenario = scenarioOf();
      const id = `run/p/a1/${taskQueue}-${name}/1`;
      const customers = new SimulatedCustomers(model, {});
      customers.upsert(scenario.given, Number.MIN_SAFE_INTEGER);
      const calendars = [{ ...STANDARD_CALENDAR, name: "standard" }];
      const world = new SimulatedWorld(customers, policy, calendars, model, [], () => ({
        refused: "unknown_playbook",
      }));
      const run: SimulatedRun = {
        id,
        plan: how.plan,
        key: "a1",
        ordinal: 1,
        accountId: "a1",
        startedAt: scenario.at,
        enrolledBy: "x",
        confirmed: new Set(),
        timeline: [],
        answers: [],
      };
      world.runs.set(id, run);
      staged.set(id, { world, run, how });
      const scale = DAY_MS / (how.dayMs ?? 200);
      const realOrigin = Date.now();
      const now = (): Instant => Math.floor(scenario.at + (Date.now() - realOrigin) * scale);
      const workflows = temporalWorkflows(client, taskQueue);
      await workflows.start({
        run: {
          id,
          playbook: "p",
          subject: "account",
          subjectId: "a1",
          accountId: "a1",
          key: "a1",
          startedAt: scenario.at,
        },
        plan: how.plan,
        inputs: {},
        holds: how.holds ?? [],
        clock: { scale, realOrigin, domainOrigin: scenario.at, ...(how.isOrdered === true ? { ordered: true } : {}) },
      });
      const handle = client.workflow.getHandle(id) as WorkflowHandleWithStartDetails;
      const first = (await handle.describe()).runId;
      const state = () => workflows.state(id);
      return {
        id,
        async tell(event, payload = {}) {
          told += 1;
          await handle.signal("event", { id: `told/${told}`, name: event, at: now(), payload } satisfies RunEvent);
        },
        async operate(verb) {
          const answer = await workflows.operate(id, verb, "cs@w.example", now());
          if (!answer.ok) throw new Error(`${name}: ${verb}: ${answer.reason}`);
        },
        async cancel() {
          await handle.cancel();
        },
        async terminate() {
          await handle.terminate("the story is over");
        },
        state,
        async until(what, holds) {
          let latest: RunState | undefined;
          for (const end = Date.now() + 30_000; Date.now() < end; await sleep(20)) {
            latest = await state();
            if (latest !== undefined && holds(latest)) return latest;
          }
          throw new Error(`${name}: never ${what}: ${JSON.stringify(latest)?.slice(0, 2_000)}`);
        },
        async untilInActivity() {
          for (const end = Date.now() + 30_000; Date.now() < end; await sleep(20)) {
            const { raw } = await handle.describe();
            if ((raw.pendingActivities ?? []).some(({ lastStartedTime }) => lastStartedTime != null)) return;
          }
          throw new Error(`${name}: never in an activity`);
        },
        ended: () => handle.result() as Promise<string>,
        lines: () => run.timeline.map(({ kind, step }) => (step === undefined ? kind : `${kind} ${step}`)),
        taken: () => taken.get(id) ?? 0,
        async histories() {
          const all: History[] = [];
          for (let runId: string | undefined = first; runId !== undefined && runId !== ""; ) {
            const history: History = await client.workflow.getHandle(id, runId).fetchHistory();
            all.push(history);
            runId =
              history.events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? undefined;
          }
          return all;
        },
      };
    },
    async rebuild(build) {
      await stop();
      stop = await start(build);
    },
    async close() {
      await stop();
      await client.connection.close();
    },
  };
}

export const isParked = (state: RunState): boolean => statusOf(state) === "parked";
export const isHeld = (state: RunState): boolean => statusOf(state) === "held";
export const isRunning = (state: RunState): boolean => statusOf(state) === "running";
