import type { HealthModel } from "../customers/health-model.js";
import type { Blocker, LogicalOrder, OrderStore, Turn } from "../ports/order.js";
import type { Ports } from "../ports/store.js";
import type { Instant } from "../values/instant.js";
import { DAY_MS } from "../values/instant.js";
import { msOfTime } from "../values/time-of-day.js";
import { SWEEP } from "./sweep-health.js";

export interface InOrderOptions {
  readonly ports: Pick<Ports, "store">;
  readonly order: OrderStore;
  /** Told that somebody waits for such a thing: whoever does it looks at once. */
  readonly onBlocked: (kind: Exclude<Blocker["kind"], "told">) => void;
  /** Told of something that nobody has done for so long that it is no longer waited for. */
  readonly onGivenUp: (blocker: Blocker) => void;
  /** For tests. Default `PATIENCE_MS`. */
  readonly patienceMs?: number;
}

/** Whatever keeps others waiting for so long, real milliseconds, keeps them waiting no longer: it failed, or was lost. */
export const PATIENCE_MS = 60_000;

/** Who waits looks again so often, besides when something moved in this process: other processes move things, too. */
const LOOK_EVERY_MS = 250;
/** And who waits for a later day, whom only something of their own account can concern, so often. */
const FAR_LOOK_EVERY_MS = 3_000;

/** How long the time of the daily evaluation, and how far it was, are believed: it only ever gets further. */
const MODEL_MS = 1_000;
const SWEPT_MS = 50;

/** Longest list of what is no longer waited for. */
const GIVEN_UP_MAX = 1_000;

/**
 * Domain time as an order, over all processes: everything asks the store what is not done yet. Nothing waits for ever: `PATIENCE_MS`.
 */
export function inOrder(options: InOrderOptions): LogicalOrder {
  const { order, ports } = options;
  const { store } = ports;
  const patienceMs = options.patienceMs ?? PATIENCE_MS;
  const waiting: Waiting = new Map();
  const since = new Map<string, number>();
  const givenUp = new Set<string>();
  let swept: { readonly last: Awaited<ReturnType<OrderStore["swept"]>>; readonly until: number } | undefined;
  let dailyAt: { readonly at: string | undefined; readonly until: number } | undefined;

  async function blockerOf(turn: Turn): Promise<Blocker | undefined> {
    const sweep = turn.rank === "sweep" ? undefined : await sweepBefore(turn);
    // A run may have been told of something all the same.
    const first =
      sweep !== undefined && turn.runId === undefined
        ? undefined
        : await store.read((tx) => order.before(tx, turn, [...givenUp]));
    const blocker = first?.kind === "told" ? first : (sweep ?? first);
    if (blocker === undefined || blocker.kind === "told") return blocker;
    const name = `${blocker.kind} ${blocker.id} ${blocker.at}`;
    const firstSeen = since.get(name) ?? performance.now();
    since.set(name, firstSeen);
    if (since.size > GIVEN_UP_MAX) since.delete(since.keys().next().value as string);
    // The sweep is a fault of the whole installation: that is told elsewhere, and is waited for.
    if (performance.now() - firstSeen < patienceMs || blocker.kind === "sweep" || givenUp.size >= GIVEN_UP_MAX)
      return blocker;
    givenUp.add(blocker.id);
    options.onGivenUp(blocker);
    return blockerOf(turn);
  }

  async function sweepBefore(turn: Pick<Turn, "rank" | "at">): Promise<Blocker | undefined> {
    if (dailyAt === undefined || dailyAt.until < performance.now()) {
      const model = await store.read((tx) => store.playbooks.configuration<HealthModel>(tx, "health"));
      dailyAt = { at: model?.evaluate.dailyAt, until: performance.now() + MODEL_MS };
    }
    if (dailyAt.at === undefined) return undefined;
    if (swept === undefined || swept.until < performance.now())
      swept = { last: await store.read((tx) => order.swept(tx, SWEEP)), until: performance.now() + SWEPT_MS };
    const { last } = swept;
    // The very first one only evaluates the latest instant: before that there is no order to keep.
    if (last === undefined) return undefined;
    const at = last.isDone ? nextDaily(last.at, msOfTime(dailyAt.at)) : last.at;
    const isLater = turn.rank === "event" ? at >= turn.at : at > turn.at;
    return isLater ? undefined : { kind: "sweep", id: SWEEP, at };
  }

  async function lookAgain(turn: Turn): Promise<"turn" | "told" | "wait"> {
    const blocker = await blockerOf(turn);
    if (blocker === undefined) return "turn";
    if (blocker.kind === "told") return "told";
    options.onBlocked(blocker.kind);
    return "wait";
  }

  return {
    store: order,
    first: blockerOf,
    isTurn: async (turn) => (await lookAgain(turn)) === "turn",
    async horizon() {
      const sweep = await sweepBefore({ rank: "run", at: Number.MAX_SAFE_INTEGER });
      return sweep?.at;
    },
    async untilTurn(turn, waitMs) {
      const until = performance.now() + waitMs;
      let lookAt = 0;
      for (;;) {
        const move = nextMove(waiting, turn.accountId ?? "", LOOK_EVERY_MS);
        try {
          // Days before its turn only what its own account does can concern it.
          const isFar = performance.now() < lookAt && (await sweepBefore(turn)) !== undefined;
          if (!isFar) {
            if ((await lookAgain(turn)) !== "wait") return true;
            lookAt = performance.now() + FAR_LOOK_EVERY_MS;
          }
          if (performance.now() >= until) return false;
          if ((await move.promise) === "account") lookAt = 0;
        } finally {
          move.end();
        }
      }
    },
    moved(accountId) {
      if (accountId === undefined) swept = undefined;
      const accounts = accountId === undefined ? [...waiting.keys()] : [accountId];
      const why = accountId === undefined ? "all" : "account";
      for (const account of accounts) for (const look of waiting.get(account) ?? []) look(why);
    },
  };
}

/** The first daily instant after this one. */
function nextDaily(at: Instant, ofDay: number): Instant {
  return Math.floor((at - ofDay) / DAY_MS + 1) * DAY_MS + ofDay;
}

/** Why one looks again: something of the account moved, of everybody, or it is time. */
type Why = "account" | "all" | "time";

type Look = (why: Why) => void;

/** Who waits, by account. */
type Waiting = Map<string, Set<Look>>;

/** From now on: fulfilled by the next move of the account, or after so long. */
function nextMove(
  waiting: Waiting,
  account: string,
  mostMs: number,
): { readonly promise: Promise<Why>; readonly end: () => void } {
  const all = waiting.get(account) ?? new Set<Look>();
  waiting.set(account, all);
  let look: Look = () => {};
  const promise = new Promise<Why>((resolve) => {
    look = resolve;
  });
  const timer = setTimeout(() => look("time"), mostMs);
  all.add(look);
  return {
    promise,
    end() {
      clearTimeout(timer);
      all.delete(look);
      if (all.size === 0 && waiting.get(account) === all) waiting.delete(account);
    },
  };
}
