import { compile } from "html-to-text";
import type { Footer } from "./footer.js";

/** What the layout is put around. `content` is HTML, all else plain text. */
export interface Layout {
  readonly subject: string;
  readonly preheader: string;
  readonly content: string;
  readonly footer: Footer;
  readonly locale: string;
}

/** The whole HTML part: one column up to 600 px wide, styles inline, the preheader hidden. */
export function htmlLayout({ subject, preheader, content, footer, locale }: Layout): string {
  const hidden =
    preheader === ""
      ? ""
      : `<div style="display:none;max-height:0;overflow:hidden;mso-hide:all;font-size:1px;line-height:1px;color:#f3f5f7">${escapeHtml(preheader)}${PADDING}</div>\n`;
  const lines = footer.lines.map((line) => `<p style="margin:0 0 6px">${escapeHtml(line)}</p>`);
  if (footer.unsubscribe !== undefined) {
    const { text, url } = footer.unsubscribe;
    lines.push(
      `<p style="margin:0"><a href="${escapeHtml(url)}" style="color:#5b6875;text-decoration:underline">${escapeHtml(text)}</a></p>`,
    );
  }
  return `<!doctype html>
<html lang="${escapeHtml(locale)}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light"><title>${escapeHtml(subject)}</title></head>
<body style="margin:0;padding:0;background:#f3f5f7">
${hidden}<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="background:#f3f5f7"><tr><td align="center" style="padding:24px 12px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:600px;background:#ffffff;border-radius:8px"><tr><td style="padding:32px 32px 16px;font:16px/1.55 -apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;color:#1c2733;overflow-wrap:break-word">
${content.trimEnd()}
</td></tr></table>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:600px"><tr><td style="padding:16px 32px;font:13px/1.5 -apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;color:#5b6875">
${lines.join("\n")}
</td></tr></table>
</td></tr></table>
</body></html>
`;
}

/** The same as plain text: the content, then the footer below a line. */
export function textAlternative(content: string, footer: Footer): string {
  const lines = [...footer.lines];
  if (footer.unsubscribe !== undefined) lines.push(`${footer.unsubscribe.text}: ${footer.unsubscribe.url}`);
  return `${toText(content).trim()}\n\n${"-".repeat(40)}\n${lines.join("\n")}\n`;
}

/** Otherwise the inbox shows the first words of the mail behind a short preheader. */
const PADDING = "&#847;&zwnj;&nbsp;".repeat(40);

const toText = compile({
  wordwrap: 78,
  selectors: [
    ...["h1", "h2", "h3", "h4", "h5", "h6"].map((selector) => ({ selector, options: { uppercase: false } })),
    { selector: "a", options: { hideLinkHrefIfSameAsText: true, linkBrackets: ["<", ">"] } },
    { selector: "img", format: "skip" },
    { selector: "ul", options: { itemPrefix: "- " } },
  ],
});

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
