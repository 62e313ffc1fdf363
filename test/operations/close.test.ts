import { afterEach, beforeEach, expect, test } from "vitest";
import { actOnTask } from "../../src/operations/tasks/act-on-task.js";
import { deskDue } from "../../src/operations/tasks/desk-due.js";
import { pollDue } from "../../src/operations/poll-due.js";
import { command, email, HOUR, openStage, type Stage, T0 } from "./support/stage.js";

const CLOSE = command("!close", { kind: "close", outcome: "left" });
const NUDGE = command("nudge", {
  kind: "slack",
  to: { kind: "channel", channel: "#cs" },
  text: "Look",
  actions: [],
  scope: {},
});

let stage: Stage;
const run = "run/onboarding/acme/1";
beforeEach(async () => {
  stage = await openStage();
  await stage.account("acme", {});
  await stage.contact("carla", "acme", { first_name: "Carla" });
  await stage.run({ id: run, accountId: "acme" });
});
afterEach(() => stage.close());

const delivery = async (effect: string) =>
  (await stage.store.read((tx) => stage.ports.ledger.ofEffect(tx, run, effect)))[0]?.status;
const told = async () =>
  (await stage.store.read((tx) => stage.store.runs.timeline(tx, run))).map(({ kind, step }) => [kind, step]);
const tasks = () => stage.store.read((tx) => stage.ports.tasks.list(tx, { runId: run }));
const status = async () => (await stage.store.read((tx) => stage.store.runs.get(tx, run)))?.status;

test("mail that the server did not take yet is taken back", async () => {
  stage.mailer.trouble({ kind: "refused" });
  expect((await stage.perform(run, [email("welcome")])).retry?.key).toBe("welcome");
  expect(await delivery("welcome")).toBe("retry");
  await stage.outcome(run, CLOSE);
  expect([await delivery("welcome"), stage.mailer.inbox.length, await status()]).toEqual(["withdrawn", 0, "ended"]);
});

test("mail that is on the wire ends the run only when it is known what came of it: it arrived", async () => {
  stage.mailer.trouble({ kind: "lost" });
  expect((await stage.perform(run, [email("welcome")])).retry?.key).toBe("welcome");
  await stage.outcome(run, CLOSE, T0 + HOUR);
  expect([await delivery("welcome"), await told()]).toEqual(["sent", [["email.sent", "welcome"]]]);
  // A timeline is in order: the line stands where it is said, and says when it was.
  expect(await stage.store.read((tx) => stage.store.runs.timeline(tx, run))).toMatchObject([
    { at: T0 + HOUR, detail: { sent_at: T0 } },
  ]);
});

test("it was lost on the way: it is not sent any more", async () => {
  stage.mailer.trouble({ kind: "gone" });
  await stage.perform(run, [email("welcome")]);
  await stage.outcome(run, CLOSE);
  expect([await delivery("welcome"), await told(), stage.mailer.inbox.length]).toEqual(["withdrawn", [], 0]);
});

test("nobody can tell: a person is asked, as always", async () => {
  stage.mailer.isAskable = false;
  stage.mailer.trouble({ kind: "gone" });
  await stage.perform(run, [email("welcome")]);
  await stage.outcome(run, CLOSE);
  expect([await delivery("welcome"), await told()]).toEqual(["held", [["email.unknown", "welcome"]]]);
  expect(await tasks()).toMatchObject([{ status: "open", outcomes: ["it_arrived", "send_again"] }]);
});

test("what Slack did not take yet is posted before the end", async () => {
  stage.slack.trouble({ kind: "limited", retryAfterMs: 150 });
  expect((await stage.perform(run, [NUDGE])).retry?.key).toBe("nudge");
  expect((await stage.perform(run, [CLOSE])).retry?.key).toBe("!close");
  await stage.outcome(run, CLOSE);
  expect([await delivery("nudge"), stage.slack.messages.length, await told()]).toEqual([
    "sent",
    1,
    [["slack.posted", "nudge"]],
  ]);
});

test.each(["leave", "close"] as const)("what a person has sent again is not taken back: %s", async (how) => {
  stage.mailer.isAskable = false;
  stage.mailer.trouble({ kind: "gone" });
  await stage.outcome(run, email("welcome"));
  const [task] = await tasks();
  const action = { kind: "complete", outcome: "send_again" } as const;
  await actOnTask(stage.ports, { task: task?.id ?? "", actor: { id: "ann" }, action });
  const leave = command("!leave", { kind: "leave", outcome: "left", openTasks: "keep", deferredEmail: "cancel" });
  await stage.outcome(run, how === "leave" ? leave : CLOSE, T0);
  const due = deskDue(stage.ports);
  await pollDue(stage.ports, due.handlers, 100);
  await due.finish();
  expect([await delivery("welcome"), stage.mailer.inbox.length]).toEqual(["sent", 1]);
});
