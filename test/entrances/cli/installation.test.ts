import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { openDatabase } from "../../../src/adapters/postgres/database.js";
import { runWaypost, writeFiles } from "../../resilience/support/production.js";
import { END, mail, waitForGo, workspace } from "../../resilience/support/workspace.js";
import { type FreshDatabase, freshDatabase } from "../../support/database.js";

/** The commands on a database of their own; no worker runs, so what they enrol waits. */
let folder: string;
let fresh: FreshDatabase;
let environment: Record<string, string>;

const waypost = (...args: string[]) => runWaypost(args, environment, folder);
async function sql(query: string): Promise<readonly Record<string, unknown>[]> {
  const database = openDatabase(fresh.url, { poolMax: 1 });
  try {
    return await database.client.unsafe(query);
  } finally {
    await database.close();
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "waypost-cli-"));
  fresh = await freshDatabase();
  environment = { DATABASE_URL: fresh.url, TEMPORAL_ADDRESS: inject("temporalAddress") ?? "" };
  const personal = `playbook: personal
title: Personal
maintainer: ops@waypost.example
subject: contact
enroll: { when: [ { manual: {} } ], again: always }
steps:
${waitForGo()}${END}`;
  await writeFiles(join(folder, "playbooks"), {
    ...workspace({ hello: mail("hello") + END, wide: waitForGo() + END }),
    "personal/playbook.yaml": personal,
  });
  const published = await waypost("publish");
  expect(published.stderr + published.stdout).toContain("published");
  await writeFiles(folder, {
    "in/accounts.csv": "id,name,timezone,stage\na-1,Acme,UTC,adoption\na-2,Beta,UTC,adoption\n",
    "in/contacts.csv": "id,account,name,email,role\nc-1,a-1,Carla,carla@acme.example,champion\n",
  });
  expect((await waypost("import", "in")).code).toBe(0);
}, 60_000);
afterAll(async () => {
  await fresh?.drop();
  rmSync(folder, { recursive: true, force: true });
});

test("the environment names the installation, else the local system of the folder; never half of each", async () => {
  await writeFiles(folder, {
    ".waypost/connection.json": JSON.stringify({
      ...environment,
      WAYPOST_CLOCK: "of a demo",
      SMTP_URL: "and its mail",
    }),
  });
  expect((await waypost("health", "a-1")).stderr).toBe("");
  const local = await runWaypost(["health", "a-1"], {}, folder);
  expect([local.code, local.stderr]).toEqual([2, expect.stringContaining("WAYPOST_CLOCK")]);
  await writeFiles(folder, { ".waypost/connection.json": JSON.stringify(environment) });
  expect((await runWaypost(["health", "a-1"], { TEMPORAL_ADDRESS: "of another" }, folder)).stderr).toBe("");
  rmSync(join(folder, ".waypost"), { recursive: true });
});

describe("health", () => {
  test("no such account, not measured yet, measured now: three answers", async () => {
    const none = await waypost("health", "nobody");
    expect([none.code, none.stdout]).toEqual([1, "There is no account nobody.\n"]);
    const noneMeasured = await waypost("health", "nobody", "--measure");
    expect([noneMeasured.code, noneMeasured.stdout]).toEqual([1, "There is no account nobody.\n"]);
    const unmeasured = await waypost("health", "a-1");
    expect(unmeasured.code).toBe(1);
    expect(unmeasured.stdout).toContain("a-1 was not measured yet");
    expect(unmeasured.stdout).toContain("`waypost health a-1 --measure`");
    const measured = await waypost("health", "a-1", "--measure", "--json");
    expect([measured.code, measured.json().score, measured.json().status]).toEqual([0, 100, "green"]);
    expect((await waypost("health", "a-1", "--json")).json().score).toBe(100);
  }, 30_000);
});

