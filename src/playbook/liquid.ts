import { Liquid } from "liquidjs";
import type { FactType } from "../expression/expression.js";
import { isCurrency } from "../values/currency.js";
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
  readonly filters: readonly FilterUse[] | undefined;
}

/** One filter behind a variable, with what it is given. */
export interface FilterUse {
  readonly name: string;
  readonly offset: number;
  readonly arguments: readonly Operand[];
}

/** A variable (`path`) or a value written out. */
export type Operand = { readonly path: string } | { readonly value: string | number | boolean };

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
  /** Paths that are accepted, with any name below them. */
  readonly open: readonly string[];
  /** Whether `money` has a currency where the contract names none. */
  readonly hasCurrency: boolean;
}

/** What is wrong with the variables of a text: unknown, possibly missing, or of a type that its filters can't take. */
export function checkUses(uses: readonly VariableUse[], scope: TextScope): TextProblem[] {
  const found: TextProblem[] = [];
  for (const use of uses) {
    const problem = problemOf(use, scope);
    if (problem) found.push({ offset: use.offset, length: use.length, ...problem });
    if (found.length >= MAX_PROBLEMS) break;
  }
  return found;
}

type Found = { readonly problem: Problem; readonly offset?: number; readonly length?: number };

function problemOf({ path, isGuarded, filters }: VariableUse, scope: TextScope): Found | undefined {
  if (!Object.hasOwn(scope.facts, path)) {
    if (scope.open.some((prefix) => path === prefix || path.startsWith(`${prefix}.`))) return undefined;
    const hint = suggestion(path, Object.keys(scope.facts));
    return {
      problem: {
        code: "WP405",
        message: `There is no variable "${path}" here.`,
        ...(hint?.startsWith("Did") ? { hint } : {}),
      },
    };
  }
  if (!isGuarded && !scope.always.has(path)) {
    const hint = `Write {{ ${path} | default: "…" }}, or put the sentence into {% if ${path} %} … {% endif %}.`;
    return {
      problem: { code: "WP406", message: `"${path}" may be missing, and would leave a hole in the text.`, hint },
    };
  }
  return filters && wrongType(path, filters, scope);
}

/** Follows the value through its filters: each must be able to take what the ones before it may hand on. */
function wrongType(path: string, filters: readonly FilterUse[], scope: TextScope): Found | undefined {
  let types: ReadonlySet<FactType> = new Set([scope.facts[path] as FactType]);
  for (const { name, offset, arguments: given } of filters) {
    const at = { offset, length: name.length };
    const { takes, handsOnText = false, gives } = FILTERS[name] as Filter;
    const argumentTypes = given.map((each) => typeOf(each, scope));
    if (name === "default") {
      types = new Set([...types, ...argumentTypes.flatMap((type) => type ?? [])]);
      continue;
    }
    const isFit =
      types.has(takes as FactType) && [...types].every((type) => type === takes || (handsOnText && type === "string"));
    if (takes !== undefined && !isFit) {
      const odd = [...types].find((type) => type !== takes) as FactType;
      if (odd === "timestamp") return { problem: shownAsNumber(path) };
      return {
        problem: {
          code: "WP410",
          message: `"${name}" can't be used on "${path}", which is a ${nameOfType(odd)}${types.size > 1 ? " here or there" : ""}.`,
        },
      };
    }
    if (takes === undefined && types.has("timestamp")) return { problem: shownAsNumber(path) };
    for (const [index, type] of argumentTypes.entries()) {
      const wanted = FILTERS[name]?.arguments[index]?.type;
      if (type === undefined || (wanted === "text" ? type !== "timestamp" : type === wanted)) continue;
      const what = wanted === "text" ? "text" : wanted === "number" ? "a number" : "a text";
      return {
        ...at,
        problem: { code: "WP412", message: `"${name}" wants ${what}, and is given a ${nameOfType(type)}.` },
      };
    }
    if (name === "money" && !scope.hasCurrency && !given.some((each) => "value" in each)) {
      const hint = 'Name the house currency in policy.yaml (company: { currency: EUR }), or write money: "EUR".';
      return { ...at, problem: { code: "WP413", message: "No currency is known where the contract has none.", hint } };
    }
    types = new Set([gives]);
  }
  return types.has("timestamp") ? { problem: shownAsNumber(path) } : undefined;
}

