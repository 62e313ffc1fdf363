import { randomUUID } from "node:crypto";
import { Client, Connection, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from "@temporalio/client";
import {
  defineSearchAttributeKey,
  TypedSearchAttributes,
  WorkflowIdReusePolicy,
  WorkflowIdConflictPolicy,
} from "@temporalio/common";
import type { RunEvent } from "../../engine/event.js";
import type { RunState } from "../../engine/state.js";
import {
  type BegunRun,
  type OperatorVerb,
  OtherRunThere,
  type RowOnly,
  type RunStart,
  type Workflows,
} from "../../ports/workflows.js";
import type { PayloadKey } from "./encrypting-codec.js";
import { payloadCodecs } from "./payload-codecs.js";
import { isTaskFailure } from "./temporal-faults.js";

/** The task queue of runs; one per installation and namespace. */
export const TASK_QUEUE = "waypost";

/** Search attributes, registered on the namespace by an administrator (the embedded server does it itself). Never the step: it changes too often. */
export const SEARCH_ATTRIBUTES = {
  playbook: defineSearchAttributeKey("WaypostPlaybook", "KEYWORD"),
  account: defineSearchAttributeKey("WaypostAccount", "KEYWORD"),
  status: defineSearchAttributeKey("WaypostStatus", "KEYWORD"),
} as const;

/** A client with Waypost's payload codecs. Throws if the server does not answer. */
export async function connectTemporal(options: {
  address: string;
  namespace: string;
  apiKey?: string;
  tls?: boolean;
  payloadKeys?: readonly PayloadKey[];
}): Promise<Client> {
  const connection = await Connection.connect({
    address: options.address,
    connectTimeout: "5 seconds",
    ...(options.apiKey === undefined ? {} : { apiKey: options.apiKey }),
    ...(options.tls === true ? { tls: true } : {}),
  });
  return new Client({
    connection,
    namespace: options.namespace,
    dataConverter: { payloadCodecs: payloadCodecs(options.payloadKeys) },
  });
}

/** Runs as Temporal workflows; the workflow id is the run's id. */
export function temporalWorkflows(client: Client, taskQueue: string = TASK_QUEUE): Workflows {
  return {
    async start({ row = {}, ...start }: RunStart) {
      try {
        await client.workflow.start("runPlaybook", {
          workflowId: start.run.id,
          taskQueue,
          args: [start],
          // The id is unique for ever (its ordinal comes from Postgres): a second start is a repeated one.
          workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
          workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
          memo: { plan: start.plan.hash, startedAt: start.run.startedAt, row },
          typedSearchAttributes: new TypedSearchAttributes([
            { key: SEARCH_ATTRIBUTES.playbook, value: start.run.playbook },
            { key: SEARCH_ATTRIBUTES.account, value: start.run.accountId },
            { key: SEARCH_ATTRIBUTES.status, value: start.holds.length > 0 ? "held" : "running" },
          ]),
        });
        return undefined;
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        return (await mustBeThis(client, start))?.outcome;
      }
    },

    async signal(runId: string, event: RunEvent) {
      try {
        await client.workflow.getHandle(runId).signal("event", event);
        return true;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    },

    async operate(runId: string, verb: OperatorVerb, by: string) {
      try {
        await untilTaken((updateId) =>
          client.workflow.getHandle(runId).executeUpdate("operate", { args: [{ verb, by }], updateId }),
        );
        return { ok: true };
      } catch (error) {
        if (error instanceof WorkflowNotFoundError)
          return { ok: false, reason: "the run has ended, or there is none of this id" };
        if (error instanceof Error && error.name === "WorkflowUpdateFailedError") {
          return { ok: false, reason: error.cause instanceof Error ? error.cause.message : error.message };
        }
        throw error;
      }
    },

    async state(runId: string): Promise<RunState | undefined> {
      try {
        return await client.workflow.getHandle(runId).query<RunState | undefined>("state");
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return undefined;
        throw error;
      }
    },

    begun: (runId: string) => begunRun(client, runId),

    async *living() {
      const query = `WorkflowType = 'runPlaybook' AND ExecutionStatus = 'Running' AND TaskQueue = '${taskQueue}'`;
      for await (const { workflowId } of client.workflow.list({ query, pageSize: 1_000 })) yield workflowId;
    },
  };
}

async function begunRun(client: Client, runId: string): Promise<BegunRun | undefined> {
  try {
    const handle = client.workflow.getHandle(runId);
    const { memo, status } = await handle.describe();
    const outcome = status.name === "COMPLETED" ? ((await handle.result()) as string) : undefined;
    return {
      hash: memo?.["plan"] as string,
      startedAt: memo?.["startedAt"] as number,
      row: (memo?.["row"] ?? {}) as RowOnly,
      ...(outcome === undefined ? {} : { outcome }),
    };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/** How often an update is tried that met a workflow task which failed, and the pause between, real milliseconds. */
const UPDATE_ATTEMPTS = 5;
const UPDATE_PAUSE_MS = 100;

/**
 * An update that comes in while a run ends meets a workflow task that Temporal has done again: it wasn't looked at, and is asked once more,
 * under the same id. Where that doesn't help the error is `asTemporalFault`'s.
 */
async function untilTaken(attempt: (updateId: string) => Promise<unknown>): Promise<void> {
  const updateId = randomUUID();
  for (let attempts = 1; ; attempts++) {
    try {
      await attempt(updateId);
      return;
    } catch (error) {
      if (!isTaskFailure(error) || attempts === UPDATE_ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, UPDATE_PAUSE_MS));
    }
  }
}

/**
 * A workflow with the run's id is there: it must be this run, started before. Another one is what a database that was made anew finds in a
 * namespace that still remembers the old one's runs; to take it for ours would leave the run without a workflow, and nobody told.
 */
async function mustBeThis(client: Client, { run, plan }: RunStart): Promise<BegunRun | undefined> {
  const begun = await begunRun(client, run.id);
  const problem = begun && problemWith(begun, { id: run.id, hash: plan.hash, startedAt: run.startedAt });
  if (problem !== undefined) throw new OtherRunThere(problem, begun as BegunRun);
  return begun;
}

/** A sentence where the namespace has another installation's run of this id; undefined where it has this one or none. */
export async function otherRunProblem(
  client: Client,
  run: { readonly id: string; readonly hash: string; readonly startedAt: number },
): Promise<string | undefined> {
  const begun = await begunRun(client, run.id);
  return begun && problemWith(begun, run);
}

function problemWith(
  begun: BegunRun,
  run: { readonly id: string; readonly hash: string; readonly startedAt: number },
): string | undefined {
  if (begun.hash === run.hash && begun.startedAt === run.startedAt) return undefined;
  return `Temporal knows another run ${run.id}: this namespace belongs to another database, or to an earlier one. Give each installation a namespace of its own.`;
}
