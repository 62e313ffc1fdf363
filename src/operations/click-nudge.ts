import { SYSTEM_EVENTS } from "../engine/event.js";
import type { Ports } from "../ports/store.js";
import type { Ledger } from "../ports/ledger.js";

export interface NudgeClicked {
  readonly deliveryId: string;
  readonly action: string;
  /** The colleague who pressed. */
  readonly by: string;
}

/**
 * Tells the run of a nudge that its button was pressed (`slack.clicked`); false if no run posted it. The same button pressed again by
 * the same person tells nothing new.
 */
export async function clickNudge(ports: Ports & { readonly ledger: Ledger }, click: NudgeClicked): Promise<boolean> {
  const { store, ledger, clock } = ports;
  const row = await store.read((tx) => ledger.readById(tx, click.deliveryId));
  if (!row?.runId || !row.accountId || row.channel !== "slack") return false;
  const { runId, accountId } = row;
  await store.transaction(async (tx) => {
    await store.lockAccounts(tx, [accountId]);
    await store.events.append(
      tx,
      [
        {
          id: `${row.id}|clicked|${click.action}|${click.by}`,
          name: SYSTEM_EVENTS.slackClicked,
          at: clock.now(),
          accountId,
          runId,
          payload: {
            delivery: row.id,
            run: runId,
            key: row.effectKey,
            step: row.step ?? "",
            action: click.action,
            by: click.by,
          },
          source: "slack",
        },
      ],
      clock.now(),
    );
  });
  return true;
}
