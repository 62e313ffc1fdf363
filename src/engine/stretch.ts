import type { Instant } from "../values/instant.js";
import { type Advanced, advance, stand } from "./advance.js";
import type { Command, CommandKind } from "./command.js";
import type { RunEvent } from "./event.js";
import type { Answer, LogItem, PerformResponse } from "./perform.js";
import type { Plan } from "./plan.js";
import type { RunState } from "./state.js";
import type { TimelineEntry } from "./timeline.js";
import { STRETCH_LOG_MAX, TENTATIVE_EVENTS_MAX } from "./limits.js";
import { nextWake } from "./timers.js";

/** Where a stretch is walked: the store with mail server and Slack, or the simulator's memory. */
export interface StretchWorld {
  /**
   * Does the command, under its key: what was done before is found, not repeated. If undelivered events wait for the run they are handed over instead,
   * and nothing is begun. `status`: as the run now has it.
   */
  perform(command: Command, asOf: Instant, status: RunStatusWord): Promise<Answer>;
  /**
   * Writes what the run has to tell, as a whole; unless undelivered events wait for the run: then they are handed over and nothing is written. Nothing is
   * written either of a run that would rest (`response.isResting`) or end (no `response`), or that `hasTicked`, while something that comes earlier is not done
   * yet: `later`.
   */
  write(told: Told): Promise<readonly RunEvent[] | "later">;
  /** True once the domain clock has reached the instant. */
  hasReached(at: Instant): boolean;
  /** Set where the domain clock is people's own: what has happened by now comes before an effect, however late the effect is (a worker was away). */
  readonly isRealTime?: boolean;
  /** False when time is up: the driver asks again. */
  mayGoOn(): boolean;
}

/** What a stretch tells the store at its end; and before its `close`, because the story must be whole then (`log` is absent). */
export interface Told {
  readonly asOf: Instant;
  readonly entries: readonly TimelineEntry[];
  readonly status: RunStatusWord;
  /** Instance keys of where it stands. */
  readonly position: readonly string[];
  /** Ids of the events it has taken in. */
  readonly taken: readonly string[];
  readonly response?: PerformResponse;
  /** True: the world was asked since the last tick; events that turn up now come later. */
  readonly isSure?: boolean;
  /** True: it tells of ticks behind which the world was asked nothing. */
  readonly hasTicked?: boolean;
}

export type RunStatusWord = "running" | "held" | "parked" | "exiting" | "ended";

/**
 * Walks a run from where it stands until it must wait, one command at a time: after each the machine is asked anew, so where a stretch is cut makes
 * no difference. A timer fires tentatively: if the world still has an event from before that instant, the tick is taken back and the event handled first.
 */
export async function stretch(
  plan: Plan,
  from: RunState,
  offered: readonly RunEvent[],
  world: StretchWorld,
): Promise<PerformResponse> {
  let now = stand(plan, from);
  let log: LogItem[] = [];
  /** Where the run stood before ticks that nothing has come of yet. */
  let before: { readonly now: Advanced; readonly log: LogItem[] } | undefined;
  let done = 0;
  /** Areas of the facts that have led the run here, or that it listens to; and `DEFERRED`. */
  const known = new Set<string | undefined>(plan.listens.facts.map(areaOf));

  const move = (item: LogItem): void => {
    now = follow(plan, now.state, item, offered);
    log = [...log, item];
  };
  const take = (events: readonly RunEvent[]): void => {
    if (before !== undefined) ({ now, log } = before);
    before = undefined;
    for (const event of events) move({ kind: "event", event });
  };
  const told = (): Told => ({
    asOf: now.state.clock,
    entries: now.state.journal,
    status: statusOf(now.state),
    position: Object.keys(now.state.positions),
    taken: log.flatMap((item) => (item.kind === "took" ? item.id : item.kind === "event" ? item.event.id : [])),
  });

  if (from.phase === "new") move({ kind: "start", at: from.clock });
  for (const { id } of offered) move({ kind: "took", id });
  /** Whatever it was offered: a stretch that is cut here has gone on. */
  const full = log.length + STRETCH_LOG_MAX;

  /** It is not its turn: what came of the stretch before is told, and the driver asks again. */
  const cut = async (): Promise<PerformResponse> => {
    if (before !== undefined) ({ now, log } = before);
    if (log.length === 0) throw new NotYetItsTurn(from.run.id);
    const response: PerformResponse = { log, isResting: false };
    await world.write({ ...told(), response, isSure: true });
    return response;
  };

  for (;;) {
    if (now.state.phase === "ended") return { log, isResting: true };
    let retry: string | undefined;
    if (world.isRealTime === true && isOvertaken(now, world)) {
      before = undefined;
      move({ kind: "tick", at: nextWake(now.state) ?? now.state.clock });
    }
    const [command] = now.commands;
    const begins = command !== undefined && log.length > 0 && known.has(areaChangedBy(command));
    const mayGoOn = log.length < full && !begins && (done === 0 || world.mayGoOn());
    if (command !== undefined && mayGoOn) {
      if (command.kind === "close") {
        // Nothing that arrives now changes that the run ends; but what came before a timer that led here does.
        const events = await world.write({ ...told(), isSure: before === undefined });
        if (events === "later") return cut();
        if (events.length > 0) {
          take(events);
          continue;
        }
        before = undefined;
      }
      const answer = await world.perform(command, now.state.clock, statusOf(now.state));
      switch (answer.kind) {
        case "outcome":
          move({ kind: "performed", key: command.key, outcome: answer.outcome });
          before = undefined;
          done += 1;
          for (const area of areasAskedBy(command)) known.add(area);
          if (answer.outcome.kind === "deferred") known.add(DEFERRED);
          continue;
        case "events":
          // Mail to several may have been put off for the first of them.
          if (command.kind === "email") known.add(DEFERRED);
          take(answer.events);
          continue;
        case "later":
          return cut();
        case "ended":
          return { log: [], isResting: true, ended: answer.outcome };
        case "retry":
          retry = command.key;
          before = undefined;
          if (command.kind === "email") known.add(DEFERRED);
      }
    }
    const wake = nextWake(now.state);
    if (command === undefined && mayGoOn && wake !== undefined && world.hasReached(wake)) {
      before ??= { now, log };
      move({ kind: "tick", at: wake });
      continue;
    }
    const isResting = command === undefined && mayGoOn;
    // Nothing came of the last ticks: an earlier event may still turn up, also after this stretch.
    if (before !== undefined && !begins && isTrifle(before.now.state, now.state)) {
      ({ now, log } = before);
      before = undefined;
    }
    const wakesAt = wake === undefined ? {} : { wakesAt: wake };
    const response: PerformResponse = { log, isResting, ...wakesAt, ...(retry === undefined ? {} : { retry }) };
    const events = await world.write({ ...told(), response, ...(before === undefined ? {} : { hasTicked: true }) });
    if (events === "later") return cut();
    if (events.length === 0) return response;
    take(events);
  }
}

