import { assigneeFor } from "../../customers/people.js";
import type { Command, Outcome } from "../../engine/command.js";
import type { PersonRule } from "../../engine/plan.js";
import { type SlackBody, TextFault } from "../../ports/composer.js";
import type { DeliveryRow } from "../../ports/ledger.js";
import { isFinal, type Standing } from "../deliver.js";
import { deliveryId } from "../delivery-id.js";
import { postSlack, recipientOf, type SlackTarget } from "../outbox.js";
import { type Effect, effectId, inClaim, type Scene } from "../scene.js";
import { randomUUID } from "node:crypto";
import { filledText } from "../text-variables.js";

type SlackCommand = Extract<Command, { kind: "slack" }>;

/**
 * Posts the nudge, once. Who has no Slack user, and a channel that is gone, are replaced once: by the CSM's direct message, else by the channel of
 * what is unassigned. Only when that fails too is the outcome `failed`.
 */
export async function performSlack(scene: Scene, command: SlackCommand): Promise<Effect<Outcome>> {
  const policy = await scene.policy();
  const first = await targetOf(scene, command.to, policy.slack.unassignedChannel);
  const csm = await targetOf(scene, { kind: "csm" }, policy.slack.unassignedChannel);
  const targets = [first, csm, { channel: policy.slack.unassignedChannel }].filter(
    (target, index, all) => all.findIndex((other) => recipientOf(other) === recipientOf(target)) === index,
  );
  let reason = "no Slack user";
  for (const [index, target] of targets.entries()) {
    const posted = await postTo(scene, command, target, index);
    if (posted.kind !== "outcome") return posted;
    if (posted.outcome.kind !== "failed") return posted;
    reason = posted.outcome.reason;
    if (!posted.maySwitch) return posted;
  }
  return { kind: "outcome", outcome: { kind: "failed", at: scene.now(), reason: `Slack: ${reason}` } };
}

async function targetOf(scene: Scene, rule: PersonRule, unassigned: string): Promise<SlackTarget> {
  if (rule.kind === "channel") return { channel: rule.channel };
  const found = assigneeFor(rule, await scene.account(), await scene.directory(), scene.now());
  return found.kind === "person" ? { person: found.person } : { channel: unassigned };
}

/** Rounds in which a row may change hands before it is left for later. */
const ROUNDS_MAX = 3;

async function postTo(
  scene: Scene,
  command: SlackCommand,
  target: SlackTarget,
  index: number,
): Promise<Effect<Outcome> & { maySwitch?: boolean }> {
  const { ports } = scene;
  const { ledger, store } = ports;
  // The first place is the message's own; the others are its substitutes, so that a retry finds each in its state.
  const key = `${effectId(scene, command)}|${index === 0 ? "first" : recipientOf(target)}|slack`;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    let row: DeliveryRow | undefined = await store.read((tx) => ledger.read(tx, key));
    if (row?.status !== "wire" && !(row && isFinal(row))) {
      let raw: string;
      try {
        raw = row?.raw ?? JSON.stringify(await nudge(scene, command, deliveryId(key)));
      } catch (error) {
        if (!(error instanceof TextFault)) throw error;
        const outcome: Outcome = { kind: "failed", at: scene.now(), reason: error.message };
        return { kind: "outcome", outcome, maySwitch: false };
      }
      const claimed = await inClaim(
        scene,
        async (tx) => (await ledger.pin(tx, [{ ...newRow(scene, command, target, key), raw }]))[0],
      );
      if (claimed.kind === "events") return claimed;
      row = claimed.value;
    }
    if (!row) throw new Error(`delivery ${key} is not in the ledger`);
    const body = JSON.parse(row.raw ?? "null") as SlackBody;
    const standing: Standing = await postSlack(ports, row, body, scene.leftMs(), async () => randomUUID());
    if (standing.kind === "later") return { kind: "retry", afterMs: standing.afterMs };
    if (standing.kind === "free") continue;
    const { status, reason, recipient } = standing.row;
    if (status === "rejected" || status === "skipped" || status === "withdrawn") {
      return {
        kind: "outcome",
        outcome: { kind: "failed", at: scene.now(), reason: reason ?? status },
        maySwitch: status === "rejected",
      };
    }
    return { kind: "outcome", outcome: { kind: "posted", at: scene.at, to: (recipient ?? "").replace(/^user:/, "") } };
  }
  return { kind: "retry", afterMs: ports.settings.backoffMs(1) };
}

function newRow(scene: Scene, command: SlackCommand, target: SlackTarget, key: string) {
  return {
    key,
    id: deliveryId(key),
    channel: "slack" as const,
    runId: scene.run.id,
    effectKey: command.key,
    step: command.step ?? null,
    accountId: scene.run.accountId,
    contactId: null,
    recipient: recipientOf(target),
    category: null,
    template: null,
    templateHash: null,
    locale: null,
    priority: scene.plan.priority,
    dueAt: scene.at,
    createdAt: scene.at,
  };
}

async function nudge(scene: Scene, command: SlackCommand, id: string): Promise<SlackBody> {
  const { composer } = scene.ports;
  const account = await scene.account();
  return composer.nudge({
    deliveryId: id,
    text: await filledText(scene, command.text, command.scope, "mrkdwn"),
    actions: command.actions,
    account: { id: account.id, name: account.name },
    playbook: scene.run.playbook,
    playbookTitle: scene.plan.title,
    run: scene.run.id,
    step: command.step ?? command.path,
  });
}
