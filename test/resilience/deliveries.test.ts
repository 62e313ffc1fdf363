import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, type Production, startProduction } from "./support/production.js";
import { END, mail, waitForGo, workspace } from "./support/workspace.js";

let waypost: Production;

beforeAll(async () => {
  waypost = await startProduction();
  await Promise.all([waypost.worker(), waypost.server()]);
  const playbooks = {
    twice: mail("first") + waitForGo() + mail("second") + END,
    once: mail("single") + END,
    nudge: `  - { id: told, slack: { to: "#gone", text: "Look at {{ account.name }}" } }\n${END}`,
    // A field of a contract, for an account that has none: known only when it is tried.
    priced: `  - { id: quote, set: { field: contract.quote, value: "1" } }
  - { id: price, if: has(contract.quote), email: { to: champion, template: price, category: service, send: now } }
${END}`,
    signed: mail("signature") + END,
  };
  const price = "---\nsubject: Price\npreheader: Price\n---\nIt is {{ account.arr | default: 0 | money: 'EUR' }}.\n";
  const signature =
    "---\nsubject: Signed\npreheader: Signed\n---\n[Book]({{ links.booking }}) {{ csm.first_name }}, {{ csm.email }}\n";
  await waypost.publish(workspace(playbooks, { price, signature }));
}, 60_000);
afterAll(async () => waypost?.stop());

const go = async (account: string) => {
  const event = { id: `go-${account}`, name: "go.given", account };
  expect((await waypost.ask("POST", "/v1/events", event)).status).toBe(202);
};
const ended = (run: { status: string }) => run.status === "ended";
const parked = (run: { parked: unknown }) => run.parked !== null;

async function entries(run: string) {
  const { body } = await waypost.ask("GET", `/v1/runs/${encodeURIComponent(run)}/timeline`);
  return body.entries as { kind: string; step: string | null; detail: Record<string, unknown> }[];
}

test("an address that the server refuses is not written to again", async () => {
  waypost.mailbox.misbehave({
    kind: "reply",
    at: "recipient",
    reply: "550 5.1.1 No such user",
    to: "pat@nobody.example",
  });
  await waypost.account("nobody");
  await waypost.signal("twice", "nobody");
  await waypost.run("nobody", ({ position }) => position.includes("go"));
  await go("nobody");
  const run = await waypost.run("nobody", ended);
  expect(run.outcome).toBe("done");
  expect(
    (await entries(run.id))
      .filter(({ step }) => step === "first" || step === "second")
      .map(({ kind, detail }) => [kind, detail.reason]),
  ).toEqual([
    ["email.rejected", "550 5.1.1 at recipient"],
    ["email.bounced", undefined],
    ["email.skipped", "bounced_before"],
  ]);
  expect(waypost.mailsTo("nobody")).toEqual([]);
});

test("a server that says later is asked later, and takes the mail once", async () => {
  waypost.mailbox.misbehave({
    kind: "reply",
    at: "recipient",
    reply: "451 4.7.1 Greylisted",
    to: "pat@grey.example",
    times: 2,
  });
  await waypost.account("grey");
  await waypost.signal("once", "grey");
  const run = await waypost.run("grey", ended);
  expect(waypost.mailsTo("grey")).toEqual(["single for grey"]);
  expect(await waypost.timeline(run.id)).toEqual(["run.started", "email.sent single", "run.ended end-2"]);
});

test("a connection that breaks after the dot is asked about, not sent again", async () => {
  waypost.mailbox.misbehave({ kind: "drop", at: "body", kept: true, to: "pat@broken.example", times: 1 });
  await waypost.account("broken");
  await waypost.signal("once", "broken");
  await waypost.run("broken", ended);
  expect(waypost.mailsTo("broken")).toEqual(["single for broken"]);
  expect(waypost.mailbox.stats()).toMatchObject({ duplicated: 0 });
});

test("a connection that breaks after the dot, the mail not taken, is sent once more", async () => {
  waypost.mailbox.misbehave({ kind: "drop", at: "body", to: "pat@lost.example", times: 1 });
  await waypost.account("lost");
  await waypost.signal("once", "lost");
  await waypost.run("lost", ended);
  expect(waypost.mailsTo("lost")).toEqual(["single for lost"]);
});

test("a channel that is gone parks the run, its owner is told, and retry goes on once the channel is back", async () => {
  for (const channel of ["#gone", "#unassigned"])
    waypost.desk.misbehave({ kind: "error", error: "channel_not_found", channel, times: "always" });
  // No CSM: nobody else who could be told instead.
  await waypost.account("quiet", { csm: null });
  await waypost.signal("nudge", "quiet");
  const run = await waypost.run("quiet", parked);
  expect(run.parked).toMatchObject({ step: "told", reason: "Slack: channel_not_found" });
  const told = await eventually(async () => waypost.desk.posts().find(({ text }) => text.includes("needs attention")));
  expect(told.user).toBe(waypost.desk.userByEmail("ops@waypost.example")?.id);
  expect(told.text).toBe('The run of "The nudge playbook" for quiet needs attention at told: Slack: channel_not_found');

  waypost.desk.behave();
  expect(await waypost.waypost("retry", run.id, "--json")).toMatchObject({ code: 0, stdout: '{"ok":true}\n' });
  expect((await waypost.run("quiet", ended)).outcome).toBe("done");
  expect(
    waypost.desk
      .posts()
      .filter(({ text }) => text === "Look at quiet")
      .map(({ channelName }) => channelName),
  ).toEqual(["#gone"]);
});

