import type { AccountCard } from "../ports/people.js";
import type { Store } from "../ports/store.js";
import type { Tx } from "../ports/transactions.js";
import { type Calendar, STANDARD_CALENDAR } from "../values/calendar.js";

/** The calendars as last published, by name; `standard` is always there. */
export async function readCalendars(store: Pick<Store, "playbooks">, tx: Tx): Promise<ReadonlyMap<string, Calendar>> {
  return calendarsIn(await store.playbooks.configuration<readonly Calendar[]>(tx, "calendars"));
}

/** The same of what was published; undefined: nothing yet. */
export function calendarsIn(published: readonly Calendar[] = []): ReadonlyMap<string, Calendar> {
  return new Map([STANDARD_CALENDAR, ...published].map((calendar) => [calendar.name, calendar]));
}

/** Whose name is unknown or absent works by `standard`. */
export function calendarNamed(name: string | null, calendars: ReadonlyMap<string, Calendar>): Calendar {
  return calendars.get(name ?? "standard") ?? calendars.get("standard") ?? STANDARD_CALENDAR;
}

/** `account.calendar`, else the one named as its country, else `standard`. Source: docs/language-files.md, calendars.yaml. */
export function customerCalendar(
  account: Pick<AccountCard, "calendar" | "country">,
  calendars: ReadonlyMap<string, Calendar>,
): Calendar {
  const name = account.calendar ?? account.country?.toLowerCase() ?? null;
  return calendarNamed(name, calendars);
}
