import MailComposer from "nodemailer/lib/mail-composer";
import { type Composer, type MailDraft, TextFault } from "../../ports/composer.js";
import type { RawMessage } from "../../ports/mailer.js";
import { isAddress } from "./address.js";
import { type Footer, footerFor } from "./footer.js";
import { readFrontMatter } from "./front-matter.js";
import { htmlLayout, textAlternative } from "./layout.js";
import { createLiquid, type Liquid } from "./liquid.js";
import { escapeMarkdown, renderMarkdown, singleLine } from "./markdown.js";
import { type OnlyTo, onlyToAllows } from "./only-to.js";

export interface MailComposerOptions {
  /** In the Message-ID: `<DELIVERY@domain>`. */
  readonly domain: string;
  /** Base address of the unsubscribe page: `https://waypost.example` → `https://waypost.example/unsubscribe/TOKEN`. */
  readonly publicUrl: string;
  /** Reply-To becomes `reply+DELIVERY@replyDomain`; absent: replies go to the sender. */
  readonly replyDomain?: string;
  /** The return path becomes `bounce+DELIVERY@returnPathDomain`; absent: the sender's address. */
  readonly returnPathDomain?: string;
  /** A redirection also shows in the To header, with the first address as its name. Restrictions are held by the mailer. */
  readonly onlyTo?: OnlyTo;
}

/** The half of the `Composer` port that makes e-mails and plain texts; Slack's is `src/adapters/slack/messages.ts`. */
export type MailHalf = Pick<Composer, "references" | "mail" | "text">;

/**
 * E-mails from templates: Liquid first, its values escaped into Markdown, then Markdown, then the HTML layout and the
 * text alternative; so no value can become a link, markup or a header. The same draft gives the same bytes.
 */
export function createMailComposer(options: MailComposerOptions): MailHalf {
  const publicUrl = httpUrl(options.publicUrl);
  const liquids = {
    markdown: createLiquid(escapeMarkdown),
    plain: createLiquid(singleLine),
    mrkdwn: createLiquid((text) => escapeMrkdwn(singleLine(text))),
  };
  /** What a source mentions, once it was asked for. */
  const mentioned = new Map<string, readonly string[]>();
  return {
    references(source) {
      const known = mentioned.get(source);
      if (known !== undefined) return known;
      const { subject, preheader, body, bodyLine } = readFrontMatter(source);
      const found = [
        ...liquids.plain.references(subject ?? "", 1),
        ...liquids.plain.references(preheader ?? "", 1),
        ...liquids.markdown.references(body, bodyLine),
      ];
      const paths = [...new Set(found)].sort();
      if (mentioned.size >= MENTIONED_MAX) mentioned.clear();
      mentioned.set(source, paths);
      return paths;
    },

    async text(source, variables, style) {
      return liquids[style.markup].render(source, variables, style, 1);
    },

    async mail(draft) {
      return await buildMessage(draft, fill(draft, liquids, publicUrl), options);
    },
  };
}

/** Sources kept; a few hundred templates are in use at a time. */
const MENTIONED_MAX = 1_000;

interface Filled {
  readonly subject: string;
  readonly preheader: string;
  /** The body as HTML, without layout. */
  readonly content: string;
  readonly unsubscribeUrl?: string;
}

function fill(draft: MailDraft, liquids: { markdown: Liquid; plain: Liquid }, publicUrl: URL): Filled {
  const { template } = draft;
  const { subject, preheader, body, bodyLine } = readFrontMatter(template.source);
  if (subject === undefined) throw new TextFault(`${nameOf(draft)}: the front matter has no subject`);
  const unsubscribeUrl = unsubscribeUrlOf(draft, publicUrl);
  const variables =
    unsubscribeUrl === undefined ? draft.variables : { ...draft.variables, "links.unsubscribe": unsubscribeUrl };
  const style = { locale: template.locale, timezone: draft.timezone };
  const render = (liquid: Liquid, source: string, line: number) => {
    try {
      return liquid.render(source, variables, style, line);
    } catch (error) {
      throw error instanceof TextFault ? new TextFault(`${nameOf(draft)}: ${error.message}`, { cause: error }) : error;
    }
  };
  return {
    subject: singleLine(render(liquids.plain, subject, 1)).trim(),
    preheader: singleLine(render(liquids.plain, preheader ?? "", 1)).trim(),
    content: renderMarkdown(render(liquids.markdown, body, bodyLine)),
    ...(unsubscribeUrl === undefined ? {} : { unsubscribeUrl }),
  };
}

