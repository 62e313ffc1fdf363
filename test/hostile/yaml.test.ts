import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { checkExpression } from "../../src/playbook/check-expression.js";
import { readYaml } from "../../src/playbook/read-yaml.js";
import { compileWorkspace } from "../../src/playbook/workspace.js";
import { FIXTURE, fixtureWith } from "../playbook/fixture.js";
import { shippedFiles } from "../support/workspace.js";
import { countOr, type Random, randomFrom, seedOr } from "./random.js";

const SEED = seedOr(20_260_302);
const MUTATIONS = countOr(100);
/** Work that explodes, not speed, is what is looked for: a whole shipped workspace takes some 100 ms here. */
const SLOWEST_MS = 10_000;

/** What an author must never read. */
const LEAKS =
  /node_modules|\.[tj]s:\d|\n\s+at |TypeError|RangeError|undefined is not|\[object Object\]|cannot read prop/i;

test(
  `${MUTATIONS} mutations of shipped and faulty files: no throw, no stack, a place for every problem, bounded time`,
  () => {
    const random = randomFrom(SEED);
    const shipped = shippedFiles();
    const faulty = readdirSync("test/playbook/err").filter((name) => name.endsWith(".yaml"));
    compileWorkspace(shipped);
    const kinds: Record<string, number> = {};
    let slowest = { ms: 0, what: "" };
    let compiled = 0;
    const odd: string[] = [];
    const heap = process.memoryUsage().heapUsed;
    for (let round = 0; round < MUTATIONS; round++) {
      const isShipped = random.chance(0.2);
      const [path, source] = isShipped
        ? (random.pick(Object.entries(shipped)) as [string, string])
        : faultyFile(random.pick(faulty));
      const kind = random.pick(["bytes", "tokens", "structure"] as const);
      kinds[kind] = (kinds[kind] ?? 0) + 1;
      const text = MUTATE[kind](random, source);
      const files = isShipped ? { ...shipped, [path]: text } : fixtureWith({ [path]: text || " " });
      const began = performance.now();
      let found: ReturnType<typeof compileWorkspace>;
      try {
        found = compileWorkspace(files);
      } catch (error) {
        odd.push(`round ${round}, ${kind} of ${path}: ${error instanceof Error ? error.stack : String(error)}`);
        continue;
      }
      const ms = performance.now() - began;
      if (ms > slowest.ms) slowest = { ms, what: `${kind} of ${path}` };
      if (found.plans.length > 0) compiled += 1;
      for (const { message, hint = "", line, column, file } of found.diagnostics) {
        if (LEAKS.test(message + hint)) odd.push(`round ${round}: ${message} ${hint}`);
        const lines = (files[file] ?? "").split("\n").length;
        if (!(line >= 1 && line <= lines + 1 && column >= 1))
          odd.push(`round ${round}: ${file}:${line}:${column} ${message}`);
      }
    }
    const grown = (process.memoryUsage().heapUsed - heap) / 2 ** 20;
    console.log(
      `${MUTATIONS} mutations, seed ${SEED}: ${JSON.stringify(kinds)}; slowest ${slowest.ms.toFixed(0)} ms (${slowest.what}); ${compiled} still had plans; heap +${grown.toFixed(0)} MB`,
    );
    expect(odd.slice(0, 5)).toEqual([]);
    expect(slowest.ms).toBeLessThan(SLOWEST_MS);
    expect(grown).toBeLessThan(600);
    expect(compiled).toBeGreaterThan(0);
  },
  120_000 + MUTATIONS * 200,
);

function faultyFile(name: string): [string, string] {
  const source = readFileSync(`test/playbook/err/${name}`, "utf8");
  const side = /^(model|health|segments|calendars|policy)\./.exec(name)?.[1];
  return [side === undefined ? "sample/playbook.yaml" : `${side}.yaml`, source];
}

const MUTATE = { bytes, tokens, structure } as const;

function bytes(random: Random, source: string): string {
  const data = Buffer.from(source);
  for (let count = 1 + random.below(6); count > 0 && data.length > 0; count--) {
    const at = random.below(data.length);
    data[at] = random.chance(0.5) ? random.below(256) : (data[at] ?? 0) ^ (1 << random.below(8));
  }
  // As the publishing server gets it: whatever isn't UTF-8 has become U+FFFD, or comes as half a pair in JSON.
  return random.chance(0.9)
    ? data.toString("utf8")
    : data.toString("latin1") + random.pick(["\ud800", "\udc00", "\u0000"]);
}

const TOKENS = [
  "{",
  "}",
  "[",
  "]",
  ":",
  ": ",
  "- ",
  ",",
  "#",
  "&a ",
  "*a ",
  "!!js/function x",
  "!!binary x",
  "<<: ",
  "? ",
  "|",
  ">-\n",
  '"',
  "'",
  "\t",
  "\r",
  "\n",
  "---\n",
  "...\n",
  "%YAML 1.1\n",
  "~",
  "null",
  "yes",
  "0o17",
  ".inf",
  ".nan",
  "1e999",
  "9".repeat(400),
  "2026-02-30",
  "{{ x }}",
  "{% if",
  "{{",
  "__proto__: 1",
  "constructor: {}",
  "toString: 1",
  "steps.a.b",
  "\u202e",
  "\u2028",
  "\ufeff",
  "x".repeat(3_000),
  "((((((((((",
  "a.b.c.d.e.f",
];

