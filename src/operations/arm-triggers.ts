import type { Plan, Trigger } from "../engine/plan.js";
import type { Policy } from "../engine/policy.js";
import { evaluate } from "../expression/evaluate.js";
import { references } from "../expression/references.js";
import type { DueItem } from "../ports/due.js";
import type { FactSubject } from "../ports/facts.js";
import type { Store } from "../ports/store.js";
import type { Tx } from "../ports/transactions.js";
import { addDuration } from "../values/add-duration.js";
import { nextCron, parseCron } from "../values/cron.js";
import { escapeIdPart } from "../values/ids.js";
import type { Instant } from "../values/instant.js";
import { instantAt } from "../values/zone.js";
import { calendarNamed, readCalendars } from "./calendars.js";

/** A day without a time, where no policy is published: docs/language-files.md, `dates_at`. */
const DATES_AT = "09:00";

/** Cron rules go by UTC: they are about the portfolio, not about one customer's morning. */
const CRON_ZONE = "UTC";

type Before = Extract<Trigger, { kind: "before" }>;

/**
 * Arms what `before:` triggers wait for, for these accounts as of the instant: moved when the date moved, taken back when
 * it is gone or past, due at once when the span has begun but the date lies ahead, left alone when nothing changed. A date
 * whose item is done doesn't come again; another date does. What has fallen due before the instant stays due. `changed`: only triggers whose date mentions one of these facts.
 */
export async function armBefore(
  store: Store,
  tx: Tx,
  plans: readonly Plan[],
  accountIds: readonly string[],
  asOf: Instant,
  changed?: readonly string[],
): Promise<void> {
  for (const plan of plans) {
    for (const [index, trigger] of plan.enroll.when.entries()) {
      if (trigger.kind !== "before") continue;
      const mentions = references(trigger.date);
      if (changed !== undefined && !changed.some((path) => mentions.includes(path) || ALWAYS_CONCERN.has(path)))
        continue;
      await armOne(store, tx, plan, index, trigger, accountIds, asOf);
    }
  }
}

/** What is new has dates that nobody announced one by one; another zone or calendar makes of a date another instant. */
const ALWAYS_CONCERN = new Set([
  "account.id",
  "contact.id",
  "contract.id",
  "account.timezone",
  "account.calendar",
  "account.country",
]);

/** The prefix of all due items of a playbook's triggers. */
export function triggerPrefix(kind: "before" | "every", playbook: string, trigger?: number): string {
  return `${kind}/${escapeIdPart(playbook)}/${trigger === undefined ? "" : `${trigger}/`}`;
}

async function armOne(
  store: Store,
  tx: Tx,
  plan: Plan,
  trigger: number,
  { date, by }: Before,
  accountIds: readonly string[],
  asOf: Instant,
): Promise<void> {
  const subjects = await subjectsOf(store, tx, plan, date, accountIds);
  if (subjects.length === 0) return;
  const accounts = new Map((await store.customers.accounts(tx, accountIds)).map((account) => [account.id, account]));
  const calendars = await readCalendars(store, tx);
  const policy = await store.playbooks.configuration<Policy>(tx, "policy");
  const dates = await datesOf(store, tx, subjects, date, asOf, policy?.datesAt ?? DATES_AT);
  const prefix = triggerPrefix("before", plan.playbook, trigger);
  const existing = new Map((await store.due.withPrefix(tx, prefix, accountIds)).map((item) => [item.id, item]));
  const arm: DueItem[] = [];
  const disarm: string[] = [];
  for (const [index, subject] of subjects.entries()) {
    const id = prefix + [subject.accountId, subject.contractId ?? subject.contactId ?? ""].map(escapeIdPart).join("/");
    const before = existing.get(id);
    // It fell due before that: whoever polls is late, and arms the new date when it is done.
    if (before !== undefined && !before.isDone && before.at < asOf) continue;
    const at = dates[index];
    if (at === undefined || at <= asOf) {
      if (before !== undefined && !before.isDone) disarm.push(id);
      continue;
    }
    const account = accounts.get(subject.accountId);
    const isCustomers = ["customer", "csm"].includes(plan.calendar);
    const calendar = calendarNamed(isCustomers ? (account?.calendar ?? null) : plan.calendar, calendars);
    const due = addDuration(
      at,
      { ...by, amount: by.amount === 0 ? 0 : -by.amount },
      account?.timezone ?? "UTC",
      calendar,
    );
    const isSameDate = before?.payload.date === at;
    if (isSameDate && (before.isDone || before.payload.due === due)) continue;
    arm.push({
      id,
      kind: "before",
      at: Math.max(due, asOf),
      accountId: subject.accountId,
      payload: {
        playbook: plan.playbook,
        trigger,
        date: at,
        due,
        ...(subject.contractId === undefined ? {} : { contract: subject.contractId }),
        ...(subject.contactId === undefined ? {} : { contact: subject.contactId }),
      },
    });
  }
  await store.due.arm(tx, arm);
  await store.due.disarm(tx, disarm);
}

