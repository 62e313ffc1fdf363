import { type Command, isPlain, type Outcome } from "../engine/command.js";
import type { RunEvent } from "../engine/event.js";
import type { PerformRequest, PerformResponse } from "../engine/perform.js";
import type { Plan } from "../engine/plan.js";
import type { LogicalOrder } from "../ports/order.js";
import type { RunRow, RunStatus } from "../ports/runs.js";
import type { Instant } from "../values/instant.js";
import { eventScopeOf } from "./event-scope.js";
import type { Tx } from "../ports/transactions.js";
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
import { type Effect, RunHasEnded, type Scene, sceneOf } from "./scene.js";

/** How a call differs from the usual one. */
export interface PerformOptions {
  /** Real milliseconds in all; default `settings.budgetMs`. The activity that retries one delivery may take longer. */
  readonly budgetMs?: number;
  /** Real milliseconds that it may wait for its turn before that, where domain time is an order; default: half of `budgetMs`. */
  readonly turnMs?: number;
}

/**
 * Answers a run's `perform` from the store, the mail server and Slack. If events wait for it, they
 * are handed over and nothing is begun or written; else what the run brings along is written first, then the commands in order, each claimed under the account's lock, as far as the time goes. May be
 * repeated at will, by several workers at once: every effect has a key, and finds what it did before. For a run that has ended nothing is begun
 * (`ended`) but its end repeated.
 *
 * `retry.notBefore` is real time (epoch milliseconds of this process's clock), whatever the domain's clock. Throws `StoreUnavailable`, and
 * Error for a run or plan that the store doesn't have.
 */
export async function performRequest(
  ports: PerformPorts,
  request: PerformRequest,
  options: PerformOptions = {},
): Promise<PerformResponse> {
  try {
    return await performLive(ports, request, options);
  } catch (error) {
    if (error instanceof RunHasEnded) return { events: [], outcomes: {}, ended: error.outcome };
    throw error;
  }
}

async function performLive(
  ports: PerformPorts,
  request: PerformRequest,
  options: PerformOptions,
): Promise<PerformResponse> {
  const budgetMs = options.budgetMs ?? ports.settings.budgetMs;
  const { store } = ports;
  const beganAt = performance.now();
  const accountId = ports.order && (await untilTurnOf(ports, ports.order, request, options.turnMs ?? budgetMs / 2));
  const deadline = (options.turnMs === undefined ? beganAt : performance.now()) + budgetMs;
  const { run, plan, events } = await store.transaction(async (tx) => {
    // Whoever tells a run of something holds the lock: nothing is missed while it goes to rest.
    if (accountId !== undefined && request.rests !== undefined) await store.lockAccounts(tx, [accountId]);
    const row = await store.runs.get(tx, request.run);
    if (!row) throw new Error(`run ${request.run} is not in the store`);
    if (row.status === "ended" && !isEnding(request)) throw new RunHasEnded(row);
    const pinned = await store.playbooks.plan(tx, row.hash);
    if (!pinned) throw new Error(`run ${request.run}: its plan ${row.hash} is not in the store`);
    await store.events.confirm(tx, row.id, request.confirm);
    const found = await sceneOf(ports, row, pinned, request.asOf, deadline, request.have).undelivered(tx);
    // A run that must hear of something first may think again: what it was about to write did not happen yet. Unless an attempt before this one,
    // whose answer was lost, has written it.
    const waiting = found.length > 0 && (isEnding(request) || (await isWritten(ports, tx, request))) ? [] : found;
    if (waiting.length === 0) {
      const { position, entries } = request;
      // A workflow task that is lost behind its `leave` is walked again from before: what was taken back stays so, and the run is on its way out.
      const status = row.status === "exiting" ? "exiting" : (request.status as RunStatus);
      await store.runs.record(tx, row.id, { status, position, entries, confirm: [] });
      if (row.parked && status !== "parked") await store.runs.park(tx, row.id, undefined);
    }
    // Whoever held it (an operator, or a playbook that told it so): what fell due meanwhile is spaced from here on.
    if (waiting.length === 0 && row.status === "held" && request.status === "running") {
      await store.runs.released(tx, row.id, request.asOf);
      return { run: { ...row, releasedAt: request.asOf }, plan: pinned, events: waiting };
    }
    if (waiting.length === 0 && ports.order !== undefined && request.rests !== undefined)
      await rest(ports, ports.order, tx, row, pinned, request.rests, request.have);
    return { run: row, plan: pinned, events: waiting };
  });
  if (ports.order !== undefined && (request.rests !== undefined || events.length > 0)) ports.order.moved(run.accountId);
  if (events.length > 0) return { events, outcomes: {} };

  const scene = sceneOf(ports, run, plan, request.asOf, deadline, request.have, request.position);
  const outcomes: Record<string, Outcome> = {};
  let isAllPlain = true;
  for (const [index, command] of request.commands.entries()) {
    if (index > 0 && scene.leftMs() === 0) break;
    if (command.speculative === true && !isAllPlain) break;
    scene.turnTo(command);
    // The first is asked right after the look above.
    const effect = await begin(scene, command, index > 0);
    if (effect.kind === "events") return { events: effect.events, outcomes, isWritten: true };
    if (effect.kind === "retry") {
      return { events: [], outcomes, retry: { key: command.key, notBefore: Date.now() + effect.afterMs } };
    }
    outcomes[command.key] = effect.outcome;
    if ("at" in effect.outcome && effect.outcome.at !== undefined && effect.outcome.kind !== "resolved")
      scene.moveTo(effect.outcome.at);
    isAllPlain &&= isPlain(command, effect.outcome);
  }
  return { events: [], outcomes };
}

