import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, sep } from "node:path";
import type { Command } from "commander";
import { publishFiles } from "../../../operations/publish-files.js";
import { type Diagnostic, formatDiagnostic } from "../../../playbook/diagnostic.js";
import { compileWorkspace, isPublishable, type WorkspaceFiles } from "../../../playbook/workspace.js";
import { AnswerNo, outputOf, UsageFault } from "../answer.js";
import { actor, sourceEnvironment, withInstallation } from "../session.js";

/** Files that belong to a workspace; everything else in the folder is left alone. */
const WORKSPACE_FILE = /\.(ya?ml|md)$/;

/** More files than this is some other folder. */
const FILES_MAX = 5_000;

/** `waypost publish [FOLDER]`: compiles a playbooks folder and, if nothing is wrong, makes it what new runs are made of. */
export function registerPublish(program: Command): void {
  program
    .command("publish")
    .description("check the playbooks folder and make it what new runs are made of")
    .argument("[folder]", "default: WAYPOST_PLAYBOOKS, else playbooks")
    .option("--check", "only check; nothing is published, no server is needed")
    .option("--json", "diagnostics and versions as one object")
    .action(async (folder: string | undefined, options: { check?: boolean; json?: boolean }) => {
      const output = outputOf(options.json === true);
      const files = readWorkspaceFolder(folder ?? sourceEnvironment()["WAYPOST_PLAYBOOKS"] ?? "playbooks");
      if (options.check === true) {
        const compiled = compileWorkspace(files);
        if (!isPublishable(compiled)) throw notPublishable(compiled.diagnostics, files, "Nothing can be published.");
        output.answer(
          {
            ok: true,
            playbooks: compiled.plans.map(({ playbook, hash }) => ({ playbook, hash })),
            diagnostics: compiled.diagnostics,
          },
          [
            ...printed(compiled.diagnostics, files),
            compiled.plans.length === 1 ? "1 playbook is fine." : `${compiled.plans.length} playbooks are fine.`,
          ].join("\n"),
        );
        return;
      }
      const result = await withInstallation((wired) => publishFiles(wired, files, actor()));
      if (result.kind === "refused") throw notPublishable(result.diagnostics, files, "Nothing was published.");
      const { playbooks, retired, configurations } = result.report;
      output.answer(
        { ok: true, ...result.report, diagnostics: result.diagnostics },
        [
          ...printed(result.diagnostics, files),
          ...playbooks.map(({ playbook, number, what }) => `${playbook}  version ${number}  ${WHAT[what]}`),
          ...retired.map((playbook) => `${playbook}  retired: its runs go on, new ones are not made`),
          ...(configurations.length === 0 ? [] : [`changed besides: ${configurations.join(", ")}`]),
        ].join("\n"),
      );
    });
}

const WHAT = { new: "published", back: "published again", same: "unchanged" } as const;

/** The workspace's files by path; throws `UsageFault` where there is no such folder. */
export function readWorkspaceFolder(folder: string): WorkspaceFiles {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UsageFault(`${folder} is not a folder. Name the folder that holds model.yaml and your playbooks.`);
  }
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => WORKSPACE_FILE.test(path));
  if (paths.length > FILES_MAX)
    throw new UsageFault(`${folder} holds over ${FILES_MAX} YAML and Markdown files: is it the right folder?`);
  return Object.fromEntries(paths.map((path) => [path.split(sep).join("/"), readFileSync(join(folder, path), "utf8")]));
}

function printed(diagnostics: readonly Diagnostic[], files: WorkspaceFiles): string[] {
  return diagnostics.map((diagnostic) => `${formatDiagnostic(diagnostic, files[diagnostic.file] ?? "")}\n`);
}

function notPublishable(diagnostics: readonly Diagnostic[], files: WorkspaceFiles, end: string): AnswerNo {
  const errors = diagnostics.filter(({ severity }) => severity === "error").length;
  const count = `${errors} ${errors === 1 ? "error" : "errors"}`;
  return new AnswerNo([...printed(diagnostics, files), `${count}. ${end}`].join("\n"), { ok: false, diagnostics });
}
