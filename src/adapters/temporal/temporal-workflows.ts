import { Client, Connection, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from "@temporalio/client";
import {
  defineSearchAttributeKey,
  TypedSearchAttributes,
  WorkflowIdReusePolicy,
  WorkflowIdConflictPolicy,
} from "@temporalio/common";
import type { RunEvent } from "../../engine/event.js";
import type { RunState } from "../../engine/state.js";
import type { OperatorVerb, RunStart, Workflows } from "../../ports/workflows.js";
import type { PayloadKey } from "./encrypting-codec.js";
import { payloadCodecs } from "./payload-codecs.js";

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
    async start(start: RunStart) {
      try {
        await client.workflow.start("runPlaybook", {
          workflowId: start.run.id,
          taskQueue,
          args: [start],
          // The id is unique for ever (its ordinal comes from Postgres): a second start is a repeated one.
          workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
          workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
          memo: { plan: start.plan.hash, startedAt: start.run.startedAt },
          typedSearchAttributes: new TypedSearchAttributes([
            { key: SEARCH_ATTRIBUTES.playbook, value: start.run.playbook },
            { key: SEARCH_ATTRIBUTES.account, value: start.run.accountId },
            { key: SEARCH_ATTRIBUTES.status, value: start.holds.length > 0 ? "held" : "running" },
          ]),
        });
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        await mustBeThis(client, start);
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
        await client.workflow.getHandle(runId).executeUpdate("operate", { args: [{ verb, by }] });
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
  };
}

/**
 * A workflow with the run's id is there: it must be this run, started before. Another one is what a database that was made anew finds in a
 * namespace that still remembers the old one's runs; to take it for ours would leave the run without a workflow, and nobody told.
 */
async function mustBeThis(client: Client, { run, plan }: RunStart): Promise<void> {
  const { memo } = await client.workflow.getHandle(run.id).describe();
  if (memo?.["plan"] === plan.hash && memo["startedAt"] === run.startedAt) return;
  throw new Error(
    `Temporal knows another run ${run.id}: this namespace belongs to another database, or to an earlier one. Give each installation a namespace of its own.`,
  );
}
