import { request as httpRequest, Agent } from "node:http";
import { connect } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { verifyAudit } from "../../src/operations/verify-audit.js";
import { eventually, type Installation, smallWorkspace, startInstallation } from "../entrances/support/installation.js";
import { countOr, type Random, randomFrom, seedOr } from "./random.js";

const SEED = seedOr(20_260_302);
const REQUESTS = countOr(500);
/** Accounts with a run to begin with; the others can be enrolled. */
const LIVE = 4;
/** Requests under way at once: enough that changes meet each other. */
const AT_ONCE = 8;

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: Schema }> };
  readonly responses: Record<string, unknown>;
}
interface Way {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
  readonly takes: ValidateFunction | undefined;
}
/** What of JSON Schema the document uses. */
interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly properties?: Record<string, Schema>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}
interface Sent {
  readonly way: Way | undefined;
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Buffer | undefined;
  /** The body as JSON where nothing was done to its text. */
  readonly json: unknown;
}
interface Answered {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

let house: Installation;
let ways: Way[];
/** One of a batch, as the document has it. */
let takesEvent: ValidateFunction;
let admin: string;
let sql: postgres.Sql;
const mine = `fuzz-${process.pid}-${Date.now().toString(36)}`;
const accounts = Array.from({ length: 16 }, (_, index) => `${mine}-${index}`);
let runs: string[] = [];
let tasks: string[] = [];

beforeAll(async () => {
  house = await startInstallation({ WAYPOST_REQUESTS_PER_SECOND: 100_000 });
  sql = postgres(house.database.url, { max: 2, onnotice: () => {} });
  admin = await house.token("admin");
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const document = (await house.ask("GET", "/openapi.json", { token: "" })).body as {
    paths: Record<string, Record<string, Operation>>;
  };
  ways = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const schema = operation.requestBody?.content["application/json"]?.schema;
      return { method: method.toUpperCase(), path, operation, takes: schema && ajv.compile(schema) };
    }),
  );
  const forms = find(ways, "appendEvents").operation.requestBody?.content["application/json"]?.schema.anyOf ?? [];
  takesEvent = ajv.compile(
    forms.find(({ properties }) => properties?.["events"])?.properties?.["events"]?.items ?? false,
  );
  await house.startWorker();
  await must("POST", "/v1/playbooks", { files: smallWorkspace() });
  await must("PUT", "/v1/customers", {
    at: new Date(Date.now() - 3 * 86_400_000).toISOString(),
    users: [{ id: "u1", name: "Ann Lee", email: "ann@waypost.example", timezone: "Europe/London" }],
    accounts: accounts.map((id) => ({
      id,
      fields: { name: id, timezone: "Europe/Warsaw", csm: "u1", is_test: false },
    })),
    contacts: accounts.map((id) => ({
      id: `${id}-c1`,
      accountId: id,
      fields: { name: "Pat", email: `pat@${id}.example`, role: "champion", is_primary: true, is_active: true },
    })),
  });
  for (const account of accounts.slice(0, LIVE))
    await must("POST", "/v1/enrolments", { playbook: "hello", account }, { "idempotency-key": account });
  runs = (
    await eventually(async () => {
      const { body } = await house.ask("GET", "/v1/tasks");
      tasks = body.tasks.map(({ id }: { id: string }) => id);
      return tasks.length === LIVE ? (await house.ask("GET", "/v1/runs")).body.runs : undefined;
    })
  ).map(({ id }: { id: string }) => id);
}, 120_000);
afterAll(async () => {
  await sql?.end();
  await house?.stop();
});

function find(all: readonly Way[], id: string): Way {
  const found = all.find(({ operation }) => operation.operationId === id);
  if (found === undefined) throw new Error(`no operation ${id}`);
  return found;
}

async function must(method: string, path: string, body: unknown, headers: Record<string, string> = {}): Promise<void> {
  const answer = await house.ask(method, path, { body, headers });
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
}

