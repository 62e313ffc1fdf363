import { afterEach, beforeEach, expect, test } from "vitest";
import { pollDue } from "../../src/operations/poll-due.js";
import { actOnTask } from "../../src/operations/tasks/act-on-task.js";
import { deskDue } from "../../src/operations/tasks/desk-due.js";
import type { Task } from "../../src/ports/tasks.js";
import { DAY, email, openStage, type Stage, T0 } from "./support/stage.js";

let stage: Stage;
let account: string;
let run: string;
let champion: string;

// The clock doesn't go back: a stage for each.
afterEach(() => stage.close());
beforeEach(async () => {
  stage = await openStage();
  account = "acme";
  champion = "carla";
  run = `run/onboarding/${account}/k/1`;
  stage.mailer.isAskable = false;
  await stage.account(account, {});
  await stage.contact(champion, account, { first_name: "Carla" });
  await stage.run({ id: run, accountId: account });
  stage.mailer.trouble({ kind: "gone" });
  expect(await stage.outcome(run, email("a"))).toMatchObject({ deliveries: [{ result: "unknown" }] });
});

const tasks = (): Promise<Task[]> => stage.store.read((tx) => stage.ports.tasks.list(tx, { runId: run }));
const delivery = async (): Promise<string | undefined> =>
  (await stage.store.read((tx) => stage.ports.ledger.ofEffect(tx, run, "a")))[0]?.status;

async function answer(outcome: string): Promise<void> {
  const open = (await tasks()).find(({ status }) => status === "open");
  const request = { task: open?.id ?? "", actor: { id: "ann" }, action: { kind: "complete", outcome } } as const;
  expect(await actOnTask(stage.ports, request)).toMatchObject({ kind: "done" });
}

async function poll(): Promise<void> {
  const due = deskDue(stage.ports);
  await pollDue(stage.ports, due.handlers, 100);
  await due.finish();
}

test("a person is asked, and must answer with one of two", async () => {
  expect(await delivery()).toBe("held");
  const [task] = await tasks();
  expect(task).toMatchObject({ ask: "outcome", outcomes: ["it_arrived", "send_again"], assigneeId: "ann" });
  const request = { task: task?.id ?? "", actor: { id: "ann" }, action: { kind: "complete" } } as const;
  expect(await actOnTask(stage.ports, request)).toMatchObject({ kind: "refused", reason: "outcome_needed" });
});

test("it arrived: the delivery is settled, and nothing is sent", async () => {
  await answer("it_arrived");
  await poll();
  expect([await delivery(), stage.mailer.inbox.length]).toEqual(["resolved", 0]);
});

test("send again: the same message once more, once, although its run has ended", async () => {
  await stage.write((tx) => stage.store.runs.end(tx, run, "done", T0));
  await answer("send_again");
  expect(await delivery()).toBe("retry");
  await Promise.all([poll(), poll()]);
  await poll();
  stage.clock.moveTo(T0 + DAY);
  await poll();
  expect(await delivery()).toBe("sent");
  expect(stage.mailer.inbox.map(({ envelope }) => envelope.to)).toEqual([`${champion}@${account}.example`]);
});

test("send again: not to who has unsubscribed meanwhile", async () => {
  const suppression = { category: "*", reason: "unsubscribed", at: T0 } as const;
  await stage.write((tx) => stage.ports.suppressions.add(tx, `${champion}@${account}.example`, suppression));
  await answer("send_again");
  await poll();
  expect([await delivery(), stage.mailer.inbox.length]).toEqual(["skipped", 0]);
});

test("send again, and silence again: asked again", async () => {
  await answer("send_again");
  stage.mailer.trouble({ kind: "gone" });
  for (let i = 0; i < 3; i++) {
    await poll();
    stage.clock.moveTo(stage.clock.now() + 120_000);
  }
  expect(await delivery()).toBe("held");
  expect((await tasks()).map(({ status }) => status).sort()).toEqual(["done", "open"]);
  await answer("send_again");
  await poll();
  expect([await delivery(), stage.mailer.inbox.length]).toEqual(["sent", 1]);
});

test("skipped, nothing is settled", async () => {
  const [task] = await tasks();
  const action = { kind: "skip", reason: "not now" } as const;
  await actOnTask(stage.ports, { task: task?.id ?? "", actor: { id: "ann" }, action });
  await poll();
  expect([await delivery(), stage.mailer.inbox.length]).toEqual(["held", 0]);
});
