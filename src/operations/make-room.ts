import { INTERNAL_EVENTS } from "../ports/events.js";
import type { RunRow } from "../ports/runs.js";
import type { Ports } from "../ports/store.js";
import type { BegunRun } from "../ports/workflows.js";

/**
 * Since it was put back to an older copy the store has given a run an id that a run which it has forgotten has already. The forgotten one gets the
 * row: it is the same enrolment told again, or it lives, and a key has one live run; what it has walked it brings along itself (`restoreRun`). Only where
 * it has ended, and something else brought ours about, does ours begin, under the next number. Idempotent.
 *
 * @returns the forgotten run, if it lives
 */
export async function makeRoom({ store, clock }: Ports, run: RunRow, begun: BegunRun): Promise<RunRow | undefined> {
  const { enrolledBy: cause, contractId: _, parent: __, ...rest } = run;
  const theirs: RunRow = { ...rest, ...begun.row, hash: begun.hash, startedAt: begun.startedAt, status: "running" };
  const { outcome } = begun;
  // A run that was begun by an older build has not kept what brought it about: to begin it twice would be worse.
  const isSame = begun.row.enrolledBy === undefined || begun.row.enrolledBy === cause;
  await store.transaction(async (tx) => {
    await store.lockAccounts(tx, [run.accountId]);
    await store.runs.restore(tx, theirs);
    if (outcome === undefined) return;
    const now = clock.now();
    await store.runs.end(tx, run.id, outcome, now);
    if (isSame) return;
    const ordinal = run.ordinal + 1;
    const id = run.id.replace(/\d+$/, String(ordinal));
    await store.runs.insert(tx, { ...run, id, ordinal, status: "starting", turns: 0 });
    await store.events.append(
      tx,
      [
        {
          id: `${INTERNAL_EVENTS.enrolled}/${id}`,
          name: INTERNAL_EVENTS.enrolled,
          at: run.startedAt,
          accountId: run.accountId,
          runId: id,
          payload: { holds: (await store.runs.holds(tx, run.accountId, run.playbook)).map(({ name }) => name) },
          source: "trigger",
        },
      ],
      now,
    );
  });
  return outcome === undefined ? theirs : undefined;
}
