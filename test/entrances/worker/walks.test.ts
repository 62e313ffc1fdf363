import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, type Installation, smallWorkspace, startInstallation } from "../support/installation.js";

let house: Installation;

beforeAll(async () => {
  house = await startInstallation();
  const published = await house.ask("POST", "/v1/playbooks", { body: { files: smallWorkspace() } });
  expect(published.status).toBe(200);
  const imported = await house.ask("PUT", "/v1/customers", {
    body: {
      // Before the latest daily instant, so that the sweep finds them.
      at: new Date(Date.now() - 3 * 86_400_000).toISOString(),
      users: [
        {
          id: "u1",
          name: "Ann Lee",
          email: "ann@waypost.example",
          timezone: "Europe/London",
          locale: "en",
          calendar: "standard",
        },
      ],
      accounts: ["walka", "walkb", "walkc"].map((id) => ({
        id,
        fields: {
          name: id,
          timezone: "Europe/Warsaw",
          locale: "en",
          csm: "u1",
          is_test: false,
          touch_model: "high",
          tier: "growth",
          stage: "adoption",
        },
      })),
      contacts: ["walka", "walkb", "walkc"].map((id) => ({
        id: `${id}-c1`,
        accountId: id,
        fields: {
          name: "Pat Roe",
          email: `pat@${id}.example`,
          role: "champion",
          is_primary: true,
          is_active: true,
          locale: "en",
        },
      })),
    },
  });
  expect(imported.body.refused).toEqual([]);
}, 120_000);
afterAll(async () => house.stop());

const signal = (account: string, id: string) => ({ id, name: "signal.raised", account, payload: { reason: "quiet" } });

async function runOf(account: string, is: (run: { status: string; position: string[] }) => boolean = () => true) {
  return eventually(async () => {
    const { body } = await house.ask("GET", `/v1/runs?account=${account}`);
    return body.runs.find(is);
  });
}

async function timelineOf(run: string): Promise<{ kind: string; step: string | null }[]> {
  return (await house.ask("GET", `/v1/runs/${encodeURIComponent(run)}/timeline`)).body.entries;
}

test("an event walks through the house: HTTP, enrolment, Temporal, SMTP, task, reply, timeline", async () => {
  const worker = await house.startWorker();
  const sent = await house.ask("POST", "/v1/events", { body: signal("walka", "walk-1") });
  expect([sent.status, sent.body]).toEqual([202, { id: "walk-1", status: "accepted" }]);

  const run = await runOf("walka", ({ position }) => position.includes("answer"));
  expect(run.id).toBe("run/hello/walka/walka/1");
  const [mail] = house.mailbox.messages().filter(({ to }) => to.includes("pat@walka.example"));
  expect(mail?.subject).toBe("Hello, Pat Roe");

  const { tasks } = (await house.ask("GET", "/v1/tasks?account=walka")).body;
  expect(tasks).toMatchObject([
    { title: "Call walka", assignee: "u1", status: "open", required: true, ask: "outcome" },
  ]);
  const done = await house.ask("POST", `/v1/tasks/${tasks[0].id}/complete`, { body: { by: "u1", outcome: "reached" } });
  expect([done.status, done.body.status, done.body.closedBy]).toEqual([200, "done", "u1"]);

  const replied = { id: "walk-2", name: "email.replied", payload: { delivery: mail?.messageId } };
  expect((await house.ask("POST", "/v1/events", { body: replied })).body).toEqual({ id: "walk-2", status: "accepted" });
  await runOf("walka", ({ status }) => status === "ended");
  const kinds = (await timelineOf(run.id)).map(({ kind, step }) => `${kind} ${step ?? ""}`.trim());
  expect(kinds).toEqual([
    "run.started",
    "email.sent hello",
    "task.opened call",
    "wait_for.began answer",
    "task.closed call",
    "email.replied hello",
    "wait_for.met answer",
    "run.ended end-4",
  ]);
  expect(await worker.stop()).toBe(0);
}, 120_000);

test("with no worker nothing is lost: what was accepted is done when one comes", async () => {
  await house.ask("POST", "/v1/events", { body: signal("walkc", "walkc-1") });
  expect((await house.ask("GET", "/v1/runs?account=walkc")).body.runs).toEqual([]);
  const worker = await house.startWorker();
  await runOf("walkc", ({ position }) => position.includes("answer"));
  expect(await worker.stop()).toBe(0);
}, 120_000);

