import { existsSync } from "node:fs";
import type { Command } from "commander";
import { otherRunProblem } from "../../../adapters/temporal/temporal-workflows.js";
import { ENROLMENTS_PER_HOUR_MAX } from "../../../engine/decide-enrol.js";
import { ALL_EMAIL, ALL_SENDS } from "../../../operations/kill-switches.js";
import type { RunRow } from "../../../ports/runs.js";
import { DAY_MS, formatInstant } from "../../../values/instant.js";
import { EnvironmentFault, KNOWN_VARIABLES, readEnvironment } from "../../environment.js";
import { createLogger } from "../../logger.js";
import { type Wired, wire } from "../../wire.js";
import { isZone } from "../../../values/zone.js";
import { AnswerNo, outputOf, table } from "../answer.js";
import { sourceEnvironment } from "../session.js";

interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly says: string;
  /** What to do about it. */
  readonly fix?: string;
}

/** `waypost doctor`: what this process would run on, and what is wrong with it. Changes nothing. */
export function registerDoctor(program: Command): void {
  program
    .command("doctor")
    .description("check the environment, Postgres, Temporal and what is published; changes nothing")
    .option("--reachable", "only whether Postgres and Temporal answer: for health checks")
    .option("--json", "{ ok, findings }")
    .action(async (options: { reachable?: boolean; json?: boolean }) => {
      const findings = await examine(options.reachable === true);
      const ok = findings.every((finding) => finding.ok);
      const text = table(
        ["", "WHAT", ""],
        findings.map(({ ok: isFine, what, says, fix }) => [
          isFine ? "ok" : "NO",
          what,
          fix === undefined ? says : `${says}  → ${fix}`,
        ]),
      );
      if (!ok) throw new AnswerNo(text, { ok, findings });
      outputOf(options.json === true).answer({ ok, findings }, text);
    });
}

/** How long one look may take, real milliseconds. */
const LOOK_MS = 5_000;

async function examine(isOnlyReachability: boolean): Promise<Finding[]> {
  const findings: Finding[] = [{ what: "Node", ok: true, says: process.version }];
  const source = sourceEnvironment();
  let environment: ReturnType<typeof readEnvironment>;
  try {
    environment = readEnvironment(source);
    const set = KNOWN_VARIABLES.filter((name) => environment[name] !== undefined);
    findings.push({ what: "environment", ok: true, says: set.length === 0 ? "nothing is set" : set.join(" ") });
  } catch (error) {
    if (!(error instanceof EnvironmentFault)) throw error;
    return [
      ...findings,
      ...error.problems.map(({ variable, message }) => ({
        what: variable,
        ok: false,
        says: message,
        fix: "mend the variable",
      })),
    ];
  }
  if (environment.DATABASE_URL === undefined) {
    return [
      ...findings,
      {
        what: "Postgres",
        ok: false,
        says: "DATABASE_URL is not set, and no local system runs here",
        fix: "start `waypost dev`, or set it",
      },
    ];
  }
  const wired = wire(
    { ...environment, DATABASE_URL: environment.DATABASE_URL },
    "doctor",
    createLogger("silent", "doctor"),
  );
  try {
    findings.push(await look("Postgres", () => postgres(wired), "is it up, and DATABASE_URL right?"));
    findings.push(await look("Temporal", () => temporal(wired), "is it up, and TEMPORAL_ADDRESS right?"));
    if (isOnlyReachability) return findings;
    if (findings.find(({ what }) => what === "Postgres")?.ok === true) {
      findings.push(await look("playbooks", () => published(wired), "run `waypost publish`"));
      findings.push(
        await look("runs", () => attention(wired), "see `waypost runs --status parked`, then retry, skip or stop"),
        await look(
          "starting",
          () => beginning(wired),
          "is a worker up? its log says what it can't do; `waypost runs --status starting` lists them",
        ),
        await look("events", () => handedOn(wired), "is a worker up? its log says of which account, and why"),
        await look(
          "enrolments",
          () => tooOften(wired),
          "do playbooks set each other off? what triggers asked beyond that was refused; `waypost runs --playbook NAME --account ID` lists them",
        ),
        await look("unmatched", () => unmatched(wired), "see `waypost unmatched`"),
        await look(
          "mail",
          () => switches(wired),
          "deliberate? `waypost hold` says why; `waypost release --all-sends`, `--all-email` or `--playbook NAME` lets it go out again",
        ),
        await look(
          "database",
          () => putBack(wired),
          "compare the mail server's log and Slack with what was sent since then, import what is missing, then `waypost release --all-sends`",
        ),
        await look("oldest run", () => oldest(wired), "see `waypost runs`"),
      );
      findings.push(await look("time zones", () => zones(wired), "import the right one; until then it is UTC"));
    }
  } finally {
    await wired.close();
  }
  const folder = environment.WAYPOST_PLAYBOOKS ?? "playbooks";
  findings.push({
    what: "playbooks folder",
    ok: true,
    says: existsSync(folder) ? folder : `${folder} is not here (only publishing needs it)`,
  });
  return findings;
}

