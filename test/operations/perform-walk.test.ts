import { afterAll, beforeAll, expect, test } from "vitest";
import { newRun } from "../../src/engine/advance.js";
import type { RunEvent } from "../../src/engine/event.js";
import type { Plan } from "../../src/engine/plan.js";
import { type Driver, walk } from "../../src/engine/walk.js";
import { eventScopeOf } from "../../src/operations/event-scope.js";
import { performRequest, persistRequest } from "../../src/operations/perform.js";
import { pollDue } from "../../src/operations/poll-due.js";
import { actOnTask } from "../../src/operations/tasks/act-on-task.js";
import { deskDue } from "../../src/operations/tasks/desk-due.js";
import type { RunRow } from "../../src/ports/runs.js";
import { on, wait, waitFor } from "../engine/plans.js";
import { HOUR, openStage, PLAN, type Stage, T0 } from "./support/stage.js";

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

/** The machine's own loop over the real `performRequest`, with the clock that stands until the run waits. */
function driver(onIdle: (until: number | undefined) => Promise<void>): Driver {
  return {
    perform: (request) => performRequest(stage.ports, { ...request, durable: 0 }),
    async persist(request) {
      for (;;) {
        const answer = await persistRequest(stage.ports, request, { budgetMs: 5_000 });
        if (answer.kind !== "retry") return answer;
        await new Promise((done) => setTimeout(done, Math.max(1, answer.afterMs)));
      }
    },
    arrived: () => [],
    async idle(until) {
      await onIdle(until);
      if (until !== undefined) stage.clock.moveTo(Math.max(until, stage.clock.now()));
      const due = deskDue(stage.ports);
      await pollDue(stage.ports, due.handlers, 100);
      await due.finish();
    },
    now: () => stage.clock.now(),
    isLong: () => false,
    observe: () => {},
  };
}

test("a run from its start to its end: mail in the night, a task that holds it, a field, a milestone, the goal", async () => {
  const night = T0 + 12 * HOUR;
  const plan: Plan = {
    ...PLAN,
    hash: "plan-walk",
    goal: { if: { op: "has", path: "milestone.first_value" }, outcome: "onboarded" },
    listens: { events: [], facts: ["milestone.first_value"] },
    steps: [
      {
        kind: "email",
        path: "welcome",
        id: "welcome",
        to: { kind: "role", role: "champion" },
        from: { kind: "csm" },
        template: "welcome",
        category: "onboarding",
        send: { kind: "working_hours" },
      },
      {
        kind: "task",
        path: "call",
        id: "call",
        title: "Call {{ account.name }}",
        for: { kind: "csm" },
        due: { amount: 1, unit: "bd" },
        dueIf: [],
        required: true,
        escalate: [],
        remind: [{ amount: 0, unit: "bd" }],
        snoozeLimit: 2,
        outcomes: ["good", "bad"],
        wait: { within: { amount: 5, unit: "bd" }, otherwise: [{ kind: "end", path: "call/late", outcome: "behind" }] },
      },
      { kind: "set", path: "stage", id: "stage", field: "account.stage", value: { op: "literal", value: "adoption" } },
      {
        kind: "wait",
        path: "settle",
        id: "settle",
        until: { kind: "rule", rule: { kind: "after", duration: { amount: 2, unit: "bd" } } },
        onMissing: "fail",
        onPast: "skip",
      },
      { kind: "milestone", path: "first", id: "first", milestone: "first_value" },
      // Never raised: the goal is met before.
      { kind: "risk", path: "never", id: "never", risk: "behind", severity: "low" },
      { kind: "end", path: "end", outcome: "behind" },
    ],
    templates: { welcome: { en: "hash-en" } },
  };
  await stage.publish(plan);
  await stage.account("walker", {});
  await stage.contact("wanda", "walker", { first_name: "Wanda" });
  const id = "run/onboarding/walker/k/1";
  await stage.run({ id, accountId: "walker", startedAt: night, status: "starting" }, plan);
  stage.clock.moveTo(night);
  stage.mailer.trouble({ kind: "refused" }, { kind: "lost" });

  const identity = {
    id,
    playbook: plan.playbook,
    subject: "account",
    subjectId: "walker",
    accountId: "walker",
    key: "k",
    startedAt: night,
  } as const;
  let idles = 0;
  const end = await walk(
    plan,
    newRun(plan, identity),
    driver(async () => {
      idles += 1;
      if (idles > 20) throw new Error("it stands still");
      const [open] = await stage.store.read((tx) => stage.ports.tasks.list(tx, { runId: id, status: ["open"] }));
      if (open) {
        const done = await actOnTask(stage.ports, {
          task: open.id,
          actor: { id: "ann" },
          action: { kind: "complete", outcome: "good" },
        });
        expect(done.kind).toBe("done");
      }
    }),
  );

  expect(end).toMatchObject({ phase: "ended", outcome: "onboarded" });
  expect(stage.mailer.inbox).toHaveLength(1);
  const row = await stage.store.read((tx) => stage.store.runs.get(tx, id));
  expect(row).toMatchObject({ status: "ended", outcome: "onboarded" });
  const lines = await stage.store.read((tx) => stage.store.runs.timeline(tx, id));
  const kinds = lines.map(({ kind, step }) => (step === undefined ? kind : `${kind} ${step}`));
  expect(kinds).toEqual([
    "run.started",
    "email.deferred welcome",
    "email.sent welcome",
    "task.opened call",
    "task.closed call",
    "wait_for.met call",
    "field.set stage",
    "wait.began settle",
    "wait.over settle",
    "milestone.reached first",
    "run.goal_met",
  ]);
  expect(stage.faults).toEqual([]);
});

