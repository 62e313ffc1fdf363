import { setTimeout as sleep } from "node:timers/promises";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { postgresAudit } from "../../src/adapters/postgres/audit.js";
import type { Model } from "../../src/customers/model.js";
import { newRun } from "../../src/engine/advance.js";
import { type RunEvent, SYSTEM_EVENTS } from "../../src/engine/event.js";
import type { Plan, Step } from "../../src/engine/plan.js";
import type { RunState } from "../../src/engine/state.js";
import { type Driver, walk } from "../../src/engine/walk.js";
import { appendEvents } from "../../src/operations/append-events.js";
import { performRequest, persistRequest } from "../../src/operations/perform.js";
import type { PerformPorts } from "../../src/operations/perform-ports.js";
import { Overtaken } from "../../src/operations/scene.js";
import { unsubscribe } from "../../src/operations/unsubscribe.js";
import { type Random, randomFrom, seedOr } from "../hostile/random.js";
import { type FenceStand, openFenceStand, WIRE_MS } from "./support/fence-stand.js";
import { DAY, PLAN, T0 } from "./support/stage.js";

const SEED = seedOr(3);
const RUNS = Number(process.env["WAYPOST_RANDOM_CASES"] ?? 60);
/** How long, at most, into a run's three mails somebody leaves. */
const LEAVES_WITHIN_MS = 300;

/** How a run's mail comes to an end. */
const WAYS = ["unsubscribe", "exit", "goal", "stop"] as const;
type Way = (typeof WAYS)[number];

let stand: FenceStand;
let sql: postgres.Sql;
beforeAll(async () => {
  stand = await openFenceStand({ claimers: 4 });
  const { stage } = stand;
  await stage.write(async (tx) => {
    const model = await stage.store.playbooks.configuration<Model>(tx, "model");
    if (model === undefined) throw new Error("no model");
    const event = { subject: "account", payload: {}, system: false } as const;
    const events = { "contract.cancelled": event, "meeting.held": event };
    await stage.store.playbooks.saveConfiguration(tx, "model", { ...model, events }, T0);
  });
  await stage.publish(THREE_MAILS);
  sql = postgres(stage.url, { max: 1, onnotice: () => {} });
  // The oracle's own record. What is compared is written under the account's lock, so the order of the numbers is that of the commits.
  await sql.unsafe(`
    create table order_of_things (n bigserial primary key, what text not null, subject text not null, step text, at timestamptz not null default clock_timestamp());
    create function note_delivery() returns trigger language plpgsql as $$ begin
      if new.channel = 'email' and new.attempts > (case when tg_op = 'INSERT' then 0 else old.attempts end) then
        insert into order_of_things (what, subject, step) values ('claimed', new.run_id, new.step); end if;
      if new.channel = 'email' and new.status = 'wire' then
        insert into order_of_things (what, subject, step) values ('wire', new.run_id, new.step); end if;
      return null; end $$;
    create trigger note_delivery after insert or update on deliveries for each row execute function note_delivery();
    create function note_suppression() returns trigger language plpgsql as $$ begin
      insert into order_of_things (what, subject) values ('left', new.email); return null; end $$;
    create trigger note_suppression after insert on suppressions for each row execute function note_suppression();
    create function note_event() returns trigger language plpgsql as $$ begin
      if new.name in ('contract.cancelled', 'meeting.held') then
        insert into order_of_things (what, subject) values ('left', new.account_id); end if;
      return null; end $$;
    create trigger note_event after insert on events for each row execute function note_event();
    create function note_run() returns trigger language plpgsql as $$ begin
      if new.status in ('exiting', 'ended') and old.status not in ('exiting', 'ended') then
        insert into order_of_things (what, subject) values ('over', new.id); end if;
      return null; end $$;
    create trigger note_run after update on runs for each row execute function note_run();
  `);
});
afterAll(async () => {
  await sql.end();
  await stand.close();
});

test(`${RUNS} times somebody leaves while mail is due (seed ${SEED}): nothing is claimed after that`, async () => {
  const random = randomFrom(SEED);
  const trials = await prepare(random);
  const queue = [...trials];
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: 16 }, async (_, index) => {
      const ports = stand.claimers[index % 4] as PerformPorts;
      const beside = stand.claimers[(index + 1) % 4] as PerformPorts;
      for (let trial = queue.shift(); trial !== undefined; trial = queue.shift()) await race(trial, ports, beside);
    }),
  );
  await sleep(WIRE_MS);
  const figures = await judge(trials);
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  const { after, farewells, claimedBefore, latestMs, stopped, ...rest } = figures;
  console.log(
    `leaving, seed ${SEED}: ${RUNS} runs, ${rest.mails} mails arrived, ${stopped} mails stopped; claimed after the commit that ended them: ${after}; ` +
      `farewells that on_exit allows: ${farewells}; claimed before that commit and on the wire after it: ${claimedBefore}, at most ${latestMs} ms later; ` +
      `mails doubled ${rest.doubled}, ended otherwise ${rest.otherwise}; ${seconds} s`,
  );
  expect(stopped).toBeGreaterThan(RUNS / 2);
  expect(farewells).toBeGreaterThan(RUNS / 4);
  expect({ after, doubled: rest.doubled, otherwise: rest.otherwise }).toEqual({ after: 0, doubled: 0, otherwise: 0 });
}, 1_800_000);

