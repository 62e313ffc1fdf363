import { createHmac } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, type Production, startProduction, writeFiles } from "./support/production.js";
import { END, mail, waitForGo, workspace } from "./support/workspace.js";

let waypost: Production;

beforeAll(async () => {
  waypost = await startProduction();
  await Promise.all([waypost.worker(), waypost.server()]);
  await waypost.publish(workspace(OLD));
}, 60_000);
afterAll(async () => waypost?.stop());

const OLD = {
  walk: mail("first") + waitForGo() + mail("second") + END,
  once: mail("single") + END,
  call: task("Call"),
};
const ended = ({ status }: { status: string }) => status === "ended";

function task(title: string): string {
  return `  - { id: call, task: { title: "${title} {{ account.name }}", for: csm, due: 2 bd, wait: done, within: 5 bd } }\n${END}`;
}

const go = (account: string) => waypost.ask("POST", "/v1/events", { id: `go-${account}`, name: "go.given", account });

test("a playbook published while runs live: they stay on their version, new ones take the new", async () => {
  await waypost.account("before");
  await waypost.account("after");
  await waypost.signal("walk", "before");
  await waypost.run("before", ({ position }) => position.includes("go"));
  await waypost.publish(workspace({ ...OLD, walk: waitForGo("go_2") + mail("other") + END }));
  await waypost.signal("walk", "after");
  await waypost.run("after", ({ position }) => position.includes("go_2"));
  await Promise.all(["before", "after"].map(go));
  await waypost.run("before", ended);
  await waypost.run("after", ended);
  expect(waypost.mailsTo("before")).toEqual(["first for before", "second for before"]);
  expect(waypost.mailsTo("after")).toEqual(["other for after"]);

  await writeFiles(join(waypost.folder, "back"), workspace(OLD));
  const back = await waypost.waypost("publish", "back", "--json");
  expect([
    back.code,
    back.json().playbooks.map(({ playbook, number, what }: Record<string, unknown>) => [playbook, number, what]),
  ]).toEqual([
    0,
    [
      ["call", 1, "same"],
      ["once", 1, "same"],
      ["walk", 1, "back"],
    ],
  ]);
});

test("an event for an account that nobody knows is kept, said to be unmatched, and enrols when the account is imported", async () => {
  const event = { id: "early-bird", name: "signal.raised", account: "unborn", payload: { reason: "once" } };
  const told = await waypost.ask("POST", "/v1/events", event);
  expect([told.status, told.body]).toEqual([
    202,
    {
      id: "early-bird",
      status: "unmatched",
      reason: 'account "unborn" is not known yet; the event is kept until it is imported',
    },
  ]);
  expect((await waypost.ask("POST", "/v1/events", event)).body).toMatchObject({ id: "early-bird", status: "repeated" });

  await writeFiles(waypost.folder, {
    "crm/accounts.csv":
      "id,name,timezone,locale,csm,is_test,stage\nunborn,unborn,Europe/Warsaw,en,ann,false,adoption\n",
    "crm/contacts.csv":
      "id,account,name,email,role,is_primary,is_active,locale\nunborn-pat,unborn,Pat Roe,pat@unborn.example,champion,true,true,en\n",
  });
  const imported = await waypost.waypost("import", "crm");
  expect(imported).toMatchObject({ code: 0, stderr: "" });
  expect(imported.stdout).toContain("1 events that had been waiting were matched.");
  await waypost.run("unborn", ended);
  expect(waypost.mailsTo("unborn")).toEqual(["single for unborn"]);
});

test("an event that waited for its contact wakes the run that waits for it", async () => {
  await waypost.account("half");
  await waypost.signal("walk", "half");
  await waypost.run("half", ({ position }) => position.includes("go"));
  const told = await waypost.ask("POST", "/v1/events", {
    id: "go-half",
    name: "go.given",
    account: "half",
    contact: "half-new",
  });
  expect(told.body).toMatchObject({ status: "unmatched" });
  await waypost.ask("PUT", "/v1/customers", {
    contacts: [{ id: "half-new", accountId: "half", fields: { name: "New", role: "champion", is_active: true } }],
  });
  await waypost.run("half", ended);
});

