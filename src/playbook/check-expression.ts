import { Environment, ParseError } from "@marcbachmann/cel-js";
import type { ASTNode } from "@marcbachmann/cel-js";
import type {
  ArithmeticOperator,
  ComparisonOperator,
  Expression,
  FactType,
  FunctionName,
} from "../expression/expression.js";
import { LARGEST_FACTOR, SMALLEST_FACTOR } from "../expression/expression.js";
import { references } from "../expression/references.js";
import { unguardedNegations } from "../expression/unguarded-negations.js";

/** What an expression may name. */
export interface ExpressionEnvironment {
  /** The declared facts by dotted path: `"account.touch_model": "string"`. */
  readonly facts: Readonly<Record<string, FactType>>;
  /** Paths that are accepted without a declared type, with any name below them (`event` for an undeclared payload). */
  readonly open?: readonly string[];
  /** Facts that are never missing and so need no `has(…)`; `now` always is one. */
  readonly always?: readonly string[];
}

/** Which rule an expression breaks; stable, for `docs` and `--json`. */
export type ExpressionProblemCode =
  | "expression-syntax"
  | "expression-too-large"
  | "expression-not-allowed"
  | "expression-unknown-fact"
  | "expression-wrong-type"
  | "expression-bad-literal"
  | "expression-missing-guard";

/** One thing wrong with an expression, in words for its author; `offset` and `length` count UTF-16 units of the text. */
export interface ExpressionProblem {
  readonly code: ExpressionProblemCode;
  readonly message: string;
  readonly offset: number;
  readonly length: number;
  /** What to write instead of the text at `offset`, where one answer is likely. */
  readonly suggestion?: string;
}

/** A checked expression, or everything that is wrong with it. */
export type CheckedExpression =
  | {
      readonly ok: true;
      readonly expression: Expression;
      readonly type: FactType;
      /** The fact paths it mentions, sorted. */
      readonly references: readonly string[];
    }
  | { readonly ok: false; readonly problems: readonly ExpressionProblem[] };

/** Limits of one expression. A condition that passes them can't be read by a person either; segments split it. */
export const MAXIMUM_EXPRESSION_LENGTH = 2_000;
export const MAXIMUM_EXPRESSION_DEPTH = 32;
export const MAXIMUM_EXPRESSION_NODES = 200;

/** Enough to mend in one go; looking up the nearest name for every one of 200 unknown facts would take too long. */
const MAXIMUM_PROBLEMS = 20;

/**
 * The expression as a tree for the engine, or all its problems in the order of the text. `expected` is the type that its
 * place asks for; a condition asks for `"bool"`.
 *
 * cel-js parses; types are checked here, not by cel-js, which stops at the first error, keeps integers apart from
 * doubles, and knows nothing of absent facts. The tests hold both to the same answers.
 */
export function checkExpression(
  text: string,
  environment: ExpressionEnvironment,
  expected?: FactType,
): CheckedExpression {
  if (text.length > MAXIMUM_EXPRESSION_LENGTH) {
    return refused({
      code: "expression-too-large",
      message: `The expression is ${text.length} characters long; at most ${MAXIMUM_EXPRESSION_LENGTH} are allowed. ${SPLIT_IT}`,
      offset: 0,
      length: text.length,
    });
  }
  const parsed = parse(text);
  if ("problem" in parsed) return refused(parsed.problem);
  const check = new Check(text, environment);
  const root = check.read(parsed.ast, 1);
  if (check.problems.length === 0) check.checkRoot(root, parsed.ast, expected);
  if (check.problems.length === 0 && root.type === "bool") check.checkGuards(root.expression);
  if (check.problems.length > 0) {
    return { ok: false, problems: check.problems.sort((left, right) => left.offset - right.offset) };
  }
  const type = root.type === "any" ? expected! : root.type;
  return { ok: true, expression: root.expression, type, references: references(root.expression) };
}

const SPLIT_IT = "Move a part of it to segments.yaml and name the segment here.";
const CLOSEST_DISTANCE = 3;

