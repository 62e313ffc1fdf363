import { describe, expect, it } from "vitest";
import { nextCron, parseCron } from "../../src/values/cron.js";
import { formatInstant, parseInstant } from "../../src/values/instant.js";

const next = (text: string, after: string, zone = "UTC") => {
  const cron = parseCron(text);
  const at = cron && nextCron(cron, parseInstant(after) as number, zone);
  return at === undefined ? undefined : formatInstant(at);
};

describe("parseCron", () => {
  it.each([
    "",
    "* * * *",
    "* * * * * *",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * * 13 *",
    "* * * * 8",
    "5-1 * * * *",
    "*/0 * * * *",
    "a * * * *",
    "1,,2 * * * *",
    "-1 * * * *",
  ])("refuses %j", (text) => expect(parseCron(text)).toBeUndefined());

  it("reads lists, ranges, steps and names", () => {
    expect(parseCron("0,30 9-11 */10 jan,jul-aug mon-fri")).toEqual({
      minutes: [0, 30],
      hours: [9, 10, 11],
      daysOfMonth: [1, 11, 21, 31],
      months: [1, 7, 8],
      daysOfWeek: [1, 2, 3, 4, 5],
      anyDay: false,
    });
  });
});

describe("nextCron", () => {
  it.each([
    ["0 9 1 */3 *", "2026-01-01T09:00Z", "UTC", "2026-04-01T09:00:00Z"],
    ["0 9 1 */3 *", "2026-01-01T08:59:59.999Z", "UTC", "2026-01-01T09:00:00Z"],
    ["0 9 1 */3 *", "2026-12-24T00:00Z", "Europe/Warsaw", "2027-01-01T08:00:00Z"],
    ["15 10 * * 7", "2026-03-02T00:00Z", "UTC", "2026-03-08T10:15:00Z"],
    ["0 0 13 * fri", "2026-03-01T00:00Z", "UTC", "2026-03-06T00:00:00Z"],
    ["0 0 29 2 *", "2026-03-01T00:00Z", "UTC", "2028-02-29T00:00:00Z"],
    ["30 2 * * *", "2026-03-28T12:00Z", "Europe/Warsaw", "2026-03-29T01:00:00Z"],
    ["30 2 * * *", "2026-10-24T12:00Z", "Europe/Warsaw", "2026-10-25T00:30:00Z"],
  ])("%s after %s in %s", (cron, after, zone, expected) => expect(next(cron, after, zone)).toBe(expected));

  it("finds nothing for a day that never comes", () => {
    expect(next("0 0 31 2 *", "2026-01-01T00:00Z")).toBeUndefined();
  });
});
