/** The command line: `waypost COMMAND`. Each command is a file in `commands/`; here only names, errors and exit codes. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { StoreUnavailable } from "../../ports/transactions.js";
import { EnvironmentFault } from "../environment.js";
import { AnswerNo, EXIT, outputOf, UsageFault } from "./answer.js";
import { registerAudit } from "./commands/audit.js";
import { registerDemo } from "./commands/demo.js";
import { registerDev } from "./commands/dev.js";
import { registerDoctor } from "./commands/doctor.js";
import { registerEnrol } from "./commands/enrol.js";
import { registerEvent } from "./commands/event.js";
import { registerHealth } from "./commands/health.js";
import { registerHold } from "./commands/hold.js";
import { registerImport } from "./commands/import.js";
import { registerProcesses } from "./commands/processes.js";
import { registerPublish } from "./commands/publish.js";
import { registerRuns } from "./commands/runs.js";
import { registerTasks } from "./commands/tasks.js";
import { registerToken } from "./commands/token.js";
import { registerUnmatched } from "./commands/unmatched.js";
import { registerWhen } from "./commands/when.js";

const REGISTRARS = [
  registerDemo,
  registerDev,
  registerImport,
  registerPublish,
  registerEnrol,
  registerEvent,
  registerUnmatched,
  registerRuns,
  registerTasks,
  registerHealth,
  registerHold,
  registerWhen,
  registerDoctor,
  registerToken,
  registerAudit,
  registerProcesses,
];

await main(process.argv.slice(2));

async function main(given: readonly string[]): Promise<void> {
  const program = new Command("waypost")
    .description("Customer-success playbooks in YAML, run durably on Temporal.")
    .version(version(), "--version")
    .addHelpText(
      "after",
      "\nExit codes: 0 fine, 1 the answer is no, 2 used wrongly, 3 a fault. `waypost COMMAND --help` says more.",
    )
    .showHelpAfterError("(`waypost --help` lists the commands, `waypost COMMAND --help` their options)")
    .exitOverride();
  for (const register of REGISTRARS) register(program);
  for (const command of everyCommand(program)) command.exitOverride();
  try {
    await program.parseAsync(withNegativeRule(given), { from: "user" });
  } catch (error) {
    process.exitCode = explain(error, given.includes("--json"));
  }
}

/** Says what went wrong, on stderr (with `--json` as an object on stdout), and returns the exit code; a no is an answer, on stdout. */
function explain(error: unknown, isJson: boolean): number {
  const output = outputOf(isJson);
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.fine;
    // It has said so on stderr itself.
    if (isJson) output.answer({ error: error.message.replace(/^error: /, "") }, "");
    return EXIT.usage;
  }
  const say = (message: string, code: number, json: unknown = { error: message }): number => {
    if (isJson) output.answer(json, message);
    else output.progress(message);
    return code;
  };
  if (error instanceof AnswerNo) {
    // "No" is an answer too: a report with bad rows can be kept like any other.
    output.answer(error.json ?? { error: error.message }, error.message);
    return EXIT.no;
  }
  if (error instanceof UsageFault) return say(error.message, EXIT.usage);
  if (error instanceof EnvironmentFault)
    return say(error.message, EXIT.usage, { error: error.message, problems: error.problems });
  if (error instanceof StoreUnavailable)
    return say("Postgres doesn't answer. Is it up, and DATABASE_URL right? `waypost doctor` looks.", EXIT.fault);
  const message = error instanceof Error ? error.message : String(error);
  return say(`A fault of Waypost's own: ${message}`, EXIT.fault);
}

/** `when -2 bd`: a rule that begins with a minus is no option. */
function withNegativeRule(given: readonly string[]): string[] {
  const at = given[0] === "when" ? given.findIndex((argument) => /^-\d/.test(argument)) : -1;
  if (at < 0) return [...given];
  const length = /^-\d+$/.test(given[at] ?? "") ? 2 : 1;
  return [...given.slice(0, at), ...given.slice(at + length), "--", ...given.slice(at, at + length)];
}

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

function version(): string {
  for (const place of ["../../../package.json", "../../../../package.json"]) {
    try {
      return (JSON.parse(readFileSync(new URL(place, import.meta.url), "utf8")) as { version: string }).version;
    } catch {
      // From sources it is one folder nearer than from dist/.
    }
  }
  return "unknown";
}
