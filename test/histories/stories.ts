import type { Plan, Step, StepKind } from "../../src/engine/plan.js";
import {
  around,
  choose,
  email,
  end,
  fact,
  has,
  is,
  milestone,
  on,
  parallel,
  planFrom,
  repeat,
  slack,
  span,
  task,
  wait,
  waitFor,
  whenever,
} from "../engine/plans.js";
import { isHeld, isParked, isRunning, type StagedRun, type Staging } from "./stage.js";

/** A run whose history is kept, and what is done to it from outside until it is over. */
export interface Story extends Staging {
  readonly name: string;
  readonly play: (run: StagedRun) => Promise<unknown>;
  /** The server suggests to continue as new early. */
  readonly isLong?: boolean;
}

/** One of each: the type lets none be left out. `test/histories/replay.test.ts` holds the recorded plans against it. */
const EACH_KIND: Readonly<Record<StepKind, true>> = {
  email: true,
  slack: true,
  task: true,
  wait: true,
  around: true,
  wait_for: true,
  choose: true,
  parallel: true,
  repeat: true,
  milestone: true,
  set: true,
  risk: true,
  opportunity: true,
  health: true,
  play: true,
  end: true,
};
export const STEP_KINDS = Object.keys(EACH_KIND) as readonly StepKind[];

const failing: Pick<Staging, "answer"> = {
  // Tried again, it has another key.
  answer: (command) =>
    command.key === "hello"
      ? { kind: "outcome", outcome: { kind: "failed", at: 0, reason: "no such channel" } }
      : undefined,
};
const stubborn: Pick<Staging, "answer"> = {
  answer: (command, times) => (command.step === "hello" && times === 1 ? { kind: "retry", afterMs: 50 } : undefined),
};
const short: Plan = planFrom([slack("hello"), wait("a_day", "1d"), slack("later"), end("done")]);
const never = (): Promise<never> => new Promise(() => {});

const everyKind: readonly Step[] = [
  email("welcome", { send: { kind: "now" } }),
  slack("card"),
  task("call", { wait: { within: span("2d"), otherwise: [slack("not_called")] } }),
  wait("settle", "1 bd"),
  around("dates", "milestone.first_value", [["1d", slack("the_day_after")]], { onMissing: "skip" }),
  milestone("reached"),
  around("again", "milestone.first_value", [
    ["0d", slack("that_day")],
    ["2d", slack("two_days_on")],
  ]),
  waitFor("booked", { kind: "any", of: [on("x"), whenever(has("account.stage"))] }, "3d", [
    { kind: "risk", id: "late", path: "", risk: "r", severity: "low" },
  ]),
  waitFor("both", { kind: "all", of: [on("x"), on("y", { since: "wait" })] }, "2d"),
  choose("which", [[is("account.name", "Acme"), [slack("acme")]]], [slack("other")]),
  parallel("side", { left: [wait("l", "1d"), slack("left")], right: [wait("r", "2d"), slack("right")] }, "any"),
  parallel("by", { left: [wait("l2", "3h")], right: [slack("right2")] }),
  repeat("rounds", "1d", 3, [slack("round")], is("steps.rounds.count", 2, ">=")),
  { kind: "set", id: "stage", path: "", field: "account.name", value: { op: "literal", value: "Acme 2" } },
  { kind: "opportunity", id: "more", path: "", opportunity: "o" },
  { kind: "health", id: "measure", path: "" },
  { kind: "play", id: "rescue", path: "", playbook: "absent", with: { name: fact("account.name") } },
  end("done"),
];

/** What is recorded beside the shipped playbooks. */
export const STORIES: readonly Story[] = [
  {
    name: "every-step-kind",
    plan: planFrom(everyKind, {
      exits: [{ if: is("account.name", "Gone"), outcome: "gone" }],
      goal: { if: is("account.name", "Goal"), outcome: "goal" },
    }),
    play: (run) => run.ended(),
  },
  {
    name: "pause-resume",
    plan: planFrom([wait("two_days", "2d"), milestone("m"), end("done")]),
    dayMs: 1_000,
    play: async (run) => {
      await run.until("began", (state) => Object.keys(state.positions).length > 0);
      await run.operate("pause");
      await run.until("held", isHeld);
      await run.operate("resume");
      await run.until("running", isRunning);
      await run.ended();
    },
  },
  {
    name: "begun-under-a-hold",
    plan: planFrom([wait("a_day", "1d"), milestone("m")]),
    holds: ["playbook:q"],
    play: async (run) => {
      await run.until("held", isHeld);
      await run.tell("run.released", { hold: "playbook:q" });
      await run.ended();
    },
  },
  {
    name: "park-retry",
    plan: short,
    ...failing,
    play: async (run) => {
      await run.until("parked", isParked);
      await run.operate("retry");
      await run.ended();
    },
  },
  {
    name: "park-skip",
    plan: short,
    ...failing,
    play: async (run) => {
      await run.until("parked", isParked);
      await run.operate("skip");
      await run.ended();
    },
  },
  {
    name: "park-stop",
    plan: planFrom([slack("hello"), end("done")], {
      onExit: { openTasks: "cancel", deferredEmail: "cancel", steps: [slack("bye")] },
    }),
    ...failing,
    play: async (run) => {
      await run.until("parked", isParked);
      await run.operate("stop");
      await run.ended();
    },
  },
  {
    name: "cancelled",
    plan: planFrom([task("open"), wait("long", "90d"), end("done")]),
    dayMs: 1_000,
    play: async (run) => {
      await run.until("waiting", (state) => state.positions["long"] !== undefined);
      await run.cancel();
      await run.ended();
    },
  },
  { name: "persist", plan: short, ...stubborn, play: (run) => run.ended() },
  {
    name: "persist-interrupted",
    plan: planFrom([parallel("side", { a: [slack("hello")], b: [waitFor("x", on("x"), "90d")] }), end("done")]),
    dayMs: 2_000,
    ...stubborn,
    persist: never,
    play: async (run) => {
      await run.untilInActivity();
      await run.tell("x");
      await run.ended();
    },
  },
  { name: "store-away", plan: short, isAway: (call) => call === 2, play: (run) => run.ended() },
  {
    name: "exit",
    plan: planFrom([task("open"), wait("long", "90d")], {
      exits: [{ when: { event: "bye" }, outcome: "left" }],
      onExit: { openTasks: "cancel", deferredEmail: "cancel", steps: [slack("farewell")] },
    }),
    play: async (run) => {
      await run.until("waiting", (state) => state.positions["long"] !== undefined);
      await run.tell("bye");
      await run.ended();
    },
  },
  {
    name: "in-order",
    plan: planFrom([wait("a", "1d"), slack("b"), waitFor("c", on("x"), "5d"), end("done")]),
    isOrdered: true,
    play: async (run) => {
      await run.until("at c", (state) => state.positions["c"] !== undefined);
      await run.tell("other");
      await run.tell("x");
      await run.ended();
    },
  },
  {
    name: "continued",
    isLong: true,
    plan: planFrom([
      repeat("again", "8h", 40, [waitFor("x", on("x", { since: "wait" }), "4h"), slack("seen")]),
      end("done"),
    ]),
    dayMs: 400,
    play: async (run) => {
      const over = run.ended();
      let isOver = false;
      over.finally(() => {
        isOver = true;
      });
      while (!isOver) {
        await run.tell("x").catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
      await over;
    },
  },
];
