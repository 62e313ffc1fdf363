import { afterEach, beforeEach, expect, test } from "vitest";
import { actOnTask } from "../../src/operations/tasks/act-on-task.js";
import { deskDue } from "../../src/operations/tasks/desk-due.js";
import { pollDue } from "../../src/operations/poll-due.js";
import type { PerformPorts } from "../../src/operations/perform-ports.js";
import { command, DAY, email, HOUR, openStage, performOn, type Stage, T0 } from "./support/stage.js";

const CLOSE = command("!close", { kind: "close", outcome: "left" });
const NUDGE = command("nudge", {
  kind: "slack",
  to: { kind: "channel", channel: "#cs" },
  text: "Look",
  actions: [],
  scope: {},
});

const WITHDRAW = command("withdraw", { kind: "email_withdraw", email: "welcome", reason: "withdrawn" });
const LEAVE = command("!leave", { kind: "leave", outcome: "left", openTasks: "cancel", deferredEmail: "cancel" });

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

test.each(["leave", "close", "withdraw"] as const)(
  "what a person has sent again is not taken back: %s",
  async (how) => {
    stage.mailer.isAskable = false;
    stage.mailer.trouble({ kind: "gone" });
    await stage.outcome(run, email("welcome"));
    const [task] = await tasks();
    const action = { kind: "complete", outcome: "send_again" } as const;
    await actOnTask(stage.ports, { task: task?.id ?? "", actor: { id: "ann" }, action });
    await stage.outcome(run, { leave: LEAVE, close: CLOSE, withdraw: WITHDRAW }[how], T0);
    const due = deskDue(stage.ports);
    await pollDue(stage.ports, due.handlers, 100);
    await due.finish();
    expect([await delivery("welcome"), stage.mailer.inbox.length]).toEqual(["sent", 1]);
  },
);

/** What happens once the close has looked what is open. */
function ifMeanwhile(happens: () => Promise<unknown>): PerformPorts {
  const { ledger } = stage.ports;
  let looks = 0;
  const openOf: typeof ledger.openOf = async (...which) => {
    const found = await ledger.openOf(...which);
    looks += 1;
    if (looks === 1) await happens();
    return found;
  };
  return { ...stage.ports, ledger: Object.create(ledger, { openOf: { value: openOf } }) as typeof ledger };
}

test("a run that has gone on elsewhere meanwhile is not ended", async () => {
  const goesOn = () => stage.database.client`update runs set turns = turns + 1, status = 'running' where id = ${run}`;
  await expect(performOn(ifMeanwhile(goesOn), run, [CLOSE])).rejects.toThrow("has walked on without this call");
  expect(await status()).toBe("running");
});

test("a run that does not leave after all, as another call of the same stretch has found, is not ended", async () => {
  const stays = () => stage.database.client`update runs set status = 'running' where id = ${run}`;
  await expect(performOn(ifMeanwhile(stays), run, [CLOSE], { status: "exiting" })).rejects.toThrow("without this call");
  expect(await status()).toBe("running");
});

test("mail that has come to the wire since the close has looked is waited for", async () => {
  stage.mailer.trouble({ kind: "refused" });
  await stage.perform(run, [email("welcome")]);
  const goesOut = () => stage.database.client`
    update deliveries set status = 'wire', token = 'other', wire_until = clock_timestamp() + interval '300 ms',
      message_id = 'never-arrives', raw = '{"message":{},"address":"x"}' where run_id = ${run}`;
  expect((await performOn(ifMeanwhile(goesOut), run, [CLOSE])).retry?.key).toBe("!close");
  expect([await status(), await delivery("welcome")]).toEqual(["exiting", "wire"]);
  await stage.outcome(run, CLOSE);
  expect([await status(), await delivery("welcome")]).toEqual(["ended", "withdrawn"]);
});

test("mail on the wire whose branch is withdrawn is followed to what came of it, not only when the run ends", async () => {
  stage.mailer.trouble({ kind: "gone" });
  await stage.perform(run, [email("welcome")]);
  const hurried = { ...stage.ports, settings: { ...stage.ports.settings, budgetMs: 50 } };
  expect((await performOn(hurried, run, [WITHDRAW])).retry?.key).toBe("withdraw");
  await stage.outcome(run, WITHDRAW);
  expect([await delivery("welcome"), await status(), await tasks()]).toEqual(["withdrawn", "running", []]);
});

test("if nobody can tell, a person is asked then", async () => {
  stage.mailer.isAskable = false;
  stage.mailer.trouble({ kind: "gone" });
  await stage.perform(run, [email("welcome")]);
  await stage.outcome(run, WITHDRAW);
  expect([await delivery("welcome"), await status()]).toEqual(["held", "running"]);
  expect(await tasks()).toMatchObject([{ status: "open", outcomes: ["it_arrived", "send_again"] }]);
});

test("the task about a mail of unknown fate outlives the run", async () => {
  stage.mailer.isAskable = false;
  stage.mailer.trouble({ kind: "gone" });
  await stage.outcome(run, email("welcome"));
  await stage.outcome(run, LEAVE);
  await stage.outcome(run, CLOSE);
  expect([await delivery("welcome"), await status()]).toEqual(["held", "ended"]);
  expect(await tasks()).toMatchObject([{ status: "open" }]);
});

test("a nudge that was given up long ago, with its branch, is not posted when the run ends", async () => {
  stage.slack.trouble({ kind: "limited", retryAfterMs: 10 });
  await stage.perform(run, [NUDGE]);
  await stage.database
    .client`update deliveries set not_before = not_before - interval '25 hours' where run_id = ${run}`;
  await stage.outcome(run, CLOSE, T0 + 30 * DAY);
  expect([await delivery("nudge"), stage.slack.messages.length, await status()]).toEqual(["withdrawn", 0, "ended"]);
});
