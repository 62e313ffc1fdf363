import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { verifyAudit } from "../../../src/operations/verify-audit.js";
import { createToken, revokeToken } from "../../../src/operations/tokens.js";
import { SCOPES, type Scope } from "../../../src/ports/tokens.js";
import {
  type Answered,
  eventually,
  type Installation,
  smallWorkspace,
  startInstallation,
} from "../support/installation.js";

interface Operation {
  readonly operationId: string;
  readonly security: readonly { readonly token: readonly [Scope] }[];
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly requestBody?: { readonly required: boolean; readonly content: Record<string, { readonly schema: object }> };
  readonly responses: Record<
    string,
    {
      readonly description?: string;
      readonly $ref?: string;
      readonly content?: Record<string, { readonly schema: object }>;
    }
  >;
}

interface Way {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

let house: Installation;
let ways: Way[];
let run: string;
let task: string;

beforeAll(async () => {
  // Hundreds of requests in a few seconds; the limit has a test of its own.
  house = await startInstallation({ WAYPOST_REQUESTS_PER_SECOND: 10_000 });
  const document = (await house.ask("GET", "/openapi.json", { token: "" })).body as {
    paths: Record<string, Record<string, Operation>>;
  };
  ways = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
  await house.startWorker();
  await house.ask("POST", "/v1/playbooks", { body: { files: smallWorkspace() } });
  await house.ask("PUT", "/v1/customers", { body: CUSTOMERS });
  await house.ask("POST", "/v1/events", { body: { id: "seed", name: "signal.raised", account: "acme", payload: {} } });
  run = await eventually(async () => {
    const { body } = await house.ask("GET", "/v1/runs?account=acme");
    return body.runs.find(({ position }: { position: string[] }) => position.includes("answer"))?.id;
  });
  task = (await house.ask("GET", "/v1/tasks?account=acme")).body.tasks[0].id;
}, 120_000);
afterAll(async () => house.stop());

const CUSTOMERS = {
  at: new Date(Date.now() - 3 * 86_400_000).toISOString(),
  users: [
    { id: "u1", name: "Ann Lee", email: "ann@waypost.example", timezone: "Europe/London", calendar: "standard" },
    { id: "u2", name: "Bo Ray", email: "bo@waypost.example", timezone: "Europe/London", calendar: "standard" },
  ],
  accounts: ["acme", "beta", "gamma", "delta"].map((id) => ({
    id,
    fields: { name: id, timezone: "Europe/Warsaw", csm: "u1", is_test: false },
  })),
  contacts: ["acme", "beta", "gamma"].map((id) => ({
    id: `${id}-c1`,
    accountId: id,
    fields: { name: "Pat", email: `pat@${id}.example`, role: "champion", is_primary: true, is_active: true },
  })),
};

function way(operationId: string): Way {
  const found = ways.find(({ operation }) => operation.operationId === operationId);
  if (found === undefined) throw new Error(`no operation ${operationId}`);
  return found;
}

function expectProblem(answer: Answered, status: number, name: string): void {
  expect([answer.status, answer.body.type]).toEqual([status, `urn:waypost:problem:${name}`]);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(Object.keys(answer.body)).toEqual(["type", "title", "status", "detail", "errors"]);
  expect(answer.body.status).toBe(status);
  expect(JSON.stringify(answer.body)).not.toMatch(/node_modules|\.ts:|at \w+ \(/);
}

describe("the OpenAPI document", () => {
  test("is 3.1, names every operation once, declares every parameter, and all its schemas are schemas", async () => {
    const { body } = await house.ask("GET", "/openapi.json", { token: "" });
    expect(body.openapi).toBe("3.1.0");
    const ids = ways.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    for (const { path, operation } of ways) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      expect(operation.parameters.filter((one) => one.in === "path").map(({ name }) => name)).toEqual(inPath);
      const contents = [operation.requestBody, ...Object.values(operation.responses)].flatMap((one) =>
        Object.values(one?.content ?? {}),
      );
      for (const { schema } of contents) ajv.compile(schema);
      for (const { $ref } of Object.values(operation.responses)) {
        if ($ref !== undefined) expect(body.components.responses).toHaveProperty([$ref.split("/").at(-1) as string]);
      }
      expect(SCOPES).toContain(operation.security[0]?.token[0]);
    }
  });

  test("has these operations", () => {
    expect(ways.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
      "DELETE /v1/accounts/{id}/health/override",
      "DELETE /v1/holds/{name}",
      "GET /v1/accounts/{id}/health",
      "GET /v1/holds",
      "GET /v1/playbooks",
      "GET /v1/runs",
      "GET /v1/runs/{id}",
      "GET /v1/runs/{id}/timeline",
      "GET /v1/tasks",
      "GET /v1/tasks/{id}",
      "POST /v1/customers",
      "POST /v1/enrolments",
      "POST /v1/events",
      "POST /v1/holds",
      "POST /v1/playbooks",
      "POST /v1/runs/{id}/pause",
      "POST /v1/runs/{id}/resume",
      "POST /v1/runs/{id}/retry",
      "POST /v1/runs/{id}/skip",
      "POST /v1/runs/{id}/stop",
      "POST /v1/tasks/{id}/complete",
      "POST /v1/tasks/{id}/note",
      "POST /v1/tasks/{id}/reassign",
      "POST /v1/tasks/{id}/skip",
      "POST /v1/tasks/{id}/snooze",
      "PUT /v1/accounts/{id}/health/override",
      "PUT /v1/customers",
    ]);
  });
});

