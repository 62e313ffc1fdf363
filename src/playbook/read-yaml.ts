import {
  Composer,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  Parser,
  type ParsedNode,
  Lexer,
} from "yaml";
import type { Diagnostic } from "./diagnostic.js";
import { encodingProblem } from "./encoding.js";

/** Plain data of a YAML file: maps, lists, strings, numbers, booleans, null. */
export type YamlValue = string | number | boolean | null | readonly YamlValue[] | { readonly [key: string]: YamlValue };

/** Where a value stands: keys and list indexes from the top. */
export type YamlPath = readonly (string | number)[];

/** What a diagnostic says besides its place. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly severity?: "error" | "warning";
}

/** A YAML file that could be read, with the places of its parts. */
export interface YamlFile {
  readonly file: string;
  readonly source: string;
  readonly value: YamlValue;
  /**
   * The problem at the value (or, with `at: "key"`, at the key) that `path` leads to; the innermost part that exists, if it leads
   * nowhere. `offset` and `length` narrow it to a part of a text, in UTF-16 units of the text as it was meant.
   */
  problem(
    path: YamlPath,
    problem: Problem,
    where?: { at?: "key" | "value"; offset?: number; length?: number },
  ): Diagnostic;
}

/** Limits checked before anything costly is done. A playbook of 500 steps has some 200 KB. */
export const MAX_YAML_BYTES = 256 * 1024;
export const MAX_YAML_KEYS = 2_000;
const MAX_YAML_ITEMS = 10_000;
/** Beyond these anchors and aliases aren't told one by one. */
const MAX_REFERENCES = 20;
const MAX_FLOW_DEPTH = 40;
const MAX_INDICATORS_PER_LINE = 20;
/** More are noise: the first ones usually cause the rest. */
const MAX_SYNTAX_PROBLEMS = 20;

/** The file, or what keeps it from being read: encoding, limits, syntax, tabs, aliases, tags, duplicate keys, several documents. Never throws. */
export function readYaml(file: string, source: string): { yaml?: YamlFile; diagnostics: Diagnostic[] } {
  const place = placer(file, source);
  const encoding = encodingProblem(source);
  if (encoding) return { diagnostics: [place(encoding.offset, encoding.length, encoding.problem)] };
  const refusal = overLimit(source);
  if (refusal) return { diagnostics: [place(refusal.offset, refusal.length, refusal)] };
  try {
    return compose(file, source, place);
  } catch (error) {
    // The limits above keep the parser's recursion shallow; should a form slip through, its author still gets a sentence.
    if (!(error instanceof RangeError)) throw error;
    const problem = { code: "WP006", message: "The file is nested too deeply.", hint: "Flatten it." };
    return { diagnostics: [place(0, 0, problem)] };
  }
}

type Place = (offset: number, length: number, problem: Problem) => Diagnostic;

function compose(file: string, source: string, place: Place): { yaml?: YamlFile; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const composer = new Composer({ version: "1.2", schema: "core", uniqueKeys: false, merge: false });
  const documents = [...composer.compose(new Parser().parse(source), true, source.length)];
  const [document, second] = documents;
  if (second !== undefined) {
    const offset = source.indexOf("---", document?.range[1] ?? 0);
    diagnostics.push(
      place(Math.max(offset, 0), 3, {
        code: "WP005",
        message: "The file holds more than one YAML document.",
        hint: 'Remove the line "---"; one file, one document.',
      }),
    );
  }
  const errors = documents.flatMap((each) => [...each.errors, ...each.warnings]);
  // Once the parser has lost its way, every word behind it is "unexpected".
  const own = errors.filter(
    ({ message }, index) => index === 0 || !/^Unexpected .* (?:token in YAML stream|at node end)/.test(message),
  );
  for (const error of own.slice(0, MAX_SYNTAX_PROBLEMS)) {
    const found = syntaxDiagnostic(error, source, place);
    const isKnown = diagnostics.some(
      ({ line, column, message }) => line === found.line && column === found.column && message === found.message,
    );
    if (!isKnown) diagnostics.push(found);
  }
  const root = document?.contents as ParsedNode | null | undefined;
  const reader = new Reader(place, diagnostics);
  const value = root ? reader.read(root, []) : null;
  if (diagnostics.length > 0) return { diagnostics };
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    const message = value === null ? "The file is empty." : "The file must be a map of keys and values.";
    return { diagnostics: [place(root?.range[0] ?? 0, 0, { code: "WP008", message })] };
  }
  const problem: YamlFile["problem"] = (path, what, where = {}) => {
    const range = reader.rangeOf(path, where.at ?? "value");
    if (where.offset === undefined) return place(range.start, range.end - range.start, what);
    const start = sourceOffset(source, range, where.offset);
    const end = sourceOffset(source, range, where.offset + Math.max(1, where.length ?? 1) - 1) + 1;
    return place(start, end - start, what);
  };
  return { yaml: { file, source, value, problem }, diagnostics };
}

