import type { TextStyle } from "../ports/composer.js";
import { type Colleague, coverFor, personFor } from "../customers/people.js";
import type { FactValue } from "../expression/expression.js";
import type { Scene } from "./scene.js";

/** What a text gets beside the facts it mentions. */
export interface TextContext {
  /** `steps.…`, `run.…`: what only the machine knows. */
  readonly scope: Readonly<Record<string, FactValue>>;
  /** Whose `contact.…` it is: the recipient's. */
  readonly contactId?: string;
  /** Who it comes from: `links.booking`. */
  readonly sender?: Colleague;
  /** What `textFacts` names, where it was read already. */
  readonly facts?: Readonly<Record<string, FactValue>>;
}

/** The facts among what a Liquid source mentions: those that have to be read. */
export function textFacts(scene: Scene, source: string, scope: TextContext["scope"]): string[] {
  const isOurs = (path: string): boolean =>
    OURS.some((prefix) => path.startsWith(prefix)) || path in scope || path === "now";
  return mentionedIn(scene, source).filter((path) => !isOurs(path));
}

function mentionedIn(scene: Scene, source: string): readonly string[] {
  const mentioned = scene.ports.composer.references(source);
  // The `money` filter goes by the contract's currency, which no text mentions; else by the house's.
  return /\|\s*money\b/.test(source) ? [...mentioned, "contract.currency"] : mentioned;
}

/** Values for all that a Liquid source mentions, absent ones left out; `links.unsubscribe` is the composer's. Source: docs/language-files.md, "In templates". */
export async function textVariables(
  scene: Scene,
  source: string,
  context: TextContext,
): Promise<Record<string, FactValue>> {
  const facts = context.facts ?? (await scene.facts(textFacts(scene, source, context.scope), context.contactId));
  const account = await scene.account();
  const directory = await scene.directory();
  const policy = await scene.policy();
  const csm = present(personFor({ kind: "csm" }, account, directory));
  const manager = present(personFor({ kind: "manager" }, account, directory));

  const contactId = context.contactId ?? scene.run.contactId;
  const contact = mentionedIn(scene, source).some((path) => path.startsWith("contact."))
    ? (await scene.contacts()).find(({ id }) => id === contactId)
    : undefined;

  const known: Record<string, FactValue | null | undefined> = {
    now: scene.now(),
    ...context.scope,
    // Imported without a name they have their id for one, and so on: texts may rely on these (playbook/environment.ts).
    "account.name": account.name,
    "account.timezone": account.timezone,
    "account.locale": account.locale ?? policy.company.defaultLocale,
    "contact.name": contact?.name,
    "contact.email": contact?.email,
    // Without a CSM the sender of last resort speaks: the checker lets texts rely on these (playbook/environment.ts).
    "csm.name": csm?.name ?? policy.email.from.name,
    "csm.first_name": csm?.name.split(" ")[0] ?? policy.email.from.name,
    "csm.email": csm?.email ?? policy.email.from.address,
    "csm.title": csm?.title,
    "csm.booking_url": csm?.bookingUrl,
    "manager.name": manager?.name,
    "manager.email": manager?.email,
    "company.name": policy.company.name,
    "company.domain": policy.company.domain,
    "company.support_email": policy.company.supportEmail,
    "company.postal_address": policy.company.postalAddress,
    "company.currency": policy.company.currency,
    "links.booking":
      context.sender?.bookingUrl ??
      csm?.bookingUrl ??
      `mailto:${(context.sender ?? csm)?.email ?? policy.email.from.address}`,
    ...facts,
  };
  const values: Record<string, FactValue> = {};
  for (const [path, value] of Object.entries(known)) if (value !== undefined && value !== null) values[path] = value;
  return values;

  function present(person: Colleague | undefined): Colleague | undefined {
    return person && coverFor(person, directory, scene.now());
  }
}

/** A step's text filled in: for `reader` of ours in their language and zone, else in the house's and the account's. Throws `TextFault`. */
export async function filledText(
  scene: Scene,
  source: string,
  scope: TextContext["scope"],
  markup: TextStyle["markup"],
  reader?: Pick<Colleague, "locale" | "timezone">,
): Promise<string> {
  const variables = await textVariables(scene, source, { scope });
  return scene.ports.composer.text(source, variables, {
    locale: reader?.locale ?? (await scene.policy()).company.defaultLocale,
    timezone: reader?.timezone ?? (await scene.account()).timezone,
    markup,
  });
}

const OURS = ["csm.", "manager.", "company.", "links.", "steps.", "run."];
