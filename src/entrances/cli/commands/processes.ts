import type { Command } from "commander";
import { readEnvironment, SERVER_NEEDS, WORKER_NEEDS } from "../../environment.js";
import { sourceEnvironment } from "../session.js";

/** `waypost worker` and `waypost server`: the two programs of production, each until a signal. */
export function registerProcesses(program: Command): void {
  program
    .command("worker")
    .description("take runs from Temporal, hand events on, do what falls due; any number at once")
    .action(async () => {
      const { runWorker } = await import("../../worker/run-worker.js");
      process.exitCode = await runWorker(readEnvironment(sourceEnvironment(), WORKER_NEEDS), untilSignal());
    });
  program
    .command("server")
    .description("answer the HTTP API, Slack and unsubscribe links")
    .action(async () => {
      const { runServer } = await import("../../http/run-server.js");
      process.exitCode = await runServer(readEnvironment(sourceEnvironment(), SERVER_NEEDS), untilSignal());
    });
}

/** Aborts with the first SIGTERM or SIGINT: what is in flight drains. A second one ends the process as it would any other. */
export function untilSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => controller.abort(name));
  return controller.signal;
}
