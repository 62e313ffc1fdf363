import { fileURLToPath } from "node:url";
import { type InjectedSinks, Worker } from "@temporalio/worker";
import { expect, test } from "vitest";
import { gzipCodec } from "../../src/adapters/temporal/gzip-codec.js";
import { bodiesOf } from "../../src/engine/plan-index.js";
import type { Plan, Step } from "../../src/engine/plan.js";
import type { RunStart } from "../../src/ports/workflows.js";
import { type Edit, editedBundle } from "./edited-bundle.js";
import { type RecordedHistory, recordedHistories } from "./history-files.js";
import { STEP_KINDS } from "./stories.js";
import type { TimersTold } from "./timers-told.js";

const DRIVER = "workflows/run-playbook.ts";
const HISTORIES = recordedHistories();

const TIMERS_TOLD = fileURLToPath(new URL("./timers-told.ts", import.meta.url));

/** Files of the histories that a build can't follow: Temporal says so, or a timer is of another length, which it doesn't look at. */
async function notFollowed(
  edits: Readonly<Record<string, readonly Edit[]>>,
  histories: readonly RecordedHistory[],
): Promise<string[]> {
  const timers = new Map<string, number[]>(histories.map(({ file }) => [file, []]));
  const sinks: InjectedSinks<TimersTold> = {
    timers: {
      started: {
        fn: (_info, file, ms) => void timers.get(file)?.push(ms),
        callDuringReplay: true,
      },
    },
  };
  const replays = Worker.runReplayHistories(
    {
      workflowBundle: await editedBundle(edits, [TIMERS_TOLD]),
      interceptors: { workflowModules: [TIMERS_TOLD] },
      sinks,
      dataConverter: { payloadCodecs: [gzipCodec] },
      reuseV8Context: true,
    },
    // The workflow id is what the test names it by.
    histories.map(({ file, history }) => ({ workflowId: file, history })),
  );
  const failed: string[] = [];
  for await (const { workflowId, error } of replays) if (error !== undefined) failed.push(workflowId);
  const moved = histories.filter(({ file, history }) => {
    const told = timers.get(file) ?? [];
    return timersOf(history).some((ms, i) => ms !== told[i]);
  });
  return [...new Set([...failed, ...moved.map(({ file }) => file)])].sort();
}

/** How long a history's timers are, in order, in milliseconds. */
function timersOf(history: RecordedHistory["history"]): number[] {
  return (history.events ?? []).flatMap(({ timerStartedEventAttributes: timer }) =>
    timer?.startToFireTimeout == null
      ? []
      : [Number(timer.startToFireTimeout.seconds ?? 0) * 1_000 + (timer.startToFireTimeout.nanos ?? 0) / 1e6],
  );
}

test("the code at hand follows every recorded history", { timeout: 120_000 }, async () => {
  const began = Date.now();
  const failed = await notFollowed({}, HISTORIES);
  const events = HISTORIES.reduce((sum, { history }) => sum + (history.events?.length ?? 0), 0);
  console.log(
    `replay: ${HISTORIES.length} histories, ${events} events, ${failed.length} bad, ${Math.round((Date.now() - began) / 100) / 10} s`,
  );
  expect(HISTORIES.length).toBeGreaterThan(25);
  expect(failed).toEqual([]);
});

test("a tampered history is found out", { timeout: 120_000 }, async () => {
  const tampered = HISTORIES.map(({ file, history }) => {
    // One stretch less, as if it had never been walked.
    const events = history.events ?? [];
    const at = events.findIndex(({ markerRecordedEventAttributes }) => markerRecordedEventAttributes != null);
    const left = events.filter((_, i) => i !== at);
    return {
      file,
      history: { events: left.map((event, i) => ({ ...event, eventId: (events[i] ?? event).eventId ?? null })) },
    };
  });
  const failed = await notFollowed({}, tampered);
  expect(failed).toEqual(tampered.map(({ file }) => file).sort());
});

