import { inParallel } from "../../src/operations/in-parallel.js";
import { spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { dispatchBatch } from "../../src/operations/dispatch-events.js";
import { figure, median, resultOf, type SuiteResult } from "../figures.js";
import type { ReferenceInput } from "../reference/workflows.js";
import { addressOf, referenceQueue, type Stand, until, WAYPOST } from "../stand.js";

const PLAYBOOK = "bench-wake";
/** As many as the dispatcher has; 8 and 16 are no faster: Temporal's server is what takes the time. */
const STARTS_AT_ONCE = 32;
/** As a worker has them: run-worker.ts. */
const DISPATCHERS = 4;
const BATCH = 200;
const LOOK_EVERY_MS = 100;

/**
 * `waypost enrol PLAYBOOK --csv FILE`, until every one of its runs is a workflow in Temporal, beside raw `client.workflow.start` of the same number; no worker
 * polls for either. The command writes runs and leaves; a worker's dispatchers, which this process has as a worker does, hand them to Temporal meanwhile and after.
 * The command by itself is shown, too. In the end a command is killed on the way and given again: everybody is enrolled once.
 * (Workers that are killed while they hand runs on: test/resilience/campaign.test.ts.)
 */
export async function enrolMany(
  stand: Stand,
  { rounds, runs = 10_000 }: { readonly rounds: number; readonly runs?: number | undefined },
): Promise<SuiteResult> {
  const perSecond: Record<"command" | "begun" | "raw", number[]> = { command: [], begun: [], raw: [] };
  const ours = async () => {
    const accounts = await stand.accounts(runs);
    // What importing them left to do is no part of it.
    await stand.wired.database.client`update events set status = 'dispatched' where status = 'pending'`;
    const before = { enrolled: await enrolled(stand), begun: await begun(stand) };
    const file = csvOf(stand, accounts);
    let commandSeconds = 0;
    const whole = await seconds(async () => {
      let isWritten = false;
      const handing = handOn(stand, () => isWritten);
      commandSeconds = await seconds(() => command(stand, file)).finally(() => {
        isWritten = true;
      });
      await handing;
    });
    perSecond.command.push(runs / commandSeconds);
    perSecond.begun.push(runs / whole);
    const after = await enrolled(stand);
    if (after - before.enrolled !== runs)
      throw new Error(`${after - before.enrolled} were enrolled instead of ${runs}`);
    // Temporal's list is a little behind its workflows.
    await until(`${runs} workflows more`, async () => (await begun(stand)) - before.begun === runs);
  };
  const theirs = async () => {
    const accounts = await stand.accounts(runs);
    perSecond.raw.push(runs / (await seconds(() => startRaw(stand, accounts))));
  };
  for (let round = 0; round < rounds; round++) {
    for (const side of round % 2 === 0 ? [ours, theirs] : [theirs, ours]) await side();
    stand.log(
      `round ${round + 1}: ${JSON.stringify(perSecond, (_, value) => (typeof value === "number" ? Math.round(value) : value))}`,
    );
  }
  const raw = median(perSecond.raw);
  const ratio = (rates: readonly number[]) =>
    median(rates.map((rate, round) => rate / (perSecond.raw[round] ?? Number.NaN)));
  return resultOf("enrol", [
    figure(
      "from the command until all are workflows in Temporal, a second, beside raw starts",
      median(perSecond.begun),
      "/s",
      {
        reference: raw,
      },
    ),
    figure("the same, ratio to raw starts", ratio(perSecond.begun), "×", { target: ">= 0.7" }),
    figure("the command by itself (runs written, not begun), a second", median(perSecond.command), "/s", {
      reference: raw,
    }),
    ...(await killed(stand, runs)),
  ]);
}

/** The command is killed when about half is done, and given again. */
async function killed(stand: Stand, runs: number) {
  const accounts = await stand.accounts(runs);
  const file = csvOf(stand, accounts);
  const before = await enrolled(stand);
  const first = command(stand, file, async (kill) => {
    while ((await enrolled(stand)) - before < runs / 2) await sleep(20);
    kill();
  }).catch(() => {});
  await first;
  const onTheWay = (await enrolled(stand)) - before;
  await command(stand, file);
  const [row] = await stand.wired.database.client`
    select count(*)::int as runs, count(distinct account_id)::int as accounts from runs
    where playbook = ${PLAYBOOK} and account_id in ${stand.wired.database.client(accounts)}`;
  return [
    figure("killed on the way: enrolled by then", onTheWay, ""),
    figure("killed and given again: not enrolled", runs - Number(row?.["accounts"]), "", { target: "<= 0" }),
    figure("killed and given again: enrolled twice", Number(row?.["runs"]) - Number(row?.["accounts"]), "", {
      target: "<= 0",
    }),
  ];
}

function csvOf(stand: Stand, accounts: readonly string[]): string {
  const file = join(stand.stack.folder, `enrol-${accounts[0]}.csv`);
  rmSync(file, { force: true });
  writeFileSync(file, `account\n${accounts.join("\n")}\n`);
  return file;
}

/** Runs the command to its end. Throws with what it said where it fails. `meanwhile` may kill it. */
async function command(stand: Stand, file: string, meanwhile?: (kill: () => void) => Promise<void>): Promise<void> {
  const child = spawn(process.execPath, [WAYPOST, "enrol", PLAYBOOK, "--csv", file, "--json"], {
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...stand.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => (said = (said + chunk).slice(-2_000)));
  const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  const watching = meanwhile?.(() => child.kill("SIGKILL"));
  const code = await ended;
  await watching;
  if (code !== 0) throw new Error(`waypost enrol ended with ${code}: ${said}`);
}

async function enrolled({ wired }: Stand): Promise<number> {
  const [row] = await wired.database.client`select count(*)::int as n from runs where playbook = ${PLAYBOOK}`;
  return Number(row?.["n"]);
}

async function begun({ wired }: Stand): Promise<number> {
  return (await wired.temporal.workflow.count("WorkflowType = 'runPlaybook'")).count;
}

/** What a worker's dispatchers do, until nothing is pending and nothing more comes. */
async function handOn({ wired }: Stand, isWritten: () => boolean = () => true): Promise<void> {
  await Promise.all(
    Array.from({ length: DISPATCHERS }, async () => {
      for (let empty = 0; empty < 2; ) {
        // Before the look: what was written by then it finds.
        const isLast = isWritten();
        const done = await dispatchBatch(wired.dispatch, BATCH);
        empty = done === 0 && isLast ? empty + 1 : 0;
        if (done === 0) await sleep(LOOK_EVERY_MS);
      }
    }),
  );
}

async function startRaw({ wired: { temporal } }: Stand, accounts: readonly string[]): Promise<void> {
  await inParallel(accounts, STARTS_AT_ONCE, async (account) => {
    const input: ReferenceInput = { kind: "normal", to: addressOf(account), arr: 1_000, steps: [] };
    await temporal.workflow.start("waiter", {
      workflowId: `raw/${account}`,
      taskQueue: referenceQueue("normal"),
      args: [input],
    });
  });
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1_000;
}
