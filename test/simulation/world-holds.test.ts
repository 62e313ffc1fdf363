import { describe, expect, test } from "vitest";
import type { Plan } from "../../src/engine/plan.js";
import { simulate } from "../../src/simulation/simulate.js";
import { end, planFrom, scenarioOf, settingOf, span, wait } from "../engine/plans.js";
import { at, short } from "../engine/rehearse.js";
import { mail, stage } from "./stage.js";

const plan = (playbook: string, priority: number, ...pauses: string[]): Plan =>
  planFrom([], { playbook, priority, pauses });

const close = { kind: "close", outcome: "done" } as const;

describe("holds", () => {
  /** A rescue that pauses a nurture, and what the nurture's runs are told. */
  function both(rescue = plan("rescue", 80, "nurture"), nurture = plan("nurture", 20)) {
    const set = stage();
    const held = set.begin(nurture);
    const holder = set.begin(rescue, { startedAt: at("2026-03-02T09:30") });
    set.act(holder, { kind: "hold", playbooks: rescue.pauses }, "2026-03-02T10:00");
    return { ...set, held, holder };
  }
  const HELD = "2026-03-02 10:00 run.held of r1 hold=playbook:rescue";
  const ENDED = "2026-03-02 11:00 run.ended run=r2 playbook=rescue outcome=done";
  const RELEASED = "2026-03-02 11:00 run.released of r1 hold=playbook:rescue";

  test.each<[string, Plan, Plan, boolean]>([
    ["another playbook's runs", plan("rescue", 80, "nurture"), plan("nurture", 20), true],
    ["whatever the priority, unless mutual", plan("rescue", 10, "nurture"), plan("nurture", 20), true],
    ["mutual: the higher priority", plan("rescue", 80, "nurture"), plan("nurture", 20, "rescue"), true],
    ["mutual: not the lower", plan("rescue", 10, "nurture"), plan("nurture", 20, "rescue"), false],
    ["mutual, equal: not the later", plan("rescue", 50, "nurture"), plan("nurture", 50, "rescue"), false],
    ["no other playbook's", plan("rescue", 80, "else"), plan("nurture", 20), false],
  ])("%s", (_name, rescue, nurture, isHeld) => {
    const { act, holder, held, told } = both(rescue, nurture);
    expect(told()).toEqual(isHeld ? [HELD] : []);
    const during = act(held, mail(), "2026-03-02T10:30");
    expect(during.kind === "deferred" ? during.reason : during.kind).toBe(isHeld ? "held" : "emailed");
    act(holder, close, "2026-03-02T11:00", { key: "c" });
    expect(told().slice(isHeld ? 1 : 0)).toEqual(isHeld ? [RELEASED, ENDED] : [ENDED]);
    expect(act(held, mail(), "2026-03-02T11:00").kind).toBe("emailed");
  });

  test("are counted: the second adds nothing, the last to end releases", () => {
    const { act, begin, holder, told } = both();
    const second = begin(holder.plan);
    act(second, { kind: "hold", playbooks: ["nurture"] }, "2026-03-02T10:10");
    act(holder, close, "2026-03-02T11:00", { key: "c" });
    expect(told()).toEqual([HELD, ENDED]);
    act(second, close, "2026-03-02T12:00", { key: "c" });
    expect(told().slice(2)).toEqual([
      "2026-03-02 12:00 run.released of r1 hold=playbook:rescue",
      "2026-03-02 12:00 run.ended run=r3 playbook=rescue outcome=done",
    ]);
  });

  test("don't touch other accounts, nor what is over; who ended hears of no release", () => {
    const { act, begin, held, holder, told } = both();
    begin(held.plan, { accountId: "a2" });
    act(held, close, "2026-03-02T10:30", { key: "c" });
    const again = begin(plan("rescue", 80, "nurture", "gone"));
    act(again, { kind: "hold", playbooks: ["nurture", "gone"] }, "2026-03-02T10:40");
    act(holder, close, "2026-03-02T11:00", { key: "c" });
    act(again, close, "2026-03-02T11:30", { key: "c" });
    expect(told()).toEqual([
      HELD,
      "2026-03-02 10:30 run.ended run=r1 playbook=nurture outcome=done",
      ENDED,
      "2026-03-02 11:30 run.ended run=r4 playbook=rescue outcome=done",
    ]);
  });

  test("an ended run is not held any more", () => {
    const { begin, act, told } = stage();
    const nurture = begin(plan("nurture", 20));
    act(nurture, close, "2026-03-02T09:30");
    act(begin(plan("rescue", 80, "nurture")), { kind: "hold", playbooks: ["nurture"] });
    expect(told()).toEqual(["2026-03-02 09:30 run.ended run=r1 playbook=nurture outcome=done"]);
  });

  test.each<[string, Plan, Plan, string[]]>([
    ["by name", plan("rescue", 80, "nurture"), plan("nurture", 20), ["playbook:rescue"]],
    ["of the higher priority", plan("rescue", 80, "nurture"), plan("nurture", 20, "rescue"), ["playbook:rescue"]],
    [
      "of the same: the earlier holds",
      plan("rescue", 50, "nurture"),
      plan("nurture", 50, "rescue"),
      ["playbook:rescue"],
    ],
    ["not of the lower", plan("rescue", 10, "nurture"), plan("nurture", 20, "rescue"), []],
  ])("a run that begins later is told of them: %s", (_name, rescue, nurture, expected) => {
    const { world, act, begin } = stage();
    for (let count = 0; count < 2; count++) act(begin(rescue), { kind: "hold", playbooks: ["nurture"] });
    const run = begin(nurture);
    expect(world.holdsOn(run)).toEqual(expected);
    expect(world.holdsOn({ ...run, accountId: "a2" })).toEqual([]);
    expect(world.holdsOn(begin(plan("else", 1)))).toEqual([]);
  });

  test("a run of the same priority that is dated back before the holder is not held by it: the holder is by the run", () => {
    const { world, act, begin } = stage();
    act(begin(plan("rescue", 50, "nurture")), { kind: "hold", playbooks: ["nurture"] });
    const run = begin(plan("nurture", 50, "rescue"));
    expect(world.holdsOn({ ...run, startedAt: run.startedAt - 1 })).toEqual([]);
  });

  test("after a release, mails that waited go with some distance", () => {
    const { act, holder, held } = both();
    for (const key of ["m", "n"]) act(held, mail(), "2026-03-02T10:30", { key });
    act(holder, close, "2026-03-02T11:00", { key: "c" });
    expect(act(held, mail(), "2026-03-02T11:00", { key: "m" }).kind).toBe("emailed");
    const second = act(held, mail(), "2026-03-02T11:00", { key: "n" });
    expect(second.kind === "deferred" && `${second.reason} ${short(second.until)}`).toBe("spacing 2026-03-02 15:00");
  });
});