/** Everything that comes before this run's instant is done, or the run has to hear of something first; the run's account. Throws `NotYetItsTurn`. */
async function untilTurnOf(
  ports: PerformPorts,
  order: LogicalOrder,
  request: PerformRequest,
  waitMs: number,
): Promise<string | undefined> {
  const { store } = ports;
  const { run: runId, asOf: at } = request;
  const { accountId, isWaiting } = await store.read(async (tx) => {
    const row = await store.runs.get(tx, runId);
    const accountId = row?.accountId;
    if (row === undefined || row.status === "ended") return { accountId, isWaiting: false };
    const plan = isEnding(request) ? undefined : await store.playbooks.plan(tx, row.hash);
    const found = plan === undefined ? [] : await tellable(store, tx, row, plan, at, request.have);
    if (found.length > 0) return { accountId, isWaiting: false };
    await order.store.wakes(tx, runId, at);
    return { accountId, isWaiting: true };
  });
  if (!isWaiting) return accountId;
  if (!(await order.untilTurn({ rank: "run", at, accountId, runId }, waitMs))) throw new NotYetItsTurn(runId);
  return accountId;
}

/** Something that comes earlier is not done yet; to be called again. */
export class NotYetItsTurn extends Error {
  constructor(runId: string) {
    super(`run ${runId}: something that comes earlier is not done yet`);
    this.name = "NotYetItsTurn";
  }
}

/** Events for the run that it has not been handed, up to the instant. */
async function tellable(
  store: PerformPorts["store"],
  tx: Tx,
  run: RunRow,
  plan: Plan,
  until: Instant,
  have: PerformRequest["have"],
): Promise<readonly RunEvent[]> {
  const found = await store.events.undelivered(tx, eventScopeOf(run, plan), until, 1 + (have?.length ?? 0));
  return found.filter(({ id }) => have?.includes(id) !== true);
}

/** As good as never. */
const LAST_INSTANT = Date.UTC(9999, 0, 1);

/** The run has nothing to do until then; unless something is on its way to it. */
async function rest(
  { store }: PerformPorts,
  order: LogicalOrder,
  tx: Tx,
  run: RunRow,
  plan: Plan,
  until: Instant | null,
  have: PerformRequest["have"],
): Promise<void> {
  const [event] = await tellable(store, tx, run, plan, until ?? LAST_INSTANT, have);
  await order.store.rests(tx, run.id, event === undefined ? until : Math.min(event.at, until ?? event.at));
}

async function isWritten({ store }: PerformPorts, tx: Tx, { run, entries }: PerformRequest): Promise<boolean> {
  const [first] = entries;
  return first !== undefined && (await store.runs.timeline(tx, run, first.seq - 1)).length > 0;
}

/** Its end is written already, or is about to be: nothing that arrives changes that. */
function isEnding({ commands }: PerformRequest): boolean {
  return commands.length > 0 && commands.every(({ kind }) => kind === "close");
}

async function begin(scene: Scene, command: Command, mustLook: boolean): Promise<Effect<Outcome>> {
  switch (command.kind) {
    case "read":
      return onceTold(scene, mustLook, () => performRead(scene, command));
    case "resolve":
      return onceTold(scene, mustLook, () => performResolve(scene, command));
    case "resolve_date":
      return onceTold(scene, mustLook, () => performResolveDate(scene, command));
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
      return onceTold(scene, mustLook, () => performWithdraw(scene, command));
    case "task_withdraw":
      return onceTold(scene, mustLook, () => performTaskWithdraw(scene, command));
    case "hold":
      return onceTold(scene, mustLook, () => performHold(scene, command));
    case "park":
      return onceTold(scene, mustLook, () => performPark(scene, command));
    case "leave":
      return onceTold(scene, mustLook, () => performLeave(scene, command));
    // Nothing that arrives changes that a run ends.
    case "close":
      return { kind: "outcome", outcome: await performClose(scene, command) };
  }
}

/** Takes no lock for the look; but a run that must hear of something decides and takes back nothing before. */
async function onceTold(scene: Scene, mustLook: boolean, work: () => Promise<Outcome>): Promise<Effect<Outcome>> {
  const events: readonly RunEvent[] = mustLook ? await scene.ports.store.read((tx) => scene.undelivered(tx)) : [];
  return events.length > 0 ? { kind: "events", events } : { kind: "outcome", outcome: await work() };
}
