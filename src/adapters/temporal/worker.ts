import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { NativeConnection, Worker, type WorkerOptions, type WorkflowBundleWithSourceMap } from "@temporalio/worker";
import type { RunActivities } from "../../../activities/index.js";
import type { PayloadKey } from "./encrypting-codec.js";
import { payloadCodecs } from "./payload-codecs.js";
import { TASK_QUEUE } from "./temporal-workflows.js";

export interface RunWorkerOptions {
  readonly address: string;
  readonly namespace: string;
  readonly taskQueue?: string;
  readonly apiKey?: string;
  readonly tls?: boolean;
  /** With these payloads are encrypted; absent: they are not. */
  readonly payloadKeys?: readonly PayloadKey[];
  /** How many runs stay in memory; each is 340 KB here. The rest are replayed when they wake. */
  readonly maxCachedWorkflows?: number;
  /** Absolute path of the prebuilt bundle; default: `dist/workflow-bundle.js`, else the workflows are bundled now. */
  readonly bundlePath?: string;
  /** A bundle made in this process, instead. */
  readonly bundle?: WorkflowBundleWithSourceMap;
  /** How long a shut-down waits for what is in flight. */
  readonly graceMs?: number;
}

/** A worker on the runs' task queue, not yet running: `worker.run()` resolves when it has shut down. */
export async function createRunWorker(
  activities: RunActivities & Record<string, unknown>,
  options: RunWorkerOptions,
): Promise<{ worker: Worker; close(): Promise<void> }> {
  const connection = await NativeConnection.connect({
    address: options.address,
    ...(options.apiKey === undefined ? {} : { apiKey: options.apiKey }),
    ...(options.tls === true ? { tls: true } : {}),
  });
  const bundled = options.bundlePath ?? fileURLToPath(new URL("../../../workflow-bundle.js", import.meta.url));
  const source: Pick<WorkerOptions, "workflowBundle" | "workflowsPath"> = options.bundle
    ? { workflowBundle: options.bundle }
    : existsSync(bundled)
      ? { workflowBundle: { codePath: bundled } }
      : { workflowsPath: fileURLToPath(new URL("../../../workflows/index.js", import.meta.url)) };
  const buildId = buildIdOf(source);
  const worker = await Worker.create({
    connection,
    ...(buildId === undefined ? {} : { buildId }),
    namespace: options.namespace,
    taskQueue: options.taskQueue ?? TASK_QUEUE,
    ...source,
    activities,
    dataConverter: { payloadCodecs: payloadCodecs(options.payloadKeys) },
    maxCachedWorkflows: options.maxCachedWorkflows ?? 1_000,
    reuseV8Context: true,
    // A stretch mostly waits, for commits and the mail server: with the SDK's 40 the machine was idle half of the time (docs/measurements.md, "throughput").
    maxConcurrentWorkflowTaskExecutions: 100,
    ...PATIENT_WITH_CODE,
    shutdownGraceTime: options.graceMs ?? 10_000,
    // A killed worker's cached runs wait this long before another takes them: recovery matters more than a replay.
    stickyQueueScheduleToStartTimeout: "2 seconds",
  });
  return { worker, close: () => connection.close() };
}

/**
 * By default 5 s: a worker that was stopped for longer (SIGSTOP, a paused machine, no CPU) and goes on in the middle of workflow code is cut off there, and
 * Node ends the whole process with "async hook stack has become corrupted" (nodejs/node#38503). How long our own code goes on the machine bounds. The
 * SDK takes the option, though its types don't have it; `test/adapters/temporal/worker.test.ts`.
 */
const PATIENT_WITH_CODE = { isolateExecutionTimeout: "60 seconds" };

/**
 * Which workflow code a worker has: it is in every workflow task of a history, twice. The SDK's own has 80 characters, which would be a tenth
 * of a run's history. Undefined where the workflows are bundled only now.
 */
function buildIdOf({ workflowBundle }: Pick<WorkerOptions, "workflowBundle">): string | undefined {
  if (workflowBundle === undefined) return undefined;
  const code = "code" in workflowBundle ? workflowBundle.code : readFileSync(workflowBundle.codePath, "utf8");
  return `waypost+${createHash("sha256").update(code).digest("hex").slice(0, 12)}`;
}
