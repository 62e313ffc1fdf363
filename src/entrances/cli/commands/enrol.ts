import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import { enrol } from "../../../operations/enrol.js";
import { AnswerNo, outputOf } from "../answer.js";
import { collect, readPairs } from "../arguments.js";
import { actor, withInstallation } from "../session.js";

interface EnrolOptions {
  readonly account: string;
  readonly contact?: string;
  readonly contract?: string;
  readonly input: readonly string[];
  readonly json?: boolean;
}

/** `waypost enrol PLAYBOOK --account ID`: one subject by hand. */
export function registerEnrol(program: Command): void {
  program
    .command("enrol")
    .description("enrol one account or contact into a playbook")
    .argument("<playbook>")
    .requiredOption("--account <id>")
    .option("--contact <id>", "for a playbook about contacts")
    .option("--contract <id>", "which contract `contract.…` means")
    .option("--input <name=value>", "an input of the playbook; repeatable", collect, [])
    .option("--json", "{ ok, kind, run }")
    .action(async (playbook: string, options: EnrolOptions) => {
      const inputs = readPairs(options.input, "--input");
      const outcome = await withInstallation(async ({ store, clock, audit }) =>
        store.transaction(async (tx) => {
          const now = clock.now();
          const result = await enrol(
            store,
            tx,
            {
              playbook,
              accountId: options.account,
              contactId: options.contact,
              contractId: options.contract,
              at: now,
              cause: `cli/${randomUUID()}`,
              inputs,
              source: "cli",
            },
            now,
          );
          if (result.kind !== "refused") {
            await audit.record(tx, {
              at: now,
              actor: actor(),
              action: "run.enrol",
              subject: result.run,
              detail: { kind: result.kind },
            });
          }
          return result;
        }),
      );
      if (outcome.kind === "refused")
        throw new AnswerNo(`Not enrolled: ${outcome.message}.`, { ok: false, ...outcome });
      outputOf(options.json === true).answer(
        { ok: true, ...outcome },
        outcome.kind === "enrolled"
          ? `Enrolled: ${outcome.run}`
          : `A run for this key is live and was told: ${outcome.run}`,
      );
    });
}
