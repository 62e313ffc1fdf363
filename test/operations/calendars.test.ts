import { expect, test } from "vitest";
import { calendarNamed, customerCalendar, readCalendars } from "../../src/operations/calendars.js";
import type { Store } from "../../src/ports/store.js";
import type { Tx } from "../../src/ports/transactions.js";

const POLISH = { name: "pl", hours: { mon: { open: "08:00", close: "16:00" } }, holidays: ["2026-11-11"] };

/** As the compiler publishes them: a list. */
const store = (published: unknown): Pick<Store, "playbooks"> =>
  ({ playbooks: { configuration: async () => published } }) as unknown as Pick<Store, "playbooks">;

test("published calendars are found by name, by country, and `standard` is always there", async () => {
  const calendars = await readCalendars(store([POLISH]), {} as Tx);
  expect(calendarNamed("pl", calendars)).toEqual(POLISH);
  expect(calendarNamed("nowhere", calendars).name).toBe("standard");
  expect(customerCalendar({ calendar: null, country: "PL" }, calendars)).toEqual(POLISH);
  expect(customerCalendar({ calendar: null, country: null }, calendars).name).toBe("standard");
  expect(calendarNamed(null, await readCalendars(store(undefined), {} as Tx)).name).toBe("standard");
});