describe("every operation", () => {
  /** In the order in which they can be done. */
  const HAPPY: readonly [
    string,
    (ids: { run: string; task: string }) => {
      path?: string;
      query?: string;
      body?: unknown;
      headers?: Record<string, string>;
    },
    number,
  ][] = [
    [
      "appendEvents",
      () => ({ body: { id: "e1", name: "signal.raised", account: "beta", payload: { reason: "x" } } }),
      202,
    ],
    ["putCustomers", () => ({ body: { accounts: [{ id: "acme", fields: { arr: 12000 } }] } }), 200],
    [
      "postCustomers",
      () => ({ body: { tickets: [{ id: "t1", accountId: "acme", openedAt: "2026-01-05T09:00:00Z" }] } }),
      200,
    ],
    ["listRuns", () => ({ query: "?account=acme&status=running,held&limit=10&playbook=hello" }), 200],
    ["readRun", ({ run }) => ({ path: run }), 200],
    ["readTimeline", ({ run }) => ({ path: run, query: "?after=1" }), 200],
    ["pauseRun", ({ run }) => ({ path: run, body: { by: "u1" } }), 202],
    ["resumeRun", ({ run }) => ({ path: run }), 202],
    [
      "enrol",
      () => ({ body: { playbook: "hello", account: "gamma", inputs: {} }, headers: { "idempotency-key": "k1" } }),
      201,
    ],
    ["listTasks", () => ({ query: "?assignee=u1&status=open&limit=1" }), 200],
    ["readTask", ({ task }) => ({ path: task }), 200],
    ["noteTask", ({ task }) => ({ path: task, body: { note: "rang once", by: "u1" } }), 200],
    ["snoozeTask", ({ task }) => ({ path: task, body: { for: "1 bd" } }), 200],
    ["reassignTask", ({ task }) => ({ path: task, body: { to: "u2" } }), 200],
    ["completeTask", ({ task }) => ({ path: task, body: { by: "u2", outcome: "reached", note: "spoke" } }), 200],
    [
      "overrideHealth",
      () => ({ path: "acme", body: { status: "red", reason: "merger", until: "2099-01-01T00:00:00Z", by: "u1" } }),
      200,
    ],
    ["readHealth", () => ({ path: "acme" }), 200],
    ["removeHealthOverride", () => ({ path: "acme" }), 200],
    ["publish", () => ({ body: { files: smallWorkspace(), by: "u1" } }), 200],
    ["listPlaybooks", () => ({ query: "?playbook=hello" }), 200],
    ["hold", () => ({ body: { name: "playbook:hello", reason: "typo" } }), 201],
    ["listHolds", () => ({}), 200],
    ["release", () => ({ path: "playbook:hello" }), 200],
    ["stopRun", ({ run }) => ({ path: run }), 202],
  ];
  /** Further down, and in `test/entrances/worker/walks.test.ts` for a run that failed. */
  const ELSEWHERE = ["retryRun", "skipRun", "skipTask"];

  test("is tried here or where it is said", () => {
    const tried = [...HAPPY.map(([id]) => id), ...ELSEWHERE].sort();
    expect(tried).toEqual(ways.map(({ operation }) => operation.operationId).sort());
  });

  test.each(HAPPY)("%s answers as the document says, to the scope it names", async (operationId, asking, status) => {
    const { method, path, operation } = way(operationId);
    const { path: id, query = "", body, headers } = asking({ run, task });
    const at = path.replace(/\{\w+\}/, encodeURIComponent(id ?? "")) + query;
    const token = await house.token(operation.security[0]?.token[0] as Scope);
    const answer = await house.ask(method, at, { body, token, ...(headers === undefined ? {} : { headers }) });
    expect([answer.status, answer.status === status ? "" : answer.body]).toEqual([status, ""]);
    const schema = operation.responses[status]?.content?.["application/json"]?.schema;
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema as object);
    validate(answer.body);
    expect(validate.errors ?? []).toEqual([]);
    if (body !== undefined) {
      const takes = new Ajv2020({ strict: false, validateFormats: false }).compile(
        operation.requestBody?.content["application/json"]?.schema as object,
      );
      takes(body);
      expect(takes.errors ?? []).toEqual([]);
    }
  });

  test("leaves one row in the audit if it changes something, with the token and the person, and none if it reads", async () => {
    const rows = await house.wired.store.read((tx) => house.wired.audit.list(tx));
    const byToken = rows.filter(({ actor }) => actor.includes("token:")).reverse();
    expect(byToken.map(({ action, actor }) => `${action} ${actor.replace(/test [0-9a-f]{8}/, "T")}`)).toEqual([
      // Before this table began: publishing and customers, by the admin's token.
      "playbooks.publish token:T",
      "customers.upsert token:T",
      "customers.upsert token:T",
      "customers.upsert token:T",
      "run.pause u1 (token:T)",
      "run.resume token:T",
      "run.enrol token:T",
      "task.note u1 (token:T)",
      "task.snooze token:T",
      "task.reassign token:T",
      "task.complete u2 (token:T)",
      "health.override u1 (token:T)",
      "health.override_removed token:T",
      "playbooks.publish u1 (token:T)",
      "switch.on token:T",
      "switch.off token:T",
      "run.stop token:T",
    ]);
    // Events have rows of their own, which nobody changes; all else that is no GET is above, or its like is.
    const silent = new Set(["appendEvents", ...ELSEWHERE]);
    const changing = HAPPY.filter(([id]) => way(id).method !== "GET" && !silent.has(id));
    expect(byToken).toHaveLength(2 + changing.length);
    expect(rows.filter(({ action }) => action === "token.create").length).toBeGreaterThan(0);
    expect((await verifyAudit(house.wired)).problems).toEqual([]);
    expect(JSON.stringify(rows)).not.toMatch(/@\w+\.\w|wp_[A-Za-z0-9_-]{20}/);
  });

  test("wants a token: none, a wrong one, an expired one, a revoked one", async () => {
    for (const { method, path } of ways) {
      const answer = await house.ask(method, path.replace(/\{\w+\}/, "x"), { token: "" });
      expectProblem(answer, 401, "unauthorized");
      expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="waypost"');
    }
    const wrong = `wp_${"A".repeat(43)}`;
    expect((await house.ask("GET", "/v1/runs", { token: wrong })).body.detail).toBe("the token is not known");
    expect((await house.ask("GET", "/v1/runs", { token: "nonsense" })).body.detail).toBe("the token is not known");
    const { wired } = house;
    const soon = await createToken(wired, { name: "short", scopes: ["admin"], expiresAt: Date.now() + 50 }, "test");
    const gone = await createToken(wired, { name: "gone", scopes: ["admin"] }, "test");
    expect((await house.ask("GET", "/v1/runs", { token: gone.token })).status).toBe(200);
    expect(await revokeToken(wired, "gone", "test")).toBe(true);
    expect((await house.ask("GET", "/v1/runs", { token: gone.token })).body.detail).toBe("the token was revoked");
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect((await house.ask("GET", "/v1/runs", { token: soon.token })).body.detail).toBe("the token has expired");
  });

  test("has this scope", () => {
    const scopes: Partial<Record<Scope, string[]>> = {};
    for (const { operation } of ways) {
      const scope = operation.security[0]?.token[0] as Scope;
      scopes[scope] = [...(scopes[scope] ?? []), operation.operationId].sort();
    }
    expect(scopes).toEqual({
      "events:write": ["appendEvents"],
      "customers:write": ["postCustomers", "putCustomers"],
      "runs:read": [
        "listHolds",
        "listPlaybooks",
        "listRuns",
        "listTasks",
        "readHealth",
        "readRun",
        "readTask",
        "readTimeline",
      ],
      "runs:write": ["enrol", "pauseRun", "resumeRun", "retryRun", "skipRun", "stopRun"],
      "tasks:write": [
        "completeTask",
        "noteTask",
        "overrideHealth",
        "reassignTask",
        "removeHealthOverride",
        "skipTask",
        "snoozeTask",
      ],
      admin: ["hold", "publish", "release"],
    });
  });

  test("wants its scope: every route, with each scope by itself", async () => {
    const tokens = Object.fromEntries(
      await Promise.all(SCOPES.map(async (scope) => [scope, await house.token(scope)])),
    );
    for (const { method, path, operation } of ways) {
      const needed = operation.security[0]?.token[0] as Scope;
      for (const scope of SCOPES) {
        const answer = await house.ask(method, path.replace(/\{\w+\}/, "x"), { token: tokens[scope] });
        const may = scope === needed || scope === "admin" || (needed === "runs:read" && scope === "runs:write");
        if (may) expect([method, path, scope, answer.status]).not.toEqual([method, path, scope, 403]);
        else {
          expectProblem(answer, 403, "forbidden");
          expect(answer.body.detail).toContain(needed);
        }
      }
    }
  });

  test("with an id says 404 for one that is not there", async () => {
    for (const { method, path, operation } of ways.filter(({ path }) => path.includes("{"))) {
      const body = BODIES[operation.operationId];
      const answer = await house.ask(method, path.replace(/\{\w+\}/, "nobody"), body === undefined ? {} : { body });
      expectProblem(answer, 404, "not-found");
    }
  });
  const BODIES: Record<string, unknown> = {
    snoozeTask: { for: "1 bd" },
    reassignTask: { to: "u1" },
    skipTask: { reason: "x" },
    noteTask: { note: "x" },
    overrideHealth: { status: "red", reason: "x", until: "2099-01-01T00:00:00Z" },
  };

  test("with a body refuses one that is too large, is no JSON, is nested too deep, or carries what it doesn't know", async () => {
    for (const { method, path } of ways.filter(({ operation }) => operation.requestBody !== undefined)) {
      const at = path.replace(/\{\w+\}/, "x");
      expectProblem(await house.ask(method, at, { raw: `{"x":"${"y".repeat(8 * 1024 * 1024)}"}` }), 413, "too-large");
      expectProblem(await house.ask(method, at, { raw: "{" }), 400, "bad-request");
      expectProblem(await house.ask(method, at, { raw: "[".repeat(40) + "]".repeat(40) }), 400, "bad-request");
      expectProblem(await house.ask(method, at, { raw: '{"a":{"__proto__":{}}}' }), 400, "bad-request");
      expectProblem(
        await house.ask(method, at, { raw: "a=b", headers: { "content-type": "text/plain" } }),
        415,
        "unsupported-media-type",
      );
      const unknown = await house.ask(method, at, { body: { payloda: {}, byy: 1, rason: 1 } });
      expectProblem(unknown, 400, "bad-request");
      expect(unknown.body.errors.length).toBeGreaterThan(0);
    }
  }, 120_000);

  test("with a query refuses what it doesn't know, twice the same, and what doesn't fit", async () => {
    for (const { path, operation } of ways.filter(({ method }) => method === "GET")) {
      const at = path.replace(/\{\w+\}/, "acme");
      const answer = await house.ask("GET", `${at}?nonsense=1`);
      expectProblem(answer, 400, "bad-request");
      for (const { name } of operation.parameters.filter((one) => one.in === "query")) {
        expectProblem(await house.ask("GET", `${at}?${name}=1&${name}=2`), 400, "bad-request");
      }
    }
    expect((await house.ask("GET", "/v1/runs?limit=501&status=dead")).body.errors).toEqual([
      { path: "status", message: '"dead" is no status; there are starting, running, held, parked, exiting, ended' },
      { path: "limit", message: "must be a whole number from 1 to 500" },
    ]);
  });
});