const mail = (id: string, category: string): Step => ({
  kind: "email",
  path: id,
  id,
  to: { kind: "subject" },
  from: { kind: "csm" },
  template: "welcome",
  category,
  send: { kind: "now" },
});

/** Three mails one after the other; a farewell, which is service, is all that may go once it is over. */
const THREE_MAILS: Plan = {
  ...PLAN,
  playbook: "three-mails",
  hash: "plan-three-mails",
  subject: "contact",
  exits: [{ when: { event: "contract.cancelled" }, outcome: "left" }],
  goal: { when: { event: "meeting.held" }, outcome: "reached" },
  onExit: {
    openTasks: "cancel",
    deferredEmail: "cancel",
    steps: [mail("farewell", "service"), mail("no-farewell", "onboarding")],
  },
  listens: { events: ["contract.cancelled", "meeting.held"], facts: [] },
  steps: [
    mail("first", "onboarding"),
    mail("second", "onboarding"),
    mail("third", "onboarding"),
    { kind: "end", path: "end", outcome: "through" },
  ],
  templates: { welcome: { en: "hash-en" } },
};

interface Trial {
  readonly run: string;
  readonly account: string;
  readonly contact: string;
  readonly address: string;
  readonly way: Way;
  readonly afterMs: number;
  /** A call that was given up walks beside. */
  readonly isDouble: boolean;
}

async function prepare(random: Random): Promise<Trial[]> {
  const { stage, mailbox } = stand;
  const trials = Array.from({ length: RUNS }, (_, n): Trial => {
    const [account, contact] = [`a-${n}`, `c-${n}`];
    const address = `${contact}@${account}.example`;
    const way = random.pick(WAYS);
    return {
      run: `run/three-mails/${n}`,
      account,
      contact,
      address,
      way,
      afterMs: random.next() * LEAVES_WITHIN_MS,
      isDouble: random.chance(0.3),
    };
  });
  const accounts = trials.map(({ account: id }) => ({
    id,
    fields: { name: id, timezone: "Europe/Warsaw", csm: "ann" },
  }));
  const contacts = trials.map(({ contact: id, account: accountId, address: email }) => ({
    id,
    accountId,
    fields: { name: id, first_name: "C", email, role: "champion", is_active: true },
  }));
  await stage.write((tx) =>
    stage.store.customers.upsert(tx, { accounts, contacts }, { at: T0 - 50 * DAY, source: "test" }),
  );
  for (const { run, account, contact, address: to } of trials) {
    await stage.run({ id: run, accountId: account, contactId: contact, status: "starting" }, THREE_MAILS);
    await stage.write((tx) =>
      stage.ports.suppressions.keepLink(tx, {
        token: run,
        contactId: contact,
        category: "onboarding",
        deliveryKey: "",
      }),
    );
    // The claim of a mail that must be tried again is a new one; a slow server keeps one on the wire while somebody leaves.
    const trouble = random.below(4);
    if (trouble === 0) mailbox.misbehave({ kind: "reply", at: "recipient", reply: "451 4.7.1 Later", to, times: 1 });
    if (trouble === 1) mailbox.misbehave({ kind: "delay", at: "body", delayMs: random.below(400), to, times: 1 });
    if (trouble === 2) mailbox.misbehave({ kind: "drop", at: "body", kept: random.chance(0.5), to, times: 1 });
  }
  return trials;
}

async function race(trial: Trial, ports: PerformPorts, beside: PerformPorts): Promise<void> {
  const arrived: RunEvent[] = [];
  const walks: Promise<unknown>[] = [walkOf(trial, ports, arrived)];
  if (trial.isDouble) walks.push(walkOf(trial, beside, arrived).catch(onlyOvertaken));
  const leaving = sleep(trial.afterMs).then(() => leave(trial, arrived));
  await Promise.all([...walks.map((one) => one.catch(onlyOvertaken)), leaving]);
  // One that was overtaken is walked on from where the store says: in the house, by Temporal.
  await walkOf(trial, ports, arrived).catch(onlyOvertaken);
}

function onlyOvertaken(error: unknown): undefined {
  // The second: what Temporal has refused from a task that timed out; it may have been told less than the one that came after it.
  if (!(error instanceof Overtaken) && !/took an event that it was not offered/.test(String(error))) throw error;
  return undefined;
}