type Said = string | { readonly says: string; readonly fix: string };

async function look(what: string, work: () => Promise<Said>, fix: string): Promise<Finding> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${LOOK_MS / 1000} s`)), LOOK_MS);
  });
  try {
    const said = await Promise.race([work(), late]);
    return { what, ok: true, ...(typeof said === "string" ? { says: said } : said) };
  } catch (error) {
    return { what, ok: false, says: error instanceof Error ? (error.message.split("\n")[0] ?? "") : "failed", fix };
  } finally {
    clearTimeout(timer);
  }
}

async function postgres({ database }: Wired): Promise<string> {
  const [row] = await database.client<{ version: string }[]>`select current_setting('server_version') as version`;
  return `answers (${row?.version})`;
}

async function temporal({ temporal: client }: Wired): Promise<string> {
  const info = await client.workflowService.getSystemInfo({});
  return `answers (${info.serverVersion})`;
}

async function published({ store }: Wired): Promise<string> {
  const versions = (await store.read((tx) => store.playbooks.versions(tx))).filter(({ isCurrent }) => isCurrent);
  if (versions.length === 0) throw new Error("nothing is published");
  return versions.map(({ playbook, number }) => `${playbook}@${number}`).join(" ");
}

/** Zones from before they were checked: nothing fails by them, but working hours are not those of the place. */
async function zones({ database }: Wired): Promise<string> {
  const rows = await database.client<{ kind: string; id: string; timezone: string }[]>`
    select 'account' as kind, id, timezone from accounts where timezone not in (select name from pg_timezone_names)
    union all select 'colleague', id, timezone from users where timezone not in (select name from pg_timezone_names)
    order by 1, 2`;
  const unknown = rows.filter(({ timezone }) => !isZone(timezone));
  const [first] = unknown;
  if (first === undefined) return "every account's and colleague's is known";
  const others = unknown.length === 1 ? "" : `, and ${unknown.length - 1} more`;
  throw new Error(`"${first.timezone}" of ${first.kind} ${first.id} is no time zone${others}`);
}

/** How long a run may be about to start, and an event about to be handed on: real milliseconds. */
const PATIENCE_MS = 60_000;

/** Accounts and runs that a finding names. */
const NAMED_MAX = 3;

function longAgo({ clock }: Wired): number {
  return clock.now() - PATIENCE_MS * clock.scale;
}

async function beginning(wired: Wired): Promise<string> {
  const { store, temporal: client } = wired;
  const { count, runs } = await store.read((tx) => store.runs.notBegun(tx, longAgo(wired), NAMED_MAX));
  if (count === 0) return "none waits for its start";
  const other = await Promise.race([
    otherRunProblem(client, runs[0] as RunRow).catch(() => undefined),
    new Promise<undefined>((resolve) => setTimeout(resolve, LOOK_MS / 2, undefined).unref()),
  ]);
  if (other !== undefined) throw new Error(other);
  throw new Error(
    `${count} wait for their start for over a minute: ${named(
      runs.map(({ id }) => id),
      count,
    )}`,
  );
}

async function handedOn(wired: Wired): Promise<string> {
  const { store, clock } = wired;
  const { count, accounts } = await store.read((tx) => store.events.stuck(tx, clock.now(), longAgo(wired), NAMED_MAX));
  if (count === 0) return "none is stuck";
  throw new Error(`${count} wait for over a minute to be handed on, of ${named(accounts, Number.POSITIVE_INFINITY)}`);
}

/** Whose limit was reached within a day: what was refused is in the worker's log alone, but the runs that were not are here. */
async function tooOften({ store, clock }: Wired): Promise<string> {
  const found = await store.read((tx) => store.runs.oftenBegun(tx, clock.now() - DAY_MS, ENROLMENTS_PER_HOUR_MAX));
  const [first] = found;
  if (first === undefined) return "none reached the limit within a day";
  const { playbook, accountId, contactId, count, at } = first;
  const others = found.length === 1 ? "" : `, and ${found.length - 1} more`;
  throw new Error(
    `"${playbook}" began ${count} times for ${contactId ?? accountId} in the hour before ${formatInstant(at)}${others}`,
  );
}

/** No mistake by itself: they are kept until what they name arrives. */
async function unmatched({ store }: Wired): Promise<Said> {
  const { count, events } = await store.read((tx) => store.events.unmatched(tx, 1));
  if (count === 0) return "every event found its account";
  return {
    says: `${count} ${count === 1 ? "event waits" : "events wait"} for who is not known yet, the first since ${formatInstant((events[0] as { at: number }).at)}`,
    fix: "import what they name; `waypost unmatched` lists them",
  };
}

async function switches({ store, holds }: Wired): Promise<string> {
  const on = await store.read((tx) => holds.switches(tx));
  if (on.length === 0) return "nothing is held";
  throw new Error(
    on
      .map(
        ({ name, by, at }) =>
          `${name === ALL_SENDS ? "everything" : name === ALL_EMAIL ? "all e-mail" : name} held by ${by} since ${formatInstant(at)}`,
      )
      .join("; "),
  );
}

/** Put back to an older copy: everything is held until a person has looked. */
async function putBack({ store, holds, putBacks }: Wired): Promise<string> {
  const latest = await store.read((tx) => putBacks.latest(tx));
  if (latest === undefined) return "was never put back to an older copy";
  const { noticedAt } = latest.putBack;
  if (!latest.isHeld) return `was put back to an older copy, noticed ${formatInstant(noticedAt)}, and released`;
  const held = (await store.read((tx) => holds.switches(tx))).find(({ name }) => name === ALL_SENDS);
  throw new Error(`${held?.reason ?? latest.putBack.shownBy} (noticed ${formatInstant(noticedAt)}); nothing is sent`);
}

/** What docs/changing-the-engine.md asks before an old way is taken out. */
async function oldest({ store }: Wired): Promise<string> {
  const run = await store.read((tx) => store.runs.oldestLive(tx));
  return run === undefined ? "no run lives" : `the oldest live run began ${formatInstant(run.startedAt)} (${run.id})`;
}

function named(ids: readonly string[], count: number): string {
  const more = count === Number.POSITIVE_INFINITY ? ids.length === NAMED_MAX : count > ids.length;
  return `${ids.join(", ")}${more ? " …" : ""}`;
}

async function attention({ store }: Wired): Promise<string> {
  const parked = await store.read((tx) => store.runs.list(tx, { status: ["parked"], limit: 100 }));
  if (parked.length > 0) throw new Error(`${parked.length === 100 ? "100 or more" : parked.length} need attention`);
  return "none needs attention";
}
