import type { MailCompany } from "../../ports/composer.js";

/** The lines below a mail, in the recipient's language. */
export interface Footer {
  readonly lines: readonly string[];
  readonly unsubscribe?: { readonly text: string; readonly url: string };
}

/** Mail that can be unsubscribed from says so, and where we are; a service notice only whose it is. */
export function footerFor(company: MailCompany, category: string, locale: string, unsubscribeUrl?: string): Footer {
  const words = inLanguage(WORDS, locale) ?? WORDS.en;
  if (unsubscribeUrl === undefined) {
    return { lines: [words.service(company.name), `${company.name} · ${company.supportEmail}`] };
  }
  const title = inLanguage(company.categoryTitles[category] ?? {}, locale) ?? category;
  return {
    lines: [words.why(company.name), `${company.name} · ${company.postalAddress}`],
    unsubscribe: { text: words.unsubscribe(title), url: unsubscribeUrl },
  };
}

/** The entry for a locale (`pl-PL`, then `pl`, then `en`). */
export function inLanguage<T>(entries: Readonly<Record<string, T>>, locale: string): T | undefined {
  return entries[locale] ?? entries[locale.split(/[-_]/)[0]?.toLowerCase() ?? ""] ?? entries.en;
}

const WORDS = {
  en: {
    why: (company: string) => `You receive this mail because you work with ${company}.`,
    service: (company: string) =>
      `This is a notice about your contract with ${company}. It is not part of any mailing you could leave.`,
    unsubscribe: (title: string) => `Unsubscribe from “${title}”`,
  },
  ru: {
    why: (company: string) => `Вы получили это письмо, потому что работаете с ${company}.`,
    service: (company: string) =>
      `Это служебное уведомление по вашему договору с ${company}. Оно не относится к рассылкам.`,
    unsubscribe: (title: string) => `Отписаться от писем «${title}»`,
  },
  pl: {
    why: (company: string) => `Otrzymują Państwo tę wiadomość, ponieważ współpracują Państwo z ${company}.`,
    service: (company: string) =>
      `To powiadomienie dotyczy Państwa umowy z ${company}. Nie jest częścią żadnej listy mailingowej.`,
    unsubscribe: (title: string) => `Rezygnacja z wiadomości „${title}”`,
  },
} as const;