function refused(...problems: ExpressionProblem[]): CheckedExpression {
  return { ok: false, problems };
}

/** A type, or `any`: undeclared, or wrong and already reported, so that one mistake isn't reported twice. */
type CheckedType = FactType | "any";

interface Typed {
  readonly expression: Expression;
  readonly type: CheckedType;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Generous on purpose: what passes is held to our own limits, which have better messages. */
const celParser = new Environment({ unlistedVariablesAreDyn: true, limits: { maxDepth: 100, maxAstNodes: 2_000 } });

function parse(text: string): { ast: ASTNode } | { problem: ExpressionProblem } {
  if (text.trim() === "") {
    const problem: ExpressionProblem = {
      code: "expression-syntax",
      message: 'The expression is empty. Write a condition such as account.touch_model == "high".',
      offset: 0,
      length: text.length,
    };
    return { problem };
  }
  try {
    return { ast: celParser.parse(text).ast };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return { problem: syntaxProblem(text, error) };
  }
}

const OPERATORS_IN_WORDS = new Map([
  ["and", "&&"],
  ["or", "||"],
  ["not", "!"],
  ["is", "=="],
]);

function syntaxProblem(text: string, error: ParseError): ExpressionProblem {
  const foundAt = Math.min(error.range?.start ?? 0, text.length);
  // cel-js takes `not` for a name and stumbles over what follows it.
  const notBefore = /\bnot\s+$/i.exec(text.slice(0, foundAt));
  const offset = notBefore?.index ?? foundAt;
  const word = /^[A-Za-z_]+/.exec(text.slice(offset))?.[0] ?? "";
  const length = Math.max(word.length, (error.range?.end ?? foundAt) - foundAt);
  const problem = (message: string, suggestion?: string, at: ExpressionProblemCode = "expression-syntax") => ({
    code: at,
    message,
    offset,
    length: suggestion === undefined ? length : Math.max(word.length, 1),
    ...(suggestion === undefined ? {} : { suggestion }),
  });
  if (error.code === "limit_exceeded") {
    return problem(
      `The expression is nested too deeply or has too many parts. ${SPLIT_IT}`,
      undefined,
      "expression-too-large",
    );
  }
  const operator = OPERATORS_IN_WORDS.get(word.toLowerCase());
  if (operator !== undefined) return problem(`"${word}" is written ${operator} here.`, operator);
  const next = text[offset] ?? "";
  if (next === "=") return problem('One "=" means nothing here; compare with ==.', "==");
  if (next === "&" || next === "|") return problem(`Write ${next}${next} instead of a single ${next}.`, next + next);
  if (error.code === "unterminated_string") return problem("This text has no closing quotation mark.");
  if (offset >= text.trimEnd().length) return problem("The expression ends too early: something is missing here.");
  if (word !== "") return problem(`"${word}" can't stand here.`);
  return problem(`"${next}" can't stand here.`);
}

class Check {
  readonly problems: ExpressionProblem[] = [];
  private readonly ranges = new Map<Expression, Range>();
  private nodeCount = 0;
  private isTooLarge = false;

  constructor(
    private readonly text: string,
    private readonly environment: ExpressionEnvironment,
  ) {}

  /** Reads one node; what it can't accept becomes a problem and, to go on with, a value of type `any`. */
  read(node: ASTNode, depth: number): Typed {
    this.nodeCount += 1;
    if (this.isTooLarge || this.problems.length >= MAXIMUM_PROBLEMS) return UNKNOWN;
    if (depth > MAXIMUM_EXPRESSION_DEPTH || this.nodeCount > MAXIMUM_EXPRESSION_NODES) {
      this.isTooLarge = true;
      const limit =
        depth > MAXIMUM_EXPRESSION_DEPTH
          ? `is nested more than ${MAXIMUM_EXPRESSION_DEPTH} levels deep`
          : `has more than ${MAXIMUM_EXPRESSION_NODES} parts`;
      return this.refuse(node, "expression-too-large", `The expression ${limit}. ${SPLIT_IT}`);
    }
    const typed = this.readNode(node, depth);
    this.ranges.set(typed.expression, node);
    return typed;
  }

