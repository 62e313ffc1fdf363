import { describe, expect, test } from "vitest";
import { decideSend, type SendInput } from "../../src/engine/decide-send.js";
import { STANDARD_CALENDAR } from "../../src/values/calendar.js";

const at = (text: string): number => Date.parse(text);
const HOUR = 3_600_000;
/** Tuesday 10:00 in Warsaw (UTC+1). */
const NOW = at("2026-03-03T10:00:00+01:00");

function input(more: Partial<SendInput> = {}): SendInput {
  return {
    now: NOW,
    since: NOW,
    send: { kind: "working_hours" },
    sendWithin: { amount: 3, unit: "bd" },
    isExiting: false,
    category: { name: "onboarding", canUnsubscribe: true, isCapped: true, keepsQuietHours: true },
    recipient: { isActive: true, hasAddress: true, zone: "Europe/Warsaw", calendar: STANDARD_CALENDAR },
    isTestAccount: false,
    isAddressAllowed: true,
    suppressions: [],
    isKillSwitchOn: false,
    isHeld: false,
    counted: [],
    unsettled: 0,
    waiting: [],
    priority: 50,
    key: "run-1|welcome|c-1",
    rules: {
      cap: { messages: 3, perMs: 7 * 24 * HOUR },
      quietHours: { from: "20:00", to: "08:00" },
      spreadMs: 0,
      spacingAfterReleaseMs: 4 * HOUR,
    },
    ...more,
  };
}

const SERVICE = { name: "service", canUnsubscribe: false, isCapped: false, keepsQuietHours: false };

/** `send`, `skip REASON` or `REASON until ISO`. */
function said(more: Partial<SendInput> = {}): string {
  const decision = decideSend(input(more));
  if (decision.kind === "send") return "send";
  if (decision.kind === "skip") return `skip ${decision.reason}`;
  return `${decision.reason} until ${new Date(decision.until).toISOString()}`;
}

test("within working hours a mail goes at once, and says when it would have been stale", () => {
  expect(decideSend(input())).toEqual({ kind: "send", staleAt: at("2026-03-06T10:00:00+01:00") });
});

describe("left out for good", () => {
  const recipient = input().recipient;
  test.each<[string, Partial<SendInput>]>([
    ["skip not_service_after_exit", { isExiting: true }],
    ["send", { isExiting: true, category: SERVICE }],
    ["skip test_account", { isTestAccount: true }],
    ["skip contact_gone", { recipient: { ...recipient, isActive: false } }],
    ["skip no_address", { recipient: { ...recipient, hasAddress: false } }],
    ["skip only_to", { isAddressAllowed: false }],
    ["skip unsubscribed", { suppressions: [{ category: "onboarding", reason: "unsubscribed" }] }],
    ["skip unsubscribed", { suppressions: [{ category: "*", reason: "unsubscribed" }] }],
    ["send", { suppressions: [{ category: "qbr", reason: "unsubscribed" }] }],
    ["send", { category: SERVICE, suppressions: [{ category: "*", reason: "unsubscribed" }] }],
    ["skip bounced_before", { category: SERVICE, suppressions: [{ category: "*", reason: "bounced" }] }],
    ["skip suppressed", { category: SERVICE, suppressions: [{ category: "onboarding", reason: "complained" }] }],
    ["skip suppressed", { suppressions: [{ category: "*", reason: "manual" }] }],
  ])("%s", (expected, more) => {
    expect(said(more)).toBe(expected);
  });
});

describe("windows and quiet hours, in the recipient's zone", () => {
  const night = at("2026-03-03T22:00:00+01:00");
  const saturday = at("2026-03-07T12:00:00+01:00");
  test.each<[string, Partial<SendInput>]>([
    ["outside_window until 2026-03-04T08:00:00.000Z", { now: night, since: night }],
    ["outside_window until 2026-03-09T08:00:00.000Z", { now: saturday, since: saturday }],
    ["send", { now: saturday, since: saturday, send: { kind: "now" } }],
    ["quiet until 2026-03-04T07:00:00.000Z", { now: night, since: night, send: { kind: "now" } }],
    ["send", { now: night, since: night, send: { kind: "now" }, category: SERVICE }],
    ["outside_window until 2026-03-04T08:00:00.000Z", { now: night, since: night, category: SERVICE }],
    ["outside_window until 2026-03-04T08:30:00.000Z", { send: { kind: "time_of_day", time: "09:30" } }],
    ["send", { now: NOW + 200, since: NOW - HOUR, send: { kind: "time_of_day", time: "10:00" } }],
    [
      "outside_window until 2026-03-09T08:30:00.000Z",
      { send: { kind: "weekday", day: "mon", time: "09:30" }, sendWithin: { amount: 9, unit: "d" } },
    ],
    ["send", { send: { kind: "after", duration: { amount: 1, unit: "h" } }, since: NOW - HOUR }],
    ["outside_window until 2026-03-03T10:00:00.000Z", { send: { kind: "after", duration: { amount: 1, unit: "h" } } }],
    ["outside_window until 2026-03-05T08:00:00.000Z", { send: { kind: "weekday", day: "thu", time: "09:00" } }],
    ["outside_window until 2026-03-04T23:00:00.000Z", { send: { kind: "weekday", day: "thu" }, category: SERVICE }],
    ["send", { send: { kind: "weekday", day: "tue" } }],
  ])("%s", (expected, more) => {
    expect(said(more)).toBe(expected);
  });

  const siesta = (from: string, to: string) => ({ ...input().rules, quietHours: { from, to } });
  test.each<[string, Partial<SendInput>]>([
    ["quiet until 2026-03-03T11:00:00.000Z", { rules: siesta("09:30", "12:00") }],
    ["send", { rules: siesta("10:30", "12:00") }],
    ["send", { rules: siesta("08:00", "10:00") }],
    ["send", { rules: siesta("10:00", "10:00") }],
    // Between midnight and the end: the same day's end.
    ["quiet until 2026-03-03T11:00:00.000Z", { rules: siesta("20:00", "12:00") }],
  ])("quiet hours of the house: %s", (expected, more) => {
    expect(said({ send: { kind: "now" }, ...more })).toBe(expected);
  });

  test("an hour that the clock shows twice is quiet twice", () => {
    // 02:30 in Warsaw, before and after the clock goes back from 03:00 to 02:00.
    const rules = { ...input().rules, quietHours: { from: "20:00", to: "02:30" } };
    const twice = at("2026-10-25T02:15:00+01:00");
    expect(said({ now: twice, since: twice, send: { kind: "now" }, rules })).toBe(
      "quiet until 2026-10-25T02:15:00.000Z",
    );
  });

  test("a day too short for the spread: at opening", () => {
    const calendar = { ...STANDARD_CALENDAR, hours: { wed: { open: "09:00", close: "09:01" } } };
    const recipient = input().recipient;
    const rules = { ...input().rules, spreadMs: 24 * HOUR };
    expect(said({ now: night, since: night, recipient: { ...recipient, calendar }, rules })).toBe(
      "outside_window until 2026-03-04T08:00:00.000Z",
    );
  });

  test("who waits for an opening is spread behind it, the same way each time", () => {
    const rules = { ...input().rules, spreadMs: 45 * 60_000 };
    const waits = decideSend(input({ now: night, since: night, rules }));
    const opening = at("2026-03-04T09:00:00+01:00");
    if (waits.kind !== "defer") throw new Error("should wait");
    expect(waits.until - opening).toBeGreaterThan(0);
    expect(waits.until - opening).toBeLessThan(45 * 60_000);
    expect(decideSend(input({ now: night + HOUR, since: night, rules }))).toEqual(waits);
    expect(said({ now: waits.until, since: night, rules })).toBe("send");
    expect(said({ now: opening, since: night, rules })).toBe(`spread until ${new Date(waits.until).toISOString()}`);
    expect(said({ rules })).toBe("send");
  });
});

