import type { FactType, FactValue } from "../../src/expression/expression.js";

/** The facts that random expressions speak of: two or more of each type. */
export const FACTS = {
  "account.is_test": "bool",
  "account.is_vip": "bool",
  "account.name": "string",
  "account.tier": "string",
  "account.tags": { list: "string" },
  "account.scores": { list: "number" },
  "account.created_at": "timestamp",
  "contract.renewal_date": "timestamp",
  "contract.notice": "duration",
  "usage.logins": "number",
  "usage.key_actions": "number",
  now: "timestamp",
} as const satisfies Record<string, FactType>;

export type FactName = keyof typeof FACTS;

/** Numbers from 0 up to 1, the same sequence for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Few values, so that equality is often true, and awkward ones among them. */
const TEXTS = ["", "high", "low", "higher", "Zebra", "żółw", "a'b\\c", "%_", "ÿ", "10"];
const SQL_ONLY_TEXTS = ["\u{1F600}", "\uFFFD!", "x\u{1F600}y"];
const NUMBERS = [0, 1, 2, 3, 7, 10, -4, 0.5, 0.1, 1e6, -2.25, 1 / 3];
const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 2, 2, 9);

/** How the expressions are to be: what cel-js can judge is a part of what Postgres must agree on. */
export interface Flavour {
  /** Only what cel-js means the same by: no zero divisors, no magnitudes beyond ours, doubles written with a point. */
  readonly forCel: boolean;
}

/** A source of random facts and of well-typed expression texts over them. */
export class RandomExpressions {
  constructor(
    private readonly random: () => number,
    private readonly flavour: Flavour,
  ) {}

  /** A value for each fact; each is left out with the given probability. */
  facts(absent: number): Partial<Record<FactName, FactValue>> {
    const facts: Partial<Record<FactName, FactValue>> = {};
    for (const [path, type] of Object.entries(FACTS) as [FactName, FactType][]) {
      if (path === "now" || this.random() >= absent) facts[path] = this.value(type);
    }
    return facts;
  }

  /** An expression of the type, nested at most `depth` deep. */
  text(type: FactType, depth: number): string {
    if (depth <= 0) return this.leaf(type);
    if (this.random() < 0.08) {
      return `(${this.text("bool", depth - 1)} ? ${this.text(type, depth - 1)} : ${this.text(type, depth - 1)})`;
    }
    const next = (part: FactType) => this.text(part, depth - 1);
    if (typeof type === "object") return this.leaf(type);
    switch (type) {
      case "bool":
        return this.condition(next);
      case "number":
        return this.pick([
          () => this.leaf(type),
          () => `(${next(type)} ${this.pick(["+", "-", "*"])} ${next(type)})`,
          () => `(${next(type)} / ${this.flavour.forCel ? this.pick(["2.0", "0.3", "-7.0"]) : next(type)})`,
          () => `(${this.whole()} % ${this.flavour.forCel ? this.pick(["2.0", "7.0", "-3.0"]) : next(type)})`,
          () => `(-${next(type)})`,
        ])();
      case "string":
        return this.pick([() => this.leaf(type), () => this.leaf(type), () => `(${next(type)} + ${next(type)})`])();
      case "timestamp":
        return this.pick([
          () => this.leaf(type),
          () => `(${next(type)} ${this.pick(["+", "-"])} ${next("duration")})`,
          // cel-js takes duration + timestamp for a duration, against CEL's own table.
          () => (this.flavour.forCel ? next(type) : `(${next("duration")} + ${next(type)})`),
        ])();
      case "duration":
        return this.pick([
          () => this.leaf(type),
          () => `(${this.leaf("timestamp")} - ${this.leaf("timestamp")})`,
          () => `(${next(type)} ${this.pick(["+", "-"])} ${next(type)})`,
        ])();
    }
  }

  private condition(next: (type: FactType) => string): string {
    const ordered = this.pick(["number", "string", "timestamp", "duration"] as const);
    const equal = this.pick([ordered, "bool", { list: "string" }] as const satisfies FactType[]);
    return this.pick([
      () => `(${next("bool")} ${this.pick(["&&", "||"])} ${next("bool")})`,
      () => `(${next("bool")} ${this.pick(["&&", "||"])} ${next("bool")})`,
      () => `!${next("bool")}`,
      () => `(${next(ordered)} ${this.pick(["<", "<=", ">", ">="])} ${next(ordered)})`,
      () => `(${next(ordered)} ${this.pick(["<", "<=", ">", ">="])} ${next(ordered)})`,
      () => `(${next(equal)} ${this.pick(["==", "!="])} ${next(equal)})`,
      () => `(${next("string")} in ${this.leaf({ list: "string" })})`,
      () => `(${next("number")} in ${this.leaf({ list: "number" })})`,
      () => `${next("string")}.${this.pick(["contains", "startsWith", "endsWith"])}(${next("string")})`,
      () => `(size(${next(this.pick(["string", { list: "string" }] as const))}) ${this.pick(["<", "==", ">"])} 4)`,
      () => `has(${this.pick(Object.keys(FACTS).filter((path) => path !== "now"))})`,
      () => this.leaf("bool"),
    ])();
  }

  private leaf(type: FactType): string {
    const facts = Object.entries(FACTS).filter(([, declared]) => JSON.stringify(declared) === JSON.stringify(type));
    if (this.random() < 0.6) return this.pick(facts)[0];
    if (typeof type === "object") return `[${[1, 2, 3].map(() => this.leaf(type.list)).join(", ")}]`;
    switch (type) {
      case "bool":
        return this.pick(["true", "false"]);
      case "number":
        return this.number(this.pick(NUMBERS));
      case "string":
        return JSON.stringify(this.pick(this.texts()));
      case "timestamp":
        return `timestamp("${new Date(START_MS + this.whichDay() * DAY_MS).toISOString()}")`;
      case "duration":
        return `duration("${this.pick(["90s", "36h", "1h30m", "0s", "-24h", "1.5h", "250ms"])}")`;
    }
  }

  private value(type: FactType): FactValue {
    if (typeof type === "object") {
      return Array.from({ length: Math.floor(this.random() * 4) }, () => this.value(type.list));
    }
    switch (type) {
      case "bool":
        return this.random() < 0.5;
      case "number":
        return this.pick(this.flavour.forCel ? NUMBERS : [...NUMBERS, 1e99, 1e-99, 1e300, 1e-300, 123_456_789_012_345]);
      case "string":
        return this.pick(this.texts());
      case "timestamp":
        return START_MS + this.whichDay() * DAY_MS;
      case "duration":
        return this.pick([0, 1_000, 90_000, 36 * 3_600_000, -DAY_MS]);
    }
  }

  private texts(): readonly string[] {
    return this.flavour.forCel ? TEXTS : [...TEXTS, ...SQL_ONLY_TEXTS];
  }

  private whole(): string {
    return this.number(Math.floor(this.random() * 40) - 20);
  }

  /** cel-js tells `1` (an integer) from `1.0`; to us they are the same. */
  private number(value: number): string {
    return this.flavour.forCel && Number.isInteger(value) ? `${value}.0` : `${value}`;
  }

  private whichDay(): number {
    return Math.floor(this.random() * 7) - 3;
  }

  private pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.random() * choices.length)]!;
  }
}
