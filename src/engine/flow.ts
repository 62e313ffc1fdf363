/**
 * How a run gets from step to step: begin, finish, fail, withdraw, exit, end. Only this file makes and drops positions.
 */
import type { FactValue } from "../expression/expression.js";
import { references } from "../expression/references.js";
import { EXACT_UNIT_MS } from "../values/add-duration.js";
import type { Instant } from "../values/instant.js";
import type { TimeRule } from "../values/time-rule.js";
import type { RunEvent } from "./event.js";
import { TRANSITIONS_MAX } from "./limits.js";
import type { Machine } from "./machine.js";
import type { AroundStep, Exit, Plan, RepeatStep, Step } from "./plan.js";
import { outsideFacts, valuesOf, lookupIn } from "./scope.js";
import type { Block, Position, Timer } from "./state.js";

/** The instance key of a child: its path, with `#N` behind each enclosing repeat. */
function childKey(m: Machine, parent: string, step: Step): string {
  if (parent === "") return step.path;
  const container = m.position(parent);
  if (container === undefined) throw new Error(`no container ${parent} for ${step.path}`);
  const iteration = container.count === undefined ? "" : `#${container.count}`;
  return `${parent}${iteration}${step.path.slice(container.path.length)}`;
}

/** Begins a list of steps; an empty one is over at once. */
export function beginList(m: Machine, steps: readonly Step[], parent: string, body: string): void {
  const first = steps[0];
  if (first === undefined) childOver(m, parent, body);
  else begin(m, first, parent);
}

/**
 * Reaches a step: its `if` first, then the step itself. In a chain of steps that take no time each is begun behind the last one, not inside it:
 * the stack is as deep as the steps are nested, not as the chain is long. Nothing may therefore stand behind a call of it but in `inTurn`.
 */
export function begin(m: Machine, step: Step, parent: string): void {
  if (m.next === undefined) inTurn(m, () => reach(m, step, parent));
  else m.next.push(() => reach(m, step, parent));
}

/** Does the work and all that is begun by it before it returns. */
function inTurn(m: Machine, work: () => void): void {
  const outer = m.next;
  m.next = [work];
  for (let next = m.next.shift(); next !== undefined; next = m.next.shift()) next();
  m.next = outer;
}

function reach(m: Machine, step: Step, parent: string): void {
  bound(m);
  const key = childKey(m, parent, step);
  m.forget(step);
  const base: Position = { path: step.path, parent, at: m.state.clock, handled: m.state.handled, phase: "guard" };
  m.put(key, base);
  if (step.if === undefined) enter(m, key, step);
  else if (outsideFacts(step.if).length === 0) guarded(m, key, {});
}

/** The step's `if`, with the facts it needs. */
export function guarded(m: Machine, key: string, facts: Readonly<Record<string, FactValue>>): void {
  const position = required(m, key);
  const step = m.step(position.path);
  if (step.if === undefined || m.isTrue(step.if, facts)) {
    enter(m, key, step);
    return;
  }
  m.note("step.skipped", { step, key, facts: valuesOf(references(step.if), lookupIn(m.state, facts)) });
  finish(m, key);
}

function enter(m: Machine, key: string, step: Step): void {
  switch (step.kind) {
    case "email":
    case "slack":
    case "milestone":
    case "risk":
    case "opportunity":
    case "health":
      m.patch(key, { phase: "do" });
      return;
    case "task":
    case "set":
    case "play":
      m.patch(key, { phase: "decide" });
      if (preparationFacts(step).length === 0) prepare(m, key, {});
      return;
    case "wait":
      m.patch(key, { phase: "arm" });
      if (step.until.kind === "rule") startTimer(m, key, step.until.rule, m.state.clock);
      return;
    case "wait_for":
      m.patch(key, { phase: "arm", recheck: true });
      startTimer(m, key, { kind: "after", duration: step.within }, m.state.clock);
      return;
    case "around":
      m.patch(key, { phase: "body", blocks: step.blocks.map((): Block => ({ status: "arming" })) });
      if (step.blocks.length === 0) finish(m, key);
      return;
    case "choose":
      m.patch(key, { phase: "decide" });
      if (outsideFacts(...step.branches.map((branch) => branch.if)).length === 0) choose(m, key, {});
      return;
    case "parallel":
      m.patch(key, { phase: "body", open: step.branches.map((branch) => branch.name) });
      for (const branch of step.branches) {
        // A branch that is over at once may have ended the whole (join: any), or the run.
        if (m.position(key) !== undefined) inTurn(m, () => beginList(m, branch.steps, key, branch.name));
      }
      return;
    case "repeat":
      iterate(m, key, step, 1);
      return;
    case "end":
      endRun(m, step.outcome, step);
      return;
    default:
      // A plan of a newer build: its own workers will take the workflow task; going on here would go round in circles.
      throw new Error(`this build knows no step of kind ${(step as { kind: string }).kind}`);
  }
}

