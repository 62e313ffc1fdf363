import { SYSTEM_EVENTS } from "../engine/event.js";
import type { FactValue } from "../expression/expression.js";
import type { Ledger } from "../ports/ledger.js";
import type { People } from "../ports/people.js";
import type { Ports } from "../ports/store.js";
import type { Suppressions } from "../ports/suppressions.js";
import type { Tx } from "../ports/transactions.js";
import type { Instant } from "../values/instant.js";

export interface MailPorts extends Ports {
  readonly ledger: Ledger;
  readonly people: Pick<People, "contacts">;
  readonly suppressions: Suppressions;
}

/** What came of a mail of ours after it was sent, as whoever receives replies and bounces tells it. */
export interface CameBack {
  /** The sender's idempotency key. */
  readonly id: string;
  readonly kind: "reply" | "bounce";
  /** The delivery's id, or the Message-ID of the mail: `<ID@domain>`. */
  readonly delivery: string;
  /** A bounce for good: nobody writes to the address again. */
  readonly isPermanent: boolean;
  readonly at: Instant;
  readonly source: string;
}

/**
 * Tells the run that sent the mail (`email.replied`, `email.bounced`), and suppresses the address that it went to after a bounce for good, in one transaction.
 * Idempotent by id. `conflict`: the id belongs to another event. `unknown`: no mail of a run has that id. `alongside`: last, if it is taken. Throws `StoreUnavailable`.
 */
export async function mailCameBack(
  ports: MailPorts,
  cameBack: CameBack,
  alongside?: (tx: Tx) => Promise<void>,
): Promise<"accepted" | "repeated" | "conflict" | "unknown"> {
  const { store, ledger, people, suppressions, clock } = ports;
  const deliveryId = /^<?([0-9a-f-]{36})(?:@[^>]*>?)?$/i.exec(cameBack.delivery.trim())?.[1]?.toLowerCase();
  if (deliveryId === undefined) return "unknown";
  const row = await store.read((tx) => ledger.readById(tx, deliveryId));
  if (row?.channel !== "email" || row.runId === null || row.accountId === null) return "unknown";
  const { runId, accountId, contactId } = row;
  return store.transaction(async (tx) => {
    await store.lockAccounts(tx, [accountId]);
    const name = cameBack.kind === "reply" ? SYSTEM_EVENTS.emailReplied : SYSTEM_EVENTS.emailBounced;
    const before = (await store.events.kept(tx, [cameBack.id])).get(cameBack.id);
    if (before !== undefined) {
      const isSame =
        before.name === name &&
        before.payload.delivery === row.id &&
        (before.payload.permanent === true) === cameBack.isPermanent;
      return isSame ? "repeated" : "conflict";
    }
    if (cameBack.kind === "bounce" && cameBack.isPermanent) {
      // The address it was sent to, which the ledger doesn't keep; the contact may have another one by now.
      const then = await people.contacts(tx, accountId, row.sentAt ?? cameBack.at);
      const email = then.find(({ id }) => id === contactId)?.email;
      if (email)
        await suppressions.add(tx, email, { category: "*", reason: "bounced", at: cameBack.at, deliveryKey: row.key });
    }
    const payload: Record<string, FactValue> = {
      delivery: row.id,
      run: runId,
      key: row.effectKey,
      step: row.step ?? "",
      ...(cameBack.kind === "bounce" ? { permanent: cameBack.isPermanent } : {}),
    };
    await store.events.append(
      tx,
      [
        {
          id: cameBack.id,
          name,
          at: cameBack.at,
          accountId,
          runId,
          ...(contactId === null ? {} : { contactId }),
          payload,
          source: cameBack.source,
        },
      ],
      clock.now(),
    );
    await alongside?.(tx);
    return "accepted";
  });
}
