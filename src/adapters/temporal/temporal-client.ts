import { Client, Connection } from "@temporalio/client";
import type { OperatorVerb, RunStart, Workflows } from "../../ports/workflows.js";
import type { PayloadKey } from "./encrypting-codec.js";
import { payloadCodecs } from "./payload-codecs.js";
import { asTemporalFault } from "./temporal-faults.js";
import { temporalWorkflows } from "./temporal-workflows.js";

export interface TemporalClientOptions {
  readonly address: string;
  readonly namespace: string;
  readonly apiKey?: string | undefined;
  readonly tls?: boolean | undefined;
  /** With these payloads are encrypted; absent: they are not. */
  readonly payloadKeys?: readonly PayloadKey[] | undefined;
}

const RECONNECT_MAX_MS = 3_000;

/** A client that connects with its first call, so that a process can start before Temporal does, or outlive a restart of it. */
export function lazyTemporalClient({ address, namespace, apiKey, tls, payloadKeys }: TemporalClientOptions): Client {
  const connection = Connection.lazy({
    address,
    connectTimeout: "5 seconds",
    // gRPC's own goes to two minutes: long after a server is back, calls would still fail.
    channelArgs: { "grpc.initial_reconnect_backoff_ms": 200, "grpc.max_reconnect_backoff_ms": RECONNECT_MAX_MS },
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(tls === true || (tls === undefined && apiKey !== undefined) ? { tls: true } : {}),
  });
  return new Client({ connection, namespace, dataConverter: { payloadCodecs: payloadCodecs(payloadKeys) } });
}

/** `temporalWorkflows` whose calls end within `timeoutMs` of real time; throws `TemporalUnavailable` where the server, or every worker, is away. */
export function boundedWorkflows(client: Client, taskQueue: string, timeoutMs: number): Workflows {
  const workflows = temporalWorkflows(client, taskQueue);
  const bounded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await client.withDeadline(Date.now() + timeoutMs, work);
    } catch (error) {
      throw asTemporalFault(error);
    }
  };
  return {
    start: (start: RunStart) => bounded(() => workflows.start(start)),
    signal: (runId, event) => bounded(() => workflows.signal(runId, event)),
    operate: (runId, verb: OperatorVerb, by, at) => bounded(() => workflows.operate(runId, verb, by, at)),
    state: (runId) => bounded(() => workflows.state(runId)),
    begun: (runId) => bounded(() => workflows.begun(runId)),
    // Pages come one by one: each is as quick as any call.
    living: () => workflows.living(),
  };
}

/** Whether Temporal answers for the namespace within `timeoutMs`. Never throws. */
export async function isTemporalReady(client: Client, timeoutMs: number): Promise<boolean> {
  try {
    const { namespace } = client.options;
    await client.withDeadline(Date.now() + timeoutMs, () => client.workflowService.describeNamespace({ namespace }));
    return true;
  } catch {
    return false;
  }
}
