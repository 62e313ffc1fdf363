import { expect, test } from "vitest";
import type { Step } from "../../src/engine/plan.js";
import { simulate } from "../../src/simulation/simulate.js";
import { STANDARD_CALENDAR } from "../../src/values/calendar.js";
import { DAY_MS } from "../../src/values/instant.js";
import { email, planFrom, policy, repeat, scenarioOf, settingOf, wait } from "../engine/plans.js";
import { at } from "../engine/rehearse.js";
import { randomFrom } from "../support/random-plans.js";

const SEED = Number(process.env["WAYPOST_SEED"] ?? 20260301);
/** Whose every mail is computed once more. */
const ACCOUNTS = Number(process.env["WAYPOST_ACCOUNTS"] ?? 48);

/** Both hemispheres, both directions of daylight saving, half-hours, and places without it. */
const ZONES = [
  "Europe/Warsaw",
  "Europe/London",
  "America/New_York",
  "America/Los_Angeles",
  "America/Sao_Paulo",
  "Asia/Kolkata",
  "Asia/Tokyo",
  "Australia/Lord_Howe",
  "Australia/Sydney",
  "Pacific/Auckland",
  "Africa/Cairo",
  "America/St_Johns",
];

const FORMATS = new Map<string, Intl.DateTimeFormat>();
const SHOWN = {
  weekday: "short",
  hour: "2-digit",
  minute: "2-digit",
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hourCycle: "h23",
} as const;

/** Weekday and minutes of day by the platform's own formatter, which the code under test asks in another way. */
function wallClock(instant: number, zone: string): { weekday: string; minutes: number; date: string } {
  const format = FORMATS.get(zone) ?? new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...SHOWN });
  FORMATS.set(zone, format);
  const parts = format.formatToParts(instant);
  const part = (type: string): string => parts.find((one) => one.type === type)?.value ?? "";
  return {
    weekday: part("weekday"),
    minutes: Number(part("hour")) * 60 + Number(part("minute")),
    date: `${part("year")}-${part("month")}-${part("day")}`,
  };
}

test(`a year of mail to 200 accounts in ${ZONES.length} zones (seed ${SEED}): none outside its window, no cap passed`, {
  timeout: 60_000,
}, async () => {
  const next = randomFrom(SEED);
  const holidays = ["2027-12-24", "2028-01-03", "2028-05-01"];
  let sent = 0;
  let outside = 0;
  let capped = 0;
  let mostInAWeek = 0;
  for (let i = 0; i < 200; i++) {
    const zone = ZONES[i % ZONES.length] as string;
    const every = 1 + Math.floor(next() * 12);
    const hours = 1 + Math.floor(next() * 60);
    const send = (
      [
        { kind: "working_hours" },
        { kind: "now" },
        { kind: "time_of_day", time: "11:30" },
        { kind: "working_hours_at", time: "09:30" },
      ] as const
    )[i % 4] as Extract<Step, { kind: "email" }>["send"];
    const plan = planFrom([
      repeat("r", `${every}d`, 400, [
        email("mail", { send }),
        wait("w", `${hours}h`),
        email("more", { send: { kind: "working_hours" } }),
      ]),
    ]);
    const base = scenarioOf();
    const from = at("2027-09-01") + Math.floor(next() * DAY_MS);
    const [run] = await simulate(
      {
        ...settingOf(plan),
        policy: { ...policy, email: { ...policy.email, spread: { amount: 45, unit: "m" } } },
        calendars: [{ ...STANDARD_CALENDAR, name: "standard", holidays }],
      },
      {
        ...base,
        at: from,
        until: from + 366 * DAY_MS,
        given: {
          ...base.given,
          accounts: [{ id: "a1", fields: { name: "A", timezone: zone, csm: "u1", is_test: false } }],
          contacts: [
            { id: "c1", accountId: "a1", fields: { email: "c@a.example", role: "champion", is_primary: true } },
          ],
        },
        enrolments: [{ at: from, playbook: "p", accountId: "a1" }],
      },
    );
    const mails = (run?.entries ?? []).filter(({ kind }) => kind === "email.sent");
    capped += (run?.entries ?? []).filter(
      ({ kind, detail }) => kind === "email.deferred" && detail?.["reason"] === "capped",
    ).length;
    for (const { at: instant, step } of mails) {
      const { weekday, minutes, date } = wallClock(instant, zone);
      const isWorkday = weekday !== "Sat" && weekday !== "Sun" && !holidays.includes(date);
      const rule = step === "more" ? "working_hours" : send.kind;
      const isInside =
        minutes >= 480 &&
        minutes < 1200 &&
        (rule === "now" ||
          (rule === "working_hours" && isWorkday && minutes >= 540 && minutes < 1020) ||
          // At its time, or within the hour after it.
          (rule === "time_of_day" && minutes >= 690 && minutes <= 750) ||
          (rule === "working_hours_at" && isWorkday && minutes >= 570 && minutes <= 630));
      if (!isInside) outside += 1;
      mostInAWeek = Math.max(
        mostInAWeek,
        mails.filter(({ at: other }) => other > instant - 7 * DAY_MS && other <= instant).length,
      );
    }
    sent += mails.length;
  }
  console.log(
    `a year in ${ZONES.length} zones, seed ${SEED}: ${sent} sent, ${outside} outside their window, at most ${mostInAWeek} in seven days, ${capped} times capped`,
  );
  expect(sent).toBeGreaterThan(10_000);
  expect(capped).toBeGreaterThan(100);
  expect(outside).toBe(0);
  expect(mostInAWeek).toBe(3);
});