/**
 * What changes facts of an area that has led the run so far, or takes mail back that was deferred, begins a stretch: one whose worker died behind it is walked
 * again from its beginning, and what came before it must not come out otherwise by what it changed. undefined: it changes none.
 */
function areaChangedBy(command: Command): string | undefined {
  switch (command.kind) {
    case "set":
      return areaOf(command.field);
    case "milestone":
    case "health":
      return command.kind;
    case "email_withdraw":
    case "leave":
      return DEFERRED;
    default:
      return undefined;
  }
}

function areasAskedBy(command: Command): readonly string[] {
  switch (command.kind) {
    case "read":
      return command.facts.map(areaOf);
    // Dates, of whatever they are counted from.
    case "resolve":
    case "resolve_date":
      return DATED;
    default:
      return [];
  }
}

/** Mail of this stretch that has not gone out: deferred, or to be tried again. Once taken back, it waits no more. */
const DEFERRED = "deferred";
const DATED = ["account", "contact", "contract", "milestone"];

function areaOf(fact: string): string {
  return fact.split(".")[0] as string;
}

/** Nothing came of what lies between; and little waits in the inbox, which is part of the state. */
function isTrifle(before: RunState, now: RunState): boolean {
  return before.lines === now.lines && before.inbox.length <= TENTATIVE_EVENTS_MAX;
}

/** Something that comes earlier is not done yet, and nothing came of the stretch; to be asked again. */
export class NotYetItsTurn extends Error {
  constructor(run: string) {
    super(`run ${run}: something that comes earlier is not done yet`);
    this.name = "NotYetItsTurn";
  }
}

/** One thing that happened, to the state that it happened to. */
export function follow(plan: Plan, state: RunState, item: LogItem, offered: readonly RunEvent[]): Advanced {
  switch (item.kind) {
    case "start":
    case "tick":
    case "performed":
    case "event":
      return advance(plan, state, item);
    case "took": {
      const event = offered.find(({ id }) => id === item.id);
      if (event === undefined) throw new Error(`run ${state.run.id} took an event that it was not offered: ${item.id}`);
      return advance(plan, state, { kind: "event", event });
    }
  }
}

/** What people notice, and would rather not have got after what happened meanwhile. */
const NOTICED: readonly CommandKind[] = ["email", "slack", "task", "play"];

/** An event of after the instant at which the effects at hand were due is there before they were begun, and no timer comes between. */
function isOvertaken({ state, commands }: Advanced, world: StretchWorld): boolean {
  const event = state.inbox[0]?.at;
  return (
    event !== undefined &&
    event === nextWake(state) &&
    state.exitCheck === undefined &&
    commands.length > 0 &&
    commands.every(({ kind }) => NOTICED.includes(kind)) &&
    world.hasReached(event)
  );
}

/** The status that people see: one word. */
export function statusOf(state: RunState): RunStatusWord {
  if (state.phase === "ended") return "ended";
  if (state.phase !== "running" && state.phase !== "new") return "exiting";
  if (state.parked !== undefined) return "parked";
  return state.holds.length > 0 ? "held" : "running";
}
