import type { Condition, Exit, Plan, Step } from "../../src/engine/plan.js";
import type { Expression } from "../../src/expression/expression.js";
import type { Reaction, Scenario, Scripted } from "../../src/simulation/records.js";
import { parseDuration } from "../../src/values/duration.js";
import { DAY_MS, formatInstant, type Instant } from "../../src/values/instant.js";
import {
  around,
  choose,
  email,
  end,
  has,
  is,
  milestone,
  on,
  parallel,
  planFrom,
  repeat,
  scenarioOf,
  slack,
  span,
  task,
  wait,
  waitFor,
  waitUntil,
  whenever,
} from "../engine/plans.js";

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface RandomCase {
  readonly seed: number;
  readonly plan: Plan;
  /** With one enrolment of the plan, `p`, for the account `a1`, whose run is `RANDOM_RUN`. */
  readonly scenario: Scenario;
}

/** The id that the simulator gives to a case's run. */
export const RANDOM_RUN = "run/p/a1/a1/1";

/** A Monday, 09:00 UTC, three weeks before Europe's clocks go forward. */
const START = Date.UTC(2026, 2, 9, 9);

/** A plan of any kind of step, nested at most three deep, and a story that happens to it within sixty days. A pure function of the seed. */
export function randomCase(seed: number): RandomCase {
  const next = randomFrom(seed);
  const below = (n: number): number => Math.floor(next() * n);
  const pick = <T>(...of: readonly T[]): T => of[below(of.length)] as T;
  const chance = (share: number): boolean => next() < share;
  const emails: string[] = [];
  const tasks: string[] = [];
  const waits: string[] = [];
  let count = 0;
  const id = (kind: string): string => `${kind}_${++count}`;

  const short = (): string => pick("2h", "90m", "1d", "2d", "1 bd", "3 bd", "30h", "5d");
  const long = (): string => pick("4d", "7d", "5 bd", "8d", "100h");

  const condition = (): Expression => {
    switch (below(7)) {
      case 0:
        return is("account.tier", pick("a", "b"));
      case 1:
        return is("account.arr", pick(100, 200), pick(">=", "<"));
      case 2:
        return { op: "not", of: has("account.day") };
      case 3:
        return emails.length === 0
          ? is("run.key", "a1")
          : pick(is(`steps.${pick(...emails)}.replied`, true), has(`steps.${pick(...emails)}.sent_at`));
      case 4:
        return tasks.length === 0 ? is("run.key", "other") : is(`steps.${pick(...tasks)}.outcome`, pick("good", "bad"));
      case 5:
        return waits.length === 0 ? has("account.tier") : is(`steps.${pick(...waits)}.timed_out`, chance(0.5));
      default:
        return { op: pick("and", "or"), of: [is("account.tier", "a"), is("account.arr", 150, ">")] };
    }
  };

  const eventLeaf = (): Condition =>
    on(pick("x", "y", "z"), {
      since: pick("start", "start", "wait"),
      ...(chance(0.4) ? { where: is("event.n", pick(1, 2)) } : {}),
    });
  const leaf = (): Condition => {
    switch (below(6)) {
      case 0:
        return whenever(condition());
      case 1:
        return tasks.length === 0 ? eventLeaf() : { kind: "task", step: pick(...tasks) };
      case 2:
        return emails.length === 0 ? eventLeaf() : { kind: "reply", step: pick(...emails) };
      default:
        return eventLeaf();
    }
  };
  const awaited = (): Condition => (chance(0.7) ? leaf() : { kind: pick("any", "all"), of: [leaf(), eventLeaf()] });

  const guard = (): { if?: Expression } => (chance(0.12) ? { if: condition() } : {});

  const effect = (): Step => {
    switch (below(9)) {
      case 0:
      case 1: {
        const name = id("mail");
        const step = email(name, {
          ...guard(),
          category: pick("onboarding", "onboarding", "service"),
          send: pick({ kind: "working_hours" }, { kind: "now" }, { kind: "time_of_day", time: "11:30" }),
          to: pick(
            { kind: "role", role: "champion" },
            { kind: "each", role: "end_user" },
            { kind: "role", role: "nobody" },
          ),
          ...(chance(0.3) ? { sendWithin: span(pick("1d", "1 bd")) } : {}),
        });
        emails.push(name);
        return step;
      }
      case 2:
      case 3: {
        const name = id("task");
        const step = task(name, {
          ...guard(),
          due: span(short()),
          required: chance(0.3),
          ...(chance(0.5) ? { wait: { within: span(long()), otherwise: chance(0.5) ? [slack(id("late"))] : [] } } : {}),
          ...(chance(0.3) ? { dueIf: [{ if: condition(), due: span("4h") }] } : {}),
        });
        tasks.push(name);
        return step;
      }
      case 4:
        return milestone(id("milestone"), guard());
      case 5:
        return {
          kind: "set",
          id: id("set"),
          path: "",
          field: "account.tier",
          value: { op: "literal", value: pick("a", "b", "c") },
        };
      case 6:
        return pick<Step>(
          { kind: "risk", id: id("risk"), path: "", risk: "r", severity: "low" },
          { kind: "opportunity", id: id("chance"), path: "", opportunity: "o" },
          { kind: "health", id: id("health"), path: "" },
        );
      case 7:
        return {
          kind: "play",
          id: id("play"),
          path: "",
          playbook: "absent",
          with: {},
          ...(chance(0.5) ? { wait: { within: span("2d"), otherwise: [] } } : {}),
        };
      default:
        return slack(id("slack"), guard());
    }
  };

  const step = (depth: number): Step => {
    const kind = below(depth >= 3 ? 6 : 12);
    switch (kind) {
      case 3: {
        const name = id("pause");
        return chance(0.25)
          ? waitUntil(
              name,
              "account.day",
              { onMissing: pick("skip", "run", "fail"), onPast: pick("skip", "run", "fail"), ...guard() },
              pick(undefined, "-2d", "1 bd"),
            )
          : wait(
              name,
              pick(short(), short(), "10:30", "working hours", "working hours 09:30", "thursday 10:00"),
              guard(),
            );
      }
      case 4:
      case 5: {
        const name = id("await");
        const made = waitFor(name, awaited(), long(), chance(0.5) ? steps(depth + 1, 2) : [], guard());
        waits.push(name);
        return made;
      }
      case 6:
      case 7:
        return choose(
          id("choose"),
          [[condition(), steps(depth + 1, 2)], ...(chance(0.3) ? [[condition(), steps(depth + 1, 2)] as const] : [])],
          steps(depth + 1, 2),
        );
      case 8:
      case 9:
        return parallel(
          id("both"),
          {
            left: steps(depth + 1, 3),
            right: steps(depth + 1, 3),
            ...(chance(0.3) ? { third: steps(depth + 1, 2) } : {}),
          },
          pick("all", "any"),
        );
      case 10:
        return repeat(
          id("again"),
          pick("1d", "2d", "1 bd", "8h"),
          1 + below(3),
          steps(depth + 1, 2),
          chance(0.5) ? condition() : undefined,
        );
      case 11:
        return around(
          id("around"),
          "account.day",
          ["-5d", "-1 bd", "0d", "3d"].filter(() => chance(0.6)).map((offset) => [offset, step(depth + 1)] as const),
          {
            onMissing: pick("skip", "run", "fail"),
            onPast: pick("skip", "skip", "run", "fail"),
            ...(chance(0.3) ? { onError: chance(0.5) ? "continue" : [slack(id("instead"))] } : {}),
          },
        );
      default:
        return effect();
    }
  };
  const steps = (depth: number, most: number): Step[] => Array.from({ length: below(most + 1) }, () => step(depth));

  const root = [...Array.from({ length: 3 + below(4) }, () => step(0)), ...(chance(0.5) ? [end("done")] : [])];
  const exits: Exit[] = [
    ...(chance(0.3)
      ? [{ when: { event: "bye", ...(chance(0.5) ? { where: is("account.arr", 100, ">=") } : {}) }, outcome: "left" }]
      : []),
    ...(chance(0.2) ? [{ if: is("account.tier", "c"), outcome: "gone" }] : []),
  ];
  const plan = planFrom(root, {
    exits,
    ...(chance(0.2) ? { goal: { if: condition(), outcome: "goal" } } : {}),
    onExit: {
      openTasks: pick("cancel", "keep"),
      deferredEmail: pick("cancel", "keep"),
      steps: chance(0.5)
        ? [slack(id("bye")), email(id("farewell"), { category: "service", send: { kind: "now" } })]
        : [],
    },
  });

  const within = (days: number): Instant =>
    START + below(days * 24 * 4) * (DAY_MS / 96) + pick(0, 0, 1 + below(50_000));
  const script: Scripted[] = [];
  const dateFields = (when: Instant) =>
    chance(0.15) ? { day: null } : { day: formatInstant(when + below(30) * DAY_MS).slice(0, 10) };
  for (let i = below(6); i > 0; i--) {
    const at = within(60);
    const fields = pick<Record<string, string | number | null>>(
      { tier: pick("a", "b", "c") },
      { arr: 50 * below(6) },
      dateFields(at),
      { timezone: pick("Europe/Warsaw", "America/New_York", "Asia/Tokyo", "UTC") },
    );
    script.push({ kind: "upsert", id: `change-${i}`, at, rows: { accounts: [{ id: "a1", fields }] } });
  }
  for (let i = below(7); i > 0; i--)
    script.push({
      kind: "event",
      id: `event-${i}`,
      at: within(40),
      name: pick("x", "x", "y", "z", "bye"),
      accountId: "a1",
      payload: { n: pick(1, 2) },
    });
  if (chance(0.3)) {
    const from = within(20);
    const of = (name: string, at: Instant): Scripted => ({
      kind: "event",
      id: name,
      at,
      name,
      accountId: "a1",
      payload: { hold: "operator" },
      ...{ runId: RANDOM_RUN },
    });
    script.push(of("run.held", from), of("run.released", from + (1 + below(200)) * 3_600_000));
  }
  const reactions: Reaction[] = [];
  const after = () => parseDuration(pick("1h", "5h", "30h", "3d")) as NonNullable<ReturnType<typeof parseDuration>>;
  for (const name of tasks)
    if (chance(0.7))
      reactions.push({
        step: name,
        to: "task",
        after: after(),
        do: chance(0.8) ? { kind: "complete", outcome: pick("good", "bad") } : { kind: "skip", reason: "no" },
      });
  for (const name of emails)
    if (chance(0.4))
      reactions.push({
        step: name,
        to: "email",
        after: after(),
        do: pick<Reaction["do"]>(
          { kind: "reply" },
          { kind: "bounce" },
          { kind: "unsubscribe" },
          { kind: "event", name: "x", payload: { n: 1 } },
        ),
      });

  const base = scenarioOf();
  return {
    seed,
    plan,
    scenario: {
      ...base,
      name: `random ${seed}`,
      at: START,
      until: START + 400 * DAY_MS,
      given: {
        ...base.given,
        accounts: [
          {
            id: "a1",
            fields: {
              name: "Acme",
              timezone: pick("Europe/Warsaw", "America/New_York", "Asia/Kolkata"),
              csm: "u1",
              is_test: false,
              tier: pick("a", "b"),
              arr: 50 * below(6),
              ...(chance(0.7) ? { day: formatInstant(START + below(30) * DAY_MS).slice(0, 10) } : {}),
            },
          },
        ],
        contacts: [
          {
            id: "c1",
            accountId: "a1",
            fields: { email: "c@acme.example", role: "champion", locale: "pl", is_primary: true },
          },
          {
            id: "c2",
            accountId: "a1",
            fields: { email: "d@acme.example", role: "end_user", timezone: "America/Los_Angeles" },
          },
          { id: "c3", accountId: "a1", fields: { email: "e@acme.example", role: "end_user" } },
        ],
      },
      script,
      reactions,
      enrolments: [{ at: START, playbook: "p", accountId: "a1" }],
    },
  };
}

/** The model that random cases need: `account.day` is a date. */
export const RANDOM_FIELDS = { tier: { type: "string" }, arr: { type: "number" }, day: { type: "date" } } as const;
