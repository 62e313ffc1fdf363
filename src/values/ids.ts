import { sha256Hex } from "./sha256.js";

/** The longest text that stands in an id as it is, in UTF-16 units; a workflow id with its other parts then stays far below Temporal's 1,000 bytes. */
export const MAX_ID_PART_LENGTH = 80;

/**
 * `text` as one part of an id whose parts are joined by `/`: different (well-formed) texts give different parts. `/`, `%` and control characters
 * are written `%2F`; a text that is long, or may be personal (it holds an `@`), becomes `h-` and 128 bits of its SHA-256.
 * Empty text stays empty. `unescapeIdPart` reads back what was not hashed.
 */
export function escapeIdPart(text: string): string {
  if (mustBeHashed(text)) return `h-${sha256Hex(text).slice(0, 32)}`;
  return text.replace(/[/%\p{Cc}]/gu, (character) => {
    const code = character.charCodeAt(0).toString(16).toUpperCase();
    return `%${code.padStart(2, "0")}`;
  });
}

/** The text that `escapeIdPart` was given, or undefined where only its hash is left. Throws RangeError for a part that `escapeIdPart` doesn't write. */
export function unescapeIdPart(part: string): string | undefined {
  if (HASHED.test(part)) return undefined;
  const text = part.replace(/%([0-9A-F]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
  if (escapeIdPart(text) !== part) throw new RangeError("not a part of an id");
  return text;
}

const HASHED = /^h-[0-9a-f]{32}$/;

function mustBeHashed(text: string): boolean {
  // What looks like a hash is hashed too, else it could pass for another text's; half a surrogate pair has no UTF-8 to travel in.
  return text.length > MAX_ID_PART_LENGTH || text.includes("@") || HASHED.test(text) || /\p{Surrogate}/u.test(text);
}