describe("the cap of 3 in 7 × 24 h", () => {
  const counted = [NOW - 6 * 24 * HOUR, NOW - 24 * HOUR, NOW - HOUR];
  const sendWithin = { amount: 9, unit: "d" } as const;
  test.each<[string, Partial<SendInput>]>([
    ["send", { counted: counted.slice(1) }],
    ["capped until 2026-03-04T09:00:00.000Z", { counted }],
    ["send", { counted: [NOW - 7 * 24 * HOUR, ...counted.slice(1)] }],
    ["send", { counted, category: SERVICE }],
    // A place is free on Saturday: then the next opening.
    ["capped until 2026-03-09T08:00:00.000Z", { counted: [NOW - 3 * 24 * HOUR, NOW - HOUR, NOW], sendWithin }],
    // One of the three is still under way: it may not go.
    ["capped until 2026-03-03T10:00:00.000Z", { counted, unsettled: 1 }],
    ["capped until 2026-03-04T09:00:00.000Z", { counted: [NOW - 6.5 * 24 * HOUR, ...counted], unsettled: 1 }],
    // One place left, and a mail of higher priority waits.
    ["capped until 2026-03-03T10:00:00.000Z", { counted: counted.slice(1), waiting: [{ key: "x", priority: 70 }] }],
    [
      "capped until 2026-03-03T09:30:00.000Z",
      { counted: counted.slice(1), waiting: [{ key: "x", priority: 70, until: NOW + HOUR / 2 }] },
    ],
    ["send", { counted: counted.slice(1), waiting: [{ key: "x", priority: 30 }] }],
    ["send", { counted: counted.slice(2), waiting: [{ key: "x", priority: 70 }] }],
    // Of equal priority the first by key goes first; a mail doesn't wait for itself.
    ["capped until 2026-03-03T10:00:00.000Z", { counted: counted.slice(1), waiting: [{ key: "a", priority: 50 }] }],
    ["send", { counted: counted.slice(1), waiting: [{ key: "x", priority: 50 }] }],
    ["send", { counted: counted.slice(1), waiting: [{ key: "run-1|welcome|c-1", priority: 50 }] }],
  ])("%s", (expected, more) => {
    expect(said(more)).toBe(expected);
  });
});

describe("holds, kill switches, spacing", () => {
  test.each<[string, Partial<SendInput>]>([
    ["held until 2026-03-03T10:00:00.000Z", { isHeld: true }],
    ["kill_switch until 2026-03-03T10:00:00.000Z", { isKillSwitchOn: true }],
    [
      "spacing until 2026-03-03T12:00:00.000Z",
      { since: NOW - 5 * HOUR, releasedAt: NOW - 2 * HOUR, lastSentAt: NOW - HOUR },
    ],
    ["send", { since: NOW - 9 * HOUR, releasedAt: NOW - 8 * HOUR, lastSentAt: NOW - 5 * HOUR }],
    ["send", { since: NOW - HOUR, releasedAt: NOW - 2 * HOUR, lastSentAt: NOW - HOUR }],
    ["send", { since: NOW - 5 * HOUR, releasedAt: NOW - 2 * HOUR, lastSentAt: NOW - 3 * HOUR }],
  ])("%s", (expected, more) => {
    expect(said(more)).toBe(expected);
  });
});

test("a mail that has waited too long is left out", () => {
  const since = at("2026-02-26T10:00:00+01:00");
  expect(said({ since })).toBe("send");
  expect(said({ since, now: NOW + 1 })).toBe("skip stale");
  expect(said({ since, isHeld: true })).toBe("skip stale");
});
