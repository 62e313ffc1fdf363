import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { registerWhen } from "../../../src/entrances/cli/commands/when.js";

/** What `waypost when … --json` answers, in this process. */
async function when(words: string, from: string, zone: string, ...more: string[]): Promise<string> {
  const program = new Command("waypost").exitOverride();
  registerWhen(program);
  const write = process.stdout.write;
  let said = "";
  process.stdout.write = ((text: string) => {
    said += text;
    return true;
  }) as typeof process.stdout.write;
  try {
    const rule = words.startsWith("-") ? ["--", words] : [words];
    await program.parseAsync(["when", "--from", from, "--zone", zone, "--json", ...more, ...rule], { from: "user" });
  } finally {
    process.stdout.write = write;
  }
  return (JSON.parse(said) as { at: string }).at;
}

// 2026-03-06 is a Friday.
describe("the language's own examples, Monday to Friday 09:00-17:00 in Warsaw", () => {
  test.each([
    ["Friday 15:00 + 2 bd is Tuesday 15:00", "2 bd", "2026-03-06T15:00+01:00", "2026-03-10T14:00:00Z"],
    ["Saturday 12:00 + 1 bd is Tuesday 09:00", "1 bd", "2026-03-07T12:00+01:00", "2026-03-10T08:00:00Z"],
    ["Friday 20:00 + 1 bd is Tuesday 09:00", "1 bd", "2026-03-06T20:00+01:00", "2026-03-10T08:00:00Z"],
    ["before opening is opening", "1 bd", "2026-03-06T07:00+01:00", "2026-03-09T08:00:00Z"],
    ["at closing is the next working day's opening", "1 bd", "2026-03-05T17:00+01:00", "2026-03-09T08:00:00Z"],
    ["0 bd on a day off is the next opening", "0 bd", "2026-03-07T12:00+01:00", "2026-03-09T08:00:00Z"],
    ["back at the same wall-clock time", "-1 bd", "2026-03-09T10:00+01:00", "2026-03-06T09:00:00Z"],
    ["back, moved up to opening", "-1 bd", "2026-03-09T08:00+01:00", "2026-03-06T08:00:00Z"],
    ["back, moved back to closing", "-1 bd", "2026-03-09T20:00+01:00", "2026-03-06T16:00:00Z"],
    ["back from a day off begins at the previous closing", "-1 bd", "2026-03-07T12:00+01:00", "2026-03-05T16:00:00Z"],
    ["09:30 is the next one on any day", '"09:30"', "2026-03-07T10:00+01:00", "2026-03-08T08:30:00Z"],
    ["09:30 at 09:30 is now", "09:30", "2026-03-07T09:30+01:00", "2026-03-07T08:30:00Z"],
    ["working hours is now if open", "working hours", "2026-03-06T16:59+01:00", "2026-03-06T15:59:00Z"],
    ["working hours at closing is the next opening", "working hours", "2026-03-06T17:00+01:00", "2026-03-09T08:00:00Z"],
    [
      "working hours 09:30 is the next one on a working day",
      "working hours 09:30",
      "2026-03-06T10:00+01:00",
      "2026-03-09T08:30:00Z",
    ],
    ["a weekday with a time", "monday 09:30", "2026-03-04T10:00+01:00", "2026-03-09T08:30:00Z"],
    ["a weekday's time that is now", "wednesday 10:00", "2026-03-04T10:00+01:00", "2026-03-04T09:00:00Z"],
    [
      "a weekday's time that has passed is next week's",
      "wednesday 09:59",
      "2026-03-04T10:00+01:00",
      "2026-03-11T08:59:00Z",
    ],
    ["a month is clamped to its end", "1mo", "2026-01-31T10:00+01:00", "2026-02-28T09:00:00Z"],
    ["weeks keep the wall-clock time over a clock change", "2w", "2026-03-20T10:00+01:00", "2026-04-03T08:00:00Z"],
    ["a time that is skipped is the first instant after it", "1d", "2026-03-28T02:30+01:00", "2026-03-29T01:00:00Z"],
    ["hours are exact", "24h", "2026-03-28T02:30+01:00", "2026-03-29T01:30:00Z"],
    ["a time that occurs twice is the first", "1d", "2026-10-24T02:30+02:00", "2026-10-25T00:30:00Z"],
    ["… also where it is named", "02:30", "2026-10-25T00:00+02:00", "2026-10-25T00:30:00Z"],
    [
      "working days keep the wall-clock time over a clock change",
      "1 bd",
      "2026-03-27T15:00+01:00",
      "2026-03-30T13:00:00Z",
    ],
    ["now", "now", "2026-03-06T15:00+01:00", "2026-03-06T14:00:00Z"],
  ])("%s", async (_about, rule, from, at) => {
    expect(await when(rule, from, "Europe/Warsaw")).toBe(at);
  });
});

describe("with --calendar", () => {
  const calendars = ["--calendar", "playbooks/calendars.yaml", "--name"];
  test.each([
    ["a holiday is no working day", "pl", "1 bd", "2026-01-05T15:00+01:00", "Europe/Warsaw", "2026-01-07T14:00:00Z"],
    [
      "… and nothing opens on it",
      "pl",
      "working hours",
      "2026-01-06T10:00+01:00",
      "Europe/Warsaw",
      "2026-01-07T08:00:00Z",
    ],
    ["without it the day works", "standard", "1 bd", "2026-01-05T15:00+01:00", "Europe/Warsaw", "2026-01-06T14:00:00Z"],
    ["a short Friday closes at noon", "ae", "1 bd", "2026-03-05T15:00+04:00", "Asia/Dubai", "2026-03-09T05:00:00Z"],
  ])("%s", async (_about, name, rule, from, zone, at) => {
    expect(await when(rule, from, zone, ...calendars, name)).toBe(at);
  });

  test("the file's first calendar is the default", async () => {
    expect(
      await when("1 bd", "2026-01-05T15:00+01:00", "Europe/Warsaw", "--calendar", "playbooks/calendars.yaml"),
    ).toBe("2026-01-06T14:00:00Z");
  });
});

test.each([
  [
    "no rule",
    ["5 businessdays"],
    '"5 businessdays" is not a time rule. Allowed: a duration (5 bd, 3d, 48h, 2w, 1mo, -2 bd), now, working hours, 09:30, working hours 09:30, monday, monday 09:30.',
  ],
  [
    "no offset",
    ["1d", "--from", "2026-03-06T15:00"],
    '--from "2026-03-06T15:00" is not an instant. Write it with its offset, e.g. 2026-03-06T15:00+01:00.',
  ],
  ["no zone", ["1d", "--zone", "Mars/Base"], '--zone "Mars/Base" is no time zone. Write it like Europe/Warsaw.'],
  ["no file", ["1d", "--calendar", "nowhere.yaml"], "--calendar nowhere.yaml can't be read."],
  [
    "no such calendar",
    ["1d", "--calendar", "test/playbook/fixture/calendars.yaml", "--name", "pl"],
    'test/playbook/fixture/calendars.yaml has no calendar "pl". It has: standard, ae.',
  ],
])("used wrongly: %s", async (_about, [rule = "", ...more], message) => {
  await expect(when(rule, "2026-03-06T15:00+01:00", "Europe/Warsaw", ...more)).rejects.toMatchObject({
    name: "UsageFault",
    message,
  });
});
