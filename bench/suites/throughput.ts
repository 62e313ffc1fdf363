import { inParallel } from "../../src/operations/in-parallel.js";
import { type FlowName, FLOWS, playbookOf } from "../playbooks.js";
import { figure, type Figure, median, resultOf, type SuiteResult } from "../figures.js";
import { usageOf } from "../processes.js";
import { startJourney } from "../reference/journey.js";
import { enrolAll, type ReferenceKind, type Stand, until } from "../stand.js";

/** One measurement: so many runs at once, from the first start to the last end. */
interface Measured {
  readonly runsPerSecond: number;
  /** CPU milliseconds of worker and Temporal server per run. */
  readonly cpuMs: number;
  readonly workerCpuMs: number;
  readonly temporalCpuMs: number;
  /** Shown apart: both sides have a Postgres anyway. */
  readonly postgresCpuMs: number;
}

type Side = "waypost" | ReferenceKind;

const SIDES = ["waypost", "normal", "local"] as const satisfies readonly Side[];
const FLOW: FlowName = "ten_effects";
/** Let each side's code become warm before anything is counted: behind 200 runs a worker of Waypost still costs a quarter more than behind 400, from there on no less. */
const WARM_UP_RUNS = 400;
const STARTS_AT_ONCE = 8;

/** Many runs of ten effects at once, beside the same by hand with normal and with local activities: CPU per run, and runs a second. One worker at a time is up. */
export async function throughput(
  stand: Stand,
  { rounds, runs = 200 }: { readonly rounds: number; readonly runs?: number | undefined },
): Promise<SuiteResult> {
  const measured: Record<Side, Measured[]> = { waypost: [], normal: [], local: [] };
  for (let round = 0; round < rounds; round++) {
    for (const side of round % 2 === 0 ? SIDES : SIDES.toReversed()) {
      const one = await measure(stand, side, runs);
      stand.log(`round ${round + 1}, ${side}: ${JSON.stringify(shown(one))}`);
      measured[side].push(one);
    }
  }
  return resultOf("throughput", figuresOf(measured));
}

async function measure(stand: Stand, side: Side, runs: number): Promise<Measured> {
  const worker = side === "waypost" ? stand.worker() : stand.reference(side);
  try {
    await walkAll(stand, side, await stand.accounts(WARM_UP_RUNS));
    const accounts = await stand.accounts(runs);
    // What importing them left to do is no part of their runs.
    if (side === "waypost") await untilHandedOn(stand);
    const pid = worker.pid();
    if (pid === undefined) throw new Error(`the worker of ${side} has ended`);
    const before = { worker: usageOf(pid).cpuSeconds, ...stand.serversCpu() };
    const startedAt = performance.now();
    await walkAll(stand, side, accounts);
    const seconds = (performance.now() - startedAt) / 1_000;
    const after = { worker: usageOf(pid).cpuSeconds, ...stand.serversCpu() };
    const perRun = (what: "worker" | "temporal" | "postgres") => ((after[what] - before[what]) * 1_000) / runs;
    return {
      runsPerSecond: runs / seconds,
      cpuMs: perRun("worker") + perRun("temporal"),
      workerCpuMs: perRun("worker"),
      temporalCpuMs: perRun("temporal"),
      postgresCpuMs: perRun("postgres"),
    };
  } finally {
    await worker.stop();
  }
}

/** Until every event that was kept so far has been handed on. */
async function untilHandedOn({ wired, signal }: Stand): Promise<void> {
  const isDone = async () => {
    const [row] = await wired.database.client`select count(*)::int as n from events where status = 'pending'`;
    return row?.["n"] === 0;
  };
  await until("the import's events", isDone, { everyMs: 100, signal });
}

/** Starts a run for each account and waits until Temporal has closed all of them and every mail has come. */
async function walkAll(stand: Stand, side: Side, accounts: readonly string[]): Promise<void> {
  const { temporal } = stand.wired;
  const ended = `WorkflowType = "${side === "waypost" ? "runPlaybook" : "journey"}" AND ExecutionStatus = "Completed"`;
  const before = (await temporal.workflow.count(ended)).count;
  const mailsBefore = stand.sink.count();
  if (side === "waypost") await enrolAll(stand, playbookOf(FLOW), accounts);
  else await inParallel(accounts, STARTS_AT_ONCE, (account) => startJourney(temporal, side, FLOW, account));
  const isOver = async () => (await temporal.workflow.count(ended)).count >= before + accounts.length;
  await until(`the end of ${accounts.length} runs`, isOver, { everyMs: 100, limitMs: 300_000, signal: stand.signal });
  const mails = stand.sink.count() - mailsBefore;
  const expected = accounts.length * FLOWS[FLOW].length;
  if (mails !== expected) throw new Error(`${side}: ${mails} mails came instead of ${expected}`);
}

function figuresOf(measured: Readonly<Record<Side, readonly Measured[]>>): Figure[] {
  const of = (side: Side, what: keyof Measured) => median(measured[side].map((one) => one[what]));
  // Round by round: what slows the machine down in one round slows both sides down.
  const ratio = (what: keyof Measured, side: ReferenceKind) =>
    median(measured.waypost.map((one, round) => one[what] / (measured[side][round]?.[what] ?? Number.NaN)));
  return [
    figure("CPU per run (worker + server), beside normal activities", of("waypost", "cpuMs"), "ms", {
      reference: of("normal", "cpuMs"),
    }),
    figure("CPU per run, ratio to normal activities", ratio("cpuMs", "normal"), "×", { target: "<= 0.5" }),
    figure("CPU per run, beside local activities", of("waypost", "cpuMs"), "ms", { reference: of("local", "cpuMs") }),
    figure("of it the worker, beside local activities", of("waypost", "workerCpuMs"), "ms", {
      reference: of("local", "workerCpuMs"),
    }),
    figure("of it Temporal, beside local activities", of("waypost", "temporalCpuMs"), "ms", {
      reference: of("local", "temporalCpuMs"),
    }),
    figure("Postgres' CPU per run, beside local activities (apart)", of("waypost", "postgresCpuMs"), "ms", {
      reference: of("local", "postgresCpuMs"),
    }),
    figure("runs a second, beside normal activities", of("waypost", "runsPerSecond"), "/s", {
      reference: of("normal", "runsPerSecond"),
    }),
    figure("throughput, ratio to normal activities", ratio("runsPerSecond", "normal"), "×", { target: ">= 1.3" }),
    figure("runs a second, beside local activities", of("waypost", "runsPerSecond"), "/s", {
      reference: of("local", "runsPerSecond"),
    }),
    figure("throughput, ratio to local activities", ratio("runsPerSecond", "local"), "×", { target: ">= 0.7" }),
  ];
}

function shown(one: Measured): Record<string, number> {
  return Object.fromEntries(Object.entries(one).map(([name, value]) => [name, Number(value.toFixed(1))]));
}