/** Facts outside the run that a step's values are computed from before its effect is asked for. */
export function preparationFacts(step: Step): string[] {
  switch (step.kind) {
    case "task":
      return outsideFacts(...step.dueIf.map((one) => one.if));
    case "set":
      return outsideFacts(step.value);
    case "play":
      return outsideFacts(...Object.values(step.with));
    default:
      return [];
  }
}

/** Computes what the effect needs, and asks for it. */
export function prepare(m: Machine, key: string, facts: Readonly<Record<string, FactValue>>): void {
  const step = m.step(required(m, key).path);
  const prepared: Record<string, FactValue> = {};
  if (step.kind === "task") {
    const index = step.dueIf.findIndex((one) => m.isTrue(one.if, facts));
    if (index >= 0) prepared["due"] = index;
  } else if (step.kind === "set") {
    const value = m.evaluate(step.value, facts);
    if (value !== undefined) prepared["value"] = value;
  } else if (step.kind === "play") {
    for (const [name, expression] of Object.entries(step.with)) {
      const value = m.evaluate(expression, facts);
      if (value !== undefined) prepared[name] = value;
    }
  }
  m.patch(key, { phase: "do", prepared });
}

/** Takes the first branch that holds. */
export function choose(m: Machine, key: string, facts: Readonly<Record<string, FactValue>>): void {
  const step = m.step(required(m, key).path);
  if (step.kind !== "choose") return;
  const index = step.branches.findIndex((branch) => m.isTrue(branch.if, facts));
  const paths = step.branches.flatMap((branch) => references(branch.if));
  const branch = index < 0 ? "else" : String(index + 1);
  m.note("branch.taken", { step, key, detail: { branch }, facts: valuesOf(paths, lookupIn(m.state, facts)) });
  m.patch(key, { phase: "body" });
  beginList(m, step.branches[index]?.steps ?? step.else, key, branch);
}

// ── timers ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Milliseconds of a rule that no calendar or zone can change; undefined for all others. */
export function exactMs(rule: TimeRule): number | undefined {
  if (rule.kind === "now") return 0;
  if (rule.kind !== "after") return undefined;
  const unit = EXACT_UNIT_MS[rule.duration.unit];
  return unit === undefined ? undefined : unit * rule.duration.amount;
}

/** Arms an exact timer at once; any other is left in `arm`, to be resolved by the world. */
export function startTimer(m: Machine, key: string, rule: TimeRule, from: Instant): void {
  const ms = exactMs(rule);
  if (ms === undefined) return;
  armed(m, key, { due: from + ms, from, shift: 0, isAbsolute: false, isExact: true });
}

/** A timer is known: the position waits. */
export function armed(m: Machine, key: string, timer: Timer): void {
  const position = required(m, key);
  const step = m.step(position.path);
  const isMoved = position.timer !== undefined && position.timer.due !== timer.due;
  m.patch(key, { phase: "wait", timer });
  if (step.kind === "wait" && (position.timer === undefined || isMoved)) {
    m.note(isMoved ? "wait.moved" : "wait.began", { step, key, detail: { until: timer.due } });
  } else if (step.kind === "wait_for") {
    if (position.timer === undefined) m.note("wait_for.began", { step, key, detail: { until: timer.due } });
  }
}

/** A timer has come to its end, for good. */
export function timerOver(m: Machine, key: string): void {
  const position = required(m, key);
  const step = m.step(position.path);
  switch (step.kind) {
    case "wait":
      m.note("wait.over", { step, key });
      finish(m, key);
      return;
    case "wait_for":
      m.record(step, { timed_out: true });
      m.note("wait_for.timed_out", { step, key });
      goInto(m, key, step.otherwise, "otherwise");
      return;
    case "task":
    case "play":
      m.record(step, { timed_out: true });
      m.note("wait_for.timed_out", { step, key });
      goInto(m, key, step.wait?.otherwise ?? [], "otherwise");
      return;
    case "repeat":
      iterate(m, key, step, (position.count ?? 0) + 1);
      return;
    default:
      throw new Error(`no timer belongs to ${position.path}`);
  }
}

