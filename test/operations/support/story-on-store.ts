import { steppedClock } from "../../../src/adapters/memory/clock.js";
import { postgresAudit } from "../../../src/adapters/postgres/audit.js";
import { newRun } from "../../../src/engine/advance.js";
import type { RunEvent } from "../../../src/engine/event.js";
import type { Plan } from "../../../src/engine/plan.js";
import { indexPlan } from "../../../src/engine/plan-index.js";
import type { TimelineEntry } from "../../../src/engine/timeline.js";
import { walk } from "../../../src/engine/walk.js";
import { appendEvents } from "../../../src/operations/append-events.js";
import { enrol } from "../../../src/operations/enrol.js";
import { eventScopeOf } from "../../../src/operations/event-scope.js";
import { mailCameBack } from "../../../src/operations/mail-came-back.js";
import type { PerformPorts } from "../../../src/operations/perform-ports.js";
import { performRequest, persistRequest } from "../../../src/operations/perform.js";
import { actOnTask } from "../../../src/operations/tasks/act-on-task.js";
import { unsubscribe } from "../../../src/operations/unsubscribe.js";
import { upsertCustomers } from "../../../src/operations/upsert-customers.js";
import type { CustomerBatch } from "../../../src/ports/customers.js";
import type { Reaction, Scenario, Scripted } from "../../../src/simulation/records.js";
import { addDuration } from "../../../src/values/add-duration.js";
import { STANDARD_CALENDAR } from "../../../src/values/calendar.js";
import { DAY_MS, type Instant } from "../../../src/values/instant.js";
import type { Stage } from "./stage.js";

/** Each call of a run's is a worker of its own: what it works with, which may end it. */
export type NewWorker = (ports: PerformPorts) => PerformPorts;

/** Ends a call: its worker is dead, and another does the same work from the beginning. */
export class WorkerDied extends Error {}

class StoryOver extends Error {}

/**
 * Walks the one run of a story on the stage's store, mail server and Slack, with a clock that stands while anything is being done. What it has told in the
 * end. The plan and its templates, model, policy and calendars must be published.
 */
