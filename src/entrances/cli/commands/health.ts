import { type Command, Option } from "commander";
import { explainHealth } from "../../../operations/explain-health.js";
import { measureHealth } from "../../../operations/measure-health.js";
import { overrideHealth, removeHealthOverride } from "../../../operations/override-health.js";
import { formatInstant } from "../../../values/instant.js";
import { AnswerNo, outputOf, UsageFault } from "../answer.js";
import { instantArgument } from "../arguments.js";
import { actor, withInstallation } from "../session.js";

interface HealthOptions {
  readonly override?: "green" | "yellow" | "red";
  readonly reason?: string;
  readonly until?: number;
  readonly clear?: boolean;
  readonly measure?: boolean;
  readonly json?: boolean;
}

/** `waypost health ACCOUNT`: the score and why it is what it is; also where a person overrides it. */
export function registerHealth(program: Command): void {
  program
    .command("health")
    .description("an account's health score, and why it is what it is")
    .argument("<account>")
    .addOption(
      new Option("--override <status>", "show this instead, with --reason and --until").choices([
        "green",
        "yellow",
        "red",
      ]),
    )
    .option("--reason <text>", "why the model is wrong about this account")
    .option("--until <instant>", "when the override ends", instantArgument)
    .option("--clear", "end the override")
    .option("--measure", "measure it now, from what is known now")
    .option("--json", "the explanation as one object")
    .action(async (account: string, options: HealthOptions) => {
      const explained = await withInstallation(async ({ healthPorts, audit, clock }) => {
        const { override: status, reason, until } = options;
        if (options.clear === true) {
          const cleared = await removeHealthOverride(healthPorts, account, (tx) =>
            audit.record(tx, {
              at: clock.now(),
              actor: actor(),
              action: "health.override_removed",
              subject: account,
            }),
          );
          if (!cleared.ok) throw new AnswerNo(`Not cleared: ${REFUSALS[cleared.problem]}.`, cleared);
        } else if (status !== undefined) {
          if (reason === undefined || until === undefined)
            throw new UsageFault("An override needs --reason and --until.");
          const override = { accountId: account, status, reason, author: actor(), until };
          const done = await overrideHealth(healthPorts, override, (tx) =>
            audit.record(tx, {
              at: clock.now(),
              actor: actor(),
              action: "health.override",
              subject: account,
              detail: { status, reason, until: formatInstant(until) },
            }),
          );
          if (!done.ok) throw new AnswerNo(`Not overridden: ${REFUSALS[done.problem]}.`, done);
        }
        const { store } = healthPorts;
        const isKnown = (await store.read((tx) => store.customers.accounts(tx, [account]))).length > 0;
        if (!isKnown) throw new AnswerNo(`There is no account ${account}.`);
        if (options.measure === true) {
          const isPublished = (await store.read((tx) => store.playbooks.configuration(tx, "health"))) !== undefined;
          if (!isPublished) throw new AnswerNo("Nothing is published yet, so nothing says how a score is made.");
          await measureHealth(healthPorts, account, clock.now(), "event");
        }
        return explainHealth(healthPorts, account);
      });
      if (explained === undefined) {
        throw new AnswerNo(
          `${account} was not measured yet: that happens each night, and on the events that health.yaml names under evaluate.on. Now: \`waypost health ${account} --measure\`.`,
        );
      }
      outputOf(options.json === true).answer(explained.explanation, explained.text);
    });
}

const REFUSALS = {
  no_account: "there is no account of this id",
  no_reason: "an override needs a reason",
  until_is_past: "--until has passed",
  not_overridden: "there is no override",
} as const;
