import type { Arithmetic, Comparison, Expression, FactType } from "./expression.js";
import { LARGEST_FACTOR, LARGEST_REMAINDER_OPERAND, SMALLEST_FACTOR } from "./expression.js";

/**
 * A fact as Postgres sees it. `sql` is a column or something in brackets, NULL where the fact is absent, and of the
 * SQL type that `type` stands for: bool → boolean, number → double precision, string → text, timestamp → double
 * precision (epoch milliseconds), duration → double precision (milliseconds), a list → an array of these without NULLs.
 */
export interface SqlFact {
  readonly sql: string;
  readonly type: FactType;
}

/** An SQL expression with its parameters in order; `text` names them `$1`, `$2`, … from the first that was asked for. */
export interface SqlExpression {
  readonly text: string;
  readonly parameters: readonly (number | string)[];
}

/**
 * The expression in Postgres' SQL, with exactly the meaning of `evaluate`: a condition is true or false and never NULL,
 * any other value is NULL where it is absent. Everything an author wrote becomes a parameter, so nothing needs escaping.
 * `firstParameter` is the number of the first one, for a caller who has parameters of its own before it (default 1).
 * The expression must have been checked against declared facts only, of the types that `column` gives; a fact that
 * `column` doesn't know is its caller's error: let it throw.
 */
export function toSql(expression: Expression, column: (path: string) => SqlFact, firstParameter = 1): SqlExpression {
  const parameters: (number | string)[] = [];
  const writer: Writer = {
    column,
    parameter(value, cast) {
      parameters.push(value);
      return `$${firstParameter + parameters.length - 1}::${cast}`;
    },
  };
  const text = kindOf(expression, writer) === "boolean" ? condition(expression, writer) : value(expression, writer);
  return { text, parameters };
}

interface Writer {
  readonly column: (path: string) => SqlFact;
  /** Adds a parameter and gives the SQL that reads it. */
  readonly parameter: (value: number | string, cast: SqlKind) => string;
}

type SqlKind = "boolean" | "double precision" | "text" | `${"boolean" | "double precision" | "text"}[]`;

/** SQL that is never NULL: where a condition is needed, absent counts as false. */
function condition(expression: Expression, writer: Writer): string {
  switch (expression.op) {
    case "not":
      return `(not ${condition(expression.of, writer)})`;
    case "and":
    case "or":
      return `(${expression.of.map((part) => condition(part, writer)).join(` ${expression.op} `)})`;
    case "if":
      return choice(expression, writer, condition);
    case "fact":
      return `coalesce(${value(expression, writer)}, false)`;
    default:
      return value(expression, writer);
  }
}

/** SQL that is NULL where the value is absent. */
function value(expression: Expression, writer: Writer): string {
  switch (expression.op) {
    case "literal":
      return typeof expression.value === "boolean"
        ? String(expression.value)
        : writer.parameter(expression.value, kindOfLiteral(expression.value));
    case "fact":
      return writer.column(expression.path).sql;
    case "has":
      return `(${writer.column(expression.path).sql} is not null)`;
    case "not":
    case "and":
    case "or":
      return condition(expression, writer);
    case "if":
      return choice(expression, writer, value);
    case "negate":
      return `(- ${value(expression.of, writer)})`;
    case "list":
      return list(expression.of, writer);
    case "call":
      return call(expression, writer);
    case "==":
    case "!=":
    case "<":
    case "<=":
    case ">":
    case ">=":
    case "in":
      return `coalesce(${comparison(expression, writer)}, false)`;
    default:
      return arithmetic(expression, writer);
  }
}

function choice(
  expression: Extract<Expression, { op: "if" }>,
  writer: Writer,
  branch: (expression: Expression, writer: Writer) => string,
): string {
  const when = condition(expression.condition, writer);
  return `(case when ${when} then ${branch(expression.then, writer)} else ${branch(expression.else, writer)} end)`;
}

/** NULL as a whole where an element is, as in `evaluate`; an author's literals can't be absent. */
function list(elements: readonly Expression[], writer: Writer): string {
  const array = `array[${elements.map((element) => value(element, writer)).join(", ")}]`;
  if (elements.every((element) => element.op === "literal")) return array;
  return `(select case when array_position(v, null) is null then v end from (select ${array} as v offset 0) as elements)`;
}

