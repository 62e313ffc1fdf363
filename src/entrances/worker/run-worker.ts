import { setTimeout as sleep } from "node:timers/promises";
import { DefaultLogger, makeTelemetryFilterString, Runtime } from "@temporalio/worker";
import { createActivities } from "../../../activities/index.js";
import { migrate } from "../../adapters/postgres/migrate.js";
import { postgresRetention } from "../../adapters/postgres/retention.js";
import { listenForEvents } from "../../adapters/postgres/wake.js";
import { ensureSweepSchedule, sweepScheduleId } from "../../adapters/temporal/sweep-schedule.js";
import { createRunWorker, type RunWorkerOptions } from "../../adapters/temporal/worker.js";
import { dispatchBatch } from "../../operations/dispatch-events.js";
import { expireHealthOverride } from "../../operations/override-health.js";
import { postOutbox } from "../../operations/outbox.js";
import { armRemoval, removeOld } from "../../operations/remove-old.js";
import { lookAtStart, noteCounts } from "../../operations/put-back.js";
import { settlePutBack } from "../../operations/settle-put-back.js";
import { pollDue } from "../../operations/poll-due.js";
import { sweepDue } from "../../operations/sweep-health.js";
import { deskDue } from "../../operations/tasks/desk-due.js";
import { armDigests } from "../../operations/tasks/digest.js";
import type { DueHandlers } from "../../operations/poll-due.js";
import type { Counts } from "../../ports/put-backs.js";
import { StoreUnavailable } from "../../ports/transactions.js";
import type { EnvironmentWith, WORKER_NEEDS } from "../environment.js";
import { createLogger, type Logger } from "../logger.js";
import { wire, type Wired } from "../wire.js";
import { Nudge, type PollLoop, runPollLoop } from "./poll-loop.js";
import { putBackLoop } from "./put-back-loop.js";

export interface WorkerProcessOptions {
  readonly logger?: Logger;
  /** For tests: how long what is in flight may take after the signal. Default 10 s. */
  readonly graceMs?: number;
  /** For tests: workflows that were bundled before. */
  readonly bundle?: RunWorkerOptions["bundle"];
  /** Called once runs are being taken. */
  readonly onReady?: () => void;
}

/** Ended because it was asked to, with nothing lost. */
export const EXIT_OK = 0;
/** A fault that this process can't get over: whoever supervises it starts another. */
export const EXIT_FAULT = 3;

/** How often each loop looks when there is nothing to do, real milliseconds. */
const DISPATCH_EVERY_MS = 100;
/** The dispatchers that nobody tells of events: while there are many they find them without a pause. */
const DISPATCH_TOO_EVERY_MS = 250;
const DUE_EVERY_MS = 150;
const OUTBOX_EVERY_MS = 500;
const DIGESTS_EVERY_MS = 60_000;
/** How often Temporal is told what the database has counted, where that is more than before. */
const NOTE_EVERY_MS = 5_000;
const LAST_NOTE_MS = 1_000;

const BATCH = 200;
/** Between two looks of a dispatcher that finds something each time. */
const DISPATCH_LEAST_MS = 20;
/** Dispatchers of one worker: most of a dispatcher's time is waiting for Postgres and Temporal. */
const DISPATCHERS = 4;

/** The daily sweep is poked so often; above scale 1 so often that no day is waited for long, but never below 2 s. */
const SWEEP_POKE_MS = 5 * 60_000;
const SWEEP_POKE_LEAST_MS = 2_000;
/** How often a worker looks for a daily evaluation whose turn it is, where domain time is an order. */
const SWEEP_LOOK_MS = 30;
/** Of domain time, between two pokes at a scale above 1. */
const SWEEP_POKE_DOMAIN_MS = 6 * 60 * 60_000;

/**
 * One worker: brings the database to the present schema, takes runs from Temporal, hands events on, does what falls due and posts what
 * Slack is owed, until the signal aborts; then lets what is in flight end. Any number may run at once. While Postgres or Temporal is away it
 * stays up and goes on trying.
 *
 * @returns the exit code: `EXIT_OK` after the signal, `EXIT_FAULT` after a fault
 */
export async function runWorker(
  environment: EnvironmentWith<(typeof WORKER_NEEDS)[number]>,
  signal: AbortSignal,
  options: WorkerProcessOptions = {},
): Promise<number> {
  const logger = options.logger ?? createLogger(environment.WAYPOST_LOG_LEVEL ?? "info", "worker");
  quietTemporal(logger);
  const wired = wire(environment, "worker", logger);
  try {
    await untilItWorks(
      "database",
      () => migrate(environment.DATABASE_URL, (line) => logger.info(line)),
      signal,
      logger,
    );
    // Before anything is sent: what this database doesn't know may be out already.
    const look = () => lookAtStart(wired, wired.seen, wired.countsNote);
    await untilItWorks("what Temporal has noted", look, signal, logger);
    const running = await untilItWorks("Temporal", () => createWorker(environment, wired, options), signal, logger);
    if (running === undefined) return EXIT_OK;
    return await work(running, wired, environment.DATABASE_URL, signal, options);
  } catch (error) {
    logger.fatal({ err: error }, "the worker ends");
    return EXIT_FAULT;
  } finally {
    await wired.close();
  }
}

