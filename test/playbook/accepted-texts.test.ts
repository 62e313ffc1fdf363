import { expect, test } from "vitest";
import { composer } from "./composer.js";
import type { FactType, FactValue } from "../../src/expression/expression.js";
import { mailScope, playbookEnvironment } from "../../src/playbook/environment.js";
import { checkUses, readLiquid, type TextScope } from "../../src/playbook/liquid.js";
import { randomFrom } from "../support/random-plans.js";
import { shippedFiles, shippedWorkspace } from "../support/workspace.js";

/** What the checker lets through is filled in for everybody, however little is known of them: here from the text's side, texts of any kind. */
const CASES = 20_000;
const SEED = 20_261_122;

test("no accepted text has a hole or a fault in it, whatever is absent", async () => {
  const next = randomFrom(SEED);
  const scope = shippedScope();
  const sources = Object.entries(shippedFiles()).flatMap(([path, text]) => (path.endsWith(".md") ? [text] : []));
  const tokens = [...new Set(sources.flatMap((text) => text.match(/\{\{.*?\}\}|\{%.*?%\}/g) ?? []))];
  const text = textsOf(next, scope, tokens);
  const failed: string[] = [];
  let accepted = 0;
  for (let i = 0; i < CASES && failed.length < 10; i++) {
    const source = text();
    const { uses, problems } = readLiquid(source);
    if (problems.length > 0 || checkUses(uses, scope).length > 0) continue;
    accepted += 1;
    const markup = next() < 0.5 ? "plain" : "mrkdwn";
    const style = { locale: pick(next, ["en", "pl", "ru"]), timezone: "Europe/Warsaw", markup } as const;
    try {
      const shown = await composer.text(source, valuesFor(next, scope), style);
      if (/\b(NaN|Infinity|undefined|null)\b|\[object|∞/.test(shown)) failed.push(`${source} → ${shown}`);
    } catch (error) {
      failed.push(`${source}: ${(error as Error).message}`);
    }
  }
  expect(failed).toEqual([]);
  expect(accepted).toBeGreaterThan(CASES / 20);
}, 60_000);

function shippedScope(): TextScope {
  const { model, policy } = shippedWorkspace();
  if (!model) throw new Error("no model");
  const steps = [
    { id: "kickoff", kind: "email" },
    { id: "agree", kind: "task" },
  ] as const;
  return mailScope(playbookEnvironment(model, { subject: "contact", inputs: {}, steps }), model, undefined, policy);
}

/** What is always there, and of the rest some, or little, or nothing. */
function valuesFor(next: () => number, { facts, always }: TextScope): Record<string, FactValue> {
  const share = pick(next, [0, 0.1, 0.5, 1]);
  const known = Object.entries(facts).filter(([path]) => always.has(path) || next() < share);
  return Object.fromEntries(known.map(([path, type]) => [path, valueOf(next, path, type)]));
}

function valueOf(next: () => number, path: string, type: FactType): FactValue {
  if (path === "company.currency") return "EUR";
  if (path === "contract.currency") return pick(next, ["EUR", "PLN", "", "EURO", "zł"]);
  switch (type) {
    case "number":
      return pick(next, [0, 1, -3, 0.425, 12_000, 1e15]);
    case "timestamp":
      return pick(next, [0, Date.UTC(2026, 2, 2, 9), Date.UTC(2024, 1, 29)]);
    case "bool":
      return next() < 0.5;
    default:
      return pick(next, ["", "Acme", "*a* _b_ <c> {{ d }}", "2026-03-02", "5"]);
  }
}

/** A source of texts: shipped placeholders as they are and taken apart, and made-up ones, within and without blocks. */
function textsOf(next: () => number, { facts }: TextScope, tokens: readonly string[]): () => string {
  const paths = Object.keys(facts);
  const filters =
    "default date_long number money percent round plus minus times divided_by upcase downcase capitalize truncate append prepend replace strip".split(
      " ",
    );
  const literal = () =>
    pick(next, [
      '"x"',
      "''",
      "0",
      "1",
      "-1",
      "2.5",
      "500",
      "99999999999999999999",
      "true",
      "nil",
      "blank",
      "empty",
      '"EUR"',
      '"euro"',
    ]);
  const operand = () => (next() < 0.6 ? pick(next, paths) : literal());
  const filter = () => {
    const given = Array.from({ length: pick(next, [0, 1, 1, 1, 2, 3]) }, operand);
    return ` | ${pick(next, filters)}${given.length > 0 ? `: ${given.join(", ")}` : ""}`;
  };
  const output = (path = operand()) =>
    `{{ ${path}${Array.from({ length: pick(next, [0, 0, 1, 1, 2, 3]) }, filter).join("")} }}`;
  const asked = (path: string) => {
    const operator = pick(next, ["", "", "==", "!=", "<", "<=", ">", ">=", "contains"]);
    if (operator === "") return path;
    const other = operand();
    return next() < 0.8 ? `${path} ${operator} ${other}` : `${other} ${operator} ${path}`;
  };
  const condition = (path: string) =>
    next() < 0.7 ? asked(path) : `${asked(path)} ${pick(next, ["and", "or"])} ${asked(pick(next, paths))}`;
  const piece = (depth: number): string => {
    const path = pick(next, paths);
    switch (Math.floor(next() * (depth > 2 ? 3 : 6))) {
      case 0:
        return output();
      case 1:
        return output(path);
      case 2:
        return next() < 0.7
          ? pick(
              next,
              tokens.filter((token) => token.startsWith("{{")),
            )
          : "text ";
      case 3:
        return `{% if ${condition(path)} %}${output(path)}${next() < 0.4 ? `{% else %}${piece(depth + 1)}` : ""}{% endif %}`;
      case 4:
        return `{% unless ${condition(path)} %}${piece(depth + 1)}{% else %}${output(path)}{% endunless %}`;
      default:
        return `{% if ${condition(path)} %}${piece(depth + 1)}{% elsif ${condition(path)} %}${output(path)}{% endif %}`;
    }
  };
  return () => Array.from({ length: pick(next, [1, 1, 2]) }, () => piece(0)).join(" ");
}

function pick<T>(next: () => number, of: readonly T[]): T {
  return of[Math.floor(next() * of.length)] as T;
}
