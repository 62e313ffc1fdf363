import { randomBytes } from "node:crypto";
import { Writable } from "node:stream";
import type { Client } from "@temporalio/client";
import type { Payload } from "@temporalio/common";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readPayloadKeys } from "../../src/adapters/temporal/encrypting-codec.js";
import { payloadCodecs } from "../../src/adapters/temporal/payload-codecs.js";
import { SYSTEM_EVENTS } from "../../src/engine/event.js";
import { createLogger } from "../../src/entrances/logger.js";
import { runWorker } from "../../src/entrances/worker/run-worker.js";
import { type Desk, startDesk } from "../../src/local/desk.js";
import { eventually, type Installation, smallWorkspace, startInstallation } from "../entrances/support/installation.js";
import { workflowBundle } from "../support/workflow-bundle.js";

// S11: what is planted in names, addresses, texts and settings, and then looked for wherever it must not be.

const mark = (what: string): string => `${what}${randomBytes(5).toString("hex")}`;
const KEY = randomBytes(32).toString("base64");
const SIGNING_SECRET = randomBytes(16).toString("hex");
const SLACK_TOKEN = `xoxb-${randomBytes(16).toString("hex")}`;
const COUNT = 8;
const mine = `s11-${process.pid}-${Date.now().toString(36)}`;
const accounts = Array.from({ length: COUNT }, (_, index) => `${mine}-${index}`);

/** Never anywhere. */
const secrets: Record<string, string> = {
  "payload key": KEY,
  "signing secret": SIGNING_SECRET,
  "bot token": SLACK_TOKEN,
};
/** Of people: never in a log, never in Temporal where the codec is on. */
const personal: Record<string, string> = {};
/** Of mails: never in Temporal at all. */
const bodies: Record<string, string> = {};
/** Addresses: never in Temporal at all. */
const addresses: Record<string, string> = {};

let house: Installation;
let desk: Desk;
const answers: string[] = [];

beforeAll(async () => {
  desk = await startDesk({
    signingSecret: SIGNING_SECRET,
    token: SLACK_TOKEN,
    users: [{ id: "U1", name: "Ann Lee", email: "ann@waypost.example" }],
  });
  house = await startInstallation({
    SLACK_BOT_TOKEN: SLACK_TOKEN,
    SLACK_SIGNING_SECRET: SIGNING_SECRET,
    SLACK_API_URL: desk.apiUrl,
    WAYPOST_PAYLOAD_KEY: readPayloadKeys(KEY),
  });
  desk.setReceiver(`${house.url}/slack/events`);
  secrets["database password"] = new URL(house.database.url).password;
  secrets["API token"] = await house.token("admin");
}, 120_000);
afterAll(async () => {
  await house?.stop();
  await desk?.stop();
});

async function ask(method: string, path: string, body?: unknown): Promise<{ status: number }> {
  const answer = await house.ask(method, path, {
    ...(body === undefined ? {} : { body }),
    token: secrets["API token"],
  });
  if (answer.status >= 400) answers.push(JSON.stringify(answer.body));
  return answer;
}