async function leave({ way, run, account }: Trial, arrived: RunEvent[]): Promise<void> {
  const { ports } = stand.stage;
  const event = (name: string) =>
    appendEvents(ports, [{ id: `${name}/${run}`, name, at: T0, account, payload: {} }], "http");
  switch (way) {
    case "unsubscribe":
      return unsubscribe({ ...ports, audit: postgresAudit() }, { token: run, all: false });
    case "exit":
      await event("contract.cancelled");
      return;
    case "goal":
      await event("meeting.held");
      return;
    case "stop":
      arrived.push({ id: `stop/${run}`, name: SYSTEM_EVENTS.stop, at: T0, payload: { by: "ops" } });
  }
}

function walkOf({ run, account, contact }: Trial, ports: PerformPorts, arrived: RunEvent[]): Promise<RunState> {
  const identity = {
    id: run,
    playbook: THREE_MAILS.playbook,
    subject: "contact",
    subjectId: contact,
    accountId: account,
    contactId: contact,
    key: run,
    startedAt: T0 - DAY,
  } as const;
  let told = 0;
  // What was signalled, or answered by an activity, stands in the history: whoever walks the run once more is told of it again.
  const untold = (): readonly RunEvent[] => {
    const events = arrived.slice(told);
    told = arrived.length;
    return events;
  };
  const driver: Driver = {
    perform: (request) => performRequest(ports, { ...request, durable: 0 }),
    async persist(request) {
      for (;;) {
        const events = untold();
        if (events.length > 0) return { kind: "events", events };
        const answer = await persistRequest(ports, request);
        if (answer.kind === "events") {
          arrived.push(...answer.events.filter(({ id }) => !arrived.some((known) => known.id === id)));
          return { kind: "events", events: untold() };
        }
        if (answer.kind !== "retry") return answer;
        await sleep(Math.min(answer.afterMs, 100));
      }
    },
    arrived: untold,
    idle: () => sleep(20),
    now: () => T0,
    isLong: () => false,
    observe: () => {},
  };
  return walk(THREE_MAILS, newRun(THREE_MAILS, identity), driver);
}

/** From the oracle's own record and the mail server's log. */
async function judge(trials: readonly Trial[]) {
  const things = await sql<{ n: number; what: string; subject: string; step: string | null; at: Date }[]>`
    select n::int, what, subject, step, at from order_of_things order by n`;
  const ends = new Map((await sql`select id, status, outcome from runs`).map((row) => [row["id"], row]));
  const bySubject = new Map<string, (typeof things)[number][]>();
  for (const thing of things) bySubject.set(thing.subject, [...(bySubject.get(thing.subject) ?? []), thing]);
  const arrivedAt = new Set(stand.mailbox.messages().flatMap(({ to }) => to));
  const figures = {
    after: 0,
    farewells: 0,
    claimedBefore: 0,
    latestMs: 0,
    stopped: 0,
    mails: stand.mailbox.stats().messages,
    doubled: stand.mailbox.stats().duplicated,
    otherwise: 0,
  };
  for (const { run, account, address, way } of trials) {
    const own = bySubject.get(run) ?? [];
    const over = own.find(({ what }) => what === "over");
    const subject = way === "unsubscribe" ? address : account;
    const left = way === "stop" ? over : bySubject.get(subject)?.find(({ what }) => what === "left");
    const end = ends.get(run);
    const sent = own.filter(({ what, step }) => what === "claimed" && step !== "farewell");
    // What arrived was seen to be claimed, or this record is blind.
    if (own.every(({ what }) => what !== "claimed") && arrivedAt.has(address)) figures.otherwise += 1;
    const expected = { unsubscribe: "through", exit: "left", goal: "reached", stop: "stopped" }[way];
    // Who leaves when everything is said is through all the same.
    if (end?.["status"] !== "ended" || (end["outcome"] !== expected && end["outcome"] !== "through"))
      figures.otherwise += 1;
    if (left === undefined) {
      // `stop` may come too late; all else is always written.
      if (way !== "stop") figures.otherwise += 1;
      continue;
    }
    figures.after += sent.filter(({ n }) => n > left.n).length;
    figures.farewells += own.filter(({ what, step }) => what === "claimed" && step === "farewell").length;
    figures.stopped += 3 - new Set(sent.filter(({ step }) => step !== "no-farewell").map(({ step }) => step)).size;
    for (const wire of own.filter(({ what, step, n }) => what === "wire" && step !== "farewell" && n > left.n)) {
      figures.claimedBefore += 1;
      figures.latestMs = Math.max(figures.latestMs, wire.at.getTime() - left.at.getTime());
    }
  }
  return figures;
}
