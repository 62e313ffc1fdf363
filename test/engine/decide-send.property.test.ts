import fc from "fast-check";
import { expect, test } from "vitest";
import { decideSend, type SendInput } from "../../src/engine/decide-send.js";
import { STANDARD_CALENDAR } from "../../src/values/calendar.js";
import type { TimeRule } from "../../src/values/time-rule.js";
import { wallClockOf } from "../../src/values/zone.js";

const HOUR = 3_600_000;
const T0 = Date.parse("2026-03-23T00:00:00Z");
const WEEK = 7 * 24 * HOUR;

const rule: fc.Arbitrary<TimeRule> = fc.constantFrom<TimeRule[]>(
  { kind: "now" },
  { kind: "working_hours" },
  { kind: "time_of_day", time: "09:30" },
  { kind: "working_hours_at", time: "16:45" },
  { kind: "weekday", day: "tue", time: "10:00" },
  { kind: "weekday", day: "fri" },
);

/** Two weeks around a change of clocks, in three zones. */
const input: fc.Arbitrary<SendInput> = fc
  .record({
    since: fc.integer({ min: 0, max: 14 * 24 * 60 }),
    lateMinutes: fc.nat(3 * 24 * 60),
    send: rule,
    zone: fc.constantFrom("Europe/Warsaw", "America/New_York", "Asia/Tokyo"),
    ages: fc.array(fc.nat(WEEK), { maxLength: 6 }),
    spreadMs: fc.constantFrom(0, 45 * 60_000),
    key: fc.string({ maxLength: 8 }),
    isCapped: fc.boolean(),
    keepsQuietHours: fc.boolean(),
  })
  .map(({ since, lateMinutes, send, zone, ages, spreadMs, key, isCapped, keepsQuietHours }) => {
    const reached = T0 + since * 60_000;
    const now = reached + lateMinutes * 60_000;
    return {
      now,
      since: reached,
      send,
      sendWithin: { amount: 30, unit: "d" },
      isExiting: false,
      category: { name: "onboarding", canUnsubscribe: true, isCapped, keepsQuietHours },
      recipient: { isActive: true, hasAddress: true, zone, calendar: STANDARD_CALENDAR },
      isTestAccount: false,
      isAddressAllowed: true,
      suppressions: [],
      isKillSwitchOn: false,
      isHeld: false,
      counted: ages.map((age) => now - age),
      unsettled: 0,
      waiting: [],
      priority: 50,
      key,
      rules: {
        cap: { messages: 3, perMs: WEEK },
        quietHours: { from: "20:00", to: "08:00" },
        spreadMs,
        spacingAfterReleaseMs: 4 * HOUR,
      },
    } satisfies SendInput;
  });

test("a mail that waits can go at the instant it is told, and not before it", () => {
  fc.assert(
    fc.property(input, (given) => {
      const decision = decideSend(given);
      if (decision.kind !== "defer") return;
      expect(decision.until).toBeGreaterThan(given.now);
      expect(decideSend({ ...given, now: decision.until }).kind).toBe("send");
    }),
    { numRuns: 2_000 },
  );
});

test("nothing goes in quiet hours, above the cap, or outside the hours it is for", () => {
  fc.assert(
    fc.property(input, (given) => {
      if (decideSend(given).kind !== "send") return;
      const hour = wallClockOf(given.now, given.recipient.zone).msOfDay / HOUR;
      if (given.category.keepsQuietHours) expect(hour >= 8 && hour < 20).toBe(true);
      if (given.category.isCapped) expect(given.counted.filter((at) => at > given.now - WEEK).length).toBeLessThan(3);
      if (given.send.kind === "working_hours") expect(hour >= 9 && hour < 17).toBe(true);
      if (given.send.kind === "time_of_day") expect(hour >= 9.5 && hour <= 10.5).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});
