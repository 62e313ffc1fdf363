import { defaultOperators, Liquid as LiquidEngine, type Template } from "liquidjs";
import { TextFault, type Variables } from "../../ports/composer.js";
import { isCurrency } from "../../values/currency.js";
import { isZone } from "../../values/zone.js";

/** In whose language and zone dates and numbers are written. */
export interface LiquidStyle {
  readonly locale: string;
  readonly timezone: string;
}

export interface Liquid {
  /** The source with its placeholders filled in. `firstLine`: where it begins in its file. Throws `TextFault`. */
  render(source: string, variables: Variables, style: LiquidStyle, firstLine: number): string;
  /** The paths it mentions, whether or not a branch reaches them. Throws `TextFault`. */
  references(source: string, firstLine: number): readonly string[];
}

/**
 * Liquid as templates and texts may use it: a missing variable is an error unless `default` or an `if` guards it, every
 * value goes through `escape`, and there is no way round that: no `raw`, no capture, no other files, no clock.
 */
export function createLiquid(escape: (text: string) => string): Liquid {
  const engine = new LiquidEngine({
    strictVariables: true,
    strictFilters: true,
    lenientIf: true,
    ownPropertyOnly: true,
    outputEscape: (value: unknown) => escape(textOf(value)),
    operators: { ...defaultOperators, ...OPERATORS },
    templates: {},
    parseLimit: MAX_SOURCE_LENGTH,
    renderLimit: MAX_RENDER_MS,
    memoryLimit: MAX_MEMORY,
  });
  for (const tag of Object.keys(engine.tags)) if (!TAGS.has(tag)) delete engine.tags[tag];
  for (const filter of REMOVED_FILTERS) delete engine.filters[filter];
  registerFilters(engine);
  const guard = lenientFilter(engine);
  const parsed = new Map<string, Template[]>();

  function parse(source: string): Template[] {
    const known = parsed.get(source);
    if (known !== undefined) return known;
    const templates = engine.parse(source);
    for (const template of templates) makeLenient(template, guard);
    if (parsed.size >= MAX_PARSED) parsed.clear();
    parsed.set(source, templates);
    return templates;
  }

  return {
    render(source, variables, style, firstLine) {
      const globals = { [STYLE]: { ...writtenStyle(style), currency: currencyIn(variables) } satisfies FilterStyle };
      const filled = (paths: readonly string[]): string =>
        String(engine.renderSync(parse(source), nested(variables, paths), { globals }));
      try {
        return filled([]);
      } catch (error) {
        if ((error as LiquidError).name !== "UndefinedVariableError") throw fault(error, firstLine);
        try {
          // Where nothing of `links` is known the library misses `links`; whoever is told wants `links.booking`.
          return filled(engine.globalFullVariablesSync(parse(source)));
        } catch (precise) {
          throw fault(precise, firstLine);
        }
      }
    },
    references(source, firstLine) {
      try {
        return engine.globalFullVariablesSync(parse(source)).map((path) => path.replace(/\.(size|first|last)$/, ""));
      } catch (error) {
        throw fault(error, firstLine);
      }
    },
  };
}

/** What a template needs; `raw` and `capture` would undo or double the escaping, the rest reads files or keeps state. */
const TAGS = new Set(["assign", "if", "unless", "case", "for", "break", "continue", "comment", "#"]);

/** As in expressions, and as the checker takes it: a comparison with what is missing is false. The library has it count as 0. */
const OPERATORS = Object.fromEntries(
  ["<", "<=", ">", ">="].map((name): [string, OperatorHandler] => {
    const compare = defaultOperators[name] as OperatorHandler;
    return [name, (left, right, context) => isThere(left) && isThere(right) && compare(left, right, context)];
  }),
);

type OperatorHandler = NonNullable<(typeof defaultOperators)[string]>;

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** They look at the machine's clock or zone, draw at random, or would undo the escaping. */
const REMOVED_FILTERS = [
  "raw",
  "date",
  "date_to_xmlschema",
  "date_to_rfc822",
  "date_to_string",
  "date_to_long_string",
  "sample",
];

/** A template is a page or two. */
const MAX_SOURCE_LENGTH = 100_000;
const MAX_RENDER_MS = 1_000;
const MAX_MEMORY = 10_000_000;
/** Parsed sources kept; a few hundred templates are in use at a time. */
const MAX_PARSED = 1_000;

const STYLE = "waypost_style";

interface FilterThis {
  readonly context: { readonly globals: object };
}

function registerFilters(engine: LiquidEngine): void {
  engine.registerFilter("date_long", function (this: FilterThis, value: unknown) {
    const at = typeof value === "number" ? value : dayOf(value);
    if (at === undefined) return value;
    const { locale, timezone } = styleOf(this);
    const timeZone = typeof value === "number" ? timezone : "UTC";
    const text = new Intl.DateTimeFormat(locale, { dateStyle: "long", timeZone }).format(at);
    // In Russian a sentence would end with two points, and a letter spells it out anyway.
    return text.replace(/\sг\.$/, " года");
  });
  engine.registerFilter("number", function (this: FilterThis, value: unknown, digits?: unknown) {
    if (typeof value !== "number") return value;
    const maximumFractionDigits = typeof digits === "number" ? digits : 2;
    return new Intl.NumberFormat(styleOf(this).locale, { maximumFractionDigits }).format(value);
  });
  engine.registerFilter("percent", function (this: FilterThis, value: unknown) {
    if (typeof value !== "number") return value;
    return new Intl.NumberFormat(styleOf(this).locale, { style: "percent" }).format(value);
  });
  engine.registerFilter("money", function (this: FilterThis, value: unknown, given?: unknown) {
    if (typeof value !== "number") return value;
    const { locale, currency: ours } = styleOf(this);
    const currency = typeof given === "string" && isCurrency(given) ? given : ours;
    if (currency === undefined) throw new TextFault('money: the currency is not known; write money: "EUR"');
    const minimumFractionDigits = Number.isInteger(value) ? 0 : 2;
    return new Intl.NumberFormat(locale, {
      style: "currency",
      currency,
      minimumFractionDigits,
      maximumFractionDigits: minimumFractionDigits,
    }).format(value);
  });
}