  checkRoot(root: Typed, node: ASTNode, expected: FactType | undefined): void {
    if (expected === undefined && root.type === "any") {
      const message = `The type of ${this.quote(node)} isn't declared, so it can't be used by itself. Declare it in model.yaml.`;
      this.refuse(node, "expression-wrong-type", message);
    } else if (expected !== undefined && !isSame(root.type, expected)) {
      const message = `${name(expected)} is needed here, and ${this.quote(node)} is ${name(root.type)}.`;
      this.refuse(node, "expression-wrong-type", capitalized(message));
    }
  }

  checkGuards(root: Expression): void {
    const always = new Set(["now", ...(this.environment.always ?? [])]);
    const found = unguardedNegations(root, always);
    for (const negation of new Set(found.map((each) => each.negation))) {
      const within = found.filter((each) => each.negation === negation);
      const comparison = within[0]!.comparison;
      const paths = [...new Set(within.flatMap((each) => each.paths))];
      const range = wholeRange(this.text, this.ranges.get(negation)!);
      const guard = paths.map((path) => `has(${path})`).join(" && ");
      const isMissing = `If ${paths.join(" or ")} is missing,`;
      const counts =
        comparison.op === "fact" ? "it counts as false" : `${this.quote(this.ranges.get(comparison)!)} is false`;
      const place = { offset: range.start, length: range.end - range.start };
      const code = "expression-missing-guard";
      if (negation.op === "not") {
        const message = `${isMissing} ${counts}, and the "!" makes that true. Ask for it with ${guard} && …, or let it count with !has(…) || ….`;
        const suggestion = `(${guard} && ${this.text.slice(range.start, range.end)})`;
        this.problems.push({ code, message, ...place, suggestion });
      } else {
        const message = `${isMissing} ${counts}, and ${this.quote(range)} can come out true for it. Ask for it first with ${guard} && ….`;
        this.problems.push({ code, message, ...place });
      }
    }
  }

  private readNode(node: ASTNode, depth: number): Typed {
    switch (node.op) {
      case "value":
        return this.literal(node, node.args);
      case "id":
      case ".":
        return this.fact(node);
      case "&&":
      case "||":
        return this.junction(node, depth);
      case "!_": {
        const of = this.condition(node.args, depth + 1);
        return { expression: { op: "not", of }, type: "bool" };
      }
      case "-_": {
        const { expression: of, type } = this.read(node.args, depth + 1);
        if (type !== "number" && type !== "duration" && type !== "any") {
          const message = `"-" needs a number or a duration, and ${this.quote(node.args)} is ${name(type)}.`;
          return this.refuse(node, "expression-wrong-type", message);
        }
        if (of.op === "literal" && typeof of.value === "number") {
          return { expression: { op: "literal", value: 0 - of.value }, type };
        }
        return { expression: { op: "negate", of }, type };
      }
      case "==":
      case "!=":
      case "<":
      case "<=":
      case ">":
      case ">=":
      case "in":
        return this.comparison(node, node.op, node.args, depth);
      case "+":
      case "-":
      case "*":
      case "/":
      case "%":
        return this.arithmetic(node, node.op, node.args, depth);
      case "?:":
        return this.conditional(node, node.args, depth);
      case "list":
        return this.list(node, node.args, depth);
      case "call":
        return this.call(node, node.args[0], node.args[1], depth);
      case "rcall":
        return this.method(node, node.args[0], node.args[1], node.args[2], depth);
      case "map":
        return this.refuse(node, "expression-not-allowed", "Maps { … } can't be used; compare the facts one by one.");
      default:
        return this.refuse(
          node,
          "expression-not-allowed",
          `${this.quote(node)} picks one element; ask whether a list holds a value with: "value" in list.`,
        );
    }
  }

