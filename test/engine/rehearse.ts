import { newRun } from "../../src/engine/advance.js";
import type { Command, Outcome } from "../../src/engine/command.js";
import type { RunEvent } from "../../src/engine/event.js";
import type { PerformRequest, PerformResponse } from "../../src/engine/perform.js";
import { stretch } from "../../src/engine/stretch.js";
import type { Plan } from "../../src/engine/plan.js";
import type { RunState } from "../../src/engine/state.js";
import type { TimelineEntry } from "../../src/engine/timeline.js";
import { walk } from "../../src/engine/walk.js";
import type { FactValue } from "../../src/expression/expression.js";
import { evaluate } from "../../src/expression/evaluate.js";
import { addDuration } from "../../src/values/add-duration.js";
import { STANDARD_CALENDAR } from "../../src/values/calendar.js";
import { formatInstant, type Instant, parseInstant } from "../../src/values/instant.js";
import { resolveTimeRule } from "../../src/values/time-rule.js";

/** ISO text without a zone is UTC here: `2026-03-02T09:00`, or only the date for midnight. */
export function at(text: string): Instant {
  const instant = parseInstant(text.length === 10 ? `${text}T00:00:00Z` : text.length === 16 ? `${text}:00Z` : text);
  if (instant === undefined) throw new Error(`no instant: ${text}`);
  return instant;
}

/** A Monday, 09:00 UTC. */
export const START = at("2026-03-02T09:00");

/** A run of account a1, from `START` on. */
export const RUN = {
  id: "r",
  playbook: "p",
  subject: "account",
  subjectId: "a1",
  accountId: "a1",
  key: "a1",
  startedAt: START,
} as const;

type Facts = Readonly<Record<string, FactValue | undefined>>;

export interface Rehearsal {
  readonly events?: readonly ToldEvent[];
  /** Facts since when: the last one not after the instant counts. Absent: none. */
  readonly facts?: readonly { readonly at: Instant; readonly values: Facts }[];
  /** What a command is answered; undefined: as if everything went well. */
  readonly answer?: (command: Command, at: Instant, times: number) => Outcome | undefined;
  readonly inputs?: Readonly<Record<string, FactValue>>;
  readonly holds?: readonly string[];
  readonly startedAt?: Instant;
  readonly until?: Instant;
  /** How many commands one stretch gets done, drawn anew each time; default: all. */
  readonly cut?: (commands: number) => number;
  /** When an event is told: by `perform` in its time (default), as a signal the moment it happens, or as a signal at once. */
  readonly tell?: "perform" | "signal" | "ahead";
  /** True: the run is serialised and continued as new whenever it would wait. */
  readonly continues?: boolean;
  /** Sees every state that lasts. */
  readonly observe?: (state: RunState) => void;
}

/** An event, and when the outside first hears of it: later than it happened, if it is late. */
export type ToldEvent = RunEvent & { readonly toldAt?: Instant };

export interface Rehearsed {
  readonly state: RunState;
  readonly timeline: readonly TimelineEntry[];
  /** Every command that was answered, in order, with when. */
  readonly done: readonly { readonly command: Command; readonly at: Instant; readonly outcome: Outcome }[];
  readonly performs: number;
}

class Rest extends Error {}

