/**
 * A condition or value of a playbook as a checked tree: plain JSON, small, without positions, so that it travels inside
 * a plan. `playbook/check-expression.ts` is the only place that makes one from text; what is in here is well typed.
 *
 * Instants and durations are numbers (epoch milliseconds UTC, milliseconds), and their literals are already computed.
 */
export type Expression =
  | { readonly op: "literal"; readonly value: boolean | number | string }
  | { readonly op: "fact"; readonly path: string }
  | { readonly op: "has"; readonly path: string }
  | { readonly op: "not" | "negate"; readonly of: Expression }
  | { readonly op: "and" | "or"; readonly of: readonly Expression[] }
  /** At least one element. */
  | { readonly op: "list"; readonly of: readonly Expression[] }
  | Comparison
  | Arithmetic
  | { readonly op: "if"; readonly condition: Expression; readonly then: Expression; readonly else: Expression }
  | { readonly op: "call"; readonly name: FunctionName; readonly of: readonly Expression[] };

/** Two values compared: true or false, false if either is absent. */
export type Comparison = { readonly op: ComparisonOperator; readonly left: Expression; readonly right: Expression };

/** Two values computed with: absent if either is absent. */
export type Arithmetic = { readonly op: ArithmeticOperator; readonly left: Expression; readonly right: Expression };

/** The operators that compare two values; absent on either side makes every one of them false, `!=` too. */
export type ComparisonOperator = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in";

/** The operators that compute; absent on either side makes the result absent. `/` never drops the fraction. */
export type ArithmeticOperator = "+" | "-" | "*" | "/" | "%";

/** The whole set of functions. `size` counts characters or elements; the others ask about a string's parts. */
export type FunctionName = "size" | "contains" | "startsWith" | "endsWith";

/** What a fact or an expression is declared to be. */
export type FactType = "bool" | "number" | "string" | "timestamp" | "duration" | { readonly list: FactType };

/**
 * A fact's value at run time. Every number is a double; a timestamp is epoch milliseconds UTC, a duration milliseconds.
 * A fact that is missing is `undefined`, never null.
 */
export type FactValue = boolean | number | string | readonly FactValue[];

/**
 * The fact's value, or `undefined` when it is absent. Must be pure, as one decision may ask more than once, and look at
 * own properties only: below an open prefix an author may write any name, `constructor` too.
 */
export type FactLookup = (path: string) => FactValue | undefined;

/**
 * The bounds of a number that takes part in `*` and `/`, and of a product or quotient: 0, or a magnitude from 1e-100 to
 * 1e100; beyond, the result is absent. Postgres raises an error where a double overflows or underflows, and inside these
 * bounds it can do neither.
 */
export const SMALLEST_FACTOR = 1e-100;
export const LARGEST_FACTOR = 1e100;

/** `%` works on whole numbers below this magnitude, beyond which Postgres' `numeric` would round a double. */
export const LARGEST_REMAINDER_OPERAND = 1e15;
