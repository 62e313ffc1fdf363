import { afterAll, beforeAll, expect, test } from "vitest";
import { type Desk, startDesk } from "../../../src/local/desk.js";
import { eventually, type Installation, smallWorkspace, startInstallation } from "../support/installation.js";

const SIGNING_SECRET = "0123456789abcdef0123456789abcdef";

let house: Installation;
let desk: Desk;

beforeAll(async () => {
  desk = await startDesk({
    signingSecret: SIGNING_SECRET,
    users: [{ id: "U1", name: "Ann Lee", email: "ann@waypost.example" }],
  });
  house = await startInstallation({
    SLACK_BOT_TOKEN: "xoxb-test",
    SLACK_SIGNING_SECRET: SIGNING_SECRET,
    SLACK_API_URL: desk.apiUrl,
  });
  desk.setReceiver(`${house.url}/slack/events`);
  await house.startWorker();
  const files = smallWorkspace();
  // Without a question, one press completes it.
  const playbook = (files["hello/playbook.yaml"] as string).replace(
    ", ask: outcome, outcomes: [reached, not_reached]",
    "",
  );
  await house.ask("POST", "/v1/playbooks", { body: { files: { ...files, "hello/playbook.yaml": playbook } } });
  await house.ask("PUT", "/v1/customers", {
    body: {
      users: [{ id: "u1", name: "Ann Lee", email: "ann@waypost.example", timezone: "UTC", calendar: "standard" }],
      accounts: [{ id: "slackco", fields: { name: "Acme", timezone: "UTC", csm: "u1" } }],
      contacts: [
        {
          id: "c1",
          accountId: "slackco",
          fields: { name: "Pat", email: "pat@slackco.example", role: "champion", is_active: true },
        },
      ],
    },
  });
}, 120_000);
afterAll(async () => {
  await house.stop();
  await desk.stop();
});

test("a task is posted by the worker, completed by a signed press on the server's port, and in the audit", async () => {
  await house.ask("POST", "/v1/events", { body: { id: "s1", name: "signal.raised", account: "slackco", payload: {} } });
  const message = await eventually(async () => desk.posts().find(({ text }) => text.includes("Call Acme")));
  await desk.press({ ts: message.ts, channel: message.channel, user: "U1", actionId: "task:complete" });
  const task = await eventually(async () => {
    const [found] = (await house.ask("GET", "/v1/tasks?account=slackco")).body.tasks;
    return found?.status === "done" ? found : undefined;
  });
  expect(task.closedBy).toBe("u1");
  const rows = await house.wired.store.read((tx) => house.wired.audit.list(tx, { subject: task.id }));
  expect(rows.map(({ actor, action, detail }) => ({ actor, action, detail }))).toEqual([
    { actor: "u1", action: "task.complete", detail: { via: "slack", revision: 2 } },
  ]);
}, 120_000);

test("what Slack has not signed is refused on the same port", async () => {
  const answer = await fetch(`${house.url}/slack/events`, { method: "POST", body: "payload={}" });
  expect(answer.status).toBe(401);
});
