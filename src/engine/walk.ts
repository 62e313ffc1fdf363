import type { Instant } from "../values/instant.js";
import { advance, stand } from "./advance.js";
import type { RunEvent } from "./event.js";
import type { Answer, LogItem, PerformRequest, PerformResponse, PersistRequest } from "./perform.js";
import type { Plan } from "./plan.js";
import type { RunState } from "./state.js";
import { follow } from "./stretch.js";

/** What carries a run through time. Temporal and the simulator each have one; the loop between is the same. */
export interface Driver {
  /** Has the run walk until it must wait (`stretch`). */
  perform(request: Omit<PerformRequest, "durable">): Promise<PerformResponse>;
  /** Does the one command that must be retried with backoff; comes back early with events if some arrive. Never answers `retry`. */
  persist(request: PersistRequest): Promise<Answer>;
  /** Events that have arrived since the last call, without waiting. */
  arrived(): readonly RunEvent[];
  /** These are to be given by `arrived` once more, before all others, and a `persist` is called off for them. Absent: nothing is ever called off. */
  putBack?(events: readonly RunEvent[]): void;
  /** Waits until the domain clock reaches `until` (undefined: for ever) or an event arrives. */
  idle(until: Instant | undefined): Promise<void>;
  /** What the domain clock shows. */
  now(): Instant;
  /** Set where others wait for this run to have done what comes before their own instant: the world is told that it rests, also after what it knew already. */
  readonly tellsRest?: boolean;
  /** True when the run should go on as a new execution, from the state it has; what has arrived since the last `arrived` goes with it. */
  isLong(): boolean | Promise<boolean>;
  /** Told of every state that lasts: for queries. */
  observe(state: RunState): void;
}

/** Walks a run to its end, or to where it should continue as new (`phase` is then not `ended`). Only what happened is followed here: nothing is decided. */
export async function walk(plan: Plan, from: RunState, driver: Driver): Promise<RunState> {
  let state = from;
  let offered: readonly RunEvent[] = [];
  let isResting = false;
  let wakesAt: Instant | undefined;

  const happened = (log: readonly LogItem[]): void => {
    for (const item of log) state = follow(plan, state, item, offered).state;
  };

  const isNew = ({ id }: RunEvent): boolean => !state.seen.includes(id);
  const tellsRest = driver.tellsRest === true;
  // Where the world is told of rest it is told once more for each event, known or not: so each is offered until an answer says that it was.
  const isToOffer = (event: RunEvent): boolean => tellsRest || isNew(event);

  while (state.phase !== "ended") {
    driver.observe(state);
    offered = offered.filter(isToOffer);
    // Also while it is busy: a run that is told of something all the time never rests.
    if (offered.length === 0 && state.phase !== "new" && (await driver.isLong())) return state;
    offered = [...offered, ...driver.arrived()].filter(isToOffer);
    const reached = driver.now();
    if (isResting && offered.length === 0 && !(wakesAt !== undefined && wakesAt <= reached)) {
      await driver.idle(wakesAt);
      continue;
    }
    const response = await driver.perform({ run: state.run.id, state, offered, reached });
    if (response.ended !== undefined) {
      // What led there was written with a stretch whose answer was lost, and is not told again.
      state = { ...state, phase: "ended", outcome: response.ended, positions: {}, journal: [] };
      break;
    }
    happened(response.log);
    // Whether what the answer doesn't tell of came while the stretch was walked, or was there before: a history that is followed anew may have it the other way
    // round, where the workflow task was done again with the stretch under way (a worker that stood still). From here on both go the same way.
    const taken = new Set(response.log.flatMap((item) => (item.kind === "took" ? item.id : [])));
    offered = [...offered, ...driver.arrived()].filter((event) => isToOffer(event) && !taken.has(event.id));
    if (offered.length > 0 && driver.putBack !== undefined) {
      driver.putBack(offered);
      offered = [];
    }
    state = advance(plan, state, { kind: "written" }).state;
    isResting = response.isResting;
    wakesAt = response.wakesAt;
    const command = stand(plan, state).commands.find(({ key }) => key === response.retry);
    if (command === undefined) continue;
    const answer = await driver.persist({ run: state.run.id, turns: state.turns, asOf: state.clock, command });
    if (answer.kind === "outcome") happened([{ kind: "performed", key: command.key, outcome: answer.outcome }]);
    else if (answer.kind === "events") offered = [...offered, ...answer.events];
  }
  driver.observe(state);
  return state;
}