async function work(
  { worker, close }: Awaited<ReturnType<typeof createRunWorker>>,
  wired: Wired,
  databaseUrl: string,
  signal: AbortSignal,
  options: WorkerProcessOptions,
): Promise<number> {
  const { logger } = wired;
  const stop = new AbortController();
  const onAbort = () => {
    logger.info("shutting down: taking nothing more, letting what is in flight end");
    stop.abort();
    // Before RUNNING it would throw; then run() below is told at once.
    if (worker.getState() === "RUNNING") worker.shutdown();
  };
  const nudges = nudgesOf(wired);
  const loops = loopsOf(wired, nudges).map((loop) => runPollLoop(loop, stop.signal, logger));
  loops.push(listenForEvents(databaseUrl, wired.onEvents, stop.signal));
  loops.push(untilItWorks("sweep schedule", () => schedule(wired), stop.signal, logger).then(() => {}));
  const runs = worker.run();
  // It must not be unhandled while the loops end.
  runs.catch(() => {});
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  logger.info({ taskQueue: wired.taskQueue, scale: wired.clock.scale }, "ready: taking runs");
  options.onReady?.();
  try {
    await runs;
    if (!signal.aborted) throw new Error("Temporal's worker stopped by itself");
    logger.info("ended");
    return EXIT_OK;
  } finally {
    signal.removeEventListener("abort", onAbort);
    stop.abort();
    await Promise.all(loops);
    // For whoever starts next, perhaps on an older copy; Temporal may be away.
    await Promise.race([noteCounts(wired.seen, wired.countsNote, undefined), sleep(LAST_NOTE_MS)]).catch(() => {});
    await close();
  }
}

async function createWorker(
  environment: EnvironmentWith<(typeof WORKER_NEEDS)[number]>,
  wired: Wired,
  options: WorkerProcessOptions,
) {
  const {
    TEMPORAL_API_KEY: apiKey,
    TEMPORAL_TLS: tls,
    WAYPOST_PAYLOAD_KEY: payloadKeys,
    WAYPOST_MAX_CACHED_RUNS: maxCachedWorkflows,
  } = environment;
  return createRunWorker(
    createActivities(wired, () => sweep(wired)),
    {
      address: environment.TEMPORAL_ADDRESS,
      namespace: environment.TEMPORAL_NAMESPACE ?? "default",
      taskQueue: wired.taskQueue,
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(tls === true || (tls === undefined && apiKey !== undefined) ? { tls: true } : {}),
      ...(payloadKeys === undefined ? {} : { payloadKeys }),
      ...(maxCachedWorkflows === undefined ? {} : { maxCachedWorkflows }),
      ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }),
      ...(options.bundle === undefined ? {} : { bundle: options.bundle }),
    },
  );
}

type Nudges = Readonly<Record<"news" | "event" | "due" | "message" | "sweep" | "run", Nudge>>;

/** What ends the loops' pauses: events that are there, and whoever waits for what a loop does. */
function nudgesOf(wired: Wired): Nudges {
  const nudges = {
    news: new Nudge(),
    event: new Nudge(),
    due: new Nudge(),
    message: new Nudge(),
    sweep: new Nudge(),
    run: new Nudge(),
  };
  wired.onBlocked = (kind) => nudges[kind].now();
  wired.onEvents = () => nudges.news.now();
  return nudges;
}

