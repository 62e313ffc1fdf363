import type { Command, Outcome } from "../engine/command.js";
import type { RunEvent } from "../engine/event.js";
import type { Answer, PerformRequest, PerformResponse, PersistRequest } from "../engine/perform.js";
import type { Plan } from "../engine/plan.js";
import { type RunStatusWord, stretch, type StretchWorld } from "../engine/stretch.js";
import { StorePutBack } from "../ports/put-backs.js";
import type { RunProgress, RunRow } from "../ports/runs.js";
import type { Tx } from "../ports/transactions.js";
import type { Instant } from "../values/instant.js";
import { restoreRun } from "./restore-run.js";
import { performClose } from "./effects/close.js";
import { performConcern } from "./effects/concern.js";
import { performEmail } from "./effects/email.js";
import { performHealth } from "./effects/health.js";
import { performHold } from "./effects/hold.js";
import { performLeave } from "./effects/leave.js";
import { performMilestone } from "./effects/milestone.js";
import { performPark } from "./effects/park.js";
import { performPlay } from "./effects/play.js";
import { performRead, performResolve, performResolveDate } from "./effects/read.js";
import { performSet } from "./effects/set.js";
import { performSlack } from "./effects/slack.js";
import { performTask, performTighten } from "./effects/task.js";
import { performTaskWithdraw, performWithdraw } from "./effects/withdraw.js";
import type { PerformPorts } from "./perform-ports.js";
import {
  type Effect,
  Overtaken,
  RunHasEnded,
  type Scene,
  sceneOf,
  type Session,
  sessionOf,
  undelivered,
  undeliveredOf,
} from "./scene.js";

/** How a call differs from the usual one. */
export interface PerformOptions {
  /** Real milliseconds in all; default `settings.budgetMs`. The activity that retries one delivery may take longer. */
  readonly budgetMs?: number;
  /** Real milliseconds that it may wait for its turn, where domain time is an order; default: half of `budgetMs`. */
  readonly turnMs?: number;
}

/**
 * Has a run walk a stretch over the store, the mail server and Slack, as far as the time goes; and writes what it has to tell. May be
 * repeated at will, by several workers at once: a stretch that was walked and written is answered from the store, in one that was not, every effect has a
 * key and finds what it did before. For a run that has ended nothing is begun (`ended`).
 *
 * Throws `StoreUnavailable`; `StorePutBack` where the store knows less than the run, until that is mended; `NotYetItsTurn`; `Overtaken` where the run
 * has walked on; and Error for a plan that the store doesn't have.
 */
export async function performRequest(
  ports: PerformPorts,
  request: PerformRequest,
  options: PerformOptions = {},
): Promise<PerformResponse> {
  const { state, offered, reached, durable } = request;
  let opened = await open(ports, request.run, state.turns);
  if ("isBehind" in opened) {
    await restoreRun(ports, state, opened.row);
    opened = await open(ports, request.run, state.turns);
    if ("isBehind" in opened) throw new StorePutBack(`the store is behind run ${request.run}`);
  }
  if ("answer" in opened) return opened.answer;
  const { row, plan } = opened;
  if (row.turns > state.turns) throw new Overtaken(row.id);
  const { turnMs, budgetMs = ports.settings.budgetMs } = options;
  const session = sessionOf(ports, row, plan, { turns: state.turns, offered, budgetMs: budgetMs + (turnMs ?? 0) });
  const turnUntil = performance.now() + (turnMs ?? budgetMs / 2);
  try {
    return await stretch(
      plan,
      state,
      offered,
      storeWorld(session, { turns: state.turns, reached, durable, turnUntil }),
    );
  } catch (error) {
    // Two calls of one stretch at once (a workflow task timed out while its work went on): what the faster one wrote holds for both.
    const written = error instanceof Overtaken ? await open(ports, request.run, state.turns) : undefined;
    if (written !== undefined && "answer" in written) return written.answer;
    throw error;
  }
}

/** Does the one command, as `performRequest` would. */
export async function persistRequest(
  ports: PerformPorts,
  { run, turns, asOf, command }: PersistRequest,
  options: PerformOptions = {},
): Promise<Answer> {
  const opened = await open(ports, run, turns);
  // A stretch finds out why, and mends it; it has the run's state.
  if ("isBehind" in opened) return { kind: "events", events: [] };
  if ("answer" in opened) {
    if (opened.answer.ended === undefined) throw new Overtaken(run);
    return { kind: "ended", outcome: opened.answer.ended };
  }
  return ask(sessionOf(ports, opened.row, opened.plan, { turns, budgetMs: options.budgetMs }), command, asOf);
}

