/** The process of the hand-written workflows: REFERENCE_KIND says which; everything else is told as to Waypost's worker. */
import { fileURLToPath } from "node:url";
import { DefaultLogger, NativeConnection, Runtime, Worker } from "@temporalio/worker";
import { referenceActivities } from "./activities.js";

const { TEMPORAL_ADDRESS, DATABASE_URL, SMTP_URL, REFERENCE_KIND } = process.env as Record<string, string>;
Runtime.install({ logger: new DefaultLogger("WARN") });
const connection = await NativeConnection.connect({ address: TEMPORAL_ADDRESS as string });
const worker = await Worker.create({
  connection,
  namespace: "default",
  taskQueue: `reference-${REFERENCE_KIND}`,
  workflowsPath: fileURLToPath(new URL("workflows.js", import.meta.url)),
  activities: await referenceActivities({ smtpUrl: SMTP_URL as string, databaseUrl: DATABASE_URL as string }),
  // As Waypost's own worker.
  maxCachedWorkflows: 1_000,
  reuseV8Context: true,
  maxConcurrentWorkflowTaskExecutions: 100,
});
await worker.run();
process.exit(0);
