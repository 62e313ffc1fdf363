import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { CsvError, parse } from "csv-parse";
import type { ImportProblem, ImportRecord } from "../../operations/import-files.js";
import { suggestion } from "../../playbook/nearest.js";
import type { CustomerKind } from "../../ports/customers.js";

/** The longest line of a file, in bytes. */
export const IMPORT_LINE_BYTES_MAX = 1_048_576;

/** What a file is called by its rows; the first is the usual name. Also the order in which files go in: accounts before what belongs to them. */
const NAMES: Readonly<Record<CustomerKind, readonly string[]>> = {
  users: ["users", "colleagues"],
  absences: ["absences"],
  accounts: ["accounts"],
  contacts: ["contacts"],
  contracts: ["contracts"],
  goals: ["goals"],
  tickets: ["tickets"],
  surveyAnswers: ["surveys", "survey-answers"],
  samples: ["usage", "samples"],
};

export const IMPORT_KINDS = Object.keys(NAMES) as readonly CustomerKind[];

export interface ImportFile {
  readonly path: string;
  readonly kind: CustomerKind;
  /** Its bytes from the beginning, each time anew; absent: the file at `path`. */
  readonly open?: () => AsyncIterable<Uint8Array>;
}

/** What is in a file, by its name: `accounts.csv`, `usage-2026.jsonl`. A sentence where the name doesn't tell. */
export function importFileOf(path: string, kind?: string): ImportFile | { readonly problem: string } {
  const name = basename(path).toLowerCase();
  if (!/\.(csv|jsonl|ndjson)$/.test(name)) return { problem: `${path}: only .csv and .jsonl files can be imported` };
  if (kind !== undefined) {
    const found = IMPORT_KINDS.find((one) => one === kind || NAMES[one].includes(kind));
    const known = IMPORT_KINDS.map((one) => NAMES[one][0] as string);
    return found === undefined
      ? { problem: `"${kind}" is no kind of rows. ${suggestion(kind, known)}` }
      : { path, kind: found };
  }
  const stem = name.replace(/\.[a-z]+$/, "");
  const found = IMPORT_KINDS.find((one) =>
    NAMES[one].some((word) => new RegExp(`(^|[-_.])${word}($|[-_.\\d])`).test(stem)),
  );
  if (found !== undefined) return { path, kind: found };
  const known = IMPORT_KINDS.map((one) => NAMES[one][0]).join(", ");
  return { problem: `${path}: the name doesn't tell what is in it. Name it after one of ${known}, or say --kind KIND` };
}

/** Files in the order in which they can go in: colleagues, accounts, then what belongs to accounts. */
export function inImportOrder(files: readonly ImportFile[]): ImportFile[] {
  return [...files].sort((a, b) => IMPORT_KINDS.indexOf(a.kind) - IMPORT_KINDS.indexOf(b.kind));
}

/** The rows of files, one file after the other. */
export async function* readImportFiles(files: readonly ImportFile[]): AsyncGenerator<ImportRecord | ImportProblem> {
  for (const file of files) yield* readImportFile(file);
}

/**
 * The rows of one file as they stand there, a line's problem instead of a row where it can't be read. UTF-8, with or without
 * a byte-order mark; of a file that isn't UTF-8 nothing. CSV with commas, semicolons or tabs, quotes, LF or CRLF. However long a
 * line is, no more than `IMPORT_LINE_BYTES_MAX` of it is held. A file that can't be opened throws.
 */
export async function* readImportFile(file: ImportFile): AsyncGenerator<ImportRecord | ImportProblem> {
  const problem = await encodingProblem(file);
  if (problem !== undefined) yield problem;
  else if (file.path.toLowerCase().endsWith(".csv")) yield* readCsv(file);
  else yield* readJsonLines(file);
}

