import type { FactValue } from "../expression/expression.js";
import type { TimeRule } from "../values/time-rule.js";
import type { Command, CommandBody } from "./command.js";
import { effectKey, exactMs, preparationFacts } from "./flow.js";
import type { Machine } from "./machine.js";
import type { AroundStep, PlayStep, RepeatStep, Step, TaskStep, WaitForStep, WaitStep } from "./plan.js";
import { conditionFacts } from "./plan-index.js";
import { lookupIn, outsideFacts, valuesOf, withLocals } from "./scope.js";
import type { Chore, Position } from "./state.js";

/** A command, and what its outcome is for: a chore, the exit check, or a position's slot. */
export interface Asked {
  readonly command: Command;
  readonly owner: string;
  readonly slot: "chore" | "exits" | "if" | "facts" | "due" | "do" | `block ${number}`;
}

/**
 * All that the run now asks for, in order: chores, then the exits' facts (nothing else is begun before they are known),
 * then each position's own, in the order in which they were reached or last answered. A pure function of the state: an unanswered command is
 * asked for again, under the same key.
 */
export function commandsOf(m: Machine): Asked[] {
  const chores = Object.entries(m.state.chores).flatMap(([key, chore]) => choreCommands(m, key, chore));
  if (m.state.exitCheck !== undefined) {
    return [
      ...chores,
      {
        command: { kind: "read", key: "!exits", path: "!exits", facts: m.index.exitFacts },
        owner: "!exits",
        slot: "exits",
      },
    ];
  }
  const asked = chores;
  const isHushed = (m.isHeld || m.state.parked !== undefined) && !m.isOver;
  for (const [key, position] of Object.entries(m.state.positions))
    asked.push(...positionCommands(m, key, position, isHushed));
  return asked;
}

function choreCommands(m: Machine, key: string, chore: Chore): Asked[] {
  const ask = (body: CommandBody, path = key): Asked[] => [
    { command: { ...body, key, path }, owner: key, slot: "chore" },
  ];
  switch (chore.kind) {
    case "hold":
      return ask({ kind: "hold", playbooks: m.plan.pauses });
    case "park":
      return ask({ kind: "park", reason: chore.reason });
    case "leave":
      return ask({
        kind: "leave",
        outcome: m.state.outcome ?? "",
        openTasks: chore.openTasks,
        deferredEmail: chore.deferredEmail,
      });
    case "close":
      return ask({ kind: "close", outcome: m.state.outcome ?? "" });
    case "withdraw":
      return ask({ kind: "email_withdraw", email: chore.email, reason: chore.reason }, chore.path);
    case "withdraw_task":
      return ask({ kind: "task_withdraw", task: chore.task }, chore.path);
    case "tighten": {
      const step = m.step(chore.path);
      const index = step.kind === "task" ? dueIndex(m, step) : undefined;
      const due = step.kind === "task" && index !== undefined ? step.dueIf[index]?.due : undefined;
      return due === undefined ? [] : ask({ kind: "task_tighten", task: chore.task, due }, chore.path);
    }
  }
}

/** Which `due_if` holds by what the run itself knows. */
export function dueIndex(m: Machine, step: TaskStep): number | undefined {
  const index = step.dueIf.findIndex((one) => m.isTrue(one.if, {}));
  return index < 0 ? undefined : index;
}

function positionCommands(m: Machine, key: string, position: Position, isHushed: boolean): Asked[] {
  const step = m.step(position.path);
  const named = step.id === undefined ? { path: step.path } : { path: step.path, step: step.id };
  const read = (slot: "if" | "facts", facts: readonly string[]): Asked => ({
    command: { kind: "read", key: `${key}:${slot}`, ...named, facts },
    owner: key,
    slot,
  });
  switch (position.phase) {
    case "guard":
      return isHushed ? [] : [read("if", outsideFacts(step.if))];
    case "decide":
      return isHushed ? [] : [read("facts", decisionFacts(step))];
    case "do": {
      if (isHushed) return [];
      const body = effectBody(m, position, step);
      return [{ command: { ...body, key: effectKey(key, position), ...named }, owner: key, slot: "do" }];
    }
    case "arm":
    case "confirm":
    case "wait": {
      const asked: Asked[] = [];
      if (position.phase === "arm" || (position.phase === "confirm" && position.confirmed !== true)) {
        asked.push({
          command: { ...timerBody(m, step, position), key: `${iterationKey(key, position)}:due`, ...named },
          owner: key,
          slot: "due",
        });
      }
      if (position.recheck === true && step.kind === "wait_for" && conditionFacts(step.for).length > 0) {
        asked.push(read("facts", conditionFacts(step.for)));
      }
      return asked;
    }
    case "body":
      return step.kind === "around" ? blockCommands(m, key, position, step.anchor, step.blocks, named) : [];
    case "deferred":
    case "parked":
      return [];
  }
}

function iterationKey(key: string, position: Position): string {
  return position.count === undefined ? key : `${key}#${position.count}`;
}