  private literal(node: ASTNode, value: unknown): Typed {
    if (typeof value === "boolean") return { expression: { op: "literal", value }, type: "bool" };
    if (typeof value === "string") {
      if (/\p{Surrogate}/u.test(value))
        return this.refuse(
          node,
          "expression-bad-literal",
          "A text can't contain half of a character; no fact ever does.",
        );
      if (!value.includes("\0")) return { expression: { op: "literal", value }, type: "string" };
      return this.refuse(node, "expression-bad-literal", "A text can't contain the character NUL; no fact ever does.");
    }
    if (typeof value === "bigint" || typeof value === "number") {
      const number = Number(value);
      const magnitude = Math.abs(number);
      if (typeof value === "bigint" && !Number.isSafeInteger(number)) {
        const message = `${this.quote(node)} is too large a number; at most ${Number.MAX_SAFE_INTEGER} is exact.`;
        return this.refuse(node, "expression-bad-literal", message);
      }
      if (number !== 0 && (magnitude < SMALLEST_FACTOR || magnitude > LARGEST_FACTOR)) {
        const message = `${this.quote(node)} is out of range; numbers go from ${SMALLEST_FACTOR} to ${LARGEST_FACTOR}.`;
        return this.refuse(node, "expression-bad-literal", message);
      }
      return { expression: { op: "literal", value: number }, type: "number" };
    }
    if (value === null) {
      const message = "There is no null here: a fact is present or missing. Ask with has(…) or !has(…).";
      return this.refuse(node, "expression-not-allowed", message);
    }
    const message = `${this.quote(node)} isn't a number, text, true or false; write a number without "u" and a text without "b".`;
    return this.refuse(node, "expression-not-allowed", message);
  }

  private fact(node: ASTNode): Typed {
    const path = pathOf(node);
    if (path === undefined) {
      const message = `${this.quote(node)} isn't a fact; facts are names with dots, such as account.name.`;
      return this.refuse(node, "expression-not-allowed", message);
    }
    const type = this.typeOfFact(node, path);
    return type === undefined ? UNKNOWN : { expression: { op: "fact", path }, type };
  }

  /** The fact's type, or undefined with a problem reported. */
  private typeOfFact(node: ASTNode, path: string): CheckedType | undefined {
    const { facts, open = [] } = this.environment;
    if (Object.hasOwn(facts, path)) return facts[path]!;
    if (open.some((prefix) => path === prefix || path.startsWith(`${prefix}.`))) return "any";
    const declared = Object.keys(facts);
    const below = declared.filter((other) => other.startsWith(`${path}.`)).sort();
    const above = declared.find((other) => path.startsWith(`${other}.`));
    const nearest = nearestTo(path, [...declared, "true", "false"]);
    if (below.length > 0) {
      const some = below.slice(0, 3).join(", ") + (below.length > 3 ? ", …" : "");
      this.refuse(node, "expression-unknown-fact", `${path} is a group of facts; name one of them: ${some}.`);
    } else if (above !== undefined) {
      const message = `${above} is ${name(facts[above]!)} and has no fields.`;
      this.refuse(node, "expression-unknown-fact", message, above);
    } else if (nearest !== undefined) {
      this.refuse(node, "expression-unknown-fact", `There is no fact ${path}. Did you mean ${nearest}?`, nearest);
    } else {
      const message = `There is no fact ${path}. Facts are declared in model.yaml; a text needs quotation marks.`;
      this.refuse(node, "expression-unknown-fact", message);
    }
    return undefined;
  }

  /** `a && b && c` is one conjunction of three, however it was bracketed. */
  private junction(node: ASTNode & { op: "&&" | "||" }, depth: number): Typed {
    const parts: ASTNode[] = [];
    const pending: ASTNode[] = [node];
    while (pending.length > 0) {
      const next = pending.pop()!;
      if (next.op === node.op) pending.push((next.args as [ASTNode, ASTNode])[1], (next.args as [ASTNode, ASTNode])[0]);
      else parts.push(next);
    }
    const of = parts.map((part) => this.condition(part, depth + 1));
    return { expression: { op: node.op === "&&" ? "and" : "or", of }, type: "bool" };
  }