test(
  `${REQUESTS} fuzzed requests: never a 500, always a problem, nothing half done, nothing polluted`,
  async () => {
    const random = randomFrom(SEED);
    const before = await auditCounts();
    const heapBefore = heapAfterCollection();
    const asked = Array.from({ length: REQUESTS }, (_, index) => compose(random, index));
    const statuses = new Map<number, number>();
    const wrong: string[] = [];
    const accepted = new Set<string>();
    const done = new Map<string, number>();
    let queued = 0;
    const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
    const began = performance.now();
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let index = queued++; index < asked.length; index = queued++) {
          const sent = asked[index] as Sent;
          const answer = await send(sent, agent);
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
          for (const fault of faultsOf(sent, answer)) wrong.push(`request ${index}, ${describeSent(sent)}: ${fault}`);
          note(sent, answer, accepted, done);
        }
      }),
    );
    const tookMs = performance.now() - began;
    agent.destroy();
    const figures = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
    const heapGrowth = (heapAfterCollection() - heapBefore - asked.length * 2_000) / 2 ** 20;
    console.log(
      `${REQUESTS} requests, seed ${SEED}, ${(tookMs / 1000).toFixed(1)} s, heap +${heapGrowth.toFixed(0)} MB; ${figures.join(", ")}; wrong ${wrong.length}`,
    );
    const faults = house.log.filter((line) => /"level":[56]0/.test(line));
    expect([...wrong, ...(wrong.length > 0 ? faults : [])].slice(0, 20)).toEqual([]);
    // A fuzzer that is refused at the door tries nothing.
    expect((statuses.get(200) ?? 0) + (statuses.get(201) ?? 0) + (statuses.get(202) ?? 0)).toBeGreaterThan(
      REQUESTS / 20,
    );
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();

    const kept = await sql<{ id: string }[]>`
      select id from events where source = 'http' and name = any(${ASKED_EVENTS})`;
    expect(kept.map(({ id }) => id).sort()).toEqual([...accepted].sort());
    const after = await auditCounts();
    const rows: Record<string, number> = {};
    for (const [action, count] of Object.entries(after))
      if (count > (before[action] ?? 0)) rows[action] = count - (before[action] ?? 0);
    expect(rows).toEqual(Object.fromEntries([...done].sort(([a], [b]) => (a < b ? -1 : 1))));
    expect((await verifyAudit(house.wired)).problems).toEqual([]);
    expect(faults).toEqual([]);
    if (REQUESTS >= 5_000) expect(heapGrowth).toBeLessThan(150);
  },
  REQUESTS * 200 + 60_000,
);

test("bytes that are no HTTP get an answer that gives nothing away, and the server goes on", async () => {
  const { port } = new URL(house.url);
  const lines = [
    "GARBAGE\r\n\r\n",
    "\u0000\u0001\u0002\r\n\r\n",
    "GET / HTTP/9.9\r\n\r\n",
    "GET /v1/runs HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET /v1/runs HTTP/1.1\r\nHost: [::::\r\n\r\n",
    "GET /v1/runs HTTP/1.1\r\nHost: a b\r\n\r\n",
    "GET /v1/runs HTTP/1.1\r\nHost: \r\n\r\n",
    "GET /v1/runs HTTP/1.1\r\n\r\n",
    "GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET //// HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "TRACE /v1/runs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    `GET /${"a".repeat(40_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${"a".repeat(40_000)}\r\n\r\n`,
    "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    "GET /v1/runs HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
    "GET /v1/runs HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
  ];
  const odd: string[] = [];
  for (const line of lines) {
    const answer = await rawAnswer(Number(port), line);
    const status = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);
    // Nothing at all is an answer too, to what can't be a request.
    const isRight = answer === "" || (status >= 400 && status < 500 && /application\/problem\+json/.test(answer));
    if (!isRight || LEAKS.test(answer)) odd.push(`${JSON.stringify(line.slice(0, 60))}: ${answer.slice(0, 200)}`);
  }
  expect(odd).toEqual([]);
  expect((await house.ask("GET", "/healthz")).status).toBe(200);
});

