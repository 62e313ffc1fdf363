import { resolve } from "node:path";
import { findTemporalCli } from "./find-temporal-cli.js";
import { startPostgres } from "./postgres.js";
import { type ChildProgram, type SupervisedChild, superviseChild } from "./supervisor.js";
import { startTemporal, type TemporalOptions } from "./temporal.js";
import { claimFolder, type Log } from "./watchdog.js";

/** Postgres and Temporal, ready, and the programs of ours that run beside them. */
export interface Stack {
  /** Absolute. Logs are in `logs/` below it. */
  folder: string;
  /** With the password: never logged. */
  databaseUrl: string;
  temporalAddress: string;
  temporalNamespace: string;
  temporalUiUrl: string | undefined;
  /** Starts a program of ours and keeps it running until `stop`. */
  supervise(program: ChildProgram): SupervisedChild;
  /** Kills a server with SIGKILL, and starts it again at the same address; Temporal loses its runs without `temporalDbFilename`. */
  crash(server: "postgres" | "temporal"): Promise<void>;
  /** Ends everything the stack started: programs first (last started, first ended), then the servers. Idempotent. */
  stop(): Promise<void>;
}

/** What a stack is started with. */
export interface StackOptions {
  /** Data, logs, lock and password. Default `.waypost`. */
  folder?: string;
  /** One line per server with its duration. */
  log: Log;
  environment?: NodeJS.ProcessEnv;
  /** For tests: the folder vanishes with the stack. */
  removeFolderAtEnd?: boolean;
  postgresSettings?: Readonly<Record<string, string>>;
  /** Keeps Temporal's runs over a restart of the stack. Default: in memory. */
  temporalDbFilename?: string;
  temporalUiPort?: TemporalOptions["uiPort"];
  /** Gives up starting. */
  signal?: AbortSignal;
}

/**
 * Brings up Postgres and Temporal at once, each from outside (`DATABASE_URL`, `TEMPORAL_ADDRESS`) or embedded, and
 * registers what it starts with a watchdog. If one fails the other is taken down before the error is thrown.
 *
 * @throws FolderBusyFault when another stack lives in the folder
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { log, signal } = options;
  const environment = options.environment ?? process.env;
  const folder = resolve(options.folder ?? ".waypost");
  const claim = await claimFolder(folder, {
    log,
    environment,
    ...(options.removeFolderAtEnd === undefined ? {} : { removeFolderAtEnd: options.removeFolderAtEnd }),
  });
  // One that fails takes the other's start down with it.
  const failing = new AbortController();
  const both = signal ? AbortSignal.any([failing.signal, signal]) : failing.signal;
  const shared = { folder, log, environment, claim, signal: both };
  const timed = async <T>(name: string, start: () => Promise<T>, describe: (started: T) => string): Promise<T> => {
    const startedAtMs = performance.now();
    try {
      const started = await start();
      log(`${name}: ${describe(started)} (${((performance.now() - startedAtMs) / 1000).toFixed(1)} s)`);
      return started;
    } catch (fault) {
      failing.abort(fault);
      throw fault;
    }
  };
  const [postgres, temporal] = await Promise.allSettled([
    timed(
      "Postgres",
      () => startPostgres({ ...shared, ...(options.postgresSettings ? { settings: options.postgresSettings } : {}) }),
      (started) => (started.isEmbedded ? `embedded, data in ${folder}/postgres` : "from DATABASE_URL"),
    ),
    timed(
      "Temporal",
      () =>
        startTemporal({
          ...shared,
          findCli: () => findTemporalCli({ log, environment, signal: both }),
          ...(options.temporalDbFilename ? { dbFilename: options.temporalDbFilename } : {}),
          ...(options.temporalUiPort === undefined ? {} : { uiPort: options.temporalUiPort }),
        }),
      (started) =>
        started.isEmbedded ? `dev server at ${started.address}` : `from TEMPORAL_ADDRESS (${started.address})`,
    ),
  ]);
  // A signal may also have come when both were past their last look for it.
  if (postgres.status === "rejected" || temporal.status === "rejected" || signal?.aborted) {
    await Promise.all(
      [postgres, temporal].map((each) => (each.status === "fulfilled" ? each.value.stop() : undefined)),
    );
    await claim.release();
    throw signal?.aborted ? signal.reason : failing.signal.reason;
  }

  const children: SupervisedChild[] = [];
  let stopped: Promise<void> | undefined;
  return {
    folder,
    databaseUrl: postgres.value.url,
    temporalAddress: temporal.value.address,
    temporalNamespace: temporal.value.namespace,
    temporalUiUrl: temporal.value.uiUrl,
    supervise(program) {
      if (stopped !== undefined) throw new Error(`the stack is stopping: ${program.name} is not started`);
      const child = superviseChild(program, { claim, log });
      children.push(child);
      return child;
    },
    crash: (server) => (server === "postgres" ? postgres.value : temporal.value).crash(),
    stop() {
      stopped ??= (async () => {
        try {
          for (const child of children.toReversed()) await child.stop();
          await Promise.all([postgres.value.stop(), temporal.value.stop()]);
        } finally {
          await claim.release();
        }
      })();
      return stopped;
    },
  };
}

/** How long the body may take to end in order after the first signal, before the stack is stopped under it. */
const BODY_GRACE_MS = 10_000;
/** Ctrl-C reaches us twice when the terminal and a parent both send it; a person's second one comes later. */
const SECOND_SIGNAL_AFTER_MS = 1_000;

/**
 * Runs `body` on a stack and stops the stack after it, whether it returns, throws or a signal comes; returns what it
 * returns.
 *
 * On SIGINT, SIGTERM or SIGHUP the signal given to `body` aborts; a body that has not returned 10 s later is left, the
 * stack stopped and the process ended with 130, 143 or 129. A second signal stops at once.
 */
export async function withStack<T>(
  options: Omit<StackOptions, "signal">,
  body: (stack: Stack, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let stack: Stack | undefined;
  let firstSignalMs: number | undefined;
  let grace: NodeJS.Timeout | undefined;
  const leave = async (signal: keyof typeof EXIT_CODES): Promise<void> => {
    await stack?.stop().catch(() => {});
    process.exit(EXIT_CODES[signal]);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    const known = signal as keyof typeof EXIT_CODES;
    if (firstSignalMs === undefined) {
      firstSignalMs = performance.now();
      options.log(`${signal}: stopping`);
      controller.abort(new Error(`stopped by ${signal}`));
      grace = setTimeout(() => void leave(known), BODY_GRACE_MS);
      grace.unref();
    } else if (performance.now() - firstSignalMs > SECOND_SIGNAL_AFTER_MS) {
      void leave(known);
    }
  };
  for (const signal of Object.keys(EXIT_CODES)) process.on(signal, onSignal);
  try {
    stack = await startStack({ ...options, signal: controller.signal });
    return await body(stack, controller.signal);
  } finally {
    await stack?.stop();
    clearTimeout(grace);
    for (const signal of Object.keys(EXIT_CODES)) process.off(signal, onSignal);
  }
}

/** 128 plus the signal's number, as shells say it. */
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
