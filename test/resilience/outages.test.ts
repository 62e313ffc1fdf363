import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, pause, type Production, type Program, startProduction } from "./support/production.js";
import { END, mail, waitForGo, workspace } from "./support/workspace.js";

let waypost: Production;
let worker: Program;
let server: Program;

beforeAll(async () => {
  waypost = await startProduction({ proxies: true });
  [worker, server] = await Promise.all([waypost.worker(), waypost.server()]);
  await waypost.publish(
    workspace({ twice: mail("first") + waitForGo() + mail("second") + END, once: mail("single") + END }),
  );
}, 60_000);
afterAll(async () => waypost?.stop());

const ended = ({ status }: { status: string }) => status === "ended";

/** How long a server is away; `npm test` has no minute to spare, `WAYPOST_OUTAGE_SECONDS=60` has. */
const OUTAGE_MS = Number(process.env.WAYPOST_OUTAGE_SECONDS ?? 3) * 1_000;
/** Accounts with a run that waits for its event. */
const WAITING = 5;
/** Between two requests, a little over ten a second. */
const POST_EVERY_MS = 90;
/** The longest that a request may be left without an answer while Postgres is silent. */
const ANSWER_MAX_MS = 35_000;
/** Until everything is as it was: attempts after a long outage are up to 30 s apart. */
const CATCH_UP_MS = OUTAGE_MS > 10_000 ? 90_000 : 20_000;

interface Answer {
  readonly id: string;
  readonly account: string;
  readonly status: number;
  readonly retryAfter: string | null;
  readonly tookMs: number;
}

/** Posts one `go.given` for each account in turn, whether or not the ones before were answered, until told to stop. */
function post(prefix: string, accounts: readonly string[]): { stop(): Promise<Answer[]> } {
  const answers: Promise<Answer>[] = [];
  let isOver = false;
  const posting = (async () => {
    for (let number = 0; !isOver; number += 1) {
      const account = accounts[number % accounts.length] as string;
      const event = { id: `${prefix}-${number}`, name: "go.given", account, payload: { word: "go" } };
      const began = performance.now();
      answers.push(
        waypost.ask("POST", "/v1/events", event).then(({ status, headers }) => ({
          id: event.id,
          account,
          status,
          retryAfter: headers.get("retry-after"),
          tookMs: performance.now() - began,
        })),
      );
      await pause(POST_EVERY_MS);
    }
  })();
  return {
    async stop() {
      isOver = true;
      await posting;
      return Promise.all(answers);
    },
  };
}

async function waitingRuns(prefix: string): Promise<string[]> {
  const accounts = Array.from({ length: WAITING }, (_, index) => `${prefix}-${index}`);
  for (const account of accounts) await waypost.account(account);
  for (const account of accounts) await waypost.signal("twice", account);
  for (const account of accounts) await waypost.run(account, ({ position }) => position.includes("go"));
  return accounts;
}

/** Known to the store: the same again changes nothing. */
async function expectTaken(answers: readonly Answer[]): Promise<void> {
  for (const { id, account } of answers) {
    const again = await waypost.ask("POST", "/v1/events", { id, name: "go.given", account, payload: { word: "go" } });
    expect([again.status, again.body]).toEqual([200, { id, status: "repeated" }]);
  }
}

async function expectAllEnded(accounts: readonly string[]): Promise<void> {
  for (const account of accounts) {
    await waypost.run(account, ended, CATCH_UP_MS);
    expect(waypost.mailsTo(account)).toEqual([`first for ${account}`, `second for ${account}`]);
  }
}

function expectStillUp(): void {
  expect([worker.isRunning(), server.isRunning()]).toEqual([true, true]);
  expect(worker.log() + server.log()).not.toContain('"level":60');
}

function report(what: string, answers: readonly Answer[], backMs: number): void {
  const count = (is: (answer: Answer) => boolean) => answers.filter(is).length;
  const longest = Math.round(Math.max(...answers.map(({ tookMs }) => tookMs)));
  console.log(
    `${what} for ${OUTAGE_MS / 1_000} s: ${answers.length} requests, ${count(({ status }) => status === 202)} taken, ${count(({ status }) => status === 503)} told to come again, longest answer ${longest} ms, ready again after ${Math.round(backMs)} ms`,
  );
}

