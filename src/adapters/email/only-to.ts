import { isAddress } from "./address.js";

/** `EMAIL_ONLY_TO`: which addresses mail may go to (staging), or the one that all of it goes to. */
export type OnlyTo =
  | { readonly kind: "restrict"; readonly addresses: readonly string[]; readonly domains: readonly string[] }
  | { readonly kind: "redirect"; readonly to: string };

/**
 * The setting that `EMAIL_ONLY_TO` holds; undefined or empty: no restriction. Either a list, separated by commas, of
 * addresses and `@domains` that mail may go to (all else is skipped), or `redirect:ADDRESS`, which gets everything.
 * Throws with the offending part for anything else.
 */
export function parseOnlyTo(text: string | undefined): OnlyTo | undefined {
  if (text === undefined || text.trim() === "") return undefined;
  const redirect = /^\s*redirect:\s*(.*?)\s*$/i.exec(text)?.[1];
  if (redirect !== undefined) {
    if (!isAddress(redirect)) throw invalid(`redirect:${redirect}`);
    return { kind: "redirect", to: redirect };
  }
  const addresses: string[] = [];
  const domains: string[] = [];
  for (const part of text.split(",").map((item) => item.trim().toLowerCase())) {
    if (part.startsWith("@") && isAddress(`x${part}`)) domains.push(part.slice(1));
    else if (isAddress(part)) addresses.push(part);
    else throw invalid(part);
  }
  return { kind: "restrict", addresses, domains };
}

/** Where a message for `address` goes: there, to the redirection, or nowhere (`only_to`). Case doesn't matter; a domain doesn't include its subdomains. */
export function onlyToAllows(
  onlyTo: OnlyTo | undefined,
  address: string,
): { readonly kind: "send"; readonly to: string } | { readonly kind: "skip"; readonly reason: "only_to" } {
  if (onlyTo === undefined) return { kind: "send", to: address };
  if (onlyTo.kind === "redirect") return { kind: "send", to: onlyTo.to };
  const wanted = address.toLowerCase();
  const domain = wanted.slice(wanted.lastIndexOf("@") + 1);
  return onlyTo.addresses.includes(wanted) || onlyTo.domains.includes(domain)
    ? { kind: "send", to: address }
    : { kind: "skip", reason: "only_to" };
}

/** A restriction as the list that the delivery settings take (`emailOnlyTo`); undefined where everybody may be written to. */
export function onlyToList(onlyTo: OnlyTo | undefined): readonly string[] | undefined {
  if (onlyTo?.kind !== "restrict") return undefined;
  return [...onlyTo.addresses, ...onlyTo.domains.map((domain) => `@${domain}`)];
}

function invalid(part: string): Error {
  return new Error(
    `EMAIL_ONLY_TO: "${part}" is neither an address nor @domain. Write qa@example.com, @example.com, a list of these separated by commas, or redirect:qa@example.com`,
  );
}