function decisionFacts(step: Step): string[] {
  switch (step.kind) {
    case "choose":
      return outsideFacts(...step.branches.map((branch) => branch.if));
    case "repeat":
      return outsideFacts(step.until);
    default:
      return preparationFacts(step);
  }
}

function blockCommands(
  m: Machine,
  key: string,
  position: Position,
  anchor: string,
  blocks: AroundStep["blocks"],
  named: { path: string; step?: string },
): Asked[] {
  return (position.blocks ?? []).flatMap((block, i): Asked[] => {
    const at = blocks[i]?.at;
    if (at === undefined || (block.status !== "arming" && block.status !== "confirm")) return [];
    return [
      {
        command: {
          kind: "resolve_date",
          key: `${key}@${i}`,
          ...named,
          date: withLocals({ op: "fact", path: anchor }, lookupIn(m.state, {})),
          offset: at,
        },
        owner: key,
        slot: `block ${i}`,
      },
    ];
  });
}

function timerBody(m: Machine, step: Step, position: Position): CommandBody {
  if (step.kind === "wait" && step.until.kind === "date") {
    return {
      kind: "resolve_date",
      date: withLocals(step.until.date, lookupIn(m.state, {})),
      ...(step.until.offset === undefined ? {} : { offset: step.until.offset }),
    };
  }
  return { kind: "resolve", rule: ruleOf(step), from: timerFrom(step, position) };
}

/** The rule that a step's timer runs by. */
export function ruleOf(step: Step): TimeRule {
  switch (step.kind) {
    case "wait":
      return step.until.kind === "rule" ? step.until.rule : { kind: "now" };
    case "wait_for":
      return { kind: "after", duration: (step satisfies WaitForStep).within };
    case "task":
    case "play":
      return step.wait === undefined ? { kind: "now" } : { kind: "after", duration: step.wait.within };
    case "repeat":
      return { kind: "after", duration: (step satisfies RepeatStep).every };
    default:
      return { kind: "now" };
  }
}

/** What a timer is counted from: for `repeat` the iteration's beginning, else when it was armed first. */
export function timerFrom(step: Step, position: Position): number {
  if (position.timer !== undefined) return position.timer.from;
  return step.kind === "repeat" ? (position.iterationAt ?? position.at) : (position.waitFrom ?? position.at);
}

/** True if nothing that a person or the calendar could change moves the timer. */
export function isExactTimer(step: Step): boolean {
  return !(step.kind === "wait" && step.until.kind === "date") && exactMs(ruleOf(step)) !== undefined;
}

/** Relative waits are extended by a hold, dates and times of day are not. */
export function isAbsoluteTimer(step: Step): boolean {
  if (step.kind !== "wait") return false;
  return (step satisfies WaitStep).until.kind === "date" || ruleOf(step).kind !== "after";
}

function effectBody(m: Machine, position: Position, step: Step): CommandBody {
  const scope = scopeOf(m, step);
  switch (step.kind) {
    case "email":
      return {
        kind: "email",
        to: step.to,
        from: step.from,
        template: step.template,
        locales: m.plan.templates[step.template] ?? {},
        category: step.category,
        send: step.send,
        ...(step.sendWithin === undefined ? {} : { sendWithin: step.sendWithin }),
        priority: m.plan.priority,
        since: position.at + (position.heldMs ?? 0),
        exiting: m.isOver,
        scope,
      };
    case "slack":
      return { kind: "slack", to: step.to, text: step.text, actions: step.actions, scope };
    case "task": {
      const index = position.prepared?.["due"];
      const due = (typeof index === "number" ? step.dueIf[index]?.due : undefined) ?? step.due;
      return {
        kind: "task",
        title: step.title,
        ...(step.text === undefined ? {} : { text: step.text }),
        for: step.for,
        due,
        required: step.required,
        escalate: step.escalate,
        remind: step.remind,
        snoozeLimit: step.snoozeLimit,
        ...(step.ask === undefined ? {} : { ask: step.ask }),
        outcomes: step.outcomes,
        scope,
      };
    }
    case "milestone":
      return { kind: "milestone", milestone: step.milestone };
    case "set":
      return { kind: "set", field: step.field, value: position.prepared?.["value"] ?? null };
    case "risk":
      return {
        kind: "risk",
        risk: step.risk,
        severity: step.severity,
        ...(step.text === undefined ? {} : { text: step.text }),
        scope,
      };
    case "opportunity":
      return {
        kind: "opportunity",
        opportunity: step.opportunity,
        ...(step.text === undefined ? {} : { text: step.text }),
        scope,
      };
    case "health":
      return { kind: "health" };
    case "play":
      return { kind: "play", playbook: (step satisfies PlayStep).playbook, inputs: position.prepared ?? {} };
    default:
      throw new Error(`${step.kind} has no effect`);
  }
}

function scopeOf(m: Machine, step: Step): Record<string, FactValue> {
  return step.scope === undefined ? {} : valuesOf(step.scope, lookupIn(m.state, {}));
}