/** The condition of a waiting position is met: it is over. */
export function conditionMet(
  m: Machine,
  key: string,
  by: { event?: RunEvent; facts?: Readonly<Record<string, FactValue>> },
): void {
  const step = m.step(required(m, key).path);
  const fields: Record<string, FactValue> = { timed_out: false, met_at: m.state.clock };
  if (by.event !== undefined) {
    fields["event.at"] = by.event.at;
    for (const [name, value] of Object.entries(by.event.payload)) fields[`event.${name}`] = value;
  }
  m.record(step, fields);
  m.note("wait_for.met", {
    step,
    key,
    ...(by.event === undefined ? {} : { detail: { event: by.event.name, event_at: by.event.at } }),
    ...(by.facts === undefined ? {} : { facts: by.facts }),
  });
  finish(m, key);
}

function goInto(m: Machine, key: string, steps: readonly Step[], body: string): void {
  const { timer: _timer, recheck: _recheck, confirmed: _confirmed, blocks: _blocks, ...rest } = required(m, key);
  m.put(key, { ...rest, phase: "body" });
  beginList(m, steps, key, body);
}

// ── containers ───────────────────────────────────────────────────────────────────────────────────────────────────────

function iterate(m: Machine, key: string, step: RepeatStep, count: number): void {
  const { timer: _timer, confirmed: _confirmed, ...rest } = required(m, key);
  m.put(key, { ...rest, phase: "body", count, iterationAt: m.state.clock });
  m.record(step, { count });
  m.note("repeat.began", { step, key, detail: { count } });
  beginList(m, step.steps, key, "steps");
}

/** After an iteration: `until` with its facts, then the next one, or on. */
export function iterationOver(m: Machine, key: string, facts: Readonly<Record<string, FactValue>>): void {
  const position = required(m, key);
  const step = m.step(position.path);
  if (step.kind !== "repeat") return;
  const isMet = step.until !== undefined && m.isTrue(step.until, facts);
  if (isMet || (position.count ?? 0) >= step.times) {
    finish(m, key);
    return;
  }
  m.patch(key, { phase: "arm" });
  const every: TimeRule = { kind: "after", duration: step.every };
  if (exactMs(every) === undefined) behind(m, key);
  startTimer(m, key, every, position.iterationAt ?? m.state.clock);
}

/** What a step asks for when its children are over is asked for behind those that wait already. */
function behind(m: Machine, key: string): void {
  const position = required(m, key);
  m.drop(key);
  m.put(key, position);
}

/** A block's instant is known, at arming, when it fires, or after its date moved. */
export function blockResolved(m: Machine, key: string, index: number, at: Instant | undefined): void {
  const position = required(m, key);
  const step = m.step(position.path);
  const block = position.blocks?.[index];
  if (step.kind !== "around" || block === undefined) return;
  const child = step.blocks[index]?.step;
  if (child === undefined) return;
  const isMoved = block.due !== undefined && at !== undefined && at !== block.due;
  if (at !== undefined && (at > m.state.clock || (block.status === "arming" && at === m.state.clock))) {
    if (block.due === undefined || isMoved) {
      m.note(block.due === undefined ? "around.armed" : "around.moved", { step: child, key, detail: { due: at } });
    }
    setBlock(m, key, index, { status: "armed", due: at });
    return;
  }
  if (at !== undefined && block.status === "confirm") {
    runBlock(m, key, index, at);
    return;
  }
  const policy = at === undefined ? step.onMissing : step.onPast;
  if (policy === "run") runBlock(m, key, index, at ?? m.state.clock);
  else if (policy === "fail")
    fail(m, key, at === undefined ? `${step.anchor} is missing` : `${step.anchor} has passed`);
  else {
    if (block.wasSkipped !== true || at !== block.due) {
      m.note("around.skipped", {
        step: child,
        key,
        detail: { due: at, reason: at === undefined ? "missing" : "past" },
      });
    }
    setBlock(m, key, index, { status: "skipped", wasSkipped: true, ...(at === undefined ? {} : { due: at }) });
    aroundOver(m, key);
  }
}

function runBlock(m: Machine, key: string, index: number, due: Instant): void {
  const position = required(m, key);
  const step = m.step(position.path) as AroundStep;
  const child = step.blocks[index]?.step;
  if (child === undefined) return;
  setBlock(m, key, index, { status: "running", due });
  m.note("around.due", { step: child, key, detail: { due } });
  begin(m, child, key);
}

