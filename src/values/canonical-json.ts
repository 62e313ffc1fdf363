import { sha256Hex } from "./sha256.js";

/** SHA-256 (hex) of plain JSON, the same whatever order its keys come in: the store gives them back in another one. */
export function meaningHash(value: unknown): string {
  return sha256Hex(canonicalJson(value));
}

/** The JSON text of the value, with the keys of every object in code-unit order. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
