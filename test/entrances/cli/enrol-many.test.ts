import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { openDatabase } from "../../../src/adapters/postgres/database.js";
import { runWaypost, writeFiles } from "../../resilience/support/production.js";
import { END, waitForGo, workspace } from "../../resilience/support/workspace.js";
import { type FreshDatabase, freshDatabase } from "../../support/database.js";

const WAYPOST = fileURLToPath(new URL("../../../bin/waypost.mjs", import.meta.url));
const ACCOUNTS = 6_000;

let folder: string;
let fresh: FreshDatabase;
let environment: Record<string, string>;

const waypost = (...args: string[]) => runWaypost(args, environment, folder);
async function sql<Row>(query: string): Promise<readonly Row[]> {
  const database = openDatabase(fresh.url, { poolMax: 1 });
  try {
    return (await database.client.unsafe(query)) as unknown as readonly Row[];
  } finally {
    await database.close();
  }
}
const runsOf = (playbook: string) =>
  sql<{ runs: number; accounts: number; started: number }>(
    `select count(*)::int as runs, count(distinct account_id)::int as accounts,
      (select count(*)::int from events where name = 'run.enrolled' and run_id like 'run/${playbook}/%') as started
     from runs where playbook = '${playbook}'`,
  );

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "waypost-enrol-"));
  fresh = await freshDatabase();
  environment = { DATABASE_URL: fresh.url, TEMPORAL_ADDRESS: inject("temporalAddress") ?? "" };
  const head = (name: string, more: string) => `playbook: ${name}
title: ${name}
maintainer: ops@waypost.example
${more}
steps:
${waitForGo()}${END}`;
  await writeFiles(join(folder, "playbooks"), {
    ...workspace({ killed: waitForGo() + END, segmented: waitForGo() + END }),
    "typed/playbook.yaml": head(
      "typed",
      `subject: account
inputs: { seats: { type: number, default: 1 } }
enroll: { when: [ { manual: {} } ], again: per_key, if: account.stage == "adoption" }`,
    ),
    "personal/playbook.yaml": head(
      "personal",
      "subject: contact\nenroll: { when: [ { manual: {} } ], again: per_key }",
    ),
  });
  const published = await waypost("publish");
  expect(published.stdout).toContain("published");
  const ids = Array.from({ length: ACCOUNTS }, (_, index) => `a-${index}`);
  writeFileSync(
    join(folder, "accounts.csv"),
    `id,name,timezone,stage\n${ids.map((id, index) => `${id},Name ${id},UTC,${index % 2 ? "adoption" : "onboarding"}`).join("\n")}\n`,
  );
  writeFileSync(join(folder, "contacts.csv"), "id,account,name\nc-1,a-1,Eva\nc-2,a-1,Bo\nc-3,a-2,Cy\n");
  writeFileSync(join(folder, "all.csv"), `account\n${ids.join("\n")}\n`);
  expect((await waypost("import", "accounts.csv", "contacts.csv")).stdout).toContain(`${ACCOUNTS} accounts`);
}, 120_000);
afterAll(async () => {
  await fresh?.drop();
  rmSync(folder, { recursive: true, force: true });
});

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once("close", () => resolve()));
}

test("killed in the middle and run again, twice: everybody is enrolled once", async () => {
  for (const share of [0.1, 0.5]) {
    const child = spawn(process.execPath, [WAYPOST, "enrol", "killed", "--csv", "all.csv"], {
      cwd: folder,
      env: { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "", ...environment },
    });
    const over = ended(child);
    for (;;) {
      const [{ runs } = { runs: 0 }] = await runsOf("killed");
      if (runs >= ACCOUNTS * share) break;
      if (child.exitCode !== null) throw new Error("it ended before it could be killed");
    }
    child.kill("SIGKILL");
    await over;
  }
  const [half] = await runsOf("killed");
  expect(half?.runs).toBeGreaterThanOrEqual(ACCOUNTS / 2);
  expect(half?.runs).toBeLessThan(ACCOUNTS);
  const again = await waypost("enrol", "killed", "--csv", "all.csv", "--json");
  expect([again.code, again.json()]).toMatchObject([
    0,
    { ok: true, rows: ACCOUNTS, enrolled: ACCOUNTS - (half?.runs ?? 0), already: half?.runs, told: 0, bad: 0 },
  ]);
  expect(await runsOf("killed")).toEqual([{ runs: ACCOUNTS, accounts: ACCOUNTS, started: ACCOUNTS }]);
  const audited = await sql<{ n: number }>(
    "select sum((detail->>'enrolled')::int)::int as n from audit where action = 'run.enrol_many'",
  );
  expect(audited).toEqual([{ n: ACCOUNTS }]);
}, 120_000);

