import type { Home, HomeAccount, HomeTask, Portfolio } from "../../ports/desk-home.js";
import type { Task } from "../../ports/tasks.js";
import { addDays } from "../../values/calendar-date.js";
import { instantAt, localDate } from "../../values/zone.js";
import type { DeskPorts } from "../perform-ports.js";

/** Accounts on a Home tab at most: a pooled CSM may have a thousand. */
export const HOME_ACCOUNTS_MAX = 1_000;

/** What a colleague's Home tab shows now, by their own day; undefined for one who isn't there. */
export async function deskHome(
  ports: DeskPorts & { readonly portfolio: Portfolio },
  colleagueId: string,
): Promise<Home | undefined> {
  const { store, people, tasks, portfolio, clock } = ports;
  const now = clock.now();
  const found = await store.read(async (tx) => {
    const person = (await people.directory(tx)).colleagues.get(colleagueId);
    if (!person) return undefined;
    const open = await tasks.list(tx, { assigneeId: person.id, status: ["open"] });
    const own = await portfolio.ofCsm(tx, person.id, HOME_ACCOUNTS_MAX);
    const names = await portfolio.names(tx, [...new Set(open.map(({ accountId }) => accountId))]);
    return { person, open, own, names };
  });
  if (!found) return undefined;
  const { person, open, own, names } = found;
  const endOfDay = instantAt(addDays(localDate(now, person.timezone), 1), "00:00", person.timezone);
  const line = (task: Task): HomeTask => ({
    id: task.id,
    revision: task.revision,
    title: task.title,
    account: names.get(task.accountId) ?? task.accountId,
    due: task.dueAt,
    ...(task.snoozedUntil === null ? {} : { snoozedUntil: task.snoozedUntil }),
  });
  const isAsleep = (task: Task): boolean => task.snoozedUntil !== null && task.snoozedUntil > now;
  const awake = open.filter((task) => !isAsleep(task));
  const facts = await store.facts.readMany(
    own.map(({ id }) => ({ accountId: id })),
    ACCOUNT_FACTS,
    now,
  );
  const accounts = own.map(({ name, openTasks }, index): HomeAccount => {
    const of = facts[index] ?? {};
    return {
      name,
      openTasks,
      ...(typeof of["account.arr"] === "number" && { arr: of["account.arr"] }),
      ...(typeof of["health.score"] === "number" && { healthScore: of["health.score"] }),
      ...(typeof of["health.change_7d"] === "number" && { healthChange7d: of["health.change_7d"] }),
      ...(typeof of["health.status"] === "string" && { healthStatus: of["health.status"] }),
    };
  });
  return {
    person: { name: person.name, timezone: person.timezone, locale: person.locale },
    at: now,
    overdue: awake.filter(({ dueAt }) => dueAt < now).map(line),
    today: awake.filter(({ dueAt }) => dueAt >= now && dueAt < endOfDay).map(line),
    snoozed: open.filter(isAsleep).map(line),
    later: awake.filter(({ dueAt }) => dueAt >= endOfDay).length,
    accounts: accounts.sort((a, b) => riskOf(a) - riskOf(b) || (a.healthScore ?? 101) - (b.healthScore ?? 101)),
  };
}

const ACCOUNT_FACTS = ["account.arr", "health.score", "health.status", "health.change_7d"];

/** Worst first; what nobody knows comes before what is fine. */
function riskOf({ healthStatus }: HomeAccount): number {
  const order = ["red", "yellow", "unknown", "green"];
  return order.indexOf(healthStatus ?? "unknown");
}
