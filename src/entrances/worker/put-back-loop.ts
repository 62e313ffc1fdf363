import { lookAtStart, lookForPutBack } from "../../operations/put-back.js";
import type { Wired } from "../wire.js";
import type { PollLoop } from "./poll-loop.js";

const EVERY_MS = 1_000;

/** Looks whether the database was put back to an older copy; where what Temporal has noted isn't known yet, for that first. A server has it, too. */
export function putBackLoop(wired: Wired): PollLoop {
  const { seen, countsNote } = wired;
  return {
    name: "put back",
    everyMs: EVERY_MS,
    work: async () => {
      await (seen.isReady ? lookForPutBack(wired, seen) : lookAtStart(wired, seen, countsNote));
      return 0;
    },
  };
}
