import { describe, expect, it } from "vitest";
import { formatDiagnostic } from "../../src/playbook/diagnostic.js";
import { nearest, suggestion } from "../../src/playbook/nearest.js";
import { readYaml } from "../../src/playbook/read-yaml.js";
import { isCron } from "../../src/playbook/schema.js";

describe("a place inside a text", () => {
  // The word "here" of the text, by its offset in what was meant, is found in what was written.
  it.each([
    ["a: it is here", "plain"],
    ['a: "it \\"is\\" here"', "double quotes with escapes"],
    ['a: "\\u0041\\x41\\U00000041 here"', "numbers of characters"],
    ["a: 'it''s here'", "single quotes"],
    ["a: |\n  one\n\n  two here\n", "block, kept"],
    ["a: >\n  one\n  two here\n", "block, folded"],
    ["a: one\n  two here", "plain over lines"],
    ['a: "one\n  two here"', "quoted over lines"],
    ["a: >-\n    one\n    here", "block, indented"],
  ])("%j (%s)", (source) => {
    const { yaml } = readYaml("x.yaml", source);
    const text = (yaml?.value as { a: string }).a;
    const problem = { code: "X", message: "x" };
    const found = yaml?.problem(["a"], problem, { offset: text.indexOf("here"), length: 4 });
    const line = source.split("\n")[(found?.line ?? 0) - 1] ?? "";
    expect(line.slice((found?.column ?? 0) - 1, (found?.endColumn ?? 0) - 1)).toBe("here");
  });

  it("stays inside the file whatever the offset", () => {
    for (const source of ["a: |\n  x\n", "a: x", 'a: "x"']) {
      const { yaml } = readYaml("x.yaml", source);
      expect(yaml?.problem(["a"], { code: "X", message: "x" }, { offset: 99, length: 5 }).line).toBeLessThan(4);
    }
  });
});

describe("a place that isn't there", () => {
  it("is shown where it is missed", () => {
    const { yaml } = readYaml("x.yaml", "a:\n  b: { c: 1 }\n  e:\n");
    const at = (path: (string | number)[], part: "key" | "value" = "value") => {
      const { line, column } = yaml?.problem(path, { code: "X", message: "x" }, { at: part }) ?? { line: 0, column: 0 };
      return `${line}:${column}`;
    };
    expect([
      at(["a", "b", "d"]),
      at(["a", "b", "c"]),
      at(["a", "e"]),
      at(["z"]),
      at([]),
      at(["a", "b"], "key"),
      at(["a", "x"], "key"),
    ]).toEqual(["2:3", "2:11", "3:3", "1:1", "1:1", "2:3", "1:1"]);
  });
});

describe("values", () => {
  it("are plain data", () => {
    const { yaml } = readYaml("x.yaml", "a: [1, 1.5, true, ~, '1', 09:30, 2026-01-01, yes, -3]\n1: x\ntrue: y\n");
    expect(yaml?.value).toEqual({
      a: [1, 1.5, true, null, "1", "09:30", "2026-01-01", "yes", -3],
      "1": "x",
      true: "y",
    });
  });

  it.each([
    ["a: .inf", "WP001"],
    ["a: .nan", "WP001"],
    ["? \n: x", "WP007"],
    ["&k a: 1", "WP002"],
    ["a: !x 1", "WP007"],
    ["a: b: c", "WP001"],
    ["a: 'x", "WP001"],
    ["a: [1, 2", "WP001"],
    ["%YAML 3.0\n---\na: 1", "WP001"],
    ["__proto__: 1", "WP007"],
    ["null: 1", "WP007"],
    ["", "WP008"],
    ["just text", "WP008"],
  ])("%j is refused as %s", (source, code) => {
    expect(readYaml("x.yaml", source).diagnostics.map((diagnostic) => diagnostic.code)).toContain(code);
  });
});

describe("a diagnostic for people", () => {
  const diagnostic = {
    code: "X",
    severity: "error" as const,
    file: "a.yaml",
    line: 2,
    column: 3,
    endColumn: 5,
    message: "Wrong.",
  };
  it("shows the line, with tabs and long lines as they are", () => {
    expect(formatDiagnostic(diagnostic, "x\n\tabcd\r\ny")).toBe("a.yaml:2:3: error: Wrong. [X]\n2 | \tabcd\n  | \t ^^");
    const long = `x\n${"y".repeat(400)}`;
    const far = formatDiagnostic({ ...diagnostic, column: 300, endColumn: 390 }, long).split("\n");
    expect(far[1]?.length).toBe(4 + 141);
    expect(far[2]).toBe(`  | ${" ".repeat(40)}${"^".repeat(90)}`);
  });
  it("does without a line that isn't there", () => {
    expect(formatDiagnostic({ ...diagnostic, line: 9, hint: "Mend it." }, "x")).toBe(
      "a.yaml:9:3: error: Wrong. [X]\n  = Mend it.",
    );
  });
});

describe("the nearest match", () => {
  it.each([
    ["champio", ["champion", "admin"], "champion"],
    ["onError", ["on_error"], "on_error"],
    ["on-error", ["on_error"], "on_error"],
    ["wiat", ["wait", "what"], "wait"],
    ["x", ["y"], undefined],
    ["", ["y"], undefined],
    ["same", ["same"], undefined],
    ["y".repeat(101), ["y".repeat(100)], undefined],
    ["yy", ["z".repeat(101)], undefined],
  ])("of %s among %j is %s", (word, names, expected) => {
    expect(nearest(word, names)).toBe(expected);
  });
  it("or else what there is", () => {
    expect(suggestion("zzz", [])).toBeUndefined();
    expect(suggestion("zzz", ["a", "b"])).toBe("Known are: a, b.");
    expect(suggestion("zzz", "abcdefghijklmno".split(""))).toBe(
      "Known are: a, b, c, d, e, f, g, h, i, j, k, l, … (15 in all).",
    );
  });
});

it.each([
  ["0 9 1 */3 *", true],
  ["*/15 0-6 1,15 1-12/2 7", true],
  ["0 9 * *", false],
  ["60 9 * * *", false],
  ["0 9-3 * * *", false],
  ["0 9 * * */0", false],
  ["0 9 * * mon", false],
])("the cron rule %s: %s", (text, expected) => {
  expect(isCron(text)).toBe(expected);
});
