import postgres from "postgres";
import type { DeskMessage } from "../src/local/desk-workspace.js";
import type { MailboxMessage } from "../src/local/mailbox-messages.js";
import { type Load, PING_LINES } from "./load.js";
import type { People } from "./people.js";
import { asRehearsed, type Line } from "./rehearsed.js";

/** One promise that was not kept. */
export interface Broken {
  readonly what: string;
  readonly run?: string | null;
  readonly key?: string;
  readonly detail?: string;
  /** Of a run that went otherwise: what it was told and when that came, its lines, and those of the simulator. */
  readonly story?: {
    readonly events: readonly string[];
    readonly real: readonly string[];
    readonly rehearsed: readonly string[];
  };
  /** When it showed, real time; absent: only in the end. */
  readonly at?: number;
}

export interface Verdict {
  readonly runs: number;
  readonly ended: number;
  /** Mails and Slack messages that arrived, by different keys. */
  readonly deliveries: number;
  readonly doubled: number;
  /** Of these. */
  readonly doubledMails: number;
  readonly lost: number;
  /** That nobody knew of in the end, each with a task or a run that waits for a person. */
  readonly unknown: number;
  /** Of these: whose answer the mail server kept back, and whose sender was taken away. */
  readonly unknownBy: { readonly answer: number; readonly sender: number };
  /** Runs that the simulator has; those that went as it says from beginning to end; and of the others, up to what they were compared: how many. */
  readonly rehearsed: number;
  readonly compared: number;
  readonly comparedUpTo: Readonly<Record<string, number>>;
  readonly accepted: number;
  /** Of live runs. */
  readonly stepsMissing: number;
  readonly pings: number;
  readonly broken: readonly Broken[];
}

/** What the oracle looks at: logs of the mail server and of Slack, what people posted, and the database, by statements of its own. */
export interface Evidence {
  readonly databaseUrl: string;
  readonly mails: readonly MailboxMessage[];
  readonly posts: readonly DeskMessage[];
  /** Real time of each arrival, by the mail's number. */
  readonly arrivedAt: ReadonlyMap<number, number>;
  readonly load: Load;
  readonly people: People;
  /** Until when the domain's clock has certainly come. */
  readonly now: number;
  readonly canBeAsked: boolean;
  /** By delivery: of each time that the mail server had it whole, after how long it answered, real milliseconds; undefined: never. */
  readonly answers: ReadonlyMap<string, readonly (number | undefined)[]>;
  /** When what sends mail, or what it writes to, was taken away: real time. */
  readonly interruptions: readonly { readonly at: number; readonly until?: number }[];
}

interface Row {
  key: string;
  id: string;
  channel: "email" | "slack";
  run_id: string | null;
  account_id: string | null;
  effect_key: string;
  step: string | null;
  contact_id: string | null;
  recipient: string | null;
  category: string | null;
  status: string;
  reason: string | null;
  sent: number | null;
  deferred: number | null;
  moves: boolean | null;
  created: number;
  /** Real time: of its last claim's end, and of when it is looked for. */
  leased: number | null;
  wired: number | null;
}

const ARRIVED_MEANS = ["sent", "resolved", "held", "unknown"];

/** Judges what a run of faults has left, from outside: none of the code that delivers is asked. */
export async function judge(evidence: Evidence): Promise<Verdict> {
  const sql = postgres(evidence.databaseUrl, { max: 2, onnotice: () => {} });
  try {
    return await judgeWith(sql, evidence);
  } finally {
    await sql.end({ timeout: 2 });
  }
}