async function* readCsv(file: ImportFile): AsyncGenerator<ImportRecord | ImportProblem> {
  const place = (line: number, column: number) => ({ file: file.path, line, column });
  let line = 1;
  let headings: readonly string[] | undefined;
  let headingPlace = (_heading: string) => place(1, 1);
  let isEmpty = true;
  try {
    for await (const { raw, record, delimiter } of csvRecordsOf(file)) {
      isEmpty = false;
      // Empty lines that were skipped stand at the beginning of the next record's text.
      const lead = /^[\r\n]*/.exec(raw)?.[0] ?? "";
      const text = raw.slice(lead.length);
      const at = line + endsOfLines(lead);
      line = at + endsOfLines(text);
      if (record.length === 1 && text.trim() === "") continue;
      if (headings === undefined) {
        headings = record.map((heading) => heading.trim());
        const names = headings;
        headingPlace = (heading) => place(at, startOf(text, delimiter, Math.max(0, names.indexOf(heading))));
        const twice = firstTwice(headings);
        if (twice !== undefined)
          return void (yield {
            ...place(at, 1),
            message: `the column "${twice}" is there twice; nothing of this file was read`,
          });
        continue;
      }
      if (record.length !== headings.length) {
        const message = `the row has ${record.length} cells, but there are ${headings.length} columns`;
        yield { ...place(at, startOf(text, delimiter, Math.min(record.length, headings.length))), message };
        continue;
      }
      const names = headings;
      yield {
        file: file.path,
        line: at,
        kind: file.kind,
        cells: Object.fromEntries(names.map((name, index) => [name, record[index]])),
        column: (heading) => startOf(text, delimiter, Math.max(0, names.indexOf(heading))),
        headingPlace,
      };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    // After a quote that is never closed nothing of the rest can be told apart.
    yield { ...place(line, 1), message: `${plainWords(error)}; the rest of the file was not read` };
    return;
  }
  if (isEmpty) yield { ...place(1, 1), message: "the file is empty; its first line must name the columns" };
}

interface CsvRecord {
  /** Its text with the end of its line. */
  readonly raw: string;
  readonly record: readonly string[];
  readonly delimiter: string;
}

/** A file's records in order; those before a fault come before it is thrown: a `CsvError`. */
async function* csvRecordsOf(file: ImportFile): AsyncGenerator<CsvRecord> {
  const chunks = csvLinesOf(file);
  const first = await chunks.next();
  if (first.done) return;
  const delimiter = delimiterOf(first.value);
  let found: CsvRecord[] = [];
  let fault: unknown;
  const parser = parse({
    delimiter,
    bom: true,
    raw: true,
    record_delimiter: ["\r\n", "\n", "\r"],
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: IMPORT_LINE_BYTES_MAX,
    // Taken here, not from the stream: one that fails drops what it holds.
    on_record: (one: unknown) => void found.push({ ...(one as Omit<CsvRecord, "delimiter">), delimiter }),
  });
  const failed = (error: unknown): undefined => {
    fault ??= error ?? undefined;
  };
  parser.on("error", failed);
  parser.resume();
  try {
    let lines: string | undefined = first.value;
    while (lines !== undefined && fault === undefined) {
      const text = lines;
      await new Promise<void>((resolve) =>
        parser.write(text, (error) => {
          failed(error);
          resolve();
        }),
      );
      const records = found;
      found = [];
      yield* records;
      lines = await chunks.next().then(({ value }) => value as string | undefined, failed);
    }
    // The parser keeps the last row until it knows that no more comes.
    if (!parser.destroyed) await new Promise<void>((resolve) => parser.once("close", resolve).end());
    yield* found;
    if (fault !== undefined) throw fault;
  } finally {
    parser.destroy();
    await chunks.return(undefined);
  }
}

/**
 * Text up to the end of a line, as long as no line is too long: of such a line nothing goes to the parser, which would make a cell of each of its
 * commas. Empty lines are held until the next row is there, and count like one.
 */
async function* csvLinesOf(file: ImportFile): AsyncGenerator<string> {
  let rest = "";
  let empty = 0;
  for await (const chunk of textOf(file)) {
    const text = rest + chunk;
    const end = Math.max(text.lastIndexOf("\n"), text.lastIndexOf("\r")) + 1;
    rest = text.slice(end);
    const lines = text.slice(0, end);
    empty = /[^\r\n]/.test(lines) ? 0 : empty + lines.length;
    if (lines !== "") yield lines;
    if (empty + rest.length > IMPORT_LINE_BYTES_MAX) throw new CsvError("CSV_MAX_RECORD_SIZE", "a line is too long");
  }
  if (rest !== "") yield rest;
}

/** How many lines end in the text; a lone CR is one, too: the parser leaves the LF behind it out. */
function endsOfLines(text: string): number {
  return text.match(/\r\n|\r|\n/g)?.length ?? 0;
}

function firstTwice(texts: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return texts.find((text) => seen.size === seen.add(text).size);
}

async function* readJsonLines(file: ImportFile): AsyncGenerator<ImportRecord | ImportProblem> {
  let line = 0;
  for await (const text of linesOf(file)) {
    line += 1;
    const place = { file: file.path, line, column: 1 };
    if (text === TOO_LONG) {
      yield { ...place, message: `the line is longer than ${IMPORT_LINE_BYTES_MAX / 1024} KiB` };
      continue;
    }
    if (text.trim() === "") continue;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      yield {
        ...place,
        column: positionIn(error, text),
        message: 'the line is not JSON: each line must be one object such as {"id":"…"}',
      };
      continue;
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      yield { ...place, message: "the line must be one JSON object" };
      continue;
    }
    yield {
      file: file.path,
      line,
      kind: file.kind,
      cells: value as Record<string, unknown>,
      column: (heading) => columnOfKey(text, heading),
    };
  }
}

/** Stands for a line that is too long to be read. */
const TOO_LONG = "\u0000too long";

/** Lines without their ends; `TOO_LONG` for one over the limit. A byte-order mark is left out. */
export async function* linesOf(of: string | Bytes): AsyncGenerator<string> {
  const file = typeof of === "string" ? { path: of } : of;
  let rest = "";
  let isSkipping = false;
  for await (const chunk of textOf(file)) {
    const pieces = (rest + chunk).split("\n");
    rest = pieces.pop() as string;
    for (const piece of pieces) {
      if (isSkipping || piece.length > IMPORT_LINE_BYTES_MAX) yield TOO_LONG;
      else yield piece.endsWith("\r") ? piece.slice(0, -1) : piece;
      isSkipping = false;
    }
    if (rest.length > IMPORT_LINE_BYTES_MAX) [rest, isSkipping] = ["", true];
  }
  if (isSkipping) yield TOO_LONG;
  else if (rest !== "") yield rest;
}

