import { randomUUID } from "node:crypto";
import type { Policy } from "../engine/policy.js";
import type { Holds } from "../ports/holds.js";
import type { Ledger } from "../ports/ledger.js";
import { type Counts, type CountsNote, highest, type PutBacks, type SeenCounts } from "../ports/put-backs.js";
import type { Ports } from "../ports/store.js";
import { formatInstant } from "../values/instant.js";
import { ALL_SENDS } from "./kill-switches.js";
import { putNotices } from "./outbox.js";

export interface PutBackPorts extends Ports {
  readonly putBacks: PutBacks;
  readonly holds: Holds;
  readonly ledger: Ledger;
  /** Told once, when it is noticed. */
  readonly onPutBack?: (reason: string) => void;
}

/** Who turns the switch on. */
const NOTICED_BY = "waypost";

/** Real milliseconds: what was taken in so shortly before it was noticed may be from after. */
const JUST_NOW_MS = 5_000;

/** No account's: who notices takes this lock. */
const LOCK = " put back";

/**
 * The database was found to be an older copy of itself: from now on nothing is sent, and the channel for alarms is told, until a person has
 * looked and releases it. Idempotent while it is held; false then.
 *
 * @param shownBy what showed it, in a sentence
 */
export async function noticePutBack(ports: PutBackPorts, shownBy: string): Promise<boolean> {
  const { store, putBacks, holds, clock } = ports;
  const reason = await store.transaction(async (tx) => {
    await store.lockAccounts(tx, [LOCK]);
    if ((await putBacks.latest(tx))?.isHeld === true) return undefined;
    const noticedAt = clock.now();
    const knownUntil = (await putBacks.lastReceived(tx, noticedAt - JUST_NOW_MS * clock.scale)) ?? null;
    const since =
      knownUntil === null
        ? "it knows nothing from before (new and empty on purpose? Then give it a Temporal namespace of its own)"
        : `it knows nothing since ${formatInstant(knownUntil)}`;
    const why = `the database was put back to an older copy: ${since}; ${shownBy}`;
    const putBack = { id: randomUUID(), noticedAt, knownUntil, shownBy };
    await putBacks.add(tx, putBack);
    await holds.turnOff(tx, ALL_SENDS);
    await holds.turnOn(tx, { name: ALL_SENDS, by: NOTICED_BY, reason: why, at: noticedAt });
    const policy = await store.playbooks.configuration<Policy>(tx, "policy");
    const channel = policy?.slack.alertsChannel;
    if (channel !== undefined) {
      const text = `Nothing is sent any more, by e-mail or Slack: ${why}. Compare with the mail server's log what went out since then, import what is missing, then \`waypost release --all-sends\`.`;
      const body = { text, blocks: [{ type: "section", text: { type: "mrkdwn", text } }] };
      await putNotices(ports, tx, [
        { key: `put_back/${putBack.id}`, to: { channel }, body, accountId: null, at: noticedAt },
      ]);
    }
    return why;
  });
  if (reason !== undefined) ports.onPutBack?.(reason);
  return reason !== undefined;
}

/**
 * One look at what the store has counted: where that is less than this process, or the note, knows of, it is noticed. True: it was. Also what
 * this process goes by from then on is the store's; throws `StoreUnavailable`.
 */
export async function lookForPutBack(ports: PutBackPorts, seen: SeenCounts): Promise<boolean> {
  const { store, putBacks } = ports;
  const before = seen.sure;
  const found = await store.read((tx) => putBacks.counts(tx));
  if (!seen.looked(found, before, performance.now())) return false;
  await noticePutBack(ports, saidBy(found, before));
  // Behind the hold: from here on nobody would notice.
  await store.read((tx) => putBacks.raise(tx, before));
  return true;
}

/** At a process's start, before it does anything: what it knows from before is what Temporal has noted. Throws where Postgres or Temporal is away. */
export async function lookAtStart(ports: PutBackPorts, seen: SeenCounts, note: CountsNote): Promise<boolean> {
  const noted = await note.read();
  if (noted !== undefined) seen.remember(noted);
  const isPutBack = await lookForPutBack(ports, seen);
  seen.ready();
  return isPutBack;
}

/** Notes what this process knows, if that is more than was noted last; what is noted now. */
export async function noteCounts(
  seen: SeenCounts,
  note: CountsNote,
  last: Counts | undefined,
): Promise<Counts | undefined> {
  const counts = highest(seen.sure, last ?? { claims: 0, events: 0 });
  if (last !== undefined && counts.claims === last.claims && counts.events === last.events) return last;
  return (await note.write(counts)) ? counts : last;
}

function saidBy(found: Counts, before: Counts): string {
  const parts = [
    ...(found.claims < before.claims ? [`${found.claims} messages where there were ${before.claims}`] : []),
    ...(found.events < before.events ? [`${found.events} events where there were ${before.events}`] : []),
  ];
  return `it counts ${parts.join(", and ")}`;
}
