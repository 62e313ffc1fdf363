import type { Instant } from "../values/instant.js";
import { type Advanced, advance } from "./advance.js";
import type { CommandKind } from "./command.js";
import type { RunEvent } from "./event.js";
import type { PerformRequest, PerformResponse } from "./perform.js";
import type { Plan } from "./plan.js";
import type { RunState } from "./state.js";
import { nextWake } from "./timers.js";

/** The world as a driver gives it to a run. Temporal and the simulator each have one; the loop between is the same. */
export interface World {
  perform(request: PerformRequest): Promise<PerformResponse>;
  /** Performs the one command that must be retried with backoff; comes back early with events if some arrive. */
  persist(request: PerformRequest): Promise<PerformResponse>;
  /** Events that have arrived since the last call, without waiting. */
  arrived(): readonly RunEvent[];
  /** Waits until the domain clock reaches `until` (undefined: for ever) or an event arrives. */
  idle(until: Instant | undefined): Promise<void>;
  /** Grows whenever all that was done before is certain to be remembered (a workflow task was completed); absent: everything is at once. */
  remembered?(): number;
  /** True once the domain clock has reached the instant. */
  hasReached(at: Instant): boolean;
  /** Set where others wait for this run to have done what comes before their own instant: the world is told before the run idles. */
  readonly tellsRest?: boolean;
  /** Set where the domain clock is people's own: what has happened by now comes before an effect, however late the effect is (a worker was away). */
  readonly isRealTime?: boolean;
  /** True when the run should go on as a new execution, from the state it has. */
  isLong(): boolean;
  /** Told of every state that lasts: for queries. */
  observe(state: RunState): void;
}

/** Confirmations that may wait for the next `perform` before one is made for them alone. */
const UNCONFIRMED_MAX = 100;

/**
 * Walks a run to its end, or to where it should continue as new (`phase` is then not `ended`). A timer fires tentatively:
 * if the world still has an event from before that instant, the tick is taken back and the event handled first.
 */
export async function walk(plan: Plan, from: RunState, world: World): Promise<RunState> {
  let now: Advanced = advance(
    plan,
    from,
    from.phase === "new" ? { kind: "start", at: from.clock } : { kind: "resume" },
  );
  /** The state before ticks that nothing has come of yet: until the world has been asked, an earlier event may still turn up. */
  let before: Advanced | undefined;
  /** What the world was told of when the run wakes next; undefined: nothing that still holds. */
  let told: Instant | null | undefined;

  /** How many of `unconfirmed`, from the front, are remembered: what a call has handed over can be lost with its workflow task. */
  let sure = from.unconfirmed.length;
  let mark = world.remembered?.();
  const look = (): void => {
    const latest = world.remembered?.();
    if (latest === undefined || latest !== mark) sure = now.state.unconfirmed.length;
    mark = latest;
  };

  const take = (events: readonly RunEvent[]): void => {
    if (events.length > 0) told = undefined;
    for (const event of events) now = advance(plan, now.state, { kind: "event", event });
  };
  const performed = ({ outcomes }: PerformResponse, confirmed: number): void => {
    now = advance(plan, now.state, { kind: "performed", at: now.state.clock, outcomes, confirmed });
    sure -= confirmed;
    before = undefined;
  };

  while (now.state.phase !== "ended") {
    look();
    world.observe(now.state);
    const arrived = world.arrived();
    if (arrived.length > 0) {
      now = before ?? now;
      before = undefined;
      take(arrived);
    }
    if (world.isRealTime === true && isOvertaken(now, world)) {
      before = undefined;
      now = advance(plan, now.state, { kind: "tick", at: nextWake(now.state) ?? now.state.clock });
    }
    const mustTell = world.tellsRest === true && mustBeTold(now.state, told, world);
    if (mustTell || now.commands.length > 0 || now.state.journal.length > 0 || sure > UNCONFIRMED_MAX) {
      let confirmed = sure;
      const rests = now.commands.length === 0 && world.tellsRest === true ? (nextWake(now.state) ?? null) : undefined;
      const request = requestOf(now, confirmed);
      let response = await world.perform(rests === undefined ? request : { ...request, rests });
      told = rests;
      look();
      if (response.retry !== undefined && response.events.length === 0) {
        const { key } = response.retry;
        performed(response, confirmed);
        const commands = now.commands.filter((command) => command.key === key);
        if (commands.length === 0) continue;
        confirmed = sure;
        response = await world.persist({
          ...requestOf(now, confirmed),
          commands: commands.map(({ speculative: _, ...command }) => command),
        });
        look();
      }
      if (response.ended !== undefined) {
        // A workflow task that was lost had walked to the end; what led there was confirmed with it, and is not told again.
        now = {
          state: { ...now.state, phase: "ended", outcome: response.ended, positions: {}, journal: [] },
          commands: [],
        };
        break;
      }
      if (response.events.length > 0 && Object.keys(response.outcomes).length === 0 && response.isWritten !== true) {
        now = before ?? now;
        before = undefined;
      } else performed(response, confirmed);
      take(response.events);
      continue;
    }
    if (world.isLong()) return (before ?? now).state;
    const wake = nextWake(now.state);
    if (wake !== undefined && world.hasReached(wake)) {
      before ??= now;
      now = advance(plan, now.state, { kind: "tick", at: wake });
    } else {
      await world.idle(wake);
    }
  }
  world.observe(now.state);
  return now.state;
}

/** The run is about to idle, and the world believes otherwise. */
function mustBeTold(state: RunState, told: Instant | null | undefined, world: World): boolean {
  const wake = nextWake(state);
  return told !== (wake ?? null) && (wake === undefined || !world.hasReached(wake));
}

/** What people notice, and would rather not have got after what happened meanwhile. */
const NOTICED: readonly CommandKind[] = ["email", "slack", "task", "play"];

/** An event of after the instant at which the effects at hand were due is there before they were begun, and no timer comes between. */
function isOvertaken({ state, commands }: Advanced, world: World): boolean {
  const event = state.inbox[0]?.at;
  const asked = commands.filter(({ speculative }) => speculative !== true);
  return (
    event !== undefined &&
    event === nextWake(state) &&
    state.exitCheck === undefined &&
    asked.length > 0 &&
    asked.every(({ kind }) => NOTICED.includes(kind)) &&
    world.hasReached(event)
  );
}

function requestOf({ state, commands }: Advanced, sure: number): PerformRequest {
  return {
    run: state.run.id,
    asOf: state.clock,
    confirm: state.unconfirmed.slice(0, sure),
    have: state.unconfirmed.slice(sure),
    entries: state.journal,
    status: statusOf(state),
    position: Object.keys(state.positions),
    commands,
  };
}

/** The status that people see: one word. */
export function statusOf(state: RunState): "running" | "held" | "parked" | "exiting" | "ended" {
  if (state.phase === "ended") return "ended";
  if (state.phase !== "running" && state.phase !== "new") return "exiting";
  if (state.parked !== undefined) return "parked";
  return state.holds.length > 0 ? "held" : "running";
}
