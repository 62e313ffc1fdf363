import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { steppedClock } from "../../src/adapters/memory/clock.js";
import { createMailComposer } from "../../src/adapters/email/compose.js";
import { createSlackMessages } from "../../src/adapters/slack/messages.js";
import type { Plan } from "../../src/engine/plan.js";
import * as planned from "../engine/plans.js";
import { type Stage, command, DAY, email, HOUR, openStage, performOn, PLAN, T0, task } from "./support/stage.js";

let stage: Stage;
let number = 0;
/** Each test has an account, a champion and a run of its own. */
let account: string;
let run: string;
let champion: string;

beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());
beforeEach(async () => {
  number += 1;
  account = `acme-${number}`;
  champion = `carla-${number}`;
  run = `run/onboarding/${account}/k/1`;
  stage.mailer.inbox.length = 0;
  stage.slack.messages.length = 0;
  stage.mailer.isAskable = true;
  await stage.account(account, {});
  await stage.contact(champion, account, { first_name: "Carla" });
  await stage.run({ id: run, accountId: account });
});

const sentTo = (): string[] => stage.mailer.inbox.map(({ envelope }) => envelope.to);

describe("e-mail", () => {
  test("goes once however often it is asked for, from the CSM, in the person's language", async () => {
    const first = await stage.outcome(run, email("welcome"));
    const again = await stage.outcome(run, email("welcome"));
    expect(first).toEqual({
      kind: "emailed",
      at: T0,
      deliveries: [{ contact: champion, result: "sent", at: T0, locale: "en" }],
    });
    expect(again).toEqual(first);
    expect(stage.mailer.inbox).toHaveLength(1);
    expect(stage.mailer.inbox[0]?.envelope).toEqual({ from: "ann@ours.example", to: `${champion}@${account}.example` });
    expect(stage.mailer.inbox[0]?.raw).toContain(`Hello Carla of ${account.toUpperCase()}, Ann Lee`);
    expect(stage.mailer.inbox[0]?.raw).toContain("X-Unsubscribe: true");
  });

  test("asked for by two workers at the same moment it goes once", async () => {
    const both = await Promise.all([stage.outcome(run, email("welcome")), stage.outcome(run, email("welcome"))]);
    expect(both.map(({ kind }) => kind)).toEqual(["emailed", "emailed"]);
    expect(stage.mailer.inbox).toHaveLength(1);
  });

  test("the mails of one stretch go to whoever is the champion as each is claimed", async () => {
    const { mailer } = stage.ports;
    const changes = [
      () => stage.contact(champion, account, { email: "moved@elsewhere.example" }),
      () => stage.contact(champion, account, { is_active: false }),
    ];
    const ports = {
      ...stage.ports,
      mailer: {
        ...mailer,
        send: async (...given: Parameters<typeof mailer.send>) => {
          const result = await mailer.send(...given);
          await changes.shift()?.();
          return result;
        },
      },
    };
    const { outcomes } = await performOn(ports, run, [email("a"), email("b"), email("c")]);
    expect(sentTo()).toEqual([`${champion}@${account}.example`, "moved@elsewhere.example"]);
    expect(outcomes["c"]).toMatchObject({ kind: "emailed", deliveries: [] });
  });

  test("each: everyone of the role, a dead address told apart", async () => {
    await stage.contact(`dan-${number}`, account, { first_name: "Dan", locale: "pl-PL" });
    stage.mailer.trouble({ kind: "refused", permanent: true, suppress: true });
    const outcome = await stage.outcome(run, email("news", { to: { kind: "each", role: "champion" } }));
    if (outcome.kind !== "emailed") throw new Error(outcome.kind);
    expect(outcome.deliveries.map(({ contact, result, locale }) => [contact, result, locale])).toEqual([
      [champion, "rejected", "en"],
      [`dan-${number}`, "sent", "pl"],
    ]);
    expect(await stage.outcome(run, email("next"))).toMatchObject({
      deliveries: [{ result: "skipped", reason: "bounced_before" }],
    });
    const bounces = (await stage.eventsOf("email.bounced")).filter((event) => event.run_id === run);
    expect(bounces).toMatchObject([{ payload: { run, key: "news", step: "news", permanent: true } }]);
  });

  test("a refusal whose worker dies before it is kept leaves no bounce: it is sent again, and may be taken", async () => {
    stage.mailer.trouble({ kind: "refused", permanent: true, suppress: true });
    const { ledger } = stage.ports;
    const died: string[] = [];
    const settle: typeof ledger.settle = async (tx, key, ...how) => {
      if (died.push(key) === 1) throw new Error("its worker died");
      return ledger.settle(tx, key, ...how);
    };
    const ports = {
      ...stage.ports,
      ledger: Object.create(ledger, { settle: { value: settle } }) as typeof ledger,
      onFault: () => {},
    };
    await performOn(ports, run, [email("news")]);
    const outcome = await stage.outcome(run, email("news"));
    const bounces = (await stage.eventsOf("email.bounced")).filter((event) => event.run_id === run);
    expect([died.length > 0, outcome.kind, bounces]).toEqual([true, "emailed", []]);
    expect(await stage.outcome(run, email("next"))).toMatchObject({ deliveries: [{ result: "sent" }] });
  });

  test("walked once more after its answer was lost, a mail that was deferred and sent is so again, each at its instant", async () => {
    const night = T0 + 12 * HOUR;
    const first = await stage.outcome(run, email("welcome"), night);
    if (first.kind !== "deferred") throw new Error(first.kind);
    const sent = await stage.outcome(run, email("welcome"), first.until);
    expect(sent.kind).toBe("emailed");
    // From the beginning, as a worker does that finds no answer: the story must not jump to the morning.
    expect(await stage.outcome(run, email("welcome"), night)).toEqual(first);
    expect(await stage.outcome(run, email("welcome"), first.until)).toEqual(sent);
    expect(stage.mailer.inbox).toHaveLength(1);
  });

  test("walked once more, a mail that was deferred and then taken back, or left out, was deferred first", async () => {
    const night = T0 + 12 * HOUR;
    const first = await stage.outcome(run, email("welcome"), night);
    if (first.kind !== "deferred") throw new Error(first.kind);
    const second = await stage.outcome(run, email("news"), night);
    if (second.kind !== "deferred") throw new Error(second.kind);
    const skipped = await stage.outcome(run, email("news"), second.staleAt + HOUR);
    expect(skipped).toMatchObject({ kind: "emailed", deliveries: [{ result: "skipped", reason: "stale" }] });
    const leave = command("!leave", { kind: "leave", outcome: "void", openTasks: "cancel", deferredEmail: "cancel" });
    await stage.outcome(run, leave, night + HOUR);
    expect(await stage.outcome(run, email("welcome"), night)).toEqual(first);
    expect(await stage.outcome(run, email("news"), night)).toEqual(second);
    expect(await stage.outcome(run, email("news"), second.staleAt + HOUR)).toEqual(skipped);
    expect(await stage.outcome(run, email("welcome"), first.until)).toMatchObject({
      kind: "emailed",
      deliveries: [{ result: "skipped" }],
    });
    expect(stage.mailer.inbox).toHaveLength(0);
  });

  test("nobody to write to: a task for the CSM, once, and no delivery", async () => {
    const to = { kind: "role", role: "admin" } as const;
    expect(await stage.outcome(run, email("hello", { to }))).toEqual({ kind: "emailed", at: T0, deliveries: [] });
    await stage.contact(`late-${number}`, account, { role: "admin", first_name: "L" });
    expect(await stage.outcome(run, email("hello", { to }))).toEqual({ kind: "emailed", at: T0, deliveries: [] });
    const tasks = await stage.store.read((tx) => stage.ports.tasks.list(tx, { runId: run }));
    expect(tasks.map(({ title, assigneeId, required }) => ({ title, assigneeId, required }))).toEqual([
      {
        title: `No admin at ${account.toUpperCase()}: the e-mail "welcome" has nobody to go to`,
        assigneeId: "ann",
        required: false,
      },
    ]);
  });

  test("waits for the window, and goes when it is asked for then", async () => {
    const night = T0 + 12 * HOUR;
    const nine = Date.parse("2026-03-04T09:00:00+01:00");
    const late = email("late", { since: night });
    expect(await stage.outcome(run, late, night)).toMatchObject({
      kind: "deferred",
      until: nine,
      reason: "outside_window",
      staleAt: Date.parse("2026-03-06T17:00:00+01:00") + 64 * HOUR,
      deliveries: [{ contact: champion, result: "deferred", until: nine }],
    });
    expect(stage.mailer.inbox).toHaveLength(0);
    expect(await stage.outcome(run, late, nine)).toMatchObject({ kind: "emailed", deliveries: [{ result: "sent" }] });
    expect(stage.mailer.inbox).toHaveLength(1);
  });

  test("the fourth in a week waits until the first is a week old, but a service notice doesn't", async () => {
    for (const key of ["a", "b", "c"]) await stage.outcome(run, email(key));
    const within = { sendWithin: { amount: 10, unit: "bd" } } as const;
    expect(await stage.outcome(run, email("d", within))).toMatchObject({
      kind: "deferred",
      reason: "capped",
      until: T0 + 7 * DAY,
    });
    expect(await stage.outcome(run, email("bill", { category: "service" }))).toMatchObject({ kind: "emailed" });
    expect(await stage.outcome(run, email("d", within), T0 + 7 * DAY)).toMatchObject({
      kind: "emailed",
      deliveries: [{ result: "sent" }],
    });
  });

  test("who unsubscribed, and test accounts, get nothing", async () => {
    const address = `${champion}@${account}.example`;
    await stage.write((tx) =>
      stage.ports.suppressions.add(tx, address.toUpperCase(), {
        category: "onboarding",
        reason: "unsubscribed",
        at: T0,
      }),
    );
    expect(await stage.outcome(run, email("a"))).toMatchObject({
      deliveries: [{ result: "skipped", reason: "unsubscribed" }],
    });
    await stage.account(account, { is_test: true });
    expect(await stage.outcome(run, email("b", { category: "service" }))).toMatchObject({
      deliveries: [{ result: "skipped", reason: "test_account" }],
    });
    expect(stage.mailer.inbox).toHaveLength(0);
  });

  test("kill switches and holds stop it at the claim", async () => {
    await stage.write((tx) =>
      stage.ports.holds.turnOn(tx, { name: "playbook:onboarding", by: "ops", reason: null, at: T0 }),
    );
    expect(await stage.outcome(run, email("a"))).toMatchObject({ kind: "deferred", reason: "kill_switch" });
    await stage.write((tx) => stage.ports.holds.turnOff(tx, "playbook:onboarding"));
    await stage.write((tx) =>
      stage.ports.holds.take(tx, {
        accountId: account,
        playbook: "onboarding",
        holderRun: "",
        holderPlaybook: "",
        since: T0,
      }),
    );
    expect(await stage.outcome(run, email("a"))).toMatchObject({ kind: "deferred", reason: "held" });
    await stage.write((tx) => stage.ports.holds.releaseOperator(tx, account, "onboarding"));
    expect(await stage.outcome(run, email("a"))).toMatchObject({ kind: "emailed" });
  });

  test("a server that is busy is tried again", async () => {
    stage.mailer.trouble({ kind: "refused" });
    const answer = await stage.perform(run, [
      email("a"),
      command("m", { kind: "milestone", milestone: "first_value" }),
    ]);
    expect(answer).toEqual({ events: [], outcomes: {}, retry: { key: "a", afterMs: expect.any(Number) } });
    expect(await stage.outcome(run, email("a"))).toMatchObject({ deliveries: [{ result: "sent" }] });
    expect(stage.mailer.inbox).toHaveLength(1);
  });

  test("no answer: the server is asked, and nothing goes twice or is lost", async () => {
    stage.mailer.trouble({ kind: "lost" });
    expect(await stage.outcome(run, email("kept"))).toMatchObject({ deliveries: [{ result: "sent" }] });
    expect(stage.mailer.inbox).toHaveLength(1);
    stage.mailer.trouble({ kind: "gone" });
    expect(await stage.outcome(run, email("gone"))).toMatchObject({ deliveries: [{ result: "sent" }] });
    expect(stage.mailer.inbox).toHaveLength(2);
    // Byte for byte what the first attempt would have sent.
    expect(new Set(stage.mailer.inbox.map(({ messageId }) => messageId)).size).toBe(2);
  });

  test("no answer, and nobody to ask: a person looks", async () => {
    stage.mailer.isAskable = false;
    stage.mailer.trouble({ kind: "gone" });
    expect(await stage.outcome(run, email("a"))).toMatchObject({ deliveries: [{ result: "unknown" }] });
    expect(await stage.outcome(run, email("a"))).toMatchObject({ deliveries: [{ result: "unknown" }] });
    expect(stage.mailer.inbox).toHaveLength(0);
    const tasks = await stage.store.read((tx) => stage.ports.tasks.list(tx, { runId: run }));
    expect(tasks.map(({ title }) => title)).toEqual([
      `Did the e-mail "welcome" reach ${account.toUpperCase()}? The mail server gave no answer`,
    ]);
  });

  test("a frozen sender finds its claim gone", async () => {
    let thaw = (): void => {};
    stage.mailer.trouble({ kind: "wait", until: new Promise<void>((done) => void (thaw = done)) });
    const frozen = stage.outcome(run, email("a"));
    await new Promise((done) => setTimeout(done, 100));
    expect(await stage.outcome(run, email("a"))).toMatchObject({ deliveries: [{ result: "sent" }] });
    thaw();
    expect(await frozen).toMatchObject({ deliveries: [{ result: "sent" }] });
    expect(stage.mailer.inbox).toHaveLength(1);
  });

  test("a slow conversation goes on in the background, and the next call finds its end", async () => {
    let answer = (): void => {};
    stage.mailer.trouble({ kind: "wait", until: new Promise<void>((done) => void (answer = done)) });
    const request = { ...stage.ports, settings: { ...stage.ports.settings, budgetMs: 100 } };
    const first = await performOn(request, run, [email("a")]);
    expect(first).toEqual({ events: [], outcomes: {}, retry: { key: "a", afterMs: expect.any(Number) } });
    answer();
    await new Promise((done) => setTimeout(done, 100));
    expect(await stage.outcome(run, email("a"))).toMatchObject({ deliveries: [{ result: "sent" }] });
    expect(stage.mailer.inbox).toHaveLength(1);
  });

  test("a template that can't be filled in fails, without a mail", async () => {
    const nameless = `eve-${number}`;
    await stage.contact(champion, account, { is_active: false });
    await stage.contact(nameless, account, {});
    expect(await stage.outcome(run, email("a"))).toEqual({
      kind: "failed",
      at: T0,
      reason: '"contact.first_name" is missing',
    });
    expect(stage.mailer.inbox).toHaveLength(0);
  });

  test("who has another address by the next attempt is written to there", async () => {
    stage.mailer.trouble({ kind: "refused" });
    expect((await stage.perform(run, [email("a")])).retry?.key).toBe("a");
    await stage.contact(champion, account, { first_name: "Carla", email: "new@other.example" });
    expect(await stage.outcome(run, email("a"))).toMatchObject({ deliveries: [{ result: "sent" }] });
    expect(sentTo()).toEqual(["new@other.example"]);
  });

  test("what is taken over from a sender that died is decided about anew: who unsubscribed meanwhile gets nothing", async () => {
    stage.mailer.trouble({ kind: "gone" });
    const first = await stage.perform(run, [email("a")]);
    expect(first.retry?.key).toBe("a");
    const address = `${champion}@${account}.example`;
    await stage.write((tx) =>
      stage.ports.suppressions.add(tx, address, { category: "*", reason: "unsubscribed", at: T0, deliveryKey: "x" }),
    );
    expect(await stage.outcome(run, email("a"))).toMatchObject({
      deliveries: [{ result: "skipped", reason: "unsubscribed" }],
    });
    expect(sentTo()).toEqual([]);
  });

  test("after the exit only service goes, and what was taken back doesn't", async () => {
    const night = T0 + 12 * HOUR;
    await stage.outcome(run, email("late", { since: night }), night);
    expect(
      await stage.outcome(run, command("w", { kind: "email_withdraw", email: "late", reason: "withdrawn" }), night),
    ).toMatchObject({ kind: "done" });
    expect(await stage.outcome(run, email("late", { since: night }), night + 11 * HOUR)).toMatchObject({
      kind: "emailed",
      deliveries: [{ result: "skipped", reason: "withdrawn" }],
    });
    expect(await stage.outcome(run, email("bye", { exiting: true }))).toMatchObject({
      deliveries: [{ result: "skipped", reason: "not_service_after_exit" }],
    });
    expect(await stage.outcome(run, email("bill", { exiting: true, category: "service" }))).toMatchObject({
      deliveries: [{ result: "sent" }],
    });
    expect(sentTo()).toHaveLength(1);
  });
});

