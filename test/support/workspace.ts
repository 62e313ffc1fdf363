import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type CompiledWorkspace, compileWorkspace } from "../../src/playbook/workspace.js";
import type { SimulationSetting } from "../../src/simulation/simulate.js";

const ROOT = fileURLToPath(new URL("../../playbooks/", import.meta.url));

let compiled: CompiledWorkspace | undefined;

/** The shipped workspace's files, by path. */
export function shippedFiles(): Record<string, string> {
  const files: Record<string, string> = {};
  for (const path of readdirSync(ROOT, { recursive: true, encoding: "utf8" })) {
    if (/\.(ya?ml|md)$/.test(path)) files[path] = readFileSync(`${ROOT}${path}`, "utf8");
  }
  return files;
}

/** The shipped playbooks, compiled once per process. Throws if they don't compile. */
export function shippedWorkspace(): CompiledWorkspace {
  compiled ??= compileWorkspace(shippedFiles());
  if (compiled.diagnostics.some(({ severity }) => severity === "error"))
    throw new Error("the shipped playbooks don't compile");
  return compiled;
}

/** The shipped playbooks as a simulation takes them. */
export function shippedSetting(): SimulationSetting {
  const { plans, model, segments, calendars, policy } = shippedWorkspace();
  if (!model || !segments || !calendars || !policy) throw new Error("the shipped workspace is incomplete");
  return { plans, model, segments, calendars, policy };
}
