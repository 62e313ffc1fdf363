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
    .action(async (options: { once?: boolean; json?: boolean; minutes?: number }) => {
      const { FolderBusyFault } = await import("../../../local/watchdog.js");
      const { runDemo } = await import("../../../local/demo.js");
      try {
        process.exitCode = await runDemo({
          once: options.once === true,
          json: options.json === true,
          ...(options.minutes === undefined ? {} : { minutes: options.minutes }),
        });
      } catch (error) {
        if (error instanceof FolderBusyFault) throw new UsageFault(error.message);
        throw error;
      }
    });
}

function minutes(text: string): number {
  const value = Number(text);
  if (!(value >= 0.2 && value <= 525_600))
    throw new InvalidArgumentError("It must be a number of minutes, at least 0.2.");
  return value;
}
