import * as z from "zod";
import { nearest, suggestion } from "./nearest.js";
import type { Problem, YamlPath, YamlValue } from "./read-yaml.js";

/** A problem of form, before it is known where in the file it stands. */
export interface FormIssue extends Problem {
  readonly path: YamlPath;
  readonly at: "key" | "value";
}

/**
 * The value as the schema gives it, and all that is wrong with its form. What is wrong or missing is stood in for by something of the right
 * form, at the paths of `mended`, so that the rest can be looked at: such a value may not be used, and nothing may be said about those places.
 */
export interface Form<T> {
  readonly ok: boolean;
  readonly value: T;
  readonly issues: readonly FormIssue[];
  readonly mended: readonly YamlPath[];
}

/** Places of a file that have no good form, and were mended to look at the others. */
export class MendedPlaces {
  private readonly keys: Set<string>;

  constructor(paths: readonly YamlPath[]) {
    this.keys = new Set(paths.map((path) => JSON.stringify(path)));
  }

  add(path: YamlPath): void {
    this.keys.add(JSON.stringify(path));
  }

  /** Whether the place is one of them, or inside one. */
  covers(path: YamlPath): boolean {
    return this.keys.size > 0 && path.some((_, index) => this.keys.has(JSON.stringify(path.slice(0, index + 1))));
  }
}

/** Holds plain YAML data to a schema; zod's findings in words for authors, with the nearest match for unknown keys. */
export function checkForm<S extends z.ZodType>(schema: S, value: YamlValue): Form<z.output<S>> {
  const result = schema.safeParse(value);
  if (result.success) return { ok: true, value: result.data, issues: [], mended: [] };
  const mended: YamlPath[] = [];
  return {
    ok: false,
    value: mend(schema, value, [], mended) as z.output<S>,
    issues: result.error.issues.flatMap((issue) => formIssues(issue, schema, value)),
    mended,
  };
}

/** A text that `parse` understands; `undefined` from it, or something else than a text, is refused with `message` and `hint`. */
export function parsedText<T>(code: string, parse: (text: string) => T | undefined, what: string, hint: string) {
  return z.unknown().transform((value, context): T => {
    const parsed = typeof value === "string" ? parse(value) : undefined;
    if (parsed !== undefined) return parsed;
    refuse(context, isNothing(value) ?? { code, message: `${shown(value as YamlValue)} is not ${what}.`, hint });
    return z.NEVER;
  });
}

/** Either of two schemas, chosen by the look of the value, so that only the meant one's problems are told. */
export function byForm<A extends z.ZodType, B extends z.ZodType>(
  isFirst: (value: unknown) => boolean,
  first: A,
  second: B,
) {
  const chosen = (value: unknown) => (isFirst(value) ? first : second);
  const schema = z.unknown().transform((value, context): z.output<A> | z.output<B> => {
    const form = checkForm(chosen(value), value as YamlValue);
    if (form.ok) return form.value as z.output<A> | z.output<B>;
    for (const { path, ...issue } of form.issues) refuse(context, issue, path);
    return z.NEVER;
  });
  CHOICES.set(schema, chosen);
  return schema;
}

/** What `byForm` chooses between, for those that walk through a schema. */
const CHOICES = new WeakMap<z.ZodType, (value: unknown) => z.ZodType>();

/** The problem if there is no value at all; the message is completed with its name. */
export function isNothing(value: unknown): Problem | undefined {
  if (value === undefined) return { code: "WP102", message: "This is missing." };
  return value === null ? { code: "WP102", message: "This has no value.", hint: NO_VALUE } : undefined;
}

/** A check of a whole object that came out well in itself. */
export function refuse(
  context: z.RefinementCtx,
  problem: Problem & { at?: "key" | "value" },
  path: YamlPath = [],
): void {
  context.addIssue({ code: "custom", message: problem.message, path: [...path], params: { problem } });
}

type ZodIssue = z.core.$ZodIssue;

