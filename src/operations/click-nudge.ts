import { SYSTEM_EVENTS } from "../engine/event.js";
import type { DueItem } from "../ports/due.js";
import type { DeliveryRow } from "../ports/ledger.js";
import type { Tx } from "../ports/transactions.js";
import { addDuration } from "../values/add-duration.js";
import { putNotices } from "./outbox.js";
import type { DeskPorts } from "./perform-ports.js";
import { readPolicy } from "./scene.js";
import { workingTimeOf } from "./tasks/working-time.js";

export interface NudgeClicked {
  readonly deliveryId: string;
  readonly action: string;
  /** The colleague who pressed. */
  readonly by: string;
}

/**
 * Tells the run of a nudge that its button was pressed (`slack.clicked`); false if no run posted it. The same button pressed again by
 * the same person tells nothing new. `snooze` also brings the nudge again, once, after the first of the policy's snooze options in the
 * working time of who pressed. `alongside` (the audit) happens in the same transaction, where the press was new.
 */
export async function clickNudge(
  ports: Pick<DeskPorts, "store" | "ledger" | "clock" | "people">,
  click: NudgeClicked,
  alongside: (tx: Tx, run: string) => Promise<void> = async () => {},
): Promise<boolean> {
  const { store, ledger, clock } = ports;
  const row = await store.read((tx) => ledger.readById(tx, click.deliveryId));
  if (!row?.runId || !row.accountId || row.channel !== "slack") return false;
  const { runId, accountId } = row;
  await store.transaction(async (tx) => {
    await store.lockAccounts(tx, [accountId]);
    if (click.action === "snooze") await snooze(ports, tx, row, accountId, click.by);
    const added = await store.events.append(
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
    if (added.size > 0) await alongside(tx, runId);
  });
  return true;
}

/** Arms the nudge's return, unless it was snoozed before: a second click, or one of a colleague, moves nothing. */
async function snooze(
  ports: Pick<DeskPorts, "store" | "clock" | "people">,
  tx: Tx,
  row: DeliveryRow,
  accountId: string,
  by: string,
): Promise<void> {
  const id = `nudge|${row.key}|snooze`;
  if ((await ports.store.due.withPrefix(tx, id, [accountId])).length > 0) return;
  const [span = { amount: 1, unit: "bd" }] = (await readPolicy(ports, tx)).tasks.snooze.options;
  const directory = await ports.people.directory(tx);
  const { zone, calendar } = await workingTimeOf(ports, tx, { assigneeId: by, accountId }, directory);
  const at = addDuration(ports.clock.now(), span, zone, calendar);
  await ports.store.due.arm(tx, [{ id, kind: "nudge_snooze", at, accountId, payload: { key: row.key } }]);
}

/** Handler of the due item `nudge_snooze`: the nudge goes into the outbox once more, to where it was, unless its run has ended. Its buttons are the first one's. */
export async function postSnoozed(ports: Pick<DeskPorts, "store" | "ledger">, tx: Tx, item: DueItem): Promise<"done"> {
  const row = await ports.ledger.read(tx, String(item.payload.key));
  const run = row?.runId ? await ports.store.runs.get(tx, row.runId) : undefined;
  if (!row?.raw || !run || run.status === "ended" || run.status === "exiting") return "done";
  const recipient = row.recipient ?? "";
  const to = recipient.startsWith("user:")
    ? { person: { id: recipient.slice("user:".length) } }
    : { channel: recipient };
  const body = JSON.parse(row.raw);
  await putNotices(ports, tx, [{ key: `${row.key}|snoozed`, to, body, accountId: row.accountId, at: item.at }]);
  return "done";
}