function call(expression: Extract<Expression, { op: "call" }>, writer: Writer): string {
  const [first, second] = expression.of;
  const subject = value(first!, writer);
  if (expression.name === "size") {
    const count = kindOf(first!, writer) === "text" ? "char_length" : "cardinality";
    return `${count}(${subject})::double precision`;
  }
  const part = value(second!, writer);
  switch (expression.name) {
    case "contains":
      return `coalesce(strpos(${subject}, ${part}) > 0, false)`;
    case "startsWith":
      return `coalesce(starts_with(${subject}, ${part}), false)`;
    case "endsWith":
      // Reversed, so that neither side has to be written twice.
      return `coalesce(starts_with(reverse(${subject}), reverse(${part})), false)`;
  }
}

function comparison(expression: Comparison, writer: Writer): string {
  const { left, op, right } = expression;
  const leftSql = value(left, writer);
  if (op === "in" && right.op === "list") {
    return `${leftSql} in (${right.of.map((element) => value(element, writer)).join(", ")})`;
  }
  const rightSql = value(right, writer);
  if (op === "in") return `${leftSql} = any(${rightSql})`;
  if (op === "==") return `${leftSql} = ${rightSql}`;
  if (op === "!=") return `${leftSql} <> ${rightSql}`;
  // Code point order, whatever the database's own collation.
  return kindOf(left, writer) === "text" ? `${leftSql} collate "C" ${op} ${rightSql}` : `${leftSql} ${op} ${rightSql}`;
}

function arithmetic(expression: Arithmetic, writer: Writer): string {
  const { op } = expression;
  const left = value(expression.left, writer);
  const right = value(expression.right, writer);
  if (op === "+" && kindOf(expression, writer) === "text") return `(${left} || ${right})`;
  if (op === "+" || op === "-") return `(${left} ${op} ${right})`;
  // The operands are needed more than once: named in a subquery, they are written once, and `offset 0` keeps Postgres
  // from putting them back in, which would double the query with every level of brackets.
  const operands = `from (select ${left} as l, ${right} as r offset 0) as operands`;
  if (op === "%") {
    const isOperand = (name: string) => `${name} = trunc(${name}) and abs(${name}) < ${LARGEST_REMAINDER_OPERAND}`;
    return `(select case when ${isOperand("l")} and ${isOperand("r")} then mod(l::numeric, nullif(r, 0)::numeric)::double precision end ${operands})`;
  }
  const isFactor = (sql: string) => `(${sql} = 0 or abs(${sql}) between ${SMALLEST_FACTOR} and ${LARGEST_FACTOR})`;
  const result = op === "*" ? "l * r" : "l / nullif(r, 0)";
  return `(select case when ${isFactor("l")} and ${isFactor("r")} then case when ${isFactor(`(${result})`)} then ${result} end end ${operands})`;
}

/** The SQL type of the value; instants and durations are numbers. */
function kindOf(expression: Expression, writer: Writer): SqlKind {
  switch (expression.op) {
    case "literal":
      return kindOfLiteral(expression.value);
    case "fact":
      return kindOfType(writer.column(expression.path).type);
    case "if":
      return kindOf(expression.then, writer);
    case "list":
      return `${kindOf(expression.of[0]!, writer)}[]` as SqlKind;
    case "call":
      return expression.name === "size" ? "double precision" : "boolean";
    case "+":
      return kindOf(expression.left, writer);
    case "negate":
    case "-":
    case "*":
    case "/":
    case "%":
      return "double precision";
    default:
      return "boolean";
  }
}

function kindOfLiteral(literal: boolean | number | string): SqlKind {
  if (typeof literal === "boolean") return "boolean";
  return typeof literal === "string" ? "text" : "double precision";
}

function kindOfType(type: FactType): SqlKind {
  switch (type) {
    case "bool":
      return "boolean";
    case "string":
      return "text";
    case "number":
    case "timestamp":
    case "duration":
      return "double precision";
    default:
      return `${kindOfType(type.list)}[]` as SqlKind;
  }
}
