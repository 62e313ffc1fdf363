import type { Client } from "@temporalio/client";
import { gzipCodec } from "../src/adapters/temporal/gzip-codec.js";

/** What one execution left in Temporal. */
export interface HistorySize {
  readonly events: number;
  /** As the server counts it. */
  readonly bytes: number;
  /** Of these, the compiled plan: what the input is larger for carrying it. 0 for a hand-written workflow. */
  readonly planBytes: number;
  /** Event types and how often, for a look behind the figure. */
  readonly types: Readonly<Record<string, number>>;
}

/** Reads an execution's history. Throws where there is no such workflow. */
export async function historySize(client: Client, workflowId: string): Promise<HistorySize> {
  const handle = client.workflow.getHandle(workflowId);
  const { raw } = await handle.describe();
  const { events = [] } = await handle.fetchHistory();
  const types: Record<string, number> = {};
  for (const event of events ?? []) {
    const [, type = "?"] =
      /^(.*)EventAttributes$/.exec(Object.keys(event).find((key) => /Attributes$/.test(key)) ?? "") ?? [];
    types[type] = (types[type] ?? 0) + 1;
  }
  const [input] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  return {
    events: Number(raw.workflowExecutionInfo?.historyLength),
    bytes: Number(raw.workflowExecutionInfo?.historySizeBytes),
    planBytes: input?.data == null ? 0 : await planBytesOf(input as { data: Uint8Array }),
    types,
  };
}

/** What the input is larger for carrying its plan, as it lies in the history: compressed. */
async function planBytesOf(input: { readonly data: Uint8Array }): Promise<number> {
  const [payload] = await gzipCodec.decode([input]);
  const { plan, ...rest } = JSON.parse(Buffer.from(payload?.data ?? []).toString()) as Record<string, unknown>;
  if (plan === undefined) return 0;
  const [whole, without] = await gzipCodec.encode(
    [{ plan, ...rest }, rest].map((value) => ({
      ...payload,
      data: new Uint8Array(Buffer.from(JSON.stringify(value))),
    })),
  );
  return (whole?.data?.length ?? 0) - (without?.data?.length ?? 0);
}
