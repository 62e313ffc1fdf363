import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** Enough for a few lines, whatever the size of the log. */
const WINDOW_BYTES = 32_768;

/**
 * The last `count` non-empty lines of a log file, joined by " | "; a log shorter than that as it is, a missing or empty
 * one as "the log is empty". `from` leaves out what the file held before that many bytes.
 */
export function lastLines(file: string, count: number, from = 0): string {
  const text = readEnd(file, from);
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.length === 0 ? "the log is empty" : lines.slice(-count).join(" | ");
}

function readEnd(file: string, from: number): string {
  try {
    const descriptor = openSync(file, "r");
    try {
      const { size } = fstatSync(descriptor);
      const start = Math.max(from, size - WINDOW_BYTES);
      const buffer = Buffer.alloc(Math.max(0, size - start));
      readSync(descriptor, buffer, 0, buffer.length, start);
      return buffer.toString("utf8");
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return "";
  }
}