/** The page needs no look-up to know its language and what it is about, so that it shows the same for any token. */
function unsubscribeUrlOf(draft: MailDraft, publicUrl: URL): string | undefined {
  if (draft.unsubscribeToken === undefined) return undefined;
  const url = new URL(publicUrl);
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/unsubscribe/${encodeURIComponent(draft.unsubscribeToken)}`;
  url.search = new URLSearchParams({ lang: draft.template.locale, about: draft.category }).toString();
  return url.href;
}

async function buildMessage(
  draft: MailDraft,
  { subject, preheader, content, unsubscribeUrl }: Filled,
  options: MailComposerOptions,
): Promise<RawMessage> {
  const { company, deliveryId, template } = draft;
  if (!DELIVERY_ID.test(deliveryId)) throw new TextFault(`${nameOf(draft)}: the delivery id can't stand in a header`);
  if (!isAddress(draft.from.address)) throw new TextFault(`${nameOf(draft)}: the sender's address is not an address`);
  const messageId = `<${deliveryId}@${options.domain}>`;
  const to = recipient(draft, options.onlyTo);
  const footer: Footer = footerFor(company, draft.category, template.locale, unsubscribeUrl);
  const mail = {
    messageId,
    date: new Date(draft.at),
    from: { name: singleLine(draft.from.name), address: draft.from.address },
    // Not the template's fault: the mailer refuses the envelope, as a server would, and nothing of it is in a header.
    to: isAddress(to.address) ? to : { name: singleLine(draft.to.name), address: "invalid@invalid" },
    ...(options.replyDomain === undefined ? {} : { replyTo: `reply+${deliveryId}@${options.replyDomain}` }),
    subject,
    html: htmlLayout({ subject, preheader, content, footer, locale: template.locale }),
    text: textAlternative(content, footer),
    headers: headersOf(draft, unsubscribeUrl),
    // Drawn at random by default: then a retry would not send the same bytes.
    baseBoundary: deliveryId,
    disableFileAccess: true,
    disableUrlAccess: true,
  };
  const raw = await new MailComposer(mail).compile().build();
  const returnPath =
    options.returnPathDomain === undefined ? draft.from.address : `bounce+${deliveryId}@${options.returnPathDomain}`;
  return { messageId, envelope: { from: returnPath, to: to.address }, raw: raw.toString("utf8") };
}

function recipient({ to }: MailDraft, onlyTo: OnlyTo | undefined): { name: string; address: string } {
  const allowed = onlyToAllows(onlyTo, to.address);
  if (allowed.kind === "skip" || allowed.to === to.address) return { name: singleLine(to.name), address: to.address };
  return { name: singleLine(`${to.name} (${to.address})`), address: allowed.to };
}

/** `prepared`: folding would break the long link, and with it the one click. Their parts hold nothing that needs encoding. */
function headersOf(draft: MailDraft, unsubscribeUrl: string | undefined): { key: string; value: PreparedHeader }[] {
  const headers: [string, string][] = [
    ["Auto-Submitted", "auto-generated"],
    ["Content-Language", headerToken(draft.template.locale)],
    ["X-Waypost-Delivery", draft.deliveryId],
    ["X-Waypost-Template", headerToken(draft.template.name)],
    ["X-Waypost-Category", headerToken(draft.category)],
  ];
  if (unsubscribeUrl !== undefined) {
    // RFC 8058: the POST acts at once, the GET only shows a page. The relay's DKIM signature must cover both.
    headers.push(["List-Unsubscribe", `<${unsubscribeUrl}>`], ["List-Unsubscribe-Post", "List-Unsubscribe=One-Click"]);
  }
  return headers.map(([key, value]) => ({ key, value: { prepared: true, foldLines: false, value } }));
}

interface PreparedHeader {
  readonly prepared: true;
  readonly foldLines: false;
  readonly value: string;
}

/** Names and locales are checked when published; here they only must not break a header. */
function headerToken(text: string): string {
  return text.replace(/[^\w.\-/]/g, "_");
}

const DELIVERY_ID = /^[\w-]{1,64}$/;

/**
 * Slack's three special characters: without `<` no link, mention or channel can be written. And what would become Slack's markup later, since a
 * step's own text may have Markdown's links and bold (`mrkdwnOf`): a value's are broken up, unseen.
 */
function escapeMrkdwn(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replace(/\](?=\()/g, "]\u200b")
    .replace(/^(?=\(https?:)/, "\u200b")
    .replace(/\*(?=\*)/g, "*\u200b");
}

function nameOf({ template }: MailDraft): string {
  return `${template.name}.${template.locale}.md`;
}

function httpUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new Error(`"${text}" is not the public address of this installation: expected https://HOST`);
  }
  return url;
}
