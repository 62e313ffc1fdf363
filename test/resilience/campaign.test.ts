import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Client } from "@temporalio/client";
import type postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  customers,
  eventually,
  pause,
  type Insides,
  openInsides,
  type Production,
  startProduction,
} from "./support/production.js";
import { END, waitForGo, workspace } from "./support/workspace.js";

const ACCOUNTS = Number(process.env["WAYPOST_ACCOUNTS"] ?? 400);
const KILLS = 3;
const WAYPOST = fileURLToPath(new URL("../../bin/waypost.mjs", import.meta.url));

let waypost: Production;
let sql: postgres.Sql;
let insides: Insides;
let temporal: Client;
beforeAll(async () => {
  waypost = await startProduction({ environment: { WAYPOST_REQUESTS_PER_SECOND: "100000" } });
  await waypost.server();
  await waypost.publish(workspace({ walk: waitForGo() + END }));
  insides = await openInsides(waypost);
  ({ sql, temporal } = insides);
}, 60_000);
afterAll(async () => {
  for await (const { workflowId } of temporal.workflow.list({ query: ours() })) {
    await temporal.workflow
      .getHandle(workflowId)
      .terminate("the test is over")
      .catch(() => {});
  }
  await insides?.close();
  await waypost?.stop();
}, 600_000);

test(`a campaign of ${ACCOUNTS}: the command is killed on the way and given again, workers are killed ${KILLS} times while they hand it to Temporal: all are begun, none twice`, async () => {
  const startedAt = performance.now();
  const ids = Array.from({ length: ACCOUNTS }, (_, n) => `camp-${n}`);
  for (let from = 0; from < ids.length; from += 500) {
    const batches = ids.slice(from, from + 500).map((id) => customers(id) as Record<string, unknown[]>);
    const batch = { users: batches[0]?.["users"], accounts: batches.flatMap((one) => one["accounts"]) };
    expect((await waypost.ask("PUT", "/v1/customers", batch)).status).toBe(200);
  }
  // What the import left to do isn't in the way of the kills.
  await sql`update events set status = 'dispatched' where status = 'pending'`;
  const file = join(waypost.folder, "campaign.csv");
  writeFileSync(file, `account\n${ids.join("\n")}\n`);

  const killedAt = await killedOnTheWay(file);
  expect((await waypost.waypost("enrol", "walk", "--csv", file)).code).toBe(0);
  expect(await count("runs")).toBe(ACCOUNTS);

  const kills: { begun: number; marked: number }[] = [];
  for (let kill = 1; kill <= KILLS; kill++) {
    const worker = await waypost.worker();
    const enough = Math.ceil((ACCOUNTS * kill) / (KILLS + 2));
    await eventually(async () => ((await begun()) >= enough ? true : undefined), undefined, 600_000);
    expect(await worker.end("SIGKILL")).toBe(137);
    // Temporal's list is a little behind its workflows, and its database connections end a little after a process.
    await pause(1_500);
    kills.push({
      begun: await begun(),
      marked: await count("events where name = 'run.enrolled' and status <> 'pending'"),
    });
  }
  await waypost.worker();
  await eventually(
    async () => ((await count("runs where 'go' = any(position)")) === ACCOUNTS ? true : undefined),
    async () => `${await count("runs where 'go' = any(position)")} wait`,
    60_000 + ACCOUNTS * 200,
  );
  await pause(1_500);

  const executions: string[] = [];
  for await (const { workflowId } of temporal.workflow.list({ query: ours(), pageSize: 1_000 }))
    executions.push(workflowId);
  const notBegun = ACCOUNTS - new Set(executions).size;
  const twice = executions.length - new Set(executions).size;
  const enrolledTwice = (await count("runs")) - (await count("(select distinct account_id from runs) a"));
  console.log(
    `campaign: ${ACCOUNTS} runs, the command killed at ${killedAt}; workers killed at ${kills.map(({ begun, marked }) => `${begun} begun of which ${marked} marked`).join(", ")}; ` +
      `not begun ${notBegun}, begun twice ${twice}, enrolled twice ${enrolledTwice}; ${Math.round((performance.now() - startedAt) / 1_000)} s`,
  );
  expect({ notBegun, twice, enrolledTwice }).toEqual({ notBegun: 0, twice: 0, enrolledTwice: 0 });
  // Between a start and its mark: otherwise nothing was tested.
  expect(kills.some((kill) => kill.begun > kill.marked)).toBe(true);
}, 3_600_000);

/** Kills the command as soon as it has written something; how many were enrolled by then. */
async function killedOnTheWay(file: string): Promise<number> {
  const environment = { PATH: process.env["PATH"], HOME: process.env["HOME"], ...waypost.environment };
  const child = spawn(process.execPath, [WAYPOST, "enrol", "walk", "--csv", file], {
    cwd: waypost.folder,
    env: environment,
    stdio: "ignore",
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  while (child.exitCode === null && (await count("runs")) === 0) await pause(5);
  child.kill("SIGKILL");
  await ended;
  return count("runs");
}

function ours(): string {
  return `WorkflowType = 'runPlaybook' AND TaskQueue = '${waypost.environment["WAYPOST_TASK_QUEUE"]}'`;
}

async function begun(): Promise<number> {
  return (await temporal.workflow.count(ours())).count;
}

async function count(what: string): Promise<number> {
  return (await sql.unsafe(`select count(*)::int as n from ${what}`))[0]?.["n"] as number;
}
