import { afterAll, beforeAll, expect, test } from "vitest";
import { type Desk, startDesk } from "../../../src/local/desk.js";
import { type SocketSide, startSocketSide } from "../slack/socket-side.js";
import { eventually, type Installation, smallWorkspace, startInstallation } from "../support/installation.js";

const SIGNING_SECRET = "0123456789abcdef0123456789abcdef";

let house: Installation;
let desk: Desk;
let slack: SocketSide;

beforeAll(async () => {
  desk = await startDesk({
    signingSecret: SIGNING_SECRET,
    users: [{ id: "U1", name: "Ann Lee", email: "ann@waypost.example" }],
  });
  slack = await startSocketSide({ token: "xapp-test", deskApiUrl: desk.apiUrl, signingSecret: SIGNING_SECRET });
  // No signing secret: Socket Mode does without one.
  house = await startInstallation({
    SLACK_BOT_TOKEN: "xoxb-test",
    SLACK_APP_TOKEN: "xapp-test",
    SLACK_API_URL: slack.apiUrl,
  });
  desk.setReceiver(slack.receiverUrl);
  await house.startWorker();
  const files = smallWorkspace();
  // Without a question, one press completes it.
  const playbook = (files["hello/playbook.yaml"] as string).replace(
    ", ask: outcome, outcomes: [reached, not_reached]",
    "",
  );
  await house.ask("POST", "/v1/playbooks", { body: { files: { ...files, "hello/playbook.yaml": playbook } } });
  for (const account of ["socketco", "socketco2"]) {
    await house.ask("PUT", "/v1/customers", {
      body: {
        users: [{ id: "u1", name: "Ann Lee", email: "ann@waypost.example", timezone: "UTC", calendar: "standard" }],
        accounts: [{ id: account, fields: { name: account, timezone: "UTC", csm: "u1" } }],
        contacts: [
          {
            id: `${account}-pat`,
            accountId: account,
            fields: { name: "Pat", email: `pat@${account}.example`, role: "champion", is_active: true },
          },
        ],
      },
    });
  }
}, 120_000);
afterAll(async () => {
  await house?.stop();
  await slack?.stop();
  await desk?.stop();
});

async function taskMessage(account: string) {
  await house.ask("POST", "/v1/events", {
    body: { id: `raise-${account}`, name: "signal.raised", account, payload: {} },
  });
  return eventually(async () => desk.posts().find(({ text }) => new RegExp(`Call ${account}(?!\\w)`).test(text)));
}

async function doneTask(account: string) {
  return eventually(async () => {
    const [found] = (await house.ask("GET", `/v1/tasks?account=${account}`)).body.tasks;
    return found?.status === "done" ? found : undefined;
  });
}

test("a click by Socket Mode completes a task in Postgres within 3 s, once, and is in the audit", async () => {
  const message = await taskMessage("socketco");
  const pressed = await desk.press({ ts: message.ts, channel: message.channel, user: "U1", actionId: "task:complete" });
  expect([pressed.status, pressed.late]).toEqual([200, false]);
  const task = await doneTask("socketco");
  expect(task.closedBy).toBe("u1");
  const [envelope] = slack.envelopes;
  if (envelope === undefined) throw new Error("no envelope");
  expect((await slack.send(envelope))?.afterMs).toBeLessThan(3_000);
  const rows = await house.wired.store.read((tx) => house.wired.audit.list(tx, { subject: task.id }));
  expect(rows.map(({ actor, action, detail }) => ({ actor, action, detail }))).toEqual([
    { actor: "u1", action: "task.complete", detail: { via: "slack", revision: 2 } },
  ]);
}, 120_000);

test("after Slack asked it to connect anew, clicks arrive", async () => {
  const message = await taskMessage("socketco2");
  const before = slack.greeted();
  slack.refresh();
  await eventually(async () => (slack.greeted() === before + 1 && slack.connected() === 1) || undefined, 5_000);
  await desk.press({ ts: message.ts, channel: message.channel, user: "U1", actionId: "task:complete" });
  expect((await doneTask("socketco2")).closedBy).toBe("u1");
}, 120_000);

test("HTTP requests of Slack's are not taken beside it", async () => {
  expect((await fetch(`${house.url}/slack/events`, { method: "POST", body: "payload={}" })).status).toBe(404);
});