test("who ends: its contact's, and its parent is told", () => {
  const { begin, act, told } = stage();
  const parent = begin();
  act(begin(planFrom([]), { contactId: "c1", parent: { run: parent.id, key: "p" } }), close);
  expect(told()).toEqual([
    "2026-03-02 10:00 run.ended of c1 run=r2 playbook=p outcome=done",
    "2026-03-02 10:00 run.ended of r1 run=r2 playbook=p outcome=done",
  ]);
});

test("in a whole scenario: held for two days, whichever began first", async () => {
  const nurture = planFrom([wait("w", "1d"), end("done")], { playbook: "nurture", priority: 20 });
  const rescue = planFrom([wait("w", "2d"), end("done")], { playbook: "rescue", pauses: ["nurture"] });
  const enrol = (playbook: string, when: string) => ({ at: at(when), playbook, accountId: "a1" });
  const run = async (first: string, second: string) => {
    const enrolments = [enrol(first, "2026-03-02T09:00"), enrol(second, "2026-03-02T12:00")];
    const runs = await simulate(settingOf(nurture, rescue), scenarioOf({ enrolments }));
    const own = runs.find(({ playbook }) => playbook === "nurture");
    return own?.entries.map((entry) => `${short(entry.at).slice(5)} ${entry.kind}`);
  };
  expect(await run("nurture", "rescue")).toEqual([
    "03-02 09:00 run.started",
    "03-02 09:00 wait.began",
    "03-02 12:00 run.held",
    "03-04 12:00 run.released",
    // Three of its twenty-four hours were over: the others begin again.
    "03-05 09:00 wait.over",
    "03-05 09:00 run.ended",
  ]);
  expect((await run("rescue", "nurture"))?.slice(-3)).toEqual([
    "03-04 09:00 run.released",
    "03-05 09:00 wait.over",
    "03-05 09:00 run.ended",
  ]);
});

test("what a run said ahead of a lost record is said again", () => {
  const { world, begin } = stage();
  const run = begin();
  const say = (...seqs: number[]) =>
    world.tell(
      run,
      {
        asOf: at("2026-03-02T10:00"),
        entries: seqs.map((seq) => ({ seq, at: at("2026-03-02T10:00"), kind: "wait.over" as const })),
        status: "held",
        position: [],
        taken: [],
      },
      new Set(),
    );
  say(1, 2);
  say(2, 3);
  expect(run.timeline.map(({ seq }) => seq)).toEqual([1, 2, 3]);
});

test("a playbook that plays another hears of its end, or of why it didn't begin", async () => {
  const play = (playbook: string): Plan =>
    planFrom([
      {
        kind: "play",
        id: "child",
        path: "child",
        playbook,
        with: {},
        wait: { within: span("5d"), otherwise: [end("late")] },
      },
      end("done"),
    ]);
  const child = planFrom([wait("w", "1d"), end("fine")], { playbook: "child" });
  const story = async (playbook: string) =>
    (await simulate(settingOf(play(playbook), child), scenarioOf())).map(
      ({ run, outcome, entries }) => `${run} ${outcome} ${short(entries.at(-1)?.at ?? 0)}`,
    );
  expect(await story("child")).toEqual([
    "run/p/a1/a1/1 done 2026-03-03 09:00",
    "run/child/a1/a1/1 fine 2026-03-03 09:00",
  ]);
  expect(await story("unknown")).toEqual(["run/p/a1/a1/1 done 2026-03-02 09:00"]);
});
