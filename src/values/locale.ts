/** Whether the text is made like a locale (BCP 47), such as `en` or `pl-PL`; whether anything is written in it is another question. */
export function isLocale(text: string): boolean {
  try {
    return Intl.getCanonicalLocales(text).length === 1;
  } catch {
    return false;
  }
}