  /** A node that must be true or false. */
  private condition(node: ASTNode, depth: number): Expression {
    const { expression, type } = this.read(node, depth);
    if (type !== "bool" && type !== "any") {
      const message = `${this.quote(node)} is ${name(type)} where a condition is needed; compare it with something.`;
      this.refuse(node, "expression-wrong-type", message);
    }
    return expression;
  }

  private comparison(node: ASTNode, op: ComparisonOperator, [l, r]: [ASTNode, ASTNode], depth: number): Typed {
    const left = this.read(l, depth + 1);
    const right = this.read(r, depth + 1);
    const problem = this.comparisonProblem(op, { node: l, ...left }, { node: r, ...right });
    if (problem !== undefined) this.refuse(node, "expression-wrong-type", problem);
    return { expression: { op, left: left.expression, right: right.expression }, type: "bool" };
  }

  private comparisonProblem(
    op: ComparisonOperator,
    left: Typed & { node: ASTNode },
    right: Typed & { node: ASTNode },
  ): string | undefined {
    if (op === "in") {
      if (right.type === "any") return undefined;
      if (typeof right.type !== "object") {
        return `"in" looks into a list, and ${this.quote(right.node)} is ${name(right.type)}; write ["…", "…"], or contains() for a part of a text.`;
      }
      if (isSame(left.type, right.type.list)) return undefined;
      return `"in" can't find ${name(left.type)} (${this.quote(left.node)}) in ${name(right.type)} (${this.quote(right.node)}).`;
    }
    if (!isSame(left.type, right.type)) {
      const both = `"${op}" compares two of one type; ${this.quote(left.node)} is ${name(left.type)} and ${this.quote(right.node)} is ${name(right.type)}.`;
      return both + hint(left.type, right.type);
    }
    const type = left.type === "any" ? right.type : left.type;
    const isOrdered = type !== "bool" && typeof type !== "object";
    return op === "==" || op === "!=" || isOrdered
      ? undefined
      : `"${op}" needs numbers, texts, timestamps or durations; ${this.quote(left.node)} is ${name(type)}.`;
  }

  private arithmetic(node: ASTNode, op: ArithmeticOperator, [l, r]: [ASTNode, ASTNode], depth: number): Typed {
    const left = this.read(l, depth + 1);
    const right = this.read(r, depth + 1);
    const type = resultOf(op, left.type, right.type);
    if (type === undefined) {
      const message = `"${op}" can't take ${name(left.type)} (${this.quote(l)}) and ${name(right.type)} (${this.quote(r)}).`;
      return this.refuse(node, "expression-wrong-type", message + hint(left.type, right.type));
    }
    return { expression: { op, left: left.expression, right: right.expression }, type };
  }

  private conditional(node: ASTNode, [c, t, e]: [ASTNode, ASTNode, ASTNode], depth: number): Typed {
    const condition = this.condition(c, depth + 1);
    const whenTrue = this.read(t, depth + 1);
    const whenFalse = this.read(e, depth + 1);
    if (!isSame(whenTrue.type, whenFalse.type)) {
      const message = `Both sides of ":" must be of one type; ${this.quote(t)} is ${name(whenTrue.type)} and ${this.quote(e)} is ${name(whenFalse.type)}.`;
      return this.refuse(node, "expression-wrong-type", message);
    }
    const type = whenTrue.type === "any" ? whenFalse.type : whenTrue.type;
    return { expression: { op: "if", condition, then: whenTrue.expression, else: whenFalse.expression }, type };
  }

