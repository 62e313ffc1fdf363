import { InvalidArgumentError } from "commander";
import type { FactValue } from "../../expression/expression.js";
import { parseInstant } from "../../values/instant.js";
import { UsageFault } from "./answer.js";

/** A parser of whole numbers for commander's options. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    }
    return value;
  };
}

/** An instant with its offset, for commander's options. */
export function instantArgument(text: string): number {
  const at = parseInstant(text);
  if (at === undefined)
    throw new InvalidArgumentError("Write an instant with its offset, e.g. 2026-03-06T15:00+01:00.");
  return at;
}

/** Collects a repeatable option. */
export function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}

/** `name=value` pairs: `true`, `false` and numbers as such, all else text; quotes keep text. */
export function readPairs(pairs: readonly string[], option: string): Record<string, FactValue> {
  const values: Record<string, FactValue> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    if (equals < 1) throw new UsageFault(`${option} "${pair}": write NAME=VALUE.`);
    values[pair.slice(0, equals)] = readValue(pair.slice(equals + 1));
  }
  return values;
}

function readValue(text: string): FactValue {
  if (/^".*"$/s.test(text)) return text.slice(1, -1);
  if (text === "true") return true;
  if (text === "false") return false;
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}