/** Walks a plan against a world of a few lines, in UTC with Monday to Friday 09:00-17:00, until it ends or nothing is left to come. */
export async function rehearse(plan: Plan, how: Rehearsal = {}): Promise<Rehearsed> {
  const startedAt = how.startedAt ?? START;
  const until = how.until ?? at("2028-01-01");
  const timeline: TimelineEntry[] = [];
  const done: { command: Command; at: Instant; outcome: Outcome }[] = [];
  const known = new Map<string, Outcome>();
  const asked = new Map<string, number>();
  const confirmed = new Set<string>();
  const tell = how.tell ?? "perform";
  const events = [...(how.events ?? [])].sort((a, b) => a.at - b.at);
  const toSignal = [...events].sort((a, b) => toldAt(a) - toldAt(b));
  const mailbox: RunEvent[] = tell === "ahead" ? toSignal.splice(0).map(bare) : [];
  let hasWaited = false;
  let performs = 0;
  let now = startedAt;
  let last: RunState = newRun(
    plan,
    { id: "r", playbook: plan.playbook, subject: "account", subjectId: "a1", accountId: "a1", key: "a1", startedAt },
    how.inputs,
    how.holds,
  );

  const factsAt = (instant: Instant): Facts =>
    Object.assign({}, ...(how.facts ?? []).filter((one) => one.at <= instant).map((one) => one.values)) as Facts;
  const waiting = (asOf: Instant): RunEvent[] =>
    events
      .filter((event) => event.at <= asOf && toldAt(event) <= Math.max(asOf, now) && !confirmed.has(event.id))
      .map(bare);

  /** One stretch: what it has in hand is not told again. */
  const perform = (request: Omit<PerformRequest, "durable">): Promise<PerformResponse> => {
    performs += 1;
    if (performs > 20_000) throw new Error("the run asks for ever");
    const inHand = new Set(request.offered.map(({ id }) => id));
    const undelivered = (asOf: Instant): RunEvent[] => {
      const found = waiting(asOf).filter(({ id }) => !inHand.has(id));
      for (const { id } of found) inHand.add(id);
      return found;
    };
    let left = how.cut?.(10) ?? Number.POSITIVE_INFINITY;
    return stretch(plan, request.state, request.offered, {
      hasReached: (instant) => instant <= request.reached,
      mayGoOn: () => left > 0,
      perform: async (command, asOf) => {
        const events = command.kind === "close" ? [] : undelivered(asOf);
        if (events.length > 0) return { kind: "events", events };
        left -= 1;
        const outcome = known.get(command.key) ?? outcomeOf(command, asOf);
        if (KEPT.has(command.kind)) known.set(command.key, outcome);
        done.push({ command, at: asOf, outcome });
        return { kind: "outcome", outcome };
      },
      write: async ({ asOf, entries, taken, response, isSure }) => {
        const events = isSure === true ? [] : undelivered(asOf);
        if (events.length > 0) return events;
        for (const entry of entries) {
          if (response !== undefined && entry.seq <= timeline.length) continue;
          if (entry.seq !== timeline.length + 1) throw new Error(`line ${entry.seq} after ${timeline.length}`);
          timeline.push(entry);
        }
        for (const id of taken) confirmed.add(id);
        return [];
      },
    });
  };

  const outcomeOf = (command: Command, asOf: Instant): Outcome => {
    const times = (asked.get(command.key) ?? 0) + 1;
    asked.set(command.key, times);
    const given = how.answer?.(command, asOf, times);
    if (given !== undefined) return given;
    const facts = factsAt(asOf);
    const zone = String(facts["account.timezone"] ?? "UTC");
    switch (command.kind) {
      case "read": {
        const values = command.facts.flatMap((path) => (facts[path] === undefined ? [] : [[path, facts[path]]]));
        return { kind: "read", at: asOf, facts: Object.fromEntries(values) };
      }
      case "resolve":
        return { kind: "resolved", at: resolveTimeRule(command.rule, command.from, zone, STANDARD_CALENDAR) };
      case "resolve_date": {
        const value = evaluate(command.date, (path) => facts[path]);
        if (typeof value !== "number") return { kind: "resolved" };
        return {
          kind: "resolved",
          at: command.offset === undefined ? value : addDuration(value, command.offset, zone, STANDARD_CALENDAR),
        };
      }
      case "email":
        return { kind: "emailed", at: asOf, deliveries: [{ contact: "c1", result: "sent", at: asOf }] };
      case "slack":
        return { kind: "posted", at: asOf, to: "u1" };
      case "task":
        return {
          kind: "task_opened",
          at: asOf,
          task: taskOf(command.key),
          assignee: "u1",
          due: addDuration(asOf, command.due, zone, STANDARD_CALENDAR),
        };
      case "health":
        return { kind: "measured", at: asOf, score: 80, status: "green" };
      case "play":
        return { kind: "played", at: asOf, run: `run-${command.key}` };
      default:
        return { kind: "done", at: asOf };
    }
  };

  for (;;) {
    try {
      last = await walk(plan, last, {
        perform,
        persist: () => Promise.reject(new Error("nothing is retried here")),
        arrived: () => mailbox.splice(0),
        idle: async (wake) => {
          hasWaited = true;
          while (toSignal[0] !== undefined && confirmed.has(toSignal[0].id)) toSignal.shift();
          const event = toSignal[0];
          const heardAt = event === undefined ? Number.POSITIVE_INFINITY : Math.max(now, toldAt(event));
          const wakeAt = wake ?? Number.POSITIVE_INFINITY;
          if (!(Math.min(heardAt, wakeAt) <= until)) throw new Rest();
          now = Math.max(now, Math.min(heardAt, wakeAt));
          // At one instant a signal may be faster than the timer, or slower: then `perform` must hand the event over.
          if (event === undefined || (tell === "signal" ? heardAt > wakeAt : heardAt >= wakeAt)) return;
          toSignal.shift();
          mailbox.push(bare(event));
        },
        now: () => now,
        isLong: () => how.continues === true && hasWaited && mailbox.length === 0,
        observe: (state) => {
          last = state;
          how.observe?.(state);
        },
      });
    } catch (error) {
      if (!(error instanceof Rest)) throw error;
      return { state: last, timeline: [...timeline, ...last.journal], done, performs };
    }
    if (last.phase === "ended") return { state: last, timeline, done, performs };
    hasWaited = false;
    last = JSON.parse(JSON.stringify(last)) as RunState;
  }
}