  private list(node: ASTNode, elements: ASTNode[], depth: number): Typed {
    if (elements.length === 0) {
      const message = "An empty list [] holds nothing to compare; ask size(list) == 0 instead.";
      return this.refuse(node, "expression-not-allowed", message);
    }
    const typed = elements.map((element) => this.read(element, depth + 1));
    const first = typed.find(({ type }) => type !== "any")?.type ?? "any";
    const odd = typed.findIndex(
      ({ type, expression }) =>
        !isSame(type, first) || typeof type === "object" || (type === "any" && expression.op === "fact"),
    );
    if (odd >= 0) {
      const message = `A list holds values of one simple type; ${this.quote(elements[odd]!)} is ${name(typed[odd]!.type)}.`;
      return this.refuse(elements[odd]!, "expression-wrong-type", message);
    }
    const expression: Expression = { op: "list", of: typed.map((element) => element.expression) };
    return { expression, type: first === "any" ? "any" : { list: first } };
  }

  private call(node: ASTNode, called: string, given: ASTNode[], depth: number): Typed {
    switch (called) {
      case "has":
        return this.has(node, given);
      case "timestamp":
      case "duration":
        return this.instantOrDuration(node, called, given);
      case "size":
        return this.size(node, given, depth);
      default:
        return this.unknownFunction(node, called);
    }
  }

  private method(node: ASTNode, called: string, subject: ASTNode, given: ASTNode[], depth: number): Typed {
    if (called === "size") return this.size(node, [subject, ...given], depth);
    if (called !== "contains" && called !== "startsWith" && called !== "endsWith") {
      return this.unknownFunction(node, called);
    }
    if (given.length !== 1) {
      return this.refuse(node, "expression-wrong-type", `${called}() takes exactly one text: name.${called}("…").`);
    }
    const parts = [subject, given[0]!].map((part) => ({ part, ...this.read(part, depth + 1) }));
    const wrong = parts.find(({ type }) => type !== "string" && type !== "any");
    if (wrong !== undefined) {
      const inList = typeof wrong.type === "object" ? ' For a list write: "value" in list.' : "";
      const message = `${called}() needs texts, and ${this.quote(wrong.part)} is ${name(wrong.type)}.${inList}`;
      return this.refuse(node, "expression-wrong-type", message);
    }
    return this.made(called, parts, "bool");
  }

  private has(node: ASTNode, given: ASTNode[]): Typed {
    const path = given.length === 1 ? pathOf(given[0]!) : undefined;
    if (path === undefined) {
      const message = "has() takes exactly one fact, such as has(account.renewed_at).";
      return this.refuse(node, "expression-wrong-type", message);
    }
    const isKnown = this.typeOfFact(given[0]!, path) !== undefined;
    return isKnown ? { expression: { op: "has", path }, type: "bool" } : { ...UNKNOWN, type: "bool" };
  }

  private size(node: ASTNode, given: ASTNode[], depth: number): Typed {
    if (given.length !== 1) {
      return this.refuse(node, "expression-wrong-type", "size() takes exactly one text or list.");
    }
    const subject = this.read(given[0]!, depth + 1);
    if (subject.type !== "string" && subject.type !== "any" && typeof subject.type !== "object") {
      const message = `size() needs a text or a list, and ${this.quote(given[0]!)} is ${name(subject.type)}.`;
      return this.refuse(node, "expression-wrong-type", message);
    }
    return this.made("size", [subject], "number");
  }

  private instantOrDuration(node: ASTNode, called: "timestamp" | "duration", given: ASTNode[]): Typed {
    const text = given.length === 1 && given[0]!.op === "value" ? given[0]!.args : undefined;
    const example = called === "timestamp" ? '"2026-03-02T09:00:00Z"' : '"36h"';
    if (typeof text !== "string") {
      const message = `${called}() takes one written text, such as ${called}(${example}); a fact is declared as a ${called} in model.yaml.`;
      return this.refuse(node, "expression-wrong-type", message);
    }
    const value = called === "timestamp" ? epochMsOf(text) : durationMsOf(text);
    if (value === undefined) {
      const rule =
        called === "timestamp"
          ? `write the date, the time and the zone: timestamp(${example})`
          : `write amounts of d (24 hours), h, m, s or ms: duration(${example}) or duration("1h30m"); working days and months depend on a calendar and can't be used here`;
      return this.refuse(given[0]!, "expression-bad-literal", `${this.quote(given[0]!)} isn't a ${called}; ${rule}.`);
    }
    return { expression: { op: "literal", value }, type: called };
  }