function formIssues(issue: ZodIssue, schema: z.ZodType, root: YamlValue): FormIssue[] {
  const path = issue.path as (string | number)[];
  const key = path.at(-1);
  const quoted = key === undefined ? "This" : typeof key === "number" ? `Item ${key + 1}` : `"${key}"`;
  const value = valueAt(root, path);
  const wrong = (message: string, hint?: string, code = "WP103"): FormIssue[] => [
    { code, message, path, at: "value", ...(hint === undefined ? {} : { hint }) },
  ];
  switch (issue.code) {
    case "custom": {
      const problem = issue.params?.["problem"] as (Problem & { at?: "key" | "value" }) | undefined;
      // Written where the name wasn't known.
      const message = (problem?.message ?? issue.message).replace(/^This(?= (is missing|has|must|can't)\b)/, quoted);
      return [{ code: "WP103", ...problem, message, path, at: problem?.at ?? "value" }];
    }
    case "unrecognized_keys":
      return issue.keys.map((unknown) => {
        const isWord = valueAt(value ?? null, [unknown]) === null;
        const hint = isWord ? IN_QUOTES : suggestion(unknown, Object.keys(shapeAt(schema, path) ?? {}));
        const where = key === undefined || typeof key === "number" ? "here" : `in "${key}"`;
        const message = `There is no key "${unknown}" ${where}.`;
        return { code: "WP101", message, path: [...path, unknown], at: "key", ...(hint === undefined ? {} : { hint }) };
      });
    case "invalid_type":
      if (value === undefined) return [{ code: "WP102", message: `${quoted} is missing.`, path, at: "key" }];
      if (value === null) {
        return wrong(`${quoted} has no value.`, NO_VALUE, "WP102");
      }
      return wrong(
        `${quoted} must be ${NAMES[issue.expected] ?? issue.expected}, not ${nameOf(value)}.`,
        hintFor(issue.expected),
      );
    case "invalid_value": {
      if (value === undefined) return [{ code: "WP102", message: `${quoted} is missing.`, path, at: "key" }];
      const allowed = issue.values.map(String);
      return wrong(`${quoted} can't be ${shown(value)}.`, suggestion(String(value), allowed) ?? `Write ${allowed[0]}.`);
    }
    case "too_big":
      return wrong(`${quoted} ${sizeWord(issue.origin, "at most", issue.maximum)}.`, undefined, "WP108");
    case "too_small":
      return wrong(
        `${quoted} ${sizeWord(issue.origin, issue.inclusive ? "at least" : "more than", issue.minimum)}.`,
        undefined,
        "WP108",
      );
    case "invalid_key": {
      const hint = issue.issues[0]?.message;
      return [
        {
          code: "WP107",
          message: `"${String(key)}" can't be a name here.`,
          path,
          at: "key",
          ...(hint === undefined ? {} : { hint }),
        },
      ];
    }
    case "invalid_format":
      return wrong(`${quoted} can't be ${shown(value)}.`, issue.message, "WP107");
    case "invalid_union":
      return wrong(`${quoted} must be a text, a number, true or false, not ${nameOf(value ?? null)}.`);
    default:
      return wrong(`${quoted}: ${issue.message}.`);
  }
}

const NO_VALUE = 'If it was meant to begin with # or be empty, put it in quotation marks: "".';
const IN_QUOTES = "If it belongs to the text before it, put the whole text in quotation marks.";

const NAMES: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a map of keys and values",
  record: "a map of names",
};

function nameOf(value: YamlValue): string {
  if (value === null) return "empty";
  if (typeof value === "object") return Array.isArray(value) ? "a list" : "a map";
  return typeof value === "string" ? `the text ${shown(value)}` : shown(value);
}

function shown(value: YamlValue | undefined): string {
  if (typeof value === "object") return value === null ? "Nothing" : nameOf(value).replace("a", "A");
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function hintFor(expected: string): string | undefined {
  if (expected === "string") return "Put it in quotation marks if it is meant as a text.";
  if (expected === "array") return 'A list is written "[a, b]", or one item a line behind "- ".';
  return undefined;
}

function sizeWord(origin: string, bound: string, size: number | bigint): string {
  if (origin === "string") return `must have ${bound} ${size} character${size === 1 ? "" : "s"}`;
  if (origin === "array") return `must have ${bound} ${size} item${size === 1 ? "" : "s"}`;
  if (origin === "record" || origin === "object") return `must have ${bound} ${size} entr${size === 1 ? "y" : "ies"}`;
  return `must be ${bound} ${size}`;
}

function valueAt(root: YamlValue, path: YamlPath): YamlValue | undefined {
  let value: YamlValue | undefined = root;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string | number, YamlValue>)[key];
  }
  return value;
}

/** The value with every part that has no good form replaced by one that has; their paths are added to `mended`. */
function mend(schema: z.ZodType, value: YamlValue | undefined, at: YamlPath, mended: YamlPath[]): unknown {
  const whole = schema.safeParse(value);
  if (whole.success) return whole.data;
  const inner = innermost(schema, value);
  if (inner instanceof z.ZodObject && isMap(value)) return mendMap(inner, value, at, mended);
  if (inner instanceof z.ZodArray && Array.isArray(value)) {
    const each = inner.element as z.ZodType;
    return (value as readonly YamlValue[]).map((item, index) => mend(each, item, [...at, index], mended));
  }
  if (inner instanceof z.ZodRecord && isMap(value)) {
    const entries = Object.entries(value).map(([key, item]) => {
      if (!(inner.keyType as z.ZodType).safeParse(key).success) mended.push([...at, key]);
      return [key, mend(inner.valueType as z.ZodType, item, [...at, key], mended)];
    });
    return Object.fromEntries(entries);
  }
  mended.push(at);
  return standIn(inner);
}

function mendMap(schema: z.ZodObject, value: RawMap, at: YamlPath, mended: YamlPath[]): unknown {
  const shape = schema.shape as Readonly<Record<string, z.ZodType>>;
  const unknown = Object.keys(value).filter((key) => !Object.hasOwn(shape, key));
  const entries = Object.entries(shape).map(([key, part]) => {
    if (Object.hasOwn(value, key)) return [key, mend(part, value[key], [...at, key], mended)];
    const absent = part.safeParse(undefined);
    const isMisspelt = unknown.some((word) => nearest(word, Object.keys(shape)) === key);
    if (absent.success && !isMisspelt) return [key, absent.data];
    mended.push([...at, key]);
    return [key, standIn(innermost(part, undefined))];
  });
  return Object.fromEntries(entries.filter(([, part]) => part !== undefined));
}

/** Something of the schema's form, the least there is. */
function standIn(schema: z.ZodType): unknown {
  if (schema instanceof z.ZodObject) return mendMap(schema, {}, [], []);
  if (schema instanceof z.ZodArray) return [];
  if (schema instanceof z.ZodRecord) return {};
  if (schema instanceof z.ZodEnum) return schema.options[0];
  for (const candidate of STAND_INS) {
    const taken = schema.safeParse(candidate);
    if (taken.success) return taken.data;
  }
  return undefined;
}

/** One of them fits every word, number and small form of the language. */
const STAND_INS: readonly unknown[] = [
  "unreadable",
  "1d",
  "09:00",
  "09:00-17:00",
  "csm",
  "now",
  "a.b",
  "a@b.example",
  "b.example",
  "#unreadable",
  "EUR",
  "a - b",
  "0 9 1 * *",
  1,
  0,
  true,
  "done",
  null,
  {},
  [],
];

type RawMap = Readonly<Record<string, YamlValue>>;

function isMap(value: YamlValue | undefined): value is RawMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The schema without what says that it may be absent, and the chosen one of two forms. */
function innermost(schema: z.ZodType, value: YamlValue | undefined): z.ZodType {
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable
  ) {
    return innermost(schema.def.innerType as z.ZodType, value);
  }
  const chosen = CHOICES.get(schema);
  return chosen === undefined ? schema : innermost(chosen(value), value);
}

/** The keys that the schema knows at the path, for the nearest match. */
function shapeAt(schema: z.ZodType, path: YamlPath): Readonly<Record<string, z.ZodType>> | undefined {
  let at: z.ZodType | undefined = schema;
  for (const key of [...path, undefined]) {
    while (
      at instanceof z.ZodOptional ||
      at instanceof z.ZodDefault ||
      at instanceof z.ZodPrefault ||
      at instanceof z.ZodNullable
    ) {
      at = at.def.innerType as z.ZodType;
    }
    if (key === undefined) break;
    if (at instanceof z.ZodObject) at = (at.shape as Record<string, z.ZodType>)[key];
    else if (at instanceof z.ZodArray) at = at.element as z.ZodType;
    else if (at instanceof z.ZodRecord) at = at.valueType as z.ZodType;
    else return undefined;
  }
  return at instanceof z.ZodObject ? (at.shape as Record<string, z.ZodType>) : undefined;
}
