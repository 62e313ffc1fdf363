import { spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { dispatchBatch } from "../../src/operations/dispatch-events.js";
import { figure, median, resultOf, type SuiteResult } from "../figures.js";
import type { ReferenceInput } from "../reference/workflows.js";
import { addressOf, inParallel, referenceQueue, type Stand, WAYPOST } from "../stand.js";

const PLAYBOOK = "bench-wake";
const STARTS_AT_ONCE = 8;
/** As a worker has. */
const DISPATCHERS = 4;

/**
 * `waypost enrol PLAYBOOK --csv FILE` beside raw `client.workflow.start` of the same number; no worker polls. And, apart from the target, handing the enrolled ones to
 * Temporal, which a worker's dispatchers do. In the end one command is killed on the way and given again: everybody is enrolled once.
 */
export async function enrolMany(
  stand: Stand,
  { rounds, runs = 10_000 }: { readonly rounds: number; readonly runs?: number | undefined },
): Promise<SuiteResult> {
  const perSecond: Record<"command" | "begun" | "raw", number[]> = { command: [], begun: [], raw: [] };
  const ours = async () => {
    const accounts = await stand.accounts(runs);
    const before = await enrolled(stand);
    const file = csvOf(stand, accounts);
    perSecond.command.push(runs / (await seconds(() => command(stand, file))));
    const after = await enrolled(stand);
    if (after - before !== runs) throw new Error(`${after - before} were enrolled instead of ${runs}`);
    perSecond.begun.push(runs / (await seconds(() => handOn(stand))));
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
  return resultOf("enrol", [
    figure("enrolled a second, beside raw starts", median(perSecond.command), "/s", {
      reference: median(perSecond.raw),
    }),
    figure(
      "enrolled a second, ratio to raw starts",
      median(perSecond.command.map((rate, round) => rate / (perSecond.raw[round] ?? Number.NaN))),
      "×",
      { target: ">= 0.7" },
    ),
    figure("handed to Temporal a second by the dispatchers, beside raw starts", median(perSecond.begun), "/s", {
      reference: median(perSecond.raw),
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

/** Until nothing is pending: what a worker's dispatchers would do. */
async function handOn({ wired }: Stand): Promise<void> {
  await Promise.all(
    Array.from({ length: DISPATCHERS }, async () => {
      for (let empty = 0; empty < 2; ) empty = (await dispatchBatch(wired.dispatch, 200)) === 0 ? empty + 1 : 0;
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