test("Slack's requests: unsigned, wrongly signed, stale and repeated ones are refused, and nothing is acted on", async () => {
  await waypost.account("pressed");
  await waypost.signal("call", "pressed");
  const shown = await eventually(async () => waypost.desk.posts().find(({ text }) => text.includes("Call pressed")));
  const buttons = shown.blocks.flatMap(({ elements = [] }) => elements as { action_id?: string; value?: string }[]);
  const complete = buttons.find(({ action_id }) => action_id?.startsWith("task:complete"));
  expect(complete).toBeDefined();
  const user = waypost.desk.userByEmail("ann@waypost.example")?.id;
  const payload = {
    type: "block_actions",
    user: { id: user },
    team: { id: "T1" },
    channel: { id: shown.channel },
    message: { ts: shown.ts, blocks: shown.blocks },
    container: { type: "message", message_ts: shown.ts, channel_id: shown.channel },
    trigger_id: "1.2",
    response_url: `${waypost.desk.url}/response/${shown.channel}/${user}`,
    actions: [{ type: "button", ...complete, block_id: "b", action_ts: "1" }],
  };
  const body = `payload=${encodeURIComponent(JSON.stringify(payload))}`;
  const press = async (options: { secret?: string; ageSeconds?: number; signature?: string }) => {
    const time = String(Math.floor(Date.now() / 1000) - (options.ageSeconds ?? 0));
    const secret = options.secret ?? (waypost.environment.SLACK_SIGNING_SECRET as string);
    const signature =
      options.signature ?? `v0=${createHmac("sha256", secret).update(`v0:${time}:${body}`).digest("hex")}`;
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      "x-slack-request-timestamp": time,
      ...(signature === "" ? {} : { "x-slack-signature": signature }),
    };
    const answer = await fetch(`${waypost.url}/slack/events`, { method: "POST", body, headers });
    return {
      status: answer.status,
      again: () => fetch(`${waypost.url}/slack/events`, { method: "POST", body, headers }),
    };
  };
  expect((await press({ signature: "" })).status).toBe(401);
  expect((await press({ signature: `v0=${"0".repeat(64)}` })).status).toBe(401);
  expect((await press({ secret: "another secret of Slack's" })).status).toBe(401);
  expect((await press({ ageSeconds: 301 })).status).toBe(401);
  expect((await press({ ageSeconds: -301 })).status).toBe(401);
  const status = async () => (await waypost.ask("GET", "/v1/tasks?account=pressed")).body.tasks[0].status;
  expect(await status()).toBe("open");

  const pressed = await press({});
  expect(pressed.status).toBe(200);
  await eventually(async () => ((await status()) === "done" ? true : undefined));
  const { revision } = (await waypost.ask("GET", "/v1/tasks?account=pressed")).body.tasks[0];
  expect((await pressed.again()).status).toBe(409);
  expect((await waypost.ask("GET", "/v1/tasks?account=pressed")).body.tasks[0].revision).toBe(revision);
  await waypost.run("pressed", ended);
});