describe("events first", () => {
  test("an event that waits is handed over and nothing is begun; once confirmed it isn't again", async () => {
    await stage.event({ id: `booked-${number}`, name: "meeting.booked", accountId: account });
    const answer = await stage.perform(run, [email("a")]);
    expect(answer.events.map(({ id }) => id)).toEqual([`booked-${number}`]);
    expect(answer.outcomes).toEqual({});
    expect(stage.mailer.inbox).toHaveLength(0);
    const next = await stage.perform(run, [email("a")], { confirm: [`booked-${number}`] });
    expect(next.events).toEqual([]);
    expect(next.outcomes.a).toMatchObject({ kind: "emailed" });
  });

  test("one that turns up between two commands stops the later", async () => {
    const set = command("s", { kind: "set", field: "account.stage", value: "adoption" });
    const answer = await stage.perform(run, [set, email("a", {})]);
    expect(answer.outcomes.s).toEqual({ kind: "done", at: T0 });
    expect(answer.outcomes.a).toBeUndefined();
    expect(answer.events).toMatchObject([{ name: "facts.changed", changed: ["account.stage"] }]);
    expect(stage.mailer.inbox).toHaveLength(0);
  });

  test("what happened after an effect was due comes before it if the effect is late, in real time", async () => {
    const booked = { id: `booked-${number}`, name: "meeting.booked", accountId: account, at: T0 + HOUR };
    await stage.event(booked);
    const late = { ...stage.ports, clock: steppedClock(T0 + 2 * HOUR) };
    const answer = await performOn(late, run, [email("a")]);
    expect(answer).toMatchObject({ events: [{ id: booked.id }], outcomes: {} });
    expect(sentTo()).toEqual([]);
  });

  test("an event of another account, or of later, doesn't", async () => {
    await stage.account(`${account}-x`, {});
    await stage.event({ id: `other-${number}`, name: "meeting.booked", accountId: `${account}-x` });
    await stage.event({ id: `later-${number}`, name: "meeting.booked", accountId: account, at: T0 + 1 });
    expect(await stage.perform(run, [email("a")])).toMatchObject({ events: [], outcomes: { a: { kind: "emailed" } } });
  });
});