describe("enrol one", () => {
  test("a contact names its account", async () => {
    const done = await waypost("enrol", "personal", "--contact", "c-1", "--json");
    expect([done.code, done.json()]).toEqual([0, { ok: true, kind: "enrolled", run: "run/personal/c-1/c-1/1" }]);
    const none = await waypost("enrol", "personal", "--contact", "c-9");
    expect([none.code, none.stdout]).toEqual([1, 'Not enrolled: there is no contact "c-9".\n']);
    const nobody = await waypost("enrol", "personal");
    expect([nobody.code, nobody.stderr]).toEqual([
      2,
      "Say whom, in one way: --account ID, --contact ID, --segment NAME or --csv FILE.\n",
    ]);
  }, 30_000);
});

describe("event", () => {
  test("takes what came of a mail, as HTTP does", async () => {
    const unknown = await waypost("event", "email.replied", "--set", "delivery=00000000-0000-4000-8000-000000000000");
    expect([unknown.code, unknown.stdout]).toEqual([1, "Not taken: payload.delivery: no mail of a run has this id.\n"]);
    const wrong = await waypost("event", "email.bounced", "--set", "delivry=x");
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      "payload.delivery: must be the delivery's id, or the mail's Message-ID\npayload.delivry: is not known; known are delivery, permanent\n",
    ]);
  }, 30_000);

  test("an id of another event is refused", async () => {
    const once = ["event", "signal.raised", "--account", "a-2", "--id", "e-1", "--set", "reason=none"];
    expect((await waypost(...once)).stdout).toBe("Accepted: e-1\n");
    expect((await waypost(...once)).stdout).toBe("Known already, nothing was done: e-1\n");
    const other = await waypost("event", "signal.raised", "--account", "a-1", "--id", "e-1", "--set", "reason=none");
    expect([other.code, other.stdout]).toEqual([
      1,
      "Not taken: this id was used for another event; give each event an id of its own.\n",
    ]);
  }, 30_000);
});

test("runs: WHERE has the innermost steps only; --json has all", async () => {
  await waypost("enrol", "wide", "--account", "a-1");
  const position = ["root", "root/left", "root/left/one", "root/right", "root/right#2", "root/right#2/two"];
  await sql(`update runs set status = 'running', position = '{${position.join(",")}}' where playbook = 'wide'`);
  const listed = await waypost("runs", "--playbook", "wide");
  expect(listed.stdout.split("\n")[1]).toMatch(/ one, two$/);
  expect((await waypost("runs", "--playbook", "wide", "--json")).json().runs[0].position).toEqual(position);
}, 30_000);

