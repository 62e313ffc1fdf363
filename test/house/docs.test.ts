/** What the docs show is true: YAML compiles or gives the diagnostics shown, links lead somewhere, commands and options exist. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/entrances/cli/answer.js";
import { KNOWN_VARIABLES } from "../../src/entrances/environment.js";
import { SCOPES } from "../../src/ports/tokens.js";
import { formatDiagnostic } from "../../src/playbook/diagnostic.js";
import { readCalendars } from "../../src/playbook/read-calendars.js";
import { readHealth } from "../../src/playbook/read-health.js";
import { readModel } from "../../src/playbook/read-model.js";
import { readPolicy } from "../../src/playbook/read-policy.js";
import { readSegments } from "../../src/playbook/read-segments.js";
import { STEP_KINDS } from "../../src/playbook/schema.js";
import { compileWorkspace, type WorkspaceFiles } from "../../src/playbook/workspace.js";
import { at, rehearse } from "../engine/rehearse.js";
import { readFolder } from "../playbook/fixture.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Not ours, or made: nothing to hold to the docs. `templates` are mails, not documents. */
const LEFT_OUT = new Set([
  "node_modules",
  "dist",
  "dist.new",
  "dist.old",
  ".waypost",
  ".git",
  "coverage",
  "templates",
  "err",
]);

const DOCS = markdownBelow(ROOT).map((path) => ({
  name: relative(ROOT, path),
  text: readFileSync(path, "utf8"),
}));

const SHIPPED = readFolder(join(ROOT, "playbooks"));

/** A fenced block: what stands behind the three backticks, its first line in the file, its text. */
interface Block {
  readonly doc: string;
  readonly line: number;
  readonly info: readonly string[];
  readonly text: string;
  /** The block right after it, with nothing but blank lines between: what the shown input gives. */
  readonly next?: Block;
}

const BLOCKS = DOCS.flatMap(({ name, text }) => blocksOf(name, text));

describe("YAML in the docs", () => {
  const marked = BLOCKS.filter(({ info }) => info[0] === "yaml");

  test("every block says what it is", () => {
    const kinds = [
      "playbook",
      "broken",
      "model.yaml",
      "policy.yaml",
      "segments.yaml",
      "calendars.yaml",
      "health.yaml",
      "test",
    ];
    expect(marked.filter(({ info }) => !kinds.includes(info[1] ?? "")).map(placeOf)).toEqual([]);
  });

  test.each(marked.filter(({ info }) => info[1] === "playbook").map((block) => [placeOf(block), block] as const))(
    "%s compiles",
    (_, block) => {
      expect(diagnosticsOf(block).map(({ told }) => told)).toEqual([]);
    },
  );

  test.each(marked.filter(({ info }) => info[1] === "broken").map((block) => [placeOf(block), block] as const))(
    "%s gives what is shown",
    (_, block) => {
      const told = diagnosticsOf(block).map((one) => one.told);
      expect(told.length).toBeGreaterThan(0);
      expect(block.next?.text.trim()).toBe(told.join("\n\n"));
    },
  );

  test.each(marked.filter(({ info }) => info[1]?.endsWith(".yaml")).map((block) => [placeOf(block), block] as const))(
    "%s can be read",
    (_, { info, text }) => {
      const { value: model } = readModel(SHIPPED["model.yaml"]);
      const readers: Readonly<Record<string, () => { diagnostics: readonly unknown[] }>> = {
        "model.yaml": () => readModel(text),
        "policy.yaml": () => readPolicy(text, model, readCalendars(SHIPPED["calendars.yaml"]).value),
        "segments.yaml": () => readSegments(text, model),
        "calendars.yaml": () => readCalendars(text),
        "health.yaml": () => readHealth(text, model),
      };
      expect(readers[info[1] ?? ""]?.().diagnostics).toEqual([]);
    },
  );
});

