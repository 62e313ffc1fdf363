import type { FactValue } from "../expression/expression.js";
import { references } from "../expression/references.js";
import { commandsOf, dueIndex } from "./commands-of.js";
import { concerns, OWN_EVENTS, settleCondition } from "./conditions.js";
import { type RunEvent, SYSTEM_EVENTS } from "./event.js";
import { checkExits, finish, instanceOf, leave, withdrawUnder } from "./flow.js";
import { KEPT_EVENTS_MAX, SEEN_EVENTS_MAX } from "./limits.js";
import type { Machine } from "./machine.js";
import { deferredOver } from "./outcomes.js";
import type { MergeRule, Step } from "./plan.js";

/** Puts an event into the inbox by its `at`; what was taken in before is dropped. */
export function takeIn(m: Machine, event: RunEvent): void {
  if (m.state.seen.includes(event.id)) return;
  m.state.seen = [...m.state.seen, event.id].slice(-SEEN_EVENTS_MAX);
  const inbox = [...m.state.inbox];
  const index = inbox.findIndex((one) => one.at > event.at);
  if (index < 0) inbox.push(event);
  else inbox.splice(index, 0, event);
  m.state.inbox = inbox;
}

/** The first event of the inbox whose cause the run has come to, or that isn't its own doing. */
export function nextToHear(m: Machine): RunEvent | undefined {
  return m.state.inbox.find((event) => !isAheadOfItsCause(m, event));
}

/**
 * What came of a stretch whose worker died, and that is walked again, the run is told of before it has come to it: it hears of it where it comes to it. So what it has
 * done itself (only a run cancels its tasks), what somebody did with a task that it has yet to open, and the hold of a run that it has yet to play, with
 * its end.
 */
function isAheadOfItsCause(m: Machine, event: RunEvent): boolean {
  const { id, name, payload } = event;
  if (name === SYSTEM_EVENTS.factsChanged || name === SYSTEM_EVENTS.milestoneReached) {
    const cause = id.slice(id.indexOf("/") + 1);
    return commandsOf(m).some(({ command }) => cause === `${m.state.run.id}|${command.key}`);
  }
  if (name === SYSTEM_EVENTS.held) {
    const { played } = payload;
    return played !== undefined && !Object.values(m.state.steps).some(({ run }) => run === played);
  }
  if (name === SYSTEM_EVENTS.released) {
    // By whoever was the last to hold it: it need not be the one that was played.
    const before = m.state.inbox.slice(0, m.state.inbox.indexOf(event));
    return before.some((one) => one.payload["hold"] === payload["hold"] && isAheadOfItsCause(m, one));
  }
  if (name !== SYSTEM_EVENTS.taskClosed) return false;
  const { task, step, status } = payload;
  const isKnown = m.state.steps[String(step)]?.["task"] === task;
  const isOpen = Object.values(m.state.openTasks).some((open) => open.task === task);
  if (status !== "cancelled") return !isKnown && !isOpen && m.index.byId.get(String(step))?.kind === "task";
  const isToBeCancelled = Object.values(m.state.chores).some(
    (chore) => chore.kind === "withdraw_task" && chore.task === task,
  );
  return !isKnown || isOpen || isToBeCancelled;
}

/** Handles an event of the inbox, whose time has come. */
export function handle(m: Machine, event: RunEvent): void {
  m.state.inbox = m.state.inbox.filter(({ id }) => id !== event.id);
  m.state.handled += 1;
  const isLate = event.at < m.state.clock;
  m.reach(event.at);
  // A run that is leaving listens to nobody: whether word still reached it in time must make no difference.
  if (m.state.phase !== "running") return;
  if (isLate) m.note("event.late", { detail: { event: event.name, event_at: event.at } });

  systemEvent(m, event);
  if (m.plan.listens.events.includes(event.name)) {
    m.state.events = [...m.state.events, { ...event, order: m.state.handled, served: [] }].slice(-KEPT_EVENTS_MAX);
  }
  if (concernsExits(m, event)) {
    if (m.index.exitFacts.length === 0) checkExits(m, {}, event);
    else m.state.exitCheck = { event };
  }
  if (m.isOver) return;
  wake(m, event);
  redate(m, event);
}

function wake(m: Machine, event: RunEvent): void {
  for (const key of Object.keys(m.state.positions)) {
    const position = m.position(key);
    if (position === undefined || !isWaiting(position.phase)) continue;
    const concern = concerns(m, position, event);
    if (concern === "no") continue;
    if (concern === "read" || position.phase === "arm") m.patch(key, { recheck: true });
    // An exit that this event may mean comes first: the condition is looked at when the exits have been.
    else if (m.state.exitCheck !== undefined) m.patch(key, { recheck: true });
    else settleCondition(m, key, {});
  }
}

function isWaiting(phase: string): boolean {
  return phase === "wait" || phase === "arm" || phase === "confirm";
}