/** What must not be done to a driver whose runs are live, and how many of the histories show it. */
const PLANTED: readonly { readonly what: string; readonly file: string; readonly edits: readonly Edit[] }[] = [
  {
    what: "no timer where there was one",
    file: DRIVER,
    edits: [
      [
        "else await condition(() => inbox.length > 0, Math.max(",
        "else await condition(() => inbox.length > 0 || 0 > Math.max(",
      ],
    ],
  },
  {
    what: "a timer of another length in place of the wait",
    file: DRIVER,
    edits: [
      [
        "Math.max(1, Math.ceil((until - domainNow()) / clock.scale))",
        "Math.max(1, Math.ceil((until - domainNow()) / clock.scale)) + 5",
      ],
    ],
  },
  {
    what: "a timer more",
    file: DRIVER,
    edits: [["const last = await walk(", "await condition(() => false, 1);\n    const last = await walk("]],
  },
  {
    what: "a timer more, behind each stretch",
    file: DRIVER,
    edits: [["return response;\n      },", "await condition(() => false, 1);\n        return response;\n      },"]],
  },
  {
    what: "another order: the status is shown behind the stretch, not before it",
    file: DRIVER,
    edits: [
      ["upsertSearchAttributes({ WaypostStatus: [status] });", "late.push(status);"],
      ["let shownStatus = statusOf(state);", "let shownStatus = statusOf(state);\n  const late: string[] = [];"],
      [
        "return response;\n      },",
        "for (const status of late.splice(0)) upsertSearchAttributes({ WaypostStatus: [status] });\n        return response;\n      },",
      ],
    ],
  },
  {
    what: "another type of activity: a normal one for a local one",
    file: DRIVER,
    edits: [["return await local.perform(request);", "return await patient.perform(request);"]],
  },
  {
    what: "another name of an activity",
    file: DRIVER,
    edits: [
      [
        "persistent.persist(request)",
        "(persistent as never as { deliver(it: unknown): Promise<Answer> }).deliver(request)",
      ],
    ],
  },
  {
    what: "another name of the local activity",
    file: DRIVER,
    edits: [
      ["local.perform(request)", "(local as never as { walk(it: unknown): Promise<PerformResponse> }).walk(request)"],
    ],
  },
  {
    what: "nothing falls back on a normal activity",
    file: DRIVER,
    edits: [["if (isCancellation(error)) throw error;", "throw error;"]],
  },
  {
    what: "the status is not shown any more",
    file: DRIVER,
    edits: [["upsertSearchAttributes({ WaypostStatus: [status] });", ""]],
  },
  {
    what: "a run never continues as new",
    file: DRIVER,
    edits: [["if (!continueAsNewSuggested && historyLength < HISTORY_LENGTH_MAX)", "if (historyLength > 0)"]],
  },
  {
    what: "a run continues as new although nobody suggested it",
    file: DRIVER,
    edits: [["if (!continueAsNewSuggested && historyLength < HISTORY_LENGTH_MAX)", "if (historyLength <= 10)"]],
  },
  {
    what: "a stretch more",
    file: "src/engine/walk.ts",
    edits: [["isResting = response.isResting;", "isResting = false;"]],
  },
  {
    what: "a command under another key",
    file: "src/engine/commands-of.ts",
    edits: [["key: `${iterationKey(key, position)}:due`", "key: `${iterationKey(key, position)}:at`"]],
  },
];

test.each(PLANTED)("planted: $what", { timeout: 120_000 }, async ({ file, edits, what }) => {
  const failed = await notFollowed({ [file]: edits }, HISTORIES);
  console.log(`planted: ${what}: ${failed.length} of ${HISTORIES.length} histories can't be followed`);
  expect(failed.length).toBeGreaterThan(0);
});

test("the recorded plans hold every step kind", async () => {
  const kinds = new Set<string>();
  const visit = (steps: readonly Step[]): void => {
    for (const step of steps) {
      kinds.add(step.kind);
      for (const [, body] of bodiesOf(step)) visit(body);
    }
  };
  for (const { history } of HISTORIES) visit((await planOf(history)).steps);
  expect([...kinds].sort()).toEqual([...STEP_KINDS].sort());
});

async function planOf(history: RecordedHistory["history"]): Promise<Plan> {
  const payloads = history.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  const [payload] = await gzipCodec.decode(payloads);
  return (JSON.parse(Buffer.from(payload?.data ?? new Uint8Array()).toString()) as RunStart).plan;
}
