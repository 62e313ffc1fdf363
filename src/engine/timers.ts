import type { Instant } from "../values/instant.js";
import { setBlock, timerOver } from "./flow.js";
import type { Machine } from "./machine.js";
import { deferredOver } from "./outcomes.js";
import { conditionFacts } from "./plan-index.js";
import type { RunState } from "./state.js";

interface DueTimer {
  readonly key: string;
  readonly due: Instant;
  /** Set for a block of `around`. */
  readonly block?: number;
}

/** The earliest timer that may fire; none while the run is held. At one instant: the order in which positions were reached. */
export function nextTimer(state: RunState): DueTimer | undefined {
  if (state.holds.length > 0 && state.phase === "running") return undefined;
  let next: DueTimer | undefined;
  const offer = (timer: DueTimer): void => {
    if (next === undefined || timer.due < next.due) next = timer;
  };
  for (const [key, position] of Object.entries(state.positions)) {
    if ((position.phase === "wait" || position.phase === "deferred") && position.timer !== undefined) {
      offer({
        key,
        due:
          position.phase === "deferred"
            ? Math.min(position.timer.due, position.staleAt ?? position.timer.due)
            : position.timer.due,
      });
    }
    position.blocks?.forEach((block, i) => {
      if (block.status === "armed" && block.due !== undefined && position.phase === "body")
        offer({ key, due: block.due, block: i });
    });
  }
  return next;
}

/** When the driver must come back with a tick, if no event comes first; undefined: only an event can wake the run. */
export function nextWake(state: RunState): Instant | undefined {
  if (state.phase === "ended") return undefined;
  const timer = nextTimer(state)?.due;
  const event = state.inbox[0]?.at;
  if (timer === undefined) return event;
  return event === undefined ? timer : Math.min(timer, event);
}

/** A timer fires: one that a calendar could have moved is resolved once more, and a wait's facts are read a last time. */
export function fire(m: Machine, timer: DueTimer): void {
  m.reach(timer.due);
  const position = m.position(timer.key);
  if (position === undefined) return;
  if (timer.block !== undefined) {
    setBlock(m, timer.key, timer.block, { status: "confirm", due: timer.due });
    return;
  }
  if (position.phase === "deferred") {
    deferredOver(m, timer.key);
    return;
  }
  const step = m.step(position.path);
  const needsFacts = step.kind === "wait_for" && conditionFacts(step.for).length > 0;
  const isExact = position.timer?.isExact === true;
  if (isExact && !needsFacts) timerOver(m, timer.key);
  else m.patch(timer.key, { phase: "confirm", confirmed: isExact, recheck: needsFacts });
}
