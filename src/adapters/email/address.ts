/**
 * True for an address that can stand in an envelope and a header as it is: one `@`, no spaces, control characters,
 * quotes or separators, at most 254 characters (RFC 5321, 4.5.3.1). Stricter than the standard on purpose: a quoted
 * local part is not worth the ways it can be misread.
 */
export function isAddress(text: string): boolean {
  return text.length <= MAX_ADDRESS_LENGTH && ADDRESS.test(text);
}

const MAX_ADDRESS_LENGTH = 254;
const ADDRESS =
  /^[^\s@<>()[\]\\,;:"\p{Cc}\p{Cf}]{1,64}@[^\s@<>()[\]\\,;:"\p{Cc}\p{Cf}.]+(\.[^\s@<>()[\]\\,;:"\p{Cc}\p{Cf}.]+)*$/u;