test("an exit whose worker dies right before the run is closed takes effect when the stretch is walked again", async () => {
  const plan: Plan = {
    ...PLAN,
    hash: "plan-exit",
    exits: [{ when: { event: "bye" }, outcome: "left" }],
    listens: { events: ["bye"], facts: [] },
    steps: [
      {
        kind: "wait",
        path: "pause",
        id: "pause",
        until: { kind: "rule", rule: { kind: "after", duration: { amount: 2, unit: "d" } } },
        onMissing: "fail",
        onPast: "skip",
      },
      { kind: "end", path: "end", outcome: "stayed" },
    ],
  };
  const began = stage.clock.now();
  await stage.publish(plan);
  await stage.account("leaver", {});
  const id = "run/onboarding/leaver/k/1";
  await stage.run({ id, accountId: "leaver", startedAt: began, status: "starting" }, plan);
  await stage.event({ id: "bye-1", name: "bye", accountId: "leaver", at: began + HOUR });
  const identity = {
    id,
    playbook: plan.playbook,
    subject: "account",
    subjectId: "leaver",
    accountId: "leaver",
  } as const;

  // What was written before the close stays: the worker died in between.
  let dies = 1;
  const { store } = stage.ports;
  const end: typeof store.runs.end = async (...how) => {
    dies -= 1;
    if (dies >= 0) throw new Error("its worker died");
    return store.runs.end(...how);
  };
  const runs: typeof store.runs = Object.create(store.runs, { end: { value: end } });
  const ports = { ...stage.ports, store: Object.create(store, { runs: { value: runs } }) as typeof store };
  const usual = driver(async () => {});
  const state = await walk(plan, newRun(plan, { ...identity, key: "k", startedAt: began }), {
    ...usual,
    perform: (request) =>
      performRequest(ports, { ...request, durable: 0 }).catch(() => performRequest(ports, { ...request, durable: 0 })),
  });

  expect(dies).toBe(-1);
  expect(state).toMatchObject({ phase: "ended", outcome: "left" });
  const lines = await stage.store.read((tx) => stage.store.runs.timeline(tx, id));
  expect(lines.map(({ kind }) => kind)).toEqual(["run.started", "wait.began", "run.exited"]);
});

