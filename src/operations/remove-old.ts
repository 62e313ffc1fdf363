import type { Policy } from "../engine/policy.js";
import type { DueItem } from "../ports/due.js";
import type { Cutoffs, Retention } from "../ports/retention.js";
import type { Ports } from "../ports/store.js";
import type { Tx } from "../ports/transactions.js";
import { addDuration } from "../values/add-duration.js";
import { STANDARD_CALENDAR } from "../values/calendar.js";
import { DAY_MS, type Instant } from "../values/instant.js";
import { readPolicy } from "./scene.js";

/** Rows of a kind that one transaction removes: it is over in a moment, and nobody waits for it. */
export const REMOVED_AT_ONCE = 5_000;

/** While there is more, the next lot follows after so long (real time). */
const NEXT_LOT_MS = 1_000;

const ITEM = "retention";

/** Arms the daily removal, if it isn't armed. Repeatable; call it once a policy is published. */
export async function armRemoval({ store, clock }: Ports): Promise<void> {
  await store.transaction(async (tx) => {
    const known = await store.due.withPrefix(tx, ITEM);
    if (known.some(({ id, isDone }) => id === ITEM && !isDone)) return;
    await store.due.arm(tx, [{ id: ITEM, kind: "retention", at: clock.now(), payload: {} }]);
  });
}

/** Handler of the due item `retention`: what policy.yaml keeps no longer is removed, once a day, in lots. */
export async function removeOld(
  ports: Ports & { readonly retention: Retention },
  tx: Tx,
  item: DueItem,
): Promise<"kept"> {
  const { store, clock, retention } = ports;
  const now = clock.now();
  const removed = await retention.remove(tx, cutoffs((await readPolicy(ports, tx)).retention, now), REMOVED_AT_ONCE);
  const isMore = Object.values(removed).some((count) => count === REMOVED_AT_ONCE);
  await store.due.arm(tx, [{ ...item, at: now + (isMore ? NEXT_LOT_MS * clock.scale : DAY_MS) }]);
  return "kept";
}

function cutoffs(kept: Policy["retention"], now: Instant): Cutoffs {
  const before = (span: keyof Policy["retention"]): Instant => {
    const { amount, unit } = kept[span];
    return addDuration(now, { amount: -amount, unit }, "UTC", STANDARD_CALENDAR);
  };
  return {
    events: before("events"),
    timeline: before("timeline"),
    samples: before("samples"),
    deliveries: before("deliveries"),
    messageBodies: before("messageBodies"),
  };
}