export function setBlock(m: Machine, key: string, index: number, block: Block): void {
  const blocks = required(m, key).blocks ?? [];
  m.patch(key, { blocks: blocks.map((one, i) => (i === index ? block : one)) });
}

function aroundOver(m: Machine, key: string): void {
  const blocks = m.position(key)?.blocks;
  if (blocks?.every((block) => block.status === "done" || block.status === "skipped") === true) finish(m, key);
}

/** A step is over: the next one begins, or its list is over. */
export function finish(m: Machine, key: string): void {
  const position = required(m, key);
  const { siblings, order, body, isFarewell } = m.indexed(position.path);
  m.drop(key);
  // Mail that an exit let go on (`deferred_email: keep`) leads nowhere any more.
  if (m.isOver && !isFarewell) return;
  const next = siblings[order + 1];
  if (next === undefined) childOver(m, position.parent, body);
  else begin(m, next, position.parent);
}

function childOver(m: Machine, parent: string, body: string): void {
  if (parent === "") {
    if (body === "steps" && m.state.phase === "running") endRun(m, "completed");
    return;
  }
  const container = required(m, parent);
  const step = m.step(container.path);
  if (body === "on_error") {
    finish(m, parent);
    return;
  }
  switch (step.kind) {
    case "parallel": {
      const open = (container.open ?? []).filter((name) => name !== body);
      m.patch(parent, { open });
      if (step.join === "any") withdrawUnder(m, parent);
      if (step.join === "any" || open.length === 0) finish(m, parent);
      return;
    }
    case "repeat":
      if (step.until === undefined || outsideFacts(step.until).length === 0) iterationOver(m, parent, {});
      else {
        m.patch(parent, { phase: "decide" });
        behind(m, parent);
      }
      return;
    case "around":
      setBlock(m, parent, Number(body), { ...container.blocks?.[Number(body)], status: "done" });
      aroundOver(m, parent);
      return;
    default:
      finish(m, parent);
  }
}

/** Drops everything that is active under a container; its mail that still waits and its open tasks are taken back. */
export function withdrawUnder(m: Machine, parent: string): void {
  const under = Object.entries(m.state.positions).filter(
    ([key, position]) => key !== parent && isUnder(m, position, parent),
  );
  for (const [key, position] of under) {
    if (mayBeTried(m, position)) {
      m.addChore(`!withdraw:${key}`, {
        kind: "withdraw",
        path: position.path,
        email: effectKey(key, position),
        reason: "withdrawn",
      });
    }
    m.drop(key);
  }
  stayParked(m);
  for (const [instance, { path, task }] of Object.entries(m.state.openTasks)) {
    if (!instance.startsWith(`${parent}/`) && !instance.startsWith(`${parent}#`)) continue;
    m.addChore(`!withdraw:${instance}`, { kind: "withdraw_task", path, task });
    const { [instance]: _withdrawn, ...open } = m.state.openTasks;
    m.state.openTasks = open;
  }
}

/** The run needs attention no longer if what failed has been withdrawn; or for another step. */
function stayParked(m: Machine): void {
  const { parked } = m.state;
  if (parked === undefined || m.position(parked.key) !== undefined) return;
  const other = Object.entries(m.state.positions).find(([, position]) => position.phase === "parked");
  if (other === undefined) delete m.state.parked;
  else m.state.parked = { at: parked.at, key: other[0], reason: other[1].failure ?? parked.reason };
}

function isUnder(m: Machine, position: Position, ancestor: string): boolean {
  for (let at: Position | undefined = position; at !== undefined && at.parent !== ""; at = m.position(at.parent)) {
    if (at.parent === ancestor) return true;
  }
  return false;
}

/** The key of a position's effect: a try that an operator asked for is a new effect. */
export function effectKey(key: string, position: Position): string {
  return position.retries === undefined ? key : `${key}~${position.retries}`;
}

/** The instance that an effect's key belongs to, whichever try it was. */
export function instanceOf(effect: string): string {
  return effect.replace(/~\d+$/, "");
}

// ── failing, leaving, ending ─────────────────────────────────────────────────────────────────────────────────────────