test("planted values of people and secrets are in no history, no log and no error's answer", async () => {
  await house.startWorker();
  const files = smallWorkspace();
  bodies["template text"] = mark("Tpl");
  for (const [path, text] of Object.entries(files))
    if (path.includes("/templates/"))
      files[path] = `${text}\n${bodies["template text"]} {{ contact.name | default: account.name }}\n`;
  expect((await ask("POST", "/v1/playbooks", { files })).status).toBe(200);
  const people = accounts.map((id, index) => {
    const name = (personal[`contact ${index}`] = mark("Anna"));
    const address = (addresses[`address ${index}`] = `${mark("anna.k")}@customer${index}.example`);
    return {
      id: `${id}-c`,
      accountId: id,
      fields: { name, email: address, role: "champion", is_primary: true, is_active: true },
    };
  });
  personal["csm name"] = mark("Csm");
  addresses["csm address"] = `${mark("csm")}@waypost.example`;
  const put = await ask("PUT", "/v1/customers", {
    users: [
      {
        id: "u1",
        name: personal["csm name"],
        email: addresses["csm address"],
        slackUserId: "U1",
        timezone: "UTC",
        calendar: "standard",
      },
    ],
    accounts: accounts.map((id, index) => {
      const name = (personal[`account name ${index}`] = mark("Acme"));
      return { id, fields: { name, timezone: "UTC", csm: "u1", is_test: false } };
    }),
    contacts: people,
    surveyAnswers: accounts.map((id, index) => {
      const comment = (personal[`comment ${index}`] = mark("Comment"));
      return { id: `${id}-s`, accountId: id, survey: "nps", score: 3, comment, at: new Date().toISOString() };
    }),
  });
  expect(put.status).toBe(200);
  // One address is refused by its server with a line that repeats it, one is not an address at all.
  const refused = addresses["address 1"] as string;
  house.mailbox.misbehave({ kind: "reply", at: "recipient", to: refused, reply: `550 5.1.1 <${refused}> unknown` });
  for (const [index, id] of accounts.entries()) {
    const reason = (personal[`event text ${index}`] = mark("Reason"));
    await ask("POST", "/v1/events", { id: `${id}-e`, name: "signal.raised", account: id, payload: { reason } });
  }
  const tasks = await eventually(async () => {
    const { body } = await house.ask("GET", "/v1/tasks?limit=500");
    return body.tasks.length >= COUNT ? (body.tasks as { id: string; account: string }[]) : undefined;
  });
  for (const [index, { id }] of tasks.entries()) {
    const note = (personal[`note ${index}`] = mark("Note"));
    await ask("POST", `/v1/tasks/${id}/complete`, { outcome: "reached", note, by: "u1" });
  }
  await eventually(async () => (house.mailbox.messages().length >= COUNT - 1 ? true : undefined));
  await eventually(async () => (desk.posts().length >= COUNT ? true : undefined));
  await faults();

  const planted = { ...personal, ...addresses, ...bodies };
  expect(Object.keys(planted).length + Object.keys(secrets).length).toBeGreaterThanOrEqual(50);
  // They did go where they belong: else nothing was tried.
  const mails = JSON.stringify(house.mailbox.messages());
  expect(foundIn(mails, { ...bodies, a: addresses["address 0"] as string })).toEqual(["template text", "a"]);
  expect(foundIn(JSON.stringify(desk.posts()), { account: personal["account name 0"] as string })).toEqual(["account"]);

  const { raw, decoded, histories, payloads } = await historiesOf(house.wired.temporal, house.wired.store);
  expect(histories).toBeGreaterThanOrEqual(COUNT);
  const log = house.log.join("");
  const told = answers.join("\n");
  expect(answers.length).toBeGreaterThan(4);
  const inDecoded = foundIn(decoded, personal);
  console.log(
    `${Object.keys(planted).length} personal values and ${Object.keys(secrets).length} secrets: ${histories} histories, ${payloads} payloads, ${house.log.length} lines, ${answers.length} error answers; behind the codec ${inDecoded.length} values that facts and events brought along`,
  );
  expect(foundIn(raw, { ...planted, ...secrets })).toEqual([]);
  expect(foundIn(decoded, { ...secrets, ...addresses, ...bodies })).toEqual([]);
  expect(foundIn(log, { ...planted, ...secrets })).toEqual([]);
  expect(foundIn(told, { ...planted, ...secrets })).toEqual([]);
  // Everything that could be encrypted was: a payload that wasn't would have been counted as readable.
  expect(payloads).toBeGreaterThan(COUNT * 3);
}, 120_000);

/** Requests that end badly with planted values in them, and a fault of ours in the middle of the store. */
async function faults(): Promise<void> {
  const planted = (name: string): string => (personal[name] = mark("Fault"));
  await ask("POST", "/v1/events", {
    id: "x",
    name: "signal.lost",
    account: accounts[0],
    payload: { reason: planted("lost event") },
  });
  await ask("PUT", "/v1/customers", { users: [{ id: "u9", nome: planted("unknown field") }], contacts: "none" });
  await ask("POST", "/v1/enrolments", { playbook: "hello", account: accounts[0], inputs: { x: planted("input") } });
  await ask("POST", `/v1/tasks/00000000-0000-0000-0000-000000000000/note`, { note: planted("lost note") });
  const sql = postgres(house.database.url, { max: 1, onnotice: () => {} });
  try {
    for (const table of ["survey_answers", "contacts"]) {
      await sql.unsafe(`alter table ${table} rename to elsewhere`);
      const row = { id: `${mine}-f`, accountId: accounts[0] };
      const fields = {
        name: planted(`name for ${table}`),
        email: (addresses[table] = `${mark("lost")}@customer.example`),
      };
      const { status } = await ask("PUT", "/v1/customers", {
        contacts: [{ ...row, fields }],
        surveyAnswers: [
          { ...row, survey: "nps", score: 1, comment: planted(`comment for ${table}`), at: new Date().toISOString() },
        ],
      });
      await sql.unsafe(`alter table elsewhere rename to ${table}`);
      expect(status).toBe(500);
    }
  } finally {
    await sql.end();
  }
}

