import { describe, expect, it } from "vitest";
import { indexPlan } from "../../src/engine/plan-index.js";
import { formatDiagnostic } from "../../src/playbook/diagnostic.js";
import { compileWorkspace } from "../../src/playbook/workspace.js";
import { readFolder } from "./fixture.js";

const ROOT = new URL("../../playbooks", import.meta.url).pathname;

describe("the shipped playbooks", () => {
  const files = readFolder(ROOT);
  const workspace = compileWorkspace(files);

  it("have no error and no warning", () => {
    const shown = workspace.diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, files[diagnostic.file] ?? ""));
    expect(shown.join("\n\n")).toBe("");
  });

  it("are the five, with every template in three locales", () => {
    expect(workspace.plans.map(({ playbook }) => playbook)).toEqual([
      "churn-rescue",
      "onboarding-high-touch",
      "onboarding-low-touch",
      "qbr",
      "renewal",
    ]);
    for (const plan of workspace.plans) {
      for (const locales of Object.values(plan.templates))
        expect(Object.keys(locales).sort()).toEqual(["en", "pl", "ru"]);
    }
  });

  it("give every step a path of its own, which the engine finds", () => {
    for (const plan of workspace.plans) {
      const paths = [...JSON.stringify([plan.steps, plan.onExit.steps]).matchAll(/\{"path":"([^"]*)"/g)].map(
        ([, path]) => path,
      );
      expect(new Set(paths).size).toBe(paths.length);
      expect([...indexPlan(plan).byPath.keys()].sort()).toEqual(paths.sort());
    }
  });

  it("compile to the same plans every time", () => {
    const again = compileWorkspace(files);
    expect(again).toEqual(workspace);
    expect(JSON.parse(JSON.stringify(again.plans))).toEqual(again.plans);
  });
});
