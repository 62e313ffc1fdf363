import type { Policy } from "../engine/policy.js";
import type { MailCompany } from "../ports/composer.js";

/** Who we are, for the footer of a mail and the page behind its link; before the first publication a stand-in. */
export function mailCompanyOf(policy: Policy | undefined): MailCompany {
  return {
    name: policy?.company.name ?? "Waypost",
    postalAddress: policy?.company.postalAddress ?? "",
    supportEmail: policy?.company.supportEmail ?? "",
    categoryTitles: Object.fromEntries(
      Object.entries(policy?.categories ?? {}).map(([category, { title }]) => [category, title]),
    ),
  };
}
