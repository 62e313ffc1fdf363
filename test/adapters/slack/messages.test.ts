import { describe, expect, test } from "vitest";
import { escapeMrkdwn, mrkdwnOf, option, truncate } from "../../../src/adapters/slack/block-kit.js";
import {
  readModalOrigin,
  readNudgeReference,
  readTaskReference,
  taskReferenceText,
} from "../../../src/adapters/slack/button-value.js";
import { HOME_PAGE_LINES, homeView } from "../../../src/adapters/slack/home.js";
import { createSlackMessages } from "../../../src/adapters/slack/messages.js";
import { completeModal, noteModal, noticeModal, reassignModal, skipModal } from "../../../src/adapters/slack/modals.js";
import { blockProblems, viewProblems } from "../../../src/local/desk-limits.js";
import type { Digest, Nudge, TaskCard } from "../../../src/ports/composer.js";
import { CARD, HOME, homeTask, LONG } from "./samples.js";

const messages = createSlackMessages();
const linked = createSlackMessages({ accountUrl: (id) => `https://crm.example/${id}` });

const NUDGE: Nudge = {
  deliveryId: "d-1",
  text: "*Acme* has not booked its kickoff",
  actions: ["open_account", "snooze", "call_them"],
  account: { id: "acme", name: "Acme" },
  playbook: "onboarding-high-touch",
  run: "run/x",
  step: "nudge_csm",
};

type Block = Record<string, any>;
const ofType = (blocks: readonly unknown[], type: string): Block => {
  const found = (blocks as Block[]).find((block) => block.type === type);
  if (found === undefined) throw new Error(`no ${type}`);
  return found;
};
const modalOrigin = { task: CARD.id, revision: 3, channel: "D1", ts: "1.000001" };

describe("a task's message", () => {
  test("says what to do, what about, and offers what can be done", () => {
    const body = messages.task(CARD);
    expect(body.text).toBe("Call the champion (Acme)");
    expect(ofType(body.blocks, "header").text.text).toBe("Call the champion");
    expect((body.blocks[1] as Block).fields.map((field: Block) => field.text)).toEqual([
      "*Account*\nAcme",
      "*ARR*\n120,000",
      "*Health*\n🔴 Red 38 (▼ 12 in 7 days)",
      "*Due*\nFri 6 Mar, 17:00",
      "*Playbook*\nChurn rescue › Verify",
      "*For*\nAlice Kowalska",
    ]);
    expect((body.blocks[2] as Block).text.text).toBe("*Why now*: nobody signed in for 14 days.");
    expect(ofType(body.blocks, "context").elements[0].text).toBe("Required · 2 snoozes left");
    const actions = ofType(body.blocks, "actions");
    const reference = '{"v":1,"task":"8f14e45f-ceea-567a-9a36-dedd4bea2543","revision":3}';
    expect(actions.block_id).toBe(reference);
    expect(actions.elements.map((element: Block) => [element.action_id, element.value])).toEqual([
      ["task:complete", reference],
      ["task:snooze", undefined],
      ["task:reassign", reference],
      ["task:more", undefined],
    ]);
    expect(actions.elements[1].options.map((one: Block) => [one.text.text, one.value])).toEqual([
      ["1 working day", "1 bd"],
      ["2 working days", "2 bd"],
      ["5 working days", "5 bd"],
    ]);
    expect(actions.elements[3].options.map((one: Block) => one.value)).toEqual(["skip", "note", "open_account"]);
  });

  test.each<[string, Partial<TaskCard>, string, string, boolean]>([
    [
      "done",
      { status: "done", closedBy: "Bob", outcome: "still_at_risk", note: "Call <them>" },
      "✅ Done: Call the champion",
      "Required · done by Bob · outcome: *Still at risk* · note: Call &lt;them&gt;",
      false,
    ],
    [
      "skipped",
      { status: "skipped", closedBy: "Bob", note: "Left" },
      "⏭️ Skipped: Call the champion",
      "Required · skipped by Bob · note: Left",
      false,
    ],
    [
      "cancelled",
      { status: "cancelled", required: false },
      "🚫 No longer needed: Call the champion",
      "Optional · cancelled",
      false,
    ],
    [
      "snoozed",
      { snoozedUntil: Date.parse("2026-03-09T08:00:00Z"), snoozesLeft: 1 },
      "💤 Snoozed: Call the champion",
      "Required · snoozed until Mon 9 Mar, 09:00 · 1 snooze left",
      true,
    ],
    [
      "escalated",
      { escalated: 2 },
      "🚨 Escalated: Call the champion",
      "Required · escalated 2 times · 2 snoozes left",
      true,
    ],
  ])("%s", (_name, change, title, state, hasButtons) => {
    const { blocks } = messages.task({ ...CARD, ...change });
    expect(ofType(blocks, "header").text.text).toBe(title);
    expect(ofType(blocks, "context").elements[0].text).toBe(state);
    expect((blocks as Block[]).some((block) => block.type === "actions")).toBe(hasButtons);
  });

  test("no snooze without snoozes left; a queue and a cover are named; unknown values are a dash", () => {
    const { assignee: _gone, ...queued } = CARD;
    const inQueue = messages.task({
      ...queued,
      queue: "scaled_success",
      snoozesLeft: 0,
      account: { id: "a", name: "A" },
    });
    const fields = (inQueue.blocks[1] as Block).fields.map((field: Block) => field.text);
    expect(fields).toContain("*For*\nthe queue “scaled_success”");
    expect(fields).toContain("*ARR*\n–");
    expect(fields).toContain("*Health*\n⚪ Unknown");
    expect(ofType(inQueue.blocks, "actions").elements).toHaveLength(3);
    const covered = messages.task({ ...CARD, coveredFor: "Bob" });
    expect((covered.blocks[1] as Block).fields[5].text).toBe("*For*\nAlice Kowalska, covering for Bob");
  });

  test("dates and numbers in the assignee's language; an unknown one reads as English", () => {
    const titled = messages.task({ ...CARD, playbookTitle: "Rescue-plan for churn" });
    expect((titled.blocks[1] as Block).fields[4].text).toBe("*Playbook*\nRescue-plan for churn › Verify");
    const fieldsIn = (locale: string) => (messages.task({ ...CARD, locale }).blocks[1] as Block).fields;
    expect(fieldsIn("pl")[3].text).toBe("*Due*\npt., 6 mar, 17:00");
    expect(fieldsIn("not a locale")[3].text).toBe("*Due*\nFri 6 Mar, 17:00");
    expect(fieldsIn("not a locale")[1].text).toBe("*ARR*\n120,000");
  });
});

