import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { StoreUnavailable } from "../../ports/transactions.js";
import { parseInstant } from "../../values/instant.js";

export interface UnsubscribePageOptions {
  /** Does it; nothing for an unknown token (`src/operations/unsubscribe.ts`). */
  readonly unsubscribe: (request: {
    readonly token: string;
    readonly all: boolean;
    readonly at?: number | undefined;
  }) => Promise<void>;
  /** Who is writing, and what a customer calls each category that can be left; category → locale → title. As of now. */
  readonly company: () => Shown | Promise<Shown>;
}

export interface Shown {
  readonly name: string;
  readonly categoryTitles: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/**
 * `/unsubscribe/TOKEN`: GET shows a page with a button and changes nothing (scanners fetch links); POST acts at once, as
 * RFC 8058 wants it, and answers with a page. Known and unknown tokens look the same: what the page says comes from
 * `?lang=` and `?about=` alone. 503 with Retry-After while the store is away.
 */
export function unsubscribePage({ unsubscribe, company }: UnsubscribePageOptions): Hono {
  const app = new Hono();

  app.use("/unsubscribe/:token", async (context, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) context.header(name, value);
  });

  app.get("/unsubscribe/:token", async (context) => {
    const { words, name, title } = shown(await company(), context.req.query(), context.req.header("accept-language"));
    return context.html(askPage(words, name, title));
  });

  app.post("/unsubscribe/:token", bodyLimit({ maxSize: MAX_BODY_BYTES }), async (context) => {
    const { words, name, title } = shown(await company(), context.req.query(), context.req.header("accept-language"));
    const { scope, at } = await formOf(context.req);
    const all = scope === "all";
    const token = context.req.param("token");
    try {
      if (TOKEN.test(token))
        await unsubscribe({ token, all, at: typeof at === "string" ? parseInstant(at) : undefined });
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      context.header("retry-after", String(RETRY_AFTER_S));
      return context.html(page(words, words.later, `<h1>${words.later}</h1>`), 503);
    }
    return context.html(donePage(words, name, all ? undefined : title));
  });

  return app;
}

/** A form of one field. */
const MAX_BODY_BYTES = 10_000;
const RETRY_AFTER_S = 30;
const TOKEN = /^[\w-]{1,128}$/;

const HEADERS = {
  "content-security-policy":
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-robots-tag": "noindex",
};

async function formOf(request: {
  parseBody(): Promise<Record<string, unknown>>;
}): Promise<{ readonly scope?: unknown; readonly at?: unknown }> {
  try {
    return await request.parseBody();
  } catch {
    // A mail program's one click may come with any body, or none.
    return {};
  }
}

function shown(
  { name, categoryTitles }: Shown,
  query: Record<string, string>,
  acceptLanguage: string | undefined,
): { words: Words; name: string; title: string | undefined } {
  const language = languageOf(query.lang) ?? languageOf(acceptLanguage?.split(",")[0]) ?? "en";
  const titles = Object.hasOwn(categoryTitles, query.about ?? "") ? categoryTitles[query.about ?? ""] : undefined;
  return { words: WORDS[language], name, title: titles?.[language] ?? titles?.en };
}

function languageOf(text: string | undefined): Language | undefined {
  const language = text?.trim().slice(0, 2).toLowerCase() ?? "";
  return Object.hasOwn(WORDS, language) ? (language as Language) : undefined;
}

function askPage(words: Words, company: string, title: string | undefined): string {
  const about = title === undefined ? words.theseMails : words.quoted(escapeHtml(title));
  return page(
    words,
    words.unsubscribe,
    `<h1>${words.ask(about, escapeHtml(company))}</h1>
<form method="post">
  <button name="scope" value="category">${words.leave(about)}</button>
  <button name="scope" value="all" class="plain">${words.leaveAll(escapeHtml(company))}</button>
</form>
<p class="note">${words.service}</p>`,
  );
}

function donePage(words: Words, company: string, title: string | undefined): string {
  const about = title === undefined ? words.theseMails : words.quoted(escapeHtml(title));
  return page(
    words,
    words.done,
    `<h1>${words.done}</h1>
<p>${words.doneAbout(about, escapeHtml(company))}</p>
<p class="note">${words.service}</p>`,
  );
}

function page(words: Words, title: string, body: string): string {
  return `<!doctype html>
<html lang="${words.language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title>
<style>
body { margin: 0; background: #f3f5f7; color: #1c2733; font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 520px; margin: 10vh auto; padding: 32px; background: #fff; border-radius: 10px; box-sizing: border-box; }
h1 { font-size: 22px; line-height: 1.3; margin: 0 0 20px; overflow-wrap: anywhere; }
form { display: grid; gap: 12px; }
button { font: inherit; font-weight: 600; padding: 12px 20px; border-radius: 6px; border: 1px solid #0b6bcb; background: #0b6bcb; color: #fff; cursor: pointer; }
button.plain { background: #fff; color: #0b6bcb; }
button:focus-visible { outline: 3px solid #8cc2f7; outline-offset: 2px; }
.note { color: #5b6875; font-size: 14px; margin: 20px 0 0; }
</style></head><body><main>
${body}
</main></body></html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

type Language = "en" | "ru" | "pl";

interface Words {
  readonly language: Language;
  readonly unsubscribe: string;
  readonly theseMails: string;
  quoted(title: string): string;
  ask(about: string, company: string): string;
  leave(about: string): string;
  leaveAll(company: string): string;
  readonly service: string;
  readonly done: string;
  doneAbout(about: string, company: string): string;
  readonly later: string;
}

const WORDS: Readonly<Record<Language, Words>> = {
  en: {
    language: "en",
    unsubscribe: "Unsubscribe",
    theseMails: "these e-mails",
    quoted: (title) => `“${title}”`,
    ask: (about, company) => `Stop receiving ${about} from ${company}?`,
    leave: (about) => `Unsubscribe from ${about}`,
    leaveAll: (company) => `Unsubscribe from all e-mails of ${company}`,
    service: "Notices about your contract and payments will still reach you.",
    done: "You are unsubscribed",
    doneAbout: (about, company) => `You will no longer receive ${about} from ${company}.`,
    later: "This does not work at the moment. Please try again in a minute.",
  },
  ru: {
    language: "ru",
    unsubscribe: "Отписаться",
    theseMails: "эти письма",
    quoted: (title) => `письма «${title}»`,
    ask: (about, company) => `Больше не получать ${about} от ${company}?`,
    leave: (about) => `Не получать ${about}`,
    leaveAll: (company) => `Не получать никаких писем от ${company}`,
    service: "Уведомления о договоре и оплате будут приходить и дальше.",
    done: "Вы отписались",
    doneAbout: (about, company) => `Вы больше не будете получать ${about} от ${company}.`,
    later: "Сейчас это не получается. Попробуйте, пожалуйста, через минуту.",
  },
  pl: {
    language: "pl",
    unsubscribe: "Rezygnacja z wiadomości",
    theseMails: "tych wiadomości",
    quoted: (title) => `wiadomości „${title}”`,
    ask: (about, company) => `Zrezygnować z ${about} od ${company}?`,
    leave: (about) => `Nie chcę otrzymywać ${about}`,
    leaveAll: (company) => `Nie chcę otrzymywać żadnych wiadomości od ${company}`,
    service: "Powiadomienia o umowie i płatnościach będą nadal przychodzić.",
    done: "Rezygnacja została przyjęta",
    doneAbout: (about, company) => `Nie będą już Państwo otrzymywać ${about} od ${company}.`,
    later: "Teraz to się nie udaje. Proszę spróbować ponownie za minutę.",
  },
};