  private unknownFunction(node: ASTNode, called: string): Typed {
    return this.refuse(node, "expression-not-allowed", REFUSED_FUNCTIONS.get(called) ?? noSuchFunction(called));
  }

  private made(called: FunctionName, parts: readonly Typed[], type: FactType): Typed {
    return { expression: { op: "call", name: called, of: parts.map(({ expression }) => expression) }, type };
  }

  private refuse(node: Range, code: ExpressionProblemCode, message: string, suggestion?: string): Typed {
    const range = wholeRange(this.text, node);
    const place = { offset: range.start, length: range.end - range.start };
    this.problems.push({ code, message, ...place, ...(suggestion === undefined ? {} : { suggestion }) });
    return UNKNOWN;
  }

  /** The author's own words, shortened: they stand in a sentence. */
  private quote(node: Range): string {
    const range = wholeRange(this.text, node);
    const words = this.text.slice(range.start, range.end).replace(/\s+/g, " ");
    return words.length > 60 ? `${words.slice(0, 57)}…` : words;
  }
}

/** cel-js leaves out brackets at the edges of a node (`!(a == b` for `!(a == b)`); this takes their other halves in. */
function wholeRange(text: string, { start, end }: Range): Range {
  let unclosed = 0;
  let unopened = 0;
  for (const [token] of text.slice(start, end).matchAll(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[()]/g)) {
    if (token === "(") unclosed += 1;
    else if (token === ")" && unclosed > 0) unclosed -= 1;
    else if (token === ")") unopened += 1;
  }
  const after = new RegExp(`^(\\s*\\)){${unclosed}}`).exec(text.slice(end));
  const before = new RegExp(`(\\(\\s*){${unopened}}$`).exec(text.slice(0, start));
  return { start: start - (before?.[0].length ?? 0), end: end + (after?.[0].length ?? 0) };
}

/** Stands for what was refused; never part of a result. */
const UNKNOWN: Typed = { expression: { op: "literal", value: false }, type: "any" };

const REFUSED_FUNCTIONS = new Map([
  [
    "matches",
    "Regular expressions can't be used: one bad pattern could hold up every run. Use contains(), startsWith() or endsWith().",
  ],
  ...["all", "exists", "exists_one", "map", "filter"].map((macro): [string, string] => [
    macro,
    `${macro}() goes through a list, which expressions can't do. Ask with "value" in list, or declare a metric in model.yaml.`,
  ]),
]);

function noSuchFunction(called: string): string {
  return `There is no function ${called}(). There are has, size, contains, startsWith, endsWith, timestamp and duration.`;
}

/** The dotted path of `a.b.c`, undefined when the node is anything else. */
function pathOf(node: ASTNode): string | undefined {
  const names: string[] = [];
  let next = node;
  while (next.op === ".") {
    names.unshift(next.args[1]);
    next = next.args[0];
  }
  return next.op === "id" ? [next.args, ...names].join(".") : undefined;
}

function isSame(left: CheckedType, right: CheckedType): boolean {
  if (left === "any" || right === "any") return true;
  return typeof left === "object" && typeof right === "object" ? isSame(left.list, right.list) : left === right;
}

/** What the operator makes of two types, undefined when it takes none such. */
function resultOf(op: ArithmeticOperator, left: CheckedType, right: CheckedType): CheckedType | undefined {
  const known = RESULTS[op].filter(([l, r]) => isSame(left, l) && isSame(right, r)).map(([, , result]) => result);
  return known.length > 1 && new Set(known).size > 1 ? "any" : known[0];
}

type Result = readonly [left: FactType, right: FactType, result: FactType];
const NUMBERS: Result = ["number", "number", "number"];
const RESULTS: Record<ArithmeticOperator, readonly Result[]> = {
  "+": [
    NUMBERS,
    ["string", "string", "string"],
    ["timestamp", "duration", "timestamp"],
    ["duration", "timestamp", "timestamp"],
    ["duration", "duration", "duration"],
  ],
  "-": [
    NUMBERS,
    ["timestamp", "timestamp", "duration"],
    ["timestamp", "duration", "timestamp"],
    ["duration", "duration", "duration"],
  ],
  "*": [NUMBERS],
  "/": [NUMBERS],
  "%": [NUMBERS],
};

function name(type: CheckedType): string {
  if (typeof type === "object") return `a list of ${PLURALS[type.list as string] ?? "lists"}`;
  return NAMES[type];
}

const NAMES: Record<Exclude<CheckedType, object>, string> = {
  bool: "true or false",
  number: "a number",
  string: "a text",
  timestamp: "a timestamp",
  duration: "a duration",
  any: "of no declared type",
};
const PLURALS: Record<string, string> = {
  bool: "true or false",
  number: "numbers",
  string: "texts",
  timestamp: "timestamps",
  duration: "durations",
};

/** How to bring two types together, as a sentence to append; empty where there is no usual way. */
function hint(left: CheckedType, right: CheckedType): string {
  const types = [left, right];
  if (types.includes("timestamp") && types.includes("string")) {
    return ' Write the instant as timestamp("2026-03-02T09:00:00Z").';
  }
  if (types.includes("duration") && (types.includes("number") || types.includes("string"))) {
    return ' Write the span as duration("36h").';
  }
  if (types.includes("timestamp") && types.includes("number")) return ' Write a span of time as duration("36h").';
  if (types.includes("number") && types.includes("string")) return " A number is written without quotation marks.";
  if (types.includes("bool") && types.includes("string")) return " true and false are written without quotation marks.";
  return "";
}

function capitalized(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

/** Epoch milliseconds of an RFC 3339 instant; undefined when it isn't one, or names a day or time that doesn't exist. */
function epochMsOf(text: string): number | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,3}))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (match === null) return undefined;
  const [, local, fraction = "", zone] = match;
  const localMs = Date.parse(`${local}Z`);
  // Date.parse takes 30 February for 2 March; what it really understood is read back.
  if (Number.isNaN(localMs) || new Date(localMs).toISOString().slice(0, 19) !== local) return undefined;
  const instant = Date.parse(`${local}.${fraction.padEnd(3, "0")}${zone}`);
  return Number.isNaN(instant) ? undefined : instant;
}

