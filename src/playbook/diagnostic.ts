/** One thing wrong (or doubtful) in a file of `playbooks/`, as data: collected, never thrown. */
export interface Diagnostic {
  /** Stable, e.g. `WP201`; docs/diagnostics.md has a paragraph on each. */
  readonly code: string;
  /** An error keeps the file from being published; a warning doesn't. */
  readonly severity: "error" | "warning";
  /** Relative to `playbooks/`. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units of the line. */
  readonly column: number;
  /** The first column behind it, on the same line; absent where only a place is known. */
  readonly endColumn?: number;
  /** What is wrong, a sentence. */
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
}

/** The diagnostic for people: place and message, the source line, a caret under the place, the hint. `source` is the file's text. */
export function formatDiagnostic(diagnostic: Diagnostic, source: string): string {
  const { file, line, column, severity, code, message, hint } = diagnostic;
  const lines = [`${file}:${line}:${column}: ${severity}: ${message} [${code}]`];
  const text = source.split(/\r?\n/, line)[line - 1];
  if (text !== undefined && text.trim() !== "") lines.push(...underlined(diagnostic, text));
  if (hint !== undefined) lines.push(`  = ${hint}`);
  return lines.join("\n");
}

/** In the order of a listing: by file, then place, then code. */
export function compareDiagnostics(left: Diagnostic, right: Diagnostic): number {
  return (
    compareText(left.file, right.file) ||
    left.line - right.line ||
    left.column - right.column ||
    compareText(left.code, right.code) ||
    compareText(left.message, right.message)
  );
}

/** Where a caret of more than a line would be no help; long lines are shown around the place. */
const SHOWN_WIDTH = 160;

function underlined({ line, column, endColumn }: Diagnostic, text: string): string[] {
  const start = Math.min(column - 1, text.length);
  const skipped = start > SHOWN_WIDTH - 40 ? start - 40 : 0;
  const shown = text.slice(skipped, skipped + SHOWN_WIDTH);
  // Tabs stay tabs, so that the caret stands under its character however wide the reader's tabs are.
  const indent = text.slice(skipped, start).replace(/[^\t]/g, " ");
  const width = Math.max(1, Math.min((endColumn ?? column + 1) - column, skipped + SHOWN_WIDTH - start));
  const margin = `${line} | `;
  return [`${margin}${shown}`, `${" ".repeat(margin.length - 2)}| ${indent}${"^".repeat(width)}`];
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
