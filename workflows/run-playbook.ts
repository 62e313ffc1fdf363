/**
 * The Temporal driver of one run: timers, signals, updates, a query, and nothing that decides. Everything it may import is
 * sandbox-safe (`values`, `expression`, `engine`); a test reads the bundle's module list.
 */
import {
  ActivityCancellationType,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  upsertSearchAttributes,
  uuid4,
  workflowInfo,
} from "@temporalio/workflow";
import type { RunActivities } from "../activities/index.js";
import { newRun } from "../src/engine/advance.js";
import { type RunEvent, SYSTEM_EVENTS } from "../src/engine/event.js";
import type { Answer, PerformRequest, PerformResponse, PersistRequest } from "../src/engine/perform.js";
import type { RunState } from "../src/engine/state.js";
import { statusOf } from "../src/engine/stretch.js";
import { walk } from "../src/engine/walk.js";
import type { OperatorVerb, RunStart } from "../src/ports/workflows.js";
import type { Instant } from "../src/values/instant.js";

/** A run with a longer history continues as new: wherever it wakes uncached all of it is replayed, and while that goes on more may come. */
const HISTORY_LENGTH_MAX = 1_000;

/** What an execution starts from: a new run, or one that continues with the state it had. */
export interface RunPlaybookInput extends RunStart {
  readonly state?: RunState;
  /** Events that had arrived, and were not taken in. */
  readonly arrived?: readonly RunEvent[];
}

export interface Operation {
  readonly verb: OperatorVerb;
  /** Who asks: shown in the timeline. */
  readonly by: string;
}

export const eventSignal = defineSignal<[RunEvent]>("event");
export const stateQuery = defineQuery<RunState | undefined>("state");
export const operateUpdate = defineUpdate<void, [Operation]>("operate");

/** The first try of everything: one history event. Above 5 s it would cost heartbeats and keep signals waiting. */
const local = proxyLocalActivities<RunActivities>({
  startToCloseTimeout: "5 seconds",
  retry: { maximumAttempts: 1 },
});

/** What the first try could not do (a store that is away): until it can. A worker killed with it in hand is missed after the time-out, so that is short. */
const patient = proxyActivities<RunActivities>({
  startToCloseTimeout: "10 seconds",
  retry: { initialInterval: "500 milliseconds", backoffCoefficient: 2, maximumInterval: "5 seconds" },
});

/**
 * One delivery that must be tried again: back-off lives in the ledger and comes as `nextRetryDelay`. Temporal's own is for what ends without a
 * word (a worker killed, a store away), and must not grow: it would count the attempts that only waited, and a mail lay for ten minutes behind a kill.
 */
const persistent = proxyActivities<RunActivities>({
  startToCloseTimeout: "15 minutes",
  // Beaten every 2 s: a killed worker is noticed, and a cancellation arrives, within this.
  heartbeatTimeout: "10 seconds",
  retry: { initialInterval: "5 seconds", backoffCoefficient: 1 },
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
});