function loopsOf(wired: Wired, nudges: Nudges): PollLoop[] {
  const { store, clock, onFault, order } = wired;
  const desk = deskDue(wired);
  const retention = postgresRetention();
  let noted: Counts | undefined;
  const overrideExpiry: DueHandlers = {
    override_expiry: async (_ports, _tx, item) => {
      if (item.accountId !== undefined) await expireHealthOverride(wired.healthPorts, item.accountId, item.at);
      return "done";
    },
    retention: (ports, tx, item) => removeOld({ ...ports, retention }, tx, item),
  };
  return [
    ...Array.from({ length: DISPATCHERS }, (_, index) => ({
      name: `dispatcher ${index + 1}`,
      everyMs: index === 0 || order !== undefined ? DISPATCH_EVERY_MS : DISPATCH_TOO_EVERY_MS,
      // Where domain time is an order each event waits for the one before.
      leastMs: order === undefined ? DISPATCH_LEAST_MS : 0,
      work: () => dispatchBatch(wired.dispatch, BATCH),
      // One hurries to whatever comes; more than it can do the others find, in larger batches.
      nudge: index === 0 ? nudges.news : nudges.event,
    })),
    {
      name: "due items",
      everyMs: DUE_EVERY_MS,
      work: async () => {
        const faulted = (item: string, error: unknown) => onFault(`due item ${item} failed and stays due`, error);
        return pollDue({ store, clock, order, onFault: faulted }, { ...desk.handlers, ...overrideExpiry }, BATCH);
      },
      nudge: nudges.due,
    },
    // Apart from what falls due: no playbook begins late because Slack is slow.
    {
      name: "task messages",
      everyMs: OUTBOX_EVERY_MS,
      work: async () => {
        await desk.finish();
        return 0;
      },
      nudge: nudges.message,
    },
    { name: "Slack outbox", everyMs: OUTBOX_EVERY_MS, work: () => postOutbox(wired) },
    // Runs wait for a day's evaluation: no Schedule comes round as often as such a day.
    ...(order === undefined
      ? []
      : [{ name: "sweep", everyMs: SWEEP_LOOK_MS, work: () => sweep(wired), nudge: nudges.sweep }]),
    putBackLoop(wired),
    {
      name: "what Temporal has noted",
      everyMs: NOTE_EVERY_MS,
      work: async () => {
        // One worker does it; where that takes longer than a lock may be held, another does the same.
        const settle = async (): Promise<void> => {
          const settled = await settlePutBack(wired);
          if (settled !== undefined) wired.logger.warn(settled, "the store knows again where the runs stand");
        };
        await wired.database.whileLocked("settle-put-back", async () => undefined, settle);
        noted = await noteCounts(wired.seen, wired.countsNote, noted);
        return 0;
      },
    },
    {
      name: "digests and removal",
      everyMs: DIGESTS_EVERY_MS,
      work: async () => {
        await armDailyIfPublished(wired);
        return 0;
      },
    },
  ];
}

async function sweep(wired: Wired): Promise<number> {
  const reports = await sweepDue(wired.healthPorts, wired.clock.now(), wired.order);
  if (reports.length > 0) await armDailyIfPublished(wired);
  return reports.reduce((sum, { accounts }) => sum + accounts, 0);
}

/** Before the first publication there is no policy, and nobody to tell anything. */
async function armDailyIfPublished(wired: Wired): Promise<void> {
  const policy = await wired.store.read((tx) => wired.store.playbooks.configuration(tx, "policy"));
  if (policy === undefined) return;
  await armDigests(wired, wired.clock.now());
  await armRemoval(wired);
}

async function schedule({ temporal, taskQueue, clock }: Wired): Promise<void> {
  const everyMs =
    clock.scale === 1 ? SWEEP_POKE_MS : Math.max(SWEEP_POKE_LEAST_MS, Math.ceil(SWEEP_POKE_DOMAIN_MS / clock.scale));
  await ensureSweepSchedule(temporal, { taskQueue, everyMs, id: sweepScheduleId(taskQueue) });
}

/** Repeats what fails because something is away, with growing pauses and one line in the log; undefined if the signal came first. Other errors are thrown. */
async function untilItWorks<T>(
  what: string,
  attempt: () => Promise<T>,
  signal: AbortSignal,
  logger: Logger,
): Promise<T | undefined> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      const result = await attempt();
      if (failures > 0) logger.info(`${what}: there now`);
      return result;
    } catch (error) {
      if (!isAway(error)) throw error;
      failures += 1;
      if (failures === 1) logger.warn(`${what}: can't be reached; trying again until it can`);
      await sleep(Math.min(250 * 2 ** failures, 5_000), undefined, { signal }).catch(() => {});
    }
  }
  return undefined;
}

function isAway(error: unknown): boolean {
  if (error instanceof StoreUnavailable) return true;
  return error instanceof Error && (AWAY_NAMES.has(error.name) || /connect|unavailable|deadline/i.test(error.message));
}

/** Temporal's client and native connection each have their own names for it. */
const AWAY_NAMES = new Set(["TransportError", "TemporalUnavailable", "ServiceError"]);

let isQuiet = false;

/** Temporal's own lines go into ours, from warnings on. Once per process: its runtime is one. */
function quietTemporal(logger: Logger): void {
  if (isQuiet || Runtime._instance !== undefined) return;
  isQuiet = true;
  Runtime.install({
    logger: new DefaultLogger("WARN", ({ level, message, meta }) => {
      const line = level === "ERROR" ? logger.error.bind(logger) : logger.warn.bind(logger);
      line({ temporal: true, ...(meta?.error === undefined ? {} : { err: meta.error }) }, message);
    }),
    // Its core warns of every poll that is tried again while the server is away: dozens of lines a second.
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core: "ERROR", other: "ERROR" }) },
    },
    // A signal is the process's own business: `worker.shutdown()` is called where it is handled.
    shutdownSignals: [],
  });
}