/** The run and its plan; or the answer that the store has already; or that it knows less than the run itself. */
async function open(
  { store }: PerformPorts,
  id: string,
  turns: number,
): Promise<
  | { readonly row: RunRow; readonly plan: Plan }
  | { readonly answer: PerformResponse }
  | { readonly isBehind: true; readonly row: RunRow | undefined }
> {
  return store.read(async (tx) => {
    const row = await store.runs.get(tx, id);
    if (row === undefined || (row.status !== "ended" && row.turns < turns)) return { isBehind: true, row };
    if (row.status === "ended") return { answer: { log: [], isResting: true, ended: row.outcome ?? "" } };
    const answer = row.turns > turns ? await store.runs.stretch(tx, id, turns) : undefined;
    if (answer) return { answer };
    const plan = await store.playbooks.plan(tx, row.hash);
    if (!plan) throw new Error(`run ${id}: its plan ${row.hash} is not in the store`);
    return { row, plan };
  });
}

/** The store, the mail server and Slack, as one stretch sees them. */
export function storeWorld(
  session: Session,
  how: {
    readonly turns: number;
    readonly reached: Instant;
    readonly durable: number;
    /** By `performance.now()`: so long it waits for its turn. */
    readonly turnUntil: number;
  },
): StretchWorld {
  const { turns, reached, durable, turnUntil } = how;
  const { ports } = session;
  const { store, order } = ports;
  let hasParked = false;
  let turnAt: Instant | undefined;

  /** Everything that comes before the run's instant is done, or the run has to hear of something first. */
  async function isTurn(at: Instant): Promise<boolean> {
    if (order === undefined || turnAt === at) return true;
    const { id: runId, accountId } = session.run;
    const turn = { rank: "run", at, accountId, runId } as const;
    for (;;) {
      const isTold = await store.transaction(async (tx) => {
        const events = await undelivered(session, tx, at, 1);
        if (events.length === 0) await order.store.wakes(tx, runId, at);
        return events.length > 0;
      });
      if (isTold) return true;
      // Told meanwhile, even of what it has in hand already, it hasn't: it looks for what it was told of, and asks again.
      if (await order.isTurn(turn)) {
        turnAt = at;
        return true;
      }
      const waitMs = turnUntil - performance.now();
      if (waitMs <= 0 || !(await order.untilTurn(turn, waitMs))) return false;
    }
  }

  return {
    hasReached: (at) => at <= reached,
    isRealTime: ports.clock.scale === 1,
    // What is begun last still needs time for a conversation.
    mayGoOn: () => performance.now() < session.deadline - ports.settings.budgetMs / 2,

    async perform(command, asOf, status) {
      if (!(await isTurn(asOf))) return { kind: "later" };
      if (session.run.status === "held" && status === "running")
        await store.transaction((tx) => released(session, tx, asOf));
      if (session.run.status === "exiting" && status !== "exiting")
        await store.transaction((tx) => returned(session, tx, turns, status));
      hasParked ||= command.kind === "park";
      const answer = await ask(session, command, asOf);
      if (command.kind === "close") order?.moved(session.run.accountId);
      return answer;
    },

    async write({ asOf, entries, status, position, taken, response, isSure, hasTicked }) {
      const mayRest = response?.isResting === true;
      const isEnding = response === undefined;
      if ((mayRest || isEnding || hasTicked === true) && !(await isTurn(asOf))) return "later";
      const isReleased = session.run.status === "held" && status === "running";
      const isUnparked = status !== "parked" && (session.run.parked !== undefined || hasParked);
      const progress: RunProgress = {
        status,
        position,
        entries,
        // Before its close nothing is: a worker that dies in between leaves no answer to go on from, and walked again the run must hear of it all.
        confirm: isEnding ? [] : taken,
        ...(response === undefined ? {} : { stretch: { turns, durable, answer: response } }),
        ...(isSure === true ? {} : { unless: undeliveredOf(session, asOf) }),
      };
      const write = async (tx: Tx): Promise<readonly RunEvent[]> => {
        // Whoever tells a run of something holds the lock: nothing is missed while it goes to rest.
        if (mayRest && order !== undefined) await store.lockAccounts(tx, [session.run.accountId]);
        const recorded = await store.runs.record(tx, session.run.id, progress);
        if (recorded.kind === "events") return inHand(session, recorded.events);
        if (recorded.kind === "overtaken") throw new Overtaken(session.run.id);
        if (isReleased) await released(session, tx, asOf);
        if (isUnparked) await store.runs.park(tx, session.run.id, undefined);
        if (mayRest && order !== undefined) {
          const { wakesAt } = response;
          const [event] = await undelivered(session, tx, wakesAt ?? LAST_INSTANT, 1);
          await order.store.rests(tx, session.run.id, event === undefined ? (wakesAt ?? null) : event.at);
        }
        return [];
      };
      // Mostly it is the one statement, which needs no transaction around it.
      const isAlone = order === undefined && !isReleased && !isUnparked;
      const events = await (isAlone ? store.read(write) : store.transaction(write));
      if (mayRest || events.length > 0) order?.moved(session.run.accountId);
      return events;
    },
  };
}

