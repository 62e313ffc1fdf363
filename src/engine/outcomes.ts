import type { FactValue } from "../expression/expression.js";
import { references } from "../expression/references.js";
import type { Command, Delivery, Outcome } from "./command.js";
import { type Asked, isAbsoluteTimer, isExactTimer, timerFrom } from "./commands-of.js";
import { settleCondition } from "./conditions.js";
import {
  armed,
  blockResolved,
  checkExits,
  choose,
  close,
  effectKey,
  fail,
  finish,
  guarded,
  iterationOver,
  left,
  prepare,
  startTimer,
  timerOver,
} from "./flow.js";
import type { Machine } from "./machine.js";
import type { Step } from "./plan.js";
import { lookupIn, valuesOf } from "./scope.js";
import type { Position } from "./state.js";

/**
 * Takes in what became of one command. A position that goes on to ask for something else does so behind the others: of what branches do at one
 * instant each has its turn.
 */
export function applyOutcome(m: Machine, asked: Asked, outcome: Outcome): void {
  if ("at" in outcome && outcome.at !== undefined && outcome.kind !== "resolved") m.reach(outcome.at);
  const before = m.position(asked.owner)?.phase;
  apply(m, asked, outcome);
  const after = m.position(asked.owner);
  if (after === undefined || after.phase === before || !GOES_ON.includes(after.phase)) return;
  m.drop(asked.owner);
  m.put(asked.owner, after);
}

const GOES_ON: readonly Position["phase"][] = ["decide", "do", "arm", "body"];

function apply(m: Machine, asked: Asked, outcome: Outcome): void {
  switch (asked.slot) {
    case "chore":
      choreDone(m, asked.owner, asked.command, outcome);
      return;
    case "exits": {
      if (outcome.kind !== "read") return unexpected(asked, outcome);
      const event = m.state.exitCheck?.event;
      delete m.state.exitCheck;
      checkExits(m, outcome.facts, event);
      return;
    }
    case "if":
      if (outcome.kind !== "read") return unexpected(asked, outcome);
      guarded(m, asked.owner, outcome.facts);
      return;
    case "facts":
      if (outcome.kind !== "read") return unexpected(asked, outcome);
      factsRead(m, asked.owner, outcome.facts);
      return;
    case "due":
      if (outcome.kind === "failed") return fail(m, asked.owner, outcome.reason);
      if (outcome.kind !== "resolved") return unexpected(asked, outcome);
      timerResolved(m, asked.owner, outcome.at);
      return;
    case "do":
      effectDone(m, asked.owner, outcome, asked);
      return;
    default:
      if (outcome.kind === "failed") return fail(m, asked.owner, outcome.reason);
      if (outcome.kind !== "resolved") return unexpected(asked, outcome);
      blockResolved(m, asked.owner, Number(asked.slot.slice(6)), outcome.at);
  }
}

function choreDone(m: Machine, key: string, command: Command, outcome: Outcome): void {
  m.dropChore(key);
  if (command.kind === "leave" && m.state.phase === "leaving") left(m);
  if (command.kind === "close") {
    m.state.phase = "ended";
    m.state.positions = {};
  }
  if (command.kind === "task_tighten" && outcome.kind === "task_opened") {
    const step = m.step(command.path);
    m.note("task.tightened", { at: outcome.at, step, detail: { due: outcome.due } });
  }
}

function factsRead(m: Machine, key: string, facts: Readonly<Record<string, FactValue>>): void {
  const position = m.position(key);
  if (position === undefined) return;
  const step = m.step(position.path);
  if (position.phase === "decide") {
    if (step.kind === "choose") choose(m, key, facts);
    else if (step.kind === "repeat") iterationOver(m, key, facts);
    else prepare(m, key, facts);
    return;
  }
  m.patch(key, { recheck: false });
  if (settleCondition(m, key, facts)) return;
  if (position.phase === "confirm" && position.confirmed === true) timerOver(m, key);
}