/** A stack, a file of ours, SQL, a library: nothing that a stranger should read. */
const LEAKS =
  /node_modules|\.[tj]s:\d|\n\s+at |\bselect\b.*\bfrom\b|insert into|drizzle|PostgresError|violates|ECONNREFUSED|\/work\/|\bzod\b/i;

function faultsOf({ way, json, method }: Sent, { status, type, text }: Answered): string[] {
  const faults: string[] = [];
  if (status >= 500) faults.push(`status ${status} ${text.slice(0, 200)}`);
  if (LEAKS.test(text)) faults.push(`leaks: ${text.slice(0, 300)}`);
  if (status >= 400 && method !== "HEAD") {
    let problem: { type?: string; status?: number } = {};
    try {
      problem = JSON.parse(text) as typeof problem;
    } catch {
      faults.push(`${status} is no JSON: ${text.slice(0, 100)}`);
    }
    if (type !== "application/problem+json") faults.push(`${status} comes as ${type}`);
    if (!/^urn:waypost:problem:[a-z-]+$/.test(problem.type ?? "") || problem.status !== status)
      faults.push(`${status} is no problem: ${text.slice(0, 200)}`);
    if (way !== undefined && way.operation.responses[status] === undefined && ![405, 413, 404, 429].includes(status))
      faults.push(`${status} is not in the document of ${way.operation.operationId}`);
  }
  // What the document doesn't allow isn't taken. Rows of customers are judged one by one: their answer names the bad ones.
  if (status >= 300 || way?.takes === undefined || json === undefined) return faults;
  if (way.operation.operationId === "appendEvents" && typeof json === "object" && json !== null && "events" in json) {
    const { events: outcomes } = JSON.parse(text) as { events: { status: string }[] };
    for (const [index, event] of (json.events as unknown[]).entries())
      if (!takesEvent(event) && outcomes[index]?.status !== "refused")
        faults.push(`event ${index} is ${outcomes[index]?.status}: ${JSON.stringify(takesEvent.errors?.[0])}`);
  } else if (!/Customers$/.test(way.operation.operationId) && !way.takes(json))
    faults.push(`${status} for what the document refuses: ${JSON.stringify(way.takes.errors?.[0])}`);
  return faults;
}

/** What must be found in the store for this answer. */
function note({ way }: Sent, { status, text }: Answered, accepted: Set<string>, done: Map<string, number>): void {
  if (status >= 300 || way === undefined || text === "") return;
  const body = JSON.parse(text) as Record<string, unknown>;
  const id = way.operation.operationId;
  if (id === "appendEvents") {
    type One = { id: string; status: string };
    for (const one of (body["events"] as One[] | undefined) ?? [body as unknown as One])
      if (one.status === "accepted" || one.status === "unmatched") accepted.add(one.id);
    return;
  }
  const isChange = /Customers$/.test(id) ? Object.values(body["changed"] as object).some((count) => count > 0) : true;
  const action = id === "hold" && status === 200 ? undefined : AUDITED[id];
  if (action !== undefined && isChange) done.set(action, (done.get(action) ?? 0) + 1);
}

/** Each operation that changes something → what the audit calls it. */
const AUDITED: Readonly<Record<string, string>> = {
  putCustomers: "customers.upsert",
  postCustomers: "customers.upsert",
  enrol: "run.enrol",
  pauseRun: "run.pause",
  resumeRun: "run.resume",
  retryRun: "run.retry",
  skipRun: "run.skip",
  stopRun: "run.stop",
  completeTask: "task.complete",
  snoozeTask: "task.snooze",
  reassignTask: "task.reassign",
  skipTask: "task.skip",
  noteTask: "task.note",
  overrideHealth: "health.override",
  removeHealthOverride: "health.override_removed",
  publish: "playbooks.publish",
  hold: "switch.on",
  release: "switch.off",
};