describe("reads", () => {
  test("facts as of the instant", async () => {
    const read = command("r", { kind: "read", facts: ["account.name", "account.stage"] });
    expect(await stage.outcome(run, read)).toEqual({
      kind: "read",
      at: T0,
      facts: { "account.name": account.toUpperCase() },
    });
  });

  test("waits go by the account's zone and the plan's calendar", async () => {
    const rule = { kind: "after", duration: { amount: 2, unit: "bd" } } as const;
    expect(await stage.outcome(run, command("w", { kind: "resolve", rule, from: T0 }))).toEqual({
      kind: "resolved",
      at: T0 + 2 * DAY,
    });
    await stage.account(account, { timezone: "America/New_York" });
    // 04:00 in New York: opening, Thursday 09:00 there.
    const at = Date.parse("2026-03-05T09:00:00-05:00");
    expect(await stage.outcome(run, command("w", { kind: "resolve", rule, from: T0 }))).toEqual({
      kind: "resolved",
      at,
    });
  });

  test("a date means dates_at on that day; a missing one has no instant", async () => {
    const date = { op: "fact", path: "account.qbr_date" } as const;
    const ask = command("d", { kind: "resolve_date", date, offset: { amount: -14, unit: "d" } });
    expect(await stage.outcome(run, ask)).toEqual({ kind: "resolved" });
    await stage.account(account, { qbr_date: "2026-04-10" });
    // Summer time has begun by then, not yet on 27 March.
    expect(await stage.outcome(run, ask)).toEqual({ kind: "resolved", at: Date.parse("2026-03-27T09:00:00+01:00") });
  });
});