function typeOf(operand: Operand, scope: TextScope): FactType | undefined {
  if ("path" in operand) return Object.hasOwn(scope.facts, operand.path) ? scope.facts[operand.path] : undefined;
  return typeof operand.value === "boolean" ? "bool" : (typeof operand.value as "string" | "number");
}

function shownAsNumber(path: string): Problem {
  return {
    code: "WP410",
    message: `"${path}" is a date and would be shown as a number.`,
    hint: `Write {{ ${path} | date_long }}.`,
  };
}

function nameOfType(type: FactType): string {
  return type === "string" ? "text" : type === "timestamp" ? "date" : type === "bool" ? "true or false" : String(type);
}

interface Filter {
  /** undefined: anything but a date. */
  readonly takes?: FactType;
  /** A text that stands in for a missing value comes out as it went in. */
  readonly handsOnText?: boolean;
  readonly gives: FactType;
  /** Whether nothing comes out where nothing goes in, so that a `default` behind it still counts. */
  readonly keepsMissing?: boolean;
  readonly arguments: readonly Argument[];
}

interface Argument {
  /** `text`: anything that can be shown. */
  readonly type: "number" | "string" | "text";
  readonly isOptional?: boolean;
  /** It has to be written out, and this must hold for it; else `hint`. */
  readonly mustBe?: (value: string | number | boolean) => boolean;
  /** As `mustBe`, where it is written out. */
  readonly ifWritten?: (value: string | number | boolean) => boolean;
  readonly hint?: string;
}

const isDigits = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 10;
const DIGITS: Argument = {
  type: "number",
  isOptional: true,
  mustBe: isDigits,
  hint: "How many digits behind the point: 0 to 10.",
};
const ANY_NUMBER: Argument = { type: "number" };
const ANY_TEXT: Argument = { type: "text" };
const textFilter = (...args: readonly Argument[]): Filter => ({
  takes: "string",
  gives: "string",
  keepsMissing: true,
  arguments: args,
});
const shown = (takes: FactType, ...args: readonly Argument[]): Filter => ({
  takes,
  handsOnText: true,
  gives: "string",
  keepsMissing: true,
  arguments: args,
});
const sum = (argument: Argument): Filter => ({ takes: "number", gives: "number", arguments: [argument] });

/** Our own filters and those of Liquid's that do what a reader expects, with what they take and are given. Source: docs/language-files.md. */
const FILTERS: Readonly<Record<string, Filter>> = {
  default: { gives: "string", keepsMissing: true, arguments: [ANY_TEXT] },
  date_long: shown("timestamp"),
  number: shown("number", DIGITS),
  money: shown("number", {
    type: "string",
    isOptional: true,
    ifWritten: (value) => typeof value === "string" && isCurrency(value),
    hint: 'Write the currency\'s three capitals: money: "EUR".',
  }),
  percent: shown("number"),
  round: { takes: "number", gives: "number", arguments: [DIGITS] },
  plus: sum(ANY_NUMBER),
  minus: sum(ANY_NUMBER),
  times: sum(ANY_NUMBER),
  divided_by: sum({
    type: "number",
    mustBe: (value) => typeof value === "number" && value !== 0,
    hint: "Write the number it is divided by; a variable might be 0.",
  }),
  upcase: textFilter(),
  downcase: textFilter(),
  capitalize: textFilter(),
  truncate: textFilter(
    {
      type: "number",
      mustBe: (value) => Number.isInteger(value) && Number(value) > 0,
      hint: "Write the longest length: truncate: 80.",
    },
    { type: "string", isOptional: true },
  ),
  append: { gives: "string", arguments: [ANY_TEXT] },
  prepend: { gives: "string", arguments: [ANY_TEXT] },
  replace: { takes: "string", gives: "string", arguments: [ANY_TEXT, ANY_TEXT] },
  strip: textFilter(),
};

