import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { postOutbox, putNotices } from "../../src/operations/outbox.js";
import { pollDue } from "../../src/operations/poll-due.js";
import { actOnTask, type TaskAction, type TaskAnswer } from "../../src/operations/tasks/act-on-task.js";
import { deskDue } from "../../src/operations/tasks/desk-due.js";
import { armDigests } from "../../src/operations/tasks/digest.js";
import type { Task } from "../../src/ports/tasks.js";
import { DAY, HOUR, openStage, type Stage, T0, task } from "./support/stage.js";

let stage: Stage;
let number = 0;
let account: string;
let run: string;
let id: string;

beforeAll(async () => {
  stage = await openStage();
  await stage.people([
    {
      id: "eve",
      name: "Eve",
      email: "eve@ours.example",
      slackUserId: "U-EVE",
      timezone: "Europe/Warsaw",
      pools: ["desk"],
    },
    {
      id: "joe",
      name: "Joe",
      email: "joe@ours.example",
      slackUserId: "U-JOE",
      timezone: "Asia/Tokyo",
      managerId: "max",
    },
  ]);
});
afterAll(() => stage.close());
beforeEach(async () => {
  number += 1;
  account = `acme-${number}`;
  run = `run/onboarding/${account}/k/1`;
  await stage.account(account, {});
  await stage.run({ id: run, accountId: account });
  stage.slack.messages.length = 0;
});

// A task that stays open would remind in another's test.
afterEach(async () => {
  for (const one of await stage.store.read((tx) => stage.ports.tasks.list(tx, { status: ["open"] }))) {
    await actOnTask(stage.ports, {
      task: one.id,
      actor: { id: "cli", isAdmin: true },
      action: { kind: "skip", reason: "test" },
    });
  }
});

async function opened(more: Parameters<typeof task>[1] = {}): Promise<void> {
  const outcome = await stage.outcome(run, task("call", more));
  if (outcome.kind !== "task_opened") throw new Error(outcome.kind);
  id = outcome.task;
}
const current = async (): Promise<Task> => {
  const found = await stage.store.read((tx) => stage.ports.tasks.read(tx, id));
  if (!found) throw new Error("no task");
  return found;
};
const act = (actor: string, action: TaskAction, revision?: number): Promise<TaskAnswer> =>
  actOnTask(stage.ports, { task: id, actor: { id: actor }, action, ...(revision !== undefined && { revision }) });
const poll = async (at: number): Promise<void> => {
  stage.clock.moveTo(Math.max(at, stage.clock.now()));
  const due = deskDue(stage.ports);
  await pollDue(stage.ports, due.handlers, 1000);
  await due.finish();
};
const texts = (): string[] => stage.slack.messages.map(({ channel, text }) => `${channel} ${text}`);

