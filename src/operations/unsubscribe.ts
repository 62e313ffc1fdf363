import { SYSTEM_EVENTS } from "../engine/event.js";
import type { Audit } from "../ports/audit.js";
import type { Clock } from "../ports/clock.js";
import type { Customers } from "../ports/customers.js";
import type { Events } from "../ports/events.js";
import type { People } from "../ports/people.js";
import type { Suppressions } from "../ports/suppressions.js";
import type { Transactions } from "../ports/transactions.js";
import type { Instant } from "../values/instant.js";
import { sha256Hex } from "../values/sha256.js";

export interface UnsubscribePorts {
  readonly store: Transactions & {
    readonly customers: Pick<Customers, "locate">;
    readonly events: Pick<Events, "append">;
  };
  readonly people: Pick<People, "contacts">;
  readonly suppressions: Pick<Suppressions, "link" | "of" | "add">;
  readonly audit: Pick<Audit, "record">;
  readonly clock: Clock;
}

export interface Unsubscribing {
  /** From the link; whoever has it may do this. */
  readonly token: string;
  /** True: from everything, not only from what the mail was about. Service notices still come. */
  readonly all: boolean;
  /** When they did; absent, and always in real time: now. */
  readonly at?: Instant | undefined;
}

/**
 * The person behind the link gets no more mail of the link's category (or of any), and their runs hear
 * `email.unsubscribed`, in one transaction. Nothing for an unknown token, and nothing the second time: the caller can't
 * tell. Concerns the address that the contact has now. Throws `StoreUnavailable`.
 */
export async function unsubscribe(ports: UnsubscribePorts, { token, all, at }: Unsubscribing): Promise<void> {
  const { store, people, suppressions, audit, clock } = ports;
  const now = clock.scale === 1 || at === undefined ? clock.now() : at;
  await store.transaction(async (tx) => {
    const link = await suppressions.link(tx, token);
    if (link === undefined) return;
    const { contactId } = link;
    const places = await store.customers.locate(tx, { account: [], contact: [contactId], contract: [] });
    const accountId = places.contact.get(contactId)?.accountId;
    if (accountId === undefined) return;
    await store.lockAccounts(tx, [accountId]);
    const category = all ? EVERYTHING : link.category;
    const email =
      (await people.contacts(tx, accountId)).find((contact) => contact.id === contactId)?.email ?? undefined;
    if (email !== undefined) {
      const known = await suppressions.of(tx, email);
      if (known.some((one) => one.category === category && one.reason === "unsubscribed")) return;
      const { deliveryKey } = link;
      await suppressions.add(tx, email, { category, reason: "unsubscribed", at: now, deliveryKey });
    }
    const event = {
      // Not the token itself: events are shown. With the instant, so that who came back can leave again.
      id: `unsubscribe/${sha256Hex(token).slice(0, 32)}/${category}${email === undefined ? "" : `/${now}`}`,
      name: SYSTEM_EVENTS.emailUnsubscribed,
      at: now,
      accountId,
      contactId,
      payload: { contact: contactId, category },
      source: "unsubscribe",
    };
    await store.events.append(tx, [event], clock.now());
    await audit.record(tx, {
      at: clock.now(),
      actor: `contact:${contactId}`,
      action: "suppression.add",
      subject: contactId,
      detail: { category, reason: "unsubscribed" },
    });
  });
}

/** As `suppressions.category` has it. */
const EVERYTHING = "*";