test("a channel that is gone is replaced by the CSM's own messages, where there is a CSM", async () => {
  waypost.desk.misbehave({ kind: "error", error: "channel_not_found", channel: "#gone", times: "always" });
  await waypost.account("served");
  await waypost.signal("nudge", "served");
  await waypost.run("served", ended);
  waypost.desk.behave();
  const [told, ...more] = waypost.desk.posts().filter(({ text }) => text === "Look at served");
  expect([told?.user, more.length]).toEqual([waypost.desk.userByEmail("ann@waypost.example")?.id, 0]);
});

test("Slack's rate limit is waited out, and the message is posted once", async () => {
  waypost.desk.misbehave({ kind: "limit", retryAfterSeconds: 1, channel: "#gone", times: 2 });
  await waypost.account("busy");
  await waypost.signal("nudge", "busy");
  await waypost.run("busy", ended);
  expect(waypost.desk.posts().filter(({ text }) => text === "Look at busy")).toHaveLength(1);
  expect(waypost.desk.stats().duplicated).toBe(0);
});

test("a step that can't be done parks its run: skip goes on, stop ends it, retry does it once the value is there", async () => {
  const ids = ["skipped", "stopped", "mended"];
  for (const id of ids) await waypost.account(id);
  for (const id of ids) await waypost.signal("priced", id);
  const [skip, stop, retry] = await Promise.all(ids.map((id) => waypost.run(id, parked)));
  expect(skip?.parked).toMatchObject({
    step: "quote",
    reason: "contract.quote: the run has no contract",
  });

  const path = (id = "") => `/v1/runs/${encodeURIComponent(id)}`;
  expect((await waypost.ask("POST", `${path(skip?.id)}/skip`)).status).toBe(202);
  expect((await waypost.run("skipped", ended)).outcome).toBe("done");
  expect((await waypost.ask("POST", `${path(skip?.id)}/skip`)).status).toBe(409);

  expect((await waypost.waypost("stop", stop?.id ?? "")).code).toBe(0);
  expect((await waypost.run("stopped", ended)).outcome).toBe("stopped");
  const again = await waypost.waypost("retry", stop?.id ?? "", "--json");
  expect([again.code, again.json()]).toEqual([1, { ok: false, reason: "the run has ended" }]);

  await waypost.ask("PUT", "/v1/customers", {
    contracts: [{ id: "c-1", accountId: "mended", fields: { currency: "EUR", status: "active" } }],
  });
  expect((await waypost.waypost("retry", retry?.id ?? "")).code).toBe(0);
  expect((await waypost.run("mended", ended)).outcome).toBe("done");
  expect(ids.map((id) => waypost.mailsTo(id))).toEqual([[], [], ["Price"]]);
});

test("an account without a CSM, and a CSM without a booking page, are written to all the same", async () => {
  await waypost.account("orphan", { csm: null });
  await waypost.account("bookless");
  for (const id of ["orphan", "bookless"]) await waypost.signal("signed", id);
  for (const id of ["orphan", "bookless"]) await waypost.run(id, ended);
  const text = (id: string) =>
    waypost.mailbox.messages().find(({ to }) => to.includes(`pat@${id}.example`))?.text ?? "";
  expect(text("orphan")).toContain("Acme CS, success@waypost.example");
  expect(text("orphan")).toContain("Book <success@waypost.example>");
  expect(text("bookless")).toContain("Ann, ann@waypost.example");
  expect(text("bookless")).toContain("Book <ann@waypost.example>");
});

test("where the owner of a parked run has no Slack user, the channel for alarms is told", async () => {
  waypost.desk.misbehave({ kind: "error", error: "users_not_found", method: "users.lookupByEmail", times: "always" });
  await waypost.ask("PUT", "/v1/customers", { users: [{ id: "zoe", name: "Zoe Ray", email: "zoe@waypost.example" }] });
  await waypost.account("unheard", { csm: "zoe" });
  await waypost.signal("priced", "unheard");
  await waypost.run("unheard", parked);
  const told = await eventually(async () =>
    waypost.desk.posts().find(({ text }) => text.includes("for unheard needs")),
  );
  waypost.desk.behave();
  expect(told.channelName).toBe("#alerts");
});

test("the kill switch holds all mail at once; release lets it go, once", async () => {
  expect((await waypost.waypost("hold", "--all-email", "--reason", "a test", "--json")).json()).toMatchObject({
    ok: true,
    changed: true,
    switches: [{ name: "all_email", reason: "a test" }],
  });
  await waypost.account("waits");
  await waypost.signal("once", "waits");
  await waypost.run("waits", ({ position }) => position.includes("single"));
  await eventually(async () =>
    (await waypost.timeline("run/once/waits/waits/1")).find((line) => line.includes("single")),
  );
  expect(waypost.mailsTo("waits")).toEqual([]);
  expect((await waypost.waypost("release", "--all-email", "--json")).json()).toEqual({
    ok: true,
    changed: true,
    switches: [],
  });
  await waypost.run("waits", ended);
  expect(waypost.mailsTo("waits")).toEqual(["single for waits"]);
  expect(await waypost.waypost("release", "--all-email", "--json")).toMatchObject({
    code: 0,
    stdout: '{"ok":true,"changed":false,"switches":[]}\n',
  });
});
