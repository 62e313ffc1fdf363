/** A template's parts. `bodyLine` is the file's line (from 1) at which the body begins. */
export interface FrontMatter {
  readonly subject?: string;
  readonly preheader?: string;
  readonly body: string;
  readonly bodyLine: number;
}

/**
 * A template's source taken apart. The head is between two lines of `---`, one `key: value` a line, a value bare or in
 * YAML's single or double quotes; keys other than `subject` and `preheader` are left alone. Without a head, all is body.
 */
export function readFrontMatter(source: string): FrontMatter {
  const text = source.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  const head = /^---[ \t]*\n([\s\S]*?\n)?---[ \t]*(?:\n|$)/.exec(text);
  if (head === null) return { body: text, bodyLine: 1 };
  const values = new Map<string, string>();
  for (const line of (head[1] ?? "").split("\n")) {
    const [, key, value] = /^(\w+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) values.set(key, unquote(value));
  }
  const subject = values.get("subject");
  const preheader = values.get("preheader");
  return {
    ...(subject === undefined || subject === "" ? {} : { subject }),
    ...(preheader === undefined || preheader === "" ? {} : { preheader }),
    body: text.slice(head[0].length),
    bodyLine: head[0].split("\n").length,
  };
}

function unquote(value: string): string {
  if (/^'.*'$/.test(value)) return value.slice(1, -1).replaceAll("''", "'");
  if (!/^".*"$/.test(value)) return value;
  return value.slice(1, -1).replace(/\\(["\\/])/g, "$1");
}