interface FilterStyle extends LiquidStyle {
  readonly currency: string | undefined;
}

function styleOf(filter: FilterThis): FilterStyle {
  return (filter.context.globals as Record<string, FilterStyle>)[STYLE] as FilterStyle;
}

/** Of the contract, else of the house; what was imported as a currency and is none doesn't count. */
function currencyIn(variables: Variables): string | undefined {
  return ["contract.currency", "company.currency"]
    .map((path) => variables[path])
    .find((value): value is string => typeof value === "string" && isCurrency(value));
}

/** A colleague's locale and zone are whatever was imported: one that nobody knows must not keep a text from being written. */
function writtenStyle({ locale, timezone }: LiquidStyle): LiquidStyle {
  return {
    locale: isLocale(locale) ? locale : "en",
    timezone: isZone(timezone) ? timezone : "UTC",
  };
}

function isLocale(locale: string): boolean {
  const known = LOCALES.get(locale);
  if (known !== undefined) return known;
  let isKnown = true;
  try {
    new Intl.NumberFormat(locale);
  } catch {
    isKnown = false;
  }
  if (LOCALES.size < LOCALES_MAX) LOCALES.set(locale, isKnown);
  return isKnown;
}

/** Asking costs as much as a template; there are a few dozen. */
const LOCALES = new Map<string, boolean>();
const LOCALES_MAX = 1_000;

/** `2026-03-02`, a day without a zone. */
function dayOf(value: unknown): number | undefined {
  if (typeof value !== "string" || !/^\d{4}-\d\d-\d\d$/.test(value)) return undefined;
  const at = Date.parse(`${value}T00:00:00Z`);
  return Number.isNaN(at) ? undefined : at;
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  return Array.isArray(value) ? value.map(textOf).join(", ") : String(value);
}

/** `{ "a.b": 1 }` as `{ a: { b: 1 } }`; what `mentioned` stands in is there too, empty. */
function nested(variables: Variables, mentioned: readonly string[]): object {
  const root: Record<string, unknown> = Object.create(null);
  const within = (path: string): Record<string, unknown> => {
    let at = root;
    for (const part of path.split(".").slice(0, -1)) {
      const next = at[part];
      if (typeof next === "object" && next !== null && !Array.isArray(next)) at = next as Record<string, unknown>;
      else at = at[part] = Object.create(null) as Record<string, unknown>;
    }
    return at;
  };
  for (const path of mentioned) within(path);
  for (const [path, value] of Object.entries(variables)) {
    const at = within(path);
    const last = path.split(".").at(-1) ?? "";
    // A path and one below it: the longer one stays, there is no value that could be both.
    if (typeof at[last] !== "object") at[last] = value;
  }
  return root;
}

type FilterLike = { readonly name: string };
type WithFilters = {
  value?: { filters?: FilterLike[] };
  children?: (partials: boolean, sync: boolean) => Iterable<unknown>;
};

/** A `default` that changes nothing: put first, it tells the library that the value may be missing. */
function lenientFilter(engine: LiquidEngine): FilterLike {
  const [output] = engine.parse("{{ x | default: nil, allow_false: true }}") as WithFilters[];
  const filter = output?.value?.filters?.[0];
  if (filter === undefined) throw new Error("liquidjs keeps its filters elsewhere than version 10.30 did");
  return filter;
}

/** The library heeds `default` only as the first filter; `{{ date | date_long | default: "soon" }}` reads as well and means the same. */
function makeLenient(template: unknown, guard: FilterLike): void {
  const { value, children } = template as WithFilters;
  const filters = value?.filters;
  if (Array.isArray(filters) && filters.some((filter, index) => index > 0 && filter.name === "default")) {
    filters.unshift(guard);
  }
  if (typeof children !== "function") return;
  const iterator = (children.call(template, false, true) as Iterable<unknown>)[Symbol.iterator]();
  const { value: below } = iterator.next();
  if (Array.isArray(below)) for (const child of below) makeLenient(child, guard);
}

interface LiquidError {
  readonly name?: string;
  readonly message?: string;
  readonly originalError?: unknown;
  readonly token?: { getPosition?: () => [number, number] };
}

/** Parse errors quote the template, which is ours; render errors might quote a value, so only the path is named. */
function fault(error: unknown, firstLine: number): TextFault {
  const { name, message = "", originalError, token } = error as LiquidError;
  const line = (token?.getPosition?.()[0] ?? 1) + firstLine - 1;
  const first = (message.split("\n")[0] ?? "").replace(/(, file:[^,]*)?, line:\d+, col:\d+$/, "");
  if (name === "UndefinedVariableError") return new TextFault(`line ${line}: ${first}`, { cause: error });
  if (name === "ParseError" || name === "TokenizationError")
    return new TextFault(`line ${line}: ${first}`, { cause: error });
  const reason = originalError instanceof TextFault ? originalError.message : "can't be filled in";
  return new TextFault(`line ${line}: ${reason}`, { cause: error });
}