test("a worker without the key stops at what is encrypted and says why; where the key is, the run goes on", async () => {
  const account = `${mine}-key`;
  await ask("PUT", "/v1/customers", {
    accounts: [{ id: account, fields: { name: "Key Ltd", timezone: "UTC", csm: "u1", is_test: false } }],
    contacts: [
      {
        id: `${account}-c`,
        accountId: account,
        fields: { name: "Pat", email: "pat@key.example", role: "champion", is_active: true },
      },
    ],
  });
  await ask("POST", "/v1/enrolments", { playbook: "hello", account });
  const position = async (): Promise<string[]> =>
    (await house.ask("GET", `/v1/runs?account=${account}`)).body.runs[0]?.position ?? [];
  await eventually(async () => ((await position()).includes("answer") ? true : undefined)).catch(
    async (error: unknown) => {
      const { body } = await house.ask("GET", `/v1/runs?account=${account}`);
      throw new Error(`${JSON.stringify(body)} ${answers.join()} ${house.log.slice(-4).join("")}`, { cause: error });
    },
  );
  await house.stopWorkers();
  const { id } = (await house.ask("GET", `/v1/runs?account=${account}`)).body.runs[0] as { id: string };

  const { WAYPOST_PAYLOAD_KEY: _key, ...without } = house.environment as typeof house.environment & {
    WAYPOST_PAYLOAD_KEY: unknown;
  };
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const stop = new AbortController();
  const ended = runWorker(without as never, stop.signal, {
    logger: createLogger("info", "keyless", stream),
    bundle: await workflowBundle(),
    graceMs: 1_000,
  });
  // As the dispatcher of a process that has the key would tell the run: stop it.
  const event = {
    id: `${account}-stop`,
    name: SYSTEM_EVENTS.stop,
    at: Date.now(),
    payload: { outcome: "stopped", by: "test" },
  };
  expect(await house.wired.workflows.signal(id, event)).toBe(true);
  const failure = await eventually(async () => {
    const { events } = await house.wired.temporal.workflow.getHandle(id).fetchHistory();
    return events?.flatMap((one) => one.workflowTaskFailedEventAttributes?.failure?.message ?? []).at(-1);
  });
  expect(failure).toMatch(
    /^a payload was encrypted with key [0-9a-f]{16}, and WAYPOST_PAYLOAD_KEY is not set: every worker, server and command needs it$/,
  );
  const [run] = (await house.ask("GET", `/v1/runs?account=${account}`)).body.runs;
  expect(run.status).not.toBe("ended");
  stop.abort();
  await ended;

  await house.startWorker();
  const done = await eventually(async () => {
    const [found] = (await house.ask("GET", `/v1/runs?account=${account}`)).body.runs;
    return found.status === "ended" ? found : undefined;
  });
  expect(done.outcome).toBe("stopped");
  expect(foundIn(lines.join(""), { ...secrets, ...personal, ...addresses })).toEqual([]);
}, 120_000);

/** The planted values that are in the text, by what they are. */
function foundIn(text: string, planted: Readonly<Record<string, string>>): string[] {
  return Object.entries(planted)
    .filter(([, value]) => text.includes(value))
    .map(([name]) => name);
}

/** Every run's history: as Temporal keeps it (with what base64 hides laid open), and behind the codecs. */
async function historiesOf(client: Client, store: Installation["wired"]["store"]) {
  const runs = await store.read((tx) => store.runs.list(tx, { limit: 500 }));
  const raw: string[] = [];
  const decoded: string[] = [];
  let payloads = 0;
  for (const { id } of runs) {
    const history = await client.workflow.getHandle(id).fetchHistory();
    const found: Payload[] = [];
    const description = await client.workflowService.describeWorkflowExecution({
      namespace: "default",
      execution: { workflowId: id },
    });
    layOpen([history, description.workflowExecutionInfo], raw, found);
    payloads += found.length;
    let open = found;
    for (const codec of payloadCodecs(readPayloadKeys(KEY)).reverse()) open = await codec.decode(open);
    for (const { data } of open) decoded.push(Buffer.from(data ?? []).toString());
  }
  return { raw: raw.join("\n"), decoded: decoded.join("\n"), histories: runs.length, payloads };
}

/** Every text in the value, and all bytes as text; payloads are gathered besides. */
function layOpen(value: unknown, texts: string[], found: Payload[]): void {
  if (typeof value === "string") texts.push(value);
  if (typeof value !== "object" || value === null) return;
  if (value instanceof Uint8Array) {
    texts.push(Buffer.from(value).toString("latin1"), Buffer.from(value).toString("utf8"));
    return;
  }
  if ("data" in value && "metadata" in value && value.data instanceof Uint8Array) found.push(value as Payload);
  for (const [key, inner] of Object.entries(value)) {
    texts.push(key);
    layOpen(inner, texts, found);
  }
}
