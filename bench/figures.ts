import { cpus, loadavg, totalmem } from "node:os";

export type Target = `<= ${number}` | `>= ${number}`;

/** One measured figure. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it stands beside, measured in the same run; null where there is none. */
  readonly reference: number | null;
  /** `<= 22`; null where nothing was promised. */
  readonly target: Target | null;
  /** Whether the target is met; null without one. */
  readonly ok: boolean | null;
}

/** What a suite comes to: the last line of `--json`. */
export interface SuiteResult {
  readonly suite: string;
  readonly figures: readonly Figure[];
  /** No target was missed. */
  readonly ok: boolean;
}

/** A figure with its target judged. `target` is `<= N` or `>= N`. */
export function figure(
  name: string,
  value: number,
  unit: string,
  options: { readonly reference?: number; readonly target?: Target } = {},
): Figure {
  const { reference, target } = options;
  const limit = target === undefined ? 0 : Number(target.slice(3));
  const ok = target === undefined ? null : target.startsWith("<=") ? value <= limit : value >= limit;
  return {
    name,
    value: rounded(value),
    unit,
    reference: reference === undefined ? null : rounded(reference),
    target: target ?? null,
    ok,
  };
}

/** A suite's result: ok if no target was missed. */
export function resultOf(suite: string, figures: readonly Figure[]): SuiteResult {
  return { suite, figures, ok: figures.every(({ ok }) => ok !== false) };
}

/** Of figures that were measured round by round, in the same order: each one's median. */
export function medians(rounds: readonly (readonly Figure[])[]): readonly Figure[] {
  return (rounds[0] ?? []).map(({ name, unit, target }, index) => {
    const values = rounds.map((figures) => figures[index]?.value ?? Number.NaN);
    return figure(name, median(values), unit, target === null ? {} : { target });
  });
}

/** The middle value; of an even number the mean of the two. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return sorted.length % 2 === 1
    ? (sorted[Math.floor(half)] as number)
    : ((sorted[half - 1] ?? Number.NaN) + (sorted[half] ?? Number.NaN)) / 2;
}

/** The value that this share (0 to 1) of all lies at or below. NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** A table for people. */
export function printed({ suite, figures, ok }: SuiteResult): string {
  const rows = figures.map(({ name, value, unit, reference, target, ok: met }) => [
    name,
    `${value} ${unit}`.trim(),
    reference === null ? "" : `${reference} ${unit}`.trim(),
    target ?? "",
    met === null ? "" : met ? "met" : "MISSED",
  ]);
  const table = [["figure", "Waypost", "reference", "target", ""], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  return [
    `${suite}: ${ok ? "every target met" : "a target was missed"}`,
    ...table.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd()),
  ].join("\n");
}

/** This machine and how busy it is, to be read beside every figure. */
export function machine(): string {
  const [one, five] = loadavg();
  const processors = cpus();
  return `${processors.length} × ${processors[0]?.model ?? "processor"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}; load ${one?.toFixed(1)} (1 min), ${five?.toFixed(1)} (5 min)`;
}

function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}
