import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../../src/local/free-port.js";
import { eventually, pause, type Production, runWaypost, startProduction, startProgram } from "./support/production.js";
import { END, mail, workspace } from "./support/workspace.js";

let waypost: Production;
const folder = mkdtempSync(join(tmpdir(), "waypost-processes-"));

beforeAll(async () => {
  waypost = await startProduction();
  await waypost.server();
  await waypost.publish(workspace({ walk: WALK }));
}, 60_000);
afterAll(async () => {
  await waypost?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("before anything is published, doctor says no, and a health check is fine", async () => {
  const fresh = await startProduction();
  try {
    const { code, stdout } = await fresh.waypost("doctor");
    expect([code, stdout.includes("nothing is published")]).toEqual([1, true]);
    expect((await fresh.waypost("doctor", "--reachable")).code).toBe(0);
    const away = { ...fresh.environment, TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}` };
    expect((await runWaypost(["doctor", "--reachable"], away, folder)).code).toBe(1);
  } finally {
    await fresh.stop();
  }
}, 120_000);

/** Mails, a task and a nudge with a second's pauses between them: a kill finds some of everything. */
const WALK = `${mail("hello")}  - { id: pause_1, wait: 1s }
  - { id: call, task: { title: "Call {{ account.name }}", for: csm, due: 2 bd } }
  - { id: nudge, slack: { to: "#cs", text: "{{ account.name }} walks" } }
  - { id: pause_2, wait: 1s }
${mail("bye")}${END}`;

const ended = ({ status }: { status: string }) => status === "ended";

test.each(["worker", "server"])("a %s told nothing says which variables it needs, and ends with 2", async (name) => {
  const { code, stderr } = await runWaypost([name], {}, folder);
  expect(code).toBe(2);
  const named = stderr.split("\n").flatMap((line) => /^([A-Z_]+) is not set/.exec(line)?.[1] ?? []);
  expect(named).toEqual(
    {
      worker: ["DATABASE_URL", "TEMPORAL_ADDRESS", "SMTP_URL", "PUBLIC_URL"],
      server: ["DATABASE_URL", "TEMPORAL_ADDRESS", "PUBLIC_URL"],
    }[name],
  );
});

test("every variable that can't be used is named, with an example and without its secret", async () => {
  const wrong = {
    ...waypost.environment,
    DATABASE_URL: "mysql://root:s3cret@db/x",
    TEMPORAL_ADDRESS: "http://temporal:7233",
    SMTP_URL: "smtp//user:s3cret@relay",
    SLACK_BOT_TOKEN: "s3cret",
    PORT: "99999",
    WAYPOST_CLOCK: "{fast}",
    EMAIL_ONLY_TO: ",",
    MAIL_DOMAIN: "not a domain",
  };
  const { code, stderr, stdout } = await runWaypost(["server"], wrong, folder);
  expect([code, stdout]).toEqual([2, ""]);
  const lines = stderr.trim().split("\n");
  expect(lines.map((line) => line.split(" ", 1)[0]).sort()).toEqual([
    "DATABASE_URL",
    "EMAIL_ONLY_TO",
    "MAIL_DOMAIN",
    "PORT",
    "SLACK_BOT_TOKEN",
    "SMTP_URL",
    "TEMPORAL_ADDRESS",
    "WAYPOST_CLOCK",
  ]);
  for (const line of lines) expect(line).toContain("For example: ");
  expect(stderr).not.toContain("s3cret");
});

test("a server starts without Postgres and Temporal, says so, and answers 503 with Retry-After", async () => {
  const [nothing, port] = [await freePort(), await freePort()];
  const environment = {
    ...waypost.environment,
    DATABASE_URL: `postgres://waypost@127.0.0.1:${nothing}/waypost`,
    TEMPORAL_ADDRESS: `127.0.0.1:${nothing}`,
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    PORT: String(port),
  };
  const server = await startProgram("server", environment, folder);
  try {
    const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([503, { ok: false, postgres: false, temporal: false }]);
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    const headers = { authorization: `Bearer ${waypost.token}` };
    const asked = await fetch(`http://127.0.0.1:${port}/v1/runs`, { headers });
    expect([asked.status, asked.headers.get("retry-after"), ((await asked.json()) as { type: string }).type]).toEqual([
      503,
      "5",
      "urn:waypost:problem:unavailable",
    ]);
    const click = { type: "block_actions", user: { id: "U1" }, actions: [{ action_id: "task:complete" }] };
    const body = `payload=${encodeURIComponent(JSON.stringify(click))}`;
    const time = String(Math.floor(Date.now() / 1000));
    const signature = `v0=${createHmac("sha256", waypost.environment.SLACK_SIGNING_SECRET as string)
      .update(`v0:${time}:${body}`)
      .digest("hex")}`;
    const pressed = await fetch(`http://127.0.0.1:${port}/slack/events`, {
      method: "POST",
      body,
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": time,
        "x-slack-signature": signature,
      },
    });
    expect([pressed.status, pressed.headers.get("retry-after")]).toEqual([503, "5"]);
  } finally {
    expect(await server.end()).toBe(0);
  }
});

test("a port that is taken is a fault that says so", async () => {
  const { code, stdout, stderr } = await runWaypost(["server"], waypost.environment, folder);
  expect(code).toBe(3);
  expect(stdout + stderr).toContain("EADDRINUSE");
});

test("two workers, one killed with -9 in the middle and replaced: nothing doubled, nothing lost", async () => {
  const accounts = Array.from({ length: 12 }, (_, index) => `walker-${index}`);
  const [first] = await Promise.all([waypost.worker(), waypost.worker()]);
  for (const account of accounts) await waypost.account(account);
  await Promise.all(accounts.map((account) => waypost.signal("walk", account)));
  await eventually(async () => waypost.mailbox.messages().length >= 3 || undefined);
  expect(await first?.end("SIGKILL")).toBe(137);
  await waypost.worker();
  const runs = await Promise.all(accounts.map((account) => waypost.run(account, ended)));
  expect(runs.map(({ outcome }) => outcome)).toEqual(accounts.map(() => "done"));
  for (const account of accounts)
    expect(waypost.mailsTo(account)).toEqual([`hello for ${account}`, `bye for ${account}`]);
  const posted = waypost.desk
    .posts()
    .map(({ text }) => text)
    .filter((text) => text.endsWith(" walks"));
  expect(posted.sort()).toEqual(accounts.map((account) => `${account} walks`).sort());
  const { tasks } = (await waypost.ask("GET", "/v1/tasks?limit=100")).body;
  expect(tasks.map(({ title }: { title: string }) => title).sort()).toEqual(
    accounts.map((account) => `Call ${account}`).sort(),
  );
  expect([waypost.mailbox.stats().duplicated, waypost.desk.stats().duplicated]).toEqual([0, 0]);
  const walked = [
    "run.started",
    "email.sent hello",
    "wait.began pause_1",
    "wait.over pause_1",
    "task.opened call",
    "slack.posted nudge",
    "wait.began pause_2",
    "wait.over pause_2",
    "email.sent bye",
    "run.ended end-7",
  ];
  for (const { id } of runs) expect(await waypost.timeline(id)).toEqual(walked);
}, 60_000);

test("killed again and again while it works, at other moments each time", async () => {
  const accounts = Array.from({ length: 6 }, (_, index) => `hunted-${index}`);
  for (const account of accounts) await waypost.account(account);
  await Promise.all(accounts.map((account) => waypost.signal("walk", account)));
  for (const afterMs of [300, 700, 1_300]) {
    const worker = await waypost.worker();
    await pause(afterMs);
    await worker.end("SIGKILL");
  }
  await waypost.worker();
  const runs = await Promise.all(accounts.map((account) => waypost.run(account, ended)));
  expect(runs.map(({ outcome }) => outcome)).toEqual(accounts.map(() => "done"));
  for (const account of accounts)
    expect(waypost.mailsTo(account)).toEqual([`hello for ${account}`, `bye for ${account}`]);
  expect([waypost.mailbox.stats().duplicated, waypost.desk.stats().duplicated]).toEqual([0, 0]);
}, 60_000);

test("what a person changes at the command line is in the audit, which verifies, and shows what was altered", async () => {
  await waypost.account("audited");
  writeFileSync(join(waypost.folder, "accounts.csv"), "id,name\naudited,Audited Ltd\n");
  const commands: readonly (readonly string[])[] = [
    ["import", "accounts.csv"],
    ["event", "signal.raised", "--account", "audited", "--set", "reason=none", "--id", "audited-1"],
    ["event", "signal.raised", "--account", "audited", "--set", "reason=none", "--id", "audited-1"],
    [
      "health",
      "audited",
      "--override",
      "red",
      "--reason",
      "pat@audited.example said so",
      "--until",
      "2099-01-01T00:00Z",
    ],
    ["health", "audited", "--clear"],
    ["hold", "--playbook", "walk", "--reason", "typo"],
    ["release", "--playbook", "walk"],
    ["release", "--playbook", "walk"],
    ["token", "create", "short-lived", "--scope", "runs:read", "--expires", "2099-01-01T00:00:00Z"],
    ["token", "revoke", "short-lived"],
  ];
  for (const command of commands) {
    const { code, stderr, stdout } = await waypost.waypost(...command);
    expect([command.join(" "), code, code === 0 ? "" : stderr + stdout]).toEqual([command.join(" "), 0, ""]);
  }
  const { rows } = (await waypost.waypost("audit", "list", "--json")).json();
  const byHand = rows.filter(({ actor }: { actor: string }) => actor.startsWith("cli:")).reverse();
  expect(
    byHand.map(({ action, subject, detail }: Record<string, unknown>) => [action, subject, detail ?? null]).slice(-8),
  ).toEqual([
    ["customers.import", "customers", { accounts: 1 }],
    ["event.append", "audited-1", { name: "signal.raised", account: "audited", status: "accepted" }],
    [
      "health.override",
      "audited",
      { status: "red", reason: "…@audited.example said so", until: "2099-01-01T00:00:00Z" },
    ],
    ["health.override_removed", "audited", null],
    ["switch.on", "playbook:walk", { reason: "typo" }],
    ["switch.off", "playbook:walk", null],
    ["token.create", "short-lived", { scopes: ["runs:read"] }],
    ["token.revoke", "short-lived", null],
  ]);

  const whole = await waypost.waypost("audit", "verify", "--json");
  expect([whole.code, whole.json().ok]).toEqual([0, true]);
  const { head } = whole.json();
  expect((await waypost.waypost("audit", "verify", "--head", head)).code).toBe(0);
  expect((await waypost.waypost("audit", "verify", "--head", "nonsense")).code).toBe(2);
  const client = postgres(waypost.database.url, { max: 1, onnotice: () => {} });
  await client.unsafe(
    "alter table audit disable trigger user; update audit set actor = 'nobody' where seq = 2; alter table audit enable trigger user",
  );
  const altered = await waypost.waypost("audit", "verify");
  expect([altered.code, altered.stdout.split("\n")[0]]).toEqual([1, "NOT AS WRITTEN: row 2 is not as it was written"]);
  await client.end();
}, 120_000);