/** As good as never. */
const LAST_INSTANT = Date.UTC(9999, 0, 1);

/** Whoever held it (an operator, or a playbook that told it so): what fell due meanwhile is spaced from here on. */
async function released(session: Session, tx: Tx, at: Instant): Promise<void> {
  await session.ports.store.runs.released(tx, session.run.id, at);
  session.run = { ...session.run, status: "running", releasedAt: at };
}

/**
 * A stretch that broke off behind its exit is walked again from before, and whatever is done now comes before the exit, which an event of before or newer facts may
 * undo: until the run leaves once more it doesn't. A call that began before the exit, and knows nothing of it, has no say.
 */
async function returned(session: Session, tx: Tx, turns: number, status: RunStatusWord): Promise<void> {
  const { ports, run } = session;
  const { store } = ports;
  const [, now] = await Promise.all([store.lockAccounts(tx, [run.accountId]), store.runs.get(tx, run.id)]);
  if (now === undefined || now.status === "ended" || now.turns > turns) throw new Overtaken(run.id);
  await store.runs.record(tx, run.id, { status, position: now.position, entries: [], confirm: [] });
  session.run = { ...run, status };
}

function inHand(session: Session, events: readonly RunEvent[]): readonly RunEvent[] {
  for (const { id } of events) session.inHand.add(id);
  return events;
}

async function ask(session: Session, command: Command, asOf: Instant): Promise<Answer> {
  try {
    const effect = await begin(sceneOf(session, asOf), command);
    if (effect.kind === "events") inHand(session, effect.events);
    return effect;
  } catch (error) {
    if (error instanceof RunHasEnded) return { kind: "ended", outcome: error.outcome };
    throw error;
  }
}

async function begin(scene: Scene, command: Command): Promise<Effect<Outcome>> {
  switch (command.kind) {
    case "read":
      return onceTold(scene, () => performRead(scene, command));
    case "resolve":
      return onceTold(scene, () => performResolve(scene, command));
    case "resolve_date":
      return onceTold(scene, () => performResolveDate(scene, command));
    case "email":
      return performEmail(scene, command);
    case "slack":
      return performSlack(scene, command);
    case "task":
      return performTask(scene, command);
    case "task_tighten":
      return performTighten(scene, command);
    case "milestone":
      return performMilestone(scene, command);
    case "set":
      return performSet(scene, command);
    case "risk":
    case "opportunity":
      return performConcern(scene, command);
    case "health":
      return performHealth(scene);
    case "play":
      return performPlay(scene, command);
    case "email_withdraw":
      return heardFirst(scene, () => performWithdraw(scene, command));
    case "task_withdraw":
      return onceTold(scene, () => performTaskWithdraw(scene, command));
    case "hold":
      return onceTold(scene, () => performHold(scene, command));
    case "park":
      return onceTold(scene, () => performPark(scene, command));
    case "leave":
      return onceTold(scene, () => performLeave(scene, command));
    // Nothing that arrives changes that a run ends.
    case "close":
      return performClose(scene, command);
  }
}

async function onceTold(scene: Scene, work: () => Promise<Outcome>): Promise<Effect<Outcome>> {
  return heardFirst(scene, async () => ({ kind: "outcome", outcome: await work() }));
}

/** Takes no lock for the look; but a run that must hear of something decides and takes back nothing before. */
async function heardFirst(scene: Scene, work: () => Promise<Effect<Outcome>>): Promise<Effect<Outcome>> {
  const events = await scene.ports.store.read((tx) => scene.undelivered(tx));
  return events.length > 0 ? { kind: "events", events } : work();
}
