import { SYSTEM_EVENTS } from "../engine/event.js";
import { isLocal } from "../engine/scope.js";
import { isTrue } from "../expression/evaluate.js";
import { references } from "../expression/references.js";
import type { DueItem, DueKind } from "../ports/due.js";
import type { NewEvent } from "../ports/events.js";
import type { Ports } from "../ports/store.js";
import { type LogicalOrder, OUT_OF_ORDER } from "../ports/order.js";
import { StoreUnavailable, type Tx } from "../ports/transactions.js";
import type { Instant } from "../values/instant.js";
import { armBefore, everyItem } from "./arm-triggers.js";

/**
 * What happens when an item falls due, in the transaction that has it locked. `done`: it is over; `kept`: the handler
 * has armed or disarmed it anew.
 */
export type DueHandler = (ports: Ports, tx: Tx, item: DueItem, now: Instant) => Promise<"done" | "kept">;

export type DueHandlers = Readonly<Partial<Record<DueKind, DueHandler>>>;

/** Handlers of what this file owns: `before` and `every` triggers. The others' are passed to `pollDue`. */
export const TRIGGER_HANDLERS: DueHandlers = { before: beforeIsDue, every: everyIsDue };

/**
 * Does what has fallen due up to the clock's now, longest due first, each item in a transaction of its own; how many were
 * done, at most `limit`. Several may poll at once. An item whose handler fails stays due and is reported to `onFault`
 * (thrown where there is none); one whose kind has no handler stays, too. With an `order`, one whose turn it isn't yet stays as well.
 */
export async function pollDue(
  ports: Ports & {
    readonly onFault?: (itemId: string, error: unknown) => void;
    readonly order?: LogicalOrder | undefined;
  },
  handlers: DueHandlers,
  limit: number,
): Promise<number> {
  const { store, clock } = ports;
  const now = Math.min(clock.now(), (await ports.order?.horizon()) ?? Number.POSITIVE_INFINITY);
  const all: DueHandlers = { ...TRIGGER_HANDLERS, ...handlers };
  const { order } = ports;
  const failed: string[] = [];
  let done = 0;
  while (done < limit) {
    let item: DueItem | undefined;
    let isEarly = false;
    try {
      await store.transaction(async (tx) => {
        item = await store.due.take(tx, now, failed);
        if (item === undefined) return;
        if (
          order !== undefined &&
          !OUT_OF_ORDER.includes(item.kind) &&
          !(await order.isTurn({ ...item, rank: "due" }))
        ) {
          isEarly = true;
          return;
        }
        const handler = all[item.kind];
        if (handler === undefined) throw new Error(`no handler for due items of kind ${item.kind}`);
        if ((await handler(ports, tx, item, now)) === "done") await store.due.done(tx, item.id, now);
      });
    } catch (error) {
      if (item === undefined || error instanceof StoreUnavailable || ports.onFault === undefined) throw error;
      failed.push(item.id);
      ports.onFault(item.id, error);
      continue;
    }
    if (item === undefined) break;
    if (isEarly) {
      failed.push(item.id);
      continue;
    }
    done += 1;
    order?.moved(item.accountId);
  }
  return done;
}

interface TriggerPayload {
  readonly playbook: string;
  readonly trigger: number;
  readonly date?: Instant;
  readonly cron?: string;
  readonly contract?: string;
  readonly contact?: string;
}

/** The date is looked at once more: a change of it may not have been dispatched yet. */
async function beforeIsDue({ store }: Ports, tx: Tx, item: DueItem, now: Instant): Promise<"done" | "kept"> {
  const payload = item.payload as unknown as TriggerPayload;
  const accountId = item.accountId as string;
  const plan = (await store.playbooks.current(tx)).find((candidate) => candidate.playbook === payload.playbook);
  if (plan?.enroll.when[payload.trigger]?.kind !== "before") return "done";
  await store.lockAccounts(tx, [accountId]);
  await armBefore(store, tx, [plan], [accountId], item.at);
  const [present] = (await store.due.withPrefix(tx, item.id, [accountId])).filter(({ id }) => id === item.id);
  if (present === undefined || present.payload.date !== payload.date || present.at !== item.at) return "kept";
  await store.events.append(
    tx,
    [
      {
        id: `${SYSTEM_EVENTS.triggerDue}/${item.id}/${payload.date}`,
        name: SYSTEM_EVENTS.triggerDue,
        at: item.at,
        accountId,
        contactId: payload.contact,
        contractId: payload.contract,
        payload: { playbook: payload.playbook, trigger: payload.trigger },
        source: "due",
      },
    ],
    now,
  );
  await store.due.done(tx, item.id, now);
  // The date may have moved since: then it comes again.
  await armBefore(store, tx, [plan], [accountId], now);
  return "kept";
}

/**
 * An event for each account for which `if` holds; the dispatcher enrols. No account's lock is taken: no run is ever told
 * of these events, and a portfolio has more accounts than a transaction should hold locks.
 */
async function everyIsDue({ store }: Ports, tx: Tx, item: DueItem, now: Instant): Promise<"done" | "kept"> {
  const { playbook, trigger, cron } = item.payload as unknown as TriggerPayload;
  const plan = (await store.playbooks.current(tx)).find((candidate) => candidate.playbook === playbook);
  const rule = plan?.enroll.when[trigger];
  if (plan === undefined || rule?.kind !== "every" || rule.cron !== cron) return "done";
  const accounts = await store.customers.accounts(tx);
  const condition = plan.subject === "account" ? plan.enroll.if : undefined;
  const facts =
    condition === undefined
      ? undefined
      : await store.facts.within(tx).readMany(
          accounts.map(({ id }) => ({ accountId: id })),
          references(condition).filter((path) => !isLocal(path)),
          item.at,
        );
  const matching = accounts.filter((_, index) => {
    if (condition === undefined) return true;
    return isTrue(condition, (path) => (path === "now" ? item.at : facts?.[index]?.[path]));
  });
  await store.events.append(
    tx,
    matching.map(
      ({ id }): NewEvent => ({
        id: `${SYSTEM_EVENTS.triggerDue}/${item.id}/${item.at}/${id}`,
        name: SYSTEM_EVENTS.triggerDue,
        at: item.at,
        accountId: id,
        payload: { playbook, trigger },
        source: "due",
      }),
    ),
    now,
  );
  const next = everyItem(plan, trigger, rule.cron, item.at);
  if (next === undefined) return "done";
  await store.due.arm(tx, [next]);
  return "kept";
}