describe("events", () => {
  const event = (more: Record<string, unknown>) => ({ name: "signal.raised", account: "beta", payload: {}, ...more });

  test("the same id is taken once, however it comes", async () => {
    const headers = { "idempotency-key": "key-1" };
    expect((await house.ask("POST", "/v1/events", { body: event({}), headers })).status).toBe(202);
    const again = await house.ask("POST", "/v1/events", { body: event({}), headers });
    expect([again.status, again.body]).toEqual([200, { id: "key-1", status: "repeated" }]);
    const other = await house.ask("POST", "/v1/events", { body: event({ id: "key-2" }), headers });
    expectProblem(other, 400, "bad-request");
    const none = await house.ask("POST", "/v1/events", { body: event({}) });
    expect(none.body.errors).toEqual([
      { path: "id", message: "give it here or as the header Idempotency-Key, with 1 to 200 characters" },
    ]);
  });

  test("what is wrong is named, with what was probably meant", async () => {
    const wrong = async (body: unknown) => {
      const answer = await house.ask("POST", "/v1/events", { body });
      return [answer.status, answer.body.errors];
    };
    expect(await wrong(event({ id: "w1", name: "signal.rised" }))).toEqual([
      422,
      [{ path: "name", message: 'no event "signal.rised" is declared in model.yaml; did you mean "signal.raised"?' }],
    ]);
    expect(await wrong(event({ id: "w2", payload: { reeson: "x" } }))).toEqual([
      422,
      [{ path: "payload.reeson", message: '"signal.raised" has no field "reeson"; did you mean "reason"?' }],
    ]);
    expect(await wrong(event({ id: "w3", acount: "beta" }))).toEqual([
      400,
      [{ path: "body", message: '"acount" is not known; did you mean "account"?' }],
    ]);
    expect(await wrong(event({ id: "w4", at: "yesterday" }))).toEqual([
      400,
      [{ path: "at", message: 'must be an instant such as "2026-03-02T09:00:00Z"' }],
    ]);
    const [status, errors] = await wrong(event({ id: "w5", at: "2099-01-01T00:00:00Z" }));
    expect([status, errors]).toEqual([
      422,
      [{ path: "at", message: "2099-01-01T00:00:00Z is more than 5 minutes in the future" }],
    ]);
    expect(await wrong({ id: "w6", name: "health.changed", account: "beta" })).toEqual([
      422,
      [{ path: "name", message: `"health.changed" is Waypost's own event; it can't be sent` }],
    ]);
    expect(
      await wrong({ id: "w7", name: "email.replied", payload: { delivery: "00000000-0000-4000-8000-000000000000" } }),
    ).toEqual([422, [{ path: "payload.delivery", message: "no mail of a run has this id" }]]);
  });

  test("an id that belongs to another event is a conflict, not a repetition", async () => {
    const first = event({ id: "own-1", at: "2026-01-02T00:00:00Z", payload: { reason: "quiet" } });
    const post = async (more: Record<string, unknown>) => {
      const { status, body } = await house.ask("POST", "/v1/events", { body: { ...first, ...more } });
      return [status, body.status === status ? body.type : body.status];
    };
    expect(await post({})).toEqual([202, "accepted"]);
    expect(await post({})).toEqual([200, "repeated"]);
    const conflict = [409, "urn:waypost:problem:conflict"];
    expect(await post({ account: "acme" })).toEqual(conflict);
    expect(await post({ at: "2026-01-02T00:00:01Z" })).toEqual(conflict);
    expect(await post({ payload: { reason: "loud" } })).toEqual(conflict);
    expect(await post({ payload: {} })).toEqual(conflict);
    expect(await post({ name: "meeting.booked", payload: {} })).toEqual(conflict);
    // Who doesn't say when doesn't contradict.
    expect(await post({ at: undefined })).toEqual([200, "repeated"]);
    const { body } = await house.ask("POST", "/v1/events", {
      body: {
        events: [first, { ...first, account: "acme" }, event({ id: "own-2" }), event({ id: "own-2", account: "acme" })],
      },
    });
    expect(body.events.map(({ status }: { status: string }) => status)).toEqual([
      "repeated",
      "conflict",
      "accepted",
      "conflict",
    ]);
    expect(body.events[1].reason).toBe("this id was used for another event; give each event an id of its own");
  });

  test("one malformed event of a batch is refused by itself, whatever is wrong with its form", async () => {
    const { status, body } = await house.ask("POST", "/v1/events", {
      body: {
        events: [
          event({ id: "f1" }),
          { name: "signal.raised", account: "beta" },
          event({ id: "f2", source: "crm" }),
          event({ id: "f3", at: "yesterday" }),
          event({ id: "f4", payload: { reeson: "x" } }),
          "f5",
          { id: "f6", name: "email.replied", payload: { delivery: "00000000-0000-4000-8000-000000000000" } },
          event({ id: "f7" }),
        ],
      },
    });
    expect(status).toBe(200);
    expect(body.events).toEqual([
      { id: "f1", status: "accepted" },
      { id: null, status: "refused", reason: "id: an event needs an id of 1 to 200 characters" },
      {
        id: "f2",
        status: "refused",
        reason: 'the event: "source" is not known; known are id, name, at, account, contact, payload',
      },
      { id: "f3", status: "refused", reason: 'at: must be an instant such as "2026-03-02T09:00:00Z"' },
      {
        id: "f4",
        status: "refused",
        reason: 'payload.reeson: "signal.raised" has no field "reeson"; did you mean "reason"?',
      },
      { id: null, status: "refused", reason: "the event: must be an object" },
      { id: "f6", status: "refused", reason: "payload.delivery: no mail of a run has this id" },
      { id: "f7", status: "accepted" },
    ]);
  });

  test("a batch takes the good ones in, in order, and names the others", async () => {
    const { status, body } = await house.ask("POST", "/v1/events", {
      body: {
        events: [
          event({ id: "b1" }),
          event({ id: "b1" }),
          event({ id: "b2", account: "unheard-of" }),
          event({ id: "b3", name: "nope" }),
        ],
      },
    });
    expect(status).toBe(200);
    expect(body.events).toEqual([
      { id: "b1", status: "accepted" },
      { id: "b1", status: "repeated" },
      {
        id: "b2",
        status: "unmatched",
        reason: 'account "unheard-of" is not known yet; the event is kept until it is imported',
      },
      { id: "b3", status: "refused", reason: 'name: no event "nope" is declared in model.yaml' },
    ]);
    const arrived = await house.ask("PUT", "/v1/customers", {
      body: {
        at: "2026-01-01T00:00:00Z",
        accounts: [{ id: "unheard-of", fields: { name: "At last", timezone: "UTC" } }],
      },
    });
    expect(arrived.body.matchedEvents).toBe(1);
    const many = Array.from({ length: 1_001 }, (_, index) => event({ id: `m${index}` }));
    expect((await house.ask("POST", "/v1/events", { body: { events: many } })).body.errors).toEqual([
      { path: "events", message: "may have 1000 events at most" },
    ]);
    const thousand = await house.ask("POST", "/v1/events", {
      body: { events: many.slice(0, 1_000).map((one) => ({ ...one, account: "nobody-yet" })) },
    });
    expect(thousand.body.events.filter((one: { status: string }) => one.status === "unmatched")).toHaveLength(1_000);
  }, 30_000);
});