describe("what a person does with a task", () => {
  test("completing it closes it, tells its run, and brings its message up to date", async () => {
    await opened();
    expect(await act("ann", { kind: "complete", note: " went well " }, 1)).toMatchObject({
      kind: "done",
      task: { status: "done", closedBy: "ann", closedAt: T0, note: "went well", revision: 2 },
    });
    expect(texts()).toEqual([`U-ANN done: Call ${account.toUpperCase()}`]);
    const told = (await stage.eventsOf("task.closed")).filter((event) => event.run_id === run);
    expect(told).toMatchObject([
      {
        changed: ["tasks.required_open", "tasks.open"],
        payload: {
          task: id,
          run,
          key: "call",
          step: "call",
          status: "done",
          outcome: "",
          completed_by: "ann",
          note: "went well",
        },
      },
    ]);
    const armed = await stage.store.read((tx) => stage.store.due.withPrefix(tx, `task:${id}|`));
    expect(armed.filter(({ isDone }) => !isDone)).toEqual([]);
    expect(await act("ann", { kind: "complete" }, 1)).toMatchObject({ kind: "stale", task: { status: "done" } });
    expect(await act("ann", { kind: "complete" })).toMatchObject({ kind: "refused", reason: "closed" });
  });

  test("what is asked must be answered", async () => {
    await opened({ ask: "outcome", outcomes: ["yes", "no"] });
    expect(await act("ann", { kind: "complete" })).toMatchObject({ kind: "refused", reason: "outcome_needed" });
    expect(await act("ann", { kind: "complete", outcome: "maybe" })).toMatchObject({
      kind: "refused",
      reason: "outcome_unknown",
    });
    expect(await act("ann", { kind: "complete", outcome: "yes" })).toMatchObject({
      kind: "done",
      task: { outcome: "yes" },
    });
  });

  test("only assignee, cover, manager and admin may; what changed since is shown instead", async () => {
    await opened();
    expect(await act("eve", { kind: "complete" })).toMatchObject({ kind: "refused", reason: "not_yours" });
    expect(await act("max", { kind: "note", note: "look here" }, 1)).toMatchObject({
      kind: "done",
      task: { note: "look here", revision: 2 },
    });
    expect(await act("ann", { kind: "complete" }, 1)).toMatchObject({
      kind: "stale",
      task: { revision: 2, status: "open" },
    });
    expect(await act("ann", { kind: "skip", reason: " " })).toMatchObject({ kind: "refused", reason: "note_needed" });
    const asAdmin = await actOnTask(stage.ports, {
      task: id,
      actor: { id: "cli", isAdmin: true },
      action: { kind: "skip", reason: "duplicate" },
    });
    expect(asAdmin).toMatchObject({ kind: "done", task: { status: "skipped", note: "duplicate", closedBy: "cli" } });
    expect(
      await actOnTask(stage.ports, { task: "none", actor: { id: "ann" }, action: { kind: "note", note: "x" } }),
    ).toMatchObject({ reason: "not_found" });
  });

  test("of two who act at the same moment on the same sight one is told it is stale", async () => {
    await opened();
    const both = await Promise.all([
      act("ann", { kind: "complete" }, 1),
      act("max", { kind: "skip", reason: "no" }, 1),
    ]);
    expect(both.map(({ kind }) => kind).sort()).toEqual(["done", "stale"]);
  });

  test("handing it on keeps its due date, and shows it to the new one", async () => {
    await opened();
    const before = await current();
    expect(await act("ann", { kind: "reassign", to: "nobody" })).toMatchObject({
      kind: "refused",
      reason: "unknown_person",
    });
    expect(await act("ann", { kind: "reassign", to: "joe" })).toMatchObject({
      kind: "done",
      task: { assigneeId: "joe", dueAt: before.dueAt },
    });
    expect(texts()).toEqual([`U-ANN open: Call ${account.toUpperCase()}`, `U-JOE open: Call ${account.toUpperCase()}`]);
    await act("joe", { kind: "complete" });
    expect(texts()).toEqual([`U-ANN done: Call ${account.toUpperCase()}`, `U-JOE done: Call ${account.toUpperCase()}`]);
  });

  test("a pool's task shows in the channel; one of the pool takes it", async () => {
    await opened({ for: { kind: "pool", pool: "desk" } });
    expect(await current()).toMatchObject({ assigneeId: null, queue: "desk" });
    expect(stage.slack.messages[0]?.channel).toBe("#unassigned");
    expect(await act("ann", { kind: "reassign", to: "ann" })).toMatchObject({ kind: "refused", reason: "not_yours" });
    expect(await act("eve", { kind: "reassign", to: "eve" })).toMatchObject({
      kind: "done",
      task: { assigneeId: "eve", queue: null },
    });
  });

  test("a Slack that is down delays nothing: the outbox posts it later, once", async () => {
    stage.slack.trouble({ kind: "refused", permanent: false, reason: "internal_error" });
    await opened();
    expect(texts()).toEqual([]);
    await new Promise((done) => setTimeout(done, 100));
    await Promise.all([postOutbox(stage.ports), postOutbox(stage.ports)]);
    await postOutbox(stage.ports);
    expect(texts()).toEqual([`U-ANN open: Call ${account.toUpperCase()}`]);
  });
});