const QUARTER_MS = 15 * 60_000;
const HOUR_MS = 4 * QUARTER_MS;
const HOLIDAYS = ["2027-12-24", "2028-01-03", "2028-02-29", "2028-05-01"];
const RULES = ["working_hours", "now", "time_of_day", "working_hours_at"] as const;
type Rule = (typeof RULES)[number];

/**
 * When a mail that falls due then goes, found by trying: one quarter of an hour after the other, asking the platform what its clock on the wall shows.
 * Every opening and every zone's offset, also in the year's changes, is a whole number of quarters.
 */
function goesAt(due: number, rule: Rule, wall: (instant: number) => ReturnType<typeof wallClock>): number {
  for (let at = due; ; at = at % QUARTER_MS === 0 ? at + QUARTER_MS : Math.ceil(at / QUARTER_MS) * QUARTER_MS) {
    const { weekday, minutes, date } = wall(at);
    const isWorkday = weekday !== "Sat" && weekday !== "Sun" && !HOLIDAYS.includes(date);
    const isOnTheQuarter = at % QUARTER_MS === 0;
    const goes = {
      working_hours: isWorkday && minutes >= 540 && minutes < 1020,
      now: minutes >= 480 && minutes < 1200,
      time_of_day: isOnTheQuarter && minutes === 690,
      working_hours_at: isWorkday && isOnTheQuarter && minutes === 570,
    }[rule];
    if (goes) return at;
  }
}

test(`a year of mail to ${ACCOUNTS} accounts (seed ${SEED}), computed once more without the machine: every mail goes when that says, none is missing`, {
  timeout: 60_000 + ACCOUNTS * 1_000,
}, async () => {
  const next = randomFrom(SEED);
  const from = at("2027-09-01");
  const until = from + 366 * DAY_MS;
  const figures = { expected: 0, actual: 0, otherwise: 0 };
  for (let i = 0; i < ACCOUNTS; i++) {
    const zone = ZONES[i % ZONES.length] as string;
    const rule = RULES[Math.floor(i / ZONES.length) % RULES.length] as Rule;
    const send = { time_of_day: { time: "11:30" }, working_hours_at: { time: "09:30" } } as Record<string, object>;
    const start = from + Math.floor(next() * DAY_MS);
    const hours = Array.from({ length: 200 }, () => 20 + Math.floor(next() * 70));
    const plan = planFrom(
      hours.flatMap((count, n) => [
        wait(`w${n}`, `${count}h`),
        email(`m${n}`, { send: { kind: rule, ...send[rule] } as Extract<Step, { kind: "email" }>["send"] }),
      ]),
    );
    const base = scenarioOf();
    const cap = { messages: 1_000, per: { amount: 7, unit: "d" } } as const;
    const [run] = await simulate(
      {
        ...settingOf(plan),
        policy: { ...policy, email: { ...policy.email, cap } },
        calendars: [{ ...STANDARD_CALENDAR, name: "standard", holidays: HOLIDAYS }],
      },
      {
        ...base,
        at: start,
        until,
        given: {
          ...base.given,
          accounts: [{ id: "a1", fields: { name: "A", timezone: zone, csm: "u1", is_test: false } }],
          contacts: [
            { id: "c1", accountId: "a1", fields: { email: "c@a.example", role: "champion", is_primary: true } },
          ],
        },
        enrolments: [{ at: start, playbook: "p", accountId: "a1" }],
      },
    );
    const actual = (run?.entries ?? []).filter(({ kind }) => kind === "email.sent").map((entry) => entry.at);
    const shown = new Map<number, ReturnType<typeof wallClock>>();
    const wall = (instant: number) => {
      const known = shown.get(instant) ?? wallClock(instant, zone);
      shown.set(instant, known);
      return known;
    };
    const expected: number[] = [];
    let clock = start;
    for (const count of hours) {
      clock = goesAt(clock + count * HOUR_MS, rule, wall);
      if (clock > until) break;
      expected.push(clock);
    }
    figures.expected += expected.length;
    figures.actual += actual.length;
    for (let n = 0; n < Math.max(expected.length, actual.length); n++)
      if (expected[n] !== actual[n]) figures.otherwise += 1;
  }
  console.log(
    `a year computed twice, seed ${SEED}: ${ACCOUNTS} accounts in ${ZONES.length} zones, ${figures.expected} mails expected, ${figures.actual} sent, ${figures.otherwise} at another instant or missing`,
  );
  expect(figures.expected).toBeGreaterThan(ACCOUNTS * 60);
  expect(figures).toEqual({ expected: figures.expected, actual: figures.expected, otherwise: 0 });
});