test("a nudge: its text, what it is about, its buttons", () => {
  const { text, blocks } = linked.nudge(NUDGE);
  expect(text).toBe("*Acme* has not booked its kickoff");
  expect(ofType(blocks, "context").elements[0].text).toBe("Acme · Onboarding high touch · Nudge csm");
  const titled = linked.nudge({ ...NUDGE, playbookTitle: "QBR" }).blocks;
  expect(ofType(titled, "context").elements[0].text).toBe("Acme · QBR · Nudge csm");
  expect(
    ofType(blocks, "actions").elements.map((one: Block) => [one.action_id, one.text.text, one.url, one.value]),
  ).toEqual([
    [
      "nudge:open_account",
      "Open account",
      "https://crm.example/acme",
      '{"v":1,"delivery":"d-1","action":"open_account"}',
    ],
    ["nudge:snooze", "Snooze", undefined, '{"v":1,"delivery":"d-1","action":"snooze"}'],
    ["nudge:call_them", "Call them", undefined, '{"v":1,"delivery":"d-1","action":"call_them"}'],
  ]);
  expect((messages.nudge({ ...NUDGE, actions: [] }).blocks as Block[]).map((block) => block.type)).toEqual([
    "section",
    "context",
  ]);
});

describe("a digest", () => {
  const line = { task: "t", title: "Call <them>", account: "Acme & Sons", due: Date.parse("2026-03-06T16:00:00Z") };
  const digest: Digest = {
    person: { id: "csm-1", name: "Alice", timezone: "Europe/Warsaw", locale: "en" },
    at: Date.parse("2026-03-06T07:30:00Z"),
    overdue: [line],
    today: [line, line],
    later: 3,
  };
  test("overdue, today, and how many later", () => {
    const { text, blocks } = messages.digest(digest);
    expect(text).toBe("Friday 6 March: 1 overdue, 2 due today, 3 later");
    expect((blocks[2] as Block).text.text).toBe(
      "🚨 *Overdue*\n• *Call &lt;them&gt;* — Acme &amp; Sons, Fri 6 Mar, 17:00",
    );
    expect(blocks).toHaveLength(6);
  });
  test("nothing open", () => {
    expect(messages.digest({ ...digest, overdue: [], today: [], later: 0 }).text).toBe(
      "Friday 6 March: nothing is open",
    );
  });
  test("too many lines: as many as fit, and how many more", () => {
    const { blocks } = messages.digest({
      ...digest,
      today: Array.from({ length: 500 }, () => ({ ...line, account: LONG })),
    });
    expect(blockProblems(blocks, "message")).toEqual([]);
    expect((blocks[3] as Block).text.text).toMatch(/… and \d{3} more$/);
  });
});