test.each(["cut", "freeze"] as const)(
  "Postgres is away (%s) while events are posted: what was answered 202 is not lost, the rest was told to come again",
  async (how) => {
    const accounts = await waitingRuns(how);
    const posting = post(how, accounts);
    await pause(300);
    await waypost.postgres?.[how]();
    await pause(OUTAGE_MS);
    await waypost.postgres?.restore();
    const restored = performance.now();
    await eventually(async () => (await waypost.ask("GET", "/readyz")).status === 200 || undefined);
    const backMs = performance.now() - restored;
    await pause(300);
    const answers = await posting.stop();
    report(`Postgres away (${how})`, answers, backMs);

    const refused = answers.filter(({ status }) => status !== 202 && status !== 200);
    expect(refused.length).toBeGreaterThan(3);
    expect(new Set(refused.map(({ status, retryAfter }) => `${status} ${retryAfter}`))).toEqual(new Set(["503 5"]));
    expect(Math.max(...answers.map(({ tookMs }) => tookMs))).toBeLessThan(ANSWER_MAX_MS);
    const taken = answers.filter(({ status }) => status === 202);
    expect(taken.length).toBeGreaterThan(3);
    await expectTaken(taken);
    // Those whose event was refused get it now, as a caller who comes again would send it.
    for (const account of accounts) {
      const event = { id: `${how}-again-${account}`, name: "go.given", account, payload: { word: "go" } };
      expect((await waypost.ask("POST", "/v1/events", event)).status).toBe(202);
    }
    await expectAllEnded(accounts);
    expectStillUp();
  },
  60_000 + 2 * OUTAGE_MS + CATCH_UP_MS,
);

test.each(["cut", "freeze"] as const)(
  "Temporal is away (%s) while events are posted: all are taken, and runs go on when it is back",
  async (how) => {
    const accounts = await waitingRuns(`temporal-${how}`);
    const late = `late-${how}`;
    await waypost.account(late);

    await waypost.temporal?.[how]();
    const posting = post(`temporal-${how}`, accounts);
    const ready = await waypost.ask("GET", "/readyz");
    expect([ready.status, ready.body]).toEqual([503, { ok: false, postgres: true, temporal: false }]);
    await waypost.signal("once", late);
    if (how === "cut") {
      const run = encodeURIComponent(`run/twice/${accounts[0]}/${accounts[0]}/1`);
      const paused = await waypost.ask("POST", `/v1/runs/${run}/pause`);
      expect([paused.status, paused.headers.get("retry-after")]).toEqual([503, "5"]);
    }
    await pause(OUTAGE_MS);
    expect(accounts.map((account) => waypost.mailsTo(account))).toEqual(
      accounts.map((account) => [`first for ${account}`]),
    );
    await waypost.temporal?.restore();
    const restored = performance.now();
    await eventually(async () => (await waypost.ask("GET", "/readyz")).status === 200 || undefined);
    const backMs = performance.now() - restored;
    const answers = await posting.stop();
    report(`Temporal away (${how})`, answers, backMs);

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    await expectAllEnded(accounts);
    await waypost.run(late, ended, CATCH_UP_MS);
    expect(waypost.mailsTo(late)).toEqual([`single for ${late}`]);
    await expectTaken(answers);
    expectStillUp();
  },
  60_000 + 2 * OUTAGE_MS + CATCH_UP_MS,
);

test("a worker that starts before its servers waits for them", async () => {
  await worker.end();
  await waypost.postgres?.cut();
  await waypost.temporal?.cut();
  const starting = waypost.worker();
  await pause(1_500);
  await waypost.postgres?.restore();
  await waypost.temporal?.restore();
  worker = await starting;
  await waypost.account("patient");
  await waypost.signal("once", "patient");
  await waypost.run("patient", ended);
  expect(waypost.mailsTo("patient")).toEqual(["single for patient"]);
}, 40_000);

test("SIGTERM lets the mail that is on its way have its answer: exit 0, sent once", async () => {
  await waypost.account("draining");
  waypost.mailbox.misbehave({ kind: "delay", at: "body", delayMs: 800, to: "pat@draining.example" });
  await waypost.signal("once", "draining");
  await eventually(async () => waypost.mailsTo("draining").length > 0 || undefined);
  expect(await worker.end("SIGTERM")).toBe(0);
  expect(worker.log()).toContain("ended");
  waypost.mailbox.behave();
  worker = await waypost.worker();
  const run = await waypost.run("draining", ended);
  expect(waypost.mailsTo("draining")).toEqual(["single for draining"]);
  expect(await waypost.timeline(run.id)).toEqual(["run.started", "email.sent single", "run.ended end-2"]);
  expect(waypost.mailbox.stats().duplicated).toBe(0);
}, 40_000);
