import { type HistorySize, historySize } from "../history-size.js";
import { figure, type Figure, resultOf, type SuiteResult } from "../figures.js";
import { type FlowName, playbookOf } from "../playbooks.js";
import { startJourney } from "../reference/journey.js";
import { enrolAll, REFERENCE_KINDS, type ReferenceKind, type Stand, until } from "../stand.js";

const FLOW_NAMES = ["reference", "ten", "ten_effects", "forty_effects"] as const satisfies readonly FlowName[];

/** Events and bytes that a run leaves in Temporal's history, beside the same flow written by hand. They repeat exactly: one run of each is enough, `rounds` prove it. */
export async function history(stand: Stand, { rounds }: { readonly rounds: number }): Promise<SuiteResult> {
  stand.worker();
  for (const kind of REFERENCE_KINDS) stand.reference(kind);
  const sizes = new Map<string, HistorySize[]>();
  const note = (name: string, size: HistorySize) => sizes.set(name, [...(sizes.get(name) ?? []), size]);
  for (let round = 0; round < rounds; round++) {
    for (const flow of FLOW_NAMES) {
      const ours = async () => note(flow, await historyOfRun(stand, flow));
      const theirs = async () => {
        for (const kind of REFERENCE_KINDS) note(`${flow} ${kind}`, await historyOfReference(stand, flow, kind));
      };
      if (round % 2 === 0) await ours().then(theirs);
      else await theirs().then(ours);
    }
  }
  for (const [name, [size]] of sizes)
    stand.log(`${name}: ${size?.events} events, ${size?.bytes} bytes ${JSON.stringify(size?.types)}`);
  return resultOf("history", figuresOf(sizes));
}

/** Enrols an account, waits for the end, and reads what it left. */
export async function historyOfRun(stand: Stand, flow: FlowName): Promise<HistorySize> {
  const [run] = await enrolAll(stand, playbookOf(flow), await stand.accounts(1));
  return sizeOf(stand, run as string);
}

async function historyOfReference(stand: Stand, flow: FlowName, kind: ReferenceKind): Promise<HistorySize> {
  const [account] = await stand.accounts(1);
  return sizeOf(stand, await startJourney(stand.wired.temporal, kind, flow, account as string));
}

async function sizeOf({ wired: { temporal }, signal }: Stand, workflowId: string): Promise<HistorySize> {
  const isDone = () =>
    temporal.workflow
      .getHandle(workflowId)
      .describe()
      .then(
        ({ status }) => status.name === "COMPLETED",
        () => false,
      );
  await until(`the end of ${workflowId}`, isDone, { signal });
  return historySize(temporal, workflowId);
}

function figuresOf(sizes: ReadonlyMap<string, readonly HistorySize[]>): Figure[] {
  const of = (name: string): HistorySize => worst(sizes.get(name) ?? []);
  const beyondPlan = ({ bytes, planBytes }: HistorySize) => bytes - planBytes;
  const beside = (name: string, flow: FlowName, value: (size: HistorySize) => number, unit: string) =>
    REFERENCE_KINDS.map((kind) =>
      figure(`${name}, beside ${kind} activities`, value(of(flow)), unit, { reference: value(of(`${flow} ${kind}`)) }),
    );
  return [
    figure("reference flow: events", of("reference").events, "", { target: "<= 22" }),
    ...beside("reference flow: events", "reference", ({ events }) => events, ""),
    ...beside("reference flow: bytes", "reference", ({ bytes }) => bytes, "bytes"),
    figure("reference flow: compiled plan in history", of("reference").planBytes, "bytes"),
    figure("ten-step mix: events", of("ten").events, "", { target: "<= 27" }),
    figure("ten-step mix: bytes beyond the plan", beyondPlan(of("ten")), "bytes", { target: "<= 5500" }),
    figure("ten-step mix: compiled plan in history", of("ten").planBytes, "bytes"),
    ...beside("ten-step mix: events", "ten", ({ events }) => events, ""),
    ...beside("ten-step mix: bytes", "ten", ({ bytes }) => bytes, "bytes"),
    figure("bytes of 40 effects ÷ bytes of 10", of("forty_effects").bytes / of("ten_effects").bytes, "", {
      target: "<= 4.2",
    }),
    figure("10 effects: bytes", of("ten_effects").bytes, "bytes"),
    figure("40 effects: bytes", of("forty_effects").bytes, "bytes"),
  ];
}

/** They should all be the same; if they aren't, the largest counts. */
function worst(sizes: readonly HistorySize[]): HistorySize {
  return [...sizes].sort((a, b) => b.events - a.events || b.bytes - a.bytes)[0] as HistorySize;
}