async function auditCounts(): Promise<Record<string, number>> {
  const rows = await sql<{ action: string; count: number }[]>`select action, count(*)::int from audit group by action`;
  return Object.fromEntries(rows.map(({ action, count }) => [action, count]));
}

// ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────────

const TEXTS = [
  "",
  " ",
  "\u0000",
  "a\u0000b",
  "\ud800",
  "x\udfffy",
  "\u202egnp.exe",
  "\u200b",
  "\ufeff",
  "é".normalize("NFD"),
  "\u{10ffff}",
  "'; drop table runs; --",
  "%s%n%d",
  "{{ account.name }}",
  "${7*7}",
  "<script>alert(1)</script>",
  "../../etc/passwd",
  "a\r\nb: c",
  "null",
  "1e309",
  "x".repeat(201),
  "x".repeat(5_000),
  "\ud83d\ude00".repeat(100),
  "__proto__",
  "constructor",
  "toString",
  "all_email",
  "playbook:hello",
  "0000-00-00T00:00:00Z",
  "2026-02-30T00:00:00Z",
  "+275760-09-13T00:00:00.000Z",
  "-000001-01-01T00:00:00Z",
  "0001-01-01T00:00:00Z",
  "9999-12-31T23:59:59.999999999Z",
  "2026-03-02T09:00:00+23:59",
];
/** Names that are asked for; Waypost's own, told when something was changed, come beside them. */
const ASKED_EVENTS = ["signal.raised", "contract.lost", "email.bounced"];
const NUMBERS = [
  0,
  -0,
  -1,
  1,
  0.1,
  1e21,
  1e308,
  -1e308,
  5e-324,
  2 ** 31,
  2 ** 53,
  2 ** 63,
  Number.MAX_SAFE_INTEGER,
  -(2 ** 31) - 1,
  8.64e15,
  8.64e15 + 1,
];
const KEYS = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "polluted",
  "\u0000",
  "\ud800",
  "",
  "x".repeat(300),
];

function compose(random: Random, index: number): Sent {
  const way = random.chance(0.25)
    ? find(ways, random.pick(["appendEvents", "enrol", "putCustomers"]))
    : random.pick(ways);
  let json =
    way.operation.requestBody &&
    valueOf(random, way.operation.requestBody.content["application/json"]?.schema ?? {}, index);
  if (json !== undefined) json = sensible(way, json, random, index);
  for (let count = random.pick([0, 0, 0, 1, 1, 3]); count > 0 && json !== undefined; count--)
    json = mutated(random, json);
  const text = json === undefined ? undefined : JSON.stringify(json);
  let body: Buffer | undefined = text === undefined ? undefined : Buffer.from(text);
  let kept = json;
  const headers: Record<string, string> = { authorization: `Bearer ${admin}`, "content-type": "application/json" };
  if (body !== undefined && random.chance(0.15)) {
    body = spoilt(random, body, headers);
    kept = undefined;
  }
  if (random.chance(0.1)) spoilHeaders(random, headers);
  // Every event has a name of its own, so that what is in the store can be told by it.
  if (/^(appendEvents|enrol)$/.test(way.operation.operationId) && random.chance(0.3))
    headers["idempotency-key"] = `${mine}-key-${index}`;
  const isElsewhere = random.chance(0.05);
  const path = pathOf(random, way) + queryOf(random, way);
  return {
    way: isElsewhere ? undefined : way,
    method: isElsewhere ? random.pick(["PATCH", "HEAD", "OPTIONS", "PROPFIND", "DELETE", "PUT", "GET"]) : way.method,
    path: isElsewhere ? path.replace("/v1", random.pick(["/v1/", "/v2", "", "/v1/%2e%2e", "/V1"])) : path,
    headers,
    body: isElsewhere || (way.method === "GET" && !random.chance(0.1)) ? undefined : body,
    json: kept === undefined ? undefined : JSON.parse(JSON.stringify(kept)),
  };
}

