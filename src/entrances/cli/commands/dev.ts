import type { Command } from "commander";
import { publishFiles } from "../../../operations/publish-files.js";
import { createToken, revokeToken } from "../../../operations/tokens.js";
import { SCOPES } from "../../../ports/tokens.js";
import { readEnvironment } from "../../environment.js";
import { createLogger } from "../../logger.js";
import { wire } from "../../wire.js";
import { outputOf, UsageFault } from "../answer.js";
import { actor } from "../session.js";
import { readWorkspaceFolder } from "./publish.js";
import { wholeNumber } from "../arguments.js";

/** `waypost dev`: everything on this machine, staying up. */
export function registerDev(program: Command): void {
  program
    .command("dev")
    .description(
      "bring up everything on this machine (Postgres, Temporal, server, worker, mailbox, Slack desk) and stay up",
    )
    .option("--port <n>", "the server's port; default a free one", wholeNumber(1, 65_535))
    .option("--playbooks <folder>", "published at the start", "playbooks")
    .option("--json", "the links as one object, once everything is up")
    .action(async (options: { port?: number; playbooks: string; json?: boolean }) => {
      const { FolderBusyFault } = await import("../../../local/watchdog.js");
      const { withStack } = await import("../../../local/stack.js");
      const { startLocalSystem } = await import("../../../local/system.js");
      const output = outputOf(options.json === true);
      const files = readWorkspaceFolder(options.playbooks);
      // Looked at before anything is started; the worker reads it again.
      const emailOnlyTo = process.env["EMAIL_ONLY_TO"] || undefined;
      readEnvironment({ EMAIL_ONLY_TO: emailOnlyTo });
      try {
        await withStack({ log: output.progress, temporalDbFilename: "temporal.db" }, async (stack, signal) => {
          const system = await startLocalSystem(stack, {
            log: output.progress,
            emailOnlyTo,
            ...(options.port === undefined ? {} : { port: options.port }),
          });
          try {
            await system.ready(signal);
            const environment = readEnvironment(system.environment, ["DATABASE_URL"]);
            const wired = wire(environment, "dev", createLogger("error", "dev"));
            const published = await publishFiles(wired, files, actor());
            const name = `dev ${new Date().toISOString().slice(0, 19)}`;
            const { token } = await createToken(wired, { name, scopes: [...SCOPES] }, actor());
            const links = {
              api: `${system.serverUrl}/v1`,
              token,
              openapi: `${system.serverUrl}/openapi.json`,
              mailbox: system.mailbox.httpUrl,
              slack: system.desk.url,
              temporal: stack.temporalUiUrl,
              published: published.kind === "published",
              ...(emailOnlyTo === undefined ? {} : { emailOnlyTo }),
            };
            if (published.kind === "refused")
              output.progress("The playbooks have errors and were not published: see `waypost publish --check`.");
            output.answer(links, inWords(links));
            await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
            await revokeToken(wired, name, actor());
            await wired.close();
          } finally {
            await system.stop();
          }
        });
      } catch (error) {
        if (error instanceof FolderBusyFault) throw new UsageFault(error.message);
        throw error;
      }
    });
}

function inWords(links: Readonly<Record<string, unknown>>): string {
  return [
    "",
    `HTTP API     ${links["api"]}   (${links["openapi"]})`,
    `  token      ${links["token"]}`,
    `Mailbox      ${links["mailbox"]}`,
    `Slack desk   ${links["slack"]}`,
    `Temporal     ${links["temporal"] ?? "(your own)"}`,
    ...(links["emailOnlyTo"] === undefined ? [] : [`Mail         only as EMAIL_ONLY_TO says: ${links["emailOnlyTo"]}`]),
    "",
    "Commands of this folder reach it: waypost import, enrol, event, runs, tasks … Ctrl-C ends everything.",
  ].join("\n");
}
