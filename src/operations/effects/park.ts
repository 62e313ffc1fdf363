import { assigneeFor, UNASSIGNED_QUEUE } from "../../customers/people.js";
import type { Command, Outcome } from "../../engine/command.js";
import { deliveryId } from "../delivery-id.js";
import { postNotice, putNotices, type SlackTarget } from "../outbox.js";
import { effectId, type Scene } from "../scene.js";
import { filledText } from "../text-variables.js";

/**
 * Marks the run as needing attention and tells its owner: the CSM (or their cover), else whoever of ours has the maintainer's address, else the
 * channel for alarms. The message goes through the outbox, so a Slack that is down delays nothing.
 */
export async function performPark(scene: Scene, command: Extract<Command, { kind: "park" }>): Promise<Outcome> {
  const { ports, run, plan, at } = scene;
  const { store, people, composer, ledger } = ports;
  const account = await scene.account();
  const policy = await scene.policy();
  const owner = assigneeFor({ kind: "csm" }, account, await scene.directory(), scene.now());
  const failed = command.key.replace(/^!park:/, "");
  const key = `${effectId(scene, command)}|slack`;
  const said = { "park.playbook": plan.title, "park.step": failed, "park.reason": command.reason };
  const body = composer.nudge({
    deliveryId: deliveryId(key),
    // Filled in as a step's text is: what customers are called is text, never markup.
    text: await filledText(scene, NEEDS_ATTENTION, said, "mrkdwn"),
    actions: ["open_account"],
    account: { id: account.id, name: account.name },
    playbook: run.playbook,
    playbookTitle: plan.title,
    run: run.id,
    step: failed,
  });
  await store.transaction(async (tx) => {
    await store.lockAccounts(tx, [run.accountId]);
    let to: SlackTarget = { channel: policy.slack.alertsChannel };
    if (owner.kind === "person") to = { person: owner.person };
    else if (owner.queue === UNASSIGNED_QUEUE) {
      const maintainer = await people.colleagueBy(tx, { email: plan.maintainer });
      if (maintainer) to = { person: maintainer };
    }
    await store.runs.park(tx, run.id, { key: failed, reason: command.reason, at });
    await putNotices(ports, tx, [{ key, to, body, accountId: account.id, at }]);
  });
  const row = await store.read((tx) => ledger.read(tx, key));
  try {
    if (row?.status === "pending") await postNotice(ports, row, scene.leftMs());
  } catch (error) {
    ports.onFault?.(`run ${run.id}: its owner could not be told yet`, error);
  }
  return { kind: "done", at };
}

const NEEDS_ATTENTION =
  'The run of "{{ park.playbook }}" for {{ account.name }} needs attention at {{ park.step }}: {{ park.reason }}';
