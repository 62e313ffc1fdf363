import type { Diagnostic } from "../playbook/diagnostic.js";
import { type CompiledWorkspace, compileWorkspace, isPublishable, type WorkspaceFiles } from "../playbook/workspace.js";
import type { Audit } from "../ports/audit.js";
import type { Workspace } from "../ports/playbooks.js";
import type { Ports } from "../ports/store.js";
import { publish, type PublishReport } from "./publish.js";

export type PublishedFiles =
  | { readonly kind: "published"; readonly report: PublishReport; readonly diagnostics: readonly Diagnostic[] }
  /** Nothing was published; among the diagnostics are errors. */
  | { readonly kind: "refused"; readonly diagnostics: readonly Diagnostic[] };

/** Compiles the files of a `playbooks/` folder and, if nothing is wrong with any of them, makes them what new runs are made of. In the audit. */
export async function publishFiles(
  ports: Ports & { readonly audit: Audit },
  files: WorkspaceFiles,
  by: string,
): Promise<PublishedFiles> {
  const compiled = compileWorkspace(files);
  const { diagnostics } = compiled;
  if (!isPublishable(compiled)) return { kind: "refused", diagnostics };
  const report = await publish(ports, workspaceOf(compiled, files), by, (tx, { playbooks, retired, configurations }) =>
    ports.audit.record(tx, {
      at: ports.clock.now(),
      actor: by,
      action: "playbooks.publish",
      subject: playbooks.map(({ playbook, number }) => `${playbook}@${number}`).join(" "),
      detail: { retired, configurations },
    }),
  );
  return { kind: "published", report, diagnostics };
}

/** What `publish` takes, of a workspace without errors. */
export function workspaceOf(compiled: CompiledWorkspace, files: WorkspaceFiles): Workspace {
  const { plans, templates, model, segments, health, calendars, policy } = compiled;
  return {
    playbooks: plans.map((plan) => ({ plan, source: files[`${plan.playbook}/playbook.yaml`] ?? "" })),
    templates,
    configurations: { model, segments, health, calendars, policy },
  };
}
