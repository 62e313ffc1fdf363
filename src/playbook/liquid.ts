import { Liquid } from "liquidjs";
import type { FactType } from "../expression/expression.js";
import type { TextProblem } from "./check-text.js";
import { suggestion } from "./nearest.js";
import type { Problem } from "./read-yaml.js";

/** A place in a text where a variable is printed or asked after. Offsets count UTF-16 units. */
export interface VariableUse {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  /** Whether a missing value is provided for: a `default`, an `{% if %}` around it, or it is only asked after. */
  readonly isGuarded: boolean;
  /** The filters it goes through, in order; undefined where it isn't printed. */
  readonly filters: readonly string[] | undefined;
}

/** A text with placeholders, read: what it mentions, and what is wrong with it. */
export interface LiquidText {
  readonly uses: readonly VariableUse[];
  readonly problems: readonly TextProblem[];
}

/**
 * Reads the small part of Liquid that texts may use: `{{ path | filter: argument }}`, `{% if %}` with `elsif` and `else`, `{% unless %}`,
 * `{% comment %}`. All problems in one pass; what comes out without any, liquidjs can read too (it is asked at the end).
 */
export function readLiquid(source: string): LiquidText {
  const reader = new LiquidReader(source);
  reader.read();
  if (reader.problems.length === 0) reader.askLiquid();
  return { uses: reader.uses, problems: reader.problems.slice(0, MAX_PROBLEMS) };
}

/** More in one text are noise: it isn't published anyway. */
const MAX_PROBLEMS = 50;

/** What the text's variables may be. */
export interface TextScope {
  readonly facts: Readonly<Record<string, FactType>>;
  /** Never missing. */
  readonly always: ReadonlySet<string>;
  /** Paths below which any name is accepted. */
  readonly open: readonly string[];
}

/** What is wrong with the variables of a text: unknown, possibly missing, or of a type that its filters can't take. */
export function checkUses(uses: readonly VariableUse[], scope: TextScope): TextProblem[] {
  const found: TextProblem[] = [];
  for (const { path, offset, length, isGuarded, filters } of uses) {
    const problem = problemOf(path, isGuarded, filters, scope);
    if (problem) found.push({ problem, offset, length });
    if (found.length >= MAX_PROBLEMS) break;
  }
  return found;
}

/** Our own filters and those of Liquid's that do what a reader expects, with the type they want. Source: docs/language-files.md. */
const FILTERS: Readonly<Record<string, FactType | undefined>> = {
  default: undefined,
  date_long: "timestamp",
  number: "number",
  money: "number",
  percent: "number",
  round: "number",
  plus: "number",
  minus: "number",
  times: "number",
  divided_by: "number",
  upcase: "string",
  downcase: "string",
  capitalize: "string",
  truncate: "string",
  append: undefined,
  prepend: undefined,
  replace: "string",
  strip: "string",
};

function problemOf(
  path: string,
  isGuarded: boolean,
  filters: readonly string[] | undefined,
  scope: TextScope,
): Problem | undefined {
  if (!Object.hasOwn(scope.facts, path)) {
    if (scope.open.some((prefix) => path.startsWith(`${prefix}.`))) return undefined;
    const hint = suggestion(path, Object.keys(scope.facts));
    return {
      code: "WP405",
      message: `There is no variable "${path}" here.`,
      ...(hint?.startsWith("Did") ? { hint } : {}),
    };
  }
  if (!isGuarded && !scope.always.has(path)) {
    const hint = `Write {{ ${path} | default: "…" }}, or put the sentence into {% if ${path} %} … {% endif %}.`;
    return { code: "WP406", message: `"${path}" may be missing, and would leave a hole in the text.`, hint };
  }
  const type = scope.facts[path] as FactType;
  if (filters === undefined) return undefined;
  const typed = filters.find((filter) => FILTERS[filter] !== undefined);
  const wanted = typed === undefined ? undefined : FILTERS[typed];
  if (type === "timestamp" && wanted !== "timestamp") {
    return {
      code: "WP410",
      message: `"${path}" is a date and would be shown as a number.`,
      hint: `Write {{ ${path} | date_long }}.`,
    };
  }
  if (wanted !== undefined && wanted !== type) {
    return { code: "WP410", message: `"${typed}" can't be used on "${path}", which is a ${nameOfType(type)}.` };
  }
  return undefined;
}

