import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { createLogger } from "../../../src/entrances/logger.js";
import { Nudge, runPollLoop } from "../../../src/entrances/worker/poll-loop.js";
import { StoreUnavailable } from "../../../src/ports/transactions.js";

function loggerTo(lines: string[]) {
  return createLogger("info", "test", {
    write: (line: string) => {
      const { level, msg } = JSON.parse(line) as { level: number; msg: string };
      lines.push(`${level} ${msg}`);
    },
  });
}

test("it looks again at once while there is something, tells an outage once and its end once, and ends after the look under way", async () => {
  const lines: string[] = [];
  const stop = new AbortController();
  const answers: (number | Error)[] = [
    3,
    new StoreUnavailable("away (ECONNREFUSED)"),
    new StoreUnavailable("away"),
    0,
    5,
  ];
  let looks = 0;
  await runPollLoop(
    {
      name: "dispatcher",
      everyMs: 5,
      work: async () => {
        const answer = answers[looks++];
        if (looks === 5) {
          stop.abort();
          await sleep(20);
        }
        if (answer instanceof Error) throw answer;
        return answer ?? 0;
      },
    },
    stop.signal,
    loggerTo(lines),
  );
  expect(looks).toBe(5);
  expect(lines).toEqual([
    "40 dispatcher: away (ECONNREFUSED); trying again until it works",
    "30 dispatcher: works again",
  ]);
});

test("a fault of ours is told with its stack, and does not end the loop", async () => {
  const lines: string[] = [];
  const stop = new AbortController();
  let looks = 0;
  await runPollLoop(
    {
      name: "due items",
      everyMs: 1,
      work: async () => {
        looks += 1;
        if (looks === 1) throw new TypeError("oops");
        stop.abort();
        return 0;
      },
    },
    stop.signal,
    loggerTo(lines),
  );
  expect(lines).toEqual(["50 due items: failed; trying again until it works", "30 due items: works again"]);
});

test("behind a look that found something it leaves others the time to come, told or not; behind one that found nothing it comes at once", async () => {
  const stop = new AbortController();
  const nudge = new Nudge();
  const began: number[] = [];
  const answers = [1, 1, 0, 0];
  await runPollLoop(
    {
      name: "dispatcher",
      everyMs: 10_000,
      leastMs: 60,
      nudge,
      work: async () => {
        began.push(performance.now());
        if (began.length === 4) stop.abort();
        else setTimeout(() => nudge.now(), 5);
        return answers[began.length - 1] ?? 0;
      },
    },
    stop.signal,
    loggerTo([]),
  );
  const pauses = began.slice(1).map((at, i) => at - (began[i] as number));
  expect(pauses.map((ms) => ms > 55)).toEqual([true, true, false]);
});
