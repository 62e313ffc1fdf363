/** Exit codes of every command. */
export const EXIT = { fine: 0, no: 1, usage: 2, fault: 3 } as const;

/** The command was used wrongly: exit code 2. The message says what to do. */
export class UsageFault extends Error {
  override readonly name = "UsageFault";
}

/** The command worked and the answer is no (not found, refused, not publishable): exit code 1. */
export class AnswerNo extends Error {
  override readonly name = "AnswerNo";
  constructor(
    message: string,
    /** What `--json` prints instead of `{ "error": … }`. */
    readonly json?: unknown,
  ) {
    super(message);
  }
}

/** Where a command prints: answers to stdout, progress and errors to stderr. */
export interface Output {
  readonly isJson: boolean;
  /** The answer: one JSON value on one line with `--json`, else the text. */
  answer(json: unknown, text: string): void;
  /** What is going on: never on stdout. */
  progress(line: string): void;
}

export function outputOf(isJson: boolean): Output {
  return {
    isJson,
    answer: (json, text) => {
      process.stdout.write(`${isJson ? JSON.stringify(json) : text}\n`);
    },
    progress: (line) => {
      process.stderr.write(`${line}\n`);
    },
  };
}

/** The last column's least width, however narrow the terminal. */
const LAST_COLUMN_MIN = 12;

/** Rows under headings, as wide as they need to be. `width`: the last column is cut to fit so many characters. */
export function table(
  headings: readonly string[],
  given: readonly (readonly string[])[],
  width = Number.POSITIVE_INFINITY,
): string {
  const before = headings
    .slice(0, -1)
    .map((heading, column) => Math.max(heading.length, ...given.map((row) => (row[column] ?? "").length)));
  const room = Math.max(LAST_COLUMN_MIN, width - before.reduce((sum, one) => sum + one + 2, 0));
  const rows = given.map((row) => row.map((cell, column) => (column === before.length ? shortened(cell, room) : cell)));
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(headings), ...rows.map(line)].join("\n");
}

/** The terminal's width in characters; endless where stdout is no terminal. */
export function terminalWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
}

function shortened(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
