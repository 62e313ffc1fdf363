import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { onWeekday, readPeopleScript } from "../../src/local/demo-script.js";

const script = readPeopleScript(
  "people.yaml",
  `
bounces: [gone]
tasks:
  - { step: touch, persona: slow, round: 2-3, after: 2d, snooze: 1 bd, outcome: on_track }
  - { step: [touch, call], round: 4+, after: 1d, late: true, note: "Called." }
  - { step: touch, by: csm-2, after: 1h, do: reassign, to: csm-1 }
  - { step: "*", after: 8h }
mails:
  - { template: welcome, persona: [smooth], do: [ { after: 20h, event: meeting.booked, payload: { kind: kickoff, starts_at: "+4d" } } ] }
  - { template: welcome, do: [ { unsubscribe: true }, { after: 1h, reply: true } ] }
`,
);

const HOUR = 3_600_000;

describe("people.yaml", () => {
  it("gives a task the first rule that fits its step, persona, round and colleague", () => {
    expect(script.task({ step: "touch", persona: "slow", round: 2, by: "csm-1" })).toEqual({
      afterMs: 48 * HOUR,
      do: "complete",
      isLate: false,
      snooze: "1 bd",
      outcome: "on_track",
    });
    expect(script.task({ step: "call", persona: "slow", round: 9, by: "csm-1" })).toEqual({
      afterMs: 24 * HOUR,
      do: "complete",
      isLate: true,
      note: "Called.",
    });
    expect(script.task({ step: "touch", persona: "smooth", round: 1, by: "csm-2" })).toEqual({
      afterMs: HOUR,
      do: "reassign",
      isLate: false,
      to: "csm-1",
    });
    expect(script.task({ step: "other", persona: "", round: 1, by: "csm-1" })).toEqual({
      afterMs: 8 * HOUR,
      do: "complete",
      isLate: false,
    });
  });

  it("gives a mail what follows upon it", () => {
    expect(script.mail("onboarding/welcome", "smooth")).toEqual([
      { kind: "event", afterMs: 20 * HOUR, name: "meeting.booked", payload: { kind: "kickoff", starts_at: "+4d" } },
    ]);
    expect(script.mail("welcome", "other")).toEqual([{ kind: "unsubscribe" }, { kind: "reply", afterMs: HOUR }]);
    expect(script.mail("unknown", "other")).toEqual([]);
  });

  it("puts what falls on a weekend off to Monday", () => {
    expect(onWeekday(Date.UTC(2026, 0, 10, 15))).toBe(Date.UTC(2026, 0, 12, 15));
    expect(onWeekday(Date.UTC(2026, 0, 11, 15))).toBe(Date.UTC(2026, 0, 12, 15));
    expect(onWeekday(Date.UTC(2026, 0, 9, 15))).toBe(Date.UTC(2026, 0, 9, 15));
  });

  it("names the place of what can't be read", () => {
    expect(() => readPeopleScript("people.yaml", 'tasks: [ { step: a, after: "2 bd" } ]')).toThrow(
      'people.yaml: tasks[0]: "2 bd" is no exact duration such as 5h or 2d',
    );
    expect(() => readPeopleScript("people.yaml", "mails: [ { template: a, do: [ { after: 1h } ] } ]")).toThrow(
      "people.yaml: mails[0]: needs event, reply or unsubscribe",
    );
  });

  it("of the example portfolio can be read", () => {
    const path = "examples/portfolio/people.yaml";
    expect(readPeopleScript(path, readFileSync(path, "utf8")).bounces).toEqual(["bounces"]);
  });
});