describe("effects on the store", () => {
  test("a milestone is dated once, a field set, a concern raised: asked for twice, done once", async () => {
    const commands = [
      command("m", { kind: "milestone", milestone: "first_value" }),
      command("k", { kind: "risk", risk: "stalled", severity: "high", text: "{{ account.name }} is slow", scope: {} }),
      command("o", { kind: "opportunity", opportunity: "upsell", scope: {} }),
      command("s", { kind: "set", field: "account.qbr_date", value: Date.parse("2026-05-01T09:00:00+02:00") }),
    ];
    for (const one of [...commands, ...commands])
      expect(await stage.outcome(run, one)).toEqual({ kind: "done", at: T0 });
    const facts = await stage.store.facts.read(
      { accountId: account },
      ["milestone.first_value", "account.qbr_date"],
      T0,
    );
    expect(facts).toMatchObject({ "milestone.first_value": T0 });
    expect(await stage.store.facts.readDate({ accountId: account }, "account.qbr_date", T0)).toMatchObject({
      date: "2026-05-01",
    });
    const raised = await stage.store.read((tx) => stage.ports.concerns.risks(tx, account));
    expect(raised).toMatchObject([
      { id: `${run}|k`, risk: "stalled", severity: "high", text: `${account.toUpperCase()} is slow` },
    ]);
    expect(await stage.store.read((tx) => stage.ports.concerns.opportunities(tx, account))).toHaveLength(1);
    const told = (await stage.eventsOf("milestone.reached")).filter((event) => event.account_id === account);
    expect(told).toMatchObject([{ changed: ["milestone.first_value"], payload: { milestone: "first_value" } }]);
  });

  test("what couldn't be imported can't be set either, and nothing is written", async () => {
    const set = (key: string, field: string, value: string | null) =>
      stage.outcome(run, command(key, { kind: "set", field, value }));
    const failed = (reason: string) => ({ kind: "failed", at: T0, reason });
    const refusals = [
      await set("a", "account.timezone", "Mars/Base"),
      await set("b", "account.name", null),
      await set("c", "account.csm", "nobody"),
    ];
    expect(refusals).toEqual([
      failed('account.timezone: "Mars/Base" is no time zone, such as "Europe/Warsaw"'),
      failed('account.name: "name" can\'t be empty: give it, or leave name out and what is known stays'),
      failed('account.csm: there is no colleague "nobody"'),
    ]);
    const person = (await stage.store.read((tx) => stage.ports.people.account(tx, account))) ?? undefined;
    expect([person?.timezone, person?.csmId, person?.name]).toEqual(["Europe/Warsaw", "ann", account.toUpperCase()]);
  });

  test("a zone from before zones were checked keeps nobody's work from being done: it is UTC until it is mended", async () => {
    // The store itself takes what it is given, as it once did.
    await stage.account(account, { timezone: "Mars/Base" });
    await stage.contact(champion, account, { timezone: "Mars/Base" });
    const cleared = command("z", { kind: "set", field: "account.qbr_date", value: Date.parse("2026-05-01T23:30:00Z") });
    expect(await stage.outcome(run, cleared)).toEqual({ kind: "done", at: T0 });
    expect(await stage.store.facts.readDate({ accountId: account }, "account.qbr_date", T0)).toMatchObject({
      date: "2026-05-01",
    });
    expect(await stage.outcome(run, email("welcome"))).toMatchObject({ kind: "emailed" });
    const places = await stage.store.read((tx) =>
      stage.store.customers.locate(tx, { account: [account], contact: [champion], contract: [] }),
    );
    expect([places.account.get(account)?.timezone, places.contact.get(champion)?.timezone]).toEqual(["UTC", "UTC"]);
  });

  test("health is measured by the meter", async () => {
    expect(await stage.outcome(run, command("h", { kind: "health" }))).toEqual({
      kind: "measured",
      at: T0,
      score: 61,
      status: "yellow",
    });
  });

  test("play enrols once, and a playbook that isn't there refuses", async () => {
    const rescue = {
      ...PLAN,
      playbook: `rescue-${number}`,
      hash: `rescue-${number}`,
      inputs: { reason: { type: "string" as const } },
    };
    await stage.publish(rescue);
    const play = command("p", { kind: "play", playbook: rescue.playbook, inputs: { reason: "slow" } });
    const first = await stage.outcome(run, play);
    expect(first).toMatchObject({ kind: "played", run: `run/rescue-${number}/${account}/${account}/1` });
    expect(await stage.outcome(run, play)).toEqual(first);
    expect(await stage.outcome(run, command("q", { kind: "play", playbook: "none", inputs: {} }))).toMatchObject({
      run: null,
      refused: expect.any(String),
    });
  });

  test("a task is opened once, due in its assignee's working time, and shown to them", async () => {
    const first = await stage.outcome(run, task("call"));
    expect(first).toMatchObject({ kind: "task_opened", at: T0, assignee: "ann", due: T0 + DAY });
    expect(await stage.outcome(run, task("call"))).toEqual(first);
    expect(stage.slack.messages).toMatchObject([{ channel: "U-ANN", text: `open: Call ${account.toUpperCase()}` }]);
    if (first.kind !== "task_opened") throw new Error(first.kind);
    const tighter = command("t", { kind: "task_tighten", task: first.task, due: { amount: 4, unit: "h" } });
    expect(await stage.outcome(run, tighter)).toMatchObject({ kind: "task_opened", due: T0 + 4 * HOUR });
    const later = command("l", { kind: "task_tighten", task: first.task, due: { amount: 5, unit: "d" } });
    expect(await stage.outcome(run, later)).toEqual({ kind: "done", at: T0 });
  });
});