test("an unknown parameter of the query is told as one of the query", async () => {
  const { status, body } = await house.ask("GET", "/v1/runs?palybook=hello");
  expect([status, body.errors[0].path]).toEqual([400, "query"]);
});

test("a name can't be cleared, and a CSM nobody knows is taken with a warning", async () => {
  const { status, body } = await house.ask("PUT", "/v1/customers", {
    body: {
      accounts: [
        { id: "acme", fields: { name: null } },
        { id: "acme", feilds: {} },
        { id: "beta", fields: { csm: "ghost" } },
      ],
    },
  });
  expect(status).toBe(200);
  expect(body.refused).toEqual([
    { kind: "accounts", index: 1, reason: '"feilds" is not known; did you mean "fields"?' },
    {
      kind: "accounts",
      index: 0,
      field: "name",
      reason: `"name" can't be empty: give it, or leave name out and what is known stays`,
    },
  ]);
  expect(body.warnings).toEqual([
    {
      kind: "accounts",
      index: 2,
      field: "csm",
      reason: 'csm "ghost" is no colleague that is known; until users bring them, it counts as nobody',
    },
  ]);
  await house.ask("PUT", "/v1/customers", { body: { accounts: [{ id: "beta", fields: { csm: "u1" } }] } });
});

test("a bad row of customers is refused by itself, with its index", async () => {
  const { status, body } = await house.ask("PUT", "/v1/customers", {
    body: {
      accounts: [
        { id: "acme", fields: { tier: "growth" } },
        { id: "acme", feilds: {} },
        { id: "beta", fields: { teir: "growth" } },
      ],
      samples: [{ id: "s1", accountId: "acme", name: "seats", at: "now", value: 1 }],
      users: ["u1"],
    },
  });
  expect(status).toBe(200);
  expect(body.changed.accounts).toBe(1);
  expect(body.refused).toEqual([
    { kind: "users", index: 0, reason: "must be an object" },
    { kind: "accounts", index: 1, reason: '"feilds" is not known; did you mean "fields"?' },
    { kind: "samples", index: 0, reason: 'at must be an instant such as "2026-03-02T09:00:00Z"' },
    {
      kind: "accounts",
      index: 2,
      field: "teir",
      reason: 'no field "teir" of accounts is declared; did you mean "tier"?',
    },
  ]);
});

