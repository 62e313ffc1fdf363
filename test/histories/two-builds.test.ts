import { temporal } from "@temporalio/proto";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { planFrom, repeat, slack, wait, waitFor, on, end } from "../engine/plans.js";
import { type Edit, editedBundle } from "./edited-bundle.js";
import { openStage, type Stage, type StagedRun } from "./stage.js";

const DRIVER = "workflows/run-playbook.ts";

/** A change that live runs would not survive without a patch: a timer more before the first stretch. */
const CHANGE = "await sleep(1);";
const change = (how: string): Readonly<Record<string, readonly Edit[]>> => ({
  [DRIVER]: [
    ["  setHandler,\n", "  patched,\n  setHandler,\n  sleep,\n"],
    ["const last = await walk(", `${how}\n    const last = await walk(`],
  ],
});

/** Knows the new way, doesn't take it: what is deployed first. Replayed, a run that has the patch follows it. */
const KNOWS = change(`if (workflowInfo().unsafe.isReplaying && patched("timer-first")) { ${CHANGE} }`);
/** Takes it, for runs that begin. */
const TAKES = change(`if (patched("timer-first")) { ${CHANGE} }`);
/** The same without a patch: what must not be done. */
const BLIND = change(CHANGE);

const plan = planFrom([
  repeat("round", "8h", 4, [waitFor("told", on("x", { since: "wait" }), "4h"), slack("said")]),
  wait("at_last", "1d"),
  end("done"),
]);

let stage: Stage;
/** A new worker has nothing in its cache: each live run is replayed by the build that follows. */
beforeAll(async () => {
  stage = await openStage(inject("temporalAddress") ?? "", await editedBundle({}));
});
afterAll(() => stage?.close());

/**
 * How often a workflow task of the run failed: not where the server only refused its completion, because a signal had come meanwhile
 * (`UnhandledCommand`: done again, as a matter of course). 1 for a task that fails again and again, which Temporal then keeps in one attempt. */
async function failedTasks(run: StagedRun): Promise<number> {
  const histories = await run.histories();
  const events = histories.flatMap(({ events }) => events ?? []);
  return events.filter(
    ({ workflowTaskFailedEventAttributes: failed }) =>
      failed != null &&
      failed.cause !== temporal.api.enums.v1.WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
  ).length;
}
const hasPatch = async (run: StagedRun): Promise<boolean> =>
  JSON.stringify(
    (await run.histories()).map(({ events }) => events?.map((e) => e.markerRecordedEventAttributes?.markerName)),
  ).includes("core_patch");

test("runs go through two builds of the worker and back: a patch that is known before it is taken", {
  timeout: 120_000,
}, async () => {
  const [knows, takes] = [await editedBundle(KNOWS), await editedBundle(TAKES)];
  const began: StagedRun[] = [];
  const begin = async (name: string, count = 4): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const run = await stage.run(`${name}-${i}`, { plan, dayMs: 4_000 });
      began.push(run);
      await run.until("began", (state) => state.turns > 0);
    }
    for (const run of began) await run.tell("x").catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 800));
  };
  await begin("old");
  await stage.rebuild(knows);
  await begin("knows");
  await stage.rebuild(takes);
  await begin("takes");
  await stage.rebuild(knows);
  await begin("back");
  await stage.rebuild(takes);
  await begin("again");

  const outcomes = await Promise.all(began.map((run) => run.ended()));
  const failed = await Promise.all(began.map(failedTasks));
  const patched = await Promise.all(began.map(hasPatch));
  console.log(
    `two builds: ${began.length} runs over 5 deployments, ${failed.reduce((a, b) => a + b, 0)} failed workflow tasks, ${patched.filter(Boolean).length} took the new way`,
  );
  expect(outcomes).toEqual(began.map(() => "done"));
  expect(failed).toEqual(began.map(() => 0));
  expect(patched).toEqual([false, false, true, false, true].flatMap((is) => [is, is, is, is]));
});

test("without a patch, or taken before it is known, it breaks them: the test can fail", {
  timeout: 120_000,
}, async () => {
  await stage.rebuild(await editedBundle({}));
  const old = await stage.run("before", { plan, dayMs: 20_000 });
  await old.until("began", (state) => state.turns > 0);
  await stage.rebuild(await editedBundle(BLIND));
  await old.tell("x");
  await expect.poll(() => failedTasks(old), { timeout: 20_000, interval: 100 }).toBeGreaterThan(0);
  await old.terminate();

  await stage.rebuild(await editedBundle(TAKES));
  const early = await stage.run("early", { plan, dayMs: 20_000 });
  await early.until("began", (state) => state.turns > 0);
  await stage.rebuild(await editedBundle({}));
  await early.tell("x");
  await expect.poll(() => failedTasks(early), { timeout: 20_000, interval: 100 }).toBeGreaterThan(0);
  await early.terminate();
});