export async function storyOnStore(
  stage: Stage,
  plan: Plan,
  scenario: Scenario,
  newWorker: NewWorker,
): Promise<readonly TimelineEntry[]> {
  const { store, write } = stage;
  const clock = steppedClock(scenario.at);
  const ports: PerformPorts = {
    ...stage.ports,
    clock,
    // As in a rehearsal, which measures none.
    health: { ...stage.ports.health, measure: async () => ({ score: null, status: "unknown" }) },
    settings: { ...stage.ports.settings, leaseMs: 60, budgetMs: 4_000, backoffMs: () => 10 },
  };
  const { users, ...given } = scenario.given;
  const reachable = users?.map((user) => ({ ...user, slackUserId: `U-${user.id}` }));
  await upsertCustomers(ports, { ...given, users: reachable } as CustomerBatch, {
    source: "test",
    at: scenario.at - DAY_MS,
  });
  const accountId = scenario.enrolments?.[0]?.accountId ?? "";
  const request = { playbook: plan.playbook, accountId, at: scenario.at, cause: "by hand", source: "test" };
  const enrolled = await write((tx) => enrol(store, tx, request, scenario.at));
  if (enrolled.kind !== "enrolled") throw new Error(`not enrolled: ${enrolled.kind}`);
  const run = enrolled.run;
  const row = await store.read((tx) => store.runs.get(tx, run));
  if (row === undefined) throw new Error(`no run ${run}`);
  const timeline = () => store.read((tx) => store.runs.timeline(tx, run));

  /** What is still to happen; at one instant, in the order in which it was brought about. */
  const ahead: { readonly at: Instant; happen(): Promise<unknown> }[] = [...scenario.script]
    .sort((a, b) => a.at - b.at)
    .map((item) => ({ at: item.at, happen: () => tell(item) }));

  async function tell(item: Scripted): Promise<void> {
    if (item.kind === "upsert")
      await upsertCustomers(ports, item.rows as CustomerBatch, { source: "test", at: item.at });
    else if ("runId" in item) {
      const { id, name, at, payload } = item;
      await write(async (tx) => {
        await store.lockAccounts(tx, [accountId]);
        await store.events.append(tx, [{ id, name, at, accountId, runId: run, payload, source: "test" }], at);
      });
    } else await appendEvents(ports, [{ ...item, account: item.accountId }], "test");
  }

  /** A line names the instance of its step only where that isn't the step's path. */
  const keyOf = ({ step = "", key }: TimelineEntry): string => key ?? indexPlan(plan).byId.get(step)?.path ?? step;

  let met = 0;
  /** Whoever got a mail or a task since the last look will do something about it. */
  async function meet(): Promise<void> {
    const told = await timeline();
    for (const line of told.slice(met)) {
      const to = line.kind === "email.sent" ? "email" : line.kind === "task.opened" ? "task" : undefined;
      const matching = [...scenario.reactions.entries()].filter(
        ([, one]) => one.to === to && (one.step === "*" || one.step === line.step),
      );
      for (const [i, one] of to === "task" ? matching.slice(0, 1) : matching) {
        const at = addDuration(line.at, one.after, "UTC", STANDARD_CALENDAR);
        ahead.push({ at, happen: () => (to === "task" ? doTask(line, one.do) : answer(line, one.do, i, at)) });
      }
    }
    met = told.length;
  }

  async function answer(line: TimelineEntry, what: Reaction["do"], i: number, at: Instant) {
    const rows = await store.read((tx) => ports.ledger.ofEffect(tx, run, keyOf(line)));
    const mail = rows.find(({ contactId }) => contactId === line.detail?.["to"]);
    if (mail === undefined) throw new Error(`no mail ${keyOf(line)}`);
    const event = { id: `reaction/${i}/${mail.id}`, at };
    if (what.kind === "reply" || what.kind === "bounce") {
      const cameBack = { ...event, kind: what.kind, delivery: mail.id, isPermanent: true, source: "test" };
      await mailCameBack(ports, cameBack);
    } else if (what.kind === "event") {
      const { name, payload } = what;
      await appendEvents(ports, [{ ...event, name, account: accountId, payload }], "test");
    } else if (what.kind === "unsubscribe") {
      const [link] = await stage.database.client`select token from unsubscribe_links where delivery_key = ${mail.key}`;
      if (link === undefined) return;
      await unsubscribe({ ...ports, audit: postgresAudit() }, { token: link["token"] as string, all: false });
    }
  }

  async function doTask(line: TimelineEntry, what: Reaction["do"]) {
    if (what.kind !== "complete" && what.kind !== "skip") return;
    const tasks = await store.read((tx) => ports.tasks.list(tx, { runId: run }));
    const task = tasks.find((one) => one.key === keyOf(line));
    if (task === undefined) throw new Error(`no task ${keyOf(line)}`);
    await actOnTask(ports, { task: task.id, actor: { id: task.assigneeId ?? "u1", isAdmin: true }, action: what });
  }

  async function untilDone<T>(work: (ports: PerformPorts) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work(newWorker(ports));
      } catch (error) {
        if (!(error instanceof WorkerDied)) throw error;
      }
    }
  }

  const { key, startedAt, inputs } = row;
  const identity = { id: run, playbook: plan.playbook, subjectId: accountId, accountId, key, startedAt };
  const scope = eventScopeOf(row, plan);
  let arrived: readonly RunEvent[] = [];
  try {
    await walk(plan, newRun(plan, { ...identity, subject: "account" }, inputs), {
      perform: (request) => untilDone((mine) => performRequest(mine, { ...request, durable: 0 })),
      async persist(request) {
        for (;;) {
          const answer = await untilDone((mine) => persistRequest(mine, request));
          if (answer.kind !== "retry") return answer;
          await new Promise((done) => setTimeout(done, Math.max(1, answer.afterMs)));
        }
      },
      arrived() {
        const events = arrived;
        arrived = [];
        return events;
      },
      async idle(until = Number.POSITIVE_INFINITY) {
        await meet();
        ahead.sort((a, b) => a.at - b.at);
        const at = Math.min(until, ahead[0]?.at ?? Number.POSITIVE_INFINITY);
        if (at > scenario.until) throw new StoryOver();
        clock.moveTo(Math.max(at, clock.now()));
        while (ahead[0] !== undefined && ahead[0].at <= clock.now()) await ahead.shift()?.happen();
        arrived = await store.read((tx) => store.events.undelivered(tx, scope, clock.now(), 100, []));
      },
      now: () => clock.now(),
      isLong: () => false,
      observe: () => {},
    });
  } catch (error) {
    if (!(error instanceof StoryOver)) throw error;
  }
  return timeline();
}