test("a run that does not leave after all, as an event of before tells when its last stretch is walked again, lives on", async () => {
  const plan: Plan = {
    ...PLAN,
    hash: "plan-stays",
    listens: { events: ["renewed"], facts: [] },
    steps: [
      waitFor("renewal", on("renewed"), "2 d", [{ kind: "end", path: "late", outcome: "late" }]),
      {
        kind: "email",
        path: "thanks",
        id: "thanks",
        to: { kind: "role", role: "champion" },
        from: { kind: "csm" },
        template: "welcome",
        category: "onboarding",
        send: { kind: "now" },
      },
      wait("settle", "1d"),
      { kind: "end", path: "end", outcome: "renewed" },
    ],
    templates: { welcome: { en: "hash-en" } },
  };
  const began = stage.clock.now();
  await stage.publish(plan);
  await stage.account("stayer", {});
  await stage.contact("sten", "stayer", { first_name: "Sten" });
  const id = "run/onboarding/stayer/k/1";
  await stage.run({ id, accountId: "stayer", startedAt: began, status: "starting" }, plan);
  const status = async () => (await stage.store.read((tx) => stage.store.runs.get(tx, id)))?.status;
  const { store } = stage.ports;
  let dies = 1;
  const end: typeof store.runs.end = async (...how) => {
    dies -= 1;
    if (dies < 0) return store.runs.end(...how);
    throw new Error("its worker died");
  };
  const runs: typeof store.runs = Object.create(store.runs, { end: { value: end } });
  const ports = { ...stage.ports, store: Object.create(store, { runs: { value: runs } }) as typeof store };
  const seen: (string | undefined)[] = [];
  const before = stage.mailer.inbox.length;
  const usual = driver(async () => void seen.push(await status()));
  const identity = { playbook: plan.playbook, subject: "account", subjectId: "stayer", accountId: "stayer" } as const;
  const state = await walk(plan, newRun(plan, { ...identity, id, key: "k", startedAt: began }), {
    ...usual,
    async perform(request) {
      const asked = { ...request, durable: 0 };
      try {
        return await performRequest(ports, asked);
      } catch (error) {
        if (!String(error).includes("died")) throw error;
        expect(await status()).toBe("exiting");
        await stage.event({ id: "renewed-1", name: "renewed", accountId: "stayer", at: began + HOUR });
        return performRequest(ports, asked);
      }
    },
  });
  expect([dies, state.outcome, stage.mailer.inbox.length - before]).toEqual([-1, "renewed", 1]);
  expect(seen).toEqual(["running", "running"]);
});

test("who completes a task whose worker dies right behind opening it has completed it", async () => {
  const plan: Plan = {
    ...PLAN,
    hash: "plan-quick",
    steps: [
      {
        kind: "task",
        path: "call",
        id: "call",
        title: "Call {{ account.name }}",
        for: { kind: "csm" },
        due: { amount: 1, unit: "bd" },
        dueIf: [],
        required: true,
        escalate: [],
        remind: [],
        snoozeLimit: 2,
        outcomes: ["good", "bad"],
        wait: { within: { amount: 5, unit: "bd" }, otherwise: [{ kind: "end", path: "call/late", outcome: "late" }] },
      },
      { kind: "end", path: "end", outcome: "called" },
    ],
  };
  await stage.publish(plan);
  for (const how of ["found", "told"]) {
    const account = `quick-${how}`;
    await stage.account(account, {});
    const id = `run/onboarding/${account}/k/1`;
    const began = stage.clock.now();
    await stage.run({ id, accountId: account, startedAt: began, status: "starting" }, plan);
    const identity = { playbook: plan.playbook, subject: "account", subjectId: account, accountId: account } as const;
    let idles = 0;
    const usual = driver(async () => {
      idles += 1;
      if (idles > 5) throw new Error("it stands still");
    });
    let told: RunEvent[] = [];

    let dies = 1;
    const { store } = stage.ports;
    const record: typeof store.runs.record = async (...what) => {
      dies -= 1;
      if (dies < 0) return store.runs.record(...what);
      const [open] = await store.read((tx) => stage.ports.tasks.list(tx, { runId: id, status: ["open"] }));
      stage.clock.moveTo(began + HOUR);
      const done = await actOnTask(stage.ports, {
        task: open?.id as string,
        actor: { id: "ann" },
        action: { kind: "complete", outcome: "good" },
      });
      expect(done.kind).toBe("done");
      if (how === "told")
        told = await store.read(async (tx) => {
          const run = (await store.runs.get(tx, id)) as RunRow;
          return [...(await store.events.undelivered(tx, eventScopeOf(run, plan), stage.clock.now()))];
        });
      throw new Error("its worker died");
    };
    const runs: typeof store.runs = Object.create(store.runs, { record: { value: record } });
    const ports = { ...stage.ports, store: Object.create(store, { runs: { value: runs } }) as typeof store };
    const run = () =>
      walk(plan, newRun(plan, { ...identity, id, key: "k", startedAt: began }), {
        ...usual,
        perform: (request) => performRequest(ports, { ...request, durable: 0 }),
        arrived: () => told.splice(0),
      });
    await expect(run()).rejects.toThrow("its worker died");
    const state = await run();

    expect([dies, state.phase, state.outcome]).toEqual([-1, "ended", "called"]);
    const lines = await stage.store.read((tx) => stage.store.runs.timeline(tx, id));
    expect(lines.map(({ kind }) => kind)).toEqual([
      "run.started",
      "task.opened",
      "task.closed",
      "wait_for.met",
      "run.ended",
    ]);
  }
});
