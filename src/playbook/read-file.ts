import type * as z from "zod";
import type { Expression, FactType } from "../expression/expression.js";
import { checkForm, MendedPlaces } from "./check-form.js";
import { checkText } from "./check-text.js";
import { compareDiagnostics, type Diagnostic } from "./diagnostic.js";
import type { Environment } from "./environment.js";
import { suggestion } from "./nearest.js";
import { type Problem, readYaml, type YamlPath } from "./read-yaml.js";

/** What reading one of the files beside the playbooks gives: a value only if nothing is wrong. */
export interface Read<T> {
  readonly value?: T;
  readonly diagnostics: readonly Diagnostic[];
}

/** What a file's own checks have at hand. */
export interface Checks {
  /** Says nothing about what has no good form: that is told already. */
  report(path: YamlPath, problem: Problem, at?: "key" | "value"): void;
  /** Whether what stands at the path, or is missing there, has no good form. */
  isMended(path: YamlPath): boolean;
  /** Reports an unknown name, with the nearest match; true if it is known. */
  known(
    path: YamlPath,
    code: string,
    what: string,
    name: string,
    names: readonly string[],
    at?: "key" | "value",
  ): boolean;
  /** The checked expression; its problems are reported. */
  expression(path: YamlPath, text: string, environment: Environment, expected?: FactType): Expression | undefined;
}

/** Reads a YAML file by its schema, then `build`s its value, which may report more. A file that is missing is one problem. */
export function readFile<S extends z.ZodType, T>(
  file: string,
  source: string | undefined,
  schema: S,
  build: (form: z.output<S>, checks: Checks) => T,
): Read<T> {
  if (source === undefined) {
    const hint =
      "Every workspace has model, segments, health, calendars and policy.yaml; docs/language-files.md says what stands in them.";
    return {
      diagnostics: [
        { code: "WP601", severity: "error", file, line: 1, column: 1, message: `${file} is missing.`, hint },
      ],
    };
  }
  const { yaml, diagnostics } = readYaml(file, source);
  if (!yaml) return { diagnostics };
  const form = checkForm(schema, yaml.value);
  const found: Diagnostic[] = form.issues.map(({ path, at, ...problem }) => yaml.problem(path, problem, { at }));
  const mended = new MendedPlaces(form.mended);
  const checks: Checks = {
    report(path, problem, at = "value") {
      if (!mended.covers(path)) found.push(yaml.problem(path, problem, { at }));
    },
    isMended: (path) => mended.covers(path),
    known(path, code, what, name, names, at = "value") {
      if (names.includes(name)) return true;
      const hint = suggestion(name, names);
      checks.report(path, { code, message: `There is no ${what} "${name}".`, ...(hint ? { hint } : {}) }, at);
      return false;
    },
    expression(path, text, environment, expected = "bool") {
      const { expression, problems } = checkText(text, environment, expected);
      if (mended.covers(path)) return undefined;
      for (const { problem, offset, length } of problems) found.push(yaml.problem(path, problem, { offset, length }));
      return expression;
    },
  };
  const value = build(form.value, checks);
  const isFine = form.ok && found.every(({ severity }) => severity === "warning");
  return { ...(isFine ? { value } : {}), diagnostics: found.sort(compareDiagnostics) };
}
