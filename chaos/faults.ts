import type { Behaviour } from "../src/local/mailbox-behaviours.js";
import type { DeskBehaviour } from "../src/local/desk-behaviours.js";
import type { Random } from "./random.js";

/** One stroke: what, and how many real milliseconds after the beginning. */
export type Fault = { readonly atMs: number } & (
  | { readonly kind: "kill"; readonly who: Victim }
  | { readonly kind: "freeze"; readonly who: Victim; readonly ms: number }
  | { readonly kind: "die"; readonly who: Victim; readonly point: string; readonly time: number }
  | { readonly kind: "clock"; readonly who: Victim; readonly hours: number }
  | { readonly kind: "postgres" | "temporal"; readonly awayMs: number }
  | { readonly kind: "smtp"; readonly name: string; readonly behaviour: Behaviour }
  | { readonly kind: "slack"; readonly name: string; readonly behaviour: DeskBehaviour }
  | { readonly kind: "events"; readonly name: "again" | "reversed" | "at once" }
);

export type Victim = "worker-1" | "worker-2" | "server";

/** The places of `chaos/hook/points.mjs`, and who comes by them. */
export const POINTS: readonly { readonly point: string; readonly who: "worker" | "server"; readonly upTo: number }[] = [
  { point: "claim", who: "worker", upTo: 12 },
  { point: "claimed", who: "worker", upTo: 12 },
  { point: "data", who: "worker", upTo: 6 },
  { point: "wired", who: "worker", upTo: 8 },
  { point: "half-body", who: "worker", upTo: 6 },
  { point: "accepted", who: "worker", upTo: 8 },
  { point: "slack-accepted", who: "worker", upTo: 4 },
  { point: "settled", who: "worker", upTo: 8 },
  { point: "dispatch-signalled", who: "worker", upTo: 12 },
  { point: "dispatch-enrolled", who: "worker", upTo: 4 },
  { point: "stretch-written", who: "worker", upTo: 15 },
  { point: "event-appended", who: "server", upTo: 3 },
];

/** Of a hundred faults, so many of each: a fifth are ends and freezes of processes. */
const SHARES: readonly (readonly [share: number, make: (random: Random) => DistributiveOmit<Fault, "atMs">])[] = [
  [9, (random) => ({ kind: "kill", who: random.pick(["worker-1", "worker-2"] as const) })],
  [2, () => ({ kind: "kill", who: "server" })],
  [
    3,
    (random) => ({
      kind: "freeze",
      who: random.pick(["worker-1", "worker-2"] as const),
      // Past every lease: a claim's and a workflow task's are 10 s, the longest on the wire is Slack's, 13.4 s.
      ms: random.between(14_000, 17_000),
    }),
  ],
  [
    6,
    (random) => {
      const { point, who, upTo } = random.pick(POINTS);
      const victim: Victim = who === "server" ? "server" : random.pick(["worker-1", "worker-2"] as const);
      return { kind: "die", who: victim, point, time: 1 + random.below(upTo) };
    },
  ],
  [
    2,
    (random) => ({ kind: "clock", who: random.pick(["worker-1", "worker-2"] as const), hours: random.pick([-1, 1]) }),
  ],
  [1, (random) => ({ kind: "postgres", awayMs: random.between(300, 2_500) })],
  [1, (random) => ({ kind: "temporal", awayMs: random.between(300, 2_500) })],
  [8, () => smtp("4xx", { kind: "reply", at: "recipient", reply: "451 4.7.1 Later", times: 1 })],
  [5, () => smtp("4xx after the dot", { kind: "reply", at: "body", reply: "452 4.3.1 Full", times: 1 })],
  [1, () => smtp("5xx", { kind: "reply", at: "body", reply: "554 5.6.0 No", times: 1 })],
  [8, () => smtp("drop before DATA", { kind: "drop", at: "recipient", times: 1 })],
  [9, () => smtp("drop after the dot, taken", { kind: "drop", at: "body", kept: true, times: 1 })],
  [7, () => smtp("drop after the dot, lost", { kind: "drop", at: "body", kept: false, times: 1 })],
  [
    4,
    (random) =>
      smtp("tarpit", { kind: "delay", at: "body", delayMs: Math.round(random.between(1_000, 8_000)), times: 1 }),
  ],
  [5, () => slack("429", { kind: "limit", retryAfterSeconds: 1 })],
  [2, () => slack("429 without a time", { kind: "limit_without_header" })],
  [5, () => slack("503", { kind: "status", status: 503 })],
  [5, () => slack("503 after accept", { kind: "status", status: 503, accepted: true })],
  [3, () => slack("drop", { kind: "drop" })],
  [6, () => slack("drop after accept", { kind: "drop", accepted: true })],
  [2, (random) => slack("late", { kind: "delay", delayMs: Math.round(random.between(1_000, 9_000)) })],
  [1, () => slack("deleted channel", { kind: "error", error: "channel_not_found" })],
  [2, () => ({ kind: "events", name: "again" })],
  [2, () => ({ kind: "events", name: "reversed" })],
  [1, () => ({ kind: "events", name: "at once" })],
];

/** So many faults over so long, the same for the same random numbers: what strikes when, never what it meets. */
export function scheduleOf(random: Random, count: number, durationMs: number): readonly Fault[] {
  const whole = SHARES.reduce((sum, [share]) => sum + share, 0);
  // Shares are kept to in number, so that no seed is without a kind; their order is drawn.
  const bag = SHARES.flatMap(([share, make]) => {
    const exact = (share / whole) * count;
    const whole_ = Math.floor(exact) + (random.next() < exact - Math.floor(exact) ? 1 : 0);
    return Array.from({ length: whole_ }, () => make);
  });
  while (bag.length < count) bag.push((SHARES[7] as (typeof SHARES)[number])[1]);
  const drawn = random.shuffle(bag).slice(0, count);
  return drawn
    .map((make) => ({ ...make(random), atMs: Math.round(random.next() * durationMs) }) as Fault)
    .sort((a, b) => a.atMs - b.atMs);
}

/** For the record: `kill worker`, `smtp 4xx`, `die half-body`. */
export function nameOf(fault: Fault): string {
  switch (fault.kind) {
    case "kill":
      return `kill ${fault.who === "server" ? "server" : "worker"}`;
    case "freeze":
      return "freeze worker";
    case "die":
      return `die ${fault.point}`;
    case "clock":
      return "clock wrong by an hour";
    case "postgres":
    case "temporal":
      return `kill ${fault.kind}`;
    case "smtp":
    case "slack":
      return `${fault.kind} ${fault.name}`;
    case "events":
      return `events ${fault.name}`;
  }
}

/** Whether a process was ended or frozen. */
export function isOfProcess(fault: Fault): boolean {
  return ["kill", "freeze", "die", "clock", "postgres", "temporal"].includes(fault.kind);
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

function smtp(name: string, behaviour: Behaviour): DistributiveOmit<Fault, "atMs"> {
  return { kind: "smtp", name, behaviour };
}

function slack(name: string, behaviour: DeskBehaviour): DistributiveOmit<Fault, "atMs"> {
  return { kind: "slack", name, behaviour };
}