/** A value that the schema allows, mostly. */
function valueOf(random: Random, schema: Schema, index: number): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return random.pick(schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return valueOf(random, random.pick(choices), index);
  switch (schema.type) {
    case "object": {
      const made: Record<string, unknown> = {};
      for (const [name, property] of Object.entries(schema.properties ?? {}))
        if (schema.required?.includes(name) || random.chance(0.35)) made[name] = valueOf(random, property, index);
      if (typeof schema.additionalProperties === "object")
        for (let count = random.below(3); count > 0; count--)
          made[random.pick(["name", "timezone", "seats", "reason", "arr", "email"])] = valueOf(
            random,
            schema.additionalProperties,
            index,
          );
      return made;
    }
    case "array":
      return Array.from({ length: random.below(4) }, () => valueOf(random, schema.items ?? {}, index));
    case "integer":
      return Math.max(schema.minimum ?? 0, random.below(5));
    case "number":
      return random.chance(0.7) ? random.below(100) / 4 : random.pick(NUMBERS);
    case "boolean":
      return random.chance(0.5);
    case "null":
      return null;
    default:
      if (schema.format === "date-time") return new Date(Date.now() - random.below(40) * 86_400_000).toISOString();
      return random.chance(0.6) ? `${mine}-${random.pick(["a", "b", "c"])}-${random.below(50)}` : random.pick(TEXTS);
  }
}

/** Ids that are there, so that not everything ends at "there is no such thing". */
function sensible(way: Way, json: unknown, random: Random, index: number): unknown {
  if (typeof json !== "object" || json === null || !random.chance(0.75)) return json;
  const body = json as Record<string, unknown>;
  switch (way.operation.operationId) {
    case "appendEvents": {
      const events = Array.isArray(body["events"]) ? (body["events"] as Record<string, unknown>[]) : [body];
      for (const [at, event] of events.entries()) {
        if (typeof event !== "object" || event === null) continue;
        Object.assign(event, {
          id: `${mine}-${index}-${at}`,
          name: random.pick(ASKED_EVENTS),
        });
        event["account"] = random.pick(accounts);
        delete event["contact"];
        if (random.chance(0.7)) delete event["at"];
        if (random.chance(0.6)) event["payload"] = {};
      }
      return body;
    }
    case "enrol":
      return { ...(random.chance(0.3) ? body : {}), playbook: "hello", account: random.pick(accounts) };
    case "putCustomers":
    case "postCustomers":
      for (const rows of Object.values(body))
        if (Array.isArray(rows))
          for (const row of rows as Record<string, unknown>[])
            if (typeof row === "object" && row !== null && "accountId" in row) row["accountId"] = random.pick(accounts);
      return body;
    case "snoozeTask":
      return { ...body, for: random.pick(["1 bd", "4h", "1d", "99999999999d", "1e9 bd"]) };
    case "completeTask":
      return { outcome: "reached", ...(random.chance(0.3) ? body : {}) };
    case "reassignTask":
      return { ...body, to: "u1" };
    case "overrideHealth":
      return { ...body, until: random.pick(["2099-01-01T00:00:00Z", "9999-12-31T00:00:00Z", "2001-01-01T00:00:00Z"]) };
    case "hold":
      return { ...body, name: random.pick(["all_email", "playbook:hello"]) };
    case "publish":
      return random.chance(0.2) ? { files: smallWorkspace() } : body;
    default:
      return body;
  }
}

/** One part of the value replaced, removed, wrapped or put beside something that doesn't belong. */
function mutated(random: Random, value: unknown): unknown {
  if (typeof value !== "object" || value === null || random.chance(0.15)) return hostileValue(random);
  if (Array.isArray(value)) {
    if (value.length === 0 || random.chance(0.3)) return [...value, hostileValue(random)];
    const at = random.below(value.length);
    return value.map((item, index) => (index === at ? mutated(random, item) : item));
  }
  const entries = Object.entries(value as Record<string, unknown>);
  if (entries.length === 0 || random.chance(0.2)) {
    const made = { ...value } as Record<string, unknown>;
    // Assigning __proto__ would set it; JSON.parse defines it, as it would come.
    Object.defineProperty(made, random.pick(KEYS), {
      value: hostileValue(random),
      enumerable: true,
      configurable: true,
      writable: true,
    });
    return made;
  }
  const [name] = random.pick(entries);
  if (random.chance(0.15)) return Object.fromEntries(entries.filter(([key]) => key !== name));
  return Object.fromEntries(entries.map(([key, inner]) => [key, key === name ? mutated(random, inner) : inner]));
}