/** Walks one run to its end; its result is the outcome. */
export async function runPlaybook(input: RunPlaybookInput): Promise<string> {
  const { plan, run, clock } = input;
  const inbox: RunEvent[] = [...(input.arrived ?? [])];
  let state = input.state ?? newRun(plan, run, input.inputs, input.holds);
  let shownStatus = statusOf(state);

  setHandler(eventSignal, (event) => void inbox.push(event));
  setHandler(stateQuery, () => state);
  setHandler(
    operateUpdate,
    ({ verb, by }) => {
      inbox.push({
        id: `operate/${uuid4()}`,
        name: OPERATOR_EVENTS[verb],
        at: domainNow(),
        payload: { hold: "operator", by },
      });
    },
    { validator: ({ verb }) => refuse(verb, state) },
  );

  function domainNow(): Instant {
    const real = Date.now();
    if (clock.scale === 1) return real;
    const played = Math.floor(clock.domainOrigin + (real - clock.realOrigin) * clock.scale);
    return Math.min(played, clock.until ?? played);
  }

  /** Stretches whose answers are in the history for good: a workflow task has been completed since. Only what the store may forget depends on it. */
  const answered: { readonly turn: number; readonly length: number }[] = [];
  let durable = state.turns;
  function durableTurns(): number {
    for (
      let first = answered[0];
      first !== undefined && first.length < workflowInfo().historyLength;
      first = answered[0]
    ) {
      durable = first.turn;
      answered.shift();
    }
    return durable;
  }

  // A run cancelled from Temporal's own tools leaves as one stopped by an operator does: it says so, and cleans up.
  CancellationScope.current().cancelRequested.catch(() =>
    inbox.push({ id: "operate/cancelled", name: SYSTEM_EVENTS.stop, at: domainNow(), payload: { by: "temporal" } }),
  );

  return CancellationScope.nonCancellable(async () => {
    const last = await walk(plan, state, {
      perform: async (request) => {
        const response = await performFirst({ ...request, durable: durableTurns() });
        answered.push({ turn: request.state.turns + 1, length: workflowInfo().historyLength });
        return response;
      },
      persist: (request) => persist(request, inbox),
      arrived: () => inbox.splice(0),
      putBack: (events) => void inbox.unshift(...events),
      idle: async (until) => {
        if (until === undefined || until > (clock.until ?? until)) await condition(() => inbox.length > 0);
        else await condition(() => inbox.length > 0, Math.max(1, Math.ceil((until - domainNow()) / clock.scale)));
      },
      now: domainNow,
      tellsRest: clock.scale !== 1 && clock.ordered === true,
      isLong: async () => {
        const { historyLength, continueAsNewSuggested } = workflowInfo();
        if (!continueAsNewSuggested && historyLength < HISTORY_LENGTH_MAX) return false;
        // Behind a timer, never behind a stretch: where a task is done again, Temporal gives a local activity's result
        // before the signals of the same task, and those would be lost with this execution.
        await condition(() => false, 1);
        return true;
      },
      observe: (latest) => {
        state = latest;
        const status = statusOf(latest);
        if (status === shownStatus || status === "exiting" || status === "ended") return;
        shownStatus = status;
        upsertSearchAttributes({ WaypostStatus: [status] });
      },
    });
    if (last.phase !== "ended") {
      await continueAsNew<typeof runPlaybook>({ ...input, state: last, arrived: inbox });
    }
    return last.outcome ?? "";
  });
}

const OPERATOR_EVENTS: Readonly<Record<OperatorVerb, string>> = {
  pause: SYSTEM_EVENTS.held,
  resume: SYSTEM_EVENTS.released,
  retry: SYSTEM_EVENTS.retry,
  skip: SYSTEM_EVENTS.skip,
  stop: SYSTEM_EVENTS.stop,
};

/** Throws, and so refuses the update without a trace in the history, where the verb has nothing to act on. */
function refuse(verb: OperatorVerb, state: RunState): void {
  const isPaused = state.holds.includes("operator");
  if (state.phase !== "running" && state.phase !== "new") throw new Error("the run is already leaving");
  if (verb === "pause" && isPaused) throw new Error("the run is paused already");
  if (verb === "resume" && !isPaused) throw new Error("the run is not paused by an operator");
  if ((verb === "retry" || verb === "skip") && state.parked === undefined)
    throw new Error("the run does not need attention");
}

async function performFirst(request: PerformRequest): Promise<PerformResponse> {
  try {
    return await local.perform(request);
  } catch (error) {
    if (isCancellation(error)) throw error;
    // A failed local activity throws its bare failure, a timed-out one wraps it: fall back on both. The ledger makes it safe.
    return patient.perform(request);
  }
}

/** Keeps trying one delivery until it is settled, or until something arrives that may change what should be done. */
async function persist(request: PersistRequest, inbox: readonly RunEvent[]): Promise<Answer> {
  const scope = new CancellationScope({ cancellable: true });
  let isSettled = false;
  const done = scope
    .run(() => persistent.persist(request))
    .then(
      (answer) => ({ answer }),
      (error: unknown) => ({ error }),
    )
    .finally(() => {
      isSettled = true;
    });
  await condition(() => isSettled || inbox.length > 0);
  const isCalledOff = !isSettled;
  if (isCalledOff) scope.cancel();
  const result = await done;
  if ("answer" in result) return result.answer;
  // A worker killed with it in hand never says that it stopped: then the attempt ends as timed out, or as failed, and isn't repeated.
  if (isCalledOff || isCancellation(result.error)) return { kind: "events", events: [] };
  throw result.error;
}