test.each([true, false])(
  "a message that was on the wire when its task was closed is looked for, not sent again (it had arrived: %s)",
  async (hasArrived) => {
    stage.slack.trouble("lost");
    await opened();
    expect(await act("ann", { kind: "complete" })).toMatchObject({ kind: "done" });
    if (!hasArrived) stage.slack.messages.length = 0;
    const key = `task:${id}|slack`;
    const status = async () => (await stage.store.read((tx) => stage.ports.ledger.read(tx, key)))?.status;
    for (let look = 0; look < 100 && (await status()) === "wire"; look++) {
      await postOutbox(stage.ports);
      await new Promise((done) => setTimeout(done, 100));
    }
    expect(await status()).toBe(hasArrived ? "sent" : "skipped");
    expect(stage.slack.messages).toHaveLength(hasArrived ? 1 : 0);
  },
);

test("a message that can't be made keeps no other waiting", async () => {
  stage.slack.trouble({ kind: "refused", permanent: false, reason: "internal_error" });
  await opened();
  const notice = { key: `news-${account}`, to: { channel: "#news" }, body: { text: "news", blocks: [] } };
  await stage.write((tx) => putNotices(stage.ports, tx, [{ ...notice, accountId: null, at: T0 }]));
  await new Promise((done) => setTimeout(done, 100));
  const faults: string[] = [];
  const broken = () => {
    throw new Error("can't be rendered");
  };
  const composer = { ...stage.ports.composer, task: broken };
  await postOutbox({ ...stage.ports, composer, onFault: (what) => faults.push(what) });
  expect(texts()).toEqual(["#news news"]);
  expect(faults).toHaveLength(1);
  await postOutbox(stage.ports);
  expect(texts()).toEqual(["#news news", `U-ANN open: Call ${account.toUpperCase()}`]);
});