describe("the first week", () => {
  const files = Object.fromEntries(
    Object.entries(readFolder(join(ROOT, "examples/first-week"))).map(([path, text]) => [`first-week/${path}`, text]),
  );

  test("is the playbook of README.md", () => {
    const block = BLOCKS.find(({ doc, info }) => doc === "README.md" && info[1] === "playbook");
    expect(block?.text).toBe(files["first-week/playbook.yaml"]);
  });

  test("compiles with its own templates, without a warning", () => {
    const { diagnostics } = compileWorkspace({ ...SHIPPED, ...files });
    expect(diagnostics.filter(({ file }) => file.startsWith("first-week/"))).toEqual([]);
  });

  test("with two mistakes is refused as README.md shows", () => {
    const text = (files["first-week/playbook.yaml"] ?? "")
      .replace("to: champion, template: welcome", "to: champio, template: welcom")
      .replace("within: 3d, ", "");
    const told = diagnosticsOf({ text }).map((one) => one.told);
    expect(told.length).toBe(3);
    expect(DOCS.find(({ name }) => name === "README.md")?.text).toContain(told.join("\n\n"));
  });

  test("does on day 0, 3 and 7 what README.md says", async () => {
    const plan = compileWorkspace({ ...SHIPPED, ...files }).plans.find(({ playbook }) => playbook === "first-week");
    if (plan === undefined) throw new Error("no plan");
    const told = async (events: Parameters<typeof rehearse>[1]) => {
      const { timeline } = await rehearse(plan, { ...events, startedAt: at("2026-03-02T09:00") });
      return timeline
        .filter(({ kind }) => ["email.sent", "task.opened", "run.goal_met"].includes(kind))
        .map((entry) => `${new Date(entry.at).toISOString().slice(0, 10)} ${entry.kind} ${entry.step ?? ""}`.trim());
    };
    expect(await told({})).toEqual([
      "2026-03-02 email.sent welcome",
      "2026-03-05 email.sent chase",
      "2026-03-09 task.opened call",
    ]);
    const booked = { id: "e1", name: "meeting.booked", at: at("2026-03-03T10:00"), payload: {} };
    expect(await told({ events: [booked] })).toEqual(["2026-03-02 email.sent welcome", "2026-03-09 task.opened call"]);
  });
});

describe("links", () => {
  test("every relative link leads to a file, every #part to a heading", () => {
    const broken = DOCS.flatMap(({ name, text }) =>
      [...withoutBlocks(text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = ""]) => {
        if (/^([a-z]+:|\{\{)/.test(target)) return [];
        const [path = "", part] = target.split("#");
        const file = path === "" ? join(ROOT, name) : join(ROOT, dirname(name), path);
        if (!existsSync(file)) return [`${name}: ${target}`];
        if (part === undefined || statSync(file).isDirectory()) return [];
        return anchorsOf(readFileSync(file, "utf8")).includes(part) ? [] : [`${name}: ${target}`];
      }),
    );
    expect(broken).toEqual([]);
  });

  test("every file that inline code names by its path from the root is there", () => {
    const missing = DOCS.filter(({ name }) => !name.startsWith("src/") && name !== "CHANGELOG.md").flatMap(
      ({ name, text }) =>
        [
          ...withoutBlocks(text).matchAll(
            /`((?:src|test|docs|playbooks|examples|bin|workflows|activities)\/[\w./-]+)`/g,
          ),
        ]
          .map(([, path = ""]) => path)
          .filter((path) => !/[A-Z]{3}|\*/.test(path.replace(/README\.md$/, "")) && !existsSync(join(ROOT, path)))
          .map((path) => `${name}: ${path}`),
    );
    expect(missing).toEqual([]);
  });
});

describe("commands in the docs", async () => {
  const program = await programOf();
  const scripts = Object.keys(
    (JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: object }).scripts,
  );
  const shown = DOCS.flatMap(({ name, text }) => commandsIn(name, text));

  test("there are some", () => {
    expect(shown.length).toBeGreaterThan(60);
  });

  test("every npm script exists", () => {
    const wrong = shown.filter(({ words }) => {
      if (words[0] !== "npm") return false;
      if (words[1] === "run") return !scripts.includes(words[2] ?? "");
      return !["install", "test", "ci"].includes(words[1] ?? "");
    });
    expect(wrong.map(({ doc, words }) => `${doc}: ${words.join(" ")}`)).toEqual([]);
  });

  test("every waypost command and option exists", () => {
    const wrong = shown.flatMap(({ doc, words }) => {
      const problem = words[0] === "waypost" ? problemOf(program, words.slice(1)) : undefined;
      return problem === undefined ? [] : [`${doc}: ${words.join(" ")}: ${problem}`];
    });
    expect(wrong).toEqual([]);
  });

  test("every command is explained where its reader looks", () => {
    const guides = DOCS.filter(({ name }) => name.startsWith("docs/getting-started/"))
      .map(({ text }) => text)
      .join("\n");
    const missing = program.commands
      .map((command) => command.name())
      .filter((name) => !guides.includes(`waypost ${name}`));
    expect(missing).toEqual([]);
  });

  test("exit codes are documented", () => {
    const guide = DOCS.find(({ name }) => name === "docs/getting-started/administrator.md")?.text ?? "";
    const rows = [...guide.matchAll(/^\| `?(\d)`? \| (.+?) \|$/gm)].map(([, code]) => Number(code));
    expect(rows).toEqual(Object.values(EXIT));
  });
});

