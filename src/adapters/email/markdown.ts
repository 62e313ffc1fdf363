import MarkdownIt, { type Token } from "markdown-it";

/**
 * The text so that Markdown shows it exactly as it is, on one line, without spaces around: every ASCII punctuation character gets a backslash
 * (CommonMark 0.31, 2.4), so nothing in it can begin a link, emphasis, a list or an entity. Longer than
 * `MAX_VALUE_LENGTH`: cut, with an ellipsis.
 */
export function escapeMarkdown(text: string): string {
  return singleLine(text)
    .trim()
    .replace(/[!-/:-@[-`{-~]/g, "\\$&");
}

/**
 * The text on one line: line breaks, tabs and control characters become a space, what only changes the direction of
 * writing goes. Safe in a header.
 */
export function singleLine(text: string): string {
  const line = text
    .replace(/[\u202A-\u202E\u2066-\u2069\u200E\u200F]/g, "")
    .replace(/\p{Surrogate}/gu, "\uFFFD")
    .replace(/[\p{Cc}\u2028\u2029 ]+/gu, " ");
  return line.length <= MAX_VALUE_LENGTH ? line : `${line.slice(0, MAX_VALUE_LENGTH).replace(/[\uD800-\uDBFF]$/, "")}…`;
}

/** In UTF-16 units. A name or a comment, not a document. */
export const MAX_VALUE_LENGTH = 4_000;

/**
 * Markdown as HTML with its styles inline, as mail programs need it. HTML in the source is shown, not obeyed; links go
 * to `http`, `https`, `mailto` and `tel` only. A paragraph that is nothing but a link becomes a button.
 */
export function renderMarkdown(source: string): string {
  return MARKDOWN.render(source);
}

const MARKDOWN = new MarkdownIt({ html: false, linkify: false, typographer: false });
MARKDOWN.validateLink = (url) => /^(https?:\/\/|mailto:|tel:)/i.test(url.trim());

const STYLES: Readonly<Record<string, string>> = {
  paragraph_open: "margin:0 0 16px",
  heading_open: "margin:24px 0 12px;line-height:1.3;font-weight:600;font-size:18px",
  bullet_list_open: "margin:0 0 16px;padding:0 0 0 24px",
  ordered_list_open: "margin:0 0 16px;padding:0 0 0 24px",
  list_item_open: "margin:0 0 6px",
  blockquote_open: "margin:0 0 16px;padding:0 0 0 16px;border-left:3px solid #d5dbe1;color:#5b6875",
  hr: "border:0;border-top:1px solid #e3e7eb;margin:24px 0",
  link_open: "color:#0b6bcb;text-decoration:underline",
  table_open: "border-collapse:collapse;margin:0 0 16px",
  th_open: "text-align:left;padding:6px 12px 6px 0;border-bottom:1px solid #d5dbe1",
  td_open: "text-align:left;padding:6px 12px 6px 0;border-bottom:1px solid #eef1f4",
  image: "max-width:100%;height:auto;border:0",
};
const BUTTON =
  "display:inline-block;padding:12px 22px;border-radius:6px;background:#0b6bcb;color:#ffffff;font-weight:600;text-decoration:none";

MARKDOWN.core.ruler.push("waypost_styles", ({ tokens }) => {
  tokens.forEach((token, index) => {
    const isParagraph = tokens[index - 1]?.type === "paragraph_open" && token.level === 1;
    const button = isParagraph ? onlyLink(token.children ?? []) : undefined;
    for (const part of [token, ...(token.children ?? [])]) {
      const style = part === button ? BUTTON : STYLES[part.type];
      if (style !== undefined) part.attrSet("style", style);
    }
  });
});

/** The link, if nothing else (but emphasis around it) is in the paragraph. */
function onlyLink(inline: readonly Token[]): Token | undefined {
  const solid = inline.filter(
    ({ type, content }) => !(type === "text" && content === "") && !/^(strong|em)_/.test(type),
  );
  const links = solid.filter((token) => token.type === "link_open");
  return links.length === 1 && solid.at(-1)?.type === "link_close" && solid[0] === links[0] ? solid[0] : undefined;
}