test("bodies, paths and tokens that can't be understood: a problem that says where, and nothing of it is done", async () => {
  await waypost.account("whole");
  const event = (id: string, more: object = {}) => ({ id, name: "go.given", account: "whole", ...more });
  const problem = async (method: string, path: string, body?: unknown, headers?: Record<string, string>) => {
    const answer = await waypost.ask(method, path, body, headers);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    const { type, status, detail, errors } = answer.body;
    expect(status).toBe(answer.status);
    return [
      status,
      type.replace("urn:waypost:problem:", ""),
      detail,
      errors.map(({ path, message }: Record<string, string>) => `${path}: ${message}`),
    ];
  };
  expect(await problem("POST", "/v1/events", '{"id": "a",\n "name" "b"}')).toEqual([
    400,
    "bad-request",
    "the body is not JSON: line 2, column 9",
    [],
  ]);
  expect(await problem("POST", "/v1/events", { ...event("a"), acount: 1 })).toEqual([
    400,
    "bad-request",
    "the body does not fit",
    ['body: "acount" is not known; did you mean "account"?'],
  ]);
  expect((await problem("POST", "/v1/events", event("a", { payload: { wort: "go" } })))[0]).toBe(422);
  expect((await problem("POST", "/v1/events", event("a", { name: "go.gone" })))[0]).toBe(422);
  expect((await problem("POST", "/v1/events", event("a", { at: "2999-01-01T00:00:00Z" })))[0]).toBe(422);
  expect((await problem("POST", "/v1/events", "x=1", { "content-type": "application/x-www-form-urlencoded" }))[0]).toBe(
    415,
  );
  expect((await problem("GET", "/v1/runs/nowhere"))[0]).toBe(404);
  expect((await problem("PATCH", "/v1/runs"))[0]).toBe(405);
  for (const authorization of ["", "Basic abc", "Bearer wp_nobody", `Bearer ${waypost.token}x`, waypost.token])
    expect((await problem("POST", "/v1/events", event("a"), { authorization }))[0]).toBe(401);
  expect((await waypost.ask("POST", "/v1/events", event("a"))).body).toEqual({ id: "a", status: "accepted" });

  // Of a batch the good ones are in and the bad ones named; a batch that doesn't fit is refused whole.
  const batch = await waypost.ask("POST", "/v1/events", {
    events: [event("b1"), event("b2", { name: "no.such" }), event("b1")],
  });
  expect(batch.body.events.map(({ id, status }: Record<string, string>) => `${id} ${status}`)).toEqual([
    "b1 accepted",
    "b2 refused",
    "b1 repeated",
  ]);
  expect((await problem("POST", "/v1/events", { events: [event("c1")], evnts: [] }))[0]).toBe(400);
  const mixed = await waypost.ask("POST", "/v1/events", { events: [{ name: "go.given" }, event("c1")] });
  expect([mixed.status, mixed.body.events.map(({ status }: Record<string, string>) => status)]).toEqual([
    200,
    ["refused", "accepted"],
  ]);
  expect((await waypost.ask("POST", "/v1/events", event("c1"))).body).toEqual({ id: "c1", status: "repeated" });

  const broken = { ...workspace(OLD), "walk/playbook.yaml": "playbook: walk\n\ttitle: x" };
  expect((await problem("POST", "/v1/playbooks", { files: broken }))[0]).toBe(422);
});

test("files that are wrong: rows by file:line:column, the good ones in; a workspace with a fault is not published at all", async () => {
  const { folder } = waypost;
  await writeFiles(folder, {
    "bad/accounts.csv":
      "id,name,timezone,stage\ngood-1,Good,Europe/Warsaw,adoption\nbad-1,Bad,Mars/Base,adoption\nbad-2,Bad\nbad-3,Bad,Europe/Warsaw,flying\ngood-2,Good,Europe/Paris,churned\n",
    "bad/usage.jsonl":
      '{"id":"u1","account":"good-1","sample":"logins","at":"2026-01-01T00:00:00Z","value":1}\n{"id":"u2"\n[]\n',
    "open.csv": "",
    "broken/model.yaml": "events: [\n",
    "notes.txt": "hello",
  });
  const imported = await waypost.waypost("import", "bad", "--json");
  const report = imported.json();
  expect([imported.code, report.ok]).toEqual([1, false]);
  expect(report.problems.map(({ file, line, column }: Record<string, unknown>) => `${file}:${line}:${column}`)).toEqual(
    [
      "bad/accounts.csv:3:11",
      "bad/accounts.csv:4:7",
      "bad/accounts.csv:5:25",
      "bad/usage.jsonl:2:11",
      "bad/usage.jsonl:3:1",
    ],
  );
  const enrol = (account: string) => waypost.ask("POST", "/v1/enrolments", { playbook: "once", account });
  expect([(await enrol("good-2")).status, (await enrol("bad-1")).status, (await enrol("bad-3")).status]).toEqual([
    201, 404, 404,
  ]);

  const before = await waypost.ask("GET", "/v1/playbooks");
  const published = await waypost.waypost("publish", "broken", "--json");
  expect([published.code, published.json().ok]).toEqual([1, false]);
  expect((await waypost.ask("GET", "/v1/playbooks")).body).toEqual(before.body);
  expect((await waypost.waypost("import", "notes.txt")).code).toBe(2);
  expect((await waypost.waypost("import", "nowhere.csv")).code).toBe(2);
  expect((await waypost.waypost("publish", "nowhere")).code).toBe(2);
  expect((await waypost.waypost("event", "go.gone", "--account", "whole")).code).toBe(2);
  expect((await waypost.waypost("run", "nowhere", "--json")).code).toBe(1);
});
