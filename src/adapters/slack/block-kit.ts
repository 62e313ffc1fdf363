/**
 * Slack's limits and the few ways in which text becomes safe for it. Source: docs.slack.dev, "Block Kit"; channels.md, "Limits".
 */

/** Characters, except where it says otherwise. */
export const SLACK_LIMITS = {
  messageBlocks: 50,
  viewBlocks: 100,
  /** All blocks of a message together, as JSON. */
  messageCharacters: 13_200,
  fallbackText: 4_000,
  sectionText: 3_000,
  fields: 10,
  fieldText: 2_000,
  headerText: 150,
  buttonText: 75,
  buttonValue: 2_000,
  optionText: 75,
  optionValue: 75,
  selectOptions: 100,
  overflowOptions: 5,
  actionElements: 25,
  actionId: 255,
  blockId: 255,
  modalTitle: 24,
  modalButton: 24,
  privateMetadata: 3_000,
  inputLabel: 2_000,
  inputText: 3_000,
} as const;

/** The text, or its beginning and `…`: at most `max` UTF-16 units; never half a character, never half of `&amp;`. */
export function truncate(text: string, max: number): string {
  if (text.length <= max) return text;
  let cut = text.slice(0, max - 1);
  if (/[\ud800-\udbff]$/.test(cut)) cut = cut.slice(0, -1);
  return `${cut.replace(/&[a-z]{0,3}$/, "")}…`;
}

/**
 * Somebody's data as Slack's markup that shows it and does nothing else: no mention, no link, no `<!channel>`. What Slack asks
 * to be escaped is & < >; the names after @ are broken up as well, for surfaces that look for them.
 */
export function escapeMrkdwn(text: string): string {
  return text
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/@(?=(?:here|channel|everyone)\b)/gi, "@\u200b");
}

/**
 * A text of a step as Slack's markup: Markdown's `**bold**` and `[links](https://…)` are turned into Slack's; markup that
 * would call a whole channel is disarmed, whoever wrote it.
 */
export function mrkdwnOf(markdown: string): string {
  return markdown
    .replace(/<(?=!)/g, "&lt;")
    .replace(/@(?=(?:here|channel|everyone)\b)/gi, "@\u200b")
    .replace(/\*\*([^*\n]+)\*\*/g, "*$1*")
    .replace(/\[([^\]\n]+)\]\((https?:\/\/[^\s()<>|]+)\)/g, "<$2|$1>");
}

export interface PlainText {
  readonly type: "plain_text";
  readonly text: string;
  readonly emoji: false;
}

/** Shown as it is, cut to `max`. Slack refuses empty texts: a dash stands for one. */
export function plain(text: string, max: number): PlainText {
  return { type: "plain_text", text: truncate(text.trim() === "" ? "–" : text, max), emoji: false };
}

export interface MrkdwnText {
  readonly type: "mrkdwn";
  readonly text: string;
  readonly verbatim: true;
}

/** Slack's markup, cut to `max`. `verbatim`: only what is written as markup is markup. */
export function mrkdwn(text: string, max: number): MrkdwnText {
  return { type: "mrkdwn", text: truncate(text.trim() === "" ? "–" : text, max), verbatim: true };
}

export function section(text: string): Record<string, unknown> {
  return { type: "section", text: mrkdwn(text, SLACK_LIMITS.sectionText) };
}

export function header(text: string): Record<string, unknown> {
  return { type: "header", text: plain(text, SLACK_LIMITS.headerText) };
}

export function context(text: string): Record<string, unknown> {
  return { type: "context", elements: [mrkdwn(text, SLACK_LIMITS.fieldText)] };
}

export function divider(): Record<string, unknown> {
  return { type: "divider" };
}

export interface ButtonOptions {
  readonly value?: string;
  readonly url?: string;
  readonly style?: "primary" | "danger";
}

export function button(actionId: string, label: string, options: ButtonOptions = {}): Record<string, unknown> {
  return { type: "button", action_id: actionId, text: plain(label, SLACK_LIMITS.buttonText), ...options };
}

export interface Option {
  readonly text: PlainText;
  readonly value: string;
}

/** @throws RangeError for a value Slack would refuse: a cut value would be another value. */
export function option(label: string, value: string): Option {
  if (value.length > SLACK_LIMITS.optionValue || value === "")
    throw new RangeError(`a Slack option's value has 1 to ${SLACK_LIMITS.optionValue} characters, not ${value.length}`);
  return { text: plain(label, SLACK_LIMITS.optionText), value };
}

/** `open_account` → `Open account`. */
export function humanName(name: string): string {
  const words = name.replace(/[_-]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
