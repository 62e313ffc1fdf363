import { sha256Hex } from "../values/sha256.js";
import { LOCALES } from "../engine/policy.js";
import { compareDiagnostics, type Diagnostic } from "./diagnostic.js";
import { encodingProblem } from "./encoding.js";
import { checkUses, readLiquid, type TextScope, type VariableUse } from "./liquid.js";
import type { Problem } from "./read-yaml.js";

/** A mail template in its parts, as written. */
export interface TemplateParts {
  readonly subject: string;
  readonly preheader?: string;
  /** Markdown with Liquid. */
  readonly body: string;
}

/** A template file that was read. */
export interface TemplateFile {
  readonly file: string;
  readonly source: string;
  readonly name: string;
  readonly locale: string;
  /** SHA-256 (hex) of the source. */
  readonly hash: string;
  readonly uses: readonly VariableUse[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Beyond this it is no mail any more; mail programs cut HTML at some 100 KB. */
export const MAX_TEMPLATE_LENGTH = 50_000;
const MAX_SUBJECT_LENGTH = 200;

/** The parts of a template's source: front matter `subject` (compulsory) and `preheader`, then Markdown. Undefined where `readTemplate` has something to say. */
export function templateParts(source: string): TemplateParts | undefined {
  const { values, body, problems } = splitTemplate(source);
  const subject = values.get("subject");
  if (problems.length > 0 || subject === undefined) return undefined;
  const preheader = values.get("preheader")?.text;
  return { subject: subject.text, ...(preheader === undefined ? {} : { preheader }), body: source.slice(body) };
}

/** The template file with what it mentions and what is wrong with it in itself. `path` ends in `NAME.LOCALE.md`. */
export function readTemplate(path: string, source: string): TemplateFile {
  const [, name = "", locale = ""] = /([^/]+)\.([^./]+)\.md$/.exec(path) ?? [];
  const diagnostics: Diagnostic[] = [];
  const report = (offset: number, length: number, problem: Problem) =>
    void diagnostics.push(diagnosticAt(path, source, offset, length, problem));
  if (!(LOCALES as readonly string[]).includes(locale)) {
    const message =
      locale === "" ? "The file isn't named NAME.LOCALE.md." : `"${locale}" is no locale that mail is written in.`;
    report(0, 0, { code: "WP402", message, hint: `Locales are ${LOCALES.join(", ")}.` });
  }
  if (source.length > MAX_TEMPLATE_LENGTH) {
    report(0, 0, {
      code: "WP108",
      message: `The template is longer than ${MAX_TEMPLATE_LENGTH} characters.`,
      hint: "Shorten it.",
    });
    return { file: path, source, name, locale, hash: sha256Hex(source), uses: [], diagnostics };
  }
  const encoding = encodingProblem(source);
  if (encoding) {
    report(encoding.offset, encoding.length, encoding.problem);
    return { file: path, source, name, locale, hash: sha256Hex(source), uses: [], diagnostics };
  }
  const parts = splitTemplate(source);
  for (const { offset, length, problem } of parts.problems) report(offset, length, problem);
  const uses: VariableUse[] = [];
  const texts = [...parts.values.values(), { text: source.slice(parts.body), offset: parts.body }];
  for (const { text, offset } of texts) {
    const liquid = readLiquid(text);
    for (const found of liquid.problems) report(offset + found.offset, found.length, found.problem);
    uses.push(...liquid.uses.map((use) => ({ ...use, offset: use.offset + offset })));
  }
  return {
    file: path,
    source,
    name,
    locale,
    hash: sha256Hex(source),
    uses,
    diagnostics: diagnostics.sort(compareDiagnostics),
  };
}

/** What is wrong with the template's variables where it is used with this scope. */
export function checkTemplate(template: TemplateFile, scope: TextScope): Diagnostic[] {
  const { file, source, uses } = template;
  return checkUses(uses, scope).map(({ problem, offset, length }) =>
    diagnosticAt(file, source, offset, length, problem),
  );
}

/** A diagnostic at a place of a text file. */
export function diagnosticAt(
  file: string,
  source: string,
  offset: number,
  length: number,
  problem: Problem,
): Diagnostic {
  const before = source.slice(0, offset);
  const line = before.split("\n").length;
  const column = offset - (before.lastIndexOf("\n") + 1) + 1;
  const width = source.slice(offset, offset + length).split("\n", 1)[0]?.length ?? 0;
  const { code, message, hint, severity = "error" } = problem;
  return {
    code,
    severity,
    file,
    line,
    column,
    ...(width > 0 ? { endColumn: column + width } : {}),
    message,
    ...(hint === undefined ? {} : { hint }),
  };
}

interface Split {
  readonly values: ReadonlyMap<string, { readonly text: string; readonly offset: number }>;
  /** Where the body begins. */
  readonly body: number;
  readonly problems: readonly { readonly offset: number; readonly length: number; readonly problem: Problem }[];
}

const KEYS = ["subject", "preheader"];

/** Front matter is lines of `key: value`; a value may stand in quotation marks. It isn't YAML, so that `subject: {{ … }}` needs none. */
function splitTemplate(source: string): Split {
  const values = new Map<string, { text: string; offset: number }>();
  const problems: { offset: number; length: number; problem: Problem }[] = [];
  const refuse = (offset: number, length: number, message: string, hint: string) => {
    problems.push({ offset, length, problem: { code: "WP403", message, hint } });
  };
  const match = /^---[ \t]*\r?\n([\s\S]*?)^---[ \t]*(?:\r?\n|$)/m.exec(source);
  if (!match || match.index !== 0) {
    refuse(
      0,
      3,
      "The template has no front matter.",
      "Begin the file with a line ---, then subject: …, then a line ---.",
    );
    return { values, body: 0, problems };
  }
  const inner = match[1] ?? "";
  let offset = match[0].indexOf(inner, 3);
  for (const line of inner.split("\n")) {
    readLine(line.replace(/\r$/, ""), offset);
    offset += line.length + 1;
  }
  if (!values.has("subject") && problems.length === 0) refuse(0, 3, '"subject" is missing.', "Add a line subject: ….");
  if (source.slice(match[0].length).trim() === "")
    refuse(0, 3, "The mail has no text.", "Write it below the second line ---.");
  return { values, body: match[0].length, problems };

  function readLine(line: string, start: number): void {
    if (line.trim() === "" || line.trimStart().startsWith("#")) return;
    const pair = /^([A-Za-z_]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    const key = pair?.[1] ?? "";
    if (!pair || !KEYS.includes(key)) {
      refuse(
        start,
        line.length,
        `Front matter has no "${key || line.trim()}".`,
        "Known are: subject, preheader; each on one line.",
      );
      return;
    }
    if (values.has(key)) refuse(start, key.length, `"${key}" stands here twice.`, "Keep one of the two.");
    const raw = pair[2] ?? "";
    const isQuoted = raw.length > 1 && (raw[0] === '"' || raw[0] === "'") && raw.endsWith(raw[0]);
    const text = isQuoted ? raw.slice(1, -1) : raw;
    if (text.trim() === "") refuse(start, line.length, `"${key}" is empty.`, "Write what people read first.");
    if (text.length > MAX_SUBJECT_LENGTH)
      refuse(start, line.length, `"${key}" is longer than ${MAX_SUBJECT_LENGTH} characters.`, "Shorten it.");
    values.set(key, { text, offset: start + line.indexOf(raw, key.length + 1) + (isQuoted ? 1 : 0) });
  }
}