test("a shut-down lets a mail that is on its way get its answer: sent once, and the run goes on with the next worker", async () => {
  const worker = await house.startWorker();
  house.mailbox.misbehave({ kind: "delay", at: "body", delayMs: 1_500, to: "pat@walkb.example" });
  await house.ask("POST", "/v1/events", { body: signal("walkb", "walkb-1") });
  await eventually(async () =>
    house.mailbox.messages().some(({ to }) => to.includes("pat@walkb.example")) ? true : undefined,
  );
  const before = performance.now();
  expect(await worker.stop()).toBe(0);
  expect(performance.now() - before).toBeLessThan(8_000);
  house.mailbox.behave();
  await house.startWorker();
  const run = await runOf("walkb", ({ position }) => position.includes("answer"));
  expect(house.mailbox.messages().filter(({ to }) => to.includes("pat@walkb.example"))).toHaveLength(1);
  expect((await timelineOf(run.id)).filter(({ kind }) => kind === "email.sent")).toHaveLength(1);
}, 120_000);

test("a run that can't go on is parked, and is retried or skipped over HTTP", async () => {
  const files = {
    ...smallWorkspace(),
    "stuck/playbook.yaml": `playbook: stuck
title: Stuck
maintainer: cs-ops@waypost.example
subject: account
enroll: { when: [{ manual: {} }], again: always }
exit:
  - when: { event: contract.lost }
    outcome: churned
on_exit: { open_tasks: cancel, deferred_email: cancel }
priority: 10
calendar: customer
steps:
  - { id: tell, slack: { to: "#nowhere", text: "Look at {{ account.name }}" } }
  - end: recovered
`,
  };
  expect((await house.ask("POST", "/v1/playbooks", { body: { files } })).body.errors ?? []).toEqual([]);
  const { body } = await house.ask("POST", "/v1/enrolments", { body: { playbook: "stuck", account: "walka" } });
  const at = `/v1/runs/${encodeURIComponent(body.run)}`;
  const parked = () =>
    eventually(async () =>
      (await house.ask("GET", at)).body.parked === null ? undefined : (await house.ask("GET", at)).body,
    );
  expect((await parked()).parked).toMatchObject({ reason: expect.stringContaining("Slack is not configured") });
  const retried = await house.ask("POST", `${at}/retry`);
  expect([retried.status, retried.body]).toEqual([202, { run: body.run, did: "retry" }]);
  await eventually(async () => {
    const kinds = (await timelineOf(body.run)).map(({ kind }) => kind);
    return kinds.filter((kind) => kind === "run.parked").length === 2 ? true : undefined;
  });
  await parked();
  expect((await house.ask("POST", `${at}/skip`, { body: { by: "u1" } })).body).toEqual({ run: body.run, did: "skip" });
  const ended = await eventually(async () => {
    const run = (await house.ask("GET", at)).body;
    return run.status === "ended" ? run : undefined;
  });
  expect([ended.outcome, ended.parked]).toEqual(["recovered", null]);
  expect((await house.ask("POST", `${at}/retry`)).status).toBe(409);
}, 120_000);

test("the daily sweep is poked by a Schedule, and measures everybody", async () => {
  const schedule = await eventually(async () => {
    const description = await house.wired.temporal.schedule
      .getHandle(`waypost-sweep-${house.wired.taskQueue}`)
      .describe()
      .catch(() => undefined);
    return description;
  });
  expect(schedule.spec.intervals?.[0]?.every).toBe(300_000);
  await house.wired.temporal.schedule.getHandle(`waypost-sweep-${house.wired.taskQueue}`).trigger();
  const health = await eventually(async () => {
    const answer = await house.ask("GET", "/v1/accounts/walka/health");
    return answer.status === 200 ? answer.body : undefined;
  });
  expect(health).toMatchObject({ account: "walka", override: null });
}, 120_000);

test("no address and no token is in any line of the log", () => {
  const log = house.log.join("");
  expect(log).toContain("ready: taking runs");
  expect(log).not.toMatch(/pat@|ann@|wp_[A-Za-z0-9_-]{12}/);
});
