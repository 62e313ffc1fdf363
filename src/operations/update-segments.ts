import { SYSTEM_EVENTS } from "../engine/event.js";
import type { Segments } from "../customers/model.js";
import { isTrue } from "../expression/evaluate.js";
import { references } from "../expression/references.js";
import type { NewEvent } from "../ports/events.js";
import type { Store } from "../ports/store.js";
import type { Tx } from "../ports/transactions.js";
import type { Instant } from "../values/instant.js";

/** Names of the events that entering and leaving append; payload `{ segment }`. */

/**
 * Brings the accounts' memberships up to date as of the instant; how many changed. `changed`: only segments that mention
 * one of these facts. `since`: when the change behind it happened, if earlier than `at`: entering and leaving are of then. `silent`: who is in it is simply in it. The caller holds the accounts' locks; `cause` makes a
 * repetition append nothing twice. The whole portfolio: `sweepHealth`.
 */
export async function updateSegments(
  store: Store,
  tx: Tx,
  accountIds: readonly string[],
  at: Instant,
  cause: string,
  now: Instant,
  options: { changed?: readonly string[]; only?: readonly string[]; silent?: boolean; since?: Instant } = {},
): Promise<number> {
  const all = (await store.playbooks.configuration<Segments>(tx, "segments")) ?? {};
  const concerned = Object.entries(all).flatMap(([name, segment]) => {
    const facts = references(segment.if);
    const isAsked = options.only === undefined || options.only.includes(name);
    const isTouched = options.changed === undefined || facts.some((path) => options.changed?.includes(path));
    return isAsked && isTouched ? [{ name, if: segment.if, facts }] : [];
  });
  if (concerned.length === 0 || accountIds.length === 0) return 0;
  const paths = [...new Set(concerned.flatMap((segment) => segment.facts))];
  const facts = await store.facts.within(tx).readMany(
    accountIds.map((accountId) => ({ accountId })),
    paths,
    at,
  );
  const members = await store.customers.segmentMembers(tx, accountIds);
  const events: NewEvent[] = [];
  let changes = 0;
  for (const [index, accountId] of accountIds.entries()) {
    const lookup = (path: string) => (path === "now" ? at : facts[index]?.[path]);
    for (const segment of concerned) {
      const isMember = isTrue(segment.if, lookup);
      if (isMember === (members.get(segment.name)?.has(accountId) ?? false)) continue;
      changes += 1;
      await store.customers.setSegmentMember(tx, segment.name, accountId, isMember, at);
      const name = isMember ? SYSTEM_EVENTS.segmentEntered : SYSTEM_EVENTS.segmentLeft;
      events.push({
        id: `${name}/${segment.name}/${accountId}/${cause}`,
        name,
        at: options.since ?? at,
        accountId,
        payload: { segment: segment.name },
        changed: [`segment.${segment.name}`],
        source: "segments",
      });
    }
  }
  if (!options.silent) await store.events.append(tx, events, now);
  return changes;
}