function timerResolved(m: Machine, key: string, resolved: number | undefined): void {
  const position = m.position(key);
  if (position === undefined) return;
  const step = m.step(position.path);
  const isDate = step.kind === "wait" && step.until.kind === "date";
  if (resolved === undefined) return dateMissing(m, key, step);
  const shift = position.timer?.shift ?? 0;
  const due = resolved + shift;
  if (position.phase === "confirm") {
    if (due > m.state.clock) {
      rearm(m, key, position, step, due, shift);
    } else {
      m.patch(key, { confirmed: true });
      if (position.recheck !== true) timerOver(m, key);
    }
    return;
  }
  if (isDate && due < m.state.clock && step.kind === "wait") {
    if (step.onPast === "fail") return fail(m, key, "the date to wait for has passed");
    m.note("step.skipped", { step, key, detail: { reason: "past", due } });
    finish(m, key);
    return;
  }
  rearm(m, key, position, step, due, shift);
}

function rearm(m: Machine, key: string, position: Position, step: Step, due: number, shift: number): void {
  armed(m, key, {
    due,
    from: timerFrom(step, position),
    shift,
    isAbsolute: isAbsoluteTimer(step),
    isExact: isExactTimer(step),
  });
}

function dateMissing(m: Machine, key: string, step: Step): void {
  if (step.kind === "wait" && step.onMissing !== "fail") {
    const paths = step.until.kind === "date" ? references(step.until.date) : [];
    m.note("step.skipped", { step, key, detail: { reason: "missing" }, facts: valuesOf(paths, lookupIn(m.state, {})) });
    finish(m, key);
    return;
  }
  fail(m, key, "the date to wait for is missing");
}

function effectDone(m: Machine, key: string, outcome: Outcome, asked: Asked): void {
  const position = m.position(key);
  if (position === undefined) return;
  const step = m.step(position.path);
  if (outcome.kind === "failed") return fail(m, key, outcome.reason);
  switch (step.kind) {
    case "email":
      if (outcome.kind !== "emailed" && outcome.kind !== "deferred") return unexpected(asked, outcome);
      emailDone(m, key, position, step, outcome);
      break;
    case "slack":
      if (outcome.kind !== "posted") return unexpected(asked, outcome);
      m.record(step, { posted_at: outcome.at });
      m.note("slack.posted", { at: outcome.at, step, key, detail: { to: outcome.to } });
      finish(m, key);
      break;
    case "task":
      if (outcome.kind !== "task_opened") return unexpected(asked, outcome);
      m.record(step, {
        status: "open",
        instance: key,
        task: outcome.task,
        opened_at: outcome.at,
        due_at: outcome.due,
        ...(position.prepared?.["due"] === undefined ? {} : { due_if: position.prepared["due"] }),
      });
      m.state.openTasks = { ...m.state.openTasks, [key]: { path: position.path, task: outcome.task } };
      m.note("task.opened", {
        at: outcome.at,
        step,
        key,
        detail: { assignee: outcome.assignee ?? "unassigned", due: outcome.due },
      });
      awaitOrFinish(m, key, step);
      break;
    case "play":
      if (outcome.kind !== "played") return unexpected(asked, outcome);
      m.record(step, { run: outcome.run ?? undefined, refused: outcome.refused });
      m.note(outcome.run === null ? "play.refused" : "play.started", {
        at: outcome.at,
        step,
        key,
        detail: { playbook: step.playbook, reason: outcome.refused },
      });
      if (outcome.run === null) finish(m, key);
      else awaitOrFinish(m, key, step);
      break;
    case "milestone":
      m.record(step, { reached_at: outcomeAt(m, outcome) });
      m.note("milestone.reached", { at: outcomeAt(m, outcome), step, key, detail: { milestone: step.milestone } });
      finish(m, key);
      break;
    case "set":
      m.note("field.set", { step, key, detail: { field: step.field, value: position.prepared?.["value"] } });
      finish(m, key);
      break;
    case "risk":
      m.note("risk.raised", { step, key, detail: { risk: step.risk, severity: step.severity } });
      finish(m, key);
      break;
    case "opportunity":
      m.note("opportunity.raised", { step, key, detail: { opportunity: step.opportunity } });
      finish(m, key);
      break;
    case "health":
      if (outcome.kind !== "measured") return unexpected(asked, outcome);
      m.record(step, { score: outcome.score ?? undefined, status: outcome.status });
      m.note("health.measured", {
        at: outcome.at,
        step,
        key,
        detail: { score: outcome.score ?? undefined, status: outcome.status },
      });
      finish(m, key);
      break;
    default:
      return unexpected(asked, outcome);
  }
}