describe("doctor", () => {
  const look = async () => {
    const { code, json } = await waypost("doctor", "--json");
    const findings = json().findings as { what: string; ok: boolean; says: string; fix?: string }[];
    return { code, of: (what: string) => findings.find((one) => one.what === what) };
  };

  test("sees runs that don't start, events that are not handed on, unmatched ones, held mail, the oldest run", async () => {
    const now = await look();
    expect(now.of("starting")).toMatchObject({ ok: true, says: "none waits for its start" });
    expect(now.of("events")).toMatchObject({ ok: true, says: "none is stuck" });
    expect(now.of("unmatched")).toMatchObject({ ok: true, says: "every event found its account" });
    expect(now.of("mail")).toMatchObject({ ok: true, says: "nothing is held" });
    expect(now.of("oldest run")?.says).toMatch(/^the oldest live run began 20\S+ \(run\/personal\/c-1\/c-1\/1\)$/);

    await sql("update events set received_at = received_at - interval '2 minutes'");
    await waypost("event", "signal.raised", "--account", "never-1", "--id", "lost-1");
    await waypost("hold", "--all-email");
    const later = await look();
    expect(later.code).toBe(1);
    expect(later.of("starting")).toMatchObject({
      ok: false,
      says: "1 wait for their start for over a minute: run/personal/c-1/c-1/1",
    });
    expect(later.of("events")?.ok).toBe(false);
    expect(later.of("events")?.says).toMatch(/^\d+ wait for over a minute to be handed on, of a-\d, a-\d$/);
    expect(later.of("unmatched")?.says).toMatch(/^1 event waits for who is not known yet, the first since 20/);
    expect(later.of("unmatched")?.fix).toContain("`waypost unmatched`");
    expect(later.of("mail")?.says).toMatch(/^all e-mail held by cli:\S+ since 20/);
    const listed = await waypost("unmatched");
    expect(listed.stdout.split("\n")[1]).toMatch(/^lost-1 +signal.raised +20\S+ +cli +account never-1$/);
    await waypost("release", "--all-email");
  }, 60_000);

  test("says when the namespace belongs to another installation", async () => {
    const { Client, Connection } = await import("@temporalio/client");
    const connection = await Connection.connect({ address: inject("temporalAddress") as string });
    const client = new Client({ connection });
    const handle = await client.workflow.start("somethingElse", {
      workflowId: "run/personal/c-1/c-1/1",
      taskQueue: "nobody",
      memo: { plan: "another", startedAt: 1 },
    });
    try {
      expect((await look()).of("starting")?.says).toBe(
        "Temporal knows another run run/personal/c-1/c-1/1: this namespace belongs to another database, or to an earlier one. Give each installation a namespace of its own.",
      );
    } finally {
      await handle.terminate();
      await connection.close();
    }
  }, 30_000);
});

test("each change leaves one row in the audit, with who it was; what changes nothing leaves none", async () => {
  await sql("insert into accounts (id, name, created_at) values ('a-9', 'Nine', now())");
  await writeFiles(folder, {
    "more/accounts.csv": "id,name\na-9,Nine Ltd\n",
    "list/people.csv": "account\na-9\n",
  });
  const before = Number((await sql("select coalesce(max(seq), 0) as seq from audit"))[0]?.["seq"]);
  const steps: readonly (readonly string[])[] = [
    ["import", "more"],
    ["import", "more"],
    ["publish"],
    ["enrol", "hello", "--account", "a-9"],
    ["enrol", "hello", "--account", "a-9"],
    ["enrol", "wide", "--csv", "list/people.csv"],
    ["event", "signal.raised", "--account", "a-9", "--id", "e-9", "--set", "reason=none"],
    ["event", "signal.raised", "--account", "a-9", "--id", "e-9", "--set", "reason=none"],
    ["health", "a-9", "--override", "green", "--reason", "good", "--until", "2099-01-01T00:00:00Z"],
    ["health", "a-9", "--clear"],
    ["hold", "--all-sends", "--reason", "to be sure"],
    ["hold", "--all-sends"],
    ["release", "--all-sends"],
    ["token", "create", "audited", "--scope", "runs:read"],
    ["token", "revoke", "audited"],
    ["stop", "run/hello/nobody/1"],
    ["health", "a-9"],
    ["runs"],
    ["audit", "list"],
  ];
  for (const step of steps) await waypost(...step);
  const rows = await sql(`select actor, action, subject from audit where seq > ${before} order by seq`);
  expect(rows.map(({ action, subject }) => `${action} ${subject}`)).toEqual([
    "customers.import customers",
    // It notes what was looked at, though nothing was new.
    "playbooks.publish hello@1 personal@1 wide@1",
    "run.enrol run/hello/a-9/a-9/1",
    // The live run was told.
    "run.enrol run/hello/a-9/a-9/1",
    "run.enrol_many wide",
    "event.append e-9",
    "health.override a-9",
    "health.override_removed a-9",
    "switch.on all_sends",
    "switch.off all_sends",
    "token.create audited",
    "token.revoke audited",
  ]);
  expect(new Set(rows.map(({ actor }) => String(actor).replace(/:.*/, "")))).toEqual(new Set(["cli"]));
  expect((await waypost("audit", "verify")).code).toBe(0);
}, 90_000);