test("two at once enrol everybody once", async () => {
  writeFileSync(
    join(folder, "some.csv"),
    `account\n${Array.from({ length: 1_000 }, (_, index) => `a-${index}`).join("\n")}\n`,
  );
  const both = await Promise.all([1, 2].map(() => waypost("enrol", "segmented", "--csv", "some.csv", "--json")));
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect(both.reduce((sum, one) => sum + one.json().enrolled, 0)).toBe(1_000);
  expect(both.reduce((sum, one) => sum + one.json().already, 0)).toBe(1_000);
  expect(await runsOf("segmented")).toEqual([{ runs: 1_000, accounts: 1_000, started: 1_000 }]);
}, 60_000);

describe("rows", () => {
  test("are named by file, line and column where they can't be; the others are in", async () => {
    writeFileSync(
      join(folder, "list.csv"),
      "\ufeffaccount;input:seats\r\na-1;12\r\nghost;\r\na-3;many\r\na-5;\r\na-2;3\r\na-1;12\r\na-7;1;2\r\n",
    );
    const done = await waypost("enrol", "typed", "--csv", "list.csv", "--input", "seats=4");
    expect([done.code, done.stdout]).toEqual([
      1,
      `list.csv:3:1: there is no account "ghost"
list.csv:4:1: input "seats" of playbook "typed" must be a number
list.csv:8:7: the row has 3 cells, but there are 2 columns
7 read: 2 enrolled, 1 were already, by this campaign, 1 left out by the playbook's \`if\`, 3 bad.
${done.stdout.trim().split("\n").at(-1)}
`,
    ]);
    expect(await sql("select account_id, inputs from runs where playbook = 'typed' order by account_id")).toEqual([
      { account_id: "a-1", inputs: { seats: 12 } },
      { account_id: "a-5", inputs: { seats: 4 } },
    ]);
    // Another campaign: the playbook's own `again` still holds.
    const other = await waypost("enrol", "typed", "--csv", "list.csv", "--campaign", "spring", "--json");
    expect(other.json()).toMatchObject({ campaign: "spring", enrolled: 0, told: 3, bad: 3 });
  }, 30_000);

  test("with an unknown column nobody is enrolled; contacts name their accounts", async () => {
    writeFileSync(join(folder, "wrong.csv"), "acount\na-1\n");
    expect((await waypost("enrol", "typed", "--csv", "wrong.csv")).stdout).toMatch(
      /^wrong\.csv:1:1: "acount" is no column of a list to enrol; did you mean "account"\?\. Nobody of this file/,
    );
    writeFileSync(
      join(folder, "people.jsonl"),
      '{"contact":"c-1"}\n{"contact":"c-9"}\n{"contact":"c-3","account":"a-1"}\n',
    );
    const done = await waypost("enrol", "personal", "--csv", "people.jsonl", "--json");
    expect(done.json()).toMatchObject({
      enrolled: 1,
      bad: 2,
      problems: [
        { line: 2, message: 'there is no contact "c-9"' },
        { line: 3, message: 'contact "c-3" belongs to account "a-2", not "a-1"' },
      ],
    });
  }, 30_000);
});

test("a segment: its members, for a contact's playbook their contacts; unknown ones are named", async () => {
  await sql(
    "insert into segment_members (segment, account_id, since) select 'customers', id, now() from accounts where id in ('a-1', 'a-2', 'a-4')",
  );
  const people = await waypost("enrol", "personal", "--segment", "customers", "--json");
  expect([people.code, people.json()]).toMatchObject([
    0,
    { campaign: "segment/customers", rows: 3, enrolled: 2, told: 1 },
  ]);
  const again = await waypost("enrol", "personal", "--segment", "customers", "--json");
  expect(again.json()).toMatchObject({ rows: 3, enrolled: 0, already: 2, told: 1 });
  const wrong = await waypost("enrol", "personal", "--segment", "custmers");
  expect([wrong.code, wrong.stdout]).toEqual([1, 'There is no segment "custmers". Did you mean "customers"?\n']);
}, 30_000);
