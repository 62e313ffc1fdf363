import type { Problem } from "./read-yaml.js";

/**
 * Where a text shows that its file was not UTF-8, or undefined. Whoever read the bytes has put U+FFFD for what it could not read; UTF-16
 * leaves NUL behind each Latin letter. Said once for a file: everything else in it would only follow from that.
 */
export function encodingProblem(source: string): { offset: number; length: number; problem: Problem } | undefined {
  const offset = source.search(/[\uFFFD\0]/);
  if (offset < 0) return undefined;
  const problem = {
    code: "WP009",
    message: "The file is not UTF-8: this character can't be read.",
    hint: 'Save it as UTF-8 ("encoding" in the editor). Was it made elsewhere: iconv -f WINDOWS-1251 -t UTF-8.',
  };
  return { offset, length: 1, problem };
}