function toldAt(event: ToldEvent): Instant {
  return event.toldAt ?? event.at;
}

function bare({ toldAt: _, ...event }: ToldEvent): RunEvent {
  return event;
}

/** Effects that are done once, whatever happens; mail and reads are asked anew. */
const KEPT = new Set([
  "slack",
  "task",
  "milestone",
  "set",
  "risk",
  "opportunity",
  "health",
  "play",
  "hold",
  "park",
  "leave",
  "close",
]);

/** A timeline as lines: when, what, which step, details. */
export function linesOf(timeline: readonly TimelineEntry[]): string[] {
  return timeline.map((entry) => {
    const detail = Object.entries(entry.detail ?? {}).map(
      ([name, value]) => `${name}=${typeof value === "number" && value > 1e12 ? short(value) : String(value)}`,
    );
    const instance = entry.key === undefined ? "" : `[${entry.key}]`;
    return [short(entry.at), entry.kind, entry.step === undefined ? "" : `${entry.step}${instance}`, ...detail]
      .filter((part) => part !== "")
      .join(" ");
  });
}

/** `2026-03-02 09:00`, in UTC. */
export function short(instant: Instant): string {
  return formatInstant(instant).slice(0, 16).replace("T", " ");
}

/** The lines of a rehearsal, one below the other, without the run's own beginning. */
export async function story(plan: Plan, how: Rehearsal = {}): Promise<string> {
  return linesOf((await rehearse(plan, how)).timeline)
    .slice(1)
    .join("\n");
}

let count = 0;

/** The task that a command opens. */
export function taskOf(commandKey: string): string {
  return `task-${commandKey}`;
}

/** An event of a given name and time; a task's closing is about the task that the command of its `key` opens. */
export function event(
  name: string,
  when: string | Instant,
  payload: RunEvent["payload"] = {},
  more: Partial<ToldEvent> = {},
): ToldEvent {
  count += 1;
  const isClosing = name === "task.closed" && payload["key"] !== undefined;
  const told = isClosing ? { task: taskOf(String(payload["key"])), ...payload } : payload;
  return { id: `e${count}`, name, at: typeof when === "number" ? when : at(when), payload: told, ...more };
}