describe("Slack", () => {
  const nudge = (key: string, to: "csm" | `#${string}` = "csm") =>
    command(key, {
      kind: "slack",
      to: to === "csm" ? { kind: "csm" } : { kind: "channel", channel: to },
      text: "{{ account.name }} is late",
      actions: ["snooze"],
      scope: {},
    });

  test("a nudge is posted once, to the CSM", async () => {
    for (let time = 0; time < 2; time++)
      expect(await stage.outcome(run, nudge("n"))).toEqual({ kind: "posted", at: T0, to: "ann" });
    expect(stage.slack.messages).toMatchObject([
      { channel: "U-ANN", text: `${account.toUpperCase()} is late`, blocks: ["snooze"] },
    ]);
  });

  test("a colleague without a Slack id is found by address, once and for all", async () => {
    await stage.account(account, { csm: "bob" });
    expect(await stage.outcome(run, nudge("n"))).toMatchObject({ kind: "posted", to: "bob" });
    expect(stage.slack.messages[0]?.channel).toBe("U-BOB");
    const found = await stage.store.read((tx) => stage.ports.people.colleagueBy(tx, { slackUserId: "U-BOB" }));
    expect(found?.id).toBe("bob");
  });

  test("rate limits wait, lost answers are looked up, a dead channel is replaced by the CSM", async () => {
    stage.slack.trouble({ kind: "limited", retryAfterMs: 60 });
    expect(await stage.outcome(run, nudge("a"))).toMatchObject({ kind: "posted" });
    stage.slack.trouble("lost");
    expect(await stage.outcome(run, nudge("b"))).toMatchObject({ kind: "posted" });
    expect(stage.slack.messages).toHaveLength(2);
    stage.slack.trouble({ kind: "refused", permanent: true, reason: "is_archived" });
    expect(await stage.outcome(run, nudge("c", "#dead"))).toEqual({ kind: "posted", at: T0, to: "ann" });
    const refusal = { kind: "refused", permanent: true, reason: "invalid_auth" } as const;
    stage.slack.trouble(refusal, refusal, refusal);
    expect(await stage.outcome(run, nudge("d", "#dead"))).toMatchObject({
      kind: "failed",
      reason: "Slack: invalid_auth",
    });
  });
});