function hostileValue(random: Random): unknown {
  switch (random.below(7)) {
    case 0:
      return random.pick(NUMBERS);
    case 1:
      return null;
    case 2:
      return random.chance(0.5);
    case 3:
      return JSON.parse(
        `${"[".repeat(random.pick([1, 8, 31]))}1${"]".repeat(0)}`.replace(
          /^(\[+)1$/,
          (_, open: string) => `${open}1${"]".repeat(open.length)}`,
        ),
      );
    case 4:
      return JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}');
    default:
      return random.pick(TEXTS);
  }
}

/** The body's bytes, no longer what the JSON was. */
function spoilt(random: Random, body: Buffer, headers: Record<string, string>): Buffer<ArrayBufferLike> {
  const at = random.below(body.length + 1);
  switch (random.below(10)) {
    case 0:
      return body.subarray(0, at);
    case 1:
      return Buffer.concat([body.subarray(0, at), Buffer.from([random.below(256)]), body.subarray(at + 1)]);
    case 2:
      return Buffer.concat([Buffer.from("\ufeff"), body]);
    case 3:
      headers["content-encoding"] = random.pick(["gzip", "br", "deflate"]);
      return gzipSync(body);
    case 4:
      headers["content-type"] = random.pick([
        "application/json; charset=utf-16",
        "application/json;charset=\u0000".replace("\u0000", "x"),
        "application/vnd.api+json",
      ]);
      return Buffer.from(body.toString(), "utf16le");
    case 5:
      return Buffer.from("[".repeat(random.pick([33, 1_000, 100_000])));
    case 6:
      // The same name twice: the later one counts, as in every JSON reader, and is checked.
      return Buffer.from(body.toString().replace(/^\{/, `{"id":"${mine}-twice","by":"u1","by":{"polluted":1},`));
    case 7:
      return Buffer.from(
        body
          .toString()
          .replace(
            /:\s*("[^"]*"|\d+)/,
            `:${random.pick(["NaN", "Infinity", "1e999", "-1e999", "0x10", "01", "9".repeat(400)])}`,
          ),
      );
    case 8:
      return Buffer.from(body.toString().replace(/^\{/, '{"__proto__":{"polluted":true},'));
    default:
      return Buffer.concat([body.subarray(0, at), Buffer.from([0xc0, 0x80, 0xed, 0xa0, 0x80]), body.subarray(at)]);
  }
}

function spoilHeaders(random: Random, headers: Record<string, string>): void {
  switch (random.below(8)) {
    case 0:
      headers["content-type"] = random.pick([
        "text/plain",
        "",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonx",
        "a".repeat(5_000),
      ]);
      return;
    case 1:
      headers["authorization"] = random.pick([
        "",
        "Bearer",
        "Bearer ",
        "Basic eDp5",
        `Bearer ${admin}x`,
        `Bearer ${admin} ${admin}`,
        "Bearer wp_",
        `bearer\t${admin}`,
        `Bearer wp_${"é".repeat(43)}`.normalize("NFC"),
      ]);
      return;
    case 2:
      headers["idempotency-key"] = random.pick([
        "",
        " ",
        "x".repeat(201),
        "x".repeat(8_000),
        "\u00ff\u00fe",
        "__proto__",
      ]);
      return;
    case 3:
      headers["host"] = random.pick([
        "evil.example",
        "evil.example:99999",
        "[::1]",
        "a/b",
        "a?b",
        "a#b",
        "user@host",
        "\u00e9.example",
        "x".repeat(300),
      ]);
      return;
    case 4:
      headers["x-forwarded-for"] = "'; drop table runs; --";
      headers["x-http-method-override"] = "DELETE";
      return;
    case 5:
      headers["accept"] = random.pick(["*/*;q=x", "text/html", "\u00ff"]);
      return;
    case 6:
      headers["expect"] = random.pick(["100-continue", "nonsense"]);
      return;
    default:
      headers["x-long"] = "x".repeat(random.pick([1_000, 12_000]));
  }
}

function pathOf(random: Random, way: Way): string {
  const ids = /runs/.test(way.path)
    ? runs
    : /tasks/.test(way.path)
      ? tasks
      : /holds/.test(way.path)
        ? ["all_email", "playbook:hello"]
        : accounts;
  return way.path.replace(/\{\w+\}/, () => {
    if (random.chance(0.7)) return encodeURIComponent(random.pick(ids));
    if (random.chance(0.5)) return encodeURIComponent(random.pick(TEXTS).replace(/\p{Surrogate}/gu, ""));
    return random.pick([
      "%00",
      "%",
      "%zz",
      "%ff%fe",
      "%c0%af",
      "%ed%a0%80",
      "..%2f..%2f",
      "%2e%2e",
      ".",
      "..",
      "%0d%0aX: y",
      "a%20b",
      "a;b",
      "a".repeat(1_001),
      "%E2%80%AE",
    ]);
  });
}

function queryOf(random: Random, way: Way): string {
  const names = way.operation.parameters.filter((one) => one.in === "query").map(({ name }) => name);
  if (names.length === 0 && !random.chance(0.05)) return "";
  const parts: string[] = [];
  for (const name of [...names, "unknown", "__proto__"]) {
    if (!random.chance(name === "unknown" || name === "__proto__" ? 0.03 : 0.25)) continue;
    const value = random.chance(0.6)
      ? encodeURIComponent(random.pick(["hello", "open", "running", "running,held", "1", "500", "u1", ...accounts]))
      : random.pick([
          "%00",
          "%",
          "%ff",
          "a%00b",
          "-1",
          "0",
          "501",
          "1e3",
          "99999999999999999999",
          "~",
          "2026-01-01T00:00:00Z~",
          "2026-01-01T00:00:00Z~%00",
          "0000-01-01T00:00:00Z~x",
          "%F0%9F%98%80",
          "__proto__",
          encodeURIComponent("\u202e'\"<"),
        ]);
    parts.push(`${name}=${value}`);
    if (random.chance(0.05)) parts.push(`${name}=again`);
  }
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

// ── how it is asked ──────────────────────────────────────────────────────────────────────────────────────────────────

function send({ method, path, headers, body }: Sent, agent: Agent): Promise<Answered> {
  const { hostname, port } = new URL(house.url);
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { hostname, port, method, path: path.replace(/ /g, "%20"), headers, agent },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            type: response.headers["content-type"] ?? "",
            text: Buffer.concat(chunks).toString(),
          }),
        );
      },
    );
    request.on("error", (error) => reject(new Error(`${method} ${path}: ${error.message}`)));
    request.end(body);
  });
}

function rawAnswer(port: number, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(Buffer.from(line, "latin1")));
    socket.setTimeout(1_500, () => socket.end());
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (text.includes("\r\n\r\n")) socket.end();
    });
    socket.on("error", (error) => (text === "" ? resolve("") : reject(error)));
    socket.on("close", () => resolve(text));
  });
}

function describeSent({ method, path, headers, body }: Sent): string {
  const { authorization, ...rest } = headers;
  const shown = authorization === `Bearer ${admin}` ? rest : { authorization, ...rest };
  return `${method} ${path.slice(0, 120)} ${JSON.stringify(shown).slice(0, 200)} ${body?.toString().slice(0, 500) ?? ""}`;
}

function heapAfterCollection(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}