async function judgeWith(sql: postgres.Sql, evidence: Evidence): Promise<Verdict> {
  const { mails, posts, load, people, arrivedAt } = evidence;
  const broken: Broken[] = [];
  const rows =
    (await sql`select key, id, channel, run_id, account_id, effect_key, step, contact_id, recipient, category, status, reason,
    extract(epoch from sent_at)::float8 * 1000 as sent, extract(epoch from deferred_until)::float8 * 1000 as deferred,
    extract(epoch from created_at)::float8 * 1000 as created,
    extract(epoch from lease_until)::float8 * 1000 as leased, extract(epoch from wire_until)::float8 * 1000 as wired,
    greatest(lease_until, wire_until, not_before) + interval '20 seconds' > clock_timestamp() as moves from deliveries`) as unknown as Row[];
  const byId = new Map(rows.map((row) => [row.id, row]));

  // ── no message twice ──
  let doubled = 0;
  const seenMails = new Map<string, MailboxMessage>();
  for (const mail of mails) {
    const id = mail.deliveryId ?? "";
    const first = seenMails.get(id);
    if (first === undefined) {
      seenMails.set(id, mail);
      continue;
    }
    doubled += 1;
    const row = byId.get(id);
    broken.push(
      withoutUndefined({
        what: "mail doubled",
        run: row?.run_id ?? null,
        key: row?.key ?? id,
        at: arrivedAt.get(mail.number),
      }),
    );
  }
  const seenPosts = new Map<string, DeskMessage>();
  for (const post of posts) {
    if (post.deliveryId === undefined) {
      broken.push({ what: "Slack message without a key", detail: post.text.slice(0, 60), at: post.postedAt });
      continue;
    }
    const row = byId.get(post.deliveryId);
    if (!seenPosts.has(post.deliveryId)) seenPosts.set(post.deliveryId, post);
    else {
      doubled += 1;
      broken.push({
        what: "Slack message doubled",
        run: row?.run_id ?? null,
        key: row?.key ?? post.deliveryId,
        at: post.postedAt,
      });
    }
  }
  for (const list of grouped(
    rows.filter(({ run_id }) => run_id !== null),
    (row) => `${row.run_id}|${row.effect_key}|${row.channel}|${row.contact_id ?? row.recipient}`,
  ).values()) {
    const arrived = list.filter((row) => seenMails.has(row.id) || seenPosts.has(row.id));
    if (arrived.length < 2) continue;
    doubled += arrived.length - 1;
    broken.push({
      what: "one effect, two keys",
      run: list[0]?.run_id ?? null,
      key: arrived.map(({ key }) => key).join(" and "),
    });
  }

  // ── none lost, none from nowhere ──
  let lost = 0;
  let unknown = 0;
  const unknownBy = { answer: 0, sender: 0 };
  const parked = new Map(
    (await sql`select id, parked from runs where parked is not null`).map((row) => [
      row.id as string,
      row.parked as unknown,
    ]),
  );
  const tasksText = (await sql`select run_id, effect_key, step, key, title, text, status from tasks`) as unknown as {
    run_id: string;
    effect_key: string;
    step: string;
    key: string;
    title: string;
    text: string | null;
    status: string;
  }[];
  for (const row of rows) {
    const hasArrived = row.channel === "email" ? seenMails.has(row.id) : seenPosts.has(row.id);
    if (row.status === "sent" && !hasArrived) {
      lost += 1;
      broken.push({ what: "said to be sent, never arrived", run: row.run_id, key: row.key });
    }
    if (hasArrived && !ARRIVED_MEANS.includes(row.status) && !(isDaily(row) && row.moves === true))
      broken.push({ what: `arrived, but is ${row.status}`, run: row.run_id, key: row.key, detail: row.reason ?? "" });
    // What our own people are sent comes every morning of the domain, and is always on its way.
    if (isDaily(row) && row.moves === true) continue;
    if (
      ["claimed", "wire", "retry"].includes(row.status) ||
      // A parked run waits for a person, and its mail with it.
      (row.status === "pending" &&
        (row.deferred ?? (isDaily(row) ? Number.POSITIVE_INFINITY : row.created)) < evidence.now &&
        !parked.has(row.run_id ?? ""))
    ) {
      lost += 1;
      broken.push({ what: `left as ${row.status}`, run: row.run_id, key: row.key, detail: row.reason ?? "" });
    }
    if (row.status === "unknown" || row.status === "held") {
      unknown += 1;
      const isShown =
        row.run_id === null ||
        parked.has(row.run_id) ||
        tasksText.some(
          (task) =>
            task.effect_key.includes(row.id) ||
            task.effect_key.includes(row.key) ||
            // A nudge that nobody can look for is shown with what it was about.
            (row.channel === "slack" && task.run_id === row.run_id && task.status === "open"),
        );
      if (!isShown) broken.push({ what: "unknown, and nobody is shown it", run: row.run_id, key: row.key });
      const cause = row.channel === "email" ? causeOf(row, evidence) : "sender";
      if (cause === undefined)
        broken.push({ what: "unknown without a fault between wire and answer", run: row.run_id, key: row.key });
      else unknownBy[cause] += 1;
      if (evidence.canBeAsked)
        broken.push({
          what: "unknown, though the server can be asked",
          run: row.run_id,
          key: row.key,
          detail: row.reason ?? "",
        });
    }
  }
  for (const [id, mail] of seenMails)
    if (!byId.has(id)) broken.push({ what: "a mail that no row knows", key: id, detail: mail.subject });

  // ── tasks ──
  // A mail to several people may leave a task for each whose mail nobody knows about.
  const mailOf = (task: { effect_key: string }) => rows.find(({ key }) => task.effect_key.includes(key))?.key ?? "";
  for (const list of grouped(tasksText, (task) => `${task.run_id}|${task.step}|${task.key}|${mailOf(task)}`).values())
    if (list.length > 1) broken.push({ what: "task doubled", run: list[0]?.run_id ?? null, key: list[0]?.key ?? "" });

  // ── timelines ──
  const lines =
    (await sql`select run_id, seq, kind, step, extract(epoch from at)::float8 * 1000 as at, detail from timeline order by run_id, seq`) as unknown as Line[];
  const timelines = grouped(lines, (line) => line.run_id);
  const onExit = new Map(load.workspace.playbooks.map(({ plan }) => [plan.playbook, plan.onExit]));
  for (const [run, list] of timelines) {
    const gap = list.findIndex((line, i) => line.seq !== i + 1);
    if (gap >= 0) broken.push({ what: "timeline with a gap", run, detail: `at ${gap + 1}` });
    const back = list.findIndex((line, i) => i > 0 && line.at < (list[i - 1] as { at: number }).at);
    if (back >= 0) broken.push({ what: "timeline out of order", run, detail: `at ${back + 1}: ${list[back]?.kind}` });
    const left = list.findIndex(({ kind }) => ["run.exited", "run.goal_met", "run.stopped"].includes(kind));
    const rule = onExit.get(run.split("/")[1] ?? "");
    for (const line of left < 0 ? [] : list.slice(left + 1)) {
      if (line.kind !== "email.sent" || JSON.stringify(rule?.steps).includes(`"id":"${line.step}"`)) continue;
      // What was deferred before the exit, and is kept by the plan's own word.
      const wasDeferred = list.slice(0, left).some(({ kind, step }) => kind === "email.deferred" && step === line.step);
      if (rule?.deferredEmail === "keep" && wasDeferred) continue;
      broken.push({ what: "a mail after the exit", run, detail: line.step ?? "" });
    }
    if (list.filter(({ kind }) => kind === "run.ended").length > 1) broken.push({ what: "ended twice", run });
    const told = list.filter(({ kind }) => kind === "email.sent").length;
    const arrived = rows.filter(
      (row) => row.run_id === run && row.channel === "email" && row.status === "sent" && seenMails.has(row.id),
    ).length;
    if (told !== arrived && !parked.has(run) && list.at(-1)?.kind === "run.ended")
      broken.push({ what: "timeline and mailbox differ", run, detail: `${told} lines, ${arrived} mails` });
  }

  // ── suppression and cap ──
  const emails = new Map(
    (await sql`select id, lower(email) as email from contacts where email is not null`).map((row) => [
      row.id as string,
      row.email as string,
    ]),
  );
  const suppressed =
    (await sql`select email, category, reason, extract(epoch from at)::float8 * 1000 as at from suppressions`) as unknown as {
      email: string;
      category: string;
      reason: string;
      at: number;
    }[];
  const { policy } = load.workspace.configurations as unknown as {
    policy: {
      email: { cap: { messages: number; per: { amount: number; unit: string } } };
      categories: Record<string, { isCapped: boolean; canUnsubscribe: boolean }>;
    };
  };
  const sentMails = rows.filter((row) => row.channel === "email" && seenMails.has(row.id) && row.sent !== null);
  for (const row of sentMails) {
    const email = emails.get(row.contact_id ?? "");
    const by = suppressed.find(
      (one) =>
        one.email === email &&
        (one.category === row.category ||
          (one.category === "*" &&
            (one.reason !== "unsubscribed" || policy.categories[row.category ?? ""]?.canUnsubscribe))) &&
        one.at < (row.sent as number),
    );
    if (by !== undefined)
      broken.push({
        what: "a mail to a suppressed address",
        run: row.run_id,
        key: row.key,
        detail: `${by.reason} ${by.category}`,
      });
  }
  const { messages: cap, per } = policy.email.cap;
  if (per.unit !== "d") throw new Error("the oracle counts caps per days");
  const capped = grouped(
    sentMails.filter((row) => policy.categories[row.category ?? ""]?.isCapped),
    (row) => row.contact_id ?? "",
  );
  for (const [contact, list] of capped) {
    const at = list.map((row) => row.sent as number).sort((a, b) => a - b);
    for (const instant of at) {
      const within = at.filter((other) => other <= instant && other > instant - per.amount * 86_400_000).length;
      if (within > cap) broken.push({ what: "over the cap", key: contact, detail: `${within} in ${per.amount} d` });
    }
  }

  // ── events ──
  const events = new Map(
    (await sql`select id, status, extract(epoch from at)::float8 * 1000 as at from events`).map((row) => [
      row.id as string,
      row as unknown as { status: string; at: number },
    ]),
  );
  for (const id of people.accepted.keys()) {
    const event = events.get(id);
    if (event === undefined) broken.push({ what: "an accepted event is not there", key: id });
    else if (event.status !== "dispatched" && event.at < evidence.now)
      broken.push({ what: `an accepted event is ${event.status}`, key: id });
  }
  const runs =
    (await sql`select id, playbook, status, outcome, account_id, key, enrolled_by, position from runs`) as unknown as {
      id: string;
      playbook: string;
      status: string;
      outcome: string | null;
      account_id: string;
      key: string;
      enrolled_by: string | null;
      position: string[];
    }[];
  let stepsMissing = 0;
  const ofPing = grouped(
    runs.filter(({ playbook }) => playbook === "ping"),
    ({ enrolled_by }) => enrolled_by ?? "",
  );
  for (const [id] of people.pings) {
    const list = ofPing.get(id) ?? [];
    if (list.length !== 1) broken.push({ what: `an event that took effect ${list.length} times`, key: id });
  }
  for (const list of ofPing.values())
    for (const run of list) {
      const arrived = rows.filter(
        (row) => row.run_id === run.id && row.channel === "email" && seenMails.has(row.id),
      ).length;
      const excused =
        rows.some((row) => row.run_id === run.id && ["rejected", "unknown", "held", "resolved"].includes(row.status)) ||
        parked.has(run.id);
      if (run.status !== "ended" && !excused)
        broken.push({
          what: "a live run that did not end",
          run: run.id,
          detail: `${run.status} at ${run.position.join(", ")}`,
        });
      else if (arrived !== 2 && !excused) {
        lost += 1;
        broken.push({ what: "a live run without its mails", run: run.id, detail: `${arrived} of 2` });
      }
      const lines = (timelines.get(run.id) ?? []).map(({ kind, step }) => `${kind} ${step ?? ""}`.trimEnd());
      const missing = PING_LINES.filter((line) => !lines.some((have) => have.startsWith(line)));
      if (missing.length > 0 && !excused) {
        stepsMissing += missing.length;
        broken.push({ what: "a live run without its steps", run: run.id, detail: missing.join(", ") });
      }
    }

  // ── as rehearsed ──
  const rehearsal = asRehearsed({
    expected: load.expected,
    accounts: new Map(
      load.scenarios.flatMap(({ given, until }) => (given.accounts ?? []).map(({ id }) => [id, until] as const)),
    ),
    runs: runs.map(({ id, account_id }) => ({ id, account: account_id })),
    timelines,
    unclear: [
      // A task's message has no run; who never saw it doesn't act on it.
      ...rows
        .filter(({ status, account_id }) => account_id !== null && FATES.has(status))
        .map(({ account_id, created, status }) => ({
          account: account_id as string,
          at: created,
          why: FATES.get(status) as string,
        })),
      // What our own people are still at when it is judged, or came to when it was no longer to be done, comes too late in any case.
      ...(
        await sql`select t.id, t.account_id, t.status, extract(epoch from t.opened_at)::float8 * 1000 as opened,
          extract(epoch from t.closed_at)::float8 * 1000 as closed, extract(epoch from r.ended_at)::float8 * 1000 as over
          from tasks t left join runs r on r.id = t.run_id`
      ).flatMap(({ id, account_id, status, opened, closed, over }) => {
        const reactedAt = people.reactedAt.get(id as string) ?? evidence.now;
        // Taken back before they came; or their run, which was still on then by what they say, may have been over when they had done it.
        const isLate =
          status === "cancelled"
            ? reactedAt > (closed as number)
            : over !== null && (closed as number) < (over as number) && reactedAt >= (over as number);
        const why = (people.underWay.get(id as string) ?? 0) > 0 ? "somebody still at a task" : isLate ? TOO_LATE : "";
        return why === "" ? [] : [{ account: account_id as string, at: opened as number, why }];
      }),
    ],
  });
  for (const { account, story, ...one } of rehearsal.broken) {
    const told = await sql`select name, at, received_at, status, payload->>'step' as step, payload->>'status' as closed,
        (select count(*)::int from run_events r where r.event_id = events.id) as heard
        from events where account_id = ${account} and source in ('http', 'task', 'unsubscribe') and at > ${new Date(load.origin).toISOString()} order by at`;
    const events = told.map(
      ({ name, at, received_at, status, step, closed, heard }) =>
        `${name} ${[step, closed].filter(Boolean).join(" ")} ${iso(at)} (came ${iso(received_at)}, ${status}, heard by ${heard} runs)`,
    );
    broken.push({ ...one, ...(story && { story: { events, ...story } }) });
  }

  return {
    runs: runs.length,
    ended: runs.filter(({ status }) => status === "ended").length,
    deliveries: seenMails.size + seenPosts.size,
    doubled,
    doubledMails: broken.filter(({ what }) => what === "mail doubled").length,
    lost,
    unknown,
    unknownBy,
    rehearsed: load.expected.size,
    compared: rehearsal.compared,
    comparedUpTo: rehearsal.comparedUpTo,
    accepted: people.accepted.size,
    stepsMissing,
    pings: people.pings.size,
    broken,
  };
}