/** Milliseconds of CEL's duration form, with `d` for 24 hours besides; undefined when it isn't one. */
function durationMsOf(text: string): number | undefined {
  if (!/^[+-]?(\d{1,9}(\.\d{1,3})?(d|h|ms|m|s))+$/.test(text)) return undefined;
  const milliseconds = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(d|h|ms|m|s)/g)) {
    total += Number(amount) * milliseconds[unit as keyof typeof milliseconds];
  }
  return Math.round(text.startsWith("-") ? -total : total);
}

/** The closest name, if it is close enough to be a slip; a last part alone (`touch_model`) finds its whole path. */
function nearestTo(path: string, candidates: readonly string[]): string | undefined {
  const lastPart = path.slice(path.lastIndexOf(".") + 1);
  const limit = Math.min(CLOSEST_DISTANCE, 1 + Math.floor(lastPart.length / 3));
  let best: { candidate: string; distance: number } | undefined;
  for (const candidate of candidates) {
    const last = candidate.slice(candidate.lastIndexOf(".") + 1);
    const distance = Math.min(
      distanceBetween(path.toLowerCase(), candidate.toLowerCase()),
      path.includes(".") || last === candidate ? Number.POSITIVE_INFINITY : distanceBetween(path, last) + 1,
    );
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { candidate, distance };
  }
  return best?.candidate;
}

/** Levenshtein's distance, given up early (as infinite) when the lengths alone are too far apart. */
function distanceBetween(left: string, right: string): number {
  if (Math.abs(left.length - right.length) > CLOSEST_DISTANCE) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const substituted = row[j - 1]! + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[right.length]!;
}