/** A step can't be done: `on_error` decides; by default the run is parked for a person. */
export function fail(m: Machine, key: string, reason: string): void {
  const position = required(m, key);
  const step = m.step(position.path);
  // On its way out a run parks no more: nobody could bring it back.
  if (step.onError === "continue" || (m.isOver && !Array.isArray(step.onError))) {
    m.record(step, { failed: reason });
    m.note("step.failed", { step, key, detail: { reason } });
    withdrawUnder(m, key);
    finish(m, key);
  } else if (Array.isArray(step.onError)) {
    m.record(step, { failed: reason });
    m.note("step.failed", { step, key, detail: { reason } });
    withdrawUnder(m, key);
    goInto(m, key, step.onError, "on_error");
  } else {
    m.patch(key, { phase: "parked", failure: reason });
    m.state.parked ??= { at: m.state.clock, key, reason };
    m.note("run.parked", { step, key, detail: { reason } });
    m.addChore(`!park:${effectKey(key, position)}`, { kind: "park", reason });
  }
}

/** Looks at the exits in file order, then at the goal; leaves the run by the first that is met. */
export function checkExits(m: Machine, facts: Readonly<Record<string, FactValue>>, event?: RunEvent): void {
  const met = (exit: Exit): boolean =>
    (exit.when === undefined ||
      (event !== undefined &&
        event.name === exit.when.event &&
        (exit.when.where === undefined || m.isTrue(exit.when.where, facts, event)))) &&
    (exit.if === undefined || m.isTrue(exit.if, facts, event));
  const exit = m.plan.exits.find(met);
  const goal = exit === undefined && m.plan.goal !== undefined && met(m.plan.goal) ? m.plan.goal : undefined;
  const found = exit ?? goal;
  if (found === undefined) return;
  const paths = found.if === undefined ? [] : references(found.if);
  m.note(goal === undefined ? "run.exited" : "run.goal_met", {
    detail: { outcome: found.outcome, event: found.when === undefined ? undefined : event?.name },
    facts: valuesOf(paths, lookupIn(m.state, facts, event)),
  });
  leave(m, found.outcome);
}

/** True if one of the exits or the goal could be met without an event. */
export function hasStandingExit(plan: Plan): boolean {
  return (
    plan.exits.some((exit) => exit.when === undefined) || (plan.goal !== undefined && plan.goal.when === undefined)
  );
}

/** Leaves by an exit, a goal or an operator's stop: what is open is dealt with, then `on_exit.steps`, then the end. */
export function leave(m: Machine, outcome: string): void {
  const { openTasks, deferredEmail } = m.plan.onExit;
  const kept = deferredEmail === "keep" ? Object.entries(m.state.positions).filter(([, one]) => isDeferred(one)) : [];
  m.state.outcome = outcome;
  m.state.phase = "leaving";
  m.state.positions = Object.fromEntries(kept.map(([key, one]) => [key, { ...one, parent: "" }]));
  delete m.state.parked;
  delete m.state.exitCheck;
  m.addChore("!leave", { kind: "leave", openTasks, deferredEmail });
}

/** Its mail waits for its time, or for a server that did not take it at once. */
function mayBeTried(m: Machine, position: Position): boolean {
  return isDeferred(position) || (position.phase === "do" && m.step(position.path).kind === "email");
}

function isDeferred(position: Position): boolean {
  return position.phase === "deferred" || position.told !== undefined;
}

/** What was open is dealt with: the farewell steps. */
export function left(m: Machine): void {
  m.state.phase = "exiting";
  const first = m.plan.onExit.steps[0];
  if (first !== undefined) begin(m, first, "");
}

/** The run's own end: its tasks stay with their people, mail that still waits is taken back. */
export function endRun(m: Machine, outcome: string, step?: Step): void {
  if (m.state.phase !== "running") return;
  const isMailWaiting = Object.values(m.state.positions).some(isDeferred);
  m.state.outcome = outcome;
  m.state.positions = {};
  delete m.state.exitCheck;
  if (step !== undefined) m.note("run.ended", { step, detail: { outcome } });
  else m.note("run.ended", { detail: { outcome } });
  if (isMailWaiting) m.addChore("!leave", { kind: "leave", openTasks: "keep", deferredEmail: "cancel" });
  close(m);
}

export function close(m: Machine): void {
  m.state.phase = "closing";
  m.addChore("!close", { kind: "close" });
}

function required(m: Machine, key: string): Position {
  const position = m.position(key);
  if (position === undefined) throw new Error(`run ${m.state.run.id} does not stand at ${key}`);
  return position;
}

/** A plan that goes round without ever waiting is a compiler's mistake: it must not hang a worker. */
function bound(m: Machine): void {
  m.transitions += 1;
  if (m.transitions > TRANSITIONS_MAX)
    throw new Error(`plan ${m.plan.playbook} takes over ${TRANSITIONS_MAX} steps without a wait`);
}