const TOO_LATE = "people who came when their task was no longer to be done";

/** What becomes of a message that the simulator knows nothing of. */
const FATES: ReadonlyMap<string, string> = new Map([
  ["rejected", "a message that was refused"],
  ["unknown", "a message of unknown fate"],
  ["held", "a message of unknown fate"],
  ["resolved", "a message of unknown fate"],
]);

/** What struck between wire and answer: the server kept its answer back, or who was to hear it was taken away. undefined: nothing did. */
function causeOf(row: Row, { answers, interruptions }: Evidence): "answer" | "sender" | undefined {
  if (answers.get(row.id)?.some((afterMs) => afterMs === undefined || afterMs > PATIENCE_MS)) return "answer";
  const from = (row.leased ?? 0) - LEASE_MS;
  const until = (row.wired ?? 0) - SLACKEN_MS;
  return interruptions.some((one) => one.at < until && (one.until ?? one.at) > from) ? "sender" : undefined;
}

/** The least that a sender waits for an answer here (3 s, less what went before); how long a claim is its own; how long after its sender has given up a mail is looked for. */
const PATIENCE_MS = 2_500;
const LEASE_MS = 10_000;
const SLACKEN_MS = 3_000;

function isDaily({ key }: Row): boolean {
  return /^(digest|overload)[|]/.test(key);
}

function iso(at: Date): string {
  return at.toISOString().slice(5, 19);
}

function grouped<T>(list: readonly T[], keyOf: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of list) {
    const key = keyOf(one);
    const group = groups.get(key);
    if (group) group.push(one);
    else groups.set(key, [one]);
  }
  return groups;
}

function withoutUndefined<T extends object>(value: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T;
}