/** A date, a zone or a calendar moved: what hangs on it is resolved again. */
function redate(m: Machine, event: RunEvent): void {
  const changed = event.changed ?? [];
  if (changed.length === 0) return;
  const isZoneChange = ["account.timezone", "account.calendar", "account.country"].some((path) =>
    changed.includes(path),
  );
  for (const [key, position] of Object.entries(m.state.positions)) {
    const step = m.step(position.path);
    if (step.kind === "around" && (isZoneChange || changed.includes(step.anchor))) {
      const blocks = (position.blocks ?? []).map((block) =>
        block.status === "armed" || block.status === "confirm" || block.status === "skipped"
          ? { ...block, status: "arming" as const }
          : block,
      );
      m.patch(key, { blocks });
    } else if (position.phase === "wait" && position.timer !== undefined && !position.timer.isExact) {
      const isItsDate =
        step.kind === "wait" &&
        step.until.kind === "date" &&
        references(step.until.date).some((path) => changed.includes(path));
      if (isZoneChange || isItsDate) m.patch(key, { phase: "arm" });
    }
  }
}

function concernsExits(m: Machine, event: RunEvent): boolean {
  const exits = m.plan.goal === undefined ? m.plan.exits : [...m.plan.exits, m.plan.goal];
  return (
    exits.some((exit) => exit.when?.event === event.name) ||
    event.changed?.some((path) => m.index.exitFacts.includes(path)) === true ||
    (OWN_EVENTS.has(event.name) && exits.some((exit) => exit.if !== undefined && readsOwn(exit.if)))
  );
}

function readsOwn(expression: Parameters<typeof references>[0]): boolean {
  return references(expression).some((path) => path.startsWith("steps.") || path.startsWith("run.inputs."));
}

function systemEvent(m: Machine, event: RunEvent): void {
  const text = (name: string): string => {
    const value = event.payload[name];
    return typeof value === "string" ? value : "";
  };
  const step = m.index.byId.get(text("step"));
  switch (event.name) {
    case SYSTEM_EVENTS.held:
      hold(m, text("hold"));
      return;
    case SYSTEM_EVENTS.released:
      release(m, text("hold"));
      return;
    case SYSTEM_EVENTS.triggeredAgain:
      merge(m, event);
      return;
    case SYSTEM_EVENTS.retry:
      unpark(m, "run.retried");
      return;
    case SYSTEM_EVENTS.skip:
      unpark(m, "run.skipped");
      return;
    case SYSTEM_EVENTS.stop:
      m.note("run.stopped", { detail: { outcome: text("outcome") || "stopped", by: text("by") || undefined } });
      leave(m, text("outcome") || "stopped");
      return;
    case SYSTEM_EVENTS.taskClosed:
      if (step !== undefined) taskClosed(m, step, instanceOf(text("key")), event, text);
      return;
    case SYSTEM_EVENTS.runEnded:
      playEnded(m, text("run"), text("outcome"));
      return;
    case SYSTEM_EVENTS.emailReplied:
      if (step === undefined) return;
      m.record(step, { replied: true, replied_at: event.at });
      m.note("email.replied", { step });
      return;
    case SYSTEM_EVENTS.emailBounced:
      if (step === undefined) return;
      m.record(step, { bounced: true });
      m.note("email.bounced", { step });
      return;
    case SYSTEM_EVENTS.emailReleased:
      for (const [key, { phase }] of Object.entries(m.state.positions)) if (phase === "deferred") deferredOver(m, key);
      return;
    case SYSTEM_EVENTS.slackClicked:
      if (step === undefined) return;
      m.record(step, { clicked: text("action") || "clicked" });
      m.note("slack.clicked", { step, detail: { action: text("action") || undefined } });
      return;
    default:
      return;
  }
}

function taskClosed(m: Machine, step: Step, instance: string, event: RunEvent, text: (name: string) => string): void {
  const { [instance]: _closed, ...open } = m.state.openTasks;
  m.state.openTasks = open;
  const known = m.state.steps[step.id ?? ""];
  // One that an earlier round opened is no longer the step's; and what is closed doesn't close again.
  if (known?.["instance"] !== instance || known["status"] !== "open") return;
  const optional = (name: string): string | undefined => text(name) || undefined;
  const fields = {
    status: text("status") || "done",
    outcome: optional("outcome"),
    completed_by: optional("completed_by"),
  };
  m.record(step, { ...fields, note: optional("note"), closed_at: event.at });
  m.note("task.closed", { step, detail: fields });
}

/** The run that a `play` step started is over; other runs' ends are not this one's story. */
function playEnded(m: Machine, run: string, outcome: string): void {
  for (const [id, fields] of Object.entries(m.state.steps)) {
    const step = m.index.byId.get(id);
    if (step?.kind !== "play" || fields["run"] !== run || fields["ended"] === true) continue;
    m.record(step, { ended: true, outcome });
    m.note("play.ended", { step, detail: { outcome } });
  }
}

function hold(m: Machine, name: string): void {
  if (m.state.holds.includes(name)) return;
  if (!m.isHeld) {
    m.state.heldSince = m.state.clock;
    m.note("run.held", { detail: { hold: name } });
  }
  m.state.holds = [...m.state.holds, name];
}