// From here on the stage's clock moves.
describe("what the clock does with a task", () => {
  test("due in the assignee's working time, wherever that is", async () => {
    await stage.account(account, { csm: "joe" });
    await opened();
    // 18:00 in Tokyo: a day on is after closing, hence Thursday's opening.
    expect((await current()).dueAt).toBe(Date.parse("2026-03-05T09:00:00+09:00"));
  });

  test("it is reminded of, escalated to the manager, and stays whose it is", async () => {
    await opened();
    await poll(T0 + DAY);
    expect(texts().slice(1)).toEqual([`U-ANN Due now: Call ${account.toUpperCase()}`]);
    await poll(T0 + 2 * DAY);
    expect(texts().slice(2)).toEqual([
      `U-MAX Overdue since 2026-03-04 10:00: Call ${account.toUpperCase()} (${account.toUpperCase()}), with Ann Lee`,
    ]);
    expect(await current()).toMatchObject({ escalated: 1, assigneeId: "ann", status: "open" });
    await poll(T0 + 2 * DAY);
    expect(texts()).toHaveLength(3);
    await act("ann", { kind: "complete" });
  });

  test("a snooze is counted, silences the alarms and ends with a reminder", async () => {
    const now = stage.clock.now();
    const outcome = await stage.outcome(run, task("call"), now);
    if (outcome.kind !== "task_opened") throw new Error(outcome.kind);
    id = outcome.task;
    const snooze: TaskAction = { kind: "snooze", for: { amount: 1, unit: "bd" } };
    expect(await act("ann", { kind: "snooze", for: { amount: 9, unit: "bd" } })).toMatchObject({
      reason: "snooze_option",
    });
    expect(await act("ann", snooze)).toMatchObject({ kind: "done", task: { snoozes: 1, snoozedUntil: now + DAY } });
    await poll(now + DAY - 1);
    expect(texts()).toHaveLength(1);
    await poll(now + DAY);
    expect(texts().slice(1).sort()).toEqual([
      `U-ANN Due now: Call ${account.toUpperCase()}`,
      `U-ANN Snoozed until now: Call ${account.toUpperCase()}`,
    ]);
    expect((await current()).snoozedUntil).toBeNull();
    await act("ann", snooze);
    expect(await act("ann", snooze)).toMatchObject({ kind: "refused", reason: "snooze_limit" });
    await act("ann", { kind: "complete" });
  });

  test("an absence hands over what falls due in it, and back", async () => {
    const now = stage.clock.now();
    const open = async (key: string, days: number): Promise<string> => {
      const outcome = await stage.outcome(
        run,
        task(key, { due: { amount: days, unit: "d" }, remind: [], escalate: [] }),
        now,
      );
      return outcome.kind === "task_opened" ? outcome.task : "";
    };
    const [soon, late] = [await open("soon", 1), await open("late", 30)];
    const away = { id: `away-${number}`, userId: "ann", fromAt: now + HOUR, toAt: now + 5 * DAY, coverId: "bob" };
    const { upsertCustomers } = await import("../../src/operations/upsert-customers.js");
    await upsertCustomers(stage.ports, { absences: [away] }, { source: "test" });
    const holders = async () =>
      Promise.all(
        [soon, late].map(async (one) => {
          const found = await stage.store.read((tx) => stage.ports.tasks.read(tx, one));
          return [found?.assigneeId, found?.coveredForId];
        }),
      );
    await poll(now + HOUR);
    expect(await holders()).toEqual([
      ["bob", "ann"],
      ["ann", null],
    ]);
    expect(texts().at(-1)).toBe(`U-BOB open: Call ${account.toUpperCase()}`);
    id = soon;
    const fresh = await stage.outcome(run, task("fresh"), now + 2 * HOUR);
    expect(fresh).toMatchObject({ assignee: "bob" });
    await poll(now + 5 * DAY);
    expect(await holders()).toEqual([
      ["ann", null],
      ["ann", null],
    ]);
    if (fresh.kind === "task_opened") id = fresh.task;
    expect(await current()).toMatchObject({ assigneeId: "ann", coveredForId: null });
    expect((await current()).dueAt).toBe(fresh.kind === "task_opened" ? fresh.due : 0);
  });

  test("each working morning a list of what is overdue and due; once", async () => {
    // Next Monday, long after: the others' absences are over.
    const monday = Date.parse("2026-06-01T07:00:00+02:00");
    await poll(monday - DAY);
    const open = async (key: string, hours: number, at: number): Promise<void> => {
      await stage.outcome(
        run,
        task(key, { title: key, due: { amount: hours, unit: "h" }, remind: [], escalate: [] }),
        at,
      );
    };
    await open("old", 1, monday - DAY);
    stage.clock.moveTo(monday);
    await open("today", 5, monday);
    await open("later", 100, monday);
    expect(await armDigests(stage.ports, monday)).toBeGreaterThanOrEqual(3);
    expect(await armDigests(stage.ports, monday)).toBe(0);
    stage.slack.messages.length = 0;
    await poll(Date.parse("2026-06-01T08:30:00+02:00"));
    expect(texts().filter((text) => text.startsWith("U-ANN"))).toEqual(["U-ANN overdue old; today today; later 1"]);
    await poll(Date.parse("2026-06-01T12:00:00+02:00"));
    expect(texts().filter((text) => text.startsWith("U-ANN"))).toHaveLength(1);
    await poll(Date.parse("2026-06-02T08:30:00+02:00"));
    expect(
      texts()
        .filter((text) => text.startsWith("U-ANN"))
        .at(-1),
    ).toBe("U-ANN overdue old, today; today ; later 1");
  });
});

test("nothing went wrong behind the scenes", () => {
  expect(stage.faults).toEqual([]);
});
