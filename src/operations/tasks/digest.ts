import { absenceOf, type Colleague } from "../../customers/people.js";
import type { Policy } from "../../engine/policy.js";
import type { DigestLine } from "../../ports/composer.js";
import type { DueItem } from "../../ports/due.js";
import type { Task } from "../../ports/tasks.js";
import type { Tx } from "../../ports/transactions.js";
import type { Calendar } from "../../values/calendar.js";
import type { Instant } from "../../values/instant.js";
import { resolveTimeRule } from "../../values/time-rule.js";
import { instantAt, localDate } from "../../values/zone.js";
import { addDays } from "../../values/calendar-date.js";
import { deliveryId } from "../delivery-id.js";
import { putNotices } from "../outbox.js";
import type { DeskPorts } from "../perform-ports.js";
import { calendarNamed, readCalendars } from "../calendars.js";
import { readPolicy } from "../scene.js";

/** Lines of a digest at most, in each part; the rest is a number. */
const LINES_MAX = 20;

/** Sees to it that everyone active gets their morning digest; how many were armed. Call it at start-up and with the daily sweep: it changes nothing for who has one. */
export async function armDigests(ports: Pick<DeskPorts, "store" | "people">, now: Instant): Promise<number> {
  return ports.store.transaction(async (tx) => {
    const policy = await readPolicy(ports, tx);
    const calendars = await readCalendars(ports.store, tx);
    const armed = new Set(
      (await ports.store.due.withPrefix(tx, "digest/")).flatMap(({ id, isDone }) => (isDone ? [] : [id])),
    );
    const { colleagues } = await ports.people.directory(tx);
    const missing = [...colleagues.values()]
      .filter((person) => person.isActive && !armed.has(digestId(person)))
      .map((person) => digestItem(person, policy, calendarNamed(person.calendar, calendars), now));
    await ports.store.due.arm(tx, missing);
    return missing.length;
  });
}

/** One message with what is overdue and due today, if there is any, on each working morning of theirs; and the next morning armed. */
export async function digestIsDue(ports: DeskPorts, tx: Tx, item: DueItem): Promise<"done" | "kept"> {
  const directory = await ports.people.directory(tx);
  const person = directory.colleagues.get(String(item.payload.user));
  if (!person?.isActive) return "done";
  const policy = await readPolicy(ports, tx);
  const calendars = await readCalendars(ports.store, tx);
  const calendar = calendarNamed(person.calendar, calendars);
  // One that was slept through is not sent in the afternoon.
  const isFresh = ports.clock.scale !== 1 || ports.clock.now() - item.at < LATE_MS;
  if (isFresh && !absenceOf(person.id, directory.absences, item.at)) await send(ports, tx, person, policy, item.at);
  await ports.store.due.arm(tx, [
    digestItem(person, policy, calendar, Math.max(item.at + 1, isFresh ? item.at + 1 : ports.clock.now())),
  ]);
  return "kept";
}

const LATE_MS = 4 * 60 * 60_000;

async function send(ports: DeskPorts, tx: Tx, person: Colleague, policy: Policy, at: Instant): Promise<void> {
  const open = await ports.tasks.list(tx, { assigneeId: person.id, status: ["open"] });
  const date = localDate(at, person.timezone);
  const startOfDay = instantAt(date, "00:00", person.timezone);
  const endOfDay = instantAt(addDays(date, 1), "00:00", person.timezone);
  const awake = open.filter(({ snoozedUntil }) => snoozedUntil === null || snoozedUntil < endOfDay);
  const overdue = awake.filter(({ dueAt }) => dueAt < startOfDay);
  const today = awake.filter(({ dueAt }) => dueAt >= startOfDay && dueAt < endOfDay);

  if (overdue.length + today.length > 0) {
    const names = new Map<string, string>();
    const shown = [...overdue.slice(0, LINES_MAX), ...today.slice(0, LINES_MAX)];
    for (const id of new Set(shown.map(({ accountId }) => accountId))) {
      names.set(id, (await ports.people.account(tx, id))?.name ?? id);
    }
    const line = (task: Task): DigestLine => ({
      task: task.id,
      title: task.title,
      account: names.get(task.accountId) ?? task.accountId,
      due: task.dueAt,
    });
    const body = ports.composer.digest({
      person: { id: person.id, name: person.name, timezone: person.timezone, locale: person.locale },
      at,
      overdue: overdue.slice(0, LINES_MAX).map(line),
      today: today.slice(0, LINES_MAX).map(line),
      later: open.length - Math.min(overdue.length, LINES_MAX) - Math.min(today.length, LINES_MAX),
    });
    await putNotices(ports, tx, [{ key: `digest|${person.id}|${date}`, to: { person }, body, accountId: null, at }]);
  }

  if (open.length > policy.tasks.openPerPerson && person.managerId !== null) {
    const key = `overload|${person.id}|${date}`;
    const body = ports.composer.nudge({
      deliveryId: deliveryId(key),
      text: `${person.name} has ${open.length} open tasks, more than ${policy.tasks.openPerPerson}`,
      actions: [],
      account: { id: "", name: person.name },
      playbook: "workload",
      run: "",
      step: "open tasks",
    });
    await putNotices(ports, tx, [{ key, to: { person: { id: person.managerId } }, body, accountId: null, at }]);
  }
}

function digestItem(person: Colleague, policy: Policy, calendar: Calendar, from: Instant): DueItem {
  const at = resolveTimeRule(
    { kind: "working_hours_at", time: policy.tasks.digestAt },
    from,
    person.timezone,
    calendar,
  );
  return { id: digestId(person), kind: "digest", at, payload: { user: person.id } };
}

function digestId(person: Pick<Colleague, "id">): string {
  return `digest/${person.id}`;
}
