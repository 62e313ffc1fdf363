import { SYSTEM_EVENTS } from "../../engine/event.js";
import type { Rule } from "../context.js";
import { allSteps, type Draft, type DraftStep } from "../read-playbook.js";
import type { YamlPath } from "../read-yaml.js";

/**
 * Nothing goes on for ever: `repeat` has `times`, and no playbook always starts itself again (WP502), by whatever detour: along `play`, or along
 * what its own runs tell, where nothing on the way waits. A `where` or `if` may break such a circle, so what stands behind one is taken on trust.
 */
export const endless: Rule = ({ draft, folder, playbooks, report }) => {
  for (const step of allSteps(draft)) {
    if (step.kind !== "repeat" || step.form.repeat.times !== undefined) continue;
    const hint = "Add times: 12, the most that makes sense.";
    report(
      [...step.at, "repeat"],
      { code: "WP502", message: "This repetition could go on for ever.", hint },
      { at: "key" },
    );
  }
  for (const { step, playbook } of certainPlays(draft)) {
    const detour = wayBack(playbook, folder, playbooks, new Set());
    if (!detour) continue;
    const way = [folder, ...detour].join(" → ");
    const hint = "Give one of these steps an `if`.";
    report([...step.at, "play", "playbook"], {
      code: "WP502",
      message: `Every run would start another run: ${way}.`,
      hint,
    });
  }
  const ways = waysFrom(folder, playbooks);
  for (const trigger of habitsOf(draft).open) {
    const teller = [...ways.keys()].find((name) => habitsAt(playbooks, name)?.tells.has(trigger.event));
    if (teller === undefined) continue;
    const way = [...(ways.get(teller) ?? []), trigger.event, folder].join(" → ");
    const hint = "Give the trigger a `where` or the enrolment an `if`, or write again: { after: 1d }.";
    report([...trigger.at, "event"], {
      code: "WP502",
      message: `Every run would start another run: ${way}.`,
      hint,
    });
  }
};

/** What of a playbook matters for circles. */
interface Habits {
  /** A run takes some time, whatever happens: it goes in no circle that anybody would notice. */
  readonly waits: boolean;
  /** Events that every run tells. Milestones are dated once, and a score rarely changes: they don't go on for ever. */
  readonly tells: ReadonlySet<string>;
  /** Playbooks that every run starts. */
  readonly plays: ReadonlySet<string>;
  /** The triggers that take every such event, any number of times. */
  readonly open: readonly { readonly at: YamlPath; readonly event: string }[];
  readonly isAlwaysAgain: boolean;
}

const known = new WeakMap<Draft, Habits>();

function habitsOf(draft: Draft): Habits {
  const before = known.get(draft);
  if (before) return before;
  const { enroll } = draft.head;
  const steps = certainSteps(draft);
  const isAlwaysAgain = enroll?.again === "always";
  const habits: Habits = {
    waits: steps.some((step) => step.kind === "wait" && !("until" in step.form.wait)),
    tells: new Set<string>([
      SYSTEM_EVENTS.runEnded,
      ...(steps.some(({ kind }) => kind === "set") ? [SYSTEM_EVENTS.factsChanged] : []),
    ]),
    plays: new Set(certainPlays(draft).map(({ playbook }) => playbook)),
    open: draft.triggers.flatMap((trigger) =>
      isAlwaysAgain && enroll.if === undefined && trigger.kind === "event" && trigger.form.where === undefined
        ? [{ at: trigger.at, event: trigger.form.event }]
        : [],
    ),
    isAlwaysAgain,
  };
  known.set(draft, habits);
  return habits;
}

function habitsAt(playbooks: ReadonlyMap<string, Draft>, name: string): Habits | undefined {
  const draft = playbooks.get(name);
  return draft && habitsOf(draft);
}

/** The playbooks that a run of the one sets off for certain and at once, each with the shortest way there, both included. */
function waysFrom(from: string, playbooks: ReadonlyMap<string, Draft>): ReadonlyMap<string, readonly string[]> {
  const ways = new Map<string, readonly string[]>();
  const isQuick = (name: string) => habitsAt(playbooks, name)?.waits === false;
  if (!isQuick(from)) return ways;
  ways.set(from, [from]);
  // What is added while walking is walked through too.
  for (const [name, way] of ways) {
    const { plays, tells } = habitsAt(playbooks, name) as Habits;
    for (const next of playbooks.keys()) {
      if (ways.has(next) || !isQuick(next)) continue;
      const { isAlwaysAgain, open } = habitsAt(playbooks, next) as Habits;
      if ((isAlwaysAgain && plays.has(next)) || open.some(({ event }) => tells.has(event))) {
        ways.set(next, [...way, next]);
      }
    }
  }
  return ways;
}

/** The playbooks that every run starts, since nothing stands between it and the step. */
function certainPlays(draft: Draft): { step: DraftStep; playbook: string }[] {
  return certainSteps(draft).flatMap((step) =>
    step.kind === "play" ? [{ step, playbook: step.form.play.playbook }] : [],
  );
}

/** The steps that every run does. */
function certainSteps(draft: Draft): DraftStep[] {
  const found: DraftStep[] = [];
  const walk = (steps: readonly DraftStep[]): void => {
    for (const step of steps) {
      if (step.form.if !== undefined) continue;
      found.push(step);
      if (step.kind === "end") return;
      if (step.kind === "parallel" || step.kind === "repeat") {
        for (const body of step.bodies) if (body.name !== "on_error") walk(body.steps);
      }
    }
  };
  walk(draft.steps);
  return found;
}

/** The playbooks from one to the other along certain plays, both included, or undefined. */
function wayBack(
  from: string,
  to: string,
  playbooks: ReadonlyMap<string, Draft>,
  seen: Set<string>,
): string[] | undefined {
  if (from === to) return [to];
  const draft = playbooks.get(from);
  if (!draft || seen.has(from)) return undefined;
  seen.add(from);
  for (const { playbook } of certainPlays(draft)) {
    const rest = wayBack(playbook, to, playbooks, seen);
    if (rest) return [from, ...rest];
  }
  return undefined;
}