/** Whose dates: each contract's where the date is a contract's, each contact's where the playbook is about contacts. */
async function subjectsOf(
  store: Store,
  tx: Tx,
  plan: Plan,
  date: Before["date"],
  accountIds: readonly string[],
): Promise<FactSubject[]> {
  const isOfContract = references(date).some((path) => path.startsWith("contract."));
  if (!isOfContract && plan.subject === "account") return accountIds.map((accountId) => ({ accountId }));
  const belongings = await store.customers.belongings(tx, accountIds);
  return accountIds.flatMap((accountId): FactSubject[] => {
    const { contacts, contracts } = belongings.get(accountId) ?? { contacts: [], contracts: [] };
    if (plan.subject === "contact") return contacts.map((contactId) => ({ accountId, contactId }));
    return contracts.map((contractId) => ({ accountId, contractId }));
  });
}

async function datesOf(
  store: Store,
  tx: Tx,
  subjects: readonly FactSubject[],
  date: Before["date"],
  asOf: Instant,
  datesAt: string,
): Promise<readonly (Instant | undefined)[]> {
  const facts = store.facts.within(tx);
  if (date.op === "fact") {
    const dates = await facts.readDates(subjects, date.path, asOf);
    return dates.map((found) => {
      if (found === undefined) return undefined;
      return "date" in found ? instantAt(found.date, datesAt, found.zone) : found.at;
    });
  }
  const values = await facts.readMany(subjects, references(date), asOf);
  return values.map((known) => {
    const at = evaluate(date, (path) => (path === "now" ? asOf : known[path]));
    return typeof at === "number" ? Math.round(at) : undefined;
  });
}

/** Arms the next time of each `every:` trigger after the instant; one that is armed for that time already stays. */
export async function armEvery(store: Store, tx: Tx, plans: readonly Plan[], after: Instant): Promise<void> {
  for (const plan of plans) {
    const known = await store.due.withPrefix(tx, triggerPrefix("every", plan.playbook));
    for (const [index, trigger] of plan.enroll.when.entries()) {
      if (trigger.kind !== "every") continue;
      const item = everyItem(plan, index, trigger.cron, after);
      const before = known.find((candidate) => candidate.id === item?.id);
      const isThere = before !== undefined && !before.isDone && before.payload.cron === trigger.cron;
      if (item !== undefined && !isThere) await store.due.arm(tx, [item]);
    }
  }
}

/** The next time of an `every:` trigger; undefined for a rule that never comes. */
export function everyItem(plan: Plan, trigger: number, cron: string, after: Instant): DueItem | undefined {
  const parsed = parseCron(cron);
  const at = parsed && nextCron(parsed, after, CRON_ZONE);
  if (at === undefined) return undefined;
  const id = `${triggerPrefix("every", plan.playbook, trigger)}next`;
  return { id, kind: "every", at, payload: { playbook: plan.playbook, trigger, cron } };
}