function tokens(random: Random, source: string): string {
  const parts = source.split(/(\s+|[:,{}[\]"'#-])/);
  for (let count = 1 + random.below(5); count > 0; count--) {
    const at = random.below(parts.length);
    const kind = random.below(4);
    if (kind === 0) parts.splice(at, 1);
    else if (kind === 1) parts.splice(at, 0, random.pick(TOKENS));
    else if (kind === 2) parts[at] = random.pick(TOKENS);
    else parts.splice(at, 0, ...parts.slice(random.below(parts.length)).slice(0, 6));
  }
  return parts.join("");
}

/** Whole lines moved, doubled, taken away, indented anew: YAML that mostly parses and says something else. */
function structure(random: Random, source: string): string {
  const lines = source.split("\n");
  for (let count = 1 + random.below(4); count > 0 && lines.length > 1; count--) {
    const from = random.below(lines.length);
    const block = lines.slice(from, from + 1 + random.below(6));
    const to = random.below(lines.length);
    switch (random.below(5)) {
      case 0:
        lines.splice(from, block.length);
        break;
      case 1:
        lines.splice(to, 0, ...block);
        break;
      case 2:
        lines.splice(to, 0, ...block.map((line) => `${"  ".repeat(1 + random.below(3))}${line}`));
        break;
      case 3:
        lines.splice(from, block.length, ...block.map((line) => line.replace(/^ {2}/, "")));
        break;
      default:
        lines.splice(to, 0, ...Array.from({ length: 50 }, () => block).flat());
    }
  }
  return lines.join("\n");
}

// S7: each at its size and at a tenth of it: what is refused costs no more than reading the file, however large the trick is.
const SIZES: Readonly<Record<string, (size: number) => string>> = {
  aliases: (size) => `a: &a [x]\nb: [${"*a, ".repeat(size)}]`,
  "aliases of aliases": (size) =>
    Array.from(
      { length: size / 100 },
      (_, index) => `k${index}: &k${index} [${index === 0 ? "x" : `*k${index - 1}, *k${index - 1}`}]`,
    ).join("\n"),
  keys: (size) => Array.from({ length: size }, (_, index) => `k${index}: 1`).join("\n"),
  "the same key": (size) => "k: 1\n".repeat(size),
  "a huge scalar": (size) => `a: ${"x".repeat(size * 16)}`,
  "a huge quoted scalar": (size) => `a: "${"\\u0041".repeat(size * 3)}"`,
  "a huge block": (size) => `a: |\n${"  x\n".repeat(size * 4)}`,
  "brackets that open": (size) => `a: ${"[".repeat(size)}`,
  "braces in braces": (size) => "{a: ".repeat(size),
  "nested by indentation": (size) =>
    Array.from({ length: Math.sqrt(size) }, (_, index) => `${" ".repeat(index)}a:`).join("\n"),
  "quotation marks": (size) => `a: ${"'".repeat(size)}`,
  comments: (size) => "# x\n".repeat(size * 4),
  "tags and anchors": (size) => "&a !!str ".repeat(size),
  documents: (size) => "---\na: 1\n".repeat(size),
};

test("hostile YAML at a tenth of its size and at its size: refused in under 100 ms, and never worse than in proportion", () => {
  const figures: string[] = [];
  const odd: string[] = [];
  for (let warm = 0; warm < 3; warm++) for (const make of Object.values(SIZES)) readYaml("warm.yaml", make(600));
  for (const [name, make] of Object.entries(SIZES)) {
    const [small, large] = [best(make(6_000)), best(make(60_000))];
    if (large.ms > 100 * (IS_BUSY ? 10 : 1)) odd.push(`${name}: ${large.ms.toFixed(0)} ms`);
    // Ten times as much may cost ten times as much; sixty would be a square. Below some ms a ratio is noise.
    if (large.ms > 25 && large.ms / small.ms > 60)
      odd.push(`${name}: ${small.ms.toFixed(1)} → ${large.ms.toFixed(1)} ms`);
    if (large.isRead && large.bytes > 256 * 1024) odd.push(`${name}: read, with ${large.bytes} bytes`);
    figures.push(`${name} ${large.ms.toFixed(0)}`);
  }
  console.log(`hostile YAML, ms at full size: ${figures.join(", ")}`);
  expect(odd).toEqual([]);
});

/** Beside other test files a single figure means little; by command (WAYPOST_FUZZ) nothing else should run. */
const IS_BUSY = process.env["WAYPOST_FUZZ"] === undefined;

function best(source: string): { ms: number; isRead: boolean; bytes: number } {
  let ms = Number.POSITIVE_INFINITY;
  let isRead = false;
  for (let round = 0; round < 3; round++) {
    const began = performance.now();
    isRead = readYaml("hostile.yaml", source).yaml !== undefined;
    ms = Math.min(ms, performance.now() - began);
  }
  return { ms, isRead, bytes: Buffer.byteLength(source) };
}

const EXPRESSIONS: Readonly<Record<string, string>> = {
  brackets: `${"(".repeat(900)}true${")".repeat(900)}`,
  "lists in lists": `${"[".repeat(900)}1${"]".repeat(900)}`,
  nots: `${"!".repeat(1_990)}true`,
  minuses: `${"-".repeat(1_990)}1`,
  ternaries: "true ? ".repeat(280),
  ands: Array.from({ length: 400 }, () => "true").join("&&"),
  "a regular expression": 'account.name.matches("(a+)+$")',
  "a regular expression of the text": 'matches(account.name, "^(([a-z])+.)+[A-Z]([a-z])+$")',
  "a loop": "[1,2,3].all(x, [1,2,3].all(y, [1,2,3].exists(z, x + y + z > 0)))",
  "a map": "[1,2,3].map(x, [x, x].map(y, [y, y].map(z, [z, z])))",
  "its prototype": "account.__proto__.constructor == 1",
  constructor: 'account.constructor("return process")() == 1',
  "an index": 'account["__proto__"] == 1',
  "a name of every object": "toString == 1",
  "a surrogate by escape": '"\\ud800" == "x"',
  "has a prototype": "has(account.__proto__)",
  "a huge number": `${"9".repeat(1_990)} > 1`,
  "a huge exponent": "1e999999 > 1",
  "a text that never ends": `"${"x".repeat(1_990)}`,
  escapes: `"${"\\u0000".repeat(300)}" == "x"`,
  "a triple quote": `"""${"\n".repeat(1_000)}`,
  "a surrogate": '"\ud800" == "x"',
  "control characters": "account.seats\u0000 > 1",
  "right to left": "account.seats \u202e> 1",
  "an import": 'import("fs") == 1',
  bytes: 'b"\\xff" == b"\\xff"',
  timestamps: 'timestamp("9999-99-99T99:99:99Z") > now',
  "type of": "type(account) == map",
  "two thousand and one": `${"x".repeat(2_001)}`,
  nothing: "",
};

test("hostile expressions are refused, each in under 100 ms, and say why in a sentence", () => {
  const environment = { facts: { "account.name": "string", "account.seats": "number", now: "timestamp" } } as const;
  const odd: string[] = [];
  let worst = { ms: 0, name: "" };
  for (const text of Object.values(EXPRESSIONS)) attempt(text);
  for (const [name, text] of Object.entries(EXPRESSIONS)) {
    const began = performance.now();
    const checked = attempt(text);
    const ms = performance.now() - began;
    if (ms > worst.ms) worst = { ms, name };
    if (checked instanceof Error) odd.push(`${name} throws ${checked.stack}`);
    else if (checked.ok) odd.push(`${name} is taken`);
    else
      for (const { message } of checked.problems)
        if (LEAKS.test(message) || message.length < 10) odd.push(`${name}: ${message}`);
  }
  console.log(
    `${Object.keys(EXPRESSIONS).length} hostile expressions, the slowest ${worst.ms.toFixed(1)} ms (${worst.name})`,
  );
  expect(odd).toEqual([]);
  expect(worst.ms).toBeLessThan(100 * (IS_BUSY ? 10 : 1));

  function attempt(text: string): ReturnType<typeof checkExpression> | Error {
    try {
      return checkExpression(text, environment, "bool");
    } catch (error) {
      return error as Error;
    }
  }
});

test("a workspace whose files are named after what every object has is only a workspace", () => {
  const named = {
    "__proto__/playbook.yaml": FIXTURE["sample/playbook.yaml"] ?? "",
    "constructor/playbook.yaml": "playbook: constructor\n",
    "toString/templates/x.en.md": "x",
  };
  // A literal would set the prototype instead of a property.
  const files = Object.fromEntries([
    ...Object.entries(FIXTURE),
    ...Object.entries(JSON.parse(JSON.stringify(named)) as object),
    ["__proto__/playbook.yaml", "x: 1"],
  ]);
  const { diagnostics } = compileWorkspace(files as Record<string, string>);
  expect(diagnostics.filter(({ message }) => LEAKS.test(message))).toEqual([]);
  expect(Object.keys(Object.prototype)).toEqual([]);
});

test.each(['title: "a\\0b"', 'title: "\\ud800"', 'title: "\\x00"', '"\\0": 1', '"a\\udc00": 1'])(
  "%s, which no store can keep, is refused",
  (source) => {
    expect(readYaml("x.yaml", source).diagnostics.map(({ code, message }) => [code, message])).toEqual([
      ["WP007", "A text can't hold U+0000 or half of a surrogate pair."],
    ]);
  },
);