/** With `wait: done` the position stays, its bound counted from now; without, the step is over. */
function awaitOrFinish(m: Machine, key: string, step: Extract<Step, { kind: "task" | "play" }>): void {
  if (step.wait === undefined) return finish(m, key);
  m.patch(key, { phase: "arm", recheck: true, waitFrom: m.state.clock });
  startTimer(m, key, { kind: "after", duration: step.wait.within }, m.state.clock);
}

function emailDone(
  m: Machine,
  key: string,
  position: Position,
  step: Step,
  outcome: Extract<Outcome, { kind: "emailed" | "deferred" }>,
): void {
  const told = new Set(position.told);
  for (const delivery of outcome.deliveries) {
    const line = `${delivery.contact} ${delivery.result} ${delivery.until ?? ""}`;
    if (told.has(line)) continue;
    told.add(line);
    noteDelivery(m, step, key, delivery);
  }
  if (outcome.kind === "deferred") {
    m.patch(key, {
      phase: "deferred",
      told: [...told],
      staleAt: position.staleAt ?? outcome.staleAt,
      timer: {
        due: Math.min(outcome.until, position.staleAt ?? outcome.staleAt),
        from: outcome.at,
        shift: 0,
        isAbsolute: true,
        isExact: true,
      },
    });
    return;
  }
  const sent = outcome.deliveries.filter((one) => one.result === "sent" || one.result === "unknown");
  const skipped = outcome.deliveries.find((one) => one.result === "skipped");
  if (outcome.deliveries.length === 0)
    m.note("email.skipped", { at: outcome.at, step, key, detail: { reason: "no_contact" } });
  m.record(step, {
    sent_at: sent[0]?.at,
    skipped:
      sent.length > 0 ? undefined : (skipped?.reason ?? (outcome.deliveries.length === 0 ? "no_contact" : undefined)),
    ...(outcome.deliveries.some((one) => one.result === "rejected") ? { bounced: true } : {}),
  });
  finish(m, key);
}

function noteDelivery(m: Machine, step: Step, key: string, delivery: Delivery): void {
  m.note(`email.${delivery.result}`, {
    at: delivery.at,
    step,
    key,
    detail: {
      to: delivery.contact,
      locale: delivery.locale,
      reason: delivery.reason,
      until: delivery.until,
    },
  });
}

/** The window of a deferred mail has come, or its time is over. */
export function deferredOver(m: Machine, key: string): void {
  const position = m.position(key);
  if (position === undefined) return;
  const step = m.step(position.path);
  if (position.staleAt === undefined || m.state.clock < position.staleAt) {
    const { timer: _timer, ...rest } = position;
    m.put(key, { ...rest, phase: "do" });
    return;
  }
  m.addChore(`!withdraw:${key}`, {
    kind: "withdraw",
    path: position.path,
    email: effectKey(key, position),
    reason: "stale",
  });
  m.record(step, { skipped: "stale" });
  m.note("email.skipped", { step, key, detail: { reason: "stale" } });
  finish(m, key);
}

/** After the farewell nothing is left: the run closes. */
export function closeIfLeft(m: Machine): void {
  if (m.state.phase === "exiting" && Object.keys(m.state.positions).length === 0) close(m);
}

function outcomeAt(m: Machine, outcome: Outcome): number {
  return "at" in outcome && outcome.at !== undefined ? outcome.at : m.state.clock;
}

function unexpected(asked: Asked, outcome: Outcome): never {
  throw new Error(`command ${asked.command.key} (${asked.command.kind}) was answered with ${outcome.kind}`);
}
