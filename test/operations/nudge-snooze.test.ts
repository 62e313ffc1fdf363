import { afterEach, beforeEach, expect, test } from "vitest";
import { clickNudge } from "../../src/operations/click-nudge.js";
import { pollDue } from "../../src/operations/poll-due.js";
import { deskDue } from "../../src/operations/tasks/desk-due.js";
import { command, DAY, HOUR, openStage, type Stage, T0 } from "./support/stage.js";

let stage: Stage;
let run: string;
let nudge: string;

// The clock doesn't go back: a stage for each.
afterEach(() => stage.close());
beforeEach(async () => {
  stage = await openStage();
  const account = "acme";
  run = `run/onboarding/${account}/k/1`;
  await stage.account(account, {});
  await stage.run({ id: run, accountId: account });
  const slack = {
    kind: "slack",
    to: { kind: "csm" },
    text: "Look at {{ account.name }}",
    actions: ["snooze", "ack"],
    scope: {},
  } as const;
  await stage.outcome(run, command("nudge", slack));
  nudge = (await stage.store.read((tx) => stage.ports.ledger.ofEffect(tx, run, "nudge")))[0]?.id ?? "";
});

const click = (action: string, by = "ann") => clickNudge(stage.ports, { deliveryId: nudge, action, by });
const posted = () => stage.slack.messages.map(({ channel, text }) => [channel, text]);

async function poll(at: number): Promise<void> {
  stage.clock.moveTo(at);
  const due = deskDue(stage.ports);
  await pollDue(stage.ports, due.handlers, 100);
  await due.finish();
}

const look = () => ["U-ANN", "Look at ACME"];

test("comes again after the first snooze of the policy, in working time, once, however often it is pressed", async () => {
  expect([await click("snooze"), await click("snooze"), await click("snooze", "max")]).toEqual([true, true, true]);
  await poll(T0 + DAY - HOUR);
  expect(posted()).toEqual([look()]);
  await Promise.all([poll(T0 + DAY), poll(T0 + DAY)]);
  expect(posted()).toEqual([look(), look()]);
  await click("snooze", "bob");
  await poll(T0 + 10 * DAY);
  expect(posted()).toEqual([look(), look()]);
  expect((await stage.eventsOf("slack.clicked")).filter(({ run_id }) => run_id === run)).toHaveLength(3);
});

test("not after the run has ended", async () => {
  await click("snooze");
  await stage.write((tx) => stage.store.runs.end(tx, run, "done", T0));
  await poll(T0 + DAY);
  expect(posted()).toEqual([look()]);
});

test("another button doesn't bring it again", async () => {
  await click("ack");
  await poll(T0 + DAY);
  expect(posted()).toEqual([look()]);
});