test("a workspace with errors is not published, and every one is at its place", async () => {
  const files = smallWorkspace();
  const broken = {
    ...files,
    "hello/playbook.yaml": (files["hello/playbook.yaml"] as string).replace("for: csm", "for: cms"),
  };
  const answer = await house.ask("POST", "/v1/playbooks", { body: { files: broken } });
  expectProblem(answer, 422, "not-acceptable-content");
  expect(answer.body.errors[0].path).toMatch(/^hello\/playbook\.yaml:\d+:\d+$/);
  expect((await house.ask("POST", "/v1/playbooks", { body: { files: { "../x": "" } } })).status).toBe(400);
});

test("enrolling: once for a key, and refusals with a reason", async () => {
  const body = { playbook: "hello", account: "delta" };
  const headers = { "idempotency-key": "again" };
  const first = await house.ask("POST", "/v1/enrolments", { body, headers });
  const second = await house.ask("POST", "/v1/enrolments", { body, headers });
  expect([first.body, second.body.run]).toEqual([{ kind: "enrolled", run: first.body.run }, first.body.run]);
  expect((await house.ask("POST", "/v1/enrolments", { body })).status).toBe(200);
  expectProblem(await house.ask("POST", "/v1/enrolments", { body: { ...body, playbook: "helo" } }), 404, "not-found");
  expectProblem(await house.ask("POST", "/v1/enrolments", { body: { ...body, account: "none" } }), 404, "not-found");
  expectProblem(await house.ask("POST", "/v1/enrolments", { body: { ...body, contact: "acme-c1" } }), 404, "not-found");
  expectProblem(
    await house.ask("POST", "/v1/enrolments", { body: { ...body, inputs: { x: 1 } } }),
    422,
    "not-acceptable-content",
  );
  expectProblem(
    await house.ask("POST", "/v1/enrolments", { body: { ...body, at: "2026-01-01T00:00:00Z" } }),
    400,
    "bad-request",
  );
});

