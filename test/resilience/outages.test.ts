import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, pause, type Production, type Program, startProduction } from "./support/production.js";
import { END, mail, waitForGo, workspace } from "./support/workspace.js";

let waypost: Production;
let worker: Program;

beforeAll(async () => {
  waypost = await startProduction({ proxies: true });
  [worker] = await Promise.all([waypost.worker(), waypost.server()]);
  await waypost.publish(
    workspace({ twice: mail("first") + waitForGo() + mail("second") + END, once: mail("single") + END }),
  );
}, 60_000);
afterAll(async () => waypost?.stop());

const ended = ({ status }: { status: string }) => status === "ended";

interface Answer {
  readonly id: string;
  readonly account: string;
  readonly status: number;
  readonly retryAfter: string | null;
}

/** Posts one `go.given` for each account, a few at a time, until told to stop; what was answered to each. */
function post(accounts: readonly string[], everyMs: number): { stop(): Promise<Answer[]> } {
  const answers: Promise<Answer>[] = [];
  let isOver = false;
  const posting = (async () => {
    for (let number = 0; !isOver; number += 1) {
      const account = accounts[number % accounts.length] as string;
      const event = { id: `go-${number}`, name: "go.given", account, payload: { word: "go" } };
      answers.push(
        waypost
          .ask("POST", "/v1/events", event)
          .then(({ status, headers }) => ({ id: event.id, account, status, retryAfter: headers.get("retry-after") })),
      );
      await pause(everyMs);
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

test.each(["cut", "freeze"] as const)(
  "Postgres is away (%s) while events are posted: what was answered 202 is not lost, the rest was told to come again",
  async (how) => {
    const accounts = Array.from({ length: 4 }, (_, index) => `${how}-${index}`);
    for (const account of accounts) await waypost.account(account);
    for (const account of accounts) await waypost.signal("twice", account);
    for (const account of accounts) await waypost.run(account, ({ position }) => position.includes("go"));

    const posting = post(accounts, 50);
    await pause(150);
    await waypost.postgres?.[how]();
    await pause(3_000);
    await waypost.postgres?.restore();
    await eventually(async () => (await waypost.ask("GET", "/readyz")).status === 200 || undefined);
    await pause(150);
    const answers = await posting.stop();

    const refused = answers.filter(({ status }) => status !== 202 && status !== 200);
    expect(refused.length).toBeGreaterThan(3);
    expect(new Set(refused.map(({ status, retryAfter }) => `${status} ${retryAfter}`))).toEqual(new Set(["503 5"]));
    for (const account of accounts) {
      await waypost.run(account, ended);
      expect(waypost.mailsTo(account)).toEqual([`first for ${account}`, `second for ${account}`]);
    }
    const taken = answers.filter(({ status }) => status === 202);
    expect(taken.length).toBeGreaterThan(3);
    for (const { id, account } of taken) {
      // Known to the store: the same again changes nothing.
      const again = await waypost.ask("POST", "/v1/events", { id, name: "go.given", account, payload: { word: "go" } });
      expect([again.status, again.body]).toEqual([200, { id, status: "repeated" }]);
    }
    expect(worker.log()).not.toContain('"level":60');
  },
  60_000,
);

test.each(["cut", "freeze"] as const)(
  "Temporal is away (%s): events are taken, and runs go on when it is back",
  async (how) => {
    const [early, late] = [`early-${how}`, `late-${how}`];
    await waypost.account(early);
    await waypost.account(late);
    await waypost.signal("twice", early);
    await waypost.run(early, ({ position }) => position.includes("go"));

    await waypost.temporal?.[how]();
    const ready = await waypost.ask("GET", "/readyz");
    expect([ready.status, ready.body]).toEqual([503, { ok: false, postgres: true, temporal: false }]);
    expect(
      (await waypost.ask("POST", "/v1/events", { id: `go-${how}`, name: "go.given", account: early })).status,
    ).toBe(202);
    await waypost.signal("once", late);
    if (how === "cut") {
      const paused = await waypost.ask("POST", `/v1/runs/${encodeURIComponent(`run/twice/${early}/${early}/1`)}/pause`);
      expect([paused.status, paused.headers.get("retry-after")]).toEqual([503, "5"]);
    }
    await pause(500);
    expect(waypost.mailsTo(early)).toEqual([`first for ${early}`]);
    await waypost.temporal?.restore();

    await waypost.run(early, ended);
    await waypost.run(late, ended);
    expect(waypost.mailsTo(early)).toEqual([`first for ${early}`, `second for ${early}`]);
    expect(waypost.mailsTo(late)).toEqual([`single for ${late}`]);
  },
  60_000,
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
