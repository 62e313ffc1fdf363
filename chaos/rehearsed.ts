import { type ExpectedLine, type ExpectedRun, lineOf } from "./load.js";

/** One line of a run's timeline, as the database has it. */
export interface Line {
  readonly run_id: string;
  readonly seq: number;
  readonly kind: string;
  readonly step: string | null;
  /** Domain time, epoch milliseconds. */
  readonly at: number;
  readonly detail: Record<string, unknown> | null;
}

/** From when on the simulator can't know what an account's runs did, and why: something befell them that it knows nothing of. */
export interface Unclear {
  readonly account: string;
  readonly at: number;
  readonly why: string;
}

export interface Comparison {
  /** Runs that went as the simulator says, from beginning to end. */
  readonly compared: number;
  /** Of the others: up to what they were compared, and how many. */
  readonly comparedUpTo: Readonly<Record<string, number>>;
  readonly broken: readonly {
    readonly what: string;
    readonly run: string;
    readonly account: string;
    readonly detail?: string;
    readonly story?: { readonly real: readonly string[]; readonly rehearsed: readonly string[] };
  }[];
}

/**
 * Holds every run to what the simulator says of it. Where something befell an account that the simulator knows nothing of, its runs may still have gone
 * the same way, but for what befell them; if not, they are held to it up to then.
 */
export function asRehearsed(all: {
  readonly expected: ReadonlyMap<string, ExpectedRun>;
  /** The stories' accounts, and until when each story goes. */
  readonly accounts: ReadonlyMap<string, number>;
  readonly runs: readonly { readonly id: string; readonly account: string }[];
  readonly timelines: ReadonlyMap<string, readonly Line[]>;
  readonly unclear: readonly Unclear[];
}): Comparison {
  const { expected, accounts, runs, timelines } = all;
  const unclear = new Map<string, Unclear>();
  const note = (one: Unclear): void => {
    const known = unclear.get(one.account);
    if (known === undefined || one.at < known.at) unclear.set(one.account, one);
  };
  all.unclear.forEach(note);
  for (const { id, account } of runs)
    for (const line of timelines.get(id) ?? []) {
      const why = BEFALLS.get(line.kind);
      if (why === undefined || expected.get(id)?.lines.some(({ text }) => text.startsWith(line.kind))) continue;
      const heardOf = line.kind === "event.late" ? Number(line.detail?.["event_at"]) : line.at;
      note({ account, at: heardOf, why });
    }

  let compared = 0;
  const comparedUpTo: Record<string, number> = {};
  const broken: Comparison["broken"][number][] = [];
  for (const [run, { scenario, lines }] of expected) {
    const account = runs.find(({ id }) => id === run)?.account ?? run.split("/")[2] ?? "";
    const real = (timelines.get(run) ?? []).filter(({ at }) => at <= scenario.until);
    const have = real.map(lineOf);
    if (difference(lines, have) === undefined) {
      compared += 1;
      continue;
    }
    const from = unclear.get(account);
    const before = (list: readonly ExpectedLine[]) =>
      from === undefined ? list : list.filter(({ at }) => at < from.at);
    const detail = difference(before(lines), before(have));
    if (from !== undefined && detail === undefined) {
      comparedUpTo[from.why] = (comparedUpTo[from.why] ?? 0) + 1;
      continue;
    }
    const isThere = timelines.has(run);
    broken.push({
      what: isThere ? "not as rehearsed" : "a run that the simulator has, and nobody else",
      run,
      account,
      ...(isThere && detail !== undefined && { detail }),
      story: {
        real: real.map((line) => [said(lineOf(line)), line.detail?.["reason"]].filter(Boolean).join(": ")),
        rehearsed: lines.map(said),
      },
    });
  }
  for (const { id, account } of runs) {
    const until = accounts.get(account);
    const began = timelines.get(id)?.[0]?.at ?? 0;
    if (until === undefined || expected.has(id) || began > Math.min(until, unclear.get(account)?.at ?? until)) continue;
    broken.push({ what: "a run that the simulator doesn't have", run: id, account });
  }
  return { compared, comparedUpTo, broken };
}

/** What a refusal, a loss that nobody can tell, a channel that is gone, or word that came late leaves in a timeline. */
const BEFALLS: ReadonlyMap<string, string> = new Map([
  ["email.rejected", "a message that was refused"],
  ["email.unknown", "a message of unknown fate"],
  ["run.parked", "a run that was parked"],
  ["step.failed", "a run that was parked"],
  ["run.skipped", "a run that was parked"],
  ["run.retried", "a run that was parked"],
  ["event.late", "word that came late"],
]);

/** The first line that differs; undefined: none. */
function difference(rehearsed: readonly ExpectedLine[], real: readonly ExpectedLine[]): string | undefined {
  const [want, have] = [told(rehearsed), told(real)];
  const at = Array.from({ length: Math.max(have.length, want.length) }, (_, i) => i).find((i) => have[i] !== want[i]);
  return at === undefined
    ? undefined
    : `line ${at + 1}: rehearsed "${want[at] ?? "nothing"}", was "${have[at] ?? "nothing"}" (${have.length} of ${want.length} lines)`;
}

/** A further trigger that fell due is brought by the poller, in real time: between which lines it comes is nobody's promise. */
const NOT_COMPARED = /^(run\.triggered_again|event\.late)/;

/** A mail that was refused, or that nobody can tell of, stands where the simulator's went. */
function told(lines: readonly ExpectedLine[]): readonly string[] {
  return lines
    .map(({ text }) => text.replace(/^email\.(rejected|unknown) /, "email.sent "))
    .filter((text) => !NOT_COMPARED.test(text));
}

function said({ at, text }: ExpectedLine): string {
  return `${new Date(at).toISOString().slice(5, 19)} ${text}`;
}
