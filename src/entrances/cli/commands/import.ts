import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import type { Model } from "../../../customers/model.js";
import { type ImportReport, importRecords } from "../../../operations/import-files.js";
import { upsertCustomers } from "../../../operations/upsert-customers.js";
import { instantArgument } from "../arguments.js";
import { AnswerNo, outputOf, UsageFault } from "../answer.js";
import { type ImportFile, importFileOf, inImportOrder, readImportFiles } from "../import-rows.js";
import { actor, withInstallation } from "../session.js";

interface ImportCommandOptions {
  readonly kind?: string;
  readonly at?: number;
  readonly json?: boolean;
}

/** `waypost import PATH…`: customers as a CRM or a product exports them. */
export function registerImport(program: Command): void {
  program
    .command("import")
    .description(
      "import customers from CSV and JSON lines; bad rows are reported by file:line:column, the good ones are in",
    )
    .argument(
      "<path...>",
      "files, or a folder of them: users, absences, accounts, contacts, contracts, goals, tickets, surveys, usage",
    )
    .option("--kind <kind>", "what the files hold, where their names don't tell")
    .option("--at <instant>", "since when it is so; default now", instantArgument)
    .option("--json", "the report as one object")
    .addHelpText(
      "after",
      "\nA missing row deletes nothing, an empty cell clears (a name and an account's timezone can't be: a bad row), a missing column leaves. Importing twice changes nothing twice.",
    )
    .action(async (paths: string[], options: ImportCommandOptions) => {
      const output = outputOf(options.json === true);
      const files = inImportOrder(paths.flatMap((path) => filesAt(path, options.kind)));
      const report = await withInstallation(async (wired) => {
        const model = await wired.store.read((tx) => wired.store.playbooks.configuration<Model>(tx, "model"));
        const at = options.at;
        let saidAt = 0;
        return importRecords(readImportFiles(files), {
          model,
          upsert: (batch) =>
            upsertCustomers(wired, batch, {
              source: "import",
              ...(at === undefined ? {} : { at }),
              // One row for each batch of a thousand: an import that breaks off has said what it did.
              alongside: (tx, changed) =>
                wired.audit.record(tx, {
                  at: wired.clock.now(),
                  actor: actor(),
                  action: "customers.import",
                  subject: "customers",
                  detail: Object.fromEntries(Object.entries(changed).filter(([, count]) => count > 0)),
                }),
            }),
          onProgress: (rows, bad) => {
            if (rows - saidAt < PROGRESS_ROWS) return;
            saidAt = rows;
            output.progress(`${rows} rows read, ${bad} bad`);
          },
        });
      });
      if (report.bad > 0) throw new AnswerNo(inWords(report), { ok: false, ...report });
      output.answer({ ok: true, ...report }, inWords(report));
    });
}

/** A line of progress after so many rows. */
const PROGRESS_ROWS = 10_000;

function filesAt(path: string, kind: string | undefined): ImportFile[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new UsageFault(`${path} is not there.`);
  if (!found.isDirectory()) {
    const file = importFileOf(path, kind);
    if ("problem" in file) throw new UsageFault(`${file.problem}.`);
    return [file];
  }
  // Of a folder whatever is recognised by its name; the rest is none of ours.
  const files = readdirSync(path).flatMap((name) => {
    const file = importFileOf(join(path, name), kind);
    return "problem" in file ? [] : [file];
  });
  if (files.length === 0)
    throw new UsageFault(`${path} has no file whose name says what is in it (accounts.csv, usage.jsonl …).`);
  return files;
}

function inWords({ rows, changed, bad, problems, warnings, warned, matchedEvents }: ImportReport): string {
  const counts = Object.entries(changed).filter(([, count]) => count > 0);
  return [
    ...problems.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`),
    ...warnings.map(({ file, line, column, message }) => `${file}:${line}:${column}: taken, but ${message}`),
    ...(warned > warnings.length ? [`… and ${warned - warnings.length} more like these.`] : []),
    `${rows} rows read, ${bad} bad${bad > problems.length ? ` (the first ${problems.length} are listed)` : ""}.`,
    counts.length === 0
      ? "Nothing changed."
      : `New or changed: ${counts.map(([kind, count]) => `${count} ${kind}`).join(", ")}.`,
    ...(matchedEvents === 0 ? [] : [`${matchedEvents} events that had been waiting were matched.`]),
  ].join("\n");
}