/** The last hold gone: relative waits go on from where they stood, dates have gone on by themselves. */
function release(m: Machine, name: string): void {
  if (!m.state.holds.includes(name)) return;
  m.state.holds = m.state.holds.filter((one) => one !== name);
  if (m.isHeld) return;
  const since = m.state.heldSince ?? m.state.clock;
  delete m.state.heldSince;
  m.note("run.released", { detail: { hold: name, held_since: since } });
  for (const [key, position] of Object.entries(m.state.positions)) {
    const { timer } = position;
    const held = m.state.clock - Math.max(since, timer?.from ?? position.at);
    if (timer !== undefined && !timer.isAbsolute && held > 0) {
      m.patch(key, { timer: { ...timer, due: timer.due + held, shift: timer.shift + held } });
    }
    const step = m.step(position.path);
    if (step.kind === "email") {
      // Its time to be sent is extended too; a deferred one is asked about anew.
      const { timer: _timer, staleAt: _staleAt, ...rest } = position;
      const heldMs = (position.heldMs ?? 0) + m.state.clock - Math.max(since, position.at);
      m.put(key, position.phase === "deferred" ? { ...rest, phase: "do", heldMs } : { ...position, heldMs });
      continue;
    }
    // Dates that passed meanwhile: `on_past` decides, at the next resolve.
    const blocks = position.blocks?.map((block) =>
      block.status === "armed" && block.due !== undefined && block.due < m.state.clock
        ? { ...block, status: "arming" as const }
        : block,
    );
    if (blocks !== undefined) m.patch(key, { blocks });
    else if (timer?.isAbsolute === true && position.phase === "wait" && timer.due < m.state.clock && isDateWait(step)) {
      m.patch(key, { phase: "arm" });
    }
  }
}

function isDateWait(step: Step): boolean {
  return step.kind === "wait" && step.until.kind === "date";
}

function unpark(m: Machine, kind: "run.retried" | "run.skipped"): void {
  if (m.state.parked === undefined) return;
  delete m.state.parked;
  for (const [key, position] of Object.entries(m.state.positions)) {
    if (position.phase !== "parked") continue;
    const step = m.step(position.path);
    m.note(kind, { step, key });
    if (kind === "run.skipped") {
      m.record(step, { skipped: "operator" });
      withdrawUnder(m, key);
      finish(m, key);
    } else retry(m, key, step);
  }
}

function retry(m: Machine, key: string, step: Step): void {
  const position = m.position(key);
  if (position === undefined) return;
  const { timer, failure: _failure, ...rest } = position;
  const retries = (position.retries ?? 0) + 1;
  // What it failed at was its timer: an effect that is done already is not done again.
  const isTimer = step.kind === "wait_for" || step.kind === "repeat" || position.waitFrom !== undefined;
  if (step.kind === "wait") m.put(key, { ...rest, retries, phase: "arm" });
  else if (isTimer) {
    const kept = timer === undefined ? rest : { ...rest, timer };
    m.put(key, { ...kept, retries, phase: "arm", recheck: step.kind !== "repeat" });
  } else if (step.kind === "around") m.put(key, { ...rest, retries, phase: "body" });
  else m.put(key, { ...rest, retries, phase: "do" });
}

const SEVERITIES = ["low", "medium", "high", "critical"];

/** A further trigger for the live key: inputs merge, tasks only tighten. */
function merge(m: Machine, event: RunEvent): void {
  const inputs: Record<string, FactValue> = { ...m.state.inputs };
  for (const [name, rule] of Object.entries(m.plan.enroll.merge)) {
    const value = event.payload[`input.${name}`];
    if (value === undefined) continue;
    const before = inputs[name];
    inputs[name] = before === undefined ? value : merged(rule, before, value);
  }
  m.state.inputs = inputs;
  m.note("run.triggered_again", {
    detail: Object.fromEntries(Object.entries(inputs).filter(([name]) => name in m.plan.enroll.merge)),
  });
  for (const [path, { step }] of m.index.byPath) {
    if (step.kind !== "task" || step.id === undefined || step.dueIf.length === 0) continue;
    const fields = m.state.steps[step.id];
    if (fields?.["status"] !== "open" || typeof fields["task"] !== "string") continue;
    const index = dueIndex(m, step);
    if (index === undefined || index === fields["due_if"]) continue;
    m.record(step, { due_if: index });
    m.addChore(`!tighten:${fields["task"]}:${index}`, { kind: "tighten", path, task: fields["task"] });
  }
}

function merged(rule: MergeRule, before: FactValue, value: FactValue): FactValue {
  if (rule === "first") return before;
  if (rule === "last") return value;
  const isGreater = rank(value) > rank(before);
  return isGreater === (rule === "max") ? value : before;
}

/** Severities by their order; numbers by themselves; anything else is equal. */
function rank(value: FactValue): number {
  if (typeof value === "number") return value;
  return typeof value === "string" ? SEVERITIES.indexOf(value) : 0;
}
