import type { Command, Outcome } from "../../engine/command.js";
import { SYSTEM_EVENTS } from "../../engine/event.js";
import type { NewEvent } from "../../ports/events.js";
import type { TimelineEntry } from "../../engine/timeline.js";
import type { Tx } from "../../ports/transactions.js";
import { type Effect, Overtaken, type Scene } from "../scene.js";
import { releaseHolds } from "./hold.js";
import { AGAIN_MS, settleOpen } from "./settle-open.js";
import { withdrawMails } from "./withdraw.js";

/** The last of a run: nothing that it has begun to send is open any more, then it is ended. */
export async function performClose(
  scene: Scene,
  { outcome }: Extract<Command, { kind: "close" }>,
): Promise<Effect<Outcome>> {
  const afterMs = await settleOpen(scene);
  if (afterMs !== undefined) return { kind: "retry", afterMs };
  if (!(await endRun(scene, outcome))) return { kind: "retry", afterMs: AGAIN_MS };
  return { kind: "outcome", outcome: { kind: "done", at: scene.at } };
}

/**
 * Ends the run in the store: mail taken back, holds released, outcome written, and `run.ended` told to the run that played it and to whoever listens. Idempotent.
 * False, and it is not ended: mail of it has come to the wire. Throws `Overtaken` where the run has gone on without this stretch, or doesn't leave after all.
 */
export async function endRun(scene: Scene, outcome: string): Promise<boolean> {
  const { store, clock } = scene.ports;
  const { run, at, turns } = scene;
  return store.transaction(async (tx) => {
    const [, now] = await Promise.all([store.lockAccounts(tx, [run.accountId]), store.runs.get(tx, run.id)]);
    // Of a run that Temporal has run to its end nobody asks more.
    if (turns !== undefined && now !== undefined && now.status !== "ended") {
      if (now.turns > turns || now.status !== "exiting") throw new Overtaken(run.id);
      if ((await withdrawMails(scene, tx)).length > 0) return false;
    } else await withdrawMails(scene, tx);
    await releaseHolds(scene, tx);
    await sayUntold(scene, tx);
    await store.runs.end(tx, run.id, outcome, at);
    const ended: NewEvent = {
      id: `${SYSTEM_EVENTS.runEnded}/${run.id}`,
      name: SYSTEM_EVENTS.runEnded,
      at,
      accountId: run.accountId,
      ...(run.contactId !== undefined && { contactId: run.contactId }),
      payload: { run: run.id, playbook: run.playbook, outcome },
      source: "run",
    };
    const events = [ended];
    const parent = run.parent && (await store.runs.get(tx, run.parent.run));
    if (parent && parent.status !== "ended") {
      const { contactId: _, ...rest } = ended;
      events.push({
        ...rest,
        id: `${ended.id}/${parent.id}`,
        at: Math.max(at, parent.startedAt),
        accountId: parent.accountId,
        runId: parent.id,
      });
    }
    await store.events.append(tx, events, clock.now());
    return true;
  });
}

/**
 * Messages that went out and that the timeline doesn't have. A workflow task that was lost behind its `perform` is walked again, and an event
 * that has come meanwhile may lead the run elsewhere: what was sent stays sent, and is said here at the latest.
 */
async function sayUntold({ ports, run, at }: Scene, tx: Tx): Promise<void> {
  const { lastSeq, messages } = await ports.store.runs.untold(tx, run.id);
  if (messages.length === 0) return;
  const entries = messages.map((message, index): TimelineEntry => {
    const { channel, effectKey, step, locale, status, sentAt } = message;
    const isSure = status === "sent" || status === "resolved";
    const to = (channel === "email" ? message.contactId : message.recipient) ?? "";
    return {
      seq: lastSeq + index + 1,
      at: Math.max(at, sentAt ?? at),
      kind: channel === "slack" ? "slack.posted" : isSure ? "email.sent" : "email.unknown",
      step: step ?? effectKey,
      key: effectKey,
      detail: {
        to,
        ...(locale === null ? {} : { locale }),
        ...(sentAt === null || sentAt >= at ? {} : { sent_at: sentAt }),
        told: "at the end",
      },
    };
  });
  const { status, position } = run;
  await ports.store.runs.record(tx, run.id, { status, position, entries, confirm: [] });
}
