import { type Command, InvalidArgumentError } from "commander";
import { UsageFault } from "../answer.js";

/** `waypost demo` (`npm run demo`): a year of the example portfolio on real servers, in minutes. */
export function registerDemo(program: Command): void {
  program
    .command("demo")
    .description("walk a year of the example portfolio on real servers in about three minutes")
    .option("--once", "end after the summary; exit code 0 only if nothing was doubled or lost")
    .option("--json", "the summary as one object on the last line of stdout; all else to stderr")
    .option("--minutes <n>", "how many real minutes the year takes; default 3, or what this machine needs", minutes)
    .option(
      "--kill <n>",
      "end the worker so many times with SIGKILL on the way: nothing in the summary may change",
      kills,
    )
    .option("--seed <n>", "which moments those are; default 1", kills)
    .option(
      "--chaos <seed>",
      "the same with 20 deaths of the worker, 2 of Postgres and 2 of Temporal, at moments drawn from the seed",
      kills,
    )
    .action(async (options: DemoFlags) => {
      const { FolderBusyFault } = await import("../../../local/watchdog.js");
      const { runDemo } = await import("../../../local/demo.js");
      const { CHAOS } = await import("../../../local/demo-faults.js");
      if (options.chaos !== undefined && (options.kill !== undefined || options.seed !== undefined))
        throw new UsageFault("--chaos SEED says all of it: give it without --kill and --seed.");
      const outside = ["DATABASE_URL", "TEMPORAL_ADDRESS"].find((name) => (process.env[name] ?? "") !== "");
      if (options.chaos !== undefined && outside !== undefined)
        throw new UsageFault(`--chaos kills the demo's own Postgres and Temporal: unset ${outside}.`);
      try {
        process.exitCode = await runDemo({
          once: options.once === true,
          json: options.json === true,
          ...(options.minutes === undefined ? {} : { minutes: options.minutes }),
          ...(options.kill === undefined
            ? {}
            : { faults: { counts: { worker: options.kill }, seed: options.seed ?? 1 } }),
          ...(options.chaos === undefined ? {} : { faults: { counts: CHAOS, seed: options.chaos } }),
        });
      } catch (error) {
        if (error instanceof FolderBusyFault) throw new UsageFault(error.message);
        throw error;
      }
    });
}

interface DemoFlags {
  readonly once?: boolean;
  readonly json?: boolean;
  readonly minutes?: number;
  readonly kill?: number;
  readonly seed?: number;
  readonly chaos?: number;
}

function minutes(text: string): number {
  const value = Number(text);
  if (!(value >= 0.2 && value <= 525_600))
    throw new InvalidArgumentError("It must be a number of minutes, at least 0.2.");
  return value;
}

function kills(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError("It must be a whole number.");
  return value;
}