function nameOfType(type: FactType): string {
  return type === "string" ? "text" : type === "bool" ? "true or false" : String(type);
}

interface Block {
  readonly tag: "if" | "unless" | "comment";
  readonly offset: number;
  /** Paths known to be there in the part that is being read. */
  guards: readonly string[];
  hasElse: boolean;
}

const PATH = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*/;
const LITERAL = /^(?:"[^"]*"|'[^']*'|-?\d+(?:\.\d+)?(?![\w.])|(?:true|false|nil|blank|empty)\b)/;
const WITHOUT_TAGS = /\{\{|\{%/;

class LiquidReader {
  readonly uses: VariableUse[] = [];
  readonly problems: TextProblem[] = [];
  private readonly blocks: Block[] = [];

  constructor(private readonly source: string) {}

  read(): void {
    let at = 0;
    for (const match of this.source.matchAll(/\{\{-?([\s\S]*?)-?\}\}|\{%-?([\s\S]*?)-?%\}/g)) {
      this.plain(at, match.index);
      at = match.index + match[0].length;
      const inner = match[1] ?? match[2] ?? "";
      const start = match.index + match[0].indexOf(inner, 2);
      if (match[2] !== undefined) this.tag(inner, start);
      else if (!this.isComment()) this.output(inner, start);
    }
    this.plain(at, this.source.length);
    for (const { tag, offset } of this.blocks) {
      this.refuse(offset, 2, { code: "WP404", message: `{% ${tag} %} is never closed.`, hint: `Add {% end${tag} %}.` });
    }
  }

  askLiquid(): void {
    try {
      LIQUID.parse(this.source);
    } catch (error) {
      this.refuse(0, 2, {
        code: "WP404",
        message: `This is not Liquid: ${String((error as Error).message).split("\n")[0]}.`,
      });
    }
  }

  private plain(from: number, to: number): void {
    const open = WITHOUT_TAGS.exec(this.source.slice(from, to));
    if (!open) return;
    const hint = `Close it with ${open[0] === "{{" ? "}}" : "%}"}.`;
    this.refuse(from + open.index, 2, { code: "WP404", message: `"${open[0]}" is never closed.`, hint });
  }

  private tag(inner: string, start: number): void {
    const word = /^\s*([a-z_]+)/.exec(inner);
    const name = word?.[1] ?? "";
    const rest = start + (word?.[0].length ?? 0);
    const args = inner.slice(word?.[0].length ?? 0);
    const block = this.blocks.at(-1);
    if (this.isComment() && name !== "endcomment") return;
    switch (name) {
      case "if":
      case "unless": {
        const paths = this.condition(args, rest);
        this.blocks.push({ tag: name, offset: start, guards: name === "if" ? paths : [], hasElse: false });
        return;
      }
      case "comment":
        this.blocks.push({ tag: name, offset: start, guards: [], hasElse: false });
        return;
      case "elsif":
      case "else":
        if (!block || block.hasElse) {
          this.refuse(start, inner.length, { code: "WP404", message: `{% ${name} %} stands outside of an {% if %}.` });
          return;
        }
        block.guards = name === "elsif" ? this.condition(args, rest) : [];
        block.hasElse = name === "else";
        return;
      case "endif":
      case "endunless":
      case "endcomment":
        if (block?.tag === name.slice(3)) this.blocks.pop();
        else this.refuse(start, inner.length, { code: "WP404", message: `{% ${name} %} closes nothing.` });
        return;
      default: {
        const hint = "Texts may use if, elsif, else, unless and comment.";
        this.refuse(start, inner.length, {
          code: "WP408",
          message: `The tag "${name || inner.trim()}" can't be used.`,
          hint,
        });
      }
    }
  }

  /** Reads `operand [op operand] and …`; gives the paths that are there where it holds. */
  private condition(text: string, start: number): string[] {
    const guards: string[] = [];
    let isPlain = true;
    let rest = this.skipSpace(text, start);
    for (;;) {
      const left = this.operand(rest);
      if (!left) return [];
      this.ask(left);
      rest = left.rest;
      const operator = /^(==|!=|<=|>=|<|>|contains\b)/.exec(rest.text)?.[0];
      if (operator !== undefined) {
        const right = this.operand(this.step(rest, operator.length));
        if (!right) return [];
        this.ask(right);
        rest = right.rest;
      }
      if (left.path !== undefined && operator !== "!=") guards.push(left.path);
      const joint = /^(and|or)\b/.exec(rest.text)?.[0];
      if (joint === undefined) break;
      if (joint === "or") isPlain = false;
      rest = this.step(rest, joint.length);
    }
    if (rest.text !== "") this.refuseWord(rest);
    return isPlain ? guards : [];
  }

  private output(text: string, start: number): void {
    let rest = this.skipSpace(text, start);
    const begin = rest;
    const value = this.operand(rest);
    if (!value) return;
    rest = value.rest;
    const filters: string[] = [];
    while (rest.text.startsWith("|")) {
      rest = this.step(rest, 1);
      const name = /^[a-z_]+/.exec(rest.text)?.[0] ?? "";
      if (!Object.hasOwn(FILTERS, name)) {
        const hint = suggestion(name, Object.keys(FILTERS));
        const length = Math.max(1, name.length);
        this.refuse(rest.offset, length, {
          code: "WP409",
          message: `There is no filter "${name}".`,
          ...(hint ? { hint } : {}),
        });
      }
      filters.push(name);
      rest = this.step(rest, name.length);
      if (rest.text.startsWith(":")) {
        do {
          const argument = this.operand(this.step(rest, 1));
          if (!argument) return;
          if (argument.path !== undefined) this.use(argument.path, argument.offset, undefined, false);
          rest = argument.rest;
        } while (rest.text.startsWith(","));
      }
    }
    if (rest.text !== "") this.refuseWord(rest);
    if (value.path !== undefined) this.use(value.path, begin.offset, filters, filters.includes("default"));
  }

  /** A path or a literal at the beginning of the rest. */
  private operand(rest: Rest): { path?: string; offset: number; rest: Rest } | undefined {
    const literal = LITERAL.exec(rest.text)?.[0];
    if (literal !== undefined) return { offset: rest.offset, rest: this.step(rest, literal.length) };
    const path = PATH.exec(rest.text)?.[0];
    if (path !== undefined) return { path, offset: rest.offset, rest: this.step(rest, path.length) };
    this.refuseWord(rest);
    return undefined;
  }

  /** A condition only asks after its paths: a missing one is simply false. */
  private ask({ path, offset }: { path?: string; offset: number }): void {
    if (path !== undefined) this.use(path, offset, undefined, true);
  }

  private use(path: string, offset: number, filters: readonly string[] | undefined, isGuarded: boolean): void {
    const isCovered = isGuarded || this.blocks.some(({ guards }) => guards.includes(path));
    this.uses.push({ path, offset, length: path.length, isGuarded: isCovered, filters });
  }

  private isComment(): boolean {
    return this.blocks.some(({ tag }) => tag === "comment");
  }

  private step({ text, offset }: Rest, length: number): Rest {
    return this.skipSpace(text.slice(length), offset + length);
  }

  private skipSpace(text: string, offset: number): Rest {
    const trimmed = text.trimStart();
    return { text: trimmed.trimEnd(), offset: offset + text.length - trimmed.length };
  }

  private refuseWord({ text, offset }: Rest): void {
    const word = /^\S+/.exec(text)?.[0] ?? "";
    const message = word === "" ? "Something is missing here." : `"${word}" can't stand here.`;
    const hint = 'A placeholder is written {{ account.name }} or {{ account.arr | default: "unknown" }}.';
    this.refuse(offset, Math.max(1, word.length), { code: "WP404", message, hint });
  }

  private refuse(offset: number, length: number, problem: Problem): void {
    this.problems.push({ problem, offset, length });
  }
}

interface Rest {
  readonly text: string;
  readonly offset: number;
}

/** Only asked whether it can read a text; the files it could include don't exist for it. */
const LIQUID = new Liquid({ templates: {} });
