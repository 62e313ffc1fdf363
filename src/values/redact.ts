/** The text without e-mail addresses, tokens, and passwords in URLs. */
export function redact(text: string): string {
  return text
    .replace(/\b(wp_[A-Za-z0-9_-]{8})[A-Za-z0-9_-]+/g, "$1…")
    .replace(/\bx(?:ox[a-z]|app)-[\w-]+/g, "x…")
    .replace(/(:\/\/[^\s/:@"]+):[^\s/@"]+@/g, "$1:…@")
    .replace(/[\w.+%-]+@(?=[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,})/g, "…@");
}
