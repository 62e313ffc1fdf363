import { type Client, ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy } from "@temporalio/client";

/** The Schedule's id in the namespace. */
export const SWEEP_SCHEDULE = "waypost-sweep";

/** Installations that share a namespace differ by task queue. */
export function sweepScheduleId(taskQueue: string): string {
  return taskQueue === "waypost" ? SWEEP_SCHEDULE : `${SWEEP_SCHEDULE}-${taskQueue}`;
}

/**
 * Makes sure that the daily sweep is poked every `everyMs` of real time on this task queue: creates the Schedule, or brings it to
 * these settings. Several workers may do so at once. One poke at a time; a missed one is not made up for, since the sweep itself knows what is due.
 */
export async function ensureSweepSchedule(
  client: Client,
  options: { readonly taskQueue: string; readonly everyMs: number; readonly id?: string },
): Promise<void> {
  const { taskQueue, everyMs } = options;
  const scheduleId = options.id ?? SWEEP_SCHEDULE;
  const spec = { intervals: [{ every: everyMs }] };
  const action = {
    type: "startWorkflow" as const,
    workflowType: "sweepAccounts",
    taskQueue,
    workflowId: `${scheduleId}-run`,
    workflowRunTimeout: "1 day" as const,
  };
  const policies = { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: "1 minute" as const };
  try {
    await client.schedule.create({ scheduleId, spec, action, policies });
    return;
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
  try {
    await client.schedule.getHandle(scheduleId).update((before) => ({ ...before, spec, action, policies }));
  } catch (error) {
    // Removed between the two by whoever takes the installation down.
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}