describe("holding, parking, leaving, closing", () => {
  test("a run that pauses another playbook tells its runs, and frees them when it closes", async () => {
    const holder = { ...PLAN, playbook: `rescue-${number}`, hash: `holder-${number}`, pauses: ["onboarding"] };
    await stage.publish(holder);
    const holders = [`run/h-${number}/1`, `run/h-${number}/2`];
    for (const id of holders) await stage.run({ id, accountId: account }, holder);
    const hold = command("!hold", { kind: "hold", playbooks: ["onboarding"] });
    for (const id of [...holders, ...holders]) await stage.outcome(id, hold);
    const events = async (name: string) =>
      (await stage.eventsOf(name)).filter((event) => event.run_id === run).map((event) => event.payload);
    expect(await events("run.held")).toEqual([{ hold: `playbook:rescue-${number}` }]);
    await stage.perform(run, [], { confirm: [`run.held/${holders[0]}/${run}`] });
    expect(await stage.outcome(run, email("a"))).toMatchObject({ kind: "deferred", reason: "held" });

    const close = command("!close", { kind: "close", outcome: "recovered" });
    await stage.outcome(holders[0] ?? "", close);
    expect(await events("run.released")).toEqual([]);
    await stage.outcome(holders[1] ?? "", close);
    expect(await events("run.released")).toEqual([{ hold: `playbook:rescue-${number}` }]);
    const row = await stage.store.read((tx) => stage.store.runs.get(tx, holders[1] ?? ""));
    expect(row).toMatchObject({ status: "ended", outcome: "recovered", endedAt: T0 });
    expect((await stage.store.read((tx) => stage.store.runs.get(tx, run)))?.releasedAt).toBe(T0);
  });

  test("what fell due while a run was held goes one after the other once it is released", async () => {
    await stage.perform(run, [], { status: "held" });
    const released = T0 + 2 * HOUR;
    await stage.perform(run, [], { asOf: released });
    expect(await stage.outcome(run, email("a"), released)).toMatchObject({ kind: "emailed" });
    expect(await stage.outcome(run, email("b"), released)).toMatchObject({
      kind: "deferred",
      reason: "spacing",
      until: released + 4 * HOUR,
    });
    expect(await stage.outcome(run, email("new", { since: released + 1 }), released + 1)).toMatchObject({
      kind: "emailed",
    });
  });

  test("of two playbooks that pause each other the one of lower priority is held", async () => {
    const strong = {
      ...PLAN,
      playbook: `strong-${number}`,
      hash: `strong-${number}`,
      priority: 80,
      pauses: [`weak-${number}`],
    };
    const weak = {
      ...PLAN,
      playbook: `weak-${number}`,
      hash: `weak-${number}`,
      priority: 20,
      pauses: [`strong-${number}`],
    };
    await stage.publish(strong);
    await stage.publish(weak);
    await stage.run({ id: `s-${number}`, accountId: account }, strong);
    await stage.run({ id: `w-${number}`, accountId: account }, weak);
    await stage.outcome(`s-${number}`, command("!hold", { kind: "hold", playbooks: strong.pauses }));
    await stage.outcome(`w-${number}`, command("!hold", { kind: "hold", playbooks: weak.pauses }));
    const held = (await stage.eventsOf("run.held"))
      .filter((event) => event.account_id === account)
      .map((event) => event.run_id);
    expect(held).toEqual([`w-${number}`]);
  });

  test("a parked run tells the CSM once, and shows why", async () => {
    const park = command("!park:chase", { kind: "park", reason: "the template is broken" });
    for (let time = 0; time < 2; time++) await stage.perform(run, [park], { status: "parked" });
    expect(stage.slack.messages).toMatchObject([
      { channel: "U-ANN", text: expect.stringContaining("the template is broken") },
    ]);
    const parked = async () => (await stage.store.read((tx) => stage.store.runs.get(tx, run)))?.parked;
    expect(await parked()).toEqual({ key: "chase", reason: "the template is broken", at: T0 });
    await stage.perform(run, []);
    expect(await parked()).toBeUndefined();
  });

  test("who is called like a link is no link in what a parked run tells", async () => {
    await stage.account(account, { name: "<https://evil.example|Acme> [pay](https://evil.example)" });
    const composer = {
      ...createMailComposer({ domain: "o.example", publicUrl: "https://o.example" }),
      ...createSlackMessages(),
    };
    const park = command("!park:chase", { kind: "park", reason: "broken" });
    await performOn({ ...stage.ports, composer }, run, [park], { status: "parked" });
    const shown = JSON.stringify(stage.slack.messages[0]?.blocks);
    expect(shown).toContain("needs attention at chase: broken");
    expect(shown).not.toMatch(/<https:\/\/evil/);
  });

  test("leaving cancels tasks and takes back mail; closing tells the run that played it", async () => {
    const night = T0 + 12 * HOUR;
    const child = `run/child-${number}/1`;
    await stage.run({ id: child, accountId: account, parent: { run, key: "p" } });
    await stage.outcome(child, task("call"), T0);
    await stage.outcome(child, email("late", { since: night }), night);
    const leave = command("!leave", { kind: "leave", outcome: "void", openTasks: "cancel", deferredEmail: "cancel" });
    for (let time = 0; time < 2; time++)
      expect(await stage.outcome(child, leave, night)).toEqual({ kind: "done", at: night });
    const tasks = await stage.store.read((tx) => stage.ports.tasks.list(tx, { runId: child }));
    expect(tasks).toMatchObject([{ status: "cancelled", note: "the run ended: void" }]);
    expect(stage.slack.messages).toMatchObject([{ text: `cancelled: Call ${account.toUpperCase()}` }]);
    expect(await stage.store.read((tx) => stage.ports.ledger.openOf(tx, child))).toEqual([]);
    const close = command("!close", { kind: "close", outcome: "void" });
    for (let time = 0; time < 2; time++)
      expect(await stage.outcome(child, close, night)).toEqual({ kind: "done", at: night });
    const told = (await stage.eventsOf("run.ended")).filter((event) => event.account_id === account);
    expect(told.map((event) => [event.run_id, event.payload])).toEqual([
      [null, { run: child, playbook: "onboarding", outcome: "void" }],
      [run, { run: child, playbook: "onboarding", outcome: "void" }],
    ]);
  });
});

