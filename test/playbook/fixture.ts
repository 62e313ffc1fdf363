import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** All files below a folder by their path in it. */
export function readFolder(folder: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files[relative(folder, path)] = readFileSync(path, "utf8");
  }
  return files;
}

/** A small workspace without a fault. */
export const FIXTURE = readFolder(new URL("./fixture", import.meta.url).pathname);

/** The fixture with some files replaced; an empty text removes one. */
export function fixtureWith(changed: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries({ ...FIXTURE, ...changed }).filter(([, source]) => source !== ""));
}

const HEAD =
  "playbook: sample\ntitle: Sample\nmaintainer: cs-ops@example.com\nsubject: account\nenroll: { when: [ { manual: {} } ] }\n";

/** A playbook with these steps, given as YAML. */
export function playbookWith(steps: string): string {
  return `${HEAD}steps:\n${steps}`;
}
