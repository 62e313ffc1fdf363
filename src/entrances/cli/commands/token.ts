import { type Command, Option } from "commander";
import { createToken, revokeToken } from "../../../operations/tokens.js";
import { SCOPES, type Scope } from "../../../ports/tokens.js";
import { AnswerNo, outputOf, table, UsageFault } from "../answer.js";
import { instantArgument } from "../arguments.js";
import { actor, withInstallation } from "../session.js";

/** `waypost token create|list|revoke`: who may use the HTTP API. */
export function registerToken(program: Command): void {
  const token = program.command("token").description("API tokens: create, list, revoke");
  token
    .command("create")
    .argument("<name>", "whose it is, e.g. crm")
    .addOption(new Option("--scope <scope...>", "what it may do").choices([...SCOPES]).makeOptionMandatory())
    .option("--expires <instant>", "from then on it is refused; default: never", instantArgument)
    .option("--json", "{ token }")
    .description("make a token; it is shown this once")
    .action(async (name: string, options: { scope: Scope[]; expires?: number; json?: boolean }) => {
      const { scope: scopes, expires: expiresAt } = options;
      const made = await withInstallation(async (wired) => {
        try {
          const asked = expiresAt === undefined ? { name, scopes } : { name, scopes, expiresAt };
          return (await createToken(wired, asked, actor())).token;
        } catch (error) {
          if (error instanceof RangeError) throw new UsageFault(`${error.message}.`);
          throw error;
        }
      });
      outputOf(options.json === true).answer({ token: made }, `${made}\nKeep it now: it is not shown again.`);
    });
  token
    .command("list")
    .option("--json", "{ tokens }")
    .description("names and scopes; never the tokens")
    .action(async (options: { json?: boolean }) => {
      const rows = await withInstallation(({ store, tokens }) => store.read((tx) => tokens.list(tx)));
      const shown = rows.map(({ name, scopes, createdAt, expiresAt, revokedAt }) => ({
        name,
        scopes,
        createdAt: new Date(createdAt).toISOString(),
        expiresAt: expiresAt === null ? null : new Date(expiresAt).toISOString(),
        status: revokedAt !== null ? "revoked" : expiresAt !== null && expiresAt <= Date.now() ? "expired" : "live",
      }));
      outputOf(options.json === true).answer(
        { tokens: shown },
        shown.length === 0
          ? "No tokens."
          : table(
              ["NAME", "STATUS", "CREATED", "EXPIRES", "SCOPES"],
              shown.map((one) => [one.name, one.status, one.createdAt, one.expiresAt ?? "never", one.scopes.join(" ")]),
            ),
      );
    });
  token
    .command("revoke")
    .argument("<name>")
    .option("--json", "{ ok }")
    .description("end every live token of this name")
    .action(async (name: string, options: { json?: boolean }) => {
      const done = await withInstallation((wired) => revokeToken(wired, name, actor()));
      if (!done)
        throw new AnswerNo(`There is no live token "${name}". \`waypost token list\` shows them.`, { ok: false });
      outputOf(options.json === true).answer({ ok: true }, `Revoked: ${name}`);
    });
}