describe("a stretch that broke off, and is walked again", () => {
  const line = (seq: number, kind: "email.sent" | "run.exited" | "run.ended", step?: string) => ({
    seq,
    at: T0,
    kind,
    ...(step === undefined ? {} : { step, detail: { to: champion, locale: "en" } }),
  });
  const told = () => stage.store.read((tx) => stage.store.runs.timeline(tx, run));

  test("says what the second walk decided, and at the end what the first had sent", async () => {
    await stage.outcome(run, email("welcome"));
    await stage.perform(run, [], { entries: [line(1, "email.sent", "welcome")] });
    // This time an event came first: the run leaves, and never asks for the mail.
    await stage.perform(run, [], { entries: [line(1, "run.exited")] });
    await stage.perform(run, [command("!close", { kind: "close", outcome: "void" })], {
      entries: [line(2, "run.ended")],
    });
    expect(await told()).toEqual([
      line(1, "run.exited"),
      line(2, "run.ended"),
      {
        seq: 3,
        at: T0,
        kind: "email.sent",
        step: "welcome",
        key: "welcome",
        detail: { to: champion, locale: "en", told: "at the end" },
      },
    ]);
  });

  test("a run that has ended has its story; a belated call doesn't tell it otherwise", async () => {
    await stage.perform(run, [command("!close", { kind: "close", outcome: "void" })], {
      entries: [line(1, "run.ended")],
    });
    await stage.perform(run, [], { entries: [line(1, "run.exited"), line(2, "run.ended")] });
    expect(await told()).toEqual([line(1, "run.ended")]);
  });
});

test("a run is on its way out from `leave` on, and not while its stretch is walked again from before", async () => {
  const leave = command("!leave", { kind: "leave", outcome: "left", openTasks: "cancel", deferredEmail: "cancel" });
  await stage.perform(run, [leave]);
  const status = () => stage.store.read(async (tx) => (await stage.store.runs.get(tx, run))?.status);
  expect(await status()).toBe("exiting");
  await stage.perform(run, [email("before")], { status: "running" });
  expect([await status(), sentTo().length]).toEqual(["running", 1]);
  await stage.perform(run, [leave]);
  expect(await status()).toBe("exiting");
  await stage.perform(run, [command("!close", { kind: "close", outcome: "left" })]);
  await stage.perform(run, [], { status: "running" });
  expect(await status()).toBe("ended");
});

