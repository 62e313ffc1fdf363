import { expect, inject, test } from "vitest";
import type { Worker } from "@temporalio/worker";
import { createRunWorker } from "../../../src/adapters/temporal/worker.js";
import { workflowBundle } from "../../support/workflow-bundle.js";

test("workflow code that was stopped for long is not cut off: that would end the process (an option that the SDK's types don't have)", async () => {
  const { worker, close } = await createRunWorker({} as never, {
    address: inject("temporalAddress") ?? "",
    namespace: "default",
    taskQueue: `options-${process.pid}`,
    bundle: await workflowBundle(),
  });
  const { options } = worker as unknown as { options: Pick<Worker["options"], "isolateExecutionTimeoutMs"> };
  expect(options.isolateExecutionTimeoutMs).toBe(60_000);
  const running = worker.run();
  worker.shutdown();
  await running;
  await close();
});
