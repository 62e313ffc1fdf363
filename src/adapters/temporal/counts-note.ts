import { type Client, ScheduleNotFoundError } from "@temporalio/client";
import { type Counts, type CountsNote, highest } from "../../ports/put-backs.js";
import { asTemporalFault } from "./temporal-faults.js";

/** Keeps the counts in the note of the sweep's Schedule: the one thing in Temporal that every installation has and that outlives all processes. */
export function scheduleNote(client: Client, scheduleId: string, timeoutMs: number): CountsNote {
  const handle = client.schedule.getHandle(scheduleId);
  const bounded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await client.withDeadline(Date.now() + timeoutMs, work);
    } catch (error) {
      throw error instanceof ScheduleNotFoundError ? error : asTemporalFault(error);
    }
  };
  return {
    async read() {
      try {
        return countsIn((await bounded(() => handle.describe())).state.note);
      } catch (error) {
        // Nobody has made it yet.
        if (error instanceof ScheduleNotFoundError) return undefined;
        throw error;
      }
    },
    async write(counts) {
      try {
        await bounded(() =>
          handle.update((before) => ({
            ...before,
            state: { ...before.state, note: noteOf(highest(counts, countsIn(before.state.note) ?? counts)) },
          })),
        );
        return true;
      } catch (error) {
        if (error instanceof ScheduleNotFoundError) return false;
        throw error;
      }
    },
  };
}

function noteOf({ claims, events }: Counts): string {
  return `the database has counted ${claims} messages and ${events} events`;
}

function countsIn(note: string | undefined): Counts | undefined {
  const [, claims, events] = /counted (\d+) messages and (\d+) events/.exec(note ?? "") ?? [];
  return claims === undefined || events === undefined ? undefined : { claims: Number(claims), events: Number(events) };
}