interface Block {
  readonly tag: "if" | "unless" | "comment";
  readonly offset: number;
  /** Paths known to be there in the part that is being read. */
  guards: readonly string[];
  hasElse: boolean;
}

const PATH = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*/;
const LITERAL = /^(?:"[^"]*"|'[^']*'|-?\d+(?:\.\d+)?(?![\w.])|(?:true|false|nil|blank|empty)\b)/;
/** They mean "nothing": one may ask for it, not print it. */
const NOTHING = /^(?:nil|blank|empty)$/;
const WITHOUT_TAGS = /\{\{|\{%/;

interface Placeholder {
  readonly index: number;
  readonly 0: string;
  /** Between `{{` and `}}`. */
  readonly 1: string | undefined;
  /** Between `{%` and `%}`. */
  readonly 2: string | undefined;
}

/** Every `{{ … }}` and `{% … %}`, in order. One pass: what is never closed is looked for once, not from each place where it opens. */
function* placeholders(source: string): Iterable<Placeholder> {
  const closers = new Map([
    ["{{", "}}"],
    ["{%", "%}"],
  ]);
  const opens = /\{[{%]/g;
  for (let open = opens.exec(source); open !== null && closers.size > 0; open = opens.exec(source)) {
    const closer = closers.get(open[0]);
    const close = closer === undefined ? -1 : source.indexOf(closer, open.index + 2);
    if (close < 0) {
      closers.delete(open[0]);
      opens.lastIndex = open.index + 1;
      continue;
    }
    const inner = source
      .slice(open.index + 2, close)
      .replace(/^-/, "")
      .replace(/-$/, "");
    yield {
      index: open.index,
      0: source.slice(open.index, close + 2),
      1: open[0] === "{{" ? inner : undefined,
      2: open[0] === "{%" ? inner : undefined,
    };
    opens.lastIndex = close + 2;
  }
}

class LiquidReader {
  readonly uses: VariableUse[] = [];
  readonly problems: TextProblem[] = [];
  private readonly blocks: Block[] = [];

  constructor(private readonly source: string) {}

  read(): void {
    let at = 0;
    for (const match of placeholders(this.source)) {
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
      let right: Read | undefined;
      if (operator !== undefined) {
        right = this.operand(this.step(rest, operator.length));
        if (!right) return [];
        this.ask(right);
        rest = right.rest;
      }
      if (left.path !== undefined && isThereWhere(operator, right?.literal)) guards.push(left.path);
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
    const filters: FilterUse[] = [];
    while (rest.text.startsWith("|")) {
      rest = this.step(rest, 1);
      const name = /^[a-z_]+/.exec(rest.text)?.[0] ?? "";
      const place = { offset: rest.offset, length: Math.max(1, name.length) };
      rest = this.step(rest, name.length);
      const given: Read[] = [];
      if (rest.text.startsWith(":")) {
        do {
          const argument = this.operand(this.step(rest, 1));
          if (!argument) return;
          if (argument.path !== undefined) this.use(argument.path, argument.offset, undefined, false);
          given.push(argument);
          rest = argument.rest;
        } while (rest.text.startsWith(","));
      }
      if (!Object.hasOwn(FILTERS, name)) {
        const hint = suggestion(name, Object.keys(FILTERS));
        const message = `There is no filter "${name}".`;
        this.refuse(place.offset, place.length, { code: "WP409", message, ...(hint ? { hint } : {}) });
      } else if (value.path === undefined) {
        this.refuse(place.offset, place.length, {
          code: "WP404",
          message: `"${name}" needs a variable before it.`,
          hint: "Write the text as it shall read.",
        });
      } else if (this.fits(name, given, place)) {
        filters.push({ name, offset: place.offset, arguments: given.map(operandOf) });
      }
    }
    if (rest.text !== "") this.refuseWord(rest);
    if (value.literal !== undefined && NOTHING.test(value.literal)) this.refuseWord(begin);
    if (value.path !== undefined) this.use(value.path, begin.offset, filters, hasDefault(filters));
  }

  /** Whether the filter is given what it takes, as far as that can be told without types. */
  private fits(name: string, given: readonly Read[], place: { offset: number; length: number }): boolean {
    const wanted = (FILTERS[name] as Filter).arguments;
    const refuse = (message: string, hint?: string): false => {
      this.refuse(place.offset, place.length, { code: "WP412", message, ...(hint === undefined ? {} : { hint }) });
      return false;
    };
    const least = wanted.filter(({ isOptional }) => isOptional !== true).length;
    const example = wanted.find(({ hint }) => hint !== undefined)?.hint;
    if (given.length < least) return refuse(`"${name}" wants ${counted(least)} behind a colon.`, example);
    if (given.length > wanted.length) {
      return refuse(
        wanted.length === 0
          ? `"${name}" takes nothing behind it.`
          : `"${name}" takes no more than ${counted(wanted.length)}.`,
      );
    }
    for (const [index, read] of given.entries()) {
      const { mustBe, ifWritten, hint } = wanted[index] as Argument;
      const operand = operandOf(read);
      const isNothing = read.literal !== undefined && NOTHING.test(read.literal);
      const isGood = "path" in operand ? mustBe === undefined : (mustBe ?? ifWritten ?? (() => true))(operand.value);
      if (isNothing || !isGood) return refuse(`"${name}" can't be given ${read.path ?? read.literal}.`, hint);
    }
    return true;
  }

  /** A path or a literal at the beginning of the rest. */
  private operand(rest: Rest): Read | undefined {
    const literal = LITERAL.exec(rest.text)?.[0];
    if (literal !== undefined) return { literal, offset: rest.offset, rest: this.step(rest, literal.length) };
    const path = PATH.exec(rest.text)?.[0];
    if (path !== undefined) return { path, offset: rest.offset, rest: this.step(rest, path.length) };
    this.refuseWord(rest);
    return undefined;
  }

  /** A condition only asks after its paths: a missing one is simply false. */
  private ask({ path, offset }: { path?: string; offset: number }): void {
    if (path !== undefined) this.use(path, offset, undefined, true);
  }

  private use(path: string, offset: number, filters: readonly FilterUse[] | undefined, isGuarded: boolean): void {
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

interface Read {
  readonly path?: string;
  /** As written. */
  readonly literal?: string;
  readonly offset: number;
  readonly rest: Rest;
}

function operandOf({ path, literal = "" }: Read): Operand {
  if (path !== undefined) return { path };
  if (/^["']/.test(literal)) return { value: literal.slice(1, -1) };
  return { value: literal === "true" || literal === "false" ? literal === "true" : Number(literal) };
}

/** Whether a variable that is missing makes the comparison false. Two that are missing are equal, and nothing equals `nil`. */
function isThereWhere(operator: string | undefined, literal: string | undefined): boolean {
  if (operator === undefined) return true;
  return operator !== "!=" && literal !== undefined && !NOTHING.test(literal);
}

/** Whether a missing value reaches a `default` as missing: `plus: 1` before it would have made a number of it. */
function hasDefault(filters: readonly FilterUse[]): boolean {
  const index = filters.findIndex(({ name }) => name === "default");
  return index >= 0 && filters.slice(0, index).every(({ name }) => FILTERS[name]?.keepsMissing === true);
}

function counted(count: number): string {
  return count === 1 ? "one value" : `${count} values`;
}

/** Only asked whether it can read a text; the files it could include don't exist for it. */
const LIQUID = new Liquid({ templates: {} });