type Bytes = Pick<ImportFile, "path" | "open">;

function bytesOf({ path, open }: Bytes): AsyncIterable<Uint8Array> {
  return open?.() ?? createReadStream(path, { highWaterMark: CHUNK_BYTES });
}

const CHUNK_BYTES = 256 * 1024;

/**
 * Why nothing of the file can be read: it isn't UTF-8. Looked for through the whole file before its first row goes anywhere: half of a file
 * with mangled names is worse than none.
 */
async function encodingProblem(file: ImportFile): Promise<ImportProblem | undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const say = (line: number, looksLike: string): ImportProblem => ({
    file: file.path,
    line,
    column: 1,
    message: `the file is not UTF-8${looksLike}; save it as UTF-8 ("CSV UTF-8" in a spreadsheet). Nothing of it was taken`,
  });
  let line = 1;
  let isFirst = true;
  for await (const chunk of bytesOf(file)) {
    if (isFirst && isUtf16(chunk)) return say(1, " but UTF-16");
    isFirst = false;
    try {
      decoder.decode(chunk, { stream: true });
    } catch {
      return say(line + newlinesIn(chunk.subarray(0, validLength(chunk))), "");
    }
    line += newlinesIn(chunk);
  }
  try {
    decoder.decode();
  } catch {
    return say(line, "");
  }
  return undefined;
}

/** By its byte-order mark, or by the zero byte beside each letter of a heading. */
function isUtf16(start: Uint8Array): boolean {
  const [first, second] = start;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) return true;
  return start.length >= 4 && ((first !== 0 && second === 0) || (first === 0 && second !== 0));
}

/** How many bytes are well-formed, as near as its line needs; a character that began in the chunk before counts as well-formed. */
function validLength(chunk: Uint8Array): number {
  let from = 0;
  while (from < Math.min(3, chunk.length) && ((chunk[from] as number) & 0xc0) === 0x80) from += 1;
  let good = from;
  let end = chunk.length;
  // Halving: the first bad byte lies between `good` and `end`.
  while (end - good > 1) {
    const middle = good + Math.floor((end - good) / 2);
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(chunk.subarray(from, middle), { stream: true });
      good = middle;
    } catch {
      end = middle;
    }
  }
  return good;
}

function newlinesIn(bytes: Uint8Array): number {
  let found = 0;
  for (let at = 0; at < bytes.length; at++) if (bytes[at] === 10) found += 1;
  return found;
}

async function* textOf(file: Bytes): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8");
  for await (const chunk of bytesOf(file)) {
    const text = decoder.decode(chunk, { stream: true });
    if (text !== "") yield text;
  }
  const end = decoder.decode();
  if (end !== "") yield end;
}

/** Whichever of comma, semicolon and tab the headings have most of. */
function delimiterOf(text: string): string {
  const headings = /^[^\r\n]*/.exec(text)?.[0] ?? "";
  return [",", ";", "\t"].reduce((best, one) => (count(headings, one) > count(headings, best) ? one : best));
}

/** Where the cell with this number begins in a record's text, from 1; in a record of several lines, counted on in the first. */
function startOf(text: string, delimiter: string, cell: number): number {
  let at = 0;
  for (let passed = 0; passed < cell && at < text.length; passed++) {
    if (text[at] === '"') {
      at += 1;
      while (at < text.length && !(text[at] === '"' && text[at + 1] !== '"')) at += text[at] === '"' ? 2 : 1;
    }
    const next = text.indexOf(delimiter, at);
    if (next < 0) break;
    at = next + 1;
  }
  return at + 1;
}

function columnOfKey(text: string, key: string): number {
  const at = new RegExp(`${JSON.stringify(key).replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}\\s*:\\s*`).exec(text);
  return at === null ? 1 : at.index + at[0].length + 1;
}

function positionIn(error: unknown, text: string): number {
  const position = /position (\d+)/.exec(error instanceof Error ? error.message : "")?.[1];
  return position === undefined ? text.length + 1 : Number(position) + 1;
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

function plainWords(error: CsvError): string {
  switch (error.code) {
    case "CSV_QUOTE_NOT_CLOSED":
      return "a quotation mark is opened here and never closed";
    case "CSV_MAX_RECORD_SIZE":
      return `a row is longer than ${IMPORT_LINE_BYTES_MAX / 1024} KiB; is a quotation mark not closed?`;
    case "CSV_INVALID_CLOSING_QUOTE":
    case "INVALID_OPENING_QUOTE":
    case "CSV_NON_TRIMABLE_CHAR_AFTER_CLOSING_QUOTE":
      return 'a quotation mark stands inside a cell; write it twice ("") in a cell that is quoted';
    default:
      return "the row can't be read";
  }
}