function placer(file: string, source: string): Place {
  const lines = new LineCounter();
  lines.lineStarts.push(0);
  for (let at = source.indexOf("\n"); at >= 0; at = source.indexOf("\n", at + 1)) lines.lineStarts.push(at + 1);
  return (offset, length, { code, message, hint, severity = "error" }) => {
    const { line, col } = lines.linePos(Math.min(offset, source.length));
    const text =
      source
        .slice(offset, offset + length)
        .split(/\r?\n/, 1)[0]
        ?.trimEnd() ?? "";
    return {
      code,
      severity,
      file,
      line,
      column: col,
      ...(text.length > 0 ? { endColumn: col + text.length } : {}),
      message,
      ...(hint === undefined ? {} : { hint }),
    };
  };
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Plain data out of the parsed nodes, the ranges remembered by path; refuses on its way what the language doesn't have. */
class Reader {
  private readonly values = new Map<string, Range>();
  private readonly keys = new Map<string, Range>();

  constructor(
    private readonly place: Place,
    private readonly diagnostics: Diagnostic[],
  ) {}

  read(node: Node | null, path: YamlPath): YamlValue {
    if (node === null) return null;
    const range = { start: node.range?.[0] ?? 0, end: node.range?.[1] ?? 0 };
    this.values.set(keyOf(path), range);
    if (isAlias(node)) {
      this.refuse(range, {
        code: "WP002",
        message: `The alias *${node.source} is not allowed.`,
        hint: "Write the value out: a playbook must be readable from top to bottom.",
      });
      return null;
    }
    if (node.anchor !== undefined) {
      this.refuse(
        { start: Math.max(0, range.start - node.anchor.length - 2), end: range.start },
        {
          code: "WP002",
          message: `The anchor &${node.anchor} is not allowed.`,
          hint: "Remove it; aliases are refused too.",
        },
      );
    }
    if (node.tag !== undefined && !node.tag.startsWith("tag:yaml.org,2002:")) this.refuseTag(range, node.tag);
    if (isSeq(node)) return node.items.map((item, index) => this.read(item as Node | null, [...path, index]));
    if (isMap(node)) return this.readMap(node.items as readonly { key: Node; value: Node | null }[], path);
    const value = isScalar(node) ? node.value : null;
    if (typeof value === "number" && !Number.isFinite(value)) {
      this.refuse(range, { code: "WP001", message: "Only finite numbers are allowed." });
      return null;
    }
    if (typeof value === "string" && UNKEPT.test(value)) {
      this.refuse(range, UNKEPT_TEXT);
      return null;
    }
    return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : null;
  }

  rangeOf(path: YamlPath, at: "key" | "value"): Range {
    if (at === "key") {
      const key = this.keys.get(keyOf(path));
      if (key) return key;
    }
    for (let length = path.length; length >= 0; length--) {
      const part = keyOf(path.slice(0, length));
      // What was left out is best shown at the key of the map that lacks it, not at all of the map.
      const range =
        length === path.length ? (this.values.get(part) ?? this.keys.get(part)) : this.ownerOf(path, length);
      if (range) return range;
    }
    return { start: 0, end: 0 };
  }

  private ownerOf(path: YamlPath, length: number): Range | undefined {
    const owner = keyOf(path.slice(0, length));
    const range = this.keys.get(owner) ?? this.values.get(owner);
    return range && length === 0 ? { start: range.start, end: range.start + 1 } : range;
  }

  private readMap(items: readonly { key: Node; value: Node | null }[], path: YamlPath): YamlValue {
    const map: Record<string, YamlValue> = {};
    for (const { key, value } of items) {
      const range = { start: key?.range?.[0] ?? 0, end: key?.range?.[1] ?? 0 };
      const name =
        isScalar(key) && key.value !== null
          ? typeof key.value === "string"
            ? key.value
            : (key.source ?? "")
          : undefined;
      if (name === undefined || REFUSED_KEYS.has(name)) {
        const message = name === undefined ? "A key must be a plain word." : `"${name}" can't be used as a key.`;
        this.refuse(range, { code: "WP007", message });
        continue;
      }
      if (UNKEPT.test(name)) {
        this.refuse(range, UNKEPT_TEXT);
        continue;
      }
      if (isScalar(key) && key.anchor !== undefined)
        this.refuse(range, { code: "WP002", message: "Anchors are not allowed." });
      const at = [...path, name];
      if (Object.hasOwn(map, name)) {
        const first = this.place(this.keys.get(keyOf(at))?.start ?? 0, 0, { code: "", message: "" });
        this.refuse(range, {
          code: "WP003",
          message: `The key "${name}" stands here twice.`,
          hint: `It stands first on line ${first.line}; keep one of the two.`,
        });
        continue;
      }
      this.keys.set(keyOf(at), range);
      map[name] = this.read(value, at);
      if (value === null || (isScalar(value) && value.value === null)) this.values.set(keyOf(at), range);
    }
    return map;
  }

  private refuseTag(range: Range, tag: string): void {
    this.refuse(range, { code: "WP007", message: `The tag ${tag} is not allowed.`, hint: "Write a plain value." });
  }

  private refuse(range: Range, problem: Problem): void {
    this.diagnostics.push(this.place(range.start, range.end - range.start, problem));
  }
}

/** Escapes can write what no file may hold: Postgres keeps neither. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what is refused
const UNKEPT = /[\u0000\p{Surrogate}]/u;
const UNKEPT_TEXT: Problem = {
  code: "WP007",
  message: "A text can't hold U+0000 or half of a surrogate pair.",
  hint: "Write the character itself, without an escape.",
};

/** Names that every JavaScript object has already: as keys they would be found where nobody wrote them. */
const REFUSED_KEYS = new Set(["__proto__", "constructor", "prototype", "toString", "valueOf", "hasOwnProperty"]);

function keyOf(path: YamlPath): string {
  return JSON.stringify(path);
}

/** Looks at the words of the file alone, which costs little however it is built, and stops at the first limit passed. */
function overLimit(source: string): (Problem & Span) | undefined {
  const limit = (offset: number, message: string, hint: string) => ({
    code: "WP006",
    message,
    hint,
    offset,
    length: 1,
  });
  if (source.length > MAX_YAML_BYTES || new TextEncoder().encode(source).length > MAX_YAML_BYTES) {
    return limit(0, `The file is larger than ${MAX_YAML_BYTES / 1024} KB.`, "Split it: one playbook, one file.");
  }
  let offset = 0;
  let keys = 0;
  let items = 0;
  let depth = 0;
  let indicators = 0;
  let references = 0;
  for (const token of new Lexer().lex(source)) {
    // Two of the lexer's marks (start of document, of a scalar) are no characters of the file.
    if (token === "\u0002" || token === "\u001f") continue;
    if (token === ":") keys += 1;
    if (/^[&*]./.test(token)) references += 1;
    if (references > MAX_REFERENCES) {
      return {
        code: "WP002",
        message: "Anchors and aliases are not allowed.",
        hint: "Write the values out.",
        offset,
        length: token.length,
      };
    }
    if (token === "-" || token === ",") items += 1;
    if (token === "{" || token === "[") depth += 1;
    if (token === "}" || token === "]") depth -= 1;
    indicators = token === "\n" || token === "\r\n" ? 0 : indicators + (token === "-" || token === "?" ? 1 : 0);
    if (keys > MAX_YAML_KEYS) {
      return limit(offset, `The file has more than ${MAX_YAML_KEYS} keys.`, "Split it: one playbook, one file.");
    }
    if (items > MAX_YAML_ITEMS)
      return limit(offset, `The file has more than ${MAX_YAML_ITEMS} list items.`, "Shorten it.");
    if (depth > MAX_FLOW_DEPTH || indicators > MAX_INDICATORS_PER_LINE) {
      return limit(offset, "The file is nested too deeply.", `At most ${MAX_FLOW_DEPTH} brackets deep.`);
    }
    offset += token.length;
  }
  return undefined;
}

interface Span {
  readonly offset: number;
  readonly length: number;
}

function syntaxDiagnostic(
  error: { code: string; message: string; pos: [number, number] },
  source: string,
  place: Place,
): Diagnostic {
  const [start, end] = error.pos;
  const length = Math.max(1, end - start);
  if (error.code === "TAB_AS_INDENT" || source[start] === "\t") {
    return place(start, length, {
      code: "WP004",
      message: "A tab can't indent.",
      hint: "Indent with spaces, two for each level.",
    });
  }
  if (error.code === "MULTIPLE_DOCS") {
    return place(start, length, { code: "WP005", message: "The file holds more than one YAML document." });
  }
  if (error.code === "TAG_RESOLVE_FAILED") {
    return place(start, length, { code: "WP007", message: "Tags are not allowed.", hint: "Write a plain value." });
  }
  if (/^Unexpected .* at node end/.test(error.message)) {
    const hint = "Put the whole text in quotation marks: '…' around one that has \" in it.";
    return place(start, length, {
      code: "WP001",
      message: "A text with brackets or quotation marks in it must be quoted.",
      hint,
    });
  }
  const message = error.message.split(/ at line \d+/, 1)[0] ?? error.message;
  return place(start, length, {
    code: "WP001",
    message: `This is not YAML: ${message.replace(/[:.]$/, "")}.`,
    hint: hintOf(error.code),
  });
}

function hintOf(code: string): string {
  switch (code) {
    case "BAD_INDENT":
      return "Check the indentation and whether a bracket or quotation mark was left open.";
    case "MISSING_CHAR":
      return "A closing bracket or quotation mark, or a comma, seems to be missing.";
    case "BLOCK_AS_IMPLICIT_KEY":
    case "MULTILINE_IMPLICIT_KEY":
      return 'A text with ": " in it must stand in quotation marks.';
    default:
      return 'A text that begins with a special character, or has brackets, ": " or " #" in it, must stand in quotation marks.';
  }
}

/**
 * The place in the source of the character `offset` of a text that stands at `range`. A plain text is copied as it is; quoted and
 * block texts drop indentation, quotation marks and backslashes, which are stepped over here.
 */
function sourceOffset(source: string, range: Range, offset: number): number {
  const raw = source.slice(range.start, range.end);
  const quote = raw[0] === '"' || raw[0] === "'" ? raw[0] : undefined;
  if (raw[0] === "|" || raw[0] === ">") return range.start + blockOffset(raw, offset);
  let at = quote === undefined ? 0 : 1;
  for (let passed = 0; passed < offset && at < raw.length; passed++) at += widthOf(raw, at, quote);
  return range.start + Math.min(at, Math.max(0, raw.length - 1));
}

/** How much of the source one character of the text takes. */
function widthOf(raw: string, at: number, quote: string | undefined): number {
  const rest = raw.slice(at, at + 12);
  if (quote === '"' && rest[0] === "\\") return /^\\(?:x..|u....|U........|[\s\S])/.exec(rest)?.[0].length ?? 1;
  if (quote === "'" && rest.startsWith("''")) return 2;
  // A line break inside a text, with the indentation behind it, is one space.
  if (/[\n ]/.test(rest[0] ?? "")) {
    const fold = /^[ \t]*\r?\n[\s]*/.exec(raw.slice(at));
    if (fold) return fold[0].length;
  }
  return 1;
}

function blockOffset(raw: string, offset: number): number {
  const lines = raw.split("\n");
  const first = lines.slice(1).find((line) => line.trim() !== "") ?? "";
  const indent = /^ */.exec(first)?.[0].length ?? 0;
  let at = (lines[0]?.length ?? 0) + 1;
  let left = offset;
  for (const line of lines.slice(1)) {
    const length = Math.max(0, line.length - indent) + 1;
    if (left < length) return Math.min(at + indent + left, Math.max(0, raw.length - 1));
    left -= length;
    at += line.length + 1;
  }
  return Math.max(0, raw.length - 1);
}