describe("whatever it is given, Slack takes it", () => {
  const card: TaskCard = {
    ...CARD,
    title: LONG,
    text: '"\n'.repeat(4_000),
    note: LONG,
    outcome: LONG,
    closedBy: LONG,
    coveredFor: LONG,
    queue: LONG,
    assignee: { id: "x", name: LONG },
    account: { id: "a", name: LONG, arr: 1e15, healthStatus: "yellow" },
    playbook: LONG,
    step: LONG,
    snoozeOptions: Array.from({ length: 150 }, (_, index) => `${index} bd`),
    outcomes: Array.from({ length: 150 }, (_, index) => `outcome_${index}`),
  };
  test.each(["open", "done", "skipped", "cancelled"] as const)("task, %s", (status) => {
    const body = linked.task({ ...card, status });
    expect(blockProblems(body.blocks, "message")).toEqual([]);
    expect(body.text.length).toBeLessThanOrEqual(4_000);
  });
  test("empty texts", () => {
    expect(
      blockProblems(messages.task({ ...CARD, title: "", text: " ", account: { id: "a", name: "" } }).blocks, "message"),
    ).toEqual([]);
    expect(blockProblems(messages.nudge({ ...NUDGE, text: "" }).blocks, "message")).toEqual([]);
  });
  test("nudge", () => {
    const actions = Array.from({ length: 30 }, (_, index) => `${"action_".repeat(20)}${index}`);
    const body = messages.nudge({ ...NUDGE, text: LONG, actions, account: { id: "a", name: LONG } });
    expect(blockProblems(body.blocks, "message")).toEqual([]);
    expect(body.text.length).toBeLessThanOrEqual(4_000);
  });
  test("modals", () => {
    const people = Array.from({ length: 950 }, (_, index) => ({ id: `u-${index}`, name: `Person ${index} ${LONG}` }));
    for (const view of [
      completeModal({ ...card, ask: "outcome" }, modalOrigin),
      completeModal({ ...card, ask: "outcome", outcomes: [] }, modalOrigin),
      completeModal({ ...card, ask: "note" }, modalOrigin),
      reassignModal(card, people, modalOrigin),
      reassignModal(card, people.slice(0, 100), modalOrigin),
      reassignModal(card, [], modalOrigin),
      skipModal(card, modalOrigin),
      noteModal(card, modalOrigin),
      noticeModal(LONG),
    ])
      expect(viewProblems(view)).toEqual([]);
  });
  test("an option whose value would have to be cut is a fault: it would mean something else", () => {
    expect(() => option("x", "y".repeat(76))).toThrow(RangeError);
    expect(() => taskReferenceText({ task: "t".repeat(250), revision: 1 })).toThrow(RangeError);
    expect(() =>
      reassignModal(
        CARD,
        Array.from({ length: 10_001 }, (_, i) => ({ id: `u${i}`, name: "n" })),
        modalOrigin,
      ),
    ).toThrow(RangeError);
  });
});

