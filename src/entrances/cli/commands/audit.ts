import { type Command, InvalidArgumentError } from "commander";
import { type AuditReport, verifyAudit } from "../../../operations/verify-audit.js";
import { formatInstant } from "../../../values/instant.js";
import { wholeNumber } from "../arguments.js";
import { AnswerNo, outputOf, table } from "../answer.js";
import { withInstallation } from "../session.js";

/** `waypost audit list|verify`: who changed what, and whether that record is still what was written. */
export function registerAudit(program: Command): void {
  const audit = program.command("audit").description("who changed what: list it, or verify that nobody altered it");
  audit
    .command("list")
    .description("changes that people made, newest first")
    .option("--subject <id>", "only of this run, task, account, token …")
    .option("--limit <n>", "at most 500", wholeNumber(1, 500), 50)
    .option("--json", "{ rows }")
    .action(async (options: { subject?: string; limit: number; json?: boolean }) => {
      const { subject, limit } = options;
      const rows = await withInstallation(({ store, audit }) =>
        store.read((tx) => audit.list(tx, subject === undefined ? { limit } : { subject, limit })),
      );
      const text =
        rows.length === 0
          ? "Nothing yet."
          : table(
              ["ROW", "WHEN", "WHO", "WHAT", "ON", ""],
              rows.map((row) => [
                String(row.seq),
                formatInstant(row.at),
                row.actor,
                row.action,
                row.subject,
                row.detail === undefined ? "" : JSON.stringify(row.detail),
              ]),
            );
      outputOf(options.json === true).answer(
        { rows: rows.map((row) => ({ ...row, at: formatInstant(row.at) })) },
        text,
      );
    });
  audit
    .command("verify")
    .description("find rows that were changed, removed, put in or moved, and a tail that was cut off")
    .option("--head <row:hash>", "a head that was noted elsewhere: it must still be there", headArgument)
    .option("--json", "{ ok, rows, head, problems }")
    .addHelpText(
      "after",
      "\nWho may write the database's tables can forge the rows and their head together. Note the head that this prints somewhere else, and give it with --head the next time.",
    )
    .action(async (options: { head?: { seq: number; hash: string }; json?: boolean }) => {
      const report = await withInstallation((wired) => verifyAudit(wired, options.head));
      const json = { ok: report.problems.length === 0, ...report, head: `${report.head.seq}:${report.head.hash}` };
      if (!json.ok) throw new AnswerNo(inWords(report), json);
      outputOf(options.json === true).answer(json, inWords(report));
    });
}

function headArgument(text: string): { seq: number; hash: string } {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq === undefined || hash === undefined)
    throw new InvalidArgumentError("Write ROW:HASH, as `audit verify` prints it.");
  return { seq: Number(seq), hash };
}

function inWords({ rows, head, problems }: AuditReport): string {
  return [
    ...problems.map(({ message }) => `NOT AS WRITTEN: ${message}`),
    `${rows} rows read${head.unchained === 0 ? "" : `; those up to ${head.unchained} are from before rows were chained`}.`,
    `head ${head.seq}:${head.hash}`,
  ].join("\n");
}
