import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { readFolder } from "./fixture.js";

const path = (name: string) => new URL(name, import.meta.url).pathname;
const codesIn = (text: string, pattern: RegExp) =>
  [...new Set([...text.matchAll(pattern)].map(([, code]) => code))].sort();

const sources = Object.entries(readFolder(path("../../src/playbook"))).filter(([name]) => name.endsWith(".ts"));
const used = codesIn(sources.map(([, text]) => text).join("\n"), /"(WP\d{3})"/g);

it("explains every code, and no other, in docs/diagnostics.md, in order", () => {
  const documented = [
    ...readFileSync(path("../../docs/diagnostics.md"), "utf8").matchAll(/^- \*\*(WP\d{3})\*\*/gm),
  ].map(([, code]) => code);
  expect(documented).toEqual(used);
});

it("shows every code in a golden file", () => {
  const shown = Object.entries(readFolder(path("./err")))
    .filter(([name]) => name.endsWith(".txt"))
    .map(([, text]) => text)
    .join("\n");
  // The others are shown in workspace.test.ts: they concern no single file.
  const apart = ["WP402", "WP407", "WP411", "WP601", "WP606"];
  expect(codesIn(shown, /\[(WP\d{3})\]/g)).toEqual(used.filter((code) => !apart.includes(code ?? "")));
});