describe("the Home tab", () => {
  test("overdue, today, snoozed, accounts by risk", () => {
    const { blocks } = homeView(HOME) as { blocks: Block[] };
    expect(viewProblems(homeView(HOME))).toEqual([]);
    expect(blocks.filter((block) => block.type === "header").map((block) => block.text.text)).toEqual([
      "Tasks of Alice Kowalska",
      "🚨 Overdue",
      "Today",
      "💤 Snoozed",
      "My accounts by risk",
    ]);
    expect(blocks[1]?.elements[0].text).toBe("1 overdue · 1 due today · 1 snoozed · 4 later");
    expect(blocks[4]?.text.text).toBe("*Task 1*\nAcme · due Fri 6 Mar, 17:00");
    expect(blocks[4]?.accessory.value).toBe('{"v":1,"task":"task-1","revision":1}');
    expect(blocks[10]?.text.text).toBe("*Task 3*\nAcme · until Mon 9 Mar, 09:00");
    expect(blocks.at(-2)?.text.text).toBe("*Acme* · 🔴 Red 38 (▼ 12 in 7 days) · ARR 120,000 · 2 open tasks");
    expect(blocks.at(-1)?.text.text).toBe("*Globex* · 🟢 Green");
  });
  test("never more than 100 blocks: paged", () => {
    const many = {
      ...HOME,
      overdue: Array.from({ length: 90 }, (_, i) => homeTask(10_000 + i)),
      today: Array.from({ length: 200 }, (_, i) => homeTask(1_000 + i)),
    };
    expect(HOME_PAGE_LINES).toBe(80);
    const shown = new Set<string>();
    for (const page of [1, 2, 3, 4]) {
      const view = homeView(many, page) as { blocks: Block[] };
      expect(viewProblems(view)).toEqual([]);
      for (const block of view.blocks) if (block.accessory) shown.add(block.block_id);
    }
    expect(shown.size).toBe(291);
    expect(homeView(many, 99)).toEqual(homeView(many, 4));
    const first = (homeView(many) as { blocks: Block[] }).blocks.at(-1);
    expect(first?.elements.map((one: Block) => [one.text.text, one.value])).toEqual([["Next (page 1 of 4)", "2"]]);
  });
  test("nothing at all", () => {
    const view = homeView({ ...HOME, overdue: [], today: [], snoozed: [], later: 0, accounts: [] });
    expect(viewProblems(view)).toEqual([]);
  });
});

describe("customers' data can't become markup", () => {
  test.each([
    [
      "<!channel> & <@U123> <https://evil.example|bank>",
      "&lt;!channel&gt; &amp; &lt;@U123&gt; &lt;https://evil.example|bank&gt;",
    ],
    ["ask @here or @Channel", "ask @\u200bhere or @\u200bChannel"],
    ["alice@heredity.example", "alice@heredity.example"],
  ])("%s", (data, expected) => {
    expect(escapeMrkdwn(data)).toBe(expected);
  });
  test("in every part of a task that is a customer's", () => {
    const evil = "<!channel> <@U1>";
    const body = messages.task({
      ...CARD,
      title: evil,
      account: { id: "a", name: evil, healthStatus: evil },
      assignee: { id: "b", name: evil },
      note: evil,
      outcome: evil,
      status: "done",
      closedBy: evil,
    });
    // The header is plain text, which Slack shows as it is.
    const rest = (body.blocks as Block[]).filter((block) => block.type !== "header");
    expect(JSON.stringify(rest)).not.toMatch(/<[!@]/);
    expect(body.text).not.toMatch(/<[!@]/);
  });
  test("a step's own text may be marked up, but calls no channel", () => {
    expect(mrkdwnOf("**Bold** and [a page](https://x.example/a?b=1) <!here> @channel")).toBe(
      "*Bold* and <https://x.example/a?b=1|a page> &lt;!here> @\u200bchannel",
    );
    expect(messages.nudge({ ...NUDGE, text: "<!everyone> look" }).text).toBe("&lt;!everyone> look");
  });
});

test("truncate keeps characters and entities whole", () => {
  expect(truncate("abcdef", 6)).toBe("abcdef");
  expect(truncate("abcdefg", 6)).toBe("abcde…");
  expect(truncate("ab😀cd", 4)).toBe("ab…");
  expect(truncate("abc &amp; d", 8)).toBe("abc …");
});

test("what buttons carry is read back; anything else is nothing", () => {
  expect(readTaskReference('{"v":1,"task":"t","revision":2}')).toEqual({ task: "t", revision: 2 });
  expect(readModalOrigin('{"v":1,"task":"t","revision":2,"channel":"C","ts":"1.2"}')).toEqual({
    task: "t",
    revision: 2,
    channel: "C",
    ts: "1.2",
  });
  expect(readNudgeReference('{"v":1,"delivery":"d","action":"a"}')).toEqual({ deliveryId: "d", action: "a" });
  for (const text of [
    undefined,
    "",
    "no json",
    "null",
    '{"v":2,"task":"t","revision":2}',
    '{"v":1,"task":1,"revision":2}',
    '{"v":1}',
  ]) {
    expect(readTaskReference(text)).toBeUndefined();
    expect(readModalOrigin(text)).toBeUndefined();
    expect(readNudgeReference(text)).toBeUndefined();
  }
});