describe("a run that leaves once more, as its worker died behind the farewell", () => {
  const leave = command("!leave", { kind: "leave", outcome: "left", openTasks: "cancel", deferredEmail: "cancel" });
  const bye = email("bye", { category: "service", send: { kind: "now" }, exiting: true });
  let leaving: string;
  beforeEach(async () => {
    const steps = [planned.email("bye"), planned.task("handover")].map((step) => ({
      ...step,
      path: `on_exit/${step.id}`,
    }));
    const plan: Plan = { ...PLAN, hash: `plan-farewell-${number}`, onExit: { ...PLAN.onExit, steps } };
    await stage.publish(plan);
    leaving = `${run}/leaving`;
    await stage.run({ id: leaving, accountId: account, key: "leaving" }, plan);
  });

  test("sends a farewell that had not gone yet, and takes back the other mail", async () => {
    stage.mailer.trouble({ kind: "refused" }, { kind: "refused" });
    expect((await stage.perform(leaving, [email("welcome", { send: { kind: "now" } })])).retry?.key).toBe("welcome");
    expect((await stage.perform(leaving, [leave, bye])).retry?.key).toBe("bye");
    await new Promise((done) => setTimeout(done, 100));
    const { outcomes } = await stage.perform(leaving, [leave, bye]);
    expect(outcomes["bye"]).toMatchObject({ deliveries: [{ result: "sent" }] });
    expect(await stage.outcome(leaving, email("welcome"))).toMatchObject({ deliveries: [{ result: "skipped" }] });
  });

  test("leaves the farewell's tasks open, and cancels the others", async () => {
    for (const asked of [task("call"), leave, task("handover"), leave, task("handover")])
      await stage.outcome(leaving, asked);
    const tasks = await stage.store.read((tx) => stage.ports.tasks.list(tx, { runId: leaving }));
    expect(tasks.map(({ key, status }) => [key, status]).sort()).toEqual([
      ["call", "cancelled"],
      ["handover", "open"],
    ]);
  });
});

describe("a call that was given up, and runs on beside what came after it", () => {
  /** A mail that was on the wire when its sender died, and a second call that has begun to ask after it. */
  async function belated(): Promise<{ call: Promise<unknown> }> {
    stage.mailer.trouble({ kind: "gone" });
    await stage.perform(run, [email("a")]);
    const call = stage.perform(run, [email("a")]);
    call.catch(() => {});
    await new Promise((done) => setTimeout(done, 50));
    return { call };
  }

  test("sends nothing after the run's exit", async () => {
    const { call } = await belated();
    await stage.perform(run, [], { status: "exiting" });
    await expect(call).rejects.toThrow("has walked on without this call");
    expect(sentTo()).toEqual([]);
  });

  test("sends nothing that it had not pinned: the run may have left that branch", async () => {
    let thaw = (): void => {};
    const frozen = new Promise<void>((done) => void (thaw = done));
    const { people } = stage.ports;
    const slow: typeof people = Object.create(people, {
      around: {
        value: async (...args: Parameters<typeof people.around>) => {
          await frozen;
          return people.around(...args);
        },
      },
    });
    const call = performOn({ ...stage.ports, people: slow }, run, [email("a")]);
    call.catch(() => {});
    await new Promise((done) => setTimeout(done, 150));
    await stage.perform(run, []);
    thaw();
    await expect(call).rejects.toThrow("has walked on without this call");
    expect(sentTo()).toEqual([]);
  });

  test("takes nothing back once its time is up: the farewell may be on its way by then", async () => {
    const leave = command("!leave", { kind: "leave", outcome: "left", openTasks: "keep", deferredEmail: "cancel" });
    const bye = email("bye", { category: "service", exiting: true });
    await stage.outcome(run, leave);
    stage.mailer.trouble({ kind: "refused" });
    expect((await stage.perform(run, [bye], { status: "exiting" })).retry?.key).toBe("bye");
    const late = { ...stage.ports, settings: { ...stage.ports.settings, budgetMs: -1 } };
    await expect(performOn(late, run, [leave], { status: "exiting" })).rejects.toThrow(
      "has walked on without this call",
    );
    expect(await stage.outcome(run, bye)).toMatchObject({ deliveries: [{ result: "sent" }] });
  });

  test("sends nothing, and opens no task, after the run's end", async () => {
    const { call } = await belated();
    await stage.perform(run, [command("!close", { kind: "close", outcome: "void" })]);
    // Whether it finds the run ended, or its mail taken back before that.
    await call;
    expect(await stage.perform(run, [email("b")])).toEqual({ events: [], outcomes: {}, ended: "void" });
    expect(await stage.perform(run, [task("call")])).toEqual({ events: [], outcomes: {}, ended: "void" });
    expect(sentTo()).toEqual([]);
    expect(await stage.store.read((tx) => stage.ports.tasks.list(tx, { runId: run }))).toEqual([]);
  });
});

test("nothing went wrong behind the scenes", () => {
  expect(stage.faults).toEqual([]);
});