test("acting on a run that can't, or on a task one may not touch", async () => {
  const ended = await eventually(async () => {
    const { body } = await house.ask("GET", `/v1/runs/${encodeURIComponent(run)}`);
    return body.status === "ended" ? body : undefined;
  });
  expect(ended.outcome).toBe("stopped");
  const answer = await house.ask("POST", `/v1/runs/${encodeURIComponent(run)}/pause`);
  expectProblem(answer, 409, "conflict");
  expect(answer.body.detail).toBe("the run has ended");

  const open = await eventually(
    async () => (await house.ask("GET", "/v1/tasks?account=beta&status=open")).body.tasks[0],
  );
  const token = await house.token("tasks:write");
  const act = (verb: string, body: unknown) => house.ask("POST", `/v1/tasks/${open.id}/${verb}`, { body, token });
  expectProblem(await act("complete", { by: "u2", outcome: "reached" }), 403, "forbidden");
  expectProblem(await act("complete", { by: "u1", outcome: "reached", revision: 99 }), 409, "conflict");
  expect((await act("complete", { by: "u1" })).body.errors).toEqual([
    { path: "outcome", message: "choose one of: reached, not_reached" },
  ]);
  expectProblem(await act("snooze", { for: "3 bd" }), 422, "not-acceptable-content");
  expectProblem(await act("note", { note: "x", at: "2026-01-01T00:00:00Z" }), 400, "bad-request");
  const skipped = await act("skip", { by: "u1", reason: "they called us" });
  expect([skipped.status, skipped.body.status, skipped.body.note]).toEqual([200, "skipped", "they called us"]);
  expectProblem(await act("skip", { by: "u1", reason: "again" }), 409, "conflict");
});

