import { walk } from "../../src/engine/walk.js";
import type { Model } from "../../src/customers/model.js";
import type { Command, CommandBody, Outcome } from "../../src/engine/command.js";
import type { Plan } from "../../src/engine/plan.js";
import type { Policy } from "../../src/engine/policy.js";
import { SimulatedCustomers } from "../../src/simulation/customers.js";
import type { Given, Reaction, Scripted } from "../../src/simulation/records.js";
import type { RunHost } from "../../src/simulation/simulate.js";
import { type SimulatedRun, SimulatedWorld } from "../../src/simulation/world.js";
import { type Calendar, STANDARD_CALENDAR } from "../../src/values/calendar.js";
import { formatInstant } from "../../src/values/instant.js";
import { model as bareModel, planFrom, policy, scenarioOf } from "../engine/plans.js";
import { at, short } from "../engine/rehearse.js";

/** A world without a machine: commands go in one by one, what it then says can be looked at. */
export function stage(
  how: {
    readonly model?: Partial<Model>;
    readonly policy?: Policy;
    readonly calendars?: readonly Calendar[];
    readonly reactions?: readonly Reaction[];
    readonly given?: Given;
  } = {},
) {
  const model = { ...bareModel, ...how.model };
  const customers = new SimulatedCustomers(model, {});
  customers.upsert(how.given ?? scenarioOf().given, Number.MIN_SAFE_INTEGER);
  const world = new SimulatedWorld(
    customers,
    how.policy ?? policy,
    how.calendars ?? [{ ...STANDARD_CALENDAR, name: "standard" }],
    model,
    how.reactions ?? [],
    () => ({ refused: "again" }),
  );

  const begin = (plan: Plan = planFrom([]), more: Partial<SimulatedRun> = {}): SimulatedRun => {
    const run: SimulatedRun = {
      id: `r${world.runs.size + 1}`,
      plan,
      key: "a1",
      ordinal: 1,
      enrolledBy: "x",
      accountId: "a1",
      startedAt: at("2026-03-02T09:00"),
      confirmed: new Set(),
      timeline: [],
      answers: [],
      ...more,
    };
    world.runs.set(run.id, run);
    return run;
  };

  /** What one command is answered; the run has heard of everything by then. */
  const act = (
    run: SimulatedRun,
    body: CommandBody,
    when = "2026-03-02T10:00",
    more: Partial<Command> = {},
  ): Outcome => {
    const command = { key: "s", path: "s", step: "s", ...body, ...more } as Command;
    const inHand = new Set<string>();
    for (;;) {
      const answer = world.ask(run, command, at(when), "running", inHand);
      if (answer.kind === "outcome") {
        for (const id of inHand) run.confirmed.add(id);
        return answer.outcome;
      }
      if (answer.kind !== "events" || answer.events.length === 0) throw new Error("nothing was answered");
    }
  };

  /** The log so far: `WHEN NAME of WHOM: PAYLOAD (CHANGED)`. */
  const told = (): string[] =>
    world.pendingUntil(Number.MAX_SAFE_INTEGER).map((event) => {
      const about = [event.contactId, event.contractId, event.runId].filter((id) => id !== undefined);
      const payload = Object.entries(event.payload).map(
        ([name, value]) =>
          `${name}=${typeof value === "number" && value > 1e12 ? formatInstant(value) : String(value)}`,
      );
      return [
        short(event.at),
        event.name,
        ...(about.length === 0 ? [] : [`of ${about.join(",")}`]),
        ...payload,
        ...(event.changed === undefined ? [] : [`(${event.changed.join(" ")})`]),
      ].join(" ");
    });

  const tell = (name: string, when: string, more: Partial<Extract<Scripted, { kind: "event" }>> = {}): void =>
    world.take({
      kind: "event",
      id: `${name}/${when}`,
      at: at(when),
      name,
      accountId: "a1",
      payload: {},
      ...more,
    });

  return { world, customers, begin, act, told, tell };
}

/** The commands as a plan's steps make them, with whatever a test is about. */
export const mail = (more: Partial<Extract<CommandBody, { kind: "email" }>> = {}): CommandBody => ({
  kind: "email",
  to: { kind: "role", role: "champion" },
  from: { kind: "csm" },
  template: "t",
  locales: { en: "e", pl: "p" },
  category: "onboarding",
  send: { kind: "now" },
  priority: 50,
  since: at("2026-03-02T10:00"),
  exiting: false,
  scope: {},
  ...more,
});

export const job = (more: Partial<Extract<CommandBody, { kind: "task" }>> = {}): CommandBody => ({
  kind: "task",
  title: "x",
  for: { kind: "csm" },
  due: { amount: 1, unit: "bd" },
  required: false,
  escalate: [],
  remind: [],
  snoozeLimit: 2,
  outcomes: [],
  scope: {},
  ...more,
});

/** A host whose clock is nothing but what is due next. */
export const host: RunHost = { walk, reach: async (next) => next() };

/** One whose clock runs ahead: what a run waits for is due at once, and the script has to catch up. */
export const hasty: RunHost = {
  ...host,
  walk: (plan, state, driver) => walk(plan, state, { ...driver, now: () => Number.MAX_SAFE_INTEGER }),
};