describe("lists in the docs", () => {
  const doc = (name: string) => DOCS.find((one) => one.name === name)?.text ?? "";

  test("administrator.md names every environment variable, and no other", () => {
    const named = [...doc("docs/getting-started/administrator.md").matchAll(/^\| `([A-Z_]+)` \|/gm)].map(
      ([, name]) => name,
    );
    expect(named.sort()).toEqual([...KNOWN_VARIABLES].sort());
  });

  test("http-api.md names every scope", () => {
    expect(SCOPES.filter((scope) => !doc("docs/http-api.md").includes(`\`${scope}\``))).toEqual([]);
  });

  test("language.md has every kind of step", () => {
    const kinds = [...doc("docs/language.md").matchAll(/^### `(\w+)`(?: · `(\w+)`)*/gm)].flatMap(([heading]) =>
      [...heading.matchAll(/`(\w+)`/g)].map(([, kind]) => kind),
    );
    expect(kinds.sort()).toEqual([...STEP_KINDS].sort());
  });

  test("0003-dependencies.md has every package, and no other", () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Record<
      "dependencies" | "devDependencies",
      Record<string, string>
    >;
    const named = [...doc("docs/decisions/0003-dependencies.md").matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(
      ([, cell = ""]) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
    );
    expect(named.sort()).toEqual([...Object.keys(dependencies), ...Object.keys(devDependencies)].sort());
  });
});

function markdownBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return LEFT_OUT.has(entry.name) ? [] : markdownBelow(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

function placeOf({ doc, line }: Block): string {
  return `${doc}:${line}`;
}

function blocksOf(doc: string, text: string): Block[] {
  const found: { block: Block; end: number }[] = [];
  const lines = text.split("\n");
  for (let index = 0; index < lines.length; index += 1) {
    const [, indent = "", info] = /^( *)```(\S.*)?$/.exec(lines[index] ?? "") ?? [];
    if (!/^ *```/.test(lines[index] ?? "")) continue;
    const start = index + 1;
    while (index + 1 < lines.length && !/^ *```$/.test(lines[index + 1] ?? "")) index += 1;
    const body = lines.slice(start, index + 1).map((line) => line.slice(Math.min(indent.length, line.length)));
    index += 1;
    found.push({
      block: { doc, line: start, info: (info ?? "").split(" "), text: `${body.join("\n")}\n` },
      end: index,
    });
  }
  return found.map(({ block, end }, index) => {
    const next = found[index + 1]?.block;
    const isNear = next !== undefined && lines.slice(end + 1, next.line - 1).every((line) => line.trim() === "");
    return isNear ? { ...block, next } : block;
  });
}

function withoutBlocks(text: string): string {
  return text.replace(/^ *```[\s\S]*?^ *```$/gm, "");
}

/**
 * The block as a playbook of the shipped workspace: a list is its `steps`, what else is missing at the top is filled in, and
 * mails that it sends have a plain text in each locale (`examples/NAME/templates` where there is one).
 */
function diagnosticsOf({ text }: Pick<Block, "text">): { told: string }[] {
  const isList = text.startsWith("-");
  const body = isList ? `steps:\n${text.replace(/^(?=.)/gm, "  ")}` : text;
  const keys = new Set([...body.matchAll(/^(\w+):/gm)].map(([, key]) => key));
  const missing = Object.entries(HEAD).flatMap(([key, line]) => (keys.has(key) ? [] : [line]));
  // What is added stands behind, so that the lines shown are the file's own.
  const source = `${body}${missing.join("")}`;
  const name = /^playbook: (\S+)$/m.exec(source)?.[1] ?? "sample";
  const path = `${name}/playbook.yaml`;
  const example = join(ROOT, "examples", name, "templates");
  const own = existsSync(example)
    ? Object.fromEntries(Object.entries(readFolder(example)).map(([file, text]) => [`${name}/templates/${file}`, text]))
    : stubs(name, source);
  const files: WorkspaceFiles = { ...SHIPPED, ...own, [path]: source };
  return compileWorkspace(files)
    .diagnostics.filter(({ file }) => file.startsWith(`${name}/`))
    .map((diagnostic) => ({ told: formatDiagnostic(diagnostic, files[diagnostic.file] ?? "") }));
}

const HEAD: Readonly<Record<string, string>> = {
  playbook: "playbook: sample\n",
  title: "title: Sample\n",
  maintainer: "maintainer: cs-ops@waypost.example\n",
  subject: "subject: account\n",
  enroll: "enroll: { when: [{ manual: {} }] }\n",
  steps: "steps: [{ end: onboarded }]\n",
};

function stubs(playbook: string, source: string): Record<string, string> {
  const names = new Set([...source.matchAll(/template: ([\w-]+)/g)].map(([, name]) => name));
  return Object.fromEntries(
    [...names].flatMap((name) =>
      ["en", "ru", "pl"].map((locale) => [
        `${playbook}/templates/${name}.${locale}.md`,
        "---\nsubject: Text\n---\nText.\n",
      ]),
    ),
  );
}

function anchorsOf(markdown: string): string[] {
  return [...withoutBlocks(markdown).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** Commands in shell blocks (each line that begins with one) and in inline code. */
function commandsIn(doc: string, text: string): { doc: string; words: string[] }[] {
  const lines = blocksOf(doc, text)
    .filter(({ info }) => info[0] === "sh" || info[0] === "console")
    .flatMap((block) => block.text.split("\n").map((line) => ({ line, isPrompt: block.info[0] === "console" })))
    .flatMap(({ line, isPrompt }) => (isPrompt && !line.startsWith("$ ") ? [] : [line.replace(/^\$ /, "")]));
  const inline = [...withoutBlocks(text).matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
  return [...lines, ...inline].flatMap((line) => {
    const command = line
      .replace(/\s+#.*$/, "")
      .trim()
      .replace(/^(?:[A-Z_]+=\S+ )+/, "")
      .replace(/^npx waypost\b/, "waypost")
      .replace(/^node bin\/waypost\.mjs\b/, "waypost");
    return /^(waypost|npm) [a-z-]/.test(command) ? [{ doc, words: command.match(/"[^"]*"|\S+/g) ?? [] }] : [];
  });
}

/** Every command of the command line, as `main.ts` registers them; importing that would run it. */
async function programOf(): Promise<Command> {
  const folder = join(ROOT, "src/entrances/cli/commands");
  const program = new Command("waypost");
  for (const file of readdirSync(folder).sort()) {
    const module = (await import(pathToFileURL(join(folder, file)).href)) as Record<string, unknown>;
    for (const [name, register] of Object.entries(module)) {
      if (/^register[A-Z]/.test(name)) (register as (program: Command) => void)(program);
    }
  }
  return program;
}

function problemOf(program: Command, words: readonly string[]): string | undefined {
  const names = (words[0] ?? "").split("|");
  if (names.length > 1) {
    return names.map((name) => problemOf(program, [name, ...words.slice(1)])).find((problem) => problem !== undefined);
  }
  if (names[0] === "--help" || names[0] === "--version") return undefined;
  let command = program.commands.find((one) => one.name() === names[0]);
  if (command === undefined) return "no such command";
  const sub = command.commands.find((one) => one.name() === words[1]);
  if (command.commands.length > 0 && sub === undefined && words.length > 1) return "no such subcommand";
  command = sub ?? command;
  const known = [...command.options.map(({ long }) => long), "--help"];
  const unknown = words.find((word) => word.startsWith("--") && !known.includes(word.split("=")[0]));
  return unknown === undefined ? undefined : `no option ${unknown}`;
}