test("what is not there, and what can't be done where it is", async () => {
  expectProblem(await house.ask("GET", "/v2/runs"), 404, "not-found");
  const answer = await house.ask("DELETE", "/v1/events");
  expectProblem(answer, 405, "method-not-allowed");
  expect(answer.headers.get("allow")).toBe("POST");
});

test("healthz, readyz and the unsubscribe page need no token", async () => {
  expect((await house.ask("GET", "/healthz", { token: "" })).body).toEqual({ ok: true });
  const ready = await house.ask("GET", "/readyz", { token: "" });
  expect([ready.status, ready.body]).toEqual([200, { ok: true, postgres: true, temporal: true }]);
  const page = await house.ask("GET", "/unsubscribe/abc?lang=pl&about=onboarding", { token: "" });
  expect(page.body).toContain("Zrezygnować z wiadomości „Pierwsze kroki” od Waypost Analytics?");
  expect((await house.ask("POST", "/unsubscribe/abc", { token: "" })).status).toBe(200);
});

test("pages of tasks and runs go on where the last one ended", async () => {
  const seen: string[] = [];
  for (let after = ""; ; ) {
    const { body } = await house.ask("GET", `/v1/runs?limit=1${after}`);
    seen.push(...body.runs.map(({ id }: { id: string }) => id));
    if (body.next === null || seen.length > 20) break;
    after = `&after=${encodeURIComponent(body.next)}`;
  }
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.length).toBeGreaterThanOrEqual(3);
});
