import { Problem } from "./problem.js";

/** Deeper than anything that is meant: an evaluator's stack is no place for a stranger's brackets. */
export const JSON_DEPTH_MAX = 32;

/** Keys that code elsewhere could mistake for an object's own workings. */
const FORBIDDEN_KEYS = new Set(["__proto__", "constructor", "prototype"]);

/**
 * The request's body as JSON. Throws a `Problem` for another content type, a body over `maxBytes` (read no further than that), text that is
 * not UTF-8 or not JSON, nesting beyond `JSON_DEPTH_MAX`, forbidden keys, and texts that can't be kept. An empty body is undefined.
 */
export async function readJson(request: Request, maxBytes: number): Promise<unknown> {
  const bytes = await readBytes(request, maxBytes);
  if (bytes.length === 0) return undefined;
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/(json|[\w.+-]+\+json)\s*(;|$)/i.test(type))
    throw new Problem("unsupported-media-type", "send the body as Content-Type: application/json");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Problem("bad-request", "the body is not UTF-8");
  }
  if (nesting(text) > JSON_DEPTH_MAX)
    throw new Problem("bad-request", `the body is nested deeper than ${JSON_DEPTH_MAX} levels`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Problem("bad-request", `the body is not JSON: ${placeOf(error, text)}`);
  }
  refuseWhatCannotBe(value, "");
  return value;
}

async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = new Problem("too-large", `the body may have ${maxBytes} bytes at most`);
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge;
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = request.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > maxBytes) {
      await reader.cancel().catch(() => {});
      throw tooLarge;
    }
    chunks.push(value);
  }
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks, length);
}

/** The deepest nesting of brackets outside strings, before anything is built from them. */
function nesting(text: string): number {
  let depth = 0;
  let deepest = 0;
  let isInString = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (isInString) {
      if (code === 0x5c) index++;
      else if (code === 0x22) isInString = false;
    } else if (code === 0x22) isInString = true;
    else if (code === 0x5b || code === 0x7b) {
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if (code === 0x5d || code === 0x7d) depth -= 1;
  }
  return deepest;
}

/** Line and column of what the parser stumbled on; never the text itself, which may be anybody's data. */
function placeOf(error: unknown, text: string): string {
  const position = /position (\d+)/.exec(error instanceof Error ? error.message : "")?.[1];
  if (position === undefined) return "it ends too early, or is something else";
  const before = text.slice(0, Number(position)).split("\n");
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}

/** Whether Postgres can keep the text: no NUL, no half of a surrogate pair. */
export function canBeKept(text: string): boolean {
  return !UNKEPT.test(text);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what is refused
const UNKEPT = /[\u0000\p{Surrogate}]/u;

/** Whether every text in the value, names too, can be kept. Throws `RangeError` for what is nested thousands deep. */
export function allCanBeKept(value: unknown): boolean {
  if (typeof value === "string") return canBeKept(value);
  if (typeof value !== "object" || value === null) return true;
  return Object.entries(value).every(([key, inner]) => canBeKept(key) && allCanBeKept(inner));
}

function refuseWhatCannotBe(value: unknown, path: string): void {
  if (typeof value === "string" && !canBeKept(value)) throw unkept(path);
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) refuseWhatCannotBe(item, `${path}[${index}]`);
    return;
  }
  for (const [key, inner] of Object.entries(value)) {
    const at = path === "" ? key : `${path}.${key}`;
    if (FORBIDDEN_KEYS.has(key))
      throw new Problem("bad-request", `"${key}" is not allowed as a key`, {
        errors: [{ path: at, message: "is not allowed as a key" }],
      });
    if (!canBeKept(key)) throw unkept(path);
    refuseWhatCannotBe(inner, at);
  }
}

function unkept(path: string): Problem {
  return new Problem("bad-request", "a text holds a character that can't be kept", {
    errors: [{ path: path === "" ? "body" : path, message: UNKEPT_MESSAGE }],
  });
}

export const UNKEPT_MESSAGE = "must not hold U+0000 or half of a surrogate pair";
