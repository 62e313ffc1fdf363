import type { Command } from "commander";
import {
  ALL_EMAIL,
  ALL_SENDS,
  listSwitches,
  switchProblem,
  turnSwitchOff,
  turnSwitchOn,
} from "../../../operations/kill-switches.js";
import { formatInstant } from "../../../values/instant.js";
import { outputOf, UsageFault } from "../answer.js";
import { actor, withInstallation } from "../session.js";

interface HoldOptions {
  readonly allSends?: boolean;
  readonly allEmail?: boolean;
  readonly playbook?: string;
  readonly reason?: string;
  readonly json?: boolean;
}

/** `waypost hold` and `release`: the switches that stop sending at once. */
export function registerHold(program: Command): void {
  const both = (command: Command): Command =>
    command
      .option("--all-sends", "everything, by e-mail and Slack")
      .option("--all-email", "every mail of every playbook")
      .option("--playbook <name>", "every mail of one playbook")
      .option("--json", "{ ok, changed, switches }");

  both(program.command("hold").description("stop sending at once; without options: what is held"))
    .option("--reason <text>", "for the others")
    .action((options: HoldOptions) => turn(options, true));
  both(program.command("release").description("let what was held go out again")).action((options: HoldOptions) =>
    turn(options, false),
  );
}

async function turn(options: HoldOptions, isHold: boolean): Promise<void> {
  const names = [
    ...(options.allSends === true ? [ALL_SENDS] : []),
    ...(options.allEmail === true ? [ALL_EMAIL] : []),
    ...(options.playbook === undefined ? [] : [`playbook:${options.playbook}`]),
  ];
  if (names.length > 1) throw new UsageFault("Give one of --all-sends, --all-email and --playbook NAME.");
  const [name] = names;
  if (name === undefined && !isHold)
    throw new UsageFault("Say what to release: --all-sends, --all-email, or --playbook NAME.");
  const { changed, switches } = await withInstallation(async (wired) => {
    if (name === undefined) return { changed: false, switches: await listSwitches(wired) };
    const problem = await switchProblem(wired, name);
    if (problem !== undefined) throw new UsageFault(`${problem}.`);
    const changed = isHold
      ? await turnSwitchOn(wired, name, actor(), options.reason ?? null)
      : await turnSwitchOff(wired, name, actor());
    return { changed, switches: await listSwitches(wired) };
  });
  const list =
    switches.length === 0
      ? "Nothing is held."
      : switches
          .map(
            (one) =>
              `held: ${one.name} since ${formatInstant(one.at)} by ${one.by}${one.reason === null ? "" : ` (${one.reason})`}`,
          )
          .join("\n");
  const said =
    name === undefined
      ? ""
      : changed
        ? `${isHold ? "Held" : "Released"}: ${name}\n`
        : `${name} was ${isHold ? "held already" : "not held"}.\n`;
  outputOf(options.json === true).answer(
    { ok: true, changed, switches: switches.map((one) => ({ ...one, at: formatInstant(one.at) })) },
    said + list,
  );
}
