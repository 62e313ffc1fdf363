import { fileURLToPath } from "node:url";
import { bundleWorkflowCode, type WorkflowBundleWithSourceMap } from "@temporalio/worker";

/** Text to be found once in a source file, and what stands there instead. */
export type Edit = readonly [from: string, to: string];

/**
 * The workflows of this checkout with edits, by source file from the root (`workflows/run-playbook.ts`): another build of the worker. Throws if an
 * edit's text isn't there. `interceptors`: absolute paths of modules that go into it.
 */
export function editedBundle(
  edits: Readonly<Record<string, readonly Edit[]>>,
  interceptors: readonly string[] = [],
): Promise<WorkflowBundleWithSourceMap> {
  const loader = fileURLToPath(new URL("./edit-source.cjs", import.meta.url));
  const rules = Object.entries(edits).map(([file, those]) => ({
    resource: fileURLToPath(new URL(`../../${file}`, import.meta.url)),
    enforce: "pre" as const,
    use: [{ loader, options: { edits: those } }],
  }));
  return bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL("../../workflows/index.ts", import.meta.url)),
    workflowInterceptorModules: [...interceptors],
    logger: { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error: console.error },
    webpackConfigHook: (config) => ({
      ...config,
      module: { ...config.module, rules: [...(config.module?.rules ?? []), ...rules] },
      resolve: { ...config.resolve, extensionAlias: { ".js": [".ts", ".js"] } },
    }),
  });
}
