import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatDiagnostic } from "../../src/playbook/diagnostic.js";
import { compileWorkspace } from "../../src/playbook/workspace.js";
import { fixtureWith, readFolder } from "./fixture.js";

// `err/NAME.yaml` is checked as the fixture's playbook (`err/model.NAME.yaml` as its model.yaml, `err/welcome.NAME.md` as a template);
// what is printed must be `err/NAME.txt`. `UPDATE_GOLDEN=1` writes these files: read the change before you commit it.
const OK = new URL("./ok", import.meta.url).pathname;
const ERR = new URL("./err", import.meta.url).pathname;

describe("files without a fault", () => {
  for (const [name, source] of Object.entries(readFolder(OK))) {
    if (!name.endsWith(".yaml")) continue;
    it(name, () => {
      const { shown, workspace } = check(name, source);
      expect(shown).toBe("");
      const plan = workspace.plans.find(({ playbook }) => playbook === "sample");
      same(join(OK, name.replace(".yaml", ".plan.json")), `${JSON.stringify(plan, null, 1)}\n`);
    });
  }
});

describe("files with faults", () => {
  for (const [name, source] of Object.entries(readFolder(ERR))) {
    if (name.endsWith(".txt")) continue;
    it(name, () => same(join(ERR, `${name.replace(/\.(yaml|md)$/, "")}.txt`), `${check(name, source).shown}\n`));
  }
});

function check(name: string, source: string) {
  const files = fixtureWith({ [replaced(name)]: source });
  const workspace = compileWorkspace(files);
  const shown = workspace.diagnostics
    .map((diagnostic) => formatDiagnostic(diagnostic, files[diagnostic.file] ?? ""))
    .join("\n\n");
  return { shown, workspace };
}

function replaced(name: string): string {
  if (name.endsWith(".md")) return "sample/templates/welcome.en.md";
  const [first] = name.split(".");
  return ["model", "health", "segments", "calendars", "policy"].includes(first ?? "")
    ? `${first}.yaml`
    : "sample/playbook.yaml";
}

function same(file: string, actual: string): void {
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, actual);
  expect(actual).toBe(readFileSync(file, "utf8"));
}
