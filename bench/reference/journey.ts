import type { Client } from "@temporalio/client";
import { FLOWS, type FlowName } from "../playbooks.js";
import { addressOf, type ReferenceKind, referenceQueue } from "../stand.js";
import type { ReferenceInput } from "./workflows.js";

/** Starts the hand-written flow for an account; the workflow's id. */
export async function startJourney(
  client: Client,
  kind: ReferenceKind,
  flow: FlowName,
  account: string,
): Promise<string> {
  const workflowId = `${flow}/${kind}/${account}`;
  const input: ReferenceInput = { kind, to: addressOf(account), arr: 1_000, steps: FLOWS[flow] };
  await client.workflow.start("journey", { workflowId, taskQueue: referenceQueue(kind), args: [input] });
  return workflowId;
}
